//! What is in files of certificates, where `snapshot --certificates` read them, beside what is in use.

use super::json::Asked;
use crate::capture::certificate_files::CertificateFile;
use crate::capture::clock::WallNs;
use crate::count::certs::Certs;
use crate::count::handshakes::host_numbers;
use crate::event::CertificateFields;
use crate::report::document::Escaped;
use crate::report::session::Session;
use crate::words::kernel::errno_name;
use crate::words::text::{Align, Paint, Table, grouped, tabulate};
use crate::words::timestamp::timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Rows for people.
const TOP: usize = 30;

/// The latest that is known of each file: by host and path. When two recordings have it, the later one counts.
pub(super) type Held<'a> = BTreeMap<(u32, &'a [u8]), &'a CertificateFile>;

/// Of all recordings.
pub(super) fn held<'a>(session: &'a Session<'_>) -> Held<'a> {
    let hosts = host_numbers(&session.captures);
    let mut captures: Vec<_> = session.captures.iter().zip(hosts).collect();
    captures.sort_by_key(|(capture, _)| capture.meta.clock.realtime_ns);
    let files = captures
        .into_iter()
        .flat_map(|(capture, host)| capture.certificate_files.iter().map(move |(path, file)| ((host, path), file)));
    files.collect()
}

/// A file that was read.
#[derive(Serialize)]
pub(super) struct HeldReport {
    host: String,
    path: String,
    /// `read`, `holds_key`, `no_certificate`, `not_read`, `left_out`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    modified: Option<String>,
    certificates: Vec<HeldCertificate>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    escaped: Escaped,
}

/// One certificate of it.
#[derive(Serialize)]
struct HeldCertificate {
    state: Option<&'static str>,
    days_left: Option<i64>,
    /// It was seen in handshakes.
    presented: bool,
    #[serde(flatten)]
    fields: CertificateFields,
}

/// All files that were read.
pub(super) fn reports(session: &Session<'_>, held: &Held<'_>, counted: &Certs, asked: Asked) -> Vec<HeldReport> {
    let report = |((host, path), file): (&(u32, &[u8]), &&CertificateFile)| {
        let mut escaped = Escaped::new();
        let certificate = |certificate: &crate::protocol::tls::Certificate| {
            let (state, days_left) = asked.state(certificate);
            let presented = certificate.sha256.as_ref().is_some_and(|sha256| counted.rows.contains_key(sha256));
            HeldCertificate { state, days_left, presented, fields: CertificateFields::new(certificate) }
        };
        HeldReport {
            host: super::json::host(session, *host),
            path: session.reveal().path(path, "path", &mut escaped),
            state: file.state.name(),
            error: (file.errno != 0).then(|| errno_name(file.errno).map_or(file.errno.to_string(), str::to_owned)),
            modified: (file.modified_ns != 0).then(|| timestamp(WallNs(file.modified_ns))),
            certificates: file.certificates.iter().map(certificate).collect(),
            escaped,
        }
    };
    held.iter().map(report).collect()
}

/// SHA-256 of the first certificate of a file, which is the one that a server presents.
pub(super) fn first_of(held: &Held<'_>, host: u32, path: &[u8]) -> Option<String> {
    held.get(&(host, path))?.certificates.first()?.sha256.clone()
}

/// A file whose first certificate has this SHA-256.
pub(super) fn holder<'a>(held: &Held<'a>, host: u32, sha256: &str) -> Option<&'a [u8]> {
    let is_it =
        |file: &CertificateFile| file.certificates.first().is_some_and(|first| first.sha256.as_deref() == Some(sha256));
    held.iter().find(|((of, _), file)| *of == host && is_it(file)).map(|((_, path), _)| *path)
}

/// For people.
pub(super) fn text(files: &[HeldReport], paint: Paint, out: &mut String) {
    let mut table = Table::new(&[
        ("state", Align::Left),
        ("days left", Align::Right),
        ("ends", Align::Left),
        ("key", Align::Left),
        ("in handshakes", Align::Left),
        ("changed", Align::Left),
        ("file", Align::Left),
        ("subject", Align::Left),
    ]);
    let mut rows = Vec::new();
    for file in files {
        let changed = file.modified.as_deref().map(crate::report::parts::second).unwrap_or_default();
        let path = crate::words::escape::for_people(file.path.as_bytes());
        if file.certificates.is_empty() {
            let why = file.error.clone().unwrap_or_else(|| file.state.replace('_', " "));
            rows.push((
                i64::MAX,
                vec![why, String::new(), "-".into(), String::new(), String::new(), changed, path, "-".into()],
            ));
            continue;
        }
        for certificate in &file.certificates {
            let fields = &certificate.fields;
            let end = fields.not_after.as_ref().map(|end| end.0.get(..10).unwrap_or(&end.0).to_owned());
            let cells = vec![
                certificate.state.map_or("not known".to_owned(), |state| state.replace('_', " ")),
                certificate.days_left.map_or("-".to_owned(), |days| days.to_string()),
                end.unwrap_or_else(|| "-".to_owned()),
                fields.key(),
                if certificate.presented { "yes".to_owned() } else { "not seen".to_owned() },
                changed.clone(),
                path.clone(),
                fields.name(),
            ];
            rows.push((certificate.days_left.unwrap_or(i64::MAX - 1), cells));
        }
    }
    rows.sort_by_key(|(days, _)| *days);
    let more = rows.len().saturating_sub(TOP);
    rows.into_iter().take(TOP).for_each(|(_, cells)| table.row(cells));
    tabulate("Certificates in files, from a snapshot, soonest to expire first", &table, paint, out);
    if more > 0 {
        let _ = writeln!(out, "  and {} more; see -f json", grouped(more as u64));
    }
}
