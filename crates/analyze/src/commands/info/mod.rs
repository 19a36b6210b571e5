//! `info`: what a capture is, what it cost, and what it lacks.

mod args;

pub(crate) use args::{Args, Task};

use crate::capture::Capture;
use crate::cli::console::{Console, Output};
use crate::cli::exit::Outcome;
use crate::read::faults::{FaultLog, Problem};
use crate::read::input::{Choice, Inputs};
use crate::read::read_captures;
use crate::report::completeness;
use crate::report::document;
use crate::report::session;
use crate::words::escape;
use crate::words::kernel::errno_name;
use crate::words::redact;
use crate::words::text::{Paint, bytes, duration, grouped, hex};
use crate::words::timestamp::timestamp;
use anyhow::Result;
use crypto_trace_format::record::{KINDS, Kind, Tier};
use crypto_trace_format::segment::BlockBuffer;
use rayon::prelude::*;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;

/// Version of the document: a member that is added does not change it, one that goes or means something else does.
const SCHEMA_VERSION: u32 = 1;

/// Sums over some segments.
#[derive(Debug, Clone, Default)]
struct Sums {
    segments: u64,
    unsealed: u64,
    blocks: u64,
    records: u64,
    raw_bytes: u64,
    file_bytes: u64,
    by_kind: BTreeMap<u16, u64>,
    range_ns: Option<(u64, u64)>,
}

/// One probe.
#[derive(Debug, Serialize)]
struct ProbeReport {
    probe: String,
    target: String,
    tier: &'static str,
    state: &'static str,
    error: Option<String>,
    message: String,
}

pub(super) fn run(task: &Task, console: Console) -> Result<Outcome> {
    let inputs = session::open(&task.paths, Choice { recursive: task.recursive, hosts: &task.hosts }, console)?;
    let mut faults = FaultLog::default();
    let captures = read_captures(&inputs, &mut faults);
    let sums = sums(&inputs, &mut faults);
    let mut out = Output::open(None)?;
    let text = if task.json {
        let reports: Vec<Value> = captures
            .iter()
            .zip(&sums)
            .map(|(capture, sums)| Value::Object(report(capture, sums, task.redact)))
            .collect();
        document::pretty(&whole(&captures, &sums, reports, &faults))? + "\n"
    } else {
        let texts = captures.iter().zip(&sums).map(|(capture, sums)| text(capture, sums, task.redact, out.paint()));
        texts.collect::<Vec<_>>().join("\n")
    };
    out.write_all(text.as_bytes())?;
    session::say_faults(&faults, &session::names(&inputs), console);
    Ok(Outcome::Done)
}

/// Sums by capture.
fn sums(inputs: &Inputs, faults: &mut FaultLog) -> Vec<Sums> {
    let mut all = vec![Sums::default(); inputs.captures as usize];
    for (number, segment) in (0u32..).zip(&inputs.segments) {
        let Some(sums) = all.get_mut(segment.capture as usize) else { continue };
        let reader = &segment.reader;
        sums.segments += 1;
        sums.unsealed += u64::from(!reader.is_sealed());
        sums.file_bytes = sums.file_bytes.saturating_add(reader.len_bytes());
        for block in reader.blocks() {
            sums.blocks += 1;
            sums.records = sums.records.saturating_add(block.header.record_count.into());
            sums.raw_bytes = sums.raw_bytes.saturating_add(block.header.raw_len.into());
            let (min, max) = sums.range_ns.unwrap_or((u64::MAX, 0));
            sums.range_ns = Some((min.min(block.header.min_time_ns), max.max(block.header.max_time_ns)));
        }
        match reader.totals() {
            Some(totals) => add_kinds(&mut sums.by_kind, totals.by_kind.iter().copied()),
            // Without a footer the records must be counted.
            None => count_kinds(inputs, number, sums, faults),
        }
    }
    all
}

/// A footer may tell any number of records: sums do not overflow by it.
fn add_kinds(sums: &mut BTreeMap<u16, u64>, counts: impl IntoIterator<Item = (u16, u64)>) {
    for (kind, count) in counts {
        let sum = sums.entry(kind).or_default();
        *sum = sum.saturating_add(count);
    }
}

fn count_kinds(inputs: &Inputs, number: u32, sums: &mut Sums, faults: &mut FaultLog) {
    let Some(segment) = inputs.segments.get(number as usize) else { return };
    let counted: Vec<Result<BTreeMap<u16, u64>, _>> = (0..segment.reader.blocks().len())
        .into_par_iter()
        .map_init(BlockBuffer::default, |buffer, block| {
            segment.reader.read_block(block, buffer)?;
            let mut kinds = BTreeMap::new();
            for record in buffer.records().flatten() {
                *kinds.entry(record.header.kind).or_default() += 1;
            }
            Ok(kinds)
        })
        .collect();
    for result in counted {
        match result {
            Ok(kinds) => add_kinds(&mut sums.by_kind, kinds),
            Err(fault) => faults.add(number, Problem::Segment(fault)),
        }
    }
}

/// Everything, over all captures: a single capture's members, or sums where there are several, and each capture.
fn whole(captures: &[Capture], sums: &[Sums], reports: Vec<Value>, faults: &FaultLog) -> Value {
    let mut whole = match reports.as_slice() {
        [Value::Object(only)] => only.clone(),
        _ => {
            let mut total = Sums::default();
            let mut lost = BTreeMap::new();
            for (capture, sums) in captures.iter().zip(sums) {
                total.add(sums);
                for (name, count) in lost_by_kind(capture) {
                    let sum: &mut u64 = lost.entry(name).or_default();
                    *sum = sum.saturating_add(count);
                }
            }
            let mut map = Map::new();
            total.report(&mut map);
            map.insert("lost".to_owned(), lost_value(&lost));
            let dropped: u64 = captures.iter().map(|capture| capture.missing().1).fold(0, u64::saturating_add);
            map.insert("dropped".to_owned(), json!(dropped));
            map
        }
    };
    let damaged = faults.any_damage();
    whole.insert("schema_version".to_owned(), json!(SCHEMA_VERSION));
    whole.insert("damaged".to_owned(), json!(damaged));
    whole.insert("captures".to_owned(), Value::Array(reports));
    Value::Object(whole)
}

impl Sums {
    fn add(&mut self, other: &Self) {
        let Self { segments, unsealed, blocks, records, raw_bytes, file_bytes, by_kind, range_ns: _ } = self;
        for (sum, more) in [
            (segments, other.segments),
            (unsealed, other.unsealed),
            (blocks, other.blocks),
            (records, other.records),
            (raw_bytes, other.raw_bytes),
            (file_bytes, other.file_bytes),
        ] {
            *sum = sum.saturating_add(more);
        }
        add_kinds(by_kind, other.by_kind.clone());
    }

    fn ratio(&self) -> f64 {
        quotient(self.raw_bytes, self.file_bytes)
    }

    fn bytes_per_event(&self) -> f64 {
        quotient(self.file_bytes, self.records)
    }

    fn report(&self, map: &mut Map<String, Value>) {
        let mut insert = |key: &str, value: Value| map.insert(key.to_owned(), value);
        insert("segments", json!(self.segments));
        insert("unsealed_segments", json!(self.unsealed));
        insert("blocks", json!(self.blocks));
        insert("events", json!(self.records));
        let mut counts = Map::new();
        for (kind, count) in &self.by_kind {
            let name = Kind(*kind).name().map_or_else(|| format!("kind_{kind}"), str::to_owned);
            counts.insert(name, json!(count));
        }
        insert("counts", Value::Object(counts));
        insert("raw_bytes", json!(self.raw_bytes));
        insert("file_bytes", json!(self.file_bytes));
        insert("compression_ratio", json!(self.ratio()));
        insert("bytes_per_event", json!(self.bytes_per_event()));
    }
}

/// To two decimals.
#[allow(clippy::cast_precision_loss, reason = "a figure for people")]
fn quotient(a: u64, b: u64) -> f64 {
    if b == 0 { 0.0 } else { (a as f64 / b as f64 * 100.0).round() / 100.0 }
}

fn report(capture: &Capture, sums: &Sums, redacted: bool) -> Map<String, Value> {
    let meta = &capture.meta;
    let mut map = Map::new();
    let mut insert = |key: &str, value: Value| map.insert(key.to_owned(), value);
    insert("capture_id", json!(hex(&meta.capture_id)));
    insert("host", json!(meta.host));
    insert("boot_id", json!(meta.boot_id));
    insert("kernel", json!(meta.kernel));
    insert("arch", json!(meta.arch));
    insert("tool", json!(meta.tool));
    let filters: Vec<String> =
        meta.filters.iter().map(|filter| redact::for_people(filter.as_bytes(), redacted)).collect();
    insert("filters", json!(filters));
    if let Some((from, to)) = sums.range_ns {
        let (from, to) = capture.clock.range(from, to);
        insert("start", json!(timestamp(from)));
        insert("end", json!(timestamp(to)));
        insert("duration_ns", json!(to.0.saturating_sub(from.0)));
    }
    sums.report(&mut map);
    map.insert("lost".to_owned(), lost_value(&lost_by_kind(capture)));
    map.insert("dropped".to_owned(), json!(capture.missing().1));
    let loss = capture.loss.iter().map(|((kind, cause), row)| {
        json!({
            "kind": Kind(*kind).name(),
            "cause": cause.name(),
            "class": if cause.is_drop() { "dropped" } else { "lost" },
            "count": row.count,
            "from": timestamp(capture.clock.wall(row.from_ns)),
            "to": timestamp(capture.clock.wall(row.to_ns)),
        })
    });
    map.insert("loss".to_owned(), loss.collect());
    let suppressed = capture.suppressed.iter().map(|((user, kind, reason), row)| {
        json!({
            "user": user,
            "kind": Kind(*kind).name(),
            "reason": reason.name(),
            "count": row.loss.count,
            "bytes": row.bytes,
            "processes": row.processes.keys().filter(|tgid| **tgid != 0).count(),
            "from": timestamp(capture.clock.wall(row.loss.from_ns)),
            "to": timestamp(capture.clock.wall(row.loss.to_ns)),
        })
    });
    map.insert("suppressed".to_owned(), suppressed.collect());
    map.insert("complete".to_owned(), json!(completeness::gaps(capture, false).is_empty()));
    map.insert("probes".to_owned(), json!(probes(capture, redacted)));
    map.insert("self_stats".to_owned(), self_stats(capture));
    map
}

/// Lost records by kind: every kind of event, and what cannot be determined as `unknown`.
fn lost_by_kind(capture: &Capture) -> BTreeMap<&'static str, u64> {
    let kinds = KINDS.iter().filter(|layout| Kind(layout.kind).is_from_bpf());
    let mut lost: BTreeMap<&str, u64> = kinds.map(|layout| (layout.name, 0)).collect();
    let mut told = 0u64;
    for ((kind, cause), row) in &capture.loss {
        if !cause.is_drop() {
            let count = lost.entry(Kind(*kind).name().unwrap_or("unknown")).or_default();
            *count = count.saturating_add(row.count);
            told = told.saturating_add(row.count);
        }
    }
    let beyond = capture.missing().0.saturating_sub(told);
    if beyond > 0 {
        let unknown = lost.entry("unknown").or_default();
        *unknown = unknown.saturating_add(beyond);
    }
    lost
}

fn lost_value(lost: &BTreeMap<&'static str, u64>) -> Value {
    let mut map = Map::new();
    map.insert("total".to_owned(), json!(lost.values().copied().fold(0, u64::saturating_add)));
    for (name, count) in lost {
        map.insert((*name).to_owned(), json!(count));
    }
    Value::Object(map)
}

fn probes(capture: &Capture, redacted: bool) -> Vec<ProbeReport> {
    let rows = capture.probes.iter().map(|((probe, target, tier), row)| ProbeReport {
        probe: redact::for_people(probe, redacted),
        target: redact::for_people(target, redacted),
        tier: Tier(*tier).name(),
        state: row.state.name(),
        error: (row.errno != 0).then(|| {
            let errno = row.errno.unsigned_abs();
            errno_name(errno).map_or_else(|| format!("errno {errno}"), str::to_owned)
        }),
        message: redact::for_people(&row.message, redacted),
    });
    rows.collect()
}

fn self_stats(capture: &Capture) -> Value {
    let Some(s) = &capture.self_stats else { return Value::Null };
    json!({
        "cpu_user_ns": s.cpu_user_ns,
        "cpu_system_ns": s.cpu_system_ns,
        "rss_bytes": s.rss_bytes,
        "rss_peak_bytes": s.rss_peak_bytes,
        "produced": s.produced,
        "recorded": s.recorded,
        "lost": s.lost,
        "dropped": s.dropped,
        "filtered": s.filtered,
        "raw_bytes": s.raw_bytes,
        "written_bytes": s.written_bytes,
        "ring_bytes": s.ring_bytes,
        "ring_peak_bytes": s.ring_peak_bytes,
        "missed_runs": s.missed_runs,
        "tls_given_up": capture.tls_given_up,
    })
}

fn text(capture: &Capture, sums: &Sums, redacted: bool, paint: Paint) -> String {
    let meta = &capture.meta;
    let mut out = String::new();
    let mut line = |name: &str, text: String| paint.line(&mut out, 12, name, &text);
    let safe = |text: &str| escape::for_people(text.as_bytes());
    line("Capture", hex(&meta.capture_id));
    line(
        "Host",
        format!("{} ({} {}, boot {})", safe(&meta.host), safe(&meta.kernel), safe(&meta.arch), safe(&meta.boot_id)),
    );
    line("Recorded by", safe(&meta.tool));
    let filters: Vec<String> =
        meta.filters.iter().map(|filter| redact::for_people(filter.as_bytes(), redacted)).collect();
    line("Filters", if filters.is_empty() { "none".to_owned() } else { filters.join(" ") });
    if let Some((from, to)) = sums.range_ns {
        let (from, to) = capture.clock.range(from, to);
        let span = u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0);
        line("Time", format!("{} to {} ({})", timestamp(from), timestamp(to), duration(span)));
    }
    let unsealed = if sums.unsealed > 0 { format!(", {} not sealed", sums.unsealed) } else { String::new() };
    line("Segments", format!("{}{unsealed}, {} blocks", grouped(sums.segments), grouped(sums.blocks)));
    line(
        "Size",
        format!("{} on disk, {} of records: {:.2} to 1", bytes(sums.file_bytes), bytes(sums.raw_bytes), sums.ratio()),
    );
    line("Records", format!("{} ({:.1} bytes each on disk)", grouped(sums.records), sums.bytes_per_event()));
    for (kind, count) in &sums.by_kind {
        let name = Kind(*kind).name().map_or_else(|| format!("kind {kind}"), str::to_owned);
        line("", format!("{name:<16} {:>12}", grouped(*count)));
    }
    let gaps = completeness::gaps(capture, false).into_iter().map(|gap| redact::sentence(gap, redacted));
    let (lost, dropped) = capture.missing();
    line("Lost", format!("{} lost, {} dropped", grouped(lost), grouped(dropped)));
    gaps.for_each(|gap| line("", paint.bad(&gap)));
    for (index, probe) in probes(capture, redacted).iter().enumerate() {
        let error = probe.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        let message = if probe.message.is_empty() { String::new() } else { format!(" ({})", probe.message) };
        let text = format!("{:<16} {:<9} {} [{}]{error}{message}", probe.probe, probe.state, probe.target, probe.tier);
        line(if index == 0 { "Probes" } else { "" }, text);
    }
    if let Some(s) = &capture.self_stats {
        let cpu = duration(s.cpu_user_ns.saturating_add(s.cpu_system_ns));
        let memory = bytes(s.rss_peak_bytes);
        line("Cost", format!("{cpu} CPU, {memory} memory at most, {} written", bytes(s.written_bytes)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What footers tell was added up as it was: two of them with the largest number of records there is were too much.
    #[test]
    fn sums_over_what_footers_tell_do_not_overflow() {
        let most = Sums {
            records: u64::MAX,
            raw_bytes: u64::MAX,
            file_bytes: u64::MAX,
            by_kind: [(5, u64::MAX)].into(),
            ..Sums::default()
        };
        let mut total = most.clone();
        total.add(&most);
        assert_eq!((total.records, total.raw_bytes, total.by_kind[&5]), (u64::MAX, u64::MAX, u64::MAX));
    }
}
