//! Makes records and segments, and reads segments whole.

use crypto_trace_format::record::{
    FileOpen, FileOpenFixed, HEADER_LEN, Header, Kind, ProcessExit, ProcessExitFixed, Record, Wanted,
};
use crypto_trace_format::segment::*;
use std::path::{Path, PathBuf};

pub fn meta() -> SegmentMeta {
    SegmentMeta {
        capture_id: *b"0123456789abcdef",
        sequence: 0,
        host: "web1".to_owned(),
        boot_id: "b007".to_owned(),
        kernel: "6.12.0".to_owned(),
        arch: "x86_64".to_owned(),
        tool: "test 0".to_owned(),
        filters: vec!["--pid 12".to_owned()],
        selected: Box::new(Selected { tls: Wanted::OFF, pids: vec![12], user_rate: Some(1), ..Selected::default() }),
        clock: ClockAnchor { boottime_ns: 5_000_000_000, realtime_ns: 1_795_411_845_000_000_000 },
        schema: std::sync::Arc::default(),
    }
}

/// A file_open record of process `tgid`.
pub fn open_record(time_ns: u64, tgid: u32, path: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let header = Header { time_ns, tgid, tid: tgid, comm: *b"nginx\0\0\0\0\0\0\0\0\0\0\0", ..Header::default() };
    let fixed = FileOpenFixed { result: 3, ..FileOpenFixed::default() };
    FileOpen { fixed, path, ..FileOpen::default() }.encode(header, &mut out);
    out
}

/// A process_exit record.
pub fn exit_record(time_ns: u64, tgid: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let fixed = ProcessExitFixed { status: 256, ..ProcessExitFixed::default() };
    ProcessExit { fixed, ..ProcessExit::default() }.encode(Header { time_ns, tgid, ..Header::default() }, &mut out);
    out
}

pub fn block(block_type: BlockType, records: &[Vec<u8>]) -> BlockBuilder {
    let mut block = BlockBuilder::new(block_type, 4096);
    for record in records {
        block.push(&Record::parse(record).unwrap().header, record);
    }
    block
}

/// Four blocks of a few records each, as records.
pub fn small_blocks() -> Vec<(BlockType, Vec<Vec<u8>>)> {
    vec![
        (BlockType::Lifecycle, vec![exit_record(10, 1), exit_record(11, 2)]),
        (BlockType::Events, vec![open_record(20, 7, b"/etc/ssl/private/server.key"), open_record(21, 8, b"/a.pem")]),
        (BlockType::Events, vec![open_record(30, 7, b"/etc/ssl/certs/ca.crt")]),
        (BlockType::Events, (0..3).map(|i| open_record(40 + i, 9, b"/home/x/.ssh/id_ed25519")).collect()),
    ]
}

pub fn write_segment(meta: &SegmentMeta, blocks: &[(BlockType, Vec<Vec<u8>>)], seal: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = SegmentWriter::create(&mut out, meta, 1).unwrap();
    for (block_type, records) in blocks {
        writer.write_block(&block(*block_type, records), 0, 0, false).unwrap();
    }
    if seal {
        writer.finish().unwrap();
    }
    out
}

/// All that an input gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub metas: Vec<SegmentMeta>,
    pub records: Vec<Vec<u8>>,
    pub faults: Vec<Fault>,
}

impl Outcome {
    pub fn damage(&self) -> Vec<&Fault> {
        self.faults.iter().filter(|fault| fault.is_damage()).collect()
    }

    /// Sum of records known to be lost; `None` when any fault does not know.
    pub fn lost(&self) -> Option<u64> {
        self.damage().iter().map(|fault| fault.records_lost()).sum()
    }

    fn take(&mut self, buffer: &BlockBuffer) {
        self.records.extend(buffer.records().map(|record| record.unwrap().bytes().to_vec()));
    }
}

pub fn read_file(path: &Path) -> Result<Outcome, OpenError> {
    let mut outcome = Outcome::default();
    let mut buffer = BlockBuffer::default();
    for reader in SegmentReader::open_all(path)? {
        outcome.metas.push(reader.meta().clone());
        outcome.faults.extend(reader.faults().iter().cloned());
        for index in 0..reader.blocks().len() {
            outcome.faults.extend(reader.read_block(index, &mut buffer).err());
            outcome.take(&buffer);
        }
    }
    Ok(outcome)
}

pub fn read_stream(input: impl std::io::Read) -> std::io::Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut buffer = BlockBuffer::default();
    let mut stream = StreamReader::new(input);
    while let Some(item) = stream.next(&mut buffer)? {
        match item {
            StreamItem::Segment(meta) => outcome.metas.push(meta),
            StreamItem::Block(_) => outcome.take(&buffer),
            StreamItem::Fault(fault) => outcome.faults.push(fault),
        }
    }
    Ok(outcome)
}

/// A file in a temporary directory.
pub struct TempFile {
    _dir: tempfile::TempDir,
    pub path: PathBuf,
}

pub fn temp_file(name: &str, bytes: &[u8]) -> TempFile {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    TempFile { _dir: dir, path }
}

pub fn flatten(blocks: &[(BlockType, Vec<Vec<u8>>)]) -> Vec<Vec<u8>> {
    blocks.iter().flat_map(|(_, records)| records.iter().cloned()).collect()
}

/// Makes bytes a record of an arbitrary kind.
pub fn raw_record(kind: u16, time_ns: u64, tgid: u32, body: &[u8]) -> Vec<u8> {
    let len = (HEADER_LEN + body.len()).next_multiple_of(8);
    let mut out = Vec::new();
    let header = Header { len: len as u32, kind: Kind(kind).0, time_ns, tgid, ..Header::default() };
    header.encode(&mut out);
    out.extend_from_slice(body);
    out.resize(len, 0);
    out
}
