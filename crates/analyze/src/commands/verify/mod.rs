//! `verify`: every byte, block and record of every input.

mod args;

pub(crate) use args::{Args, Task};

use crate::cli::console::{Console, Output};
use crate::cli::exit::Outcome;
use crate::cli::progress;
use crate::read::check_body;
use crate::read::faults::{FaultLog, Problem};
use crate::read::input::{self, Choice, Inputs};
use crate::report::document;
use crate::words::escape;
use crate::words::text::grouped;
use anyhow::{Result, bail};
use crypto_trace_format::record::Records;
use crypto_trace_format::segment::{BlockBuffer, BlockEntry, BlockType};
use rayon::prelude::*;
use serde::Serialize;
use std::io::Write;

/// What is wrong in one place.
#[derive(Debug, Serialize)]
struct FaultRow {
    at_bytes: Option<u64>,
    damage: bool,
    records_lost: u64,
    message: String,
}

/// What was found in one segment.
#[derive(Debug, Serialize)]
struct SegmentReport {
    path: String,
    sealed: bool,
    damaged: bool,
    bytes: u64,
    blocks: u64,
    records: u64,
    faults: Vec<FaultRow>,
}

/// Version of the document: a member that is added does not change it, one that goes or means something else does.
const SCHEMA_VERSION: u32 = 1;

#[derive(Debug, Serialize)]
struct Report {
    schema_version: u32,
    damaged: bool,
    segments: Vec<SegmentReport>,
    /// Faults beyond those that are listed.
    more_faults: u64,
}

pub(super) fn run(task: &Task, console: Console) -> Result<Outcome> {
    let inputs = input::open(&task.paths, Choice { recursive: task.recursive, hosts: &task.hosts })?;
    inputs.notes.iter().for_each(|note| console.note(note));
    // What cannot be read is not checked.
    if let Some(segment) = inputs.unread.first() {
        bail!("{segment}");
    }
    let mut faults = FaultLog::default();
    let counts = check(&inputs, &mut faults);
    let report = report(&inputs, &faults, &counts);
    let mut out = Output::open(None)?;
    let text = if task.json { document::pretty(&report)? + "\n" } else { text(&report) };
    out.write_all(text.as_bytes())?;
    Ok(if report.damaged { Outcome::Damaged } else { Outcome::Done })
}

/// Reads everything. Returns blocks and records that are well, by segment.
fn check(inputs: &Inputs, faults: &mut FaultLog) -> Vec<(u64, u64)> {
    let mut counts = Vec::new();
    progress::begin(inputs.segments.iter().map(|segment| segment.reader.blocks().len()).sum());
    for (number, segment) in (0u32..).zip(&inputs.segments) {
        for fault in segment.reader.faults() {
            faults.add(number, Problem::Segment(fault.clone()));
        }
        let checked: Vec<(Vec<Problem>, u64, bool)> = segment
            .reader
            .blocks()
            .par_iter()
            .enumerate()
            .inspect(|_| progress::advance())
            .map_init(BlockBuffer::default, |buffer, (index, block)| match segment.reader.read_block(index, buffer) {
                Ok(()) => {
                    let (problems, records) = check_block(block, buffer.raw());
                    (problems, records, true)
                }
                Err(fault) => (vec![Problem::Segment(fault)], 0, false),
            })
            .collect();
        let mut count = (0, 0);
        for (problems, records, readable) in checked {
            count.0 += u64::from(readable);
            count.1 += records;
            problems.into_iter().for_each(|problem| faults.add(number, problem));
        }
        counts.push(count);
    }
    progress::end();
    counts
}

/// Checks the records of a block, and its header against them.
fn check_block(block: &BlockEntry, raw: &[u8]) -> (Vec<Problem>, u64) {
    let header = &block.header;
    let mut problems = Vec::new();
    let (mut found, mut outside) = (0u64, 0u64);
    let mut denied = std::collections::BTreeSet::new();
    let mut whole = true;
    for record in Records::new(raw) {
        let number = header.first_record.saturating_add(found);
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let rest_lost = u64::from(header.record_count).saturating_sub(found + 1);
                problems.push(Problem::Record { block: header.sequence, record: number, error, rest_lost });
                whole = false;
                break;
            }
        };
        found += 1;
        if let Err(error) = check_body(&record) {
            problems.push(Problem::Body { record: number, error });
        }
        outside += u64::from(!(header.min_time_ns..=header.max_time_ns).contains(&record.header.time_ns));
        if header.kinds & record.kind().bit() == 0 {
            denied.insert("kind of record");
        }
        if !header.tgids.may_contain(record.header.tgid) {
            denied.insert("process");
        }
        if record.kind().is_lifecycle() != (header.block_type == BlockType::Lifecycle) {
            denied.insert("sort of record");
        }
    }
    let block = header.sequence;
    problems.extend(denied.into_iter().map(|what| Problem::HeaderDenies { block, what }));
    if outside > 0 {
        problems.push(Problem::TimeOutside { block, records: outside });
    }
    if whole && found != u64::from(header.record_count) {
        problems.push(Problem::RecordCount { block, expected: u64::from(header.record_count), found });
    }
    (problems, found)
}

fn report(inputs: &Inputs, faults: &FaultLog, counts: &[(u64, u64)]) -> Report {
    let segments = (0u32..).zip(&inputs.segments).zip(counts).map(|((number, segment), (blocks, records))| {
        let rows: Vec<FaultRow> = faults
            .of_segment(number)
            .map(|problem| FaultRow {
                at_bytes: problem.at_bytes(),
                damage: problem.is_damage(),
                records_lost: problem.records_lost(),
                message: problem.to_string(),
            })
            .collect();
        SegmentReport {
            path: segment.reader.path().display().to_string(),
            sealed: segment.reader.is_sealed(),
            damaged: rows.iter().any(|row| row.damage),
            bytes: segment.reader.len_bytes(),
            blocks: *blocks,
            records: *records,
            faults: rows,
        }
    });
    Report {
        schema_version: SCHEMA_VERSION,
        damaged: faults.any_damage(),
        segments: segments.collect(),
        more_faults: faults.beyond(),
    }
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    for segment in &report.segments {
        let state = match (segment.damaged, segment.sealed) {
            (true, _) => "DAMAGED",
            (false, true) => "ok",
            (false, false) => "ok, not sealed",
        };
        let path = escape::for_people(segment.path.as_bytes());
        let (blocks, records) = (grouped(segment.blocks), grouped(segment.records));
        out.push_str(&format!(
            "{path}: {state}: {blocks} blocks, {records} records, {} bytes\n",
            grouped(segment.bytes)
        ));
        for fault in &segment.faults {
            let sort = if fault.damage { "fault" } else { "note" };
            out.push_str(&format!("  {sort}: {}\n", escape::for_people(fault.message.as_bytes())));
        }
    }
    if report.more_faults > 0 {
        out.push_str(&format!("and {} more faults\n", grouped(report.more_faults)));
    }
    out
}
