//! Pipes: the same as a file, in one pass.

use crate::util::*;
use crypto_trace_format::segment::*;
use std::io::{self, Read, Write};

/// Gives its bytes in pieces of varying size, and an interruption before each.
struct Dribble<'a> {
    rest: &'a [u8],
    step: usize,
    interrupt: bool,
}

impl Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupt = !self.interrupt;
        if self.interrupt {
            return Err(io::ErrorKind::Interrupted.into());
        }
        self.step = self.step % 977 + 13;
        let len = self.step.min(self.rest.len()).min(buffer.len());
        let (head, rest) = self.rest.split_at(len);
        buffer[..len].copy_from_slice(head);
        self.rest = rest;
        Ok(len)
    }
}

fn two_segments() -> (Vec<u8>, Vec<SegmentMeta>, Vec<Vec<u8>>) {
    let metas = vec![meta(), SegmentMeta { sequence: 1, ..meta() }];
    let bytes: Vec<u8> = metas.iter().flat_map(|meta| write_segment(meta, &small_blocks(), true)).collect();
    let records = [flatten(&small_blocks()), flatten(&small_blocks())].concat();
    (bytes, metas, records)
}

#[test]
fn segments_one_after_the_other_read_back_from_a_slow_pipe() {
    let (bytes, metas, records) = two_segments();
    let outcome = read_stream(Dribble { rest: &bytes, step: 0, interrupt: false }).unwrap();
    assert_eq!(outcome, Outcome { metas, records, faults: vec![] });
}

#[test]
fn segments_one_after_the_other_read_back_from_a_file() {
    let (bytes, metas, records) = two_segments();
    let file = temp_file("both.ctseg", &bytes);
    assert_eq!(read_file(&file.path).unwrap(), Outcome { metas, records, faults: vec![] });
    let first = SegmentReader::open(&file.path).unwrap();
    assert_eq!(first.faults(), [Fault::MoreSegments { at_bytes: bytes.len() as u64 / 2 }]);
    assert!(!first.faults()[0].is_damage());
}

#[test]
fn a_flip_in_one_of_two_segments_leaves_the_other_alone() {
    let (bytes, _, records) = two_segments();
    let file = temp_file("a.ctseg", &bytes);
    for at in (0..bytes.len()).step_by(3) {
        let mut bad = bytes.clone();
        bad[at] ^= 0x10;
        std::fs::write(&file.path, &bad).unwrap();
        for outcome in [read_stream(&bad[..]).unwrap(), read_file(&file.path).unwrap()] {
            assert!(!outcome.damage().is_empty(), "byte {at}");
            let lost = records.len() - outcome.records.len();
            assert!(lost <= 3, "byte {at}: {lost} lost: {:?}", outcome.faults);
            assert_eq!(outcome.metas.len(), 2, "byte {at}: {:?}", outcome.faults);
        }
    }
}

#[test]
fn a_block_is_delivered_before_the_next_one_arrives() {
    let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut writer = SegmentWriter::create(&mut ours, &meta(), 1).unwrap();
    let mut stream = StreamReader::new(theirs);
    let mut buffer = BlockBuffer::default();
    assert!(matches!(stream.next(&mut buffer).unwrap(), Some(StreamItem::Segment(_))));
    for (block_type, records) in small_blocks() {
        writer.write_block(&block(block_type, &records), 0, 0, true).unwrap();
        // Would block for ever if it waited for what follows.
        let item = stream.next(&mut buffer).unwrap();
        assert!(matches!(item, Some(StreamItem::Block(header)) if header.flush_end));
        assert_eq!(buffer.raw(), records.concat());
    }
    writer.finish().unwrap();
    drop(ours);
    assert!(stream.next(&mut buffer).unwrap().is_none());
}

#[test]
fn an_empty_pipe_is_empty_and_another_stream_is_refused() {
    assert_eq!(read_stream(&b""[..]).unwrap(), Outcome::default());
    for other in [&b"root:x:0:0:root:/root:/bin/bash\n"[..], &[0; 100_000], b"\x28\xb5\x2f\xfd"] {
        assert_eq!(read_stream(other).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}

#[test]
fn an_endless_stream_of_something_else_is_refused() {
    let mut endless = io::repeat(0x5c);
    let mut counted = 0u64;
    struct Counted<'a, R>(&'a mut R, &'a mut u64);
    impl<R: Read> Read for Counted<'_, R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let read = self.0.read(buffer)?;
            *self.1 += read as u64;
            Ok(read)
        }
    }
    assert_eq!(read_stream(Counted(&mut endless, &mut counted)).unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert!(counted < 256 << 20, "{counted} bytes read");
}

#[test]
fn a_write_that_failed_partway_is_not_followed_by_more() {
    struct Short(Vec<u8>, usize);
    impl Write for Short {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let len = bytes.len().min(self.1);
            if len == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.1 -= len;
            self.0.extend_from_slice(&bytes[..len]);
            Ok(len)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let whole = write_segment(&meta(), &small_blocks(), true);
    for room in 0..whole.len() {
        let mut output = Short(Vec::new(), room);
        let Ok(mut writer) = SegmentWriter::create(&mut output, &meta(), 1) else { continue };
        let mut written = Vec::new();
        for (block_type, records) in small_blocks() {
            if writer.write_block(&block(block_type, &records), 0, 0, false).is_ok() {
                assert_eq!(writer.totals().records as usize, written.len() + records.len());
                written.extend(records);
            }
        }
        assert!(writer.finish().is_err());
        let outcome = read_stream(&output.0[..]).unwrap();
        assert_eq!((outcome.records, outcome.faults.iter().any(Fault::is_damage)), (written, false), "room {room}");
    }
}
