//! Segments that are mutated with and without right checksums, through the reader of files and that of streams: no panic, no end
//! that does not come, and what both read of the same bytes is the same.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::indexing_slicing)]

mod mutate;

use crypto_trace_format::record::{Clock, ClockFixed, FileOpen, FileOpenFixed, Header, Kind, Records};
use crypto_trace_format::segment::{
    BlockBuffer, BlockBuilder, BlockType, SegmentMeta, SegmentReader, SegmentWriter, StreamItem, StreamReader,
};
use mutate::{Rng, mutate, overwrite, run};
use std::io::Cursor;
use std::ops::Range;
use std::path::PathBuf;

/// A small segment of two blocks, whatever the seed; a few of them in a row.
fn segment(rng: &mut Rng) -> Vec<u8> {
    let mut out = Vec::new();
    for sequence in 0..=u64::from(rng.one_in(4)) {
        let meta = SegmentMeta { host: "h".to_owned(), sequence, ..SegmentMeta::default() };
        let mut writer = SegmentWriter::create(Vec::new(), &meta, 1).unwrap();
        for (sort, count) in [(BlockType::Lifecycle, 2), (BlockType::Events, 1 + rng.below(4))] {
            let mut block = BlockBuilder::new(sort, 1 << 12);
            for number in 0..count {
                let header = Header { tgid: 1 + number as u32, time_ns: number as u64, ..Header::default() };
                let mut record = Vec::new();
                if sort == BlockType::Lifecycle {
                    Clock { fixed: ClockFixed::default(), ..Clock::default() }.encode(header, &mut record);
                } else {
                    let fixed = FileOpenFixed { result: 3, ..FileOpenFixed::default() };
                    FileOpen { fixed, path: b"/a.pem", ..FileOpen::default() }.encode(header, &mut record);
                }
                let header = crypto_trace_format::record::Record::parse(&record).unwrap().header;
                debug_assert_eq!(Kind(header.kind).is_lifecycle(), sort == BlockType::Lifecycle);
                block.push(&header, &record);
            }
            writer.write_block(&block, 0, 0, true).unwrap();
        }
        out.extend(writer.finish().unwrap().0);
    }
    out
}

/// Frames that can be skipped: header, block headers, footer. All of them end with a checksum of what is before it.
fn frames(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut frames = Vec::new();
    let mut at = 0;
    while let Some(head) = bytes.get(at..at + 8) {
        let magic = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        let len = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let end = at + 8 + len;
        if magic & 0xffff_fff0 == 0x184d_2a50 && end <= bytes.len() {
            frames.push(at..end);
            at = end;
        } else {
            at += 1;
        }
    }
    frames
}

/// The frame's checksum, as it is to be.
fn seal(frame: &mut [u8]) {
    if let Some((covered, crc)) = frame.split_last_chunk_mut::<4>() {
        *crc = crc32c::crc32c(covered).to_le_bytes();
    }
}

fn mutated(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = segment(rng);
    let frames = frames(&bytes);
    match rng.below(4) {
        // Right checksums about wrong numbers.
        0..=2 => {
            for _ in 0..=rng.below(3) {
                let frame = rng.pick(&frames).clone();
                let at = frame.start + rng.below(frame.len());
                match rng.below(2) {
                    0 => overwrite(&mut bytes[frame.clone()], at - frame.start, rng),
                    _ => bytes[at] ^= 1 << rng.below(8),
                }
                seal(&mut bytes[frame]);
            }
            if rng.one_in(8) {
                let from = rng.pick(&frames).start;
                bytes.truncate(from);
            }
        }
        _ => mutate(&mut bytes, rng),
    }
    bytes
}

/// What a reader of streams gives: records that are well, by block.
fn of_stream(bytes: &[u8]) -> Vec<usize> {
    let mut reader = StreamReader::new(Cursor::new(bytes));
    let mut buffer = BlockBuffer::default();
    let (mut blocks, mut items) = (Vec::new(), 0);
    while let Ok(Some(item)) = reader.next(&mut buffer) {
        items += 1;
        assert!(items <= 10 + bytes.len(), "no end");
        match item {
            StreamItem::Block(_) => blocks.push(Records::new(buffer.raw()).flatten().count()),
            StreamItem::Fault(fault) => assert!(!fault.to_string().is_empty()),
            StreamItem::Segment(_) => {}
        }
    }
    blocks
}

fn of_file(path: &std::path::Path) -> usize {
    let Ok(readers) = SegmentReader::open_all(path) else { return 0 };
    let mut buffer = BlockBuffer::default();
    let mut records = 0;
    for reader in &readers {
        reader.faults().iter().for_each(|fault| assert!(!fault.to_string().is_empty()));
        let _ = (reader.meta(), reader.totals(), reader.is_sealed());
        for index in 0..reader.blocks().len() {
            if reader.read_block(index, &mut buffer).is_ok() {
                records += buffer.records().flatten().count();
            }
        }
    }
    records
}

/// A file in memory that each thread writes its rounds to.
fn scratch() -> PathBuf {
    let directory = if std::path::Path::new("/dev/shm").is_dir() { "/dev/shm".into() } else { std::env::temp_dir() };
    directory.join(format!("crypto-trace-fuzz-{}-{:?}.ctseg", std::process::id(), std::thread::current().id()))
}

struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

thread_local! {
    static SCRATCH: Scratch = Scratch(scratch());
}

#[test]
fn fuzz_segments() {
    run(20_000, |rng| {
        let bytes = mutated(rng);
        let streamed = of_stream(&bytes);
        let records: usize = streamed.iter().sum();
        let of_file = SCRATCH.with(|scratch| {
            std::fs::write(&scratch.0, &bytes).unwrap();
            of_file(&scratch.0)
        });
        // A footer, and a newer major version, may hide what a stream comes upon; neither may make records up.
        assert!(of_file <= 64 && records <= 64, "{of_file} records by the file, {records} by the stream");
    });
}

/// The same without a footer, where files are scanned as streams are: they find the same.
#[test]
fn fuzz_unsealed_segments() {
    run(10_000, |rng| {
        let mut bytes = segment(rng);
        let frames = frames(&bytes);
        bytes.truncate(frames.last().map_or(0, |footer| footer.start));
        mutate(&mut bytes, rng);
        let records: usize = of_stream(&bytes).iter().sum();
        let of_file = SCRATCH.with(|scratch| {
            std::fs::write(&scratch.0, &bytes).unwrap();
            of_file(&scratch.0)
        });
        assert!(of_file <= 64 && records <= 64);
    });
}

/// Records by themselves: any bytes.
#[test]
fn fuzz_records() {
    run(50_000, |rng| {
        let mut raw = Vec::new();
        for number in 0..3 {
            let header = Header { tgid: number, ..Header::default() };
            FileOpen { path: b"/a.pem", given: b"a.pem", ..FileOpen::default() }.encode(header, &mut raw);
        }
        mutate(&mut raw, rng);
        for record in Records::new(&raw).flatten() {
            let _ = FileOpen::decode(&record).map(|open| open.full_path().len());
        }
    });
}
