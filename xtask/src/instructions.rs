//! Instructions of the hot loops per record, against their budgets in `tests/instructions.toml`.
//!
//! Counted under valgrind's callgrind, so that a busy machine counts what an idle one does. Each loop runs over two segments,
//! one with twice the records of the other: the difference is what a record costs, without what starting costs.

use crate::{build, output, run as execute};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const BUDGETS: &str = "tests/instructions.toml";
/// Records of the shorter segment.
const RECORDS: u64 = 20_000;

/// The budgets, in instructions per record, by the name of the loop.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Budgets {
    tolerance_percent: u64,
    per_record: BTreeMap<String, u64>,
}

/// What is counted: a loop's name, its program and arguments, and what reads the segment without doing the work, if that
/// is to be taken off. A segment's path follows the arguments.
struct Loop {
    name: String,
    command: Vec<String>,
    without: Option<Vec<String>>,
    /// It reads records that were decompressed before.
    raw: bool,
}

/// Counts, prints, and compares; or, with `update`, writes the counts as budgets.
///
/// # Errors
/// A loop is over its budget by more than the tolerance, has none, or cannot be counted.
pub fn run(update: bool) -> Result<()> {
    // Static programs, because tests/kernels/matrix builds the same ones.
    let programs = build::build_static(&["busy_host", "hot_loops"])?;
    let place = tempfile::tempdir()?;
    let segments = [segment(&programs, place.path(), RECORDS)?, segment(&programs, place.path(), 2 * RECORDS)?];
    let mut counted = Vec::new();
    for each in loops(&programs) {
        let [once, twice] = [&segments[0], &segments[1]].map(|segment| count(place.path(), &each, segment));
        let per_record = (twice?.saturating_sub(once?) + RECORDS / 2) / RECORDS;
        println!("{}: {per_record} instructions per record", each.name);
        counted.push((each.name, per_record));
    }
    if update { write(&counted) } else { compare(&counted) }
}

/// Paths of a segment of that many records: as it is, and decompressed.
fn segment(programs: &Path, place: &Path, records: u64) -> Result<[PathBuf; 2]> {
    let (segment, raw) = (place.join(format!("{records}.ctseg")), place.join(format!("{records}.raw")));
    execute(Command::new(programs.join("examples/busy_host")).arg(&segment).arg(records.to_string()))?;
    fs::write(&raw, output(Command::new("zstd").arg("-dcq").arg(&segment))?)?;
    Ok([segment, raw])
}

fn loops(programs: &Path) -> Vec<Loop> {
    let words = |program: &str, arguments: &[&str]| {
        let program = programs.join(program).display().to_string();
        std::iter::once(program).chain(arguments.iter().map(|&word| word.to_owned())).collect::<Vec<_>>()
    };
    let of_capture = |name: &str, step: &str| Loop {
        name: name.to_owned(),
        command: words("examples/hot_loops", &[step]),
        // What reading the file costs this program is no part of the loop.
        without: Some(words("examples/hot_loops", &["none"])),
        raw: true,
    };
    let of_analyzer = |name: String, arguments: &[&str]| Loop {
        name,
        command: words("crypto-trace-analyze", &[&["events", "-q", "--threads", "1"], arguments].concat()),
        without: None,
        raw: false,
    };
    let mut loops = vec![
        of_capture("drain", "drain"),
        of_capture("drain, compress, write", "write"),
        of_analyzer("decode, filter".to_owned(), &["-F", "*.nothing"]),
    ];
    for format in ["json-stream", "json-array", "json-pretty", "summary"] {
        loops.push(of_analyzer(format!("decode, filter, render {format}"), &["-f", format]));
    }
    loops
}

/// Instructions of a loop over a segment.
fn count(place: &Path, each: &Loop, [segment, raw]: &[PathBuf; 2]) -> Result<u64> {
    let input = if each.raw { raw } else { segment };
    let all = callgrind(place, &each.command, input)?;
    let without = each.without.as_ref().map(|command| callgrind(place, command, input)).transpose()?;
    Ok(all.saturating_sub(without.unwrap_or(0)))
}

fn callgrind(place: &Path, command: &[String], input: &Path) -> Result<u64> {
    let out = place.join("callgrind.out");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind"]).arg(format!("--callgrind-out-file={}", out.display()));
    execute(valgrind.args(command).arg(input).stdout(Stdio::null()))?;
    let text = fs::read_to_string(&out).with_context(|| out.display().to_string())?;
    fs::remove_file(&out)?;
    let total = text.lines().find_map(|line| line.strip_prefix("summary: ").or_else(|| line.strip_prefix("totals: ")));
    total.and_then(|count| count.trim().parse().ok()).context("callgrind's output has no total")
}

fn write(counted: &[(String, u64)]) -> Result<()> {
    let mut text =
        "# Instructions per record of the hot loops on x86-64. `cargo xtask instructions --update` writes this file.\n\
        # A commit that makes one of them larger gives the reason.\n\n\
        tolerance_percent = 4\n\n[per_record]\n"
            .to_owned();
    for (name, count) in counted {
        writeln!(text, "\"{name}\" = {count}")?;
    }
    fs::write(BUDGETS, text).context(BUDGETS)
}

fn compare(counted: &[(String, u64)]) -> Result<()> {
    let budgets: Budgets = toml::from_str(&fs::read_to_string(BUDGETS).context(BUDGETS)?).context(BUDGETS)?;
    let mut faults = Vec::new();
    for (name, count) in counted {
        let Some(&budget) = budgets.per_record.get(name) else {
            faults.push(format!("{name}: no budget"));
            continue;
        };
        if count * 100 > budget * (100 + budgets.tolerance_percent) {
            faults.push(format!("{name}: {count}, budget {budget}"));
        } else if count * 100 < budget * (100 - budgets.tolerance_percent) {
            println!("{name} is below its budget of {budget}; cargo xtask instructions --update keeps it so");
        }
    }
    faults.extend(
        budgets
            .per_record
            .keys()
            .filter(|name| counted.iter().all(|(known, _)| known != *name))
            .map(|name| format!("{name}: no such loop")),
    );
    if !faults.is_empty() {
        bail!("over budget, or without one:\n  {}", faults.join("\n  "));
    }
    Ok(())
}
