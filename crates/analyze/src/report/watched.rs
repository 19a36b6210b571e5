//! How long each recording watched, and what of it: a window is not the whole.

use crate::capture::Capture;
use crate::report::completeness;
use crate::report::session::Session;
use crate::words::escape;
use crate::words::redact;
use crate::words::text::{Paint, counted, duration};
use crate::words::timestamp::timestamp;
use crypto_trace_format::record::Kind;
use serde::Serialize;

/// Recordings that are shown to people.
const RECORDINGS: usize = 10;

/// One recording.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Watched {
    pub host: String,
    pub from: String,
    pub to: String,
    /// To the millisecond.
    pub seconds: f64,
    #[serde(skip)]
    duration_ns: u64,
    /// It attached nothing, but looked at /proc once.
    #[serde(skip)]
    is_look: bool,
    /// Why records that the report is made of may not be there at all; none: they were watched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_watched: Vec<String>,
    /// What of it was asked for, where that was not everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded: Option<String>,
}

impl Watched {
    /// All recordings of a run, for a report that is made of records of `kinds`.
    pub fn all(session: &Session<'_>, kinds: &[Kind]) -> Vec<Self> {
        (0u32..).zip(&session.captures).map(|(number, capture)| Self::new(session, number, capture, kinds)).collect()
    }

    fn new(session: &Session<'_>, number: u32, capture: &Capture, kinds: &[Kind]) -> Self {
        let (from, to) = session.window(number);
        let duration_ns = u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0);
        let look = "one look at /proc: only files that were open at that moment".to_owned();
        let not_watched = match capture.snapshot() {
            Some(_) => vec![look],
            None => completeness::unwatched([capture], kinds),
        };
        let shown = |text: String| redact::sentence(text, session.request.redact);
        Self {
            host: escape::for_people(capture.meta.host.as_bytes()),
            from: timestamp(from),
            to: timestamp(to),
            #[allow(clippy::cast_precision_loss, reason = "milliseconds")]
            seconds: (duration_ns / 1_000_000) as f64 / 1_000.0,
            duration_ns,
            is_look: capture.snapshot().is_some(),
            not_watched: not_watched.into_iter().map(shown).collect(),
            recorded: completeness::recorded(&capture.meta, |text| session.shown(text), ""),
        }
    }

    /// How long the longest of them watched, ns.
    pub fn longest(all: &[Self]) -> u64 {
        all.iter().map(|one| one.duration_ns).max().unwrap_or(0)
    }

    /// The same for people: lines of what a page begins with, whose names take `columns`. `name`: that of the first one.
    pub fn write(name: &str, all: &[Self], columns: usize, paint: Paint, out: &mut String) {
        let mut line = |name: &str, text: &str| paint.line(out, columns, name, text);
        for (index, one) in all.iter().take(RECORDINGS).enumerate() {
            let second = |time: &str| crate::report::parts::second(time);
            let (from, to, length) = (second(&one.from), second(&one.to), duration(one.duration_ns));
            line(if index == 0 { name } else { "" }, &format!("{}: {from} to {to} UTC, {length}", one.host));
            if let Some(recorded) = &one.recorded {
                line("", &format!("recorded {recorded}"));
            }
        }
        let more = all.len().saturating_sub(RECORDINGS);
        if more > 0 {
            line("", &format!("and {}; see -f json", counted(more as u64, "more recording", "more recordings")));
        }
    }
}

/// What is missing, a sentence each: what the session says, what of `watched` could not be there, and what recordings and filters
/// left out of `what`.
pub(crate) fn missing(session: &Session<'_>, watched: &[Watched], what: &str) -> Vec<String> {
    let selective = completeness::recordings(&session.captures).any(completeness::is_selective);
    let selective = selective.then(|| format!("only part was recorded (see watched): {what} of the rest are missing"));
    missing_of_selection(session, watched, what).into_iter().chain(selective).collect()
}

/// The same, of what was to be recorded.
pub(crate) fn missing_of_selection(session: &Session<'_>, watched: &[Watched], what: &str) -> Vec<String> {
    let of_host = |one: &Watched, why: &String| match watched.len() {
        1 => why.clone(),
        _ => format!("{}: {why}", one.host),
    };
    // A look at /proc adds to what others of its host recorded.
    let is_watched = |host: &str| watched.iter().any(|one| one.host == host && !one.is_look);
    let counts = |one: &&Watched| !one.is_look || !is_watched(&one.host);
    let not_watched =
        watched.iter().filter(counts).flat_map(|one| one.not_watched.iter().map(move |why| of_host(one, why)));
    let filter = &session.request.filter;
    let lists = [&filter.names, &filter.cgroups, &filter.containers, &filter.hosts];
    let by_whom = lists.into_iter().any(|list| !list.is_empty()) || !filter.pids.is_empty() || !filter.uids.is_empty();
    let filtered = by_whom || filter.since.is_some() || filter.until.is_some() || filter.files.is_some();
    let filtered =
        filtered.then(|| format!("only what passes this command's filters is counted: {what} of the rest are missing"));
    session.gaps(None).into_iter().chain(not_watched).chain(filtered).collect()
}
