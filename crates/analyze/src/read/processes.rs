//! Pass 1 of a narrow question: what is known of the processes that are shown, and of their ancestors, is read; what others
//! did is not.
//!
//! A block's header says whose records are in it. So the cost follows what matches, however long the capture is. What is shown
//! is the same as when everything is read.

use super::handshakes::{NEAR_NS, Shown, Tgids, Wanted, read_handshakes_of};
use super::lifecycle::captures_of;
use super::places::{Place, all_blocks, capture_of, for_blocks, index_of, lifecycle_blocks, may_contain_any};
use super::plan::time_range;
use crate::capture::Capture;
use crate::capture::connections::Connection;
use crate::read::faults::{FaultLog, Problem};
use crate::read::input::Inputs;
use crate::select::{Filter, ResolvedFilter};
use crypto_trace_format::record::{Kind, ProcessExec, ProcessExit, ProcessFork, ProcessInfo, Record, Records};
use crypto_trace_format::segment::BlockHeader;
use foldhash::fast::RandomState;
use std::collections::{HashMap, HashSet};

/// Kinds that tell of processes, and of nothing else.
const OF_PROCESSES: u64 =
    ProcessExec::KIND.bit() | ProcessFork::KIND.bit() | ProcessExit::KIND.bit() | ProcessInfo::KIND.bit();

/// More processes than this, with their ancestors, are not looked for one by one.
const MAX_PROCESSES: usize = 4_096;

/// Bytes of blocks that are searched for process ids in the time in which one byte of lifecycle blocks is taken in.
const SEARCHED_FOR_ONE_READ: u64 = 4;

/// Reads what captures say of themselves: clocks, loss, probes, libraries. Of processes nothing is known yet, see
/// [`read_narrow`].
pub fn read_facts(inputs: &Inputs, faults: &mut FaultLog) -> Vec<Capture> {
    let mut captures = captures_of(inputs, faults);
    let tells_more = |header: &BlockHeader| header.kinds & !OF_PROCESSES != 0;
    let places: Vec<Place> =
        lifecycle_blocks(inputs).filter(|(_, header)| tells_more(header)).map(|(place, _)| place).collect();
    for_blocks(
        inputs,
        &places,
        |_, _| (),
        |place, read, ()| match read {
            Ok(raw) => {
                let Some(capture) = capture_of(inputs, &mut captures, place) else { return };
                for record in Records::new(raw).flatten().filter(|record| !is_of_process(record)) {
                    // What is malformed is reported when pass 2 or `verify` comes by.
                    let _ = capture.apply(&record);
                }
            }
            Err(fault) => faults.add(place.segment, Problem::Segment(fault)),
        },
    );
    captures
}

/// Reads the handshakes that a narrow question needs, and what is told of the processes whose events may pass, after
/// [`read_facts`]. Returns whether other processes are left out.
pub fn read_narrow(inputs: &Inputs, captures: &mut [Capture], filter: &Filter, faults: &mut FaultLog) -> bool {
    read_narrow_near(inputs, captures, filter, faults, NEAR_NS)
}

/// The same, with how far from the time that is asked for all pieces of connections are looked at, ns.
fn read_narrow_near(
    inputs: &Inputs,
    captures: &mut [Capture],
    filter: &Filter,
    faults: &mut FaultLog,
    near_ns: i64,
) -> bool {
    let all: Vec<Place> = lifecycle_blocks(inputs)
        .filter(|(_, header)| header.kinds & OF_PROCESSES != 0)
        .map(|(place, _)| place)
        .collect();
    let shown = shown(inputs, captures, filter, &all);
    read_handshakes_of(inputs, captures, Wanted::Of(filter), shown.as_ref().map(|tgids| Shown { tgids, near_ns }));
    let needed = shown
        .and_then(|shown| with_owners(inputs, captures, filter, shown))
        .and_then(|needed| with_ancestors(inputs, needed, &all));
    let (places, needed) = match needed {
        Some((places, needed)) => (places, Some(needed)),
        None => (all, None),
    };
    // Blocks with other facts were read before, and what is wrong with them was said.
    let said = |place: Place| place.entry(inputs).is_none_or(|entry| entry.header.kinds & !OF_PROCESSES != 0);
    for_blocks(
        inputs,
        &places,
        |_, _| (),
        |place, read, ()| match (read, index_of(inputs, place)) {
            (Ok(raw), Some(index)) => {
                let Some(capture) = captures.get_mut(index) else { return };
                let of = needed.as_ref().and_then(|needed| needed.get(index));
                for record in Records::new(raw).flatten().filter(is_of_process) {
                    if of.is_none_or(|of| of.contains(&record.header.tgid)) {
                        let _ = capture.timeline.apply(&record);
                    }
                }
            }
            (Err(fault), _) if !said(place) => faults.add(place.segment, Problem::Segment(fault)),
            _ => {}
        },
    );
    needed.is_some()
}

fn is_of_process(record: &Record<'_>) -> bool {
    record.kind().bit() & OF_PROCESSES != 0
}

fn bytes_of(inputs: &Inputs, places: &[Place]) -> u64 {
    places.iter().filter_map(|place| place.entry(inputs)).map(|entry| u64::from(entry.header.raw_len)).sum()
}

/// The processes whose events may pass, connections aside; `None` where it costs less to know all of them.
fn shown(inputs: &Inputs, captures: &[Capture], filter: &Filter, all: &[Place]) -> Option<Tgids> {
    let resolved = filter.resolve(time_range(inputs, captures).map(|(_, end)| end));
    let pids = || filter.pids_alone().into_iter().flatten().copied().collect();
    let mut needed: Tgids = captures.iter().map(|_| pids()).collect();
    let of_processes = filter.pids_alone().is_none();
    let may_pass = |(place, header): (Place, &BlockHeader)| {
        let capture = captures.get(index_of(inputs, place)?)?;
        let range = capture.clock.range(header.min_time_ns, header.max_time_ns);
        let shown = resolved.block_may_show(header, range) && (of_processes || resolved.shows_capture(header));
        shown.then_some(place)
    };
    let places: Vec<Place> = all_blocks(inputs).filter_map(may_pass).collect();
    if bytes_of(inputs, &places) > bytes_of(inputs, all).saturating_mul(SEARCHED_FOR_ONE_READ) {
        return None;
    }
    // What is told of the capture itself may name a process, too, and passes whoever is asked for.
    let is_shown = |kind: Kind| resolved.may_show_kind(kind) && (of_processes || kind.is_about_capture());
    let of_block = |_: &BlockHeader, raw: &[u8]| -> HashSet<u32, RandomState> {
        let shown = Records::new(raw).flatten().filter(|record| is_shown(record.kind()));
        shown.map(|record| record.header.tgid).collect()
    };
    for_blocks(inputs, &places, of_block, |place, _, of| {
        let Some(needed) = index_of(inputs, place).and_then(|index| needed.get_mut(index)) else { return };
        needed.extend(of);
    });
    needed.iter().all(|needed| needed.len() <= MAX_PROCESSES).then_some(needed)
}

/// The same with the processes of the connections that may pass, and of their other ends.
fn with_owners(inputs: &Inputs, captures: &[Capture], filter: &Filter, mut shown: Tgids) -> Option<Tgids> {
    let resolved = filter.resolve(time_range(inputs, captures).map(|(_, end)| end));
    for (capture, shown) in captures.iter().zip(&mut shown) {
        let asked = |connection: &&Connection| is_asked_for(capture, &resolved, filter, connection);
        for connection in capture.handshakes.connections().iter().filter(asked) {
            shown.insert(connection.owner.tgid);
            shown.extend(capture.handshakes.peer(connection).map(|peer| peer.owner.tgid));
        }
    }
    shown.iter().all(|shown| shown.len() <= MAX_PROCESSES).then_some(shown)
}

/// Whether a connection is among the events that pass, as far as its time and the processes asked for tell.
fn is_asked_for(capture: &Capture, resolved: &ResolvedFilter<'_>, filter: &Filter, connection: &Connection) -> bool {
    resolved.may_show(connection.kind(), capture.clock.wall(connection.first_ns()))
        && filter.pids_alone().is_none_or(|pids| pids.contains(&connection.owner.tgid))
}

/// The blocks that tell of these processes and of their ancestors, in order, and all of those; `None` where most blocks do.
fn with_ancestors(inputs: &Inputs, mut needed: Tgids, all: &[Place]) -> Option<(Vec<Place>, Tgids)> {
    let limit = bytes_of(inputs, all);
    // Of each capture, who is named as whose parent in the blocks read so far.
    let mut parents: Vec<HashMap<u32, Vec<u32>, RandomState>> = vec![HashMap::default(); needed.len()];
    let mut found: Vec<Place> = Vec::new();
    let mut left: Vec<Place> = all.to_vec();
    let mut new = needed.clone();
    while new.iter().any(|new| !new.is_empty()) {
        let tells = |place: &Place| {
            let (Some(entry), Some(index)) = (place.entry(inputs), index_of(inputs, *place)) else { return false };
            new.get(index).is_some_and(|new| may_contain_any(&entry.header.tgids, new))
        };
        let (more, rest): (Vec<Place>, Vec<Place>) = left.into_iter().partition(tells);
        left = rest;
        for_blocks(inputs, &more, parents_in, |place, _, told| {
            let Some(of) = index_of(inputs, place).and_then(|index| parents.get_mut(index)) else { return };
            told.into_iter().for_each(|(tgid, parent)| of.entry(tgid).or_default().push(parent));
        });
        found.extend(more);
        if bytes_of(inputs, &found) > limit / 2 || needed.iter().any(|needed| needed.len() > MAX_PROCESSES) {
            return None;
        }
        new = std::mem::take(&mut new)
            .into_iter()
            .zip(&parents)
            .zip(&mut needed)
            .map(|((new, parents), needed)| ancestors(new, parents, needed))
            .collect();
    }
    found.sort_unstable();
    Some((found, needed))
}

/// The ancestors of `new` that are not in `needed` yet, where they are put.
fn ancestors(
    new: HashSet<u32, RandomState>,
    parents: &HashMap<u32, Vec<u32>, RandomState>,
    needed: &mut HashSet<u32, RandomState>,
) -> HashSet<u32, RandomState> {
    let mut found = HashSet::default();
    let mut left: Vec<u32> = new.into_iter().collect();
    while let Some(tgid) = left.pop() {
        for parent in parents.get(&tgid).into_iter().flatten() {
            if needed.insert(*parent) {
                found.insert(*parent);
                left.push(*parent);
            }
        }
    }
    found
}

/// Processes, and who is named as their parents, by the records of a block.
fn parents_in(_: &BlockHeader, raw: &[u8]) -> Vec<(u32, u32)> {
    let parent = |record: &Record<'_>| match record.kind() {
        ProcessExec::KIND => ProcessExec::decode(record).ok().map(|exec| exec.fixed.ppid),
        ProcessFork::KIND => ProcessFork::decode(record).ok().map(|fork| fork.fixed.ppid),
        ProcessInfo::KIND => ProcessInfo::decode(record).ok().map(|info| info.fixed.ppid),
        _ => None,
    };
    Records::new(raw).flatten().filter_map(|record| Some((record.header.tgid, parent(&record)?))).collect()
}

#[cfg(test)]
mod tests;
