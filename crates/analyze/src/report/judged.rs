//! Handshakes and calls counted, and the day and the rules that judge them: what `tls`, `algorithms` and `coverage` show.

use crate::capture::clock::WallNs;
use crate::cli::console::Console;
use crate::cli::exit::Outcome;
use crate::cli::judged::Judge;
use crate::count::handshakes::{in_short, outcomes_in_short, post_quantum, told_by_libraries};
use crate::count::totals::Totals;
use crate::count::wire::{ProtocolRows, protocol_title};
use crate::protocol::tls::Certificate;
use crate::report::session::Session;
use crate::report::{completeness, document, findings};
use crate::rules::Rules;
use crate::words::escape;
use crate::words::redact;
use crate::words::text::Paint;
use anyhow::Result;
use crypto_trace_format::record::Protocol;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::ops::Deref;

/// Days before its end from which on a certificate is about to expire.
pub(crate) const SOON_DAYS: i64 = 30;

/// The day that rules are asked about, and the moment that certificates are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AsOf {
    pub date: Date,
    pub unix: i64,
}

impl AsOf {
    /// The given day; else when what was read ended.
    pub fn of(session: &Session<'_>, given: Option<Date>) -> Self {
        let begun = session.captures.iter().map(|capture| WallNs(capture.meta.clock.realtime_ns)).max();
        Self::new(given, session.covered().map(|(_, end)| end).or(begun).unwrap_or(WallNs(0)))
    }

    /// The given day, from its beginning, UTC; else when the capture ended, so that a replay tells the same for ever.
    pub(crate) fn new(given: Option<Date>, end: WallNs) -> Self {
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

impl AsOf {
    /// Whether a certificate is valid, and the days that are left of it; None: its times are not known. `soon_days` before its end it
    /// expires soon.
    pub fn state(self, certificate: &Certificate, soon_days: i64) -> (Option<&'static str>, Option<i64>) {
        let left = certificate.not_after_unix.map(|end| end.saturating_sub(self.unix));
        // Both are RFC 3339, UTC, with seconds: they compare as texts.
        let now = jiff::Timestamp::from_second(self.unix).unwrap_or_default().to_string();
        let begun = certificate.not_before.as_ref().map(|begin| *begin <= now);
        let state = match (begun, left) {
            (Some(false), _) => Some("not_yet_valid"),
            (_, Some(..0)) => Some("expired"),
            (Some(true), Some(left)) if left <= soon_days.saturating_mul(86_400) => Some("expires_soon"),
            (Some(true), Some(_)) => Some("valid"),
            (None, Some(_)) | (_, None) => None,
        };
        (state, left.map(|left| left.div_euclid(86_400)))
    }
}

/// What was counted, and how it is judged.
pub(crate) struct Judged<'a> {
    session: Session<'a>,
    pub totals: Totals,
    pub as_of: AsOf,
    /// Whose rules judge; empty means all of them.
    pub rules: &'a [Rules],
    pub paint: Paint,
}

/// What a report of handshakes begins with.
pub(crate) struct Head {
    /// Of which protocol it is.
    pub name: &'static str,
    /// Why there are none.
    pub why_none: Option<String>,
    /// How many there are, and how they ended.
    pub sums: String,
    /// How many key exchanges are post-quantum.
    pub quantum: String,
    /// What else there is to say of all.
    pub more: Option<String>,
    /// Other protocols: their names, and the same of them.
    pub others: Vec<(String, String, String)>,
    /// What judges them.
    pub rules: Vec<(&'static str, String)>,
    /// What is not seen.
    pub blind_to: &'static str,
}

impl<'a> Deref for Judged<'a> {
    type Target = Session<'a>;

    fn deref(&self) -> &Self::Target {
        &self.session
    }
}

/// Counts, and writes what `document` makes of it: as JSON, or as `text` has it.
pub(crate) fn run<D: Serialize>(
    task: &Judge,
    console: Console,
    document: impl FnOnce(&Judged<'_>) -> D,
    text: impl FnOnce(&D, &Judged<'_>) -> String,
) -> Result<Outcome> {
    run_with(task, Totals::default(), console, document, text)
}

/// The same, with what is to be counted.
pub(crate) fn run_with<D: Serialize>(
    task: &Judge,
    mut totals: Totals,
    console: Console,
    document: impl FnOnce(&Judged<'_>) -> D,
    text: impl FnOnce(&D, &Judged<'_>) -> String,
) -> Result<Outcome> {
    let (mut session, mut out) = Session::begin(&task.request, console)?;
    session.fold(&mut totals)?;
    let as_of = AsOf::of(&session, task.as_of);
    let judged = Judged::new(session, totals, as_of, &task.rules, out.paint());
    let document = document(&judged);
    // JSON for programs, indented, as `info` writes it.
    let shown = if task.json { document::pretty(&document)? + "\n" } else { text(&document, &judged) };
    out.write_all(shown.as_bytes())?;
    judged.session.finish("counted")
}

impl<'a> Judged<'a> {
    /// What a run counted.
    pub fn new(session: Session<'a>, totals: Totals, as_of: AsOf, rules: &'a [Rules], paint: Paint) -> Self {
        Self { session, totals, as_of, rules, paint }
    }

    /// The run.
    pub fn into_session(self) -> Session<'a> {
        self.session
    }
}

impl Judged<'_> {
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
    pub fn why_no_handshakes(&self) -> Option<String> {
        let why = || redact::sentence(completeness::why_no_handshakes(&self.captures), self.request.redact);
        (self.totals.handshakes.ends == 0).then(why)
    }

    /// Why there is no handshake of a protocol.
    pub fn why_none_of(&self, protocol: Protocol) -> String {
        redact::sentence(completeness::why_none_of(&self.captures, protocol), self.request.redact)
    }

    /// What `tls` and `algorithms` begin with: how much there is, as of when, and what is not there.
    pub fn head(&self, out: &mut String) {
        let survey = &self.totals.handshakes;
        let other = |(name, rows): (&&str, &ProtocolRows)| {
            let sums = outcomes_in_short(rows.outcomes, "failed");
            (protocol_title(name), sums, post_quantum(rows.quantum, rows.outcomes.all()))
        };
        let head = Head {
            name: "TLS",
            why_none: self.why_no_handshakes(),
            sums: in_short(survey),
            quantum: post_quantum(survey.quantum, survey.outcomes.all()),
            more: told_by_libraries(survey.told, survey.outcomes.all()),
            others: self.totals.wire.protocols.iter().map(other).collect(),
            rules: self.rules_in_short(),
            blind_to: "protocols that were not looked for, and what TLS 1.3 encrypts; see `crypto-trace-analyze coverage`",
        };
        self.head_of(&head, out);
    }

    /// What judges.
    pub fn rules_in_short(&self) -> Vec<(&'static str, String)> {
        let rules = findings::whose(self).map(|whose| ("Rules", format!("of {whose} only")));
        [("As of", self.as_of.date.to_string())].into_iter().chain(rules).collect()
    }

    /// What a report of handshakes begins with.
    pub fn head_of(&self, head: &Head, out: &mut String) {
        let mut line = |name: &str, text: &str| self.paint.line(out, 10, name, text);
        match &head.why_none {
            Some(why) => line(head.name, why),
            None => {
                line(head.name, &head.sums);
                line("", &head.quantum);
                head.more.iter().for_each(|more| line("", more));
            }
        }
        for (name, sums, quantum) in &head.others {
            line(name, sums);
            line("", quantum);
        }
        head.rules.iter().for_each(|(name, text)| line(name, text));
        let gaps = self.gaps(None);
        if gaps.is_empty() {
            line("Complete", "yes: nothing lost, nothing dropped");
        }
        for (index, gap) in gaps.iter().enumerate() {
            line(if index == 0 { "Missing" } else { "" }, &self.paint.bad(gap));
        }
        line("Blind to", head.blind_to);
    }
}
