//! The document of `certs`: `schema certs` prints its JSON Schema.

use super::args::KINDS;
use super::held::{self, Held, HeldReport};
use crate::count::certs::{
    CertRow, Certs, FileKey, FileRow, FileUser, Presented, Presenter, Presenting, Seen, Stale, What, leaves_out,
};
use crate::event::CertificateFields;
use crate::protocol::tls::Certificate;
use crate::report::completeness;
use crate::report::document::{Each, Escaped};
use crate::report::judged::{AsOf, SOON_DAYS};
use crate::report::session::Session;
use crate::report::watched::{self, Watched};
use crate::words::escape;
use crate::words::redact;
use crate::words::timestamp::timestamp;
use crypto_trace_format::catalog::FileType;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Version of the document: a member that is added does not change it, one that goes or means something else does.
const SCHEMA_VERSION: u32 = 1;

/// Files of a service that are shown.
const MAX_FILES: usize = 10;

/// What no recording has, in the words of the report.
const NOT_RECORDED: [&str; 4] = [
    "certificates of TLS 1.3, which encrypts them: the files the server read are listed instead; only \
     `crypto-trace-capture snapshot --certificates` records what those files hold",
    "the content of files: which certificate a process read from a file, and whether a change replaced it",
    "whether a chain is trusted and whether its signatures are valid: neither is checked here",
    "files that were read and closed before the recording began",
];

/// The document.
#[derive(Serialize)]
#[serde(bound = "")]
pub(super) struct Report<I: Iterator<Item = RowReport>, F: Iterator<Item = FileReport>> {
    #[serde(flatten)]
    head: Head,
    files: Each<F>,
    rows: Each<I>,
}

/// What was asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub as_of: AsOf,
    /// Only what ends within so many days.
    pub expires_within: Option<u16>,
}

/// All of it but the rows.
#[derive(Serialize)]
pub(super) struct Head {
    schema_version: u32,
    pub as_of: String,
    pub expires_within_days: Option<u16>,
    pub watched: Vec<Watched>,
    pub not_recorded: Vec<&'static str>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_none: Option<String>,
    pub certificates: u64,
    pub expired: u64,
    pub expires_soon: u64,
    pub not_yet_valid: u64,
    /// Of which the end is not known.
    pub end_not_known: u64,
    /// Presented when they had expired.
    pub used_after_end: u64,
    /// Certificates that were not recorded whole: which they were is not known.
    pub incomplete: u64,
    pub handshakes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_no_handshakes: Option<String>,
    #[serde(flatten)]
    pub seen: SeenReport,
    pub hidden_services: Vec<ServiceReport>,
    pub not_read_again: Vec<StaleReport>,
    /// What is in files, where a snapshot read them.
    pub certificate_files: Vec<HeldReport>,
    pub missing: Vec<String>,
}

/// What handshakes showed of the server's certificate.
#[derive(Serialize)]
pub(super) struct SeenReport {
    pub shown: u64,
    pub hidden: u64,
    pub left_out: u64,
    pub resumed: u64,
    pub not_seen: u64,
    pub no_answer: u64,
}

/// A service of which TLS 1.3 hid the certificate.
#[derive(Serialize)]
pub(super) struct ServiceReport {
    pub host: String,
    pub program: Option<String>,
    pub container: Option<String>,
    pub port: u16,
    #[serde(flatten)]
    pub seen: SeenReport,
    /// Files of certificates that the program read, those first that a library was asked to load.
    pub files: Vec<StandIn>,
    pub files_more: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    escaped: Escaped,
}

/// A file that stands in for what was not seen.
#[derive(Serialize)]
pub(super) struct StandIn {
    pub path: String,
    /// `call`: a library was asked to load it; `open`.
    pub by: &'static str,
    /// SHA-256 of the first certificate in it, from a snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holds: Option<String>,
}

/// A process that did not read a file again after it had changed.
#[derive(Serialize)]
pub(super) struct StaleReport {
    pub host: String,
    pub program: String,
    pub pid: Option<u32>,
    pub container: Option<String>,
    pub port: u16,
    pub path: String,
    /// The path is a link, or leads through one.
    pub by_link: bool,
    /// When the process, or the one that it was forked from, read it last.
    pub read: String,
    pub changed: String,
    pub change: &'static str,
    /// `same`: the same certificate before and after the change. `after`: this one, after; before none was seen. `hidden`.
    pub presented: &'static str,
    pub sha256: Option<String>,
    /// SHA-256 of the first certificate that is in the file, from a snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_holds: Option<String>,
    /// Another file that holds the certificate of `sha256`, from a snapshot: this one may not be meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by: Option<String>,
    pub last_presented: String,
    /// Files of certificates that it read in all.
    pub files_read: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    escaped: Escaped,
}

/// A file of certificates.
#[derive(Serialize)]
pub(super) struct FileReport {
    pub host: String,
    pub container: Option<String>,
    pub path: String,
    #[serde(rename = "type")]
    pub file_type: &'static str,
    #[serde(rename = "type_confidence")]
    confidence: Option<&'static str>,
    #[serde(rename = "type_by")]
    by: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    uses: Vec<&'static str>,
    pub changes: u64,
    pub programs: Vec<FileProgram>,
    first: String,
    pub last: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    escaped: Escaped,
}

#[derive(Serialize)]
pub(super) struct FileProgram {
    pub program: String,
    pub reads: u64,
    pub writes: u64,
    pub failed: u64,
    pub loads: u64,
    pub failed_loads: u64,
}

/// A certificate.
#[derive(Serialize)]
pub(super) struct RowReport {
    /// None: its times are not known.
    pub state: Option<&'static str>,
    pub days_left: Option<i64>,
    /// The first of a chain: whoever presents it proves that it is its own. Others are of its issuers.
    pub first_of_chain: bool,
    pub handshakes: u64,
    /// Ends of handshakes that came after it had expired.
    pub after_end: u64,
    pub presented_by: Vec<PresenterReport>,
    #[serde(flatten)]
    pub fields: CertificateFields,
}

#[derive(Serialize)]
pub(super) struct PresenterReport {
    pub host: String,
    pub role: &'static str,
    /// Address of the other end; null: this host presents it.
    pub address: Option<String>,
    pub program: Option<String>,
    pub container: Option<String>,
    pub port: u16,
    pub server_names: Vec<String>,
    pub processes: u64,
    /// There were more server names or processes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more: bool,
    pub ends: u64,
    after_end: u64,
    first: String,
    pub last: String,
}

impl From<Seen> for SeenReport {
    fn from(seen: Seen) -> Self {
        let Seen { shown, hidden, left_out, resumed, not_seen, no_answer } = seen;
        Self { shown, hidden, left_out, resumed, not_seen, no_answer }
    }
}

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::Written => "opened_for_writing",
            Self::Replaced => "replaced",
            Self::Removed => "removed",
            Self::Read | Self::Failed | Self::Loaded(_) => "none",
        }
    }
}

pub(super) fn host(session: &Session<'_>, number: u32) -> String {
    let host = session.captures.get(number as usize).map(|capture| &*capture.meta.host).unwrap_or_default();
    escape::for_people(host.as_bytes())
}

impl Asked {
    /// Whether a certificate is one of those that were asked for.
    fn is_wanted(self, row: &CertRow) -> bool {
        let left = row.certificate.not_after_unix.map(|end| end.saturating_sub(self.as_of.unix));
        self.expires_within.is_none_or(|within| left.is_some_and(|left| left <= i64::from(within) * 86_400))
    }

    pub(super) fn state(self, certificate: &Certificate) -> (Option<&'static str>, Option<i64>) {
        self.as_of.state(certificate, self.expires_within.map_or(SOON_DAYS, i64::from))
    }
}

impl Head {
    pub fn new(session: &Session<'_>, counted: &Certs, asked: Asked) -> Self {
        let rows = || counted.rows.values();
        let count =
            |wanted: Option<&str>| rows().filter(|row| asked.state(&row.certificate).0 == wanted).count() as u64;
        let after_end = |row: &&CertRow| row.presenters.values().any(|presenting| presenting.after_end > 0);
        let watched = Watched::all(session, &KINDS);
        let held = held::held(session);
        let mut missing = watched::missing(session, &watched, "certificates");
        if session.captures.iter().any(leaves_out) {
            missing.push("certificates of handshakes were left out at recording time (--privacy)".to_owned());
        }
        let why_no_handshakes =
            || redact::sentence(completeness::why_no_handshakes(&session.captures), session.request.redact);
        if counted.stale_is_cut {
            missing.push("too many files and processes: not_read_again is incomplete".to_owned());
        }
        let refused: u64 = session.captures.iter().map(|capture| capture.certificate_files.refused()).sum();
        if refused > 0 {
            missing.push(format!("{refused} certificates of files did not fit in memory"));
        }
        let nothing = counted.rows.is_empty() && counted.files.rows.is_empty() && held.is_empty();
        Self {
            schema_version: SCHEMA_VERSION,
            as_of: asked.as_of.date.to_string(),
            expires_within_days: asked.expires_within,
            not_recorded: NOT_RECORDED.to_vec(),
            why_none: nothing.then(|| session.why_none("certificates")),
            certificates: counted.rows.len() as u64,
            expired: count(Some("expired")),
            expires_soon: count(Some("expires_soon")),
            not_yet_valid: count(Some("not_yet_valid")),
            end_not_known: count(None),
            used_after_end: rows().filter(after_end).count() as u64,
            incomplete: counted.incomplete,
            handshakes: counted.seen.all(),
            why_no_handshakes: (counted.seen.all() == 0).then(why_no_handshakes),
            seen: counted.seen.into(),
            hidden_services: services(session, counted, &held),
            not_read_again: counted.stale.iter().map(|stale| StaleReport::new(session, stale, &held)).collect(),
            certificate_files: held::reports(session, &held, counted, asked),
            missing,
            watched,
        }
    }
}

/// Files that a program read in a place, those first that a library was asked to load.
type ReadFiles<'a> = BTreeMap<(u32, Option<&'a [u8]>, &'a [u8]), BTreeSet<(bool, &'a [u8])>>;

/// Services that TLS 1.3 hid the certificates of, those with most handshakes first.
fn services(session: &Session<'_>, counted: &Certs, held: &Held<'_>) -> Vec<ServiceReport> {
    let mut read = ReadFiles::new();
    for (key, row) in &counted.files.rows {
        for (program, user) in row.users.iter().filter(|(_, user)| user.reads + user.loads > 0) {
            let reader = (key.host, key.container.as_deref(), &**program);
            read.entry(reader).or_default().insert((user.loads == 0, &*key.path));
        }
    }
    let mut hidden: Vec<(&Presenter, &Seen)> = counted.services.iter().filter(|(_, seen)| seen.hidden > 0).collect();
    hidden.sort_by_key(|(_, seen)| std::cmp::Reverse(seen.hidden));
    hidden.into_iter().map(|(service, seen)| ServiceReport::new(session, (&read, held), service, *seen)).collect()
}

impl ServiceReport {
    fn new(session: &Session<'_>, (read, held): (&ReadFiles<'_>, &Held<'_>), service: &Presenter, seen: Seen) -> Self {
        let mut escaped = Escaped::new();
        let reader = service.program.as_deref().map(|program| (service.host, service.container.as_deref(), program));
        let files = reader.and_then(|reader| read.get(&reader));
        let all = files.map_or(0, BTreeSet::len);
        let stand_in = |(is_open, path): &(bool, &[u8])| StandIn {
            path: session.reveal().path(path, "files", &mut escaped),
            by: if *is_open { "open" } else { "call" },
            holds: held::first_of(held, service.host, path),
        };
        let files = files.into_iter().flatten().take(MAX_FILES).map(stand_in).collect();
        Self {
            host: host(session, service.host),
            program: service.program.as_deref().map(|program| session.shown(program)),
            container: service.container.as_deref().map(|id| session.shown(id)),
            port: service.port,
            seen: seen.into(),
            files,
            files_more: all.saturating_sub(MAX_FILES) as u64,
            escaped,
        }
    }
}

impl StaleReport {
    fn new(session: &Session<'_>, stale: &Stale, held: &Held<'_>) -> Self {
        let mut escaped = Escaped::new();
        let timeline = session.captures.get(stale.capture as usize).map(|capture| &capture.timeline);
        let program = timeline.and_then(|timeline| timeline.exe(stale.image));
        let comm = timeline.map(|timeline| timeline.comm(stale.image)).unwrap_or_default();
        let pid = timeline.and_then(|timeline| timeline.tgid(timeline.process_of(stale.image)?));
        let (presented, sha256) = match &stale.presented {
            Presented::Same(sha256) => ("same", Some(sha256.to_string())),
            Presented::After(sha256) => ("after", Some(sha256.to_string())),
            Presented::Hidden => ("hidden", None),
        };
        let held_by = sha256.as_deref().and_then(|sha256| held::holder(held, stale.file.host, sha256));
        let held_by = held_by.filter(|path| *path != &*stale.file.path);
        let held_by = held_by.map(|path| session.reveal().path(path, "held_by", &mut escaped));
        Self {
            host: host(session, stale.file.host),
            program: session.shown(program.unwrap_or(comm)),
            pid,
            container: stale.file.container.as_deref().map(|id| session.shown(id)),
            port: stale.port,
            path: session.reveal().path(&stale.file.path, "path", &mut escaped),
            by_link: stale.by_link,
            read: timestamp(stale.read),
            changed: timestamp(stale.changed),
            change: stale.change.name(),
            presented,
            sha256,
            file_holds: held::first_of(held, stale.file.host, &stale.file.path),
            held_by,
            last_presented: timestamp(stale.last),
            files_read: stale.files as u64,
            escaped,
        }
    }
}

/// Certificates, soonest to expire first; each is made when it is asked for.
pub(super) fn rows<'a>(
    session: &'a Session<'_>,
    counted: &'a Certs,
    asked: Asked,
) -> impl Iterator<Item = RowReport> + 'a {
    let mut rows: Vec<&CertRow> = counted.rows.values().filter(|row| asked.is_wanted(row)).collect();
    rows.sort_by_key(|row| row.certificate.not_after_unix.map_or((1, 0), |end| (0, end)));
    rows.into_iter().map(move |row| RowReport::new(session, row, asked))
}

/// Files of certificates.
pub(super) fn files<'a>(session: &'a Session<'_>, counted: &'a Certs) -> impl Iterator<Item = FileReport> + 'a {
    counted.files.rows.iter().map(|(key, row)| FileReport::new(session, key, row))
}

impl<I: Iterator<Item = RowReport>, F: Iterator<Item = FileReport>> Report<I, F> {
    pub fn new(head: Head, rows: I, files: F) -> Self {
        Self { head, files: Each::new(files), rows: Each::new(rows) }
    }
}

impl FileReport {
    fn new(session: &Session<'_>, key: &FileKey, row: &FileRow) -> Self {
        let mut escaped = Escaped::new();
        let path = session.reveal().path(&key.path, "path", &mut escaped);
        let program = |program: &[u8], user: &FileUser| FileProgram {
            program: session.shown(program),
            reads: user.reads,
            writes: user.writes,
            failed: user.failed,
            loads: user.loads,
            failed_loads: user.failed_loads,
        };
        Self {
            host: host(session, key.host),
            container: key.container.as_deref().map(|id| session.shown(id)),
            path,
            file_type: row.judged.map_or(FileType::Unknown, |judged| judged.file_type).name(),
            confidence: row.judged.map(|judged| judged.confidence.name()),
            by: row.judged.map(|judged| judged.by.name()),
            uses: row.uses.types().map(FileType::name).collect(),
            changes: row.changes,
            programs: row.users.iter().map(|(name, user)| program(name, user)).collect(),
            first: timestamp(row.span.first),
            last: timestamp(row.span.last),
            escaped,
        }
    }
}

impl RowReport {
    fn new(session: &Session<'_>, row: &CertRow, asked: Asked) -> Self {
        let (state, days_left) = asked.state(&row.certificate);
        let presented = |(presenter, presenting): (&Presenter, &Presenting)| PresenterReport {
            host: host(session, presenter.host),
            role: presenter.role.name(),
            address: presenter.address.map(|address| address.to_string()),
            program: presenter.program.as_deref().map(|program| session.shown(program)),
            container: presenter.container.as_deref().map(|id| session.shown(id)),
            port: presenter.port,
            server_names: presenting.server_names.iter().map(|name| escape::for_people(name)).collect(),
            processes: presenting.processes.len() as u64,
            more: presenting.is_cut,
            ends: presenting.ends,
            after_end: presenting.after_end,
            first: timestamp(presenting.span.first),
            last: timestamp(presenting.span.last),
        };
        Self {
            state,
            days_left,
            first_of_chain: row.is_first,
            handshakes: row.handshakes,
            after_end: row.presenters.values().map(|presenting| presenting.after_end).sum(),
            presented_by: row.presenters.iter().map(presented).collect(),
            fields: CertificateFields::new(&row.certificate),
        }
    }
}
