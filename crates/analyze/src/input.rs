//! From what a user names to opened segments, grouped by capture.

use anyhow::{Context, Result, bail};
use crypto_trace_format::segment::{OpenError, SegmentReader};
use rayon::prelude::*;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// One opened segment.
pub struct Segment {
    /// Its reader.
    pub reader: SegmentReader,
    /// Number of its capture.
    pub capture: u32,
}

/// All segments of a run: sorted by host, capture and sequence, whatever order they were named in.
#[derive(Default)]
pub struct Inputs {
    /// Segments.
    pub segments: Vec<Segment>,
    /// How many captures they belong to.
    pub captures: u32,
    /// What was left out and why, for stderr.
    pub notes: Vec<String>,
    /// Segments that are there and could not be read, and why: what they hold is missing from any answer.
    pub unread: Vec<String>,
}

/// Opens everything the user named: files, and directories of segments.
///
/// # Errors
/// When something named is missing or not a segment, or none of it may be read: nothing is read then, as part of an answer
/// could pass for all of it. What may not be read beside what may is left out, and is in [`Inputs::unread`].
pub fn open(named: &[PathBuf]) -> Result<Inputs> {
    let mut notes = Vec::new();
    let mut paths = Vec::new();
    for path in named {
        resolve(path, &mut paths)?;
    }
    let opened: Vec<(PathBuf, Result<Vec<SegmentReader>, OpenError>)> =
        paths.into_par_iter().map(|found| (found.path.clone(), open_one(&found))).collect();
    let (mut readers, mut unread, mut refusal) = (Vec::new(), Vec::new(), None);
    for (path, result) in opened {
        match result {
            Ok(segments) => readers.extend(segments),
            // The capture has created it and not yet written to it.
            Err(OpenError::Empty { .. }) if is_open_segment(&path) => {
                notes.push(format!("{}: empty, nothing was written to it yet", path.display()));
            }
            Err(error @ OpenError::Io { .. }) => {
                unread.push(format!("{error}; its events are missing (who may read it: docs/operations.md)"));
                refusal.get_or_insert(error);
            }
            Err(error) => bail!(error),
        }
    }
    if let (true, Some(error)) = (readers.is_empty(), refusal) {
        // The chain of causes would say it again.
        bail!("{error}");
    }
    Ok(Inputs { unread, ..group(readers, notes) })
}

struct Found {
    path: PathBuf,
    in_directory: bool,
}

/// Adds the segments that `path` stands for.
fn resolve(path: &Path, out: &mut Vec<Found>) -> Result<()> {
    let metadata = std::fs::metadata(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    if !metadata.is_dir() {
        out.push(Found { path: path.to_owned(), in_directory: false });
        return Ok(());
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("{}: cannot be listed", path.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("{}: cannot be listed", path.display()))?.path();
        if entry.extension() == Some(OsStr::new("ctseg")) || is_open_segment(&entry) {
            found.push(entry);
        }
    }
    if found.is_empty() {
        bail!("{}: no segments in this directory (*.ctseg, *.ctseg.open)", path.display());
    }
    found.sort();
    out.extend(found.into_iter().map(|path| Found { path, in_directory: true }));
    Ok(())
}

fn is_open_segment(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().ends_with(b".ctseg.open"))
}

/// Opens a file: most hold one segment, but segments may be concatenated.
fn open_one(found: &Found) -> Result<Vec<SegmentReader>, OpenError> {
    match SegmentReader::open_all(&found.path) {
        // It was sealed, and with that renamed, since the directory was listed.
        Err(OpenError::Io { source, .. })
            if found.in_directory && source.kind() == std::io::ErrorKind::NotFound && is_open_segment(&found.path) =>
        {
            SegmentReader::open_all(&found.path.with_extension(""))
        }
        result => result,
    }
}

fn group(mut readers: Vec<SegmentReader>, mut notes: Vec<String>) -> Inputs {
    // Of two copies of a segment the sealed one, then the longer one, comes first and stays.
    readers.sort_by(|a, b| {
        let key =
            |reader: &SegmentReader| (reader.meta().host.clone(), reader.meta().capture_id, reader.meta().sequence);
        key(a)
            .cmp(&key(b))
            .then_with(|| b.is_sealed().cmp(&a.is_sealed()))
            .then_with(|| b.len_bytes().cmp(&a.len_bytes()))
            .then_with(|| a.path().cmp(b.path()))
    });
    let mut seen = HashSet::new();
    let mut inputs = Inputs::default();
    let mut last = None;
    for reader in readers {
        let meta = reader.meta();
        if !seen.insert((meta.capture_id, meta.sequence)) {
            notes.push(format!("{}: the same segment was given twice, read once", reader.path().display()));
            continue;
        }
        let id = Some((meta.host.clone(), meta.capture_id));
        if id != last {
            inputs.captures += 1;
            last = id;
        }
        inputs.segments.push(Segment { capture: inputs.captures - 1, reader });
    }
    inputs.notes = notes;
    inputs
}
