//! Whatever bytes a record holds, its event is one line of valid JSON, or an error.

use super::*;
use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crate::event::{Choice, EVENT_TYPES, RenderOptions};
use crypto_trace_format::record::{KINDS, Record, TlsHello};
use crypto_trace_format::segment::SegmentMeta;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

/// A record of a known kind with any body: string lengths are mostly small, so that bodies often decode.
fn any_record() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop::sample::select(KINDS.iter().map(|layout| (layout.kind, layout.fixed_len)).collect::<Vec<_>>());
    let byte = prop_oneof![4 => Just(0u8), 2 => 0u8..16, 1 => any::<u8>()];
    let fixed = prop::collection::vec(byte, 200);
    let strings = prop::collection::vec(prop_oneof![any::<u8>(), Just(b'/'), Just(b'\\'), Just(0)], 0..80);
    (kind, any::<[u8; 64]>(), fixed, strings).prop_map(|((kind, fixed_len), header, mut fixed, strings)| {
        fixed.truncate(fixed_len);
        let mut record = [&header[..], &fixed, &strings].concat();
        record.resize(record.len().next_multiple_of(8), b'x');
        let len = u32::try_from(record.len()).expect("short");
        record[..4].copy_from_slice(&len.to_le_bytes());
        record[4..6].copy_from_slice(&kind.to_le_bytes());
        record[6..8].copy_from_slice(&u16::try_from(fixed_len).expect("short").to_le_bytes());
        record
    })
}

fn render(capture: &Capture, writer: &mut EventWriter, bytes: &[u8], format: &dyn EventFormat) -> Option<Vec<u8>> {
    let record = Record::parse(bytes).ok()?;
    let time = WallNs(i64::from_le_bytes(record.header.time_ns.to_le_bytes()));
    let image = capture.timeline.image(&record.header);
    let connection = capture.handshakes.shown_at(0, record.header.time_ns);
    let event = Event { capture, capture_index: 0, record, time, image, connection };
    let mut out = Vec::new();
    match format.write(writer, &event, &mut out) {
        Ok(()) => Some(out),
        Err(_) => {
            assert!(out.is_empty(), "an event that failed left something behind");
            None
        }
    }
}

/// How many cells the one row has that a table's bytes are.
fn columns_of(row: &[u8]) -> usize {
    let mut reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(row);
    let rows: Vec<_> = reader.records().map(|row| row.expect("RFC 4180")).collect();
    assert_eq!(rows.len(), 1);
    rows.iter().map(::csv::StringRecord::len).sum()
}

proptest! {
    #[test]
    fn any_record_is_valid_json(records in prop::collection::vec(any_record(), 1..8)) {
        let mut capture = Capture::new(SegmentMeta { host: "h\n".to_owned(), ..SegmentMeta::default() });
        for record in records.iter().filter_map(|record| Record::parse(record).ok()) {
            let _ = capture.apply(&record);
            if record.kind() == TlsHello::KIND
                && let Ok(hello) = TlsHello::decode(&record)
            {
                // The time stands for the number of the record.
                capture.handshakes.add(&record.header, &hello, 0, record.header.time_ns);
            }
        }
        capture.handshakes.finish();
        let kinds: Vec<_> = EVENT_TYPES.iter().map(|ty| ty.kind).collect();
        let without = ["pid", "process", "offered.groups", "certificates.sha256"].map(str::to_owned);
        let choice = Choice::new(&[], &without, &kinds).expect("members that there are");
        let (chosen, table) = (Chosen { format: &JsonStream, choice: &choice }, Csv::new(&choice));
        let columns = columns_of(&table.begin());
        for redact in [true, false] {
            let mut writer = EventWriter::new(RenderOptions { redact });
            for bytes in &records {
                let Some(line) = render(&capture, &mut writer, bytes, &JsonStream) else { continue };
                let text = std::str::from_utf8(&line).expect("JSON is UTF-8");
                prop_assert!(text.ends_with("}\n") && !text.trim_end().contains(|c: char| c.is_control()), "{text}");
                let value: serde_json::Value = serde_json::from_str(text).expect("valid JSON");
                let pretty = render(&capture, &mut writer, bytes, &JsonPretty).expect("as before");
                prop_assert_eq!(&serde_json::from_slice::<serde_json::Value>(&pretty).expect("valid JSON"), &value);
                // Written line by line it is what the compact object is when it is indented.
                let mut indented = Vec::new();
                JsonPretty.frame(line.trim_ascii_end(), &mut indented);
                prop_assert_eq!(String::from_utf8(pretty), String::from_utf8(indented));
                let chosen = render(&capture, &mut writer, bytes, &chosen).expect("as before");
                let left: serde_json::Value = serde_json::from_slice(&chosen).expect("valid JSON");
                let left = left.as_object().expect("an object");
                for (name, part) in left {
                    let whole = &value[name];
                    prop_assert!(name == "escaped" || name == "offered" || name == "certificates" || part == whole, "{name}");
                }
                prop_assert!(!left.contains_key("pid") && !left.contains_key("process"));
                let row = render(&capture, &mut writer, bytes, &table).expect("as before");
                let text = std::str::from_utf8(&row).expect("UTF-8");
                prop_assert!(text.ends_with('\n') && !text.trim_end_matches('\n').contains(|c: char| c.is_control()), "{text}");
                prop_assert_eq!(columns_of(&row), columns);
                // What a writer has rendered before must not change what it renders.
                let fresh = render(&capture, &mut EventWriter::new(RenderOptions { redact }), bytes, &JsonStream);
                prop_assert_eq!(fresh, Some(line));
            }
        }
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut capture = Capture::new(SegmentMeta::default());
        for record in crypto_trace_format::record::Records::new(&bytes).flatten() {
            let _ = capture.apply(&record);
            if record.kind() == TlsHello::KIND
                && let Ok(hello) = TlsHello::decode(&record)
            {
                // The time stands for the number of the record.
                capture.handshakes.add(&record.header, &hello, 0, record.header.time_ns);
            }
        }
        capture.handshakes.finish();
        render(&capture, &mut EventWriter::new(RenderOptions { redact: true }), &bytes, &JsonStream);
    }
}

#[test]
fn the_generated_records_are_mostly_rendered() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let capture = Capture::new(SegmentMeta::default());
    let mut writer = EventWriter::new(RenderOptions { redact: true });
    let rendered = (0..200).filter(|_| {
        let record = any_record().new_tree(&mut runner).expect("a record").current();
        render(&capture, &mut writer, &record, &JsonStream).is_some()
    });
    assert!(rendered.count() > 50, "the property test would test nothing");
}
