//! The document of `report`: the documents of other commands beside each other, with a cover and an inventory.

use super::all::All;
use super::inventory::{self, CryptoRow, LibraryRow};
use crate::commands::check::Asking;
use crate::commands::{algorithms, certs, coverage, keys, readiness, tls};
use crate::report::completeness;
use crate::report::judged::{AsOf, Judged};
use crate::report::session::Session;
use crate::words::escape;
use crate::words::redact;
use crate::words::text::{Paint, TOOL, hex};
use crate::words::timestamp::timestamp;
use anyhow::{Context, Result};
use crypto_trace_format::catalog::file_name;
use jiff::civil::Date;
use rayon::prelude::*;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Version of the document: a member that is added does not change it, one that goes or means something else does.
const SCHEMA_VERSION: u32 = 1;

/// Rows of one table; a page with more is no report.
pub(super) const MAX_ROWS: usize = 1_000;

/// The document.
#[derive(Serialize)]
pub(super) struct Report {
    schema_version: u32,
    /// What made it.
    pub made_by: String,
    pub hosts: Vec<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    /// The day that rules and certificates are judged by.
    pub as_of: String,
    pub recordings: Vec<Recording>,
    pub segments: Vec<Segment>,
    /// What is missing of it, a sentence each.
    pub missing: Vec<String>,
    /// Rows that are not here, by table: each has the first 1,000.
    pub rows_left_out: Vec<LeftOut>,
    /// The documents of the commands of these names.
    pub readiness: Value,
    pub check: Value,
    pub tls: Value,
    pub algorithms: Value,
    pub certs: Value,
    pub keys: Value,
    pub coverage: Value,
    /// Cipher suites and protocols in use, and algorithms that libraries were asked for, with what for, where and when.
    pub inventory: Vec<CryptoRow>,
    pub libraries: Vec<LibraryRow>,
}

/// One recording.
#[derive(Serialize)]
pub(super) struct Recording {
    pub host: String,
    pub kernel: String,
    pub recorded_by: String,
    pub from: String,
    pub to: String,
    /// What of the host was recorded; null: everything.
    pub selection: Option<String>,
    pub lost: u64,
    pub dropped: u64,
}

/// A file that was read.
#[derive(Serialize)]
pub(super) struct Segment {
    pub file: String,
    pub bytes: u64,
    pub sha256: String,
}

#[derive(Serialize)]
pub(super) struct LeftOut {
    pub table: &'static str,
    pub rows: u64,
}

impl Report {
    /// Of everything that was counted; gives back the run.
    pub fn new<'a>(
        session: Session<'a>,
        all: All,
        asking: &Asking,
        as_of: Option<Date>,
        paint: Paint,
    ) -> Result<(Session<'a>, Self)> {
        let day = AsOf::of(&session, as_of);
        let check = asking.document(&session, &all.uses, as_of)?;
        let readiness = readiness::document(&session, &all.readiness, MAX_ROWS)?;
        let certs = certs::document(&session, &all.certs, day, MAX_ROWS)?;
        let keys = keys::document(&session, &all.keys, MAX_ROWS)?;
        let inventory = inventory::crypto(&session, &all.uses);
        let libraries = inventory::libraries(&session, &all.uses);
        let left_out = [
            ("readiness", all.readiness.rows.len()),
            ("certs", all.certs.rows.len()),
            ("keys", all.keys.rows.len()),
            ("inventory", inventory.len()),
            ("libraries", libraries.len()),
        ];
        let left_out = left_out.into_iter().filter(|(_, rows)| *rows > MAX_ROWS);
        let segments = segments(session.names())?;
        let window = session.covered();
        let hosts: BTreeSet<String> =
            session.captures.iter().map(|capture| escape::for_people(capture.meta.host.as_bytes())).collect();
        let judged = Judged::new(session, all.totals, day, &[], paint);
        let report = Self {
            schema_version: SCHEMA_VERSION,
            made_by: TOOL.to_owned(),
            hosts: hosts.into_iter().collect(),
            from: window.map(|(from, _)| timestamp(from)),
            to: window.map(|(_, to)| timestamp(to)),
            as_of: day.date.to_string(),
            recordings: (0u32..judged.captures.len().try_into().unwrap_or(u32::MAX))
                .map(|number| Recording::new(&judged, number))
                .collect(),
            segments,
            missing: missing(&judged),
            rows_left_out: left_out.map(|(table, rows)| LeftOut { table, rows: (rows - MAX_ROWS) as u64 }).collect(),
            readiness,
            check,
            tls: tls::document(&judged)?,
            algorithms: algorithms::document(&judged)?,
            certs,
            keys,
            coverage: coverage::document(&judged)?,
            inventory: inventory.into_iter().take(MAX_ROWS).collect(),
            libraries: libraries.into_iter().take(MAX_ROWS).collect(),
        };
        Ok((judged.into_session(), report))
    }
}

/// What is missing of all of it.
fn missing(judged: &Judged<'_>) -> Vec<String> {
    let redacted = judged.request.redact;
    let mut missing = judged.gaps(None);
    let filtered = completeness::recordings(&judged.captures).any(completeness::is_selective);
    missing.extend(filtered.then(|| "only part was recorded, see selection: nothing is known of the rest".to_owned()));
    missing.into_iter().map(|text| redact::sentence(text, redacted)).collect()
}

impl Recording {
    fn new(judged: &Judged<'_>, number: u32) -> Self {
        let Some(capture) = judged.captures.get(number as usize) else { return Self::nothing() };
        let (from, to) = judged.window(number);
        let (lost, dropped) = capture.missing();
        Self {
            host: escape::for_people(capture.meta.host.as_bytes()),
            kernel: escape::for_people(capture.meta.kernel.as_bytes()),
            recorded_by: escape::for_people(capture.meta.tool.as_bytes()),
            from: timestamp(from),
            to: timestamp(to),
            selection: completeness::recorded(&capture.meta, |text| judged.shown(text), ""),
            lost,
            dropped,
        }
    }

    fn nothing() -> Self {
        let empty = String::new;
        Self {
            host: empty(),
            kernel: empty(),
            recorded_by: empty(),
            from: empty(),
            to: empty(),
            selection: None,
            lost: 0,
            dropped: 0,
        }
    }
}

/// The files that were read; none of a pipe.
fn segments(names: &[std::path::PathBuf]) -> Result<Vec<Segment>> {
    let files = names.par_iter().filter(|path| path.is_file());
    files.map(|path| segment(path)).collect()
}

fn segment(path: &Path) -> Result<Segment> {
    let name = || format!("{}: cannot be read again for its SHA-256", path.display());
    let mut file = File::open(path).with_context(name)?;
    let (mut digest, mut buffer, mut bytes) = (Sha256::new(), vec![0; 1 << 16], 0u64);
    loop {
        let read = file.read(&mut buffer).with_context(name)?;
        if read == 0 {
            break;
        }
        digest.update(buffer.get(..read).unwrap_or_default());
        bytes += read as u64;
    }
    let file = escape::for_people(file_name(path.as_os_str().as_encoded_bytes()));
    Ok(Segment { file, bytes, sha256: hex(&digest.finalize()) })
}
