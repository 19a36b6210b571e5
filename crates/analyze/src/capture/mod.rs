//! Everything the lifecycle records of one capture tell: processes, clock, loss, probes, cost.
//!
//! A capture is all segments with the same capture id. It is filled record by record in capture order and then only read.

pub mod certificate_files;
pub mod clock;
pub mod connections;
pub mod libraries;
pub mod timeline;

use crate::capture::certificate_files::CertificateFiles;
use crate::capture::clock::WallClock;
use crate::capture::connections::Handshakes;
use crate::capture::libraries::{HandshakeCalls, Libraries, LoadedFiles};
use crate::capture::timeline::Timeline;
use crate::words::kernel::OpenFlags;
use crypto_trace_format::record::{
    CertificateFile, Clock, Comm, Header, Inventory, InventoryFixed, Kind, LibraryInfo, Loss, LossCause, ProbeState,
    ProbeStatus, Protocol, Record, RecordError, SelfStats, SelfStatsFixed, Suppressed, SuppressionReason, TlsHello,
};
use crypto_trace_format::segment::{ClockAnchor, SegmentMeta};
use std::collections::BTreeMap;

/// Distinct probes and distinct kinds of loss that are kept; a real capture has some dozens.
const MAX_ROWS: usize = 4_096;

/// Bytes that are kept of the name, the target and the message of a probe.
const MAX_PROBE_TEXT: usize = 1_024;

/// Clock anchors that are kept; one every 10 s makes 100,000 in eleven days.
const MAX_ANCHORS: usize = 1 << 20;

/// What is missing of one kind for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LossRow {
    /// How many records.
    pub count: u64,
    /// Earliest, boot time.
    pub from_ns: u64,
    /// Latest, boot time.
    pub to_ns: u64,
}

impl Default for LossRow {
    fn default() -> Self {
        Self { count: 0, from_ns: u64::MAX, to_ns: 0 }
    }
}

impl LossRow {
    fn add(&mut self, count: u64, from_ns: u64, to_ns: u64) {
        self.count = self.count.saturating_add(count);
        self.from_ns = self.from_ns.min(from_ns);
        self.to_ns = self.to_ns.max(to_ns);
    }
}

/// Records of one kind of one user that were withheld for one reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SuppressedRow {
    /// How many records, from when to when.
    pub loss: LossRow,
    /// Bytes they would have had.
    pub bytes: u64,
    /// How many of them each process was to have written, and its name; those of no known process are under 0.
    pub processes: BTreeMap<u32, (u64, Comm)>,
}

/// What became of one probe, as last heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeRow {
    /// State.
    pub state: ProbeState,
    /// errno of a failure.
    pub errno: i32,
    /// Why, for people.
    pub message: Vec<u8>,
    /// Since when it is in this state, boot time.
    pub since_ns: u64,
}

/// Name, target and tier of a probe.
pub type ProbeKey = (Vec<u8>, Vec<u8>, u16);

/// One capture.
#[derive(Debug)]
pub struct Capture {
    /// Header of its first segment.
    pub meta: SegmentMeta,
    /// How its machine numbers open flags.
    pub open_flags: OpenFlags,
    /// Boot time to UTC.
    pub clock: WallClock,
    /// Processes.
    pub timeline: Timeline,
    /// TLS connections.
    pub handshakes: Handshakes,
    /// Crypto libraries, and their probes.
    pub libraries: Libraries,
    /// Handshakes as libraries saw them.
    pub calls: HandshakeCalls,
    /// Files that libraries were asked to load.
    pub loaded: LoadedFiles,
    /// What is missing, by kind and cause.
    pub loss: BTreeMap<(u16, LossCause), LossRow>,
    /// What was withheld, by user, kind and reason.
    pub suppressed: BTreeMap<(u32, u16, SuppressionReason), SuppressedRow>,
    /// Probes.
    pub probes: BTreeMap<ProbeKey, ProbeRow>,
    /// Latest self_stats record.
    pub self_stats: Option<SelfStatsFixed>,
    /// Connections in which no TLS began within as much as is looked at. None: the recording does not show.
    pub tls_given_up: Option<u64>,
    /// Files of certificates that were read on purpose.
    pub certificate_files: CertificateFiles,
    /// The latest look at /proc that is recorded.
    pub inventory: Option<InventoryFixed>,
    anchors: usize,
    self_stats_ns: u64,
    /// Cumulative (lost, dropped) of block headers: of the first block, and the highest.
    counters: Option<Counters>,
}

#[derive(Debug, Clone, Copy)]
struct Counters {
    base: (u64, u64),
    highest: (u64, u64),
}

impl Capture {
    /// A capture of which only the header of its first segment is known.
    pub fn new(meta: SegmentMeta) -> Self {
        let mut clock = WallClock::default();
        clock.add(meta.clock);
        Self {
            open_flags: OpenFlags::of_arch(&meta.arch),
            clock,
            timeline: Timeline::default(),
            handshakes: Handshakes::default(),
            libraries: Libraries::default(),
            calls: HandshakeCalls::default(),
            loaded: LoadedFiles::default(),
            loss: BTreeMap::new(),
            suppressed: BTreeMap::new(),
            probes: BTreeMap::new(),
            self_stats: None,
            tls_given_up: None,
            certificate_files: CertificateFiles::default(),
            inventory: None,
            anchors: 1,
            self_stats_ns: 0,
            counters: None,
            meta,
        }
    }

    /// Takes in the header of a further segment.
    pub fn add_segment(&mut self, meta: &SegmentMeta) {
        self.add_anchor(meta.clock);
    }

    /// Takes in the cumulative loss counters of a block header, in capture order. `sequence` is its segment's.
    pub fn add_counters(&mut self, sequence: u64, lost: u64, dropped: u64) {
        // Loss before the first segment that is still there is not loss of what is there.
        let base = if sequence == 0 { (0, 0) } else { (lost, dropped) };
        let counters = self.counters.get_or_insert(Counters { base, highest: base });
        counters.highest = (counters.highest.0.max(lost), counters.highest.1.max(dropped));
    }

    /// Takes in one lifecycle record.
    ///
    /// # Errors
    /// When its body is malformed.
    pub fn apply(&mut self, record: &Record<'_>) -> Result<(), RecordError> {
        match Kind(record.header.kind) {
            Clock::KIND => {
                let fixed = Clock::decode(record)?.fixed;
                self.add_anchor(ClockAnchor { boottime_ns: fixed.boottime_ns, realtime_ns: fixed.realtime_ns });
            }
            Loss::KIND => self.add_loss(&Loss::decode(record)?),
            Suppressed::KIND => self.add_suppressed(&record.header, &Suppressed::decode(record)?),
            ProbeStatus::KIND => self.add_probe(&record.header, &ProbeStatus::decode(record)?),
            LibraryInfo::KIND => self.libraries.add(&record.header, &LibraryInfo::decode(record)?),
            CertificateFile::KIND => self.certificate_files.add(&record.header, &CertificateFile::decode(record)?),
            Inventory::KIND => self.inventory = Some(Inventory::decode(record)?.fixed),
            SelfStats::KIND => self.add_self_stats(&record.header, SelfStats::decode(record)?.fixed),
            _ => self.timeline.apply(record)?,
        }
        Ok(())
    }

    /// Records missing from the capture: lost by the kernel, and dropped by user space.
    pub fn missing(&self) -> (u64, u64) {
        let mut told = (0u64, 0u64);
        for ((_, cause), row) in &self.loss {
            let sum = if cause.is_drop() { &mut told.1 } else { &mut told.0 };
            *sum = sum.saturating_add(row.count);
        }
        let counted = self
            .counters
            .map_or((0, 0), |c| (c.highest.0.saturating_sub(c.base.0), c.highest.1.saturating_sub(c.base.1)));
        // Counters run ahead of records when the end of a capture is missing, and behind when only counters are.
        (told.0.max(counted.0), told.1.max(counted.1))
    }

    /// What looked at /proc once and attached nothing, if it is that: a snapshot.
    pub fn snapshot(&self) -> Option<InventoryFixed> {
        self.inventory.filter(|_| self.probes.is_empty())
    }

    /// Whether a probe for TLS handshakes was attached, and looked for them.
    pub fn watches_tls(&self) -> bool {
        self.watches_wire() && self.meta.selected.looks_for(Protocol::TLS)
    }

    /// Whether a probe for hellos from the network was attached, of whatever protocol.
    pub fn watches_wire(&self) -> bool {
        // Another one, of the same name, only tells which process a socket belongs to.
        self.probes.iter().any(|((probe, target, _), row)| {
            row.state == ProbeState::ATTACHED
                && probe.as_slice() == TlsHello::LAYOUT.name.as_bytes()
                && target.starts_with(b"cgroup_skb")
        })
    }

    /// Probes that are not attached although they were wanted, or were not all the time.
    pub fn broken_probes(&self) -> impl Iterator<Item = (&ProbeKey, &ProbeRow)> {
        self.probes.iter().filter(|((probe, ..), row)| {
            let has_gaps = probe == b"api_call" && row.state == ProbeState::ATTACHED && !row.message.is_empty();
            has_gaps || matches!(row.state, ProbeState::FAILED | ProbeState::DETACHED)
        })
    }

    fn add_anchor(&mut self, anchor: ClockAnchor) {
        if self.anchors < MAX_ANCHORS {
            self.anchors += 1;
            self.clock.add(anchor);
        }
    }

    fn add_suppressed(&mut self, header: &Header, suppressed: &Suppressed<'_>) {
        let fixed = suppressed.fixed;
        let mut key = (header.uid, fixed.suppressed_kind, SuppressionReason(fixed.reason));
        if self.suppressed.len() >= MAX_ROWS && !self.suppressed.contains_key(&key) {
            // Of some user, for some reason.
            key = (u32::MAX, 0, SuppressionReason(0));
        }
        let row = self.suppressed.entry(key).or_default();
        row.bytes = row.bytes.saturating_add(fixed.bytes);
        row.loss.add(fixed.count, fixed.from_ns, fixed.to_ns);
        let is_new = !row.processes.contains_key(&header.tgid);
        let tgid = if is_new && row.processes.len() >= MAX_ROWS { 0 } else { header.tgid };
        let process = row.processes.entry(tgid).or_insert((0, header.comm));
        process.0 = process.0.saturating_add(fixed.count);
    }

    fn add_loss(&mut self, loss: &Loss<'_>) {
        let fixed = loss.fixed;
        let mut key = (fixed.lost_kind, LossCause(fixed.cause));
        if self.loss.len() >= MAX_ROWS && !self.loss.contains_key(&key) {
            key = (0, LossCause(if key.1.is_drop() { LossCause::MALFORMED.0 } else { 0 }));
        }
        self.loss.entry(key).or_default().add(fixed.count, fixed.from_ns, fixed.to_ns);
    }

    fn add_probe(&mut self, header: &Header, status: &ProbeStatus<'_>) {
        let text = |text| libraries::short(text, MAX_PROBE_TEXT).to_vec();
        let key = (text(status.probe), text(status.target), status.fixed.tier);
        if self.probes.len() < MAX_ROWS || self.probes.contains_key(&key) {
            let state = ProbeState(status.fixed.state);
            // Every segment repeats it.
            let before = self.probes.get(&key).filter(|row| row.state == state).map_or(u64::MAX, |row| row.since_ns);
            let row = ProbeRow {
                state,
                since_ns: before.min(header.time_ns),
                errno: status.fixed.errno,
                message: text(status.message),
            };
            self.probes.insert(key, row);
        }
    }

    fn add_self_stats(&mut self, header: &Header, fixed: SelfStatsFixed) {
        if self.self_stats.is_none() || header.time_ns >= self.self_stats_ns {
            self.self_stats_ns = header.time_ns;
            self.self_stats = Some(fixed);
            self.tls_given_up = tells_given_up(header).then_some(fixed.tls_given_up);
        }
    }
}

/// Whether a self_stats record has the field that tells of connections given up.
pub fn tells_given_up(header: &Header) -> bool {
    usize::from(header.fixed_len) >= SelfStatsFixed::SIZE - size_of::<u64>()
}

/// Whether a self_stats record has its latest field, which tells what was withheld.
pub fn tells_suppressed(header: &Header) -> bool {
    usize::from(header.fixed_len) >= SelfStatsFixed::SIZE
}
