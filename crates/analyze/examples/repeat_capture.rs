//! Writes a long capture made of a short one: `repeat_capture CAPTURE DIRECTORY EVENTS [SEGMENTS] [HOSTS] [FIRST]`.
//!
//! The records of CAPTURE come again and again, later each time, of new processes and connections each time but for those that
//! were there before it began and go on: so kinds, strings, sizes and the life of processes are those of a real recording. EVENTS in all, in
//! SEGMENTS files of each of HOSTS hosts, which are numbered from FIRST on.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "makes the load of benchmarks")]

use std::collections::HashSet;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use crypto_trace_format::record::{
    ApiCall, ApiCallFixed, CertificateFile, Clock, Header, Inventory, Kind, LibraryInfo, Loss, ProbeStatus,
    ProcessExec, ProcessExecFixed, ProcessExit, ProcessFork, ProcessForkFixed, Record, SelfStats, Suppressed, TlsHello,
    TlsHelloFixed,
};
use crypto_trace_format::segment::{BlockBuffer, BlockBuilder, BlockType, SegmentMeta, SegmentReader, SegmentWriter};

/// As in a capture, a block is closed when it is full, or when its first record is this old.
const BLOCK_BYTES: usize = 256 << 10;
const BLOCK_NS: u64 = 1_000_000_000;

/// `kernel.pid_max` of 64-bit machines.
const PID_MAX: u64 = 4 << 20;

/// What a recording holds.
struct Source {
    meta: SegmentMeta,
    /// In the order of time.
    records: Vec<Vec<u8>>,
    begin_ns: u64,
    length_ns: u64,
    /// Process ids that were given out while it was made.
    pids: u64,
    /// Processes that were there before, and of which it tells that they began a program or ended: nobody does so twice.
    changed: HashSet<(u32, u64)>,
}

impl Source {
    fn read(path: &Path) -> Self {
        let mut segments: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        segments.sort();
        let readers: Vec<_> = segments.iter().map(|path| SegmentReader::open(path).unwrap()).collect();
        let mut records = Vec::new();
        let mut buffer = BlockBuffer::default();
        for reader in &readers {
            for block in 0..reader.blocks().len() {
                reader.read_block(block, &mut buffer).unwrap();
                records.extend(buffer.records().map(|record| record.unwrap().bytes().to_vec()));
            }
        }
        records.sort_by_key(|bytes| header(bytes).time_ns);
        let [first, last] = [records.first(), records.last()].map(|bytes| header(bytes.unwrap()).time_ns);
        let headers = || records.iter().map(|bytes| header(bytes));
        let changes = |header: &Header| matches!(Kind(header.kind), ProcessExec::KIND | ProcessExit::KIND);
        let changed: HashSet<_> = headers().filter(changes).map(|header| (header.tgid, header.start_ns)).collect();
        let is_new = |header: &Header| header.start_ns >= first || changed.contains(&(header.tgid, header.start_ns));
        let started = headers().filter(is_new);
        let pids: Vec<_> = started.map(|header| u64::from(header.tgid)).collect();
        let pids = pids.iter().max().zip(pids.iter().min()).map_or(0, |(last, first)| last - first + 1);
        let meta = readers.first().unwrap().meta().clone();
        Self { meta, records, begin_ns: first, length_ns: last - first + 1, pids, changed }
    }

    /// Whether each pass has a process of its own in place of this one.
    fn is_new(&self, tgid: u32, start_ns: u64) -> bool {
        start_ns >= self.begin_ns || self.changed.contains(&(tgid, start_ns))
    }
}

fn header(bytes: &[u8]) -> Header {
    Record::parse(bytes).unwrap().header
}

/// Whether each pass has it: what happened, not what is said of the capture itself.
fn repeats(kind: Kind) -> bool {
    !matches!(
        kind,
        Clock::KIND
            | ProbeStatus::KIND
            | SelfStats::KIND
            | Loss::KIND
            | Inventory::KIND
            | LibraryInfo::KIND
            | Suppressed::KIND
            | CertificateFile::KIND
    )
}

/// A record as it comes in the given pass.
fn later(bytes: &[u8], source: &Source, pass: u64) -> Vec<u8> {
    let record = Record::parse(bytes).unwrap();
    let shift = pass * source.length_ns;
    let moved = |pid: u32, ns: u64| if source.is_new(pid, ns) { ns + shift } else { ns };
    // The kernel gives out ids in turn, and begins anew at the highest.
    let pid = |pid: u32, start_ns: u64| match source.is_new(pid, start_ns) {
        true => u32::try_from((u64::from(pid) + pass * source.pids) % PID_MAX).unwrap(),
        false => pid,
    };
    let mut header = record.header;
    let Header { tgid, tid, start_ns, .. } = header;
    header.tgid = pid(tgid, start_ns);
    // Threads have ids of the same sequence.
    header.tid = if header.tgid == tgid { tid } else { pid(tid, u64::MAX) };
    header.time_ns += shift;
    header.start_ns = moved(tgid, start_ns);
    let cookie = |cookie: u64| if cookie == 0 { 0 } else { cookie + (pass << 32) };
    let mut out = Vec::with_capacity(bytes.len());
    match Kind(header.kind) {
        ProcessExec::KIND => {
            let exec = ProcessExec::decode(&record).unwrap();
            let (ppid, start_ns) = (exec.fixed.ppid, exec.fixed.parent_start_ns);
            let fixed =
                ProcessExecFixed { ppid: pid(ppid, start_ns), parent_start_ns: moved(ppid, start_ns), ..exec.fixed };
            ProcessExec { fixed, ..exec }.encode(header, &mut out);
        }
        ProcessFork::KIND => {
            let fork = ProcessFork::decode(&record).unwrap();
            let (ppid, start_ns) = (fork.fixed.ppid, fork.fixed.parent_start_ns);
            let fixed =
                ProcessForkFixed { ppid: pid(ppid, start_ns), parent_start_ns: moved(ppid, start_ns), ..fork.fixed };
            ProcessFork { fixed, ..fork }.encode(header, &mut out);
        }
        TlsHello::KIND => {
            let hello = TlsHello::decode(&record).unwrap();
            let fixed = TlsHelloFixed { cookie: cookie(hello.fixed.cookie), ..hello.fixed };
            TlsHello { fixed, ..hello }.encode(header, &mut out);
        }
        ApiCall::KIND => {
            let call = ApiCall::decode(&record).unwrap();
            let fixed = ApiCallFixed { cookie: cookie(call.fixed.cookie), ..call.fixed };
            ApiCall { fixed, ..call }.encode(header, &mut out);
        }
        _ => {
            header.encode(&mut out);
            out.extend_from_slice(&bytes[out.len()..]);
        }
    }
    out
}

/// A segment being written: blocks close when those of a capture would.
struct Blocks {
    writer: SegmentWriter<BufWriter<File>>,
    lifecycle: BlockBuilder,
    events: BlockBuilder,
}

impl Blocks {
    fn new(writer: SegmentWriter<BufWriter<File>>) -> Self {
        let [lifecycle, events] =
            [BlockType::Lifecycle, BlockType::Events].map(|kind| BlockBuilder::new(kind, BLOCK_BYTES));
        Self { writer, lifecycle, events }
    }

    fn push(&mut self, bytes: &[u8]) {
        let header = header(bytes);
        let is_old = |block: &BlockBuilder| {
            block.time_range_ns().is_some_and(|(first, _)| header.time_ns.saturating_sub(first) >= BLOCK_NS)
        };
        if is_old(&self.lifecycle) || is_old(&self.events) {
            self.close(false);
        }
        let lifecycle = Kind(header.kind).is_lifecycle();
        let block = if lifecycle { &mut self.lifecycle } else { &mut self.events };
        block.push(&header, bytes);
        if block.len_bytes() >= BLOCK_BYTES {
            self.close(lifecycle);
        }
    }

    /// Lifecycle first: who reads the stream knows a process before what it did.
    fn close(&mut self, lifecycle_only: bool) {
        let blocks = [Some(&mut self.lifecycle), (!lifecycle_only).then_some(&mut self.events)];
        for block in blocks.into_iter().flatten().filter(|block| !block.is_empty()) {
            self.writer.write_block(block, 0, 0, !lifecycle_only).unwrap();
            block.clear();
        }
    }
}

/// One host's segments, with `events` records that repeat.
fn write_host(source: &Source, directory: &Path, host: u64, events: u64, segments: u64) {
    let repeated: Vec<_> = source.records.iter().filter(|bytes| repeats(Kind(header(bytes).kind))).collect();
    let mut events_left = (0..events).map(|i| {
        let (pass, at) = (i / repeated.len() as u64, usize::try_from(i % repeated.len() as u64).unwrap());
        later(repeated[at], source, pass)
    });
    for sequence in 0..segments {
        let capture_id = u128::from(host + 1).to_le_bytes();
        let meta = SegmentMeta { host: format!("host{host}"), capture_id, sequence, ..source.meta.clone() };
        let file = File::create(directory.join(format!("host{host}-{sequence:06}.ctseg"))).unwrap();
        let mut blocks = Blocks::new(SegmentWriter::create(BufWriter::new(file), &meta, 1).unwrap());
        let about = source.records.iter().filter(|bytes| sequence == 0 && !repeats(Kind(header(bytes).kind))).cloned();
        let share = usize::try_from(events / segments + u64::from(sequence < events % segments)).unwrap();
        about.chain(events_left.by_ref().take(share)).for_each(|bytes| blocks.push(&bytes));
        blocks.close(false);
        blocks.writer.finish().unwrap();
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize| args.get(i).map_or(1, |number| number.parse::<u64>().unwrap());
    let (source, directory) = (Source::read(args[0].as_ref()), Path::new(&args[1]));
    let (events, segments, hosts) = (number(2), number(3), number(4));
    std::fs::create_dir_all(directory).unwrap();
    let first = args.get(5).map_or(0, |number| number.parse::<u64>().unwrap());
    for host in first..first + hosts {
        write_host(&source, directory, host, events / hosts, segments);
    }
}
