//! One run of a command: inputs are opened, what passes is folded, and at the end stderr says what went wrong.
//!
//! A command says what it counts ([`Fold`]) and how that is shown. All else is here, the same for all of them.

use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crate::cli::console::{Console, Output, stdin_is_terminal};
use crate::cli::exit::{Outcome, Usage};
use crate::cli::{Input, Request};
use crate::count::paths::{ByPath, library_of};
use crate::read::faults::FaultLog;
use crate::read::follow::Follower;
use crate::read::input::{self, Choice, Inputs};
use crate::read::{
    Fold, LiveRun, LiveSink, Plan, Tally, Wanted, read_captures, read_facts, read_handshakes, read_narrow, run_live,
    time_ranges,
};
use crate::report::completeness;
use crate::report::document::Reveal;
use crate::report::nearest::{self, Names};
use crate::select::Filter;
use crate::words::redact;
use crate::words::text::{counted, grouped, plural};
use crate::words::timestamp::timestamp;
use anyhow::{Context, Result, bail};
use crypto_trace_format::catalog::{self, file_name};
use crypto_trace_format::record::LibLoad;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Lines of one sort that are printed.
const MAX_LINES: usize = 20;

/// A run, and what was read in it.
pub(crate) struct Session<'a> {
    pub request: &'a Request,
    console: Console,
    since: Instant,
    source: Option<Source>,
    pub captures: Vec<Capture>,
    /// Of each capture, times of the first and the last record.
    ranges: Vec<Option<(WallNs, WallNs)>>,
    /// Times that were asked for.
    asked: (Option<WallNs>, Option<WallNs>),
    pub faults: FaultLog,
    /// Of each segment, where it was read from.
    names: Vec<PathBuf>,
    /// Segments that could not be read.
    unread: usize,
    pub tally: Tally,
    /// What was left out for lack of room.
    left_out: Option<String>,
    out_of_order: bool,
    /// Libraries that are there, when none of those that were asked for is.
    loaded: Option<Names>,
    /// What is good to know at the end.
    notes: Vec<String>,
    /// Of processes, only those are to be known whose events pass.
    narrow: bool,
    /// What is missing stands in the output itself, and need not be said when little is to be said.
    gaps_are_shown: bool,
}

/// Where records come from.
enum Source {
    Files(Inputs),
    Stdin,
    Followed(Box<Follower>, Box<Filter>),
}

impl<'a> Session<'a> {
    /// Opens the inputs, reads what is known of processes, and opens the output.
    ///
    /// # Errors
    /// When there is no input, or it cannot be read, or the output cannot be written.
    pub fn begin(request: &'a Request, console: Console) -> Result<(Self, Output)> {
        Self::open(request, console, false)
    }

    /// As [`Self::begin`], of a run that shows events alone, one by one: of a narrow question only the processes become known
    /// whose events pass, and their ancestors.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn begin_events(request: &'a Request, console: Console) -> Result<(Self, Output)> {
        let filter = &request.filter;
        Self::open(request, console, filter.pids_alone().is_some() || filter.since.is_some() || filter.until.is_some())
    }

    fn open(request: &'a Request, console: Console, narrow: bool) -> Result<(Self, Output)> {
        let mut session = Self {
            request,
            console,
            since: Instant::now(),
            source: None,
            captures: Vec::new(),
            ranges: Vec::new(),
            asked: request.filter.resolve(None).times(),
            faults: FaultLog::default(),
            names: Vec::new(),
            unread: 0,
            tally: Tally::default(),
            left_out: None,
            out_of_order: false,
            loaded: None,
            notes: Vec::new(),
            narrow,
            gaps_are_shown: false,
        };
        session.source = Some(match &request.input {
            Input::Paths { paths, recursive } => {
                session.files(paths, Choice { recursive: *recursive, hosts: &request.filter.hosts })?
            }
            Input::Stdin if stdin_is_terminal() => {
                bail!(Usage("no input: name segments or a directory of them, or pipe a capture in"));
            }
            Input::Stdin => Source::Stdin,
            Input::Follow { directory, duration } => {
                let (follower, filter) = Follower::begin(directory, *duration, &request.filter, console)?;
                session.asked = filter.resolve(None).times();
                Source::Followed(Box::new(follower), Box::new(filter))
            }
        });
        let out = Output::open(request.output.as_deref())?;
        Ok((session, out))
    }

    /// An output that is also an input of this run, although another one writes it.
    ///
    /// # Errors
    /// When it is.
    pub fn refuse_output(&self, output: Option<&Path>) -> Result<()> {
        refuse_overwriting(output, &self.names)
    }

    fn files(&mut self, paths: &[PathBuf], choice: Choice<'_>) -> Result<Source> {
        let inputs = open(paths, choice, self.console)?;
        self.names = names(&inputs);
        refuse_overwriting(self.request.output.as_deref(), &self.names)?;
        self.unread = inputs.unread.len();
        let read = if self.narrow { read_facts } else { read_captures };
        self.captures = read(&inputs, &mut self.faults);
        self.ranges = time_ranges(&inputs, &self.captures);
        self.asked = self.request.filter.resolve(self.covered().map(|(_, end)| end)).times();
        refuse_empty_time(self.asked)?;
        Ok(Source::Files(inputs))
    }

    /// The segments that were opened; none of a stream.
    pub fn inputs(&self) -> Option<&Inputs> {
        match &self.source {
            Some(Source::Files(inputs)) => Some(inputs),
            _ => None,
        }
    }

    /// The times that were asked for.
    pub fn asked(&self) -> (Option<WallNs>, Option<WallNs>) {
        self.asked
    }

    /// Folds everything that passes the filter.
    ///
    /// # Errors
    /// When a stream cannot be read or the output cannot be written.
    pub fn fold(&mut self, counted: &mut impl Fold) -> Result<()> {
        let filter = &self.request.filter;
        match self.source.take() {
            Some(Source::Files(inputs)) => {
                let some = self.narrow && read_narrow(&inputs, &mut self.captures, filter, &mut self.faults);
                if !self.narrow {
                    let wanted = if counted.needs_all_handshakes() { Wanted::All } else { Wanted::Of(filter) };
                    read_handshakes(&inputs, &mut self.captures, wanted);
                }
                counted.read(&Plan::new(&inputs, &self.captures, filter), &mut self.faults)?;
                self.tally = counted.tally();
                if some && (self.tally.output == 0 || filter.pids.len() + filter.names.len() > 1) {
                    // What was asked for and is not there is told with what comes near, of all processes.
                    self.captures.clear();
                    self.captures = read_captures(&inputs, &mut FaultLog::default());
                }
                self.loaded = loaded(filter, &inputs, &self.captures, self.tally.output);
                // The process ends soon: unmapping and freeing everything first would only take time.
                std::mem::forget(inputs);
            }
            Some(Source::Stdin) => {
                let run = |sink: &mut dyn LiveSink, faults: &mut FaultLog| {
                    run_live(std::io::stdin().lock(), filter, sink, faults)
                };
                if self.stream(Path::new("stdin"), counted, run)? == 0 {
                    bail!("stdin: not a crypto-trace segment");
                }
            }
            Some(Source::Followed(follower, filter)) => {
                let Input::Follow { directory, .. } = &self.request.input else { return Ok(()) };
                self.stream(directory, counted, |sink, faults| follower.run(&filter, sink, faults))?;
            }
            None => {}
        }
        self.left_out = counted.left_out();
        self.out_of_order = counted.is_out_of_order();
        Ok(())
    }

    /// Folds what `run` reads, of `name`. Returns how many segments there were.
    fn stream(
        &mut self,
        name: &Path,
        counted: &mut impl Fold,
        run: impl FnOnce(&mut dyn LiveSink, &mut FaultLog) -> std::io::Result<LiveRun>,
    ) -> Result<u32> {
        let live = run(counted, &mut self.faults).with_context(|| name.display().to_string())?;
        self.names = vec![name.to_owned(); live.segments as usize];
        self.ranges = vec![live.range; live.captures.len()];
        self.captures = live.captures;
        self.tally = counted.tally();
        self.loaded = looked_into(&self.request.filter, &self.captures, self.tally.output);
        Ok(live.segments)
    }

    /// How many segments were read.
    pub fn segments(&self) -> usize {
        self.names.len()
    }

    /// Where segments were read from, in order.
    pub fn names(&self) -> &[PathBuf] {
        &self.names
    }

    /// How text of the traced host is shown.
    pub fn reveal(&self) -> Reveal {
        Reveal { redact: self.request.redact }
    }

    /// Text of the traced host: safe to show, and without home directories and secrets if so asked.
    pub fn shown(&self, text: &[u8]) -> String {
        redact::for_people(text, self.request.redact)
    }

    /// What of a capture was looked at: from its first to its last record, within the times that were asked for.
    pub fn window(&self, capture: u32) -> (WallNs, WallNs) {
        let begun = || self.captures.get(capture as usize).map(|capture| WallNs(capture.meta.clock.realtime_ns));
        let known = self.ranges.get(capture as usize).copied().flatten();
        let (from, to) = known.or_else(|| begun().map(|at| (at, at))).unwrap_or_default();
        let (since, until) = self.asked;
        let from = since.map_or(from, |since| since.max(from));
        (from, until.map_or(to, |until| until.min(to)).max(from))
    }

    /// The same of all captures together.
    pub fn whole_window(&self) -> (WallNs, WallNs) {
        let windows = (0u32..).zip(&self.captures).map(|(number, _)| self.window(number));
        windows.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or_default()
    }

    /// From the first to the last record of all captures.
    pub fn covered(&self) -> Option<(WallNs, WallNs)> {
        self.ranges.iter().flatten().copied().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// Until when was asked for; exclusive.
    pub fn until(&self) -> Option<WallNs> {
        self.asked.1
    }

    /// Everything that is missing of one capture, or of all, a sentence each.
    pub fn gaps(&self, only: Option<u32>) -> Vec<String> {
        let of = |number: u32| only.is_none_or(|only| only == number);
        let captures = (0u32..).zip(&self.captures).filter(|(number, _)| of(*number)).map(|(_, capture)| capture);
        let name_host = only.is_none() && self.captures.len() > 1;
        let gaps = captures.flat_map(|capture| completeness::gaps(capture, name_host));
        let gaps = gaps.map(|gap| redact::sentence(gap, self.request.redact));
        let unread = counted(self.unread as u64, "segment", "segments");
        let unread = (self.unread > 0).then(|| format!("{unread} could not be read"));
        let damage = self.faults.any_damage().then(|| {
            let lost = grouped(self.faults.records_lost());
            format!("files are damaged: {lost} records known to be lost (see verify)")
        });
        gaps.chain(unread).chain(damage).chain(self.left_out.clone()).chain(self.unknown()).collect()
    }

    /// Records that say nothing to this version.
    fn unknown(&self) -> Option<String> {
        let count = plural(self.tally.unknown, "record");
        (self.tally.unknown > 0).then(|| format!("{count} left out: kinds unknown to this version"))
    }

    /// Why nothing of `what` is there.
    pub fn why_none(&self, what: &str) -> String {
        let (since, until) = self.asked;
        if let Some((from, to)) = self.covered()
            && (since.is_some_and(|since| since > to) || until.is_some_and(|until| until <= from))
        {
            let (from, to) = (timestamp(from), timestamp(to));
            return format!("no {what}: the requested time is outside the capture, which covers {from} to {to}");
        }
        let why = completeness::why_nothing(what, &self.captures, &self.request.filter, self.tally.processed);
        redact::sentence(why, self.request.redact)
    }

    /// Why no event is there.
    pub fn why_no_events(&self) -> String {
        let why = completeness::why_no_events(&self.captures, &self.request.filter, self.tally.processed);
        redact::sentence(why, self.request.redact)
    }

    /// Something good to know, at the end.
    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// What is missing stands in the output: of `-q`, as cron has it, which sends a mail for each line, it is not repeated.
    pub fn gaps_are_shown(&mut self) {
        self.gaps_are_shown = true;
    }

    /// Says on stderr what was wrong and what is missing. `done`: what became of events that passed, as in "Events output".
    ///
    /// # Errors
    /// When nothing could be read.
    pub fn finish(self, done: &str) -> Result<Outcome> {
        let console = self.console;
        say_faults(&self.faults, &self.names, console);
        if !(self.gaps_are_shown && console.is_quiet()) {
            say_gaps(&self.captures, self.request.redact, console);
        }
        if self.out_of_order {
            console.warn("too many blocks overlap in time: some events may be out of order");
        }
        self.left_out.iter().for_each(|sentence| console.warn(sentence));
        self.unknown().iter().for_each(|sentence| console.warn(sentence));
        let tally = self.tally;
        let seconds = self.since.elapsed().as_secs_f64().max(1e-9);
        #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = tally.processed as f64 / seconds;
        console.verbose(&format!("Events processed: {}", tally.processed));
        console.verbose(&format!("Events filtered: {}", tally.processed.saturating_sub(tally.output)));
        console.verbose(&format!("Events {done}: {}", tally.output));
        console.verbose(&format!("Rate: {rate:.0} events/s"));
        self.say_unmatched();
        self.notes.iter().for_each(|note| console.note(note));
        if tally.processed == 0 && self.faults.any_damage() {
            bail!("nothing could be read: every block is damaged");
        }
        Ok(Outcome::Done)
    }

    /// Processes and libraries that were asked for and are not there, with what comes near.
    fn say_unmatched(&self) {
        let (filter, redact) = (&self.request.filter, self.request.redact);
        let libraries = self.loaded.as_ref().map(|loaded| nearest::unmatched_libraries(filter, loaded, redact));
        let processes = nearest::unmatched(filter, &self.captures, self.tally.output > 0, redact);
        let lines = processes.into_iter().chain(libraries.unwrap_or_default());
        lines.take(MAX_LINES).for_each(|line| self.console.note(&line));
    }
}

/// Opens segments, and says which of them could not be.
///
/// # Errors
/// When something named is missing, is no segment, or nothing of it may be read.
pub(crate) fn open(paths: &[PathBuf], choice: Choice<'_>, console: Console) -> Result<Inputs> {
    let inputs = input::open(paths, choice)?;
    inputs.notes.iter().for_each(|note| console.note(note));
    inputs.unread.iter().take(MAX_LINES).for_each(|segment| console.warn(segment));
    let beyond = inputs.unread.len().saturating_sub(MAX_LINES);
    if beyond > 0 {
        console.warn(&format!("and {} more segments could not be read", grouped(beyond as u64)));
    }
    Ok(inputs)
}

/// Of each segment, its file.
pub(crate) fn names(inputs: &Inputs) -> Vec<PathBuf> {
    inputs.segments.iter().map(|segment| segment.reader.path().to_owned()).collect()
}

/// Damage, and notes about torn tails.
pub(crate) fn say_faults(faults: &FaultLog, names: &[PathBuf], console: Console) {
    let mut lines = 0;
    for (segment, problem) in faults.iter() {
        lines += 1;
        if lines > MAX_LINES {
            continue;
        }
        let name = names.get(segment as usize).map(|name| name.display().to_string()).unwrap_or_default();
        let line = format!("{name}: {problem}");
        if problem.is_damage() { console.warn(&line) } else { console.note(&line) }
    }
    let beyond = faults.beyond() + (lines.max(MAX_LINES) - MAX_LINES) as u64;
    if beyond > 0 {
        console.warn(&format!("and {} more faults; see verify", grouped(beyond)));
    }
    if faults.records_lost() > 0 {
        console.warn(&format!("{} records are known to be lost to damage", grouped(faults.records_lost())));
    }
}

/// What the captures themselves say is missing.
pub(crate) fn say_gaps(captures: &[Capture], redact: bool, console: Console) {
    for capture in captures {
        for (index, gap) in completeness::gaps(capture, captures.len() > 1).into_iter().enumerate() {
            if index < MAX_LINES {
                console.warn(&redact::sentence(gap, redact));
            } else if index == MAX_LINES {
                console.warn("and more is missing; see info");
            }
        }
        if capture.timeline.refused() > 0 {
            let refused = grouped(capture.timeline.refused());
            console.warn(&format!("{refused} process records did not fit in memory: some events lack exe and cmdline"));
        }
    }
}

/// Times that depended on the capture's end: nothing is between them when they are the wrong way round.
///
/// # Errors
/// When they are.
pub(crate) fn refuse_empty_time((since, until): (Option<WallNs>, Option<WallNs>)) -> Result<()> {
    if let (Some(since), Some(until)) = (since, until)
        && since > until
    {
        bail!("--since ({}) is after --until ({})", timestamp(since), timestamp(until));
    }
    Ok(())
}

/// An output that is also an input would be emptied before it is read.
fn refuse_overwriting(output: Option<&Path>, inputs: &[PathBuf]) -> Result<()> {
    let Some(output) = output.and_then(|output| output.canonicalize().ok()) else { return Ok(()) };
    if inputs.iter().any(|input| input.canonicalize().is_ok_and(|input| input == output)) {
        bail!("{}: is an input and cannot be the output", output.display());
    }
    Ok(())
}

/// Libraries that were loaded, by file name and by name in the catalog, with how many loads: looked up again without
/// `--library`, when that left nothing. None when it did not.
fn loaded(filter: &Filter, inputs: &Inputs, captures: &[Capture], output: u64) -> Option<Names> {
    if filter.libraries.is_empty() || output > 0 {
        return None;
    }
    let kinds = vec![LibLoad::KIND];
    let filter = Filter { libraries: Vec::new(), files: None, outcome: None, kinds, ..filter.clone() };
    let mut by_path = ByPath::default();
    // What is wrong with the files is reported once already.
    by_path.read(&Plan::new(inputs, captures, &filter), &mut FaultLog::default()).ok()?;
    let mut names = Names::default();
    for shown in by_path.libraries() {
        let (_, path) = library_of(shown.key);
        let loads = shown.used.loads + shown.used.already_mapped;
        names.add(file_name(path), Some(path), loads);
        catalog::library(path).into_iter().for_each(|name| names.add(name.as_bytes(), None, loads));
    }
    Some(names)
}

/// The same of a stream, which cannot be read again: libraries that the capture looked into.
fn looked_into(filter: &Filter, captures: &[Capture], output: u64) -> Option<Names> {
    let rows = || captures.iter().flat_map(|capture| capture.libraries.iter());
    if filter.libraries.is_empty() || output > 0 || rows().next().is_none() {
        return None;
    }
    let mut names = Names::default();
    rows().for_each(|(_, row)| names.add(file_name(&row.path), Some(&row.path), 1));
    Some(names)
}
