//! A recording as it goes: the drain thread's loop, from the first record to the sealed end.

pub(crate) mod drain;
pub(crate) mod filter;
pub(crate) mod kernel_crypto;
pub(crate) mod prepare;
mod random;
pub(crate) mod service;
pub(crate) mod signals;
pub(crate) mod stats;
mod wait;

use crate::args::{CaptureArgs, UsageError};
use crate::child::{Child, CommandOutput};
use crate::clock::{self, ClockWatch, boottime_ns, read_anchor};
use crate::exit::Failure;
use crate::libraries::{Counts, Libraries, Notices};
use crate::limits;
use crate::limits::allocator;
use crate::limits::privileges;
use crate::limits::seccomp;
use crate::on_seal::OnSeal;
use crate::out::destination::{Destination, Place};
use crate::out::renderer::{Renderer, RendererCommand};
use crate::out::stream;
use crate::out::writer::{Message, Opening, Shared, Writer, Written};
use crate::proc::host::segment_meta;
use crate::proc::table::{Table, TableFilter};
use crate::proc::watched::Watched;
use crate::say::outcome::{Outcome, Stop, exit_code, tell_outcome, tell_probes, tell_unmapped};
use crate::say::report::{Numbers, Reporter};
use crate::session::drain::{Blocks, Drained, drain, flush, unwritten};
use crate::session::filter::RecordFilter;
use crate::session::prepare::{
    add_descendants, check_probes, libraries, load, privacy, selection, table_filter, tell_programs, tls_cgroups,
};
use crate::session::random::RandomTally;
use crate::session::service::Notifier;
use crate::session::signals::Signals;
use crate::session::stats::Accounting;
use crate::session::wait::wait;
use anyhow::Context as _;
use crypto_trace_bpf::{Programs, SuppressedTally};
use crypto_trace_format::record::ProbeState;
use rustix::event::epoll;
use rustix::process::Signal;
use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

/// Blocks that may wait for the writer.
const QUEUE_BLOCKS: usize = 6;

/// How often the kernel's counters and the clocks are looked at.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How often the capture's own cost is recorded.
const SELF_STATS_INTERVAL: Duration = Duration::from_secs(10);

/// How long a stop may take when the writer is stuck.
const STOP_PATIENCE: Duration = Duration::from_millis(800);

/// Records counted and thrown away in one go when the writer is stuck at the end.
const DISCARD_PER_PASS: usize = 65_536;

/// Nice value of our threads.
const DRAIN_NICE: i32 = -10;

/// Records, once the arguments are checked. Returns the exit code.
///
/// # Errors
/// [`Failure`] with the exit code that belongs to it.
pub fn capture(args: &CaptureArgs, destination: &Destination<'_>) -> Result<u8, Failure> {
    if let Some(missing) = privileges::missing() {
        return Err(Failure::privileges(format!(
            "recording needs CAP_BPF and CAP_PERFMON, or root; missing: {missing} (try sudo)"
        )));
    }
    let by_process = !args.command.is_empty() || !args.pid.is_empty();
    if by_process && !privileges::in_initial_pid_namespace() {
        return Err(Failure::unsupported(
            "in a separate PID namespace the kernel's process ids are not ours: run on the host, or select by --cgroup"
                .into(),
        ));
    }
    allocator::keep_little();
    limits::raise_descriptors();
    let signals = Signals::install().context("cannot install signal handlers")?;
    // Before anything is attached: what cannot be shown need not be recorded.
    let renderer = match destination {
        Destination::Record(_) => None,
        Destination::Renderer { words, output } => Some(RendererCommand::new(words.clone(), *output)?),
    };
    // Before anything is given up: it becomes another user.
    let on_seal = match destination {
        Destination::Record(args) => OnSeal::start(args)?,
        Destination::Renderer { .. } => None,
    };
    let reporter = Reporter::start(args.stats_interval, args.metrics_file.as_deref())?;

    let mut selection = selection(args)?;
    let table = table_filter(args, &selection)?;
    // Reads libraries while the programs are loaded.
    let mut libraries = libraries(args)?;
    let (tls_cgroups, tls_failure) = tls_cgroups(args)?;
    selection.tls_cgroups = tls_cgroups;
    let mut failures = Vec::from_iter(tls_failure);
    // From when on records may be lost.
    let before_attaching_ns = boottime_ns();
    let mut programs = load(args, &mut selection, &mut libraries, &mut failures)?;
    let command = start_command(args, destination.takes_stdout())?;
    // The drain thread works seldom and briefly, but then at once: a ring that is not emptied in time loses records, and that may
    // already be filling. Without the privilege it does what it can. Not before the command, which would inherit it.
    let _ = rustix::process::setpriority_process(None, DRAIN_NICE);
    if let Some(child) = &command {
        programs.add_target(child.tgid(), true)?;
    }
    let watched = Watched::open(&args.pid)?;
    for pid in &args.pid {
        programs.add_target(*pid, false)?;
    }
    if args.follow_children {
        add_descendants(&programs, &args.pid)?;
    }
    let table = TableFilter {
        targets: by_process.then(|| programs.targets()).transpose()?,
        gate: command.as_ref().map(Child::tgid),
        ..table
    };
    let mut before = Table::default();
    if !args.pid.is_empty() {
        // One that ends before the table proper is read has events all the same.
        table.encode(&mut before);
    }
    if !args.pid.is_empty() || !args.name.is_empty() || !args.uid.is_empty() {
        tell_programs(args, &programs, &table, !selection.tls_cgroups.is_empty());
    }
    let mut probes = programs.attach(&selection.tls_cgroups);
    probes.append(&mut failures);
    if selection.kernel_crypto {
        probes.extend(kernel_crypto::reports());
    }
    check_probes(args, &probes)?;
    if args.verbose {
        tell_probes(args, &probes);
    }
    if let Some(libraries) = &mut libraries {
        programs.set_functions(libraries.functions())?;
        libraries.attach_first(&mut programs);
    }
    // Before rings and blocks need memory.
    allocator::trim();
    let sink = destination.open(renderer)?;
    privileges::give_up(libraries.is_some()).context("cannot give up capabilities")?;

    let records = libraries.as_ref().map(|libraries| libraries.records.clone()).unwrap_or_default();
    let opening = Opening { table, before, probes, libraries: records };
    let (mut session, renderer) =
        Session::start(args, programs, libraries, opening, (sink, on_seal), before_attaching_ns)?;
    if !args.follow_children {
        // Their descendants may live on.
        session.watched = watched;
    }
    session.reporter = reporter;
    if let Some(child) = &command {
        // What the command does is not to be found in /proc as well.
        session.wait_for_table(args);
        child.release().context("cannot start the command")?;
    }
    let stop = session.record(args, &signals, command.as_ref())?;
    session.notifier.stopping();
    let mut outcome = session.finish()?;
    let on_seal = outcome.written.on_seal.take();
    let rendered = renderer.map_or(Ok(()), |renderer| renderer.finish(&signals, stop == Stop::Signal));
    tell_outcome(args, &outcome, stop);
    if let (Stop::PipeClosed, Some(child)) = (stop, &command) {
        child.outlast(&signals).context("cannot wait for the command")?;
    }
    if let Some(on_seal) = on_seal {
        on_seal.finish(&signals);
    }
    rendered?;
    exit_code(outcome, stop, destination.is_stream())
}

fn start_command(args: &CaptureArgs, stdout_is_taken: bool) -> Result<Option<Child>, Failure> {
    if args.command.is_empty() {
        return Ok(None);
    }
    let output = if stdout_is_taken { CommandOutput::Stderr } else { CommandOutput::Inherit };
    Ok(Some(Child::start(&args.command, output).context("cannot start the command")?))
}

/// A running capture.
struct Session {
    programs: Programs,
    blocks: RefCell<Blocks>,
    queue: Option<SyncSender<Message>>,
    writer: Option<std::thread::JoinHandle<Written>>,
    shared: Arc<Shared>,
    clock: ClockWatch,
    random: Option<RandomTally>,
    suppressed: SuppressedTally,
    pressure_bits: u32,
    ring_bytes: u64,
    last_self_stats: Instant,
    table_read: Receiver<Vec<u8>>,
    libraries: Option<Libraries>,
    watched: Watched,
    reporter: Option<Reporter>,
    notifier: Notifier,
    /// Attached ones, and those that failed.
    probes: (u64, u64),
    flush_interval: Duration,
    /// What is written to, to notice that a reader is gone.
    streams: Vec<OwnedFd>,
}

impl Session {
    fn start(
        args: &CaptureArgs,
        programs: Programs,
        libraries: Option<Libraries>,
        opening: Opening,
        (place, on_seal): (Place<'_>, Option<OnSeal>),
        before_attaching_ns: u64,
    ) -> Result<(Self, Option<Renderer>), Failure> {
        let (anchor, _) = read_anchor();
        let meta = segment_meta(args.selected(), anchor);
        let shared = Arc::new(Shared::default());
        let flush_interval = place.flush_interval();
        let (sink, streams, renderer) = place.begin(meta, &shared)?;
        let count = |state| opening.probes.iter().filter(|probe| probe.state == state).count() as u64;
        let probes = (count(ProbeState::ATTACHED), count(ProbeState::FAILED));
        let (queue, messages) = sync_channel(QUEUE_BLOCKS);
        let (recycle, recycled) = channel();
        let (table, table_read) = channel();
        let writer = Writer::new(sink, on_seal, opening, Arc::clone(&shared), recycle, table);
        let writer = std::thread::Builder::new()
            .name("ct-writer".to_owned())
            .spawn(move || writer.run(&messages))
            .context("cannot start the writer thread")?;
        let filter = RecordFilter::new(&args.file, &args.library).map_err(|error| UsageError(error.to_string()))?;
        let random =
            args.kernel_crypto().is_wanted().then(|| programs.random_counts()).transpose()?.map(RandomTally::new);
        let notices = libraries.is_some().then(Notices::default);
        let blocks = Blocks::new(filter, privacy(args)?, notices, recycled, Accounting::new(before_attaching_ns));
        let finder = libraries.as_ref().map(|libraries| ("the finder of libraries", libraries.heartbeat.clone()));
        let threads = finder.into_iter().chain([("the writer", shared.heartbeat.clone())]);
        let session = Self {
            ring_bytes: args.ring_sizes()?.total(),
            programs,
            libraries,
            blocks: RefCell::new(blocks),
            queue: Some(queue),
            writer: Some(writer),
            shared,
            clock: ClockWatch::new(anchor),
            random,
            suppressed: SuppressedTally::default(),
            pressure_bits: 0,
            last_self_stats: Instant::now(),
            table_read,
            watched: Watched::default(),
            reporter: None,
            notifier: Notifier::new(threads),
            probes,
            flush_interval,
            streams,
        };
        Ok((session, renderer))
    }

    /// Waits until the processes that are there already are known.
    fn wait_for_table(&self, args: &CaptureArgs) {
        // An error is a writer that has ended: the end of the recording will say why.
        if let Ok(table) = self.table_read.recv() {
            self.look_at_table(args, &table);
        }
    }

    /// Looks for the libraries of processes that are there already, and says which that `-l` selects nothing has mapped.
    fn look_at_table(&self, args: &CaptureArgs, table: &[u8]) {
        self.blocks.borrow_mut().accounting.libraries += tell_unmapped(args, table);
        if let (Some(libraries), Some(notices)) = (&self.libraries, &mut self.blocks.borrow_mut().notices) {
            libraries.look_at_records(table, notices);
        }
    }

    /// Records until something says stop.
    fn record(&mut self, args: &CaptureArgs, signals: &Signals, command: Option<&Child>) -> Result<Stop, Failure> {
        let Some(queue) = self.queue.clone() else { return Ok(Stop::Signal) };
        let epoll = self.wait_set(signals, command)?;
        let blocks = &self.blocks;
        let mut rings = self.programs.rings()?;
        let started = Instant::now();
        let flush_interval = self.flush_interval;
        let mut next_flush = started + flush_interval;
        let mut next_check = started + CHECK_INTERVAL;
        let mut rotate = false;
        self.notifier.ready();
        loop {
            let deadline = args.duration.map(|duration| started + duration);
            let drained = drain(&mut rings, blocks, &queue);
            // What was mapped may make its calls at once: it is looked at while this waits.
            if let (Some(libraries), Some(notices)) = (&self.libraries, &mut blocks.borrow_mut().notices) {
                libraries.look_at(notices);
            }
            let next_report = self.reporter.as_ref().map(Reporter::next);
            let next_notice = Some(self.notifier.next());
            let wake = [Some(next_flush), Some(next_check), deadline, next_report, next_notice]
                .into_iter()
                .flatten()
                .min()
                .unwrap_or(next_flush);
            let timeout = match drained {
                Drained::All => wake.saturating_duration_since(Instant::now()),
                // The queue is full: look again soon.
                Drained::More => Duration::from_millis(2),
            };
            wait(&epoll, timeout)?;
            if let Ok(table) = self.table_read.try_recv() {
                self.look_at_table(args, &table);
            }
            if let Some(libraries) = &mut self.libraries {
                Self::attach_libraries(libraries, &mut self.programs, blocks);
            }
            let now = Instant::now();
            let stop = self.stop_reason(signals, command, deadline.is_some_and(|deadline| now >= deadline));
            if let Some(stop) = stop {
                return Ok(stop);
            }
            rotate |= signals.take_rotate();
            if now >= next_check {
                next_check = now + CHECK_INTERVAL;
                // As long as the writer is stuck, what is counted stays where it is counted: memory must not grow.
                let is_stuck = blocks.borrow().is_backlogged();
                if !is_stuck {
                    Self::push_random(blocks, self.random.as_mut());
                }
                let counts = if is_stuck { Counts::Leave } else { Counts::Take };
                Self::push_counts(&mut self.libraries, &mut self.programs, blocks, counts)?;
                Self::check(&self.programs, blocks)?;
                if !is_stuck {
                    Self::push_losses(blocks, &mut self.clock);
                    Self::push_suppressed(blocks, &mut self.suppressed, &self.programs)?;
                }
                let bits = self.shared.pressure_bits.load(Ordering::Relaxed);
                if std::mem::replace(&mut self.pressure_bits, bits) != bits {
                    self.programs.set_pressure(bits)?;
                }
                if !is_stuck && self.last_self_stats.elapsed() >= SELF_STATS_INTERVAL {
                    self.last_self_stats = now;
                    Self::push_self_stats(blocks, &self.shared, self.ring_bytes);
                }
            }
            if next_report.is_some_and(|next| now >= next) {
                Self::report(&mut self.reporter, blocks, &self.shared, self.ring_bytes, self.probes, now);
            }
            let recorded = || blocks.borrow().accounting.recorded;
            self.notifier.goes_on(now, || format!("recording: {} events so far", recorded()));
            if now >= next_flush {
                next_flush = now + flush_interval;
                drain(&mut rings, blocks, &queue);
                flush(blocks, &queue);
            }
            if rotate && queue.try_send(Message::Rotate).is_ok() {
                rotate = false;
            }
        }
    }

    /// What was found is attached.
    fn attach_libraries(libraries: &mut Libraries, programs: &mut Programs, blocks: &RefCell<Blocks>) {
        let (records, loads) = libraries.attach_found(programs);
        blocks.borrow_mut().push_own(&records);
        blocks.borrow_mut().push_found(&loads);
    }

    fn wait_set(&self, signals: &Signals, command: Option<&Child>) -> Result<std::os::fd::OwnedFd, Failure> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).context("cannot create an epoll set")?;
        let add = |fd, flags| {
            epoll::add(&epoll, fd, epoll::EventData::new_u64(0), flags).context("cannot wait for an event source")
        };
        for ring in self.programs.ring_fds() {
            add(ring, epoll::EventFlags::IN | epoll::EventFlags::ET)?;
        }
        for signal in signals.fds() {
            add(signal, epoll::EventFlags::IN)?;
        }
        if let Some(child) = command {
            add(child.pidfd(), epoll::EventFlags::IN)?;
        }
        if let Some(libraries) = &self.libraries {
            add(libraries.wake_fd(), epoll::EventFlags::IN)?;
        }
        for process in self.watched.fds() {
            // Once: that others go on is no reason to wake up again and again.
            add(process, epoll::EventFlags::IN | epoll::EventFlags::ONESHOT)?;
        }
        for stream in &self.streams {
            // That its reader is gone is reported whatever is asked for. A file cannot be waited for, and has no reader.
            let _ = epoll::add(&epoll, stream, epoll::EventData::new_u64(0), epoll::EventFlags::empty());
        }
        Ok(epoll)
    }

    fn stop_reason(&self, signals: &Signals, command: Option<&Child>, time_is_up: bool) -> Option<Stop> {
        if let Some(exit) = command.and_then(Child::exit) {
            return Some(Stop::Command(exit));
        }
        let signalled = signals.take_stop();
        if signalled || time_is_up {
            // The command is ours: what ends the recording on purpose ends it too.
            if let Some(child) = command {
                child.signal(Signal::TERM);
            }
        }
        if signalled {
            Some(Stop::Signal)
        } else if time_is_up {
            Some(Stop::Duration)
        } else if self.shared.pipe_closed.load(Ordering::Relaxed) || self.streams.iter().any(stream::is_closed) {
            Some(Stop::PipeClosed)
        } else if self.watched.all_gone() {
            Some(Stop::ProcessesEnded)
        } else {
            None
        }
    }

    /// Reads the kernel's counters, once a second.
    fn check(programs: &Programs, blocks: &RefCell<Blocks>) -> Result<(), Failure> {
        seccomp::tell_refused();
        let counters = programs.counters()?;
        blocks.borrow_mut().accounting.update(&counters, boottime_ns());
        Ok(())
    }

    /// Loss and clock, once a second.
    fn push_losses(blocks: &RefCell<Blocks>, watch: &mut ClockWatch) {
        let mut out = Vec::new();
        let (anchor, error_ns) = read_anchor();
        let mut blocks = blocks.borrow_mut();
        blocks.accounting.encode_losses(anchor.boottime_ns, &mut out);
        if let Some(reason) = watch.check(anchor) {
            clock::encode(anchor, error_ns, reason, &mut out);
        }
        blocks.push_own(&out);
    }

    /// What was withheld of whom, since the last time.
    fn push_suppressed(
        blocks: &RefCell<Blocks>,
        tally: &mut SuppressedTally,
        programs: &Programs,
    ) -> Result<(), Failure> {
        let sums = tally.take(programs)?;
        let mut out = Vec::new();
        let mut blocks = blocks.borrow_mut();
        blocks.accounting.encode_suppressed(&sums, &mut out);
        blocks.push_own(&out);
        Ok(())
    }

    /// Where processes got random bytes, since the last time.
    fn push_random(blocks: &RefCell<Blocks>, random: Option<&mut RandomTally>) {
        let mut out = Vec::new();
        if let Some(random) = random {
            random.encode(boottime_ns(), &mut out);
        }
        blocks.borrow_mut().push_counts(&out);
    }

    /// What libraries were asked too often to be recorded one by one.
    fn push_counts(
        libraries: &mut Option<Libraries>,
        programs: &mut Programs,
        blocks: &RefCell<Blocks>,
        counts: Counts,
    ) -> Result<(), Failure> {
        if let Some(libraries) = libraries {
            let records = libraries.take_counts(programs, counts)?;
            let mut blocks = blocks.borrow_mut();
            blocks.push_counts(&records);
            if let (Counts::Take, Some(notices)) = (counts, &mut blocks.notices) {
                libraries.let_go(programs, notices);
            }
        }
        Ok(())
    }

    fn push_self_stats(blocks: &RefCell<Blocks>, shared: &Shared, ring_bytes: u64) {
        let mut out = Vec::new();
        let mut blocks = blocks.borrow_mut();
        blocks.accounting.encode_self_stats(&shared.stats, ring_bytes, boottime_ns(), &mut out);
        blocks.push_own(&out);
    }

    /// Reports the state.
    fn report(
        reporter: &mut Option<Reporter>,
        blocks: &RefCell<Blocks>,
        shared: &Shared,
        ring_bytes: u64,
        probes: (u64, u64),
        now: Instant,
    ) {
        if let Some(reporter) = reporter {
            reporter.tell(&Self::numbers(blocks, shared, ring_bytes, probes), now);
        }
    }

    fn numbers(blocks: &RefCell<Blocks>, shared: &Shared, ring_bytes: u64, probes: (u64, u64)) -> Numbers {
        let accounting = &mut blocks.borrow_mut().accounting;
        Numbers {
            stats: accounting.self_stats(&shared.stats, ring_bytes),
            ring_fill_bytes: std::mem::take(&mut accounting.ring_fill_bytes),
            segments: shared.stats.segments.load(Ordering::Relaxed),
            probes,
        }
    }

    /// Detaches, drains what is left, accounts for all of it, seals.
    fn finish(mut self) -> Result<Outcome, Failure> {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.programs.detach();
        let queue = self.queue.take();
        let blocks = &self.blocks;
        let mut rings = self.programs.rings()?;
        if let Some(queue) = queue {
            let deadline = Instant::now() + STOP_PATIENCE;
            while drain(&mut rings, blocks, &queue) == Drained::More && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
            if let Some(libraries) = &mut self.libraries {
                let mut notices = blocks.borrow_mut().notices.take().unwrap_or_default();
                let (records, loads) = libraries.find_rest(&mut notices);
                blocks.borrow_mut().push_own(&records);
                blocks.borrow_mut().push_found(&loads);
            }
            Self::push_random(blocks, self.random.as_mut());
            Self::push_counts(&mut self.libraries, &mut self.programs, blocks, Counts::TakeLast)?;
            // The writer is stuck: what is still in the rings is counted, not kept.
            let mut rest = blocks.borrow_mut();
            rest.discard();
            while rings.drain_events(DISCARD_PER_PASS, |bytes| rest.push(bytes))
                + rings.drain_lifecycle(DISCARD_PER_PASS, |bytes| rest.push(bytes))
                > 0
            {}
            drop(rest);
            Self::check(&self.programs, blocks)?;
            Self::push_losses(blocks, &mut self.clock);
            Self::push_suppressed(blocks, &mut self.suppressed, &self.programs)?;
            Self::push_self_stats(blocks, &self.shared, self.ring_bytes);
            let deadline = Instant::now() + STOP_PATIENCE;
            while !flush(blocks, &queue) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
            // Once more, for what was closed only when the queue had room.
            flush(blocks, &queue);
        }
        let unwritten = unwritten(blocks);
        let written = self.writer.take().and_then(|writer| writer.join().ok()).unwrap_or_default();
        if let Some(reporter) = self.reporter.take() {
            reporter.finish(&Self::numbers(&self.blocks, &self.shared, self.ring_bytes, self.probes));
        }
        let accounting = &mut self.blocks.borrow_mut().accounting;
        // These were taken from the rings, but never reached a segment.
        let unwritten = unwritten + self.shared.stats.dropped.load(Ordering::Relaxed);
        Ok(Outcome {
            written,
            recorded: accounting.recorded.saturating_sub(unwritten),
            lost: accounting.lost(),
            dropped: accounting.dropped() + unwritten,
            filtered: accounting.filtered,
            suppressed: accounting.suppressed,
            produced: accounting.produced(),
            libraries: accounting.libraries,
            other_libraries: std::mem::take(&mut accounting.other_libraries),
        })
    }
}
