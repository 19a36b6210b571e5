//! The part of the selection that the kernel cannot decide: general globs, and library names.

use crypto_trace_format::catalog::file_name;
use crypto_trace_format::record::{FileChange, FileOpen, LibLoad, Record};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

/// Decides over records that the BPF programs let through.
#[derive(Debug, Clone, Default)]
pub struct RecordFilter {
    by_name: Option<GlobSet>,
    by_path: Option<GlobSet>,
    libraries: Vec<String>,
}

impl RecordFilter {
    /// A filter for opens that match one of `globs` (any, if empty) and libraries whose name contains one of `libraries`
    /// (any, if empty).
    ///
    /// # Errors
    /// A glob that is none.
    pub fn new(globs: &[String], libraries: &[String]) -> Result<Self, globset::Error> {
        let set = |wanted: &dyn Fn(&&String) -> bool| -> Result<Option<GlobSet>, globset::Error> {
            let mut builder = GlobSetBuilder::new();
            let mut any = false;
            for glob in globs.iter().filter(wanted) {
                builder.add(GlobBuilder::new(glob).literal_separator(true).empty_alternates(true).build()?);
                any = true;
            }
            if any { builder.build().map(Some) } else { Ok(None) }
        };
        Ok(Self {
            by_name: set(&|glob| !glob.contains('/'))?,
            by_path: set(&|glob| glob.contains('/'))?,
            libraries: libraries.to_vec(),
        })
    }

    /// Whether everything passes, so that nobody need ask.
    pub fn passes_all(&self) -> bool {
        self.by_name.is_none() && self.by_path.is_none() && self.libraries.is_empty()
    }

    /// Whether to keep the record. One that cannot be decoded is kept: the reader will say what is wrong with it.
    pub fn keeps(&self, record: &Record<'_>) -> bool {
        match record.kind() {
            FileOpen::KIND => FileOpen::decode(record).map_or(true, |open| self.keeps_open(&open)),
            FileChange::KIND => FileChange::decode(record).map_or(true, |change| self.keeps_change(&change)),
            LibLoad::KIND => LibLoad::decode(record).map_or(true, |library| self.keeps_library(library.path)),
            _ => true,
        }
    }

    /// Whether to keep an open.
    pub fn keeps_open(&self, open: &FileOpen<'_>) -> bool {
        // A failed relative open is judged by the path it would have had.
        self.matches(&open.full_path()) || (!open.given.is_empty() && self.matches(open.given))
    }

    /// Whether to keep a change: by the name that the file had, by that which it got, or by what a link points to.
    pub fn keeps_change(&self, change: &FileChange<'_>) -> bool {
        self.matches(&change.full_path())
            || change.full_new().is_some_and(|new| self.matches(&new))
            || change.link_target().is_some_and(|target| self.matches(target))
    }

    /// Whether a path matches one of the globs; any, when there are none.
    fn matches(&self, path: &[u8]) -> bool {
        if self.by_name.is_none() && self.by_path.is_none() {
            return true;
        }
        let is_match =
            |set: &Option<GlobSet>, path: &[u8]| set.as_ref().is_some_and(|set| set.is_match(OsStr::from_bytes(path)));
        is_match(&self.by_name, file_name(path)) || is_match(&self.by_path, path)
    }

    /// Whether to keep a library with this path.
    pub fn keeps_library(&self, path: &[u8]) -> bool {
        let name = file_name(path);
        self.libraries.is_empty()
            || self.libraries.iter().any(|part| name.windows(part.len()).any(|window| window == part.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_without_a_slash_is_for_the_name_and_with_one_for_the_path() {
        let keeps = |globs: &[&str], path: &str, dir: &str| {
            let globs: Vec<_> = globs.iter().map(|glob| (*glob).to_owned()).collect();
            let filter = RecordFilter::new(&globs, &[]).expect("valid globs");
            filter.keeps_open(&FileOpen { path: path.as_bytes(), dir: dir.as_bytes(), ..FileOpen::default() })
        };
        assert!(keeps(&["*.pem"], "/etc/ssl/a.pem", ""));
        assert!(keeps(&["*.{pem,crt}"], "a.crt", "/etc"));
        assert!(keeps(&["*.y{a,}ml"], "a.yml", "/etc") && keeps(&["*.y{a,}ml"], "a.yaml", "/etc"));
        assert!(!keeps(&["*.pem"], "/etc/a.pem/b", ""));
        assert!(keeps(&["/etc/ssl/*"], "/etc/ssl/x", ""));
        assert!(!keeps(&["/etc/ssl/*"], "/etc/ssl/private/x", ""));
        assert!(keeps(&["/etc/ssl/**"], "/etc/ssl/private/x", ""));
        assert!(keeps(&["/etc/ssl/*"], "x", "/etc/ssl"));
        assert!(keeps(&["/x.key"], "x.key", "/"), "a daemon's directory is /");
        assert!(keeps(&["/x.key"], "/x.key", "/etc"), "an absolute path is relative to nothing");
        assert!(keeps(&["*.none", "id_*"], "/root/.ssh/id_foo", ""));
        assert!(keeps(&[], "/anything", ""));
    }

    #[test]
    fn libraries_are_kept_by_a_part_of_their_name() {
        let filter = RecordFilter::new(&[], &["ssl".to_owned()]).expect("no globs");
        assert!(filter.keeps_library(b"/usr/lib/libssl.so.3"));
        assert!(!filter.keeps_library(b"/usr/ssl/libgnutls.so.30"));
    }
}
