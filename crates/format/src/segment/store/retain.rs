//! Deletes the oldest sealed segments of a directory, those of earlier captures included. Files whose names are not ours
//! are never touched, nor are segments that are not sealed.

use super::dir::Dir;
use super::name::is_segment_name;
use super::{Pressure, StoreOptions};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

struct Sealed {
    modified: SystemTime,
    name: OsString,
    bytes: u64,
}

/// Applies the limits of `options`, sparing `keep`: the segment just sealed outlives any limit. Returns what was deleted.
/// What cannot be listed or deleted now is tried again at the next rotation.
pub(super) fn apply(dir: &Dir, options: &StoreOptions, keep: Option<&OsStr>) -> Vec<PathBuf> {
    if options.retain_bytes.is_none() && options.retain_segments.is_none() && options.retain_age.is_none() {
        return Vec::new();
    }
    let mut segments = sealed_segments(dir);
    segments.sort_by(|a, b| (a.modified, &a.name).cmp(&(b.modified, &b.name)));
    let mut bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let mut count = segments.len() as u64;
    let now = SystemTime::now();
    let mut deleted = Vec::new();
    for segment in segments.iter().filter(|segment| keep != Some(&segment.name)) {
        let age = now.duration_since(segment.modified).unwrap_or_default();
        let doomed = options.retain_bytes.is_some_and(|limit| bytes > limit)
            || options.retain_segments.is_some_and(|limit| count > limit)
            || options.retain_age.is_some_and(|limit| age > limit);
        if doomed && dir.remove(&segment.name).is_ok() {
            bytes -= segment.bytes;
            count -= 1;
            deleted.push(dir.path().join(&segment.name));
        }
    }
    deleted
}

/// How much of the limit is taken by segments that are to be kept whatever happens.
pub(super) fn pressure(dir: &Dir, options: &StoreOptions) -> Pressure {
    let (Some(limit), Some(min_age)) = (options.retain_bytes, options.retain_min_age) else { return Pressure::None };
    let now = SystemTime::now();
    let is_young = |segment: &Sealed| now.duration_since(segment.modified).unwrap_or_default() < min_age;
    let young: u64 = sealed_segments(dir).iter().filter(|segment| is_young(segment)).map(|segment| segment.bytes).sum();
    // One more is being written.
    match (young.saturating_add(options.segment_bytes), limit / 4) {
        (young, quarter) if young < quarter * 2 => Pressure::None,
        (young, quarter) if young < quarter * 3 => Pressure::Half,
        (young, _) if young < limit => Pressure::High,
        _ => Pressure::Over,
    }
}

fn sealed_segments(dir: &Dir) -> Vec<Sealed> {
    let ours = |(name, stat): (OsString, rustix::fs::Stat)| {
        is_segment_name(name.to_str()?).then_some(())?;
        let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
        let nanos = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
        let modified = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
        Some(Sealed { modified, name, bytes: u64::try_from(stat.st_size).unwrap_or(0) })
    };
    dir.files().unwrap_or_default().into_iter().filter_map(ours).collect()
}
