//! From what a user names to opened segments, grouped by capture.

use crate::select::{is_host, no_such_host};
use anyhow::{Context, Result, bail};
use crypto_trace_format::segment::{OpenError, SegmentReader};
use rayon::prelude::*;
use std::collections::{HashSet, VecDeque};
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

/// What of it is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Choice<'a> {
    /// Also segments in subdirectories.
    pub recursive: bool,
    /// Hosts, by name; empty means all.
    pub hosts: &'a [String],
}

/// Directories within one another that are searched.
const MAX_DEPTH: usize = 64;

/// Directories that are looked into for a hint.
const MAX_SEARCHED: usize = 1_000;

/// Opens everything the user named: files, and directories of segments.
///
/// # Errors
/// When something named is missing or not a segment, or none of it may be read: nothing is read then, as part of an answer
/// could pass for all of it. What may not be read beside what may is left out, and is in [`Inputs::unread`].
pub fn open(named: &[PathBuf], choice: Choice<'_>) -> Result<Inputs> {
    let mut notes = Vec::new();
    let (mut paths, mut unlisted) = (Vec::new(), Vec::new());
    for path in named {
        resolve(path, choice.recursive, &mut paths, &mut unlisted)?;
    }
    let opened: Vec<(PathBuf, Result<Vec<SegmentReader>, OpenError>)> =
        paths.into_par_iter().map(|found| (found.path.clone(), open_one(&found))).collect();
    let (mut readers, mut unread, mut refusal) = (Vec::new(), unlisted, None);
    for (path, result) in opened {
        match result {
            Ok(segments) => readers.extend(segments),
            // The capture has created it and not yet written to it.
            Err(OpenError::Empty { .. }) if is_open_segment(&path) => {
                notes.push(format!("{}: empty: nothing has been written to it yet", path.display()));
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
    if !readers.is_empty() && !readers.iter().any(|reader| is_host(choice.hosts, &reader.meta().host)) {
        bail!(no_such_host(choice.hosts, readers.iter().map(|reader| reader.meta().host.as_str())));
    }
    readers.retain(|reader| is_host(choice.hosts, &reader.meta().host));
    Ok(Inputs { unread, ..group(readers, notes) })
}

/// A segment that is there, without what opening it takes.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its file.
    pub path: PathBuf,
    /// Its host.
    pub host: String,
    /// Its capture.
    pub capture_id: [u8; 16],
    /// Its number in the capture.
    pub sequence: u64,
    /// Whether its writer ended it.
    pub is_sealed: bool,
}

/// The segments that a user named, by capture, and files that say nothing of themselves: whoever opens those says why.
///
/// # Errors
/// When something named is missing, or is a directory without segments.
pub fn list_segments(named: &[PathBuf], choice: Choice<'_>) -> Result<(Vec<Vec<Listed>>, Vec<PathBuf>)> {
    let (mut paths, mut unlisted) = (Vec::new(), Vec::new());
    for path in named {
        resolve(path, choice.recursive, &mut paths, &mut unlisted)?;
    }
    let listed: Vec<(PathBuf, Option<Vec<Listed>>)> = paths
        .into_par_iter()
        .map(|found| {
            let segments = open_one(&found).ok().map(|readers| {
                let listed = |reader: SegmentReader| {
                    let meta = reader.meta();
                    let (host, capture_id, sequence) = (meta.host.clone(), meta.capture_id, meta.sequence);
                    let (path, is_sealed) = (reader.path().to_owned(), reader.is_sealed());
                    Listed { path, host, capture_id, sequence, is_sealed }
                };
                readers.into_iter().map(listed).collect::<Vec<_>>()
            });
            (found.path, segments)
        })
        .collect();
    let (mut segments, mut others) = (Vec::new(), Vec::new());
    for (path, found) in listed {
        match found {
            Some(found) => segments.extend(found.into_iter().filter(|segment| is_host(choice.hosts, &segment.host))),
            None => others.push(path),
        }
    }
    segments.sort_by(|a, b| {
        (&a.host, a.capture_id, a.sequence, &a.path).cmp(&(&b.host, b.capture_id, b.sequence, &b.path))
    });
    let captures = segments.chunk_by(|a, b| (&a.host, a.capture_id) == (&b.host, b.capture_id)).map(<[Listed]>::to_vec);
    Ok((captures.collect(), others))
}

struct Found {
    path: PathBuf,
    in_directory: bool,
}

/// Adds the segments that `path` stands for; and to `unlisted` what is below it and may not be looked into.
fn resolve(path: &Path, recursive: bool, out: &mut Vec<Found>, unlisted: &mut Vec<String>) -> Result<()> {
    let metadata = std::fs::metadata(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    if !metadata.is_dir() {
        out.push(Found { path: path.to_owned(), in_directory: false });
        return Ok(());
    }
    let unlistable = || format!("{}: cannot be listed", path.display());
    let (mut found, below) = list(path).with_context(unlistable)?;
    if recursive {
        search(below, &mut found, unlisted);
    } else if found.is_empty()
        && let Some(directory) = first_with_segments(below)
    {
        let (path, directory) = (path.display(), directory.display());
        bail!(
            "{path}: no segments in this directory itself; there are some below it, such as in {directory}: give \
             --recursive (-r)"
        );
    }
    if found.is_empty() {
        let below = if recursive { " or below it" } else { "" };
        bail!("{}: no segments in this directory{below} (*.ctseg, *.ctseg.open)", path.display());
    }
    found.sort();
    out.extend(found.into_iter().map(|path| Found { path, in_directory: true }));
    Ok(())
}

/// The segments in a directory, and its subdirectories; not those that links lead to, which may lead back.
fn list(directory: &Path) -> std::io::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut segments, mut below) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            below.push(path);
        } else if path.extension() == Some(OsStr::new("ctseg")) || is_open_segment(&path) {
            segments.push(path);
        }
    }
    below.sort();
    Ok((segments, below))
}

/// Adds the segments of all directories from here on down.
fn search(directories: Vec<PathBuf>, found: &mut Vec<PathBuf>, unlisted: &mut Vec<String>) {
    let mut left: Vec<(PathBuf, usize)> = directories.into_iter().map(|directory| (directory, 1)).collect();
    while let Some((directory, depth)) = left.pop() {
        match list(&directory) {
            Ok((segments, below)) => {
                found.extend(segments);
                if depth < MAX_DEPTH {
                    left.extend(below.into_iter().map(|directory| (directory, depth + 1)));
                } else if !below.is_empty() {
                    unlisted.push(format!("{}: too deep: nothing below it is read", directory.display()));
                }
            }
            Err(error) => unlisted.push(format!("{}: cannot be listed: {error}", directory.display())),
        }
    }
}

/// Some directory below with segments: the nearest ones are looked into, and not more than [`MAX_SEARCHED`].
fn first_with_segments(directories: Vec<PathBuf>) -> Option<PathBuf> {
    let mut left: VecDeque<PathBuf> = directories.into();
    for _ in 0..MAX_SEARCHED {
        let directory = left.pop_front()?;
        let Ok((segments, below)) = list(&directory) else { continue };
        if !segments.is_empty() {
            return Some(directory);
        }
        left.extend(below);
    }
    None
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
            notes.push(format!("{}: the same segment was given twice; it is read once", reader.path().display()));
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
