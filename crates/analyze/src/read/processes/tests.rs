//! A narrow question has the answer that reading everything has, of every process and of any time of the recordings in
//! `testdata`.

use super::*;
use crate::capture::clock::WallNs;
use crate::event::RenderOptions;
use crate::format::JsonStream;
use crate::read::input::{Choice, open};
use crate::read::{Fold, OrderedOutput, Plan, TextSink, Wanted, read_captures, read_handshakes};
use crate::select::time::TimeSpec;
use crypto_trace_format::record::Kind;
use crypto_trace_format::segment::{BlockBuilder, SegmentReader, SegmentWriter};
use std::path::{Path, PathBuf};

/// Records in a block: few, so that many blocks can be left out.
const RECORDS: u32 = 12;

/// A recording in blocks of few records.
fn in_small_blocks(from: &Path, to: &Path) {
    let mut out = Vec::new();
    for reader in SegmentReader::open_all(from).expect("a recording") {
        let mut writer = SegmentWriter::create(Vec::new(), reader.meta(), 1).expect("metadata as it was");
        let mut buffer = crypto_trace_format::segment::BlockBuffer::default();
        for (index, entry) in reader.blocks().iter().enumerate() {
            reader.read_block(index, &mut buffer).expect("an undamaged recording");
            let mut block = BlockBuilder::new(entry.header.block_type, 4_096);
            for record in buffer.records().flatten() {
                block.push(&record.header, record.bytes());
                if block.record_count() == RECORDS {
                    writer.write_block(&block, 0, 0, false).expect("memory");
                    block.clear();
                }
            }
            writer
                .write_block(&block, entry.header.lost, entry.header.dropped, entry.header.flush_end)
                .expect("memory");
        }
        out.extend(writer.finish().expect("memory").0);
    }
    std::fs::write(to, out).expect("a temporary file");
}

/// What is shown: of a run that reads everything, or of one that reads what it needs. Whether that left anything out, too.
fn shown(inputs: &Inputs, filter: &Filter, is_narrow: bool) -> (String, bool) {
    let mut faults = FaultLog::default();
    let mut captures = if is_narrow { read_facts(inputs, &mut faults) } else { read_captures(inputs, &mut faults) };
    let some = is_narrow && read_narrow_near(inputs, &mut captures, filter, &mut faults, 0);
    if !is_narrow {
        read_handshakes(inputs, &mut captures, Wanted::All);
    }
    let mut lines = Vec::new();
    let sink = TextSink::new(&JsonStream, RenderOptions { redact: false }, &mut lines).expect("memory");
    let mut output = OrderedOutput::new(sink);
    output.read(&Plan::new(inputs, &captures, filter), &mut faults).expect("memory");
    output.into_sink().finish().expect("memory");
    assert!(!faults.any_damage());
    (String::from_utf8(lines).expect("JSON"), some)
}

fn recordings() -> Vec<PathBuf> {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    let named = std::fs::read_dir(testdata).expect("testdata").flatten();
    named.map(|entry| entry.path().join("capture.ctseg")).filter(|path| path.exists()).collect()
}

#[test]
fn a_narrow_question_has_the_answer_that_reading_everything_has() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (mut narrow, mut asked) = (0, 0);
    for recording in recordings() {
        let small = directory.path().join("small.ctseg");
        in_small_blocks(&recording, &small);
        let inputs = open(std::slice::from_ref(&small), Choice::default()).expect("what was just written");
        let all_kinds: Vec<Kind> = crate::event::EVENT_TYPES.iter().map(|ty| ty.kind).collect();
        for kinds in [Vec::new(), all_kinds] {
            let everything = Filter { kinds: kinds.clone(), ..Filter::default() };
            let (whole, _) = shown(&inputs, &everything, false);
            let events: Vec<serde_json::Value> =
                whole.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            let pids: HashSet<u64> = events.iter().filter_map(|event| event["pid"].as_u64()).collect();
            for pid in pids {
                let filter = Filter { pids: vec![u32::try_from(pid).expect("a pid")], ..everything.clone() };
                let (answer, some) = shown(&inputs, &filter, true);
                let of_pid = |event: &serde_json::Value| {
                    event["pid"] == pid || is_about_capture(event["event_type"].as_str().unwrap_or_default())
                };
                let expected: Vec<&str> =
                    whole.lines().zip(&events).filter(|(_, event)| of_pid(event)).map(|(line, _)| line).collect();
                assert_same(&answer, &expected, &format!("{} --pid {pid}", recording.display()));
                (narrow, asked) = (narrow + usize::from(some), asked + 1);
            }
            for part in 0..10 {
                let filter = tenth(&inputs, &everything, part);
                let (answer, some) = shown(&inputs, &filter, true);
                let (expected, _) = shown(&inputs, &filter, false);
                let expected: Vec<&str> = expected.lines().collect();
                assert_same(&answer, &expected, &format!("{}, tenth {part}", recording.display()));
                (narrow, asked) = (narrow + usize::from(some), asked + 1);
            }
        }
    }
    assert!(narrow * 4 > asked, "only {narrow} of {asked} questions left anything out: the test would test nothing");
}

fn assert_same(answer: &str, expected: &[&str], what: &str) {
    for (line, expected) in answer.lines().zip(expected) {
        assert_eq!(line, *expected, "{what}");
    }
    assert_eq!(answer.lines().count(), expected.len(), "{what}");
}

/// One tenth of the time.
fn tenth(inputs: &Inputs, filter: &Filter, part: i64) -> Filter {
    let captures = read_captures(inputs, &mut FaultLog::default());
    let (from, to) = time_range(inputs, &captures).expect("records");
    let at = |part: i64| Some(TimeSpec::At(WallNs(from.0 + (to.0 - from.0) / 10 * part)));
    Filter { since: at(part), until: at(part + 1), ..filter.clone() }
}

fn is_about_capture(event_type: &str) -> bool {
    let ty = crate::event::EVENT_TYPES.iter().find(|ty| ty.name == event_type).expect("a type");
    ty.kind.is_about_capture()
}
