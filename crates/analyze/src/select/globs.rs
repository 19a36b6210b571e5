//! File globs: one without a slash is for the file name in any directory, one with a slash for the whole path.

use crypto_trace_format::catalog::file_name;
use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Globs, any of which may match.
#[derive(Debug, Clone)]
pub struct Globs {
    names: GlobSet,
    paths: GlobSet,
}

impl Globs {
    /// Compiles globs. `*` does not cross a slash, `**` does.
    ///
    /// # Errors
    /// When one is not a glob.
    pub fn new(globs: &[String]) -> Result<Self, globset::Error> {
        let build = |wanted: bool| {
            let mut set = GlobSetBuilder::new();
            for glob in globs.iter().filter(|glob| glob.contains('/') == wanted) {
                set.add(parse(glob)?);
            }
            set.build()
        };
        Ok(Self { names: build(false)?, paths: build(true)? })
    }

    /// Whether a path matches.
    pub fn matches(&self, path: &[u8]) -> bool {
        (!self.names.is_empty() && self.names.is_match(OsStr::from_bytes(file_name(path))))
            || (!self.paths.is_empty() && self.paths.is_match(OsStr::from_bytes(path)))
    }
}

/// Checks one glob.
///
/// # Errors
/// When it is not a glob.
pub fn parse(glob: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(glob).literal_separator(true).empty_alternates(true).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths() {
        let check = |glob: &str, path: &[u8], expected: bool| {
            let globs = Globs::new(&[glob.to_owned()]).expect("valid");
            assert_eq!(globs.matches(path), expected, "{glob} on {}", String::from_utf8_lossy(path));
        };
        check("*.pem", b"/etc/ssl/a.pem", true);
        check("*.pem", b"a.pem", true);
        check("*.pem", b"/etc/a.pem/x", false);
        check("*.{pem,crt}", b"/etc/ssl/a.crt", true);
        check("/etc/ssl/*.pem", b"/etc/ssl/a.pem", true);
        check("/etc/ssl/*.pem", b"/etc/ssl/certs/a.pem", false);
        check("/etc/**/*.pem", b"/etc/ssl/certs/a.pem", true);
        check("**/private/*", b"/etc/ssl/private/k", true);
        check("*.pem", b"/etc/\xff\n.pem", true);
        check("*.PEM", b"/etc/a.pem", false);
        assert!(Globs::new(&["a{".to_owned()]).is_err());
    }
}
