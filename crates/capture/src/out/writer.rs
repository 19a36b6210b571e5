//! The writer thread: takes blocks over a bounded queue, compresses and writes them, rotates, survives a full disk.
//!
//! When the disk refuses, the block is tried again until it is written or the capture is stopping. Meanwhile the queue
//! fills, then the ring, and the kernel counts what is lost; memory does not grow.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use crypto_trace_bpf::ProbeReport;
use crypto_trace_format::record::{ClockReason, Header, ProbeStatus, ProbeStatusFixed, Records};
use crypto_trace_format::segment::{BlockBuilder, BlockType, Pressure, SegmentStore, SegmentWriter, Swapped, Totals};

use crate::clock::{self, boottime_ns, read_anchor};
use crate::libraries::LibraryRecords;
use crate::on_seal::OnSeal;
use crate::out::stream::StreamOutput;
use crate::proc::table::{FEW_THREADS, Table, TableFilter};
use crate::say;
use crate::session::service::Heartbeat;
use crate::session::stats::{WriterStats, from_rings};

/// A block is closed at this size of raw records.
pub const BLOCK_BYTES: usize = 256 << 10;

/// How often it is looked whether what is written endangers what was written before.
const PRESSURE_INTERVAL: Duration = Duration::from_secs(10);

/// How long a refused write waits before the next try.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// How long to go on trying, all in all, once the capture is stopping.
const STOPPING_PATIENCE: Duration = Duration::from_millis(500);

/// How often what was written is forced to the disk.
const SYNC_INTERVAL: Duration = Duration::from_secs(5);

/// What the drain thread hands over.
#[allow(clippy::large_enum_variant, reason = "moved once for every 256 KiB of records")]
pub enum Message {
    /// A block, with the losses up to it.
    Block {
        /// The records.
        block: BlockBuilder,
        /// Lost so far.
        lost: u64,
        /// Last of a flush.
        flush_end: bool,
    },
    /// Start a new segment (SIGHUP).
    Rotate,
}

/// Where segments go.
pub enum Sink {
    /// Files.
    Store(Box<SegmentStore>),
    /// Somebody who reads it at once.
    Stream(Box<SegmentWriter<io::BufWriter<StreamOutput>>>),
}

/// What every segment opens with.
pub struct Opening {
    /// Which processes are listed.
    pub table: TableFilter,
    /// Processes as they were before anything was attached; for the first segment.
    pub before: Table,
    /// What became of the probes.
    pub probes: Vec<ProbeReport>,
    /// What became of libraries, as far as they are found.
    pub libraries: LibraryRecords,
}

/// Shared with the drain thread.
#[derive(Debug, Default)]
pub struct Shared {
    /// The capture is stopping: no more patience with the disk.
    pub stopping: AtomicBool,
    /// The reader of the stream is gone.
    pub pipe_closed: AtomicBool,
    /// Whether the writer gets on.
    pub heartbeat: Heartbeat,
    /// Numbers.
    pub stats: WriterStats,
    /// By how many bits the rates are to be shifted down, so that the past is not pushed out.
    pub pressure_bits: AtomicU32,
}

/// What the writer leaves behind.
#[derive(Debug, Default)]
pub struct Written {
    /// Over all segments.
    pub totals: Totals,
    /// How many segments.
    pub segments: u64,
    /// Why the last one could not be sealed.
    pub seal_error: Option<io::Error>,
    /// Who was told of sealed segments.
    pub on_seal: Option<OnSeal>,
}

/// The writer thread's state.
pub struct Writer {
    sink: Sink,
    on_seal: Option<OnSeal>,
    opening: Opening,
    shared: Arc<Shared>,
    recycled: Sender<BlockBuilder>,
    table_read: Option<Sender<Vec<u8>>>,
    last_sync: Instant,
    /// The last sync was refused, which has been said.
    sync_failed: bool,
    failing_since: Option<Instant>,
    /// Since the disk refused for the first time while stopping.
    stopping_since: Option<Instant>,
    /// A new segment was asked for (SIGHUP) and has not begun yet.
    rotation_due: bool,
    rotation_failed: Option<RotationFailed>,
    /// Segments that have their opening.
    opened: u64,
    /// That not everything was looked at of the processes that were there was said.
    cut_said: bool,
    /// Why nothing can be written to the stream any more.
    stream_error: Option<io::Error>,
    lost: u64,
    pressure: Pressure,
    last_pressure: Instant,
}

/// A new segment could not begin, and the old one goes on.
struct RotationFailed {
    since: Instant,
    last_try: Instant,
}

impl Writer {
    /// Writes into `sink`, and tells `on_seal` of what is sealed; emptied blocks go back over `recycled`. Says over `table_read` when the first process table is
    /// read, which may be long before it is written.
    pub fn new(
        sink: Sink,
        on_seal: Option<OnSeal>,
        opening: Opening,
        shared: Arc<Shared>,
        recycled: Sender<BlockBuilder>,
        table_read: Sender<Vec<u8>>,
    ) -> Self {
        let table_read = Some(table_read);
        Self {
            sink,
            on_seal,
            opening,
            shared,
            recycled,
            table_read,
            last_sync: Instant::now(),
            sync_failed: false,
            failing_since: None,
            stopping_since: None,
            rotation_due: false,
            rotation_failed: None,
            opened: 0,
            cut_said: false,
            stream_error: None,
            lost: 0,
            pressure: Pressure::None,
            last_pressure: Instant::now(),
        }
    }

    /// Runs until the other end of `messages` is dropped, then seals.
    pub fn run(mut self, messages: &Receiver<Message>) -> Written {
        self.write_opening();
        self.shared.heartbeat.rest();
        for message in messages {
            self.shared.heartbeat.beat();
            match message {
                Message::Rotate => {
                    self.rotation_due = true;
                    self.rotate();
                }
                Message::Block { mut block, lost, flush_end } => {
                    self.lost = lost;
                    if self.rotation_due || matches!(&self.sink, Sink::Store(store) if store.should_rotate()) {
                        self.rotate();
                    }
                    self.write_with_patience(&block, flush_end);
                    self.look_at_pressure();
                    block.clear();
                    // The drain thread may be gone, and with it the need for blocks.
                    let _ = self.recycled.send(block);
                }
            }
            self.shared.heartbeat.rest();
        }
        self.seal()
    }

    /// Begins a new segment. Where the disk refuses, the old one goes on, and a later block tries again; without an old one
    /// the next block tries until there is one.
    fn rotate(&mut self) {
        if self.rotation_failed.as_ref().is_some_and(|failed| failed.last_try.elapsed() < RETRY_INTERVAL) {
            return;
        }
        let Sink::Store(store) = &mut self.sink else {
            self.rotation_due = false;
            return;
        };
        let rotated = store.rotate(read_anchor().0);
        store.take_swapped().iter().for_each(tell_swapped);
        let sealed = store.take_sealed();
        if let Some(on_seal) = &mut self.on_seal {
            sealed.iter().for_each(|path| on_seal.tell(path));
        }
        let goes_on = store.current_path().is_some();
        match rotated {
            Ok(()) => {
                self.rotation_due = false;
                if let Some(failed) = self.rotation_failed.take() {
                    say::warning(&format!("a new segment after {:.1} s", failed.since.elapsed().as_secs_f64()));
                }
                self.open_segment();
            }
            Err(error) if goes_on => {
                let now = Instant::now();
                if self.rotation_failed.is_none() {
                    say::error(&format!(
                        "cannot start a new segment: {error}; writing to the old one and trying again"
                    ));
                }
                let since = self.rotation_failed.take().map_or(now, |failed| failed.since);
                self.rotation_failed = Some(RotationFailed { since, last_try: now });
            }
            Err(error) => {
                // The old one is sealed, so that it has come to its end as asked.
                self.rotation_due = false;
                self.rotation_failed = None;
                self.report_failure("start a new segment", &error);
            }
        }
    }

    /// Looks, now and then, whether what is written endangers what was written before, and says when that changes.
    fn look_at_pressure(&mut self) {
        let Sink::Store(store) = &self.sink else { return };
        if self.last_pressure.elapsed() < PRESSURE_INTERVAL {
            return;
        }
        self.last_pressure = Instant::now();
        let pressure = store.pressure();
        if pressure == self.pressure {
            return;
        }
        match pressure {
            Pressure::Over => say::warning(
                "segments younger than --retain-min-age take all of --retain-bytes: the oldest of them are removed, \
                 and events of a process beyond a 64th of --process-rate are withheld",
            ),
            Pressure::High | Pressure::Half if pressure > self.pressure => say::warning(&format!(
                "segments younger than --retain-min-age take {} of --retain-bytes: events of a process beyond {} of \
                 --process-rate are withheld",
                if pressure == Pressure::Half { "half" } else { "three quarters" },
                if pressure == Pressure::Half { "an eighth" } else { "a 64th" },
            )),
            Pressure::None => {
                say::info("segments younger than --retain-min-age are safe again: rates are back to normal")
            }
            Pressure::High | Pressure::Half => {}
        }
        self.pressure = pressure;
        let bits = match pressure {
            Pressure::None => 0,
            Pressure::Half => 3,
            Pressure::High | Pressure::Over => 6,
        };
        self.shared.pressure_bits.store(bits, Ordering::Relaxed);
    }

    /// Writes the opening of a segment that has begun and has none yet.
    fn open_segment(&mut self) {
        if matches!(&self.sink, Sink::Store(store) if store.segments() > self.opened) {
            self.write_opening();
        }
    }

    /// Clock, probes, processes.
    fn write_opening(&mut self) {
        self.opened = match &self.sink {
            Sink::Store(store) => store.segments(),
            Sink::Stream(_) => 1,
        };
        self.shared.stats.segments.store(self.opened, Ordering::Relaxed);
        let (anchor, error_ns) = read_anchor();
        let mut lifecycle = Vec::new();
        clock::encode(anchor, error_ns, ClockReason::START, &mut lifecycle);
        for probe in &self.opening.probes {
            encode_probe(probe, &mut lifecycle);
        }
        let (mut table, began_ns) = (Table::new(self.shared.heartbeat.clone()), boottime_ns());
        match self.table_read {
            // Somebody waits for the first one: the command, or who looks for libraries.
            Some(_) => self.opening.table.encode_at_once(&mut table, FEW_THREADS),
            None => self.opening.table.encode(&mut table),
        }
        table.complete(std::mem::take(&mut self.opening.before));
        lifecycle.append(&mut table.lifecycle);
        if table.tally.is_partial() {
            if let (Some(message), false) = (table.tally.cut_message(), std::mem::replace(&mut self.cut_said, true)) {
                say::warning(&message);
            }
            table.tally.encode(began_ns, &mut lifecycle);
        }
        lifecycle.append(&mut self.opening.libraries.bytes());
        let events = table.events;
        self.opening.table.gate = None;
        // Those of later segments have been told when they were opened.
        self.opening.table.files = false;
        if let Some(table_read) = self.table_read.take() {
            // Nobody may be waiting.
            let _ = table_read.send(events.clone());
        }
        self.write_records(BlockType::Lifecycle, &lifecycle, events.is_empty());
        self.write_records(BlockType::Events, &events, true);
    }

    fn write_records(&mut self, block_type: BlockType, bytes: &[u8], flush_end: bool) {
        let blocks = in_blocks(block_type, bytes);
        for (index, block) in blocks.iter().enumerate() {
            self.write_with_patience(block, flush_end && index + 1 == blocks.len());
        }
    }

    /// Writes a block, however often it takes; drops it, counted, only when stopping.
    fn write_with_patience(&mut self, block: &BlockBuilder, flush_end: bool) {
        loop {
            self.shared.heartbeat.beat();
            // Once and for all: nothing can be written any more.
            if self.shared.pipe_closed.load(Ordering::Relaxed) || self.stream_error.is_some() {
                self.shared.stats.dropped.fetch_add(from_rings(block), Ordering::Relaxed);
                return;
            }
            let Err(error) = self.write(block, flush_end) else {
                if let Some(since) = self.failing_since.take() {
                    say::warning(&format!("writing again after {:.1} s", since.elapsed().as_secs_f64()));
                }
                return;
            };
            if error.kind() == io::ErrorKind::BrokenPipe {
                self.shared.pipe_closed.store(true, Ordering::Relaxed);
                continue;
            }
            if matches!(self.sink, Sink::Stream(_)) {
                // It has waited as long as there was sense in it, and what it cut off cannot be gone on with.
                say::error(&format!("cannot write: {error}"));
                self.stream_error = Some(error);
                continue;
            }
            self.report_failure("write", &error);
            let stopping = self.shared.stopping.load(Ordering::Relaxed);
            if stopping && self.stopping_since.is_none() {
                self.stopping_since = Some(Instant::now());
            }
            if self.stopping_since.is_some_and(|since| since.elapsed() > STOPPING_PATIENCE) {
                self.shared.stats.dropped.fetch_add(from_rings(block), Ordering::Relaxed);
                return;
            }
            std::thread::sleep(RETRY_INTERVAL);
        }
    }

    fn write(&mut self, block: &BlockBuilder, flush_end: bool) -> io::Result<()> {
        if let Sink::Store(store) = &mut self.sink
            && store.current_path().is_none()
        {
            store.rotate(read_anchor().0)?;
            self.open_segment();
        }
        let dropped = self.shared.stats.dropped.load(Ordering::Relaxed);
        let lost = self.lost;
        let totals = match &mut self.sink {
            Sink::Store(store) => {
                store.write_block(block, lost, dropped, flush_end)?;
                store.totals()
            }
            Sink::Stream(stream) => {
                stream.write_block(block, lost, dropped, flush_end)?;
                stream.totals().clone()
            }
        };
        self.shared.stats.written_bytes.store(totals.file_bytes, Ordering::Relaxed);
        self.sync();
        // A file that could not be cut back to its last whole block was left, and this block has begun another one.
        self.open_segment();
        Ok(())
    }

    /// Forces what was written to the disk, now and then. That this fails is no reason to write it once more.
    fn sync(&mut self) {
        let Sink::Store(store) = &mut self.sink else { return };
        if self.last_sync.elapsed() <= SYNC_INTERVAL {
            return;
        }
        self.last_sync = Instant::now();
        let synced = store.sync();
        if let (Err(error), false) = (&synced, self.sync_failed) {
            say::error(&format!(
                "cannot sync: {error}; data already written may not survive a crash of this host; trying again"
            ));
        }
        self.sync_failed = synced.is_err();
    }

    /// Says that the disk refuses: once when it begins, not at every try.
    fn report_failure(&mut self, what: &str, error: &io::Error) {
        if self.failing_since.is_none() {
            self.failing_since = Some(Instant::now());
            say::error(&format!("cannot {what}: {error}; trying again, the ring buffer holds what it can"));
        }
    }

    fn seal(mut self) -> Written {
        let segments = self.shared.stats.segments.load(Ordering::Relaxed);
        let file_bytes = self.shared.stats.written_bytes.load(Ordering::Relaxed);
        let unsealed =
            Written { totals: Totals { file_bytes, ..Totals::default() }, segments, seal_error: None, on_seal: None };
        let mut on_seal = self.on_seal.take();
        let written = match self.sink {
            Sink::Store(store) => {
                let (mut swapped, mut sealed_as) = (Vec::new(), Vec::new());
                let sealed = store.seal_and_tell(&mut swapped, &mut sealed_as);
                swapped.iter().for_each(tell_swapped);
                if let Some(on_seal) = &mut on_seal {
                    sealed_as.iter().for_each(|path| on_seal.tell(path));
                }
                match sealed {
                    Ok((totals, segments)) => Written { totals, segments, ..Written::default() },
                    Err(error) => Written { seal_error: Some(error), ..unsealed },
                }
            }
            Sink::Stream(_) if self.stream_error.is_some() => {
                Written { seal_error: self.stream_error.take(), ..unsealed }
            }
            Sink::Stream(stream) => match stream.finish().and_then(|(mut out, totals)| out.flush().map(|()| totals)) {
                Ok(totals) => Written { totals, segments, ..Written::default() },
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => unsealed,
                Err(error) => Written { seal_error: Some(error), ..unsealed },
            },
        };
        Written { on_seal, ..written }
    }
}

fn tell_swapped(swapped: &Swapped) {
    let path = swapped.path.display().to_string();
    let path = path.escape_debug();
    say::error(&match &swapped.sealed {
        Some(sealed) => format!(
            "{path} is not the segment that was written there: another file was put in its place, and is left as it \
             is; the segment is sealed as {}",
            sealed.display().to_string().escape_debug()
        ),
        None => format!(
            "{path} is not the segment that was written there: another file was put in its place and the segment was \
             removed, so it is lost; the other file is left as it is, and not sealed"
        ),
    });
}

/// Records as blocks; none when there are none.
pub fn in_blocks(block_type: BlockType, bytes: &[u8]) -> Vec<BlockBuilder> {
    let mut blocks: Vec<BlockBuilder> = Vec::new();
    for record in Records::new(bytes).flatten() {
        let fits = |block: &BlockBuilder| block.len_bytes() + record.bytes().len() <= BLOCK_BYTES;
        if !blocks.last().is_some_and(fits) {
            blocks.push(BlockBuilder::new(block_type, bytes.len().min(BLOCK_BYTES)));
        }
        if let Some(block) = blocks.last_mut() {
            block.push(&record.header, record.bytes());
        }
    }
    blocks
}

fn encode_probe(report: &ProbeReport, out: &mut Vec<u8>) {
    let fixed = ProbeStatusFixed {
        state: report.state.0,
        errno: report.errno,
        tier: report.tier.0,
        ..ProbeStatusFixed::default()
    };
    let header = Header { time_ns: boottime_ns(), ..Header::default() };
    let (probe, target, message) = (report.probe.as_bytes(), report.target.as_bytes(), report.message.as_bytes());
    ProbeStatus { fixed, probe, target, message, ..ProbeStatus::default() }.encode(header, out);
}
