//! What is written is what is read.

use crate::util::*;
use crypto_trace_format::record::Kind;
use crypto_trace_format::segment::*;
use proptest::prelude::*;

#[test]
fn a_sealed_file_reads_back_whole() {
    let blocks = small_blocks();
    let bytes = write_segment(&meta(), &blocks, true);
    let file = temp_file("a.ctseg", &bytes);
    let reader = SegmentReader::open(&file.path).unwrap();
    assert!(reader.is_sealed() && !reader.meta_is_placeholder());
    assert_eq!(reader.meta(), &meta());
    assert_eq!(reader.faults(), &[]);
    assert_eq!(reader.len_bytes(), bytes.len() as u64);
    let totals = reader.totals().unwrap();
    assert_eq!((totals.blocks, totals.records, totals.file_bytes), (4, 8, bytes.len() as u64));
    assert_eq!(totals.by_kind, vec![(3, 2), (4, 6)]);
    assert_eq!(totals.raw_bytes, flatten(&blocks).concat().len() as u64);
    assert_eq!(read_file(&file.path).unwrap().records, flatten(&blocks));
}

#[test]
fn a_block_header_tells_what_is_in_the_block() {
    let mut out = Vec::new();
    let mut writer = SegmentWriter::create(&mut out, &meta(), 1).unwrap();
    writer.write_block(&block(BlockType::Lifecycle, &[exit_record(10, 1)]), 0, 0, false).unwrap();
    let records =
        [open_record(33, 8, b"/b"), open_record(22, 7, b"/a"), raw_record(63, 30, 7, b""), raw_record(900, 30, 9, b"")];
    writer.write_block(&block(BlockType::Events, &records), 5, 6, true).unwrap();
    let (_, totals) = writer.finish().unwrap();
    assert_eq!(totals.by_kind, vec![(3, 1), (4, 2), (63, 1), (900, 1)]);
    let file = temp_file("a.ctseg", &out);
    let reader = SegmentReader::open(&file.path).unwrap();
    let header = &reader.blocks()[1].header;
    assert_eq!(
        (header.block_type, header.sequence, header.first_record, header.record_count),
        (BlockType::Events, 1, 1, 4)
    );
    assert_eq!((header.min_time_ns, header.max_time_ns), (22, 33));
    assert_eq!((header.lost, header.dropped, header.flush_end), (5, 6, true));
    assert_eq!(header.kinds, Kind(4).bit() | 1 << 63);
    assert_eq!(header.tgids, TgidSummary::Exact(vec![7, 8, 9]));
    assert_eq!(header.raw_len as usize, records.concat().len());
}

#[test]
fn an_unsealed_file_reads_back_whole_without_a_fault() {
    let blocks = small_blocks();
    let file = temp_file("a.ctseg.open", &write_segment(&meta(), &blocks, false));
    let reader = SegmentReader::open(&file.path).unwrap();
    assert!(!reader.is_sealed() && reader.totals().is_none());
    let outcome = read_file(&file.path).unwrap();
    assert_eq!((outcome.records, outcome.faults, outcome.metas), (flatten(&blocks), vec![], vec![meta()]));
}

#[test]
fn an_empty_block_and_an_empty_segment_read_back() {
    for blocks in [vec![], vec![(BlockType::Events, vec![])]] {
        for (name, seal) in [("a.ctseg", true), ("a.ctseg.open", false)] {
            let file = temp_file(name, &write_segment(&meta(), &blocks, seal));
            let outcome = read_file(&file.path).unwrap();
            assert_eq!((outcome.records, outcome.faults, outcome.metas), (vec![], vec![], vec![meta()]));
        }
    }
}

#[test]
fn many_threads_read_one_reader() {
    let blocks: Vec<_> = (0..50)
        .map(|i| (BlockType::Events, (0..40).map(|j| open_record(i * 100 + j, 7, b"/x.pem")).collect()))
        .collect();
    let file = temp_file("a.ctseg", &write_segment(&meta(), &blocks, true));
    let reader = &SegmentReader::open(&file.path).unwrap();
    std::thread::scope(|scope| {
        for start in 0..4 {
            let blocks = &blocks;
            scope.spawn(move || {
                let mut buffer = BlockBuffer::default();
                for index in (start..50).step_by(4) {
                    reader.read_block(index, &mut buffer).unwrap();
                    assert_eq!(buffer.raw(), blocks[index].1.concat());
                }
            });
        }
    });
}

#[test]
fn a_buffer_is_reused_without_growing() {
    let large: Vec<_> = (0..2000).map(|i| open_record(i, 7, b"/etc/ssl/certs/ca.crt")).collect();
    let file = temp_file(
        "a.ctseg",
        &write_segment(&meta(), &[(BlockType::Events, large), (BlockType::Events, vec![exit_record(1, 1)])], true),
    );
    let reader = SegmentReader::open(&file.path).unwrap();
    let mut buffer = BlockBuffer::default();
    reader.read_block(0, &mut buffer).unwrap();
    let place = buffer.raw().as_ptr();
    for index in [1, 0, 1, 0] {
        reader.read_block(index, &mut buffer).unwrap();
        assert_eq!(buffer.raw().as_ptr(), place);
    }
}

fn record_strategy() -> impl Strategy<Value = Vec<u8>> {
    (0u16..70, any::<u64>(), any::<u32>(), proptest::collection::vec(any::<u8>(), 0..300))
        .prop_map(|(kind, time_ns, tgid, body)| raw_record(kind, time_ns, tgid, &body))
}

fn blocks_strategy() -> impl Strategy<Value = Vec<(BlockType, Vec<Vec<u8>>)>> {
    let block_type = prop_oneof![Just(BlockType::Lifecycle), Just(BlockType::Events)];
    let block = (block_type, proptest::collection::vec(record_strategy(), 0..120));
    proptest::collection::vec(block, 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_records_read_back_from_file_open_file_and_pipe(blocks in blocks_strategy(), level in -5..6i32) {
        let mut bytes = Vec::new();
        let mut writer = SegmentWriter::create(&mut bytes, &meta(), level).unwrap();
        for (block_type, records) in &blocks {
            writer.write_block(&block(*block_type, records), 1, 2, false).unwrap();
        }
        let (_, totals) = writer.finish().unwrap();
        prop_assert_eq!(totals.records as usize, flatten(&blocks).len());
        let expected = Outcome { metas: vec![meta()], records: flatten(&blocks), faults: vec![] };
        let sealed = temp_file("a.ctseg", &bytes);
        prop_assert_eq!(&read_file(&sealed.path).unwrap(), &expected);
        let open = temp_file("a.ctseg.open", &write_segment(&meta(), &blocks, false));
        prop_assert_eq!(&read_file(&open.path).unwrap(), &expected);
        prop_assert_eq!(&read_stream(&bytes[..]).unwrap(), &expected);

        // No filter on a header may hide a record of its block.
        let reader = SegmentReader::open(&sealed.path).unwrap();
        let mut buffer = BlockBuffer::default();
        for (index, entry) in reader.blocks().iter().enumerate() {
            reader.read_block(index, &mut buffer).unwrap();
            for record in buffer.records() {
                let record = record.unwrap().header;
                prop_assert!(entry.header.tgids.may_contain(record.tgid));
                prop_assert!(entry.header.kinds & Kind(record.kind).bit() != 0);
                prop_assert!((entry.header.min_time_ns..=entry.header.max_time_ns).contains(&record.time_ns));
            }
        }
    }
}

#[test]
fn a_segment_with_too_many_blocks_for_an_index_is_sealed_without_one() {
    let mut bytes = Vec::new();
    let mut writer = SegmentWriter::create(&mut bytes, &meta(), 1).unwrap();
    // 65 processes, so that the tgid summary is a filter and the index grows fast.
    let records: Vec<_> = (0..65).map(|tgid| exit_record(1, tgid)).collect();
    let full = block(BlockType::Lifecycle, &records);
    let blocks = 28_000;
    (0..blocks).for_each(|_| writer.write_block(&full, 0, 0, false).unwrap());
    let (_, totals) = writer.finish().unwrap();
    let file = temp_file("a.ctseg", &bytes);
    let reader = SegmentReader::open(&file.path).unwrap();
    assert!(reader.is_sealed());
    assert_eq!((reader.faults(), reader.totals(), reader.blocks().len()), (&[][..], Some(&totals), blocks));
    assert_eq!(reader.meta(), &meta());
    let footer = u64::from_le_bytes(bytes[bytes.len() - 16..bytes.len() - 8].try_into().unwrap());
    assert!(footer < 1000, "the footer has an index after all: {footer} bytes");
    let mut buffer = BlockBuffer::default();
    reader.read_block(blocks - 1, &mut buffer).unwrap();
    assert_eq!(buffer.raw(), records.concat());
}
