//! Bytes made to hurt: random, mutated with their checksums put right, absurd lengths, bombs.

use crate::util::*;
use crypto_trace_format::segment::*;
use proptest::prelude::*;

// Offsets in frames, as docs/format.md tells them.
const MAJOR: usize = 16;
const INCOMPAT: usize = 20;
const BLOCK_TYPE: usize = 16;
const RECORD_COUNT: usize = 20;
const RAW_LEN: usize = 88;
const COMPRESSED_LEN: usize = 92;
const PAYLOAD_CRC: usize = 96;

/// Sets bytes of a frame and puts its checksum right.
fn patch(bytes: &mut [u8], frame: usize, offset: usize, value: &[u8]) {
    bytes[frame + offset..frame + offset + value.len()].copy_from_slice(value);
    let len = u32::from_le_bytes(bytes[frame + 4..frame + 8].try_into().unwrap()) as usize + 8;
    let crc = crc32c::crc32c(&bytes[frame..frame + len - 4]);
    bytes[frame + len - 4..frame + len].copy_from_slice(&crc.to_le_bytes());
}

/// The small segment, unsealed, and where its blocks are.
fn unsealed() -> (Vec<u8>, Vec<BlockEntry>) {
    let bytes = write_segment(&meta(), &small_blocks(), false);
    let file = temp_file("a.ctseg.open", &bytes);
    let blocks = SegmentReader::open(&file.path).unwrap().blocks().to_vec();
    (bytes, blocks)
}

/// Replaces the payload of block `index`, with lengths and checksums to match.
fn replace_payload(index: usize, payload: &[u8], raw_len: u32, records: u32) -> Vec<u8> {
    let (mut bytes, blocks) = unsealed();
    let (frame, start) = (blocks[index].offset as usize, blocks[index].payload_offset as usize);
    let end = start + blocks[index].header.compressed_len as usize;
    bytes.splice(start..end, payload.iter().copied());
    for (offset, value) in [
        (RAW_LEN, raw_len),
        (COMPRESSED_LEN, payload.len() as u32),
        (PAYLOAD_CRC, crc32c::crc32c(payload)),
        (RECORD_COUNT, records),
    ] {
        patch(&mut bytes, frame, offset, &value.to_le_bytes());
    }
    bytes
}

fn read_both(bytes: &[u8]) -> [Outcome; 2] {
    let mut stream = read_stream(bytes).unwrap();
    assert!(matches!(stream.faults.pop(), Some(Fault::Unsealed { .. })), "none of these has a footer");
    [read_file(&temp_file("a.ctseg.open", bytes).path).unwrap(), stream]
}

fn compress(raw: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(raw, 1).unwrap()
}

#[test]
fn payloads_that_are_not_what_the_header_says_are_faults() {
    let records = small_blocks()[3].1.concat();
    let len = records.len() as u32;
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0][..], &[0; 4]].concat();
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_contentsize(false).unwrap();
    std::io::Write::write_all(&mut encoder, &records).unwrap();
    let without_size = encoder.finish().unwrap();
    let bomb = compress(&vec![0; 1 << 28]);
    for (what, payload, error) in [
        ("empty", vec![], PayloadError::NotOneFrame),
        ("not zstd", b"hello, this is no zstd frame".to_vec(), PayloadError::NotOneFrame),
        ("two frames", [compress(&records), compress(b"x")].concat(), PayloadError::NotOneFrame),
        ("a skippable frame first", [skippable.clone(), compress(&records)].concat(), PayloadError::NotOneFrame),
        ("a skippable frame last", [compress(&records), skippable].concat(), PayloadError::NotOneFrame),
        ("bytes after the frame", [compress(&records), vec![0]].concat(), PayloadError::NotOneFrame),
        ("no content size", without_size, PayloadError::NotOneFrame),
        ("a bomb", bomb, PayloadError::WrongLength),
        ("shorter", compress(&records[..records.len() - 8]), PayloadError::WrongLength),
        ("longer", compress(&[&records[..], &[0; 8]].concat()), PayloadError::WrongLength),
    ] {
        let bytes = replace_payload(3, &payload, len, 3);
        for outcome in read_both(&bytes) {
            let found: Vec<_> = outcome.damage().into_iter().cloned().collect();
            assert!(
                matches!(found[..], [Fault::BadPayload { error: e, block: 3, records: 3, .. }] if e == error),
                "{what}: {found:?}"
            );
            assert_eq!(outcome.records.len(), 5, "{what}");
        }
    }
}

#[test]
fn a_frame_that_lies_about_its_content_size_is_a_fault() {
    let records = small_blocks()[3].1.concat();
    let long = vec![b'x'; 100_000];
    let mut payload = compress(&long);
    // The content size is the last field of the frame header: 4 bytes here. Make it that of `records`.
    let size = (100_000u32).to_le_bytes();
    let at = payload.windows(4).position(|window| window == size).unwrap();
    payload[at..at + 4].copy_from_slice(&(records.len() as u32).to_le_bytes());
    for outcome in read_both(&replace_payload(3, &payload, records.len() as u32, 3)) {
        assert!(
            matches!(outcome.damage()[..], [Fault::BadPayload { block: 3, records: 3, .. }]),
            "{:?}",
            outcome.faults
        );
    }
}

#[test]
fn records_before_a_malformed_one_still_count() {
    let mut raw = small_blocks()[3].1.concat();
    let third = raw.len() / 3 * 2;
    for (offset, bad) in [(0, [1, 0, 0, 0]), (0, [0xff; 4]), (0, [0; 4]), (0, [65, 0, 0, 0]), (4, [4, 0, 0xff, 0xff])] {
        let good: Vec<u8> = raw[third + offset..third + offset + 4].to_vec();
        raw[third + offset..third + offset + 4].copy_from_slice(&bad);
        for outcome in read_both(&replace_payload(3, &compress(&raw), raw.len() as u32, 3)) {
            assert!(
                matches!(outcome.damage()[..], [Fault::BadRecords { block: 3, found: 2, expected: 3, .. }]),
                "{:?}",
                outcome.faults
            );
            assert_eq!((outcome.records.len(), outcome.lost()), (7, Some(1)));
        }
        raw[third + offset..third + offset + 4].copy_from_slice(&good);
    }
}

#[test]
fn a_wrong_record_count_is_told() {
    let raw = small_blocks()[3].1.concat();
    for (claimed, lost) in [(2, 0), (4, 1)] {
        for outcome in read_both(&replace_payload(3, &compress(&raw), raw.len() as u32, claimed)) {
            assert!(
                matches!(outcome.damage()[..], [Fault::BadRecords { block: 3, found: 3, .. }]),
                "{:?}",
                outcome.faults
            );
            assert_eq!((outcome.records.len(), outcome.lost()), (8, Some(lost)));
        }
    }
}

#[test]
fn absurd_lengths_with_good_checksums_are_damage() {
    for (offset, value) in
        [(RAW_LEN, u32::MAX), (COMPRESSED_LEN, u32::MAX), (RECORD_COUNT, u32::MAX), (RAW_LEN, 5 << 20)]
    {
        let (mut bytes, blocks) = unsealed();
        patch(&mut bytes, blocks[1].offset as usize, offset, &value.to_le_bytes());
        for outcome in read_both(&bytes) {
            assert!(matches!(outcome.damage()[..], [Fault::Damaged { block: 1, records: Some(2), .. }]), "{outcome:?}");
            assert_eq!(outcome.records.len(), 6);
        }
    }
}

#[test]
fn an_unknown_major_version_and_unknown_features_are_refused_by_name() {
    for seal in [false, true] {
        let mut bytes = write_segment(&meta(), &small_blocks(), seal);
        patch(&mut bytes, 0, MAJOR, &7u16.to_le_bytes());
        let file = temp_file("a.ctseg", &bytes);
        if seal {
            // The footer's copy still says 1, so this is damage to the header and nothing worse.
            assert!(matches!(
                read_file(&file.path).unwrap().damage()[..],
                [Fault::BadSegmentHeader { recovered: true, .. }]
            ));
            continue;
        }
        let error = SegmentReader::open(&file.path).unwrap_err();
        assert!(matches!(error, OpenError::Version { major: 7, supported: 1, .. }), "{error}");
        let outcome = read_stream(&bytes[..]).unwrap();
        assert_eq!(outcome.faults, [Fault::UnknownFormat { at_bytes: 0, major: 7, flags: 0 }]);
        assert_eq!((outcome.records.len(), outcome.metas.len()), (0, 0));

        let mut bytes = write_segment(&meta(), &small_blocks(), false);
        patch(&mut bytes, 0, INCOMPAT, &4u32.to_le_bytes());
        let error = SegmentReader::open(&temp_file("a.ctseg", &bytes).path).unwrap_err();
        assert!(matches!(error, OpenError::Incompatible { flags: 4, .. }), "{error}");
    }
}

#[test]
fn a_newer_minor_version_compat_flags_and_flags_of_a_block_are_ignored() {
    let (mut bytes, blocks) = unsealed();
    patch(&mut bytes, 0, 18, &9u16.to_le_bytes());
    patch(&mut bytes, 0, 24, &0xffff_ffffu32.to_le_bytes());
    patch(&mut bytes, blocks[1].offset as usize, 18, &0xfffeu16.to_le_bytes());
    for outcome in read_both(&bytes) {
        assert_eq!((outcome.faults, outcome.records), (vec![], flatten(&small_blocks())));
    }
}

#[test]
fn blocks_of_unknown_type_are_skipped_with_a_note() {
    let (mut bytes, blocks) = unsealed();
    patch(&mut bytes, blocks[1].offset as usize, BLOCK_TYPE, &77u16.to_le_bytes());
    for outcome in read_both(&bytes) {
        let at_bytes = blocks[1].offset;
        assert_eq!(outcome.faults, [Fault::UnknownBlocks { at_bytes, blocks: 1, records: 2 }]);
        assert!(!outcome.faults[0].is_damage());
        assert_eq!(outcome.records.len(), 6);
    }
}

#[test]
fn a_frame_of_unknown_type_is_skipped_with_a_note() {
    let (mut bytes, blocks) = unsealed();
    let mut frame = [&[0x5c, 0x2a, 0x4d, 0x18, 24, 0, 0, 0][..], b"CTSEG\x1aZZ", &[0; 16]].concat();
    patch(&mut frame, 0, 16, b"whatever");
    bytes.splice(blocks[2].offset as usize..blocks[2].offset as usize, frame);
    for outcome in read_both(&bytes) {
        assert_eq!(outcome.faults, [Fault::UnknownBlocks { at_bytes: blocks[2].offset, blocks: 1, records: 0 }]);
        assert_eq!(outcome.records, flatten(&small_blocks()));
    }
}

#[test]
fn a_block_of_another_segment_inside_a_damaged_one_is_not_believed() {
    let forged = write_segment(&SegmentMeta { capture_id: [9; 16], ..meta() }, &small_blocks(), false);
    let header_len = 8 + u32::from_le_bytes(forged[4..8].try_into().unwrap()) as usize;
    let (mut bytes, blocks) = unsealed();
    // As if a traced process had named its arguments so, and the bytes had landed in a payload uncompressed.
    let from = blocks[1].payload_offset as usize;
    let to = from + blocks[1].header.compressed_len as usize;
    bytes.splice(from..to, forged[header_len..].iter().copied());
    for outcome in read_both(&bytes) {
        assert_eq!(outcome.records, [&small_blocks()[0].1[..], &small_blocks()[2].1, &small_blocks()[3].1].concat());
        assert_eq!(outcome.lost(), Some(2), "{:?}", outcome.faults);
    }
}

#[test]
fn overlapping_frames_that_claim_megabytes_do_not_take_for_ever() {
    // A segment header and a footer that claim the rest of the file, every few bytes, all with bad checksums.
    let mut bytes = write_segment(&meta(), &small_blocks(), false);
    let start = bytes.len();
    bytes.resize(start + (8 << 20), 0);
    let mut at = start;
    while at + 200 < bytes.len() {
        let meta_len = ((bytes.len() - at).min(1 << 20) - 80) as u32 & !7;
        bytes[at..at + 4].copy_from_slice(&[0x5c, 0x2a, 0x4d, 0x18]);
        bytes[at + 4..at + 8].copy_from_slice(&(meta_len + 72).to_le_bytes());
        bytes[at + 8..at + 16].copy_from_slice(b"CTSEG\x1aHD");
        bytes[at + 16..at + 18].copy_from_slice(&1u16.to_le_bytes());
        bytes[at + 28..at + 32].copy_from_slice(&meta_len.to_le_bytes());
        at += 80;
    }
    let begun = std::time::Instant::now();
    for outcome in read_both(&bytes) {
        assert_eq!(outcome.records, flatten(&small_blocks()));
        assert!(!outcome.damage().is_empty());
    }
    // Unbounded, it is 100,000 checksums of 1 MiB: minutes.
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[test]
fn what_is_no_segment_is_refused() {
    for (bytes, what) in [(&b"hello"[..], "text"), (&[0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0], "zstd"), (&[0; 5000], "zeros")]
    {
        let file = temp_file("a.ctseg", bytes);
        assert!(matches!(SegmentReader::open(&file.path), Err(OpenError::NotASegment { .. })), "{what}");
    }
    let empty = temp_file("a.ctseg", b"");
    assert!(matches!(SegmentReader::open(&empty.path), Err(OpenError::Empty { .. })));
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(SegmentReader::open(directory.path()), Err(OpenError::NotRegular { .. })));
    let missing = directory.path().join("missing");
    assert!(matches!(SegmentReader::open(&missing), Err(OpenError::Io { .. })));
    // A FIFO without a writer must not hang.
    let fifo = directory.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert!(matches!(SegmentReader::open(&fifo), Err(OpenError::NotRegular { .. })));
}

/// Reads every way there is. Whatever comes, it ends, and what it yields are records.
fn read_every_way(bytes: &[u8]) {
    for name in ["a.ctseg", "a.ctseg.open"] {
        let _any = read_file(&temp_file(name, bytes).path);
    }
    let _any = read_stream(bytes);
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
        read_every_way(&bytes);
        // As what follows a good beginning, too.
        let mut segment = write_segment(&meta(), &small_blocks(), false);
        segment.extend_from_slice(&bytes);
        read_every_way(&segment);
    }

    #[test]
    fn mutations_with_good_checksums_never_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<[u8; 4]>()), 1..8),
        seal in any::<bool>(),
    ) {
        let mut bytes = write_segment(&meta(), &small_blocks(), seal);
        let stems: Vec<usize> =
            (8..bytes.len() - 6).filter(|&at| bytes[at..].starts_with(b"CTSEG\x1a")).map(|at| at - 8).collect();
        for (frame, offset, value) in changes {
            let frame = *frame.get(&stems);
            let len = u32::from_le_bytes(bytes[frame + 4..frame + 8].try_into().unwrap()) as usize + 8;
            if frame + len > bytes.len() || len < 24 {
                continue;
            }
            let offset = 16 + offset.index(len - 24);
            patch(&mut bytes, frame, offset, &value);
        }
        read_every_way(&bytes);
    }

    #[test]
    fn shuffled_pieces_never_panic(cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..20)) {
        let whole = write_segment(&meta(), &small_blocks(), true);
        let mut bytes = Vec::new();
        for (from, len) in cuts {
            let from = from.index(whole.len());
            bytes.extend_from_slice(&whole[from..from + len.index(whole.len() - from)]);
        }
        read_every_way(&bytes);
    }
}
