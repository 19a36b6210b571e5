//! `tls`, `algorithms` and `coverage`: handshakes counted, then told in three ways.

use super::{Outcome, algorithms, coverage, tls};
use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crate::cli::args::{Input, SurveyReport, SurveyTask};
use crate::cli::console::{Console, Output, stdin_is_terminal};
use crate::count::summary::{self, Totals};
use crate::count::survey::{in_short, post_quantum, told_by_libraries};
use crate::read::faults::FaultLog;
use crate::read::input::{self, Choice};
use crate::read::{Plan, Wanted, read_captures, read_handshakes, run_live};
use crate::report::completeness;
use crate::report::document;
use crate::report::{findings as rules, inputs as report};
use crate::words::escape;
use crate::words::redact;
use crate::words::text::Paint;
use anyhow::{Context, Result, bail};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

/// The day that rules are asked about, and the moment that certificates are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AsOf {
    pub date: Date,
    pub unix: i64,
}

impl AsOf {
    /// The given day, from its beginning, UTC; else when the capture ended, so that a replay tells the same for ever.
    fn new(given: Option<Date>, end: WallNs) -> Self {
        let zoned = given.and_then(|date| date.to_zoned(TimeZone::UTC).ok());
        match (given, zoned) {
            (Some(date), Some(zoned)) => Self { date, unix: zoned.timestamp().as_second() },
            _ => {
                let unix = end.0.div_euclid(1_000_000_000);
                let timestamp = jiff::Timestamp::from_second(unix).unwrap_or_default();
                Self { date: timestamp.to_zoned(TimeZone::UTC).date(), unix }
            }
        }
    }
}

/// What was counted, and how to tell it.
pub(crate) struct Counted<'a> {
    pub task: &'a SurveyTask,
    pub totals: Totals,
    pub captures: Vec<Capture>,
    pub as_of: AsOf,
    /// Times of the first and the last record.
    pub range: Option<(WallNs, WallNs)>,
    pub faults: FaultLog,
    pub names: Vec<PathBuf>,
    /// Segments that could not be read.
    pub unread: usize,
    pub paint: Paint,
}

impl Counted<'_> {
    /// Text of the traced host: safe to show, and without home directories and secrets if so asked.
    pub fn shown(&self, text: &[u8]) -> String {
        redact::for_people(text, self.task.redact)
    }

    /// Names of hosts, by the numbers of their captures; none when all that was read is of one host.
    pub fn hosts(&self, numbers: &BTreeSet<u32>) -> Vec<String> {
        let first = self.captures.first().map(|capture| &capture.meta.host);
        if self.captures.iter().all(|capture| Some(&capture.meta.host) == first) {
            return Vec::new();
        }
        let captures = numbers.iter().filter_map(|number| self.captures.get(*number as usize));
        let names: BTreeSet<&str> = captures.map(|capture| &*capture.meta.host).collect();
        names.into_iter().map(|host| escape::for_people(host.as_bytes())).collect()
    }

    /// Why there are no handshakes, when there are none.
    pub fn why_none(&self) -> Option<String> {
        let why = || redact::sentence(completeness::why_no_handshakes(&self.captures), self.task.redact);
        (self.totals.survey.ends == 0).then(why)
    }

    /// Everything that is missing, a sentence each.
    pub fn gaps(&self) -> Vec<String> {
        let name_host = self.captures.len() > 1;
        let gaps = self.captures.iter().flat_map(|capture| completeness::gaps(capture, name_host));
        let damage = self.faults.any_damage().then(|| {
            let lost = self.faults.records_lost();
            format!("files are damaged: {lost} records known to be lost (see verify)")
        });
        let full = self.totals.survey.overflowed;
        let full = full.then(|| "too many distinct names: some rows are missing".to_owned());
        let gaps = gaps.map(|gap| redact::sentence(gap, self.task.redact));
        gaps.chain(report::unread(self.unread)).chain(damage).chain(full).collect()
    }
}

pub(crate) fn run(task: &SurveyTask, console: Console) -> Result<Outcome> {
    if task.input == Input::Stdin && stdin_is_terminal() {
        console.error("no input: name segments or a directory of them, or pipe a capture in");
        return Ok(Outcome::Usage);
    }
    let (counted, mut out) = match &task.input {
        Input::Paths { paths, recursive } => files(task, paths, *recursive, console)?,
        Input::Stdin | Input::Follow { .. } => stream(task)?,
    };
    let text = match task.report {
        SurveyReport::Tls => tls::render(&counted)?,
        SurveyReport::Algorithms => algorithms::render(&counted)?,
        SurveyReport::Coverage => coverage::render(&counted)?,
    };
    out.write_all(text.as_bytes())?;
    report::faults(&counted.faults, &counted.names, console);
    report::completeness(&counted.captures, task.redact, console);
    report::unmatched(&task.filter, &counted.captures, counted.totals.tally.output > 0, None, (task.redact, console));
    if counted.totals.tally.processed == 0 && counted.faults.any_damage() {
        bail!("nothing could be read: every block is damaged");
    }
    Ok(Outcome::Done)
}

fn files<'a>(
    task: &'a SurveyTask,
    paths: &[PathBuf],
    recursive: bool,
    console: Console,
) -> Result<(Counted<'a>, Output)> {
    let inputs = input::open(paths, Choice { recursive, hosts: &task.filter.hosts })?;
    report::left_out(&inputs, console);
    let names: Vec<_> = inputs.segments.iter().map(|segment| segment.reader.path().to_owned()).collect();
    super::refuse_overwriting(task.output.as_deref(), &names)?;
    let mut faults = FaultLog::default();
    let mut captures = read_captures(&inputs, &mut faults);
    read_handshakes(&inputs, &mut captures, Wanted::All);
    let plan = Plan::new(&inputs, &captures, &task.filter);
    super::refuse_empty_time(plan.filter.times())?;
    let out = Output::open(task.output.as_deref())?;
    let (totals, range) = (summary::summarize(&plan, &mut faults), plan.range);
    let counted = counted(task, totals, captures, range, faults, names, &out);
    Ok((Counted { unread: inputs.unread.len(), ..counted }, out))
}

fn stream(task: &SurveyTask) -> Result<(Counted<'_>, Output)> {
    let out = Output::open(task.output.as_deref())?;
    let (mut faults, mut totals) = (FaultLog::default(), Totals::default());
    let stdin = std::io::stdin().lock();
    let live = run_live(stdin, &task.filter, &mut totals, &mut faults).context("stdin")?;
    if live.segments == 0 {
        bail!("stdin: not a crypto-trace segment");
    }
    let names = vec![PathBuf::from("stdin"); live.segments as usize];
    Ok((counted(task, totals, live.captures, live.range, faults, names, &out), out))
}

fn counted<'a>(
    task: &'a SurveyTask,
    totals: Totals,
    captures: Vec<Capture>,
    range: Option<(WallNs, WallNs)>,
    faults: FaultLog,
    names: Vec<PathBuf>,
    out: &Output,
) -> Counted<'a> {
    let begun = captures.iter().map(|capture| WallNs(capture.meta.clock.realtime_ns)).max();
    let end = range.map(|(_, end)| end).or(begun).unwrap_or(WallNs(0));
    let as_of = AsOf::new(task.as_of, end);
    let paint = Paint { colour: out.colour && !task.json, width: out.width };
    Counted { task, totals, captures, as_of, range, faults, names, unread: 0, paint }
}

/// What `tls` and `algorithms` begin with: how much there is, as of when, and what is not there.
pub(crate) fn head(counted: &Counted<'_>, out: &mut String) {
    let mut line = |name: &str, text: &str| {
        let _ = writeln!(out, "{}  {text}", counted.paint.heading(&format!("{name:<10}")));
    };
    let survey = &counted.totals.survey;
    match counted.why_none() {
        Some(why) => line("TLS", &why),
        None => {
            line("TLS", &in_short(survey));
            line("", &post_quantum(survey.quantum, survey.outcomes.all()));
            if let Some(told) = told_by_libraries(survey.told, survey.outcomes.all()) {
                line("", &told);
            }
        }
    }
    line("As of", &counted.as_of.date.to_string());
    if let Some(whose) = rules::whose(counted) {
        line("Rules", &format!("of {whose} only"));
    }
    let gaps = counted.gaps();
    if gaps.is_empty() {
        line("Complete", "yes: nothing lost, nothing dropped");
    }
    for (index, gap) in gaps.iter().enumerate() {
        line(if index == 0 { "Missing" } else { "" }, &counted.paint.bad(gap));
    }
    line("Blind to", "QUIC, DTLS, and what TLS 1.3 encrypts; see `crypto-trace-analyze coverage`");
}

/// JSON for programs, indented, as `info` writes it.
pub(crate) fn json(report: &impl Serialize) -> Result<String> {
    Ok(document::pretty(report)? + "\n")
}
