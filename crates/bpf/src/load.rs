//! Loading, attaching and reading the BPF programs.

use std::mem::{MaybeUninit, offset_of};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use crypto_trace_format::record::{KINDS, Kind, ProbeState, SocketOwner, Tier};
use libbpf_rs::skel::{OpenSkel as _, SkelBuilder as _};
use libbpf_rs::{ErrorKind, Link, MapCore as _, MapFlags, MapHandle, OpenObject};
use rustix::thread::{MembarrierCommand, membarrier};

use crate::counted::CountingProbe;
use crate::library::LibraryLink;
use crate::log::Log;
use crate::missed::{missed_returns, missed_runs};
use crate::numbers::{
    COUNTER_NO_HELLO, COUNTER_SUPPRESSED, COUNTER_TARGETS_FULL, COUNTER_UNREADABLE, COUNTER_USES_FULL, NAME_ENDING,
    NAME_WANTED, TARGET_DESCENDANT, TARGET_SEED,
};
use crate::object::is_old;
use crate::random::RandomCounts;
use crate::release;
use crate::ring::Ring;
use crate::select::{Selection, Tables};
use crate::skel::{CryptoTraceSkel, CryptoTraceSkelBuilder, OpenCryptoTraceSkel, types};
use crate::tiers::{self, Plan};
use crate::trial::{lacking, warns_of_lazy_maps};

/// What kernels are too old for that have programs of their own.
const TOO_OLD: &str = "see TLS or calls of libraries before Linux 5.17";

/// Longer than any run of our programs.
const DETACH_GRACE: std::time::Duration = std::time::Duration::from_millis(20);

/// Why the programs could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Not allowed to.
    #[error("not allowed to load BPF programs: {0}")]
    Permission(libbpf_rs::Error),
    /// The kernel lacks something.
    #[error("this kernel lacks {what}")]
    Unsupported {
        /// What it lacks.
        what: &'static str,
    },
    /// Anything else.
    #[error("cannot {action}: {source}")]
    Failed {
        /// What was tried.
        action: &'static str,
        /// What libbpf said.
        source: libbpf_rs::Error,
        /// What libbpf and the kernel's verifier said before that, in many lines; it may be empty.
        log: String,
    },
}

impl LoadError {
    pub(crate) fn new(action: &'static str, source: libbpf_rs::Error) -> Self {
        // The verifier refuses programs with EACCES, which is no matter of permission.
        if source.kind() == ErrorKind::PermissionDenied && os_error(&source) != Some(EACCES) {
            Self::Permission(source)
        } else {
            Self::Failed { action, source, log: String::new() }
        }
    }
}

/// Sizes of the two rings in bytes: powers of two and multiples of the page size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingSizes {
    /// exec, fork, exit.
    pub lifecycle_bytes: u32,
    /// Everything else.
    pub events_bytes: u32,
}

impl RingSizes {
    /// Both rings together.
    pub fn total(self) -> u64 {
        u64::from(self.lifecycle_bytes) + u64::from(self.events_bytes)
    }
}

/// What became of one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeReport {
    /// What it records.
    pub probe: &'static str,
    /// Kernel mechanism.
    pub tier: Tier,
    /// What it is attached to.
    pub target: &'static str,
    /// Attached, failed, skipped.
    pub state: ProbeState,
    /// errno of a failure, positive; 0 when there is none.
    pub errno: i32,
    /// Why, for people; empty when attached.
    pub message: String,
}

impl ProbeReport {
    /// TLS that cannot be seen, and why.
    pub fn failed_tls(message: String) -> Self {
        let (probe, target) = ("tls_hello", "cgroup_skb");
        Self { probe, tier: Tier::CGROUP_SKB, target, state: ProbeState::FAILED, errno: 0, message }
    }

    /// Library calls that cannot be seen, and why.
    pub fn failed_calls(message: String) -> Self {
        let (probe, target) = ("api_call", "uprobe");
        Self { probe, tier: Tier::UPROBE, target, state: ProbeState::FAILED, errno: 0, message }
    }
}

/// What a counter row counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CounterKind {
    /// Records of this kind.
    Kind(u16),
    /// Descendants that did not fit the targets map.
    TargetsFull,
    /// Opens whose path could not be read and so not judged.
    Unreadable,
    /// Connections in which no TLS began within as much of them as is looked at. Nothing is lost by that.
    NoTls,
    /// Records that were withheld, and there is no room to tell whose.
    Suppressed,
    /// Calls that could not be counted, as there is no room for more algorithms of the process or of all.
    UsesFull,
    /// Runs the kernel skipped because the program was active on that CPU, or because it had no room to remember a return: what
    /// they would have seen is unknown.
    MissedRun,
}

/// One row of counters, summed over all CPUs, since load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// What is counted.
    pub kind: CounterKind,
    /// Records the programs wanted to deliver.
    pub produced: u64,
    /// Of these, how many the ring refused; for rows that are not kinds, occurrences.
    pub lost: u64,
    /// When the last one was lost, `CLOCK_BOOTTIME` ns.
    pub last_lost_ns: u64,
}

/// The selected processes, as the BPF programs keep them.
pub struct Targets {
    handle: MapHandle,
}

impl Targets {
    /// Ids of all selected processes, in no order.
    pub fn tgids(&self) -> Vec<u32> {
        self.handle.keys().filter_map(|key| key.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))).collect()
    }
}

/// A process that listens, as /proc tells it.
#[derive(Debug, Clone, Copy)]
pub struct ListenerOwner {
    /// Process id.
    pub tgid: u32,
    /// Start, rounded down to the clock tick.
    pub start_ns: u64,
    /// Real user id.
    pub uid: u32,
    /// Real group id.
    pub gid: u32,
    /// Name, NUL padded.
    pub comm: [u8; 16],
}

/// The loaded programs. Dropping it detaches them.
pub struct Programs {
    links: Vec<Link>,
    /// What became of the probes that were attached when the programs were loaded.
    reports: Vec<ProbeReport>,
    pub(crate) library_links: Vec<LibraryLink>,
    pub(crate) counters: Vec<CountingProbe>,
    pub(crate) skel: CryptoTraceSkel<'static>,
    /// Whether the programs for TLS are loaded.
    tls: bool,
}

impl Programs {
    /// Loads the programs with `selection` compiled into their read-only memory and maps.
    ///
    /// # Errors
    /// [`LoadError`]: no privileges, a kernel without BTF or ring buffers, or a refusal of the verifier.
    pub fn load(selection: &Selection, rings: RingSizes) -> Result<Self, LoadError> {
        let log = Log::begin();
        if is_old() && (selection.library_calls.is_some() || !selection.tls_cgroups.is_empty()) {
            let source = std::io::Error::from(std::io::ErrorKind::Unsupported).into();
            return Err(LoadError::Failed { action: TOO_OLD, source, log: String::new() });
        }
        let loaded = Self::load_best(selection, rings);
        match loaded {
            Err(LoadError::Failed { action, source, .. }) => Err(match lacking() {
                Some(what) => LoadError::Unsupported { what },
                None => LoadError::Failed { action, source, log: log.text() },
            }),
            loaded => loaded,
        }
    }

    fn load_best(selection: &Selection, rings: RingSizes) -> Result<Self, LoadError> {
        if !std::path::Path::new("/sys/kernel/btf/vmlinux").exists() {
            return Err(LoadError::Unsupported { what: "BTF (CONFIG_DEBUG_INFO_BTF, /sys/kernel/btf/vmlinux)" });
        }
        let tables = Tables::new(selection);
        let mut plan = Plan::new(selection)?;
        loop {
            match Self::load_plan(selection, rings, &tables, &plan) {
                Ok(mut programs) => {
                    programs.attach_calls(&plan);
                    let Some(next) = plan.after_attaching(&programs.reports) else { return Ok(programs) };
                    plan = next;
                }
                Err(error) => plan = plan.after_refused_load().ok_or(error)?,
            }
        }
    }

    fn load_plan(selection: &Selection, rings: RingSizes, tables: &Tables, plan: &Plan) -> Result<Self, LoadError> {
        // The skeleton borrows this for as long as it lives, which is as long as the process: a few hundred bytes.
        let storage: &'static mut MaybeUninit<OpenObject> = Box::leak(Box::new(MaybeUninit::uninit()));
        let mut open =
            CryptoTraceSkelBuilder::default().open(storage).map_err(|e| LoadError::new("open the BPF object", e))?;
        let rodata =
            open.maps.rodata_data.as_deref_mut().ok_or(LoadError::Unsupported { what: "read-only BPF data" })?;
        tables.configure(selection, rings, rodata);
        rodata.sys_exit_parts = plan.sys_exit_parts();
        plan.choose(&mut open);
        let progs = &mut open.progs;
        for program in [&mut progs.socket_state, &mut progs.tls_egress, &mut progs.tls_ingress] {
            program.set_autoload(!selection.tls_cgroups.is_empty());
        }
        for program in [&mut progs.library_enter, &mut progs.library_return, &mut progs.what_is_mapped] {
            program.set_autoload(selection.library_calls.is_some());
        }
        progs.library_count.set_autoload(selection.library_calls.is_some() && selection.algorithms);
        if warns_of_lazy_maps() && (plan.needs_kprobes() || selection.library_calls.is_some()) {
            fill_maps_ahead(&mut open).map_err(|e| LoadError::new("size the maps", e))?;
        }
        if selection.comms.is_empty() {
            let size = open.maps.images.set_max_entries(1);
            size.map_err(|e| LoadError::new("size the maps", e))?;
        }
        let set = |e| LoadError::new("size the ring buffers", e);
        open.maps.lifecycle_ring.set_max_entries(rings.lifecycle_bytes).map_err(set)?;
        open.maps.events_ring.set_max_entries(rings.events_bytes).map_err(set)?;
        let skel = open.load().map_err(|e| LoadError::new("load the BPF programs", e))?;
        let programs = Self {
            links: Vec::new(),
            reports: Vec::new(),
            library_links: Vec::new(),
            counters: Vec::new(),
            skel,
            tls: !selection.tls_cgroups.is_empty(),
        };
        programs.fill_maps(selection, tables).map_err(|e| LoadError::new("fill the BPF filter maps", e))?;
        Ok(programs)
    }

    /// The life of processes first, so that none whose calls are seen is unknown.
    fn attach_calls(&mut self, plan: &Plan) {
        let progs = &self.skel.progs;
        let tracing = [
            (&progs.process_exec, "process_exec", "tp_btf:sched_process_exec"),
            (&progs.process_fork, "process_fork", "tp_btf:sched_process_fork"),
            (&progs.process_exit, "process_exit", "tp_btf:sched_process_exit"),
        ];
        for (program, probe, target) in tracing {
            self.reports.push(report(probe, Tier::RAW_TRACEPOINT, target, program.attach(), &mut self.links));
        }
        self.reports.extend(plan.attach(&self.skel, &mut self.links));
    }

    fn fill_maps(&self, selection: &Selection, tables: &Tables) -> libbpf_rs::Result<()> {
        let maps = &self.skel.maps;
        for key in &tables.names {
            maps.names.update(key, &[NAME_WANTED], MapFlags::ANY)?;
        }
        for key in &tables.endings {
            maps.names.update(key, &[NAME_ENDING], MapFlags::ANY)?;
        }
        for key in &tables.directories {
            maps.directories.update(key, &[1], MapFlags::ANY)?;
        }
        for key in &tables.libraries {
            maps.libraries.update(key, &[1], MapFlags::ANY)?;
        }
        for key in &tables.prefixes {
            maps.prefixes.update(key, &[1], MapFlags::ANY)?;
        }
        for uid in &selection.uids {
            maps.uids.update(&uid.to_ne_bytes(), &[1], MapFlags::ANY)?;
        }
        for (i, cgroup) in (0u32..).zip(&selection.cgroups) {
            maps.cgroups.update(&i.to_ne_bytes(), &cgroup.as_raw_fd().to_ne_bytes(), MapFlags::ANY)?;
        }
        Ok(())
    }

    /// A handle for asking, from any thread, which processes are selected now.
    ///
    /// # Errors
    /// When the map's descriptor cannot be duplicated.
    pub fn targets(&self) -> Result<Targets, LoadError> {
        let handle = MapHandle::try_from(&self.skel.maps.targets).map_err(|e| LoadError::new("duplicate a map", e))?;
        Ok(Targets { handle })
    }

    /// A handle for reading, from any thread, how often processes asked for random bytes.
    ///
    /// # Errors
    /// When the map's descriptor cannot be duplicated.
    pub fn random_counts(&self) -> Result<RandomCounts, LoadError> {
        let map = MapHandle::try_from(&self.skel.maps.random_counts);
        map.map(RandomCounts::new).map_err(|e| LoadError::new("duplicate a map", e))
    }

    /// Selects a process. `descendant` says whether it is one of a selected process, to which name filters do not apply.
    ///
    /// # Errors
    /// When the map is full.
    pub fn add_target(&self, tgid: u32, descendant: bool) -> Result<(), LoadError> {
        let value = if descendant { TARGET_DESCENDANT } else { TARGET_SEED };
        self.skel
            .maps
            .targets
            .update(&tgid.to_ne_bytes(), &[value], MapFlags::ANY)
            .map_err(|e| LoadError::new("add a process to the filter", e))
    }

    /// Says that the executable of a process that was there before has a wanted name. The programs find that out themselves,
    /// except of one that does nothing but end.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn add_image(&self, tgid: u32) -> Result<(), LoadError> {
        let mut value = [0; size_of::<types::ct_image>()];
        let at = offset_of!(types::ct_image, wanted);
        if let Some(wanted) = value.get_mut(at..at + size_of::<u64>()) {
            wanted.copy_from_slice(&1u64.to_ne_bytes());
        }
        let images = &self.skel.maps.images;
        match images.update(&tgid.to_ne_bytes(), &value, MapFlags::NO_EXIST) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                Err(LoadError::new("add a process to the filter", error))
            }
            _ => Ok(()),
        }
    }

    /// Makes a process the owner of a listening socket, and of the connections accepted from it from now on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn own_listener(&self, socket: BorrowedFd<'_>, owner: &ListenerOwner) -> Result<(), LoadError> {
        let [listener, _] = SocketOwner::LISTENER.0.to_le_bytes();
        // The map's value, by the layout that the skeleton tells.
        let mut value = [0; size_of::<types::ct_socket>()];
        let mut put = |offset: usize, bytes: &[u8]| {
            if let Some(place) = value.get_mut(offset..offset + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        };
        put(offset_of!(types::ct_socket, start_ns), &owner.start_ns.to_ne_bytes());
        put(offset_of!(types::ct_socket, tgid), &owner.tgid.to_ne_bytes());
        put(offset_of!(types::ct_socket, tid), &owner.tgid.to_ne_bytes());
        put(offset_of!(types::ct_socket, uid), &owner.uid.to_ne_bytes());
        put(offset_of!(types::ct_socket, gid), &owner.gid.to_ne_bytes());
        put(offset_of!(types::ct_socket, comm), &owner.comm);
        put(offset_of!(types::ct_socket, owner), &[listener]);
        put(offset_of!(types::ct_socket, wanted), &[1]);
        put(offset_of!(types::ct_socket, start_is_tick), &[1]);
        self.skel
            .maps
            .sockets
            .update(&socket.as_raw_fd().to_ne_bytes(), &value, MapFlags::ANY)
            .map_err(|e| LoadError::new("tell the owner of a listening socket", e))
    }

    /// Attaches the programs for TLS to these cgroups; one that fails does not keep the others from being attached. Returns
    /// what became of them and of all that were attached when they were loaded.
    pub fn attach(&mut self, tls_cgroups: &[OwnedFd]) -> Vec<ProbeReport> {
        let progs = &self.skel.progs;
        let mut reports = std::mem::take(&mut self.reports);
        let mut report = |tier, target, attached| {
            reports.push(report("tls_hello", tier, target, attached, &mut self.links));
        };
        if !tls_cgroups.is_empty() {
            // Owners first, so that there is no packet of a socket whose owner could have been known.
            report(Tier::RAW_TRACEPOINT, "tp_btf:inet_sock_set_state", progs.socket_state.attach());
        }
        for cgroup in tls_cgroups {
            let packets = [(&progs.tls_egress, "cgroup_skb:egress"), (&progs.tls_ingress, "cgroup_skb:ingress")];
            for (program, target) in packets {
                report(Tier::CGROUP_SKB, target, program.attach_cgroup(cgroup.as_raw_fd()));
            }
        }
        reports
    }

    /// Detaches every program. When this returns none is running any more: what they produced is in the rings.
    pub fn detach(&mut self) {
        let counting = self.counters.iter().filter_map(|probe| probe.link.as_ref());
        let held: Vec<OwnedFd> = self
            .library_links
            .iter()
            .map(|held| &held.link)
            .chain(counting)
            .filter_map(|link| link.as_fd().try_clone_to_owned().ok())
            .collect();
        self.library_links.clear();
        self.counters.iter_mut().for_each(|probe| probe.link = None);
        self.links.clear();
        release::all(held);
        // One that had begun may still run on another CPU: this waits for all that had (synchronize_rcu).
        if membarrier(MembarrierCommand::Global).is_err() {
            // Not there, or refused with nohz_full; a run takes microseconds.
            std::thread::sleep(DETACH_GRACE);
        }
    }

    /// Sums of all counters that are not zero.
    ///
    /// # Errors
    /// When a map cannot be read.
    pub fn counters(&self) -> Result<Vec<Counters>, LoadError> {
        let kinds = KINDS.iter().map(|layout| Kind(layout.kind)).filter(|kind| kind.is_from_bpf());
        let kinds = kinds.map(|kind| (u32::from(kind.0), CounterKind::Kind(kind.0)));
        let others = [
            (COUNTER_TARGETS_FULL, CounterKind::TargetsFull),
            (COUNTER_UNREADABLE, CounterKind::Unreadable),
            (COUNTER_NO_HELLO, CounterKind::NoTls),
            (COUNTER_SUPPRESSED, CounterKind::Suppressed),
            (COUNTER_USES_FULL, CounterKind::UsesFull),
        ];
        let mut rows = Vec::new();
        for (row, kind) in kinds.chain(others) {
            let per_cpu = self
                .skel
                .maps
                .counters
                .lookup_percpu(&row.to_ne_bytes(), MapFlags::ANY)
                .map_err(|e| LoadError::new("read the BPF counters", e))?;
            let mut sum = Counters { kind, produced: 0, lost: 0, last_lost_ns: 0 };
            for cpu in per_cpu.unwrap_or_default() {
                let word = |i: usize| {
                    cpu.get(i * 8..).and_then(|tail| tail.first_chunk()).map_or(0, |bytes| u64::from_ne_bytes(*bytes))
                };
                sum.produced += word(0);
                sum.lost += word(1);
                sum.last_lost_ns = sum.last_lost_ns.max(word(2));
            }
            if sum.produced != 0 || sum.lost != 0 {
                rows.push(sum);
            }
        }
        let progs = &self.skel.progs;
        let mut programs = vec![&progs.process_exec, &progs.process_fork, &progs.process_exit];
        if self.tls {
            programs.push(&progs.socket_state);
        }
        let programs = programs.into_iter().map(|program| program.as_fd()).chain(tiers::loaded(&self.skel));
        let returns = self.links.iter().filter_map(|link| missed_returns(link.as_fd()));
        let missed: u64 = programs.filter_map(missed_runs).chain(returns).sum();
        if missed > 0 {
            // When is not known: the caller's reading says by when.
            rows.push(Counters { kind: CounterKind::MissedRun, produced: 0, lost: missed, last_lost_ns: u64::MAX });
        }
        Ok(rows)
    }

    /// Descriptors of the two rings. Readable whenever there is data, so wait for them edge-triggered: then only the
    /// programs' own wakeups, sent when a ring is a quarter full, end the wait.
    pub fn ring_fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.skel.maps.lifecycle_ring.as_fd(), self.skel.maps.events_ring.as_fd()]
    }

    /// The readers of the two rings, of which there must be no others at the same time.
    ///
    /// # Errors
    /// When a ring cannot be mapped.
    pub fn rings(&self) -> Result<Rings, LoadError> {
        let open = |map: &libbpf_rs::MapMut<'_>| {
            Ring::open(map.as_fd(), map.max_entries()).map_err(|e| LoadError::new("map a ring buffer", e.into()))
        };
        Ok(Rings { lifecycle: open(&self.skel.maps.lifecycle_ring)?, events: open(&self.skel.maps.events_ring)? })
    }
}

/// Keeps the link of a probe that was attached.
pub(crate) fn report(
    probe: &'static str,
    tier: Tier,
    target: &'static str,
    attached: libbpf_rs::Result<Link>,
    links: &mut Vec<Link>,
) -> ProbeReport {
    match attached {
        Ok(link) => {
            links.push(link);
            plain_report(probe, tier, target, ProbeState::ATTACHED, "")
        }
        Err(error) => ProbeReport {
            errno: errno_of(error.kind()),
            // With its causes: what was tried alone is no reason.
            ..plain_report(probe, tier, target, ProbeState::FAILED, &format!("{error:#}"))
        },
    }
}

/// A report without an error of the system.
pub(crate) fn plain_report(
    probe: &'static str,
    tier: Tier,
    target: &'static str,
    state: ProbeState,
    message: &str,
) -> ProbeReport {
    ProbeReport { probe, tier, target, state, errno: 0, message: message.to_owned() }
}

/// Entries of the large maps where all of them are allocated ahead.
const ENTRIES_AHEAD: u32 = 8192;

/// Has the maps of kprobes and uprobes allocate all of their entries when they are made.
fn fill_maps_ahead(open: &mut OpenCryptoTraceSkel<'_>) -> libbpf_rs::Result<()> {
    let maps = &mut open.maps;
    let large = [&mut maps.targets, &mut maps.uses, &mut maps.random_counts, &mut maps.threads, &mut maps.jumps];
    for map in large.into_iter().chain([&mut maps.suppressed]) {
        map.set_max_entries(ENTRIES_AHEAD)?;
        map.set_map_flags(0)?;
    }
    [&mut maps.names, &mut maps.directories, &mut maps.uids].into_iter().try_for_each(|map| map.set_map_flags(0))
}

/// Readers of the two rings.
pub struct Rings {
    lifecycle: Ring,
    events: Ring,
}

impl Rings {
    /// Calls `each` with the bytes of at most `max` lifecycle records; returns how many there were.
    pub fn drain_lifecycle(&mut self, max: usize, each: impl FnMut(&[u8])) -> usize {
        self.lifecycle.drain(max, each)
    }

    /// Calls `each` with the bytes of at most `max` events; returns how many there were.
    pub fn drain_events(&mut self, max: usize, each: impl FnMut(&[u8])) -> usize {
        self.events.drain(max, each)
    }
}

const EACCES: i32 = 13;

/// The system's own error number, when the error comes from the system.
pub(crate) fn os_error(error: &libbpf_rs::Error) -> Option<i32> {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return error.raw_os_error();
        }
        source = error.source();
    }
    // libbpf-rs does not hand out an error that is the system's own and nothing else, but it shows it.
    let text = error.to_string();
    text.split("(os error ").nth(1)?.split(')').next()?.parse().ok()
}

/// errno of a libbpf error kind, for the record; 0 when it has none that matters.
pub(crate) fn errno_of(kind: ErrorKind) -> i32 {
    match kind {
        ErrorKind::PermissionDenied => 1,
        ErrorKind::NotFound => 2,
        ErrorKind::AlreadyExists => 17,
        ErrorKind::InvalidInput => 22,
        _ => 0,
    }
}
