//! Cut at every byte and flipped at every bit: always detected, never a panic, at most one block lost.

use crate::util::*;
use crypto_trace_format::segment::*;
use proptest::prelude::*;
use std::os::unix::fs::FileExt;

/// Whether `some` is `all` with at most one run of records missing; that run.
fn missing(all: &[Vec<u8>], some: &[Vec<u8>]) -> Option<std::ops::Range<usize>> {
    let head = all.iter().zip(some).take_while(|(a, b)| a == b).count();
    let gap = all.len().checked_sub(some.len())?;
    (all[head + gap..] == some[head..]).then_some(head..head + gap)
}

fn block_ranges() -> Vec<std::ops::Range<usize>> {
    let mut start = 0;
    small_blocks()
        .iter()
        .map(|(_, records)| {
            start += records.len();
            start - records.len()..start
        })
        .collect()
}

/// Offsets at which whole blocks end, the segment header's end first.
fn boundaries(bytes: &[u8]) -> Vec<usize> {
    let file = temp_file("b.ctseg", bytes);
    let reader = SegmentReader::open(&file.path).unwrap();
    let ends = reader.blocks().iter().map(|block| block.payload_offset + u64::from(block.header.compressed_len));
    reader.blocks().first().map(|block| block.offset).into_iter().chain(ends).map(|end| end as usize).collect()
}

fn truncate(path: &std::path::Path, len: usize) {
    std::fs::File::options().write(true).open(path).unwrap().set_len(len as u64).unwrap();
}

#[test]
fn a_sealed_file_cut_at_any_byte_is_damaged_and_gives_the_whole_blocks_before_the_cut() {
    let bytes = write_segment(&meta(), &small_blocks(), true);
    let (records, ranges, boundaries) = (flatten(&small_blocks()), block_ranges(), boundaries(&bytes));
    let file = temp_file("a.ctseg", &bytes);
    for len in (0..bytes.len()).rev() {
        truncate(&file.path, len);
        let outcome = match read_file(&file.path) {
            Err(OpenError::Empty { .. }) if len == 0 => continue,
            Err(OpenError::NotASegment { .. }) if len < 4 => continue,
            outcome => outcome.unwrap_or_else(|error| panic!("cut at {len}: {error}")),
        };
        assert!(!outcome.damage().is_empty(), "cut at {len} is not damage: {:?}", outcome.faults);
        let whole = boundaries.iter().skip(1).filter(|end| **end <= len).count();
        assert_eq!(outcome.records, records[..ranges[..whole].last().map_or(0, |range| range.end)], "cut at {len}");
        assert!(outcome.faults.iter().all(|fault| fault.at_bytes() <= len as u64), "{:?}", outcome.faults);
    }
}

#[test]
fn an_unsealed_file_cut_at_any_byte_has_a_torn_tail_and_no_damage() {
    let bytes = write_segment(&meta(), &small_blocks(), true);
    let (records, ranges, boundaries) = (flatten(&small_blocks()), block_ranges(), boundaries(&bytes));
    let file = temp_file("a.ctseg.open", &bytes);
    for len in (boundaries[0]..bytes.len()).rev() {
        truncate(&file.path, len);
        let outcome = read_file(&file.path).unwrap();
        let whole = boundaries.iter().skip(1).filter(|end| **end <= len).count();
        assert_eq!(outcome.records, records[..ranges[..whole].last().map_or(0, |range| range.end)], "cut at {len}");
        let at_bytes = boundaries[whole] as u64;
        let torn = Fault::TornTail { at_bytes, bytes: len as u64 - at_bytes };
        let expected = if at_bytes == len as u64 { vec![] } else { vec![torn] };
        assert_eq!(outcome.faults, expected, "cut at {len}");
    }
}

#[test]
fn a_pipe_cut_at_any_byte_is_unsealed_and_not_damage() {
    let bytes = write_segment(&meta(), &small_blocks(), true);
    let (records, ranges, boundaries) = (flatten(&small_blocks()), block_ranges(), boundaries(&bytes));
    for len in boundaries[0]..bytes.len() {
        let outcome = read_stream(&bytes[..len]).unwrap();
        let whole = boundaries.iter().skip(1).filter(|end| **end <= len).count();
        assert_eq!(outcome.records, records[..ranges[..whole].last().map_or(0, |range| range.end)], "cut at {len}");
        assert_eq!(outcome.damage(), Vec::<&Fault>::new(), "cut at {len}");
        assert!(matches!(outcome.faults.last(), Some(Fault::Unsealed { .. })), "cut at {len}: {:?}", outcome.faults);
    }
}

/// Flips every bit of `bytes`, reads, and checks the outcome.
fn flip_every_bit(name: &str, bytes: &[u8], check: impl Fn(usize, &Outcome)) {
    let file = temp_file(name, bytes);
    let disk = std::fs::File::options().write(true).open(&file.path).unwrap();
    for bit in 0..bytes.len() * 8 {
        let at = bit / 8;
        disk.write_all_at(&[bytes[at] ^ 1 << (bit % 8)], at as u64).unwrap();
        let outcome = read_file(&file.path).unwrap_or_else(|error| panic!("bit {bit}: {error}"));
        check(bit, &outcome);
        disk.write_all_at(&bytes[at..=at], at as u64).unwrap();
    }
}

/// Damage is told, near the flip, and at most one block is lost, as told.
fn check_flip(bit: usize, outcome: &Outcome, records: &[Vec<u8>], ranges: &[std::ops::Range<usize>], all_known: bool) {
    let context = || format!("bit {bit} (byte {}): {:?}", bit / 8, outcome.faults);
    assert!(!outcome.damage().is_empty(), "undetected: {}", context());
    let lost = missing(records, &outcome.records).unwrap_or_else(|| panic!("wrong records: {}", context()));
    assert!(lost.is_empty() || ranges.contains(&lost), "{lost:?} lost: {}", context());
    if all_known || outcome.lost().is_some() {
        assert_eq!(outcome.lost(), Some(lost.len() as u64), "{}", context());
    }
    assert!(outcome.damage().iter().any(|fault| fault.at_bytes() <= bit as u64 / 8), "{}", context());
}

#[test]
fn any_flipped_bit_of_a_sealed_file_is_told_and_costs_at_most_one_block() {
    let bytes = write_segment(&meta(), &small_blocks(), true);
    let (records, ranges, boundaries) = (flatten(&small_blocks()), block_ranges(), boundaries(&bytes));
    let pristine = temp_file("p.ctseg", &bytes);
    let mut payload = vec![false; bytes.len()];
    for block in SegmentReader::open(&pristine.path).unwrap().blocks() {
        let start = block.payload_offset as usize;
        payload[start..start + block.header.compressed_len as usize].fill(true);
    }
    flip_every_bit("a.ctseg", &bytes, |bit, outcome| {
        check_flip(bit, outcome, &records, &ranges, true);
        assert_eq!(outcome.damage().len(), 1, "bit {bit}: {:?}", outcome.faults);
        // The footer has a copy of all but the payloads.
        assert_eq!(outcome.records.len() < records.len(), payload[bit / 8], "bit {bit}: {:?}", outcome.faults);
        assert_eq!(outcome.metas, [meta()], "bit {bit}");
        if bit / 8 >= *boundaries.last().unwrap() {
            assert!(matches!(outcome.damage()[..], [Fault::BadFooter { .. }]), "bit {bit}: {:?}", outcome.faults);
        }
    });
}

#[test]
fn any_flipped_bit_of_an_unsealed_file_is_told_and_costs_at_most_one_block() {
    let bytes = write_segment(&meta(), &small_blocks(), false);
    let (records, ranges) = (flatten(&small_blocks()), block_ranges());
    flip_every_bit("a.ctseg.open", &bytes, |bit, outcome| check_flip(bit, outcome, &records, &ranges, false));
}

#[test]
fn any_flipped_bit_of_a_pipe_is_told_and_costs_at_most_one_block() {
    let mut bytes = write_segment(&meta(), &small_blocks(), true);
    let (records, ranges) = (flatten(&small_blocks()), block_ranges());
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        let outcome = read_stream(&bytes[..]).unwrap_or_else(|error| panic!("bit {bit}: {error}"));
        check_flip(bit, &outcome, &records, &ranges, true);
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn a_lost_header_of_an_unsealed_segment_leaves_its_blocks_readable() {
    let mut bytes = write_segment(&meta(), &small_blocks(), false);
    bytes[40] ^= 1;
    let file = temp_file("a.ctseg.open", &bytes);
    let reader = SegmentReader::open(&file.path).unwrap();
    assert!(reader.meta_is_placeholder() && reader.meta().is_placeholder());
    assert_eq!(reader.faults(), [Fault::BadSegmentHeader { at_bytes: 0, recovered: false }]);
    assert_eq!(read_file(&file.path).unwrap().records, flatten(&small_blocks()));
}

#[test]
fn bytes_missing_from_the_middle_cost_the_blocks_they_were_in() {
    let bytes = write_segment(&meta(), &small_blocks(), true);
    let records = flatten(&small_blocks());
    let boundaries = boundaries(&bytes);
    let file = temp_file("a.ctseg", &bytes);
    for from in boundaries[0]..*boundaries.last().unwrap() {
        for gone in [1, 7, 64] {
            let mut cut = bytes.clone();
            cut.drain(from..(from + gone).min(bytes.len()));
            let touched = boundaries.windows(2).filter(|edge| edge[0] < from + gone && from < edge[1]).count();
            std::fs::write(&file.path, &cut).unwrap();
            for outcome in [read_file(&file.path).unwrap(), read_stream(&cut[..]).unwrap()] {
                assert!(!outcome.damage().is_empty(), "{gone} bytes at {from}");
                let lost =
                    missing(&records, &outcome.records).unwrap_or_else(|| panic!("{gone} at {from}: {outcome:?}"));
                let blocks = block_ranges().iter().filter(|range| lost.contains(&range.start)).count();
                assert!(
                    blocks <= touched,
                    "{blocks} of {touched} blocks lost, {gone} bytes at {from}: {:?}",
                    outcome.faults
                );
            }
        }
    }
}

#[test]
fn a_block_missing_without_a_trace_is_told() {
    let bytes = write_segment(&meta(), &small_blocks(), false);
    let boundaries = boundaries(&bytes);
    let mut cut = bytes;
    cut.drain(boundaries[1]..boundaries[2]);
    let outcome = read_file(&temp_file("a.ctseg.open", &cut).path).unwrap();
    let at_bytes = boundaries[1] as u64;
    assert_eq!(outcome.faults, [Fault::Damaged { at_bytes, bytes: 0, block: 1, records: Some(2) }]);
}

#[test]
fn a_tail_of_zeros_after_a_power_cut_is_a_torn_tail() {
    let mut bytes = write_segment(&meta(), &small_blocks(), false);
    let at_bytes = bytes.len() as u64;
    bytes.resize(bytes.len() + 5000, 0);
    let outcome = read_file(&temp_file("a.ctseg.open", &bytes).path).unwrap();
    assert_eq!(outcome.faults, [Fault::TornTail { at_bytes, bytes: 5000 }]);
    assert_eq!(outcome.records, flatten(&small_blocks()));
}

#[test]
fn bytes_after_the_footer_are_told_and_cost_nothing() {
    let mut bytes = write_segment(&meta(), &small_blocks(), true);
    let at_bytes = bytes.len() as u64;
    bytes.extend_from_slice(b"left over");
    let outcome = read_file(&temp_file("a.ctseg", &bytes).path).unwrap();
    assert_eq!(outcome.records, flatten(&small_blocks()));
    assert!(
        matches!(outcome.damage()[..], [Fault::Damaged { at_bytes: at, bytes: 9, .. }] if *at == at_bytes),
        "{outcome:?}"
    );
}

#[test]
fn a_file_truncated_while_open_is_a_fault_and_not_a_sigbus() {
    let large: Vec<_> =
        (0..20).map(|i| (BlockType::Events, vec![open_record(i, 7, &vec![b'a' + i as u8; 4000])])).collect();
    let noise: Vec<_> = large.iter().flat_map(|block| std::iter::repeat_n(block.clone(), 30)).collect();
    for name in ["a.ctseg", "a.ctseg.open"] {
        let file = temp_file(name, &write_segment(&meta(), &noise, true));
        let reader = SegmentReader::open(&file.path).unwrap();
        assert_eq!(reader.is_mapped(), name == "a.ctseg");
        let disk = std::fs::File::options().write(true).open(&file.path).unwrap();
        let keep = reader.blocks()[300].offset;
        disk.set_len(keep).unwrap();
        let mut buffer = BlockBuffer::default();
        assert_eq!(reader.read_block(299, &mut buffer), Ok(()));
        for index in [300, 301, 599] {
            let fault = reader.read_block(index, &mut buffer).unwrap_err();
            assert!(
                matches!(fault, Fault::Unreadable { error: std::io::ErrorKind::UnexpectedEof, records: 1, .. }),
                "{fault}"
            );
            assert_eq!(buffer.raw(), []);
        }
    }
}

#[test]
fn bytes_before_the_first_segment_are_told_and_cost_nothing() {
    let bytes = [&b"some shell's greeting\n"[..], &write_segment(&meta(), &small_blocks(), true)].concat();
    for outcome in [read_file(&temp_file("a.ctseg", &bytes).path).unwrap(), read_stream(&bytes[..]).unwrap()] {
        assert_eq!((outcome.records, outcome.metas), (flatten(&small_blocks()), vec![meta()]));
        assert!(outcome.faults.iter().any(|fault| fault.is_damage() && fault.at_bytes() == 0), "{:?}", outcome.faults);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn any_few_flips_are_told_and_cost_at_most_a_block_each(
        flips in proptest::collection::vec(any::<prop::sample::Index>(), 2..5),
        seal in any::<bool>(),
    ) {
        let mut bytes = write_segment(&meta(), &small_blocks(), seal);
        let records = flatten(&small_blocks());
        let bits: std::collections::BTreeSet<usize> = flips.iter().map(|flip| flip.index(bytes.len() * 8)).collect();
        bits.iter().for_each(|bit| bytes[bit / 8] ^= 1 << (bit % 8));
        let name = if seal { "a.ctseg" } else { "a.ctseg.open" };
        for outcome in [read_file(&temp_file(name, &bytes).path).unwrap(), read_stream(&bytes[..]).unwrap()] {
            prop_assert!(!outcome.damage().is_empty(), "{bits:?}: {:?}", outcome.faults);
            let mut left = records.iter();
            prop_assert!(outcome.records.iter().all(|record| left.any(|other| other == record)), "{bits:?}: invented");
            let lost = block_ranges()
                .iter()
                .filter(|range| records[(*range).clone()].iter().any(|record| !outcome.records.contains(record)))
                .count();
            prop_assert!(lost <= bits.len(), "{bits:?}: {lost} blocks lost: {:?}", outcome.faults);
        }
    }
}
