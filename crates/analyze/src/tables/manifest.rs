//! `_export-ID.json`: what was exported, of which segments, and what could not be seen.

use super::SCHEMA_VERSION;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

const PREFIX: &str = "_export-";
const SUFFIX: &str = ".json";

/// Bytes of a hash that make an id.
const ID_BYTES: usize = 8;

/// Larger ones are none.
const MAX_BYTES: u64 = 256 << 20;

/// How much a table has.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct TableCount {
    /// Its type of event.
    pub event_type: String,
    /// Rows.
    pub rows: u64,
    /// Files.
    pub files: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

/// A segment that was exported.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exported {
    /// Its host.
    pub host: String,
    /// Its capture, in hexadecimal.
    pub capture: String,
    /// Its number in the capture.
    pub sequence: u64,
}

/// One export.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Manifest {
    /// Of columns and files, see [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// What its files are named by: the same of the same segments and the same question.
    pub id: String,
    /// Who wrote it.
    pub tool: String,
    /// What was asked for besides the segments.
    pub selection: Vec<String>,
    /// The segments, sorted.
    pub segments: Vec<Exported>,
    /// Tables.
    pub tables: Vec<TableCount>,
    /// What is known to be missing, a sentence each.
    pub missing: Vec<String>,
    /// Files, sorted.
    pub files: Vec<String>,
}

/// Whether a file's name is that of a manifest.
pub fn is_manifest(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX))
}

/// The id of an export of these segments and this question.
fn id(selection: &[String], segments: &[Exported]) -> String {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    add(&SCHEMA_VERSION.to_string());
    add(&selection.len().to_string());
    selection.iter().for_each(|part| add(part));
    for segment in segments {
        add(&segment.host);
        add(&segment.capture);
        add(&segment.sequence.to_string());
    }
    crate::words::text::hex(hash.finalize().get(..ID_BYTES).unwrap_or_default())
}

impl Manifest {
    /// Of an export of these segments, which are sorted.
    pub fn new(tool: &str, segments: Vec<Exported>) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            id: String::new(),
            tool: tool.to_owned(),
            selection: Vec::new(),
            segments,
            tables: Vec::new(),
            missing: Vec::new(),
            files: Vec::new(),
        }
    }

    /// What was asked for, from which the id follows.
    pub fn ask(&mut self, selection: Vec<String>) {
        self.id = id(&selection, &self.segments);
        self.selection = selection;
    }

    /// What was written.
    pub fn wrote(&mut self, tables: Vec<TableCount>, files: &[PathBuf]) {
        self.tables = tables;
        self.files = files.iter().map(|file| file.display().to_string()).collect();
        self.files.sort();
    }

    /// Reads one.
    ///
    /// # Errors
    /// When it is none, or one of another version.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let length = std::fs::metadata(path).with_context(|| format!("{shown}: cannot be read"))?.len();
        if length > MAX_BYTES {
            bail!("{shown}: too large for a manifest");
        }
        let text = std::fs::read(path).with_context(|| format!("{shown}: cannot be read"))?;
        let value: serde_json::Value =
            serde_json::from_slice(&text).with_context(|| format!("{shown}: not a manifest of an export"))?;
        let version = value.get("schema_version").and_then(serde_json::Value::as_u64);
        if let Some(version) = version.filter(|version| *version != u64::from(SCHEMA_VERSION)) {
            bail!(
                "{shown}: its tables are of schema version {version}, and this program writes version {SCHEMA_VERSION}: \
                 export into another directory"
            );
        }
        serde_json::from_value(value).with_context(|| format!("{shown}: not a manifest of an export"))
    }

    /// What it is called.
    pub fn file_name(&self) -> String {
        format!("{PREFIX}{}{SUFFIX}", self.id)
    }

    /// As it is written.
    pub fn text(&self) -> String {
        // Into memory: this does not fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}
