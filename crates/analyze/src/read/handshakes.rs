//! Pass 1, of connections: the blocks with TLS hellos and library calls, as far as they are needed.

use super::places::{Place, all_blocks, capture_of, for_blocks, index_of, may_contain_any};
use super::plan::time_range;
use crate::capture::Capture;
use crate::capture::connections::{Connection, Handshakes};
use crate::read::input::Inputs;
use crate::select::{Filter, ResolvedFilter};
use crypto_trace_format::record::{ApiCall, Records, TlsHello};
use crypto_trace_format::segment::BlockHeader;
use foldhash::fast::RandomState;
use std::collections::HashSet;

/// Whether a block has something that must be known before events are shown: pieces of handshakes, and calls that made them.
pub(super) fn has_handshakes(header: &BlockHeader) -> bool {
    header.kinds & (TlsHello::KIND.bit() | ApiCall::KIND.bit()) != 0
}

/// Whether a block has pieces of handshakes.
fn has_hellos(header: &BlockHeader) -> bool {
    header.kinds & TlsHello::KIND.bit() != 0
}

/// Whether a block has library calls, which may tell what files hold.
fn has_calls(header: &BlockHeader) -> bool {
    header.kinds & ApiCall::KIND.bit() != 0
}

/// How far from the time that is asked for pieces of a connection may be, and what a library says of it, ns.
const MARGIN_NS: i64 = 300_000_000_000;

/// How far from it all pieces are looked at, to see which connections have others farther away, ns.
pub(super) const NEAR_NS: i64 = 5_000_000_000;

/// Process ids, of each capture.
pub(super) type Tgids = Vec<HashSet<u32, RandomState>>;

/// Which handshakes are read.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// All of them.
    All,
    /// Those that events of this filter need.
    Of(&'a Filter),
}

/// The processes whose events pass, where they are known beforehand; and how far from the time that is asked for all pieces of
/// connections are looked at, ns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a> {
    pub tgids: &'a Tgids,
    pub near_ns: i64,
}

/// Reads the blocks with TLS hellos and library calls, when the clocks of `captures` are known. What is wrong with them is
/// reported when pass 2 comes by.
pub fn read_handshakes(inputs: &Inputs, captures: &mut [Capture], wanted: Wanted<'_>) {
    read_handshakes_of(inputs, captures, wanted, None);
}

/// The same, where it is known which processes' events pass.
pub(super) fn read_handshakes_of(
    inputs: &Inputs,
    captures: &mut [Capture],
    wanted: Wanted<'_>,
    shown: Option<Shown<'_>>,
) {
    let end = time_range(inputs, captures).map(|(_, end)| end);
    let is_near = |header: &BlockHeader, capture: &Capture, filter: &Filter| {
        let shown = filter.shows_handshakes() || (filter.shows_files() && has_calls(header));
        let range = capture.clock.range(header.min_time_ns, header.max_time_ns);
        shown && filter.resolve(end).is_near(range, MARGIN_NS)
    };
    let mut places: Vec<Place> = Vec::new();
    for (place, header) in all_blocks(inputs).filter(|(_, header)| has_handshakes(header)) {
        let Some(capture) = capture_of(inputs, captures, place) else { continue };
        let needed = match wanted {
            Wanted::All => true,
            Wanted::Of(filter) => is_near(header, capture, filter),
        };
        if needed {
            places.push(place);
        } else {
            capture.handshakes.skipped = true;
        }
    }
    if let Wanted::Of(filter) = wanted
        && let Some(pids) = filter.pids_alone()
    {
        places = around_pieces_of(pids, inputs, captures, &places);
    } else if let (Wanted::Of(filter), Some(shown)) = (wanted, shown) {
        places = around_time(&filter.resolve(end), shown, inputs, captures, &places);
    }
    let find = |header: &BlockHeader, raw: &[u8]| find_handshakes(raw, header.first_record);
    for_blocks(inputs, &places, find, |place, read, found| {
        let (Ok(raw), Some(capture)) = (read, capture_of(inputs, captures, place)) else { return };
        for (record, at) in found {
            add_handshake(capture, raw.get(at..).unwrap_or_default(), place.segment, record);
        }
    });
    captures.iter_mut().for_each(|capture| capture.handshakes.finish());
}

/// Of `places`, those that tell something of connections of these processes, and of what their libraries did. The owner of a
/// connection is the process of one of its pieces, and its other pieces are near that one.
fn around_pieces_of(pids: &[u32], inputs: &Inputs, captures: &mut [Capture], places: &[Place]) -> Vec<Place> {
    let is_own = |place: &Place| {
        place.entry(inputs).is_some_and(|entry| pids.iter().any(|pid| entry.header.tgids.may_contain(*pid)))
    };
    let (own, others): (Vec<Place>, Vec<Place>) = places.iter().copied().partition(is_own);
    let pieces = |_: &BlockHeader, raw: &[u8]| -> Vec<u64> {
        let hellos = Records::new(raw).flatten().filter(|record| record.kind() == TlsHello::KIND);
        hellos.filter(|hello| pids.contains(&hello.header.tgid)).map(|hello| hello.header.time_ns).collect()
    };
    // Of each capture, the earliest and the latest of them.
    let mut spans: Vec<Option<(u64, u64)>> = vec![None; captures.len()];
    let tells = |place: &Place| place.entry(inputs).is_some_and(|entry| has_hellos(&entry.header));
    let with_hellos: Vec<Place> = own.iter().copied().filter(tells).collect();
    for_blocks(inputs, &with_hellos, pieces, |place, _, times| {
        let Some(span) = index_of(inputs, place).and_then(|index| spans.get_mut(index)) else { return };
        for time_ns in times {
            let (from, to) = span.unwrap_or((time_ns, time_ns));
            *span = Some((from.min(time_ns), to.max(time_ns)));
        }
    });
    let is_near = |place: &Place| {
        let span = index_of(inputs, *place).and_then(|index| spans.get(index).copied().flatten());
        let (Some((from, to)), Some(entry)) = (span, place.entry(inputs)) else { return false };
        entry.header.max_time_ns >= from.saturating_sub(MARGIN_NS.unsigned_abs())
            && entry.header.min_time_ns <= to.saturating_add(MARGIN_NS.unsigned_abs())
    };
    let (near, far): (Vec<Place>, Vec<Place>) = others.into_iter().partition(is_near);
    leave_out(inputs, captures, &far);
    let mut read = [own, near].concat();
    read.sort_unstable();
    read
}

/// Of `places`, those that tell something of connections in the time that is asked for, and of what their libraries did. What is
/// near that time tells whose these are, and which of them may have pieces farther away.
fn around_time(
    filter: &ResolvedFilter<'_>,
    shown: Shown<'_>,
    inputs: &Inputs,
    captures: &mut [Capture],
    places: &[Place],
) -> Vec<Place> {
    let is_near = |place: &Place| {
        let (Some(entry), Some(index)) = (place.entry(inputs), index_of(inputs, *place)) else { return false };
        let header = &entry.header;
        let range = captures.get(index).map(|capture| capture.clock.range(header.min_time_ns, header.max_time_ns));
        has_hellos(header) && range.is_some_and(|range| filter.is_near(range, shown.near_ns))
    };
    let (near, far): (Vec<Place>, Vec<Place>) = places.iter().copied().partition(is_near);
    let mut seen: Vec<Handshakes> = Vec::new();
    seen.resize_with(captures.len(), Handshakes::default);
    let find = |header: &BlockHeader, raw: &[u8]| find_handshakes(raw, header.first_record);
    for_blocks(inputs, &near, find, |place, read, found| {
        let seen = index_of(inputs, place).and_then(|index| seen.get_mut(index));
        let (Ok(raw), Some(seen)) = (read, seen) else { return };
        for (number, at) in found {
            let Some(Ok(record)) = Records::new(raw.get(at..).unwrap_or_default()).next() else { continue };
            if let (TlsHello::KIND, Ok(hello)) = (record.kind(), TlsHello::decode(&record)) {
                seen.add(&record.header, &hello, place.segment, number);
            }
        }
    });
    // Whose library calls and whose further pieces are wanted. Records of no known process may be pieces of any connection.
    let mut callers: Tgids = shown.tgids.clone();
    let mut open: Tgids = vec![HashSet::default(); captures.len()];
    for (((seen, capture), callers), open) in seen.iter().zip(&*captures).zip(&mut callers).zip(&mut open) {
        let in_time = |connection: &&Connection| {
            let range = capture.clock.range(connection.first_ns(), connection.last_ns());
            filter.is_near(range, 0)
        };
        let ends = seen.connections().iter().filter(in_time).flat_map(|one| [Some(one), seen.peer(one)]).flatten();
        for end in ends {
            callers.insert(end.owner.tgid);
            if !end.is_settled() {
                if !end.is_sent_by_owner() {
                    return places.to_vec();
                }
                open.extend([end.owner.tgid, 0]);
            }
        }
    }
    let tells = |place: &Place| {
        let (Some(entry), Some(index)) = (place.entry(inputs), index_of(inputs, *place)) else { return false };
        let any_of = |of: &Tgids| of.get(index).is_some_and(|tgids| may_contain_any(&entry.header.tgids, tgids));
        (has_calls(&entry.header) && any_of(&callers)) || (has_hellos(&entry.header) && any_of(&open))
    };
    let (told, rest): (Vec<Place>, Vec<Place>) = far.into_iter().partition(tells);
    leave_out(inputs, captures, &rest);
    let mut read = [near, told].concat();
    read.sort_unstable();
    read
}

/// Notes that these blocks are not read.
fn leave_out(inputs: &Inputs, captures: &mut [Capture], places: &[Place]) {
    for place in places {
        if let Some(capture) = capture_of(inputs, captures, *place) {
            capture.handshakes.skipped = true;
        }
    }
}

/// Numbers and places of the TLS hellos and library calls of one block.
fn find_handshakes(raw: &[u8], first_record: u64) -> Vec<(u64, usize)> {
    let (mut found, mut at) = (Vec::new(), 0);
    for (number, record) in (first_record..).zip(Records::new(raw)) {
        let Ok(record) = record else { break };
        if matches!(record.kind(), TlsHello::KIND | ApiCall::KIND) {
            found.push((number, at));
        }
        at += record.header.len as usize;
    }
    found
}

/// Takes in the TLS hellos and the library calls of one block.
pub(super) fn add_handshakes(capture: &mut Capture, raw: &[u8], segment: u32, first_record: u64) {
    for (number, at) in find_handshakes(raw, first_record) {
        add_handshake(capture, raw.get(at..).unwrap_or_default(), segment, number);
    }
}

/// Takes in one record, at the beginning of `raw`.
fn add_handshake(capture: &mut Capture, raw: &[u8], segment: u32, number: u64) {
    let Some(Ok(record)) = Records::new(raw).next() else { return };
    if record.kind() == TlsHello::KIND
        && let Ok(hello) = TlsHello::decode(&record)
    {
        capture.handshakes.add(&record.header, &hello, segment, number);
    } else if record.kind() == ApiCall::KIND
        && let Ok(call) = ApiCall::decode(&record)
    {
        capture.calls.add(&record.header, &call);
        capture.loaded.add(&record.header, &call);
    }
}
