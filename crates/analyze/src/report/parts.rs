//! What documents about processes, files and libraries are made of, as JSON.

use crate::capture::Capture;
use crate::capture::libraries::FileId;
use crate::capture::libraries::product;
use crate::count::files::{OTHER_ERRNOS, ranked_errnos};
use crate::report::document::{Escaped, Reveal};
use crate::words::kernel::errno_name;
use crate::words::redact;
use crate::words::text::hex;
use crypto_trace_format::catalog;
use serde::Serialize;

/// What a library is.
#[derive(Debug, Serialize)]
pub(crate) struct LibraryPart {
    /// Its file name up to the first dot, `libssl`.
    pub name: String,
    pub path: String,
    /// Name in the catalog, or what its functions say; none when neither is known.
    pub library_name: Option<String>,
    /// How that name is known.
    pub library_name_by: Option<&'static str>,
    /// The version of the binary interface, in its file name.
    pub soname_version: Option<String>,
    /// The version it reports itself.
    pub version: Option<String>,
    /// The same, when the capture looked into it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub library_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
}

impl LibraryPart {
    pub fn new(capture: Option<&Capture>, id: FileId, path: &[u8], reveal: Reveal, escaped: &mut Escaped) -> Self {
        let file = redact::file_name(path, reveal.redact);
        let file = &*file;
        let stem = file.split(|byte| *byte == b'.').next().unwrap_or(file);
        let looked_into = capture.and_then(|capture| capture.libraries.get(id));
        let mut some = |text: &[u8], name| (!text.is_empty()).then(|| reveal.text(text, name, escaped));
        let by_name = catalog::library(path);
        let family = looked_into.map(|row| &row.family[..]).unwrap_or_default();
        let library_name = product::known_as(path, family).map(str::to_owned);
        let library_name = library_name.or_else(|| looked_into.and_then(|row| some(&row.family, "library_name")));
        let library_name_by = match (by_name, looked_into) {
            (Some(_), _) => Some("name"),
            (None, Some(row)) if row.is_by_text() => Some("text"),
            _ => library_name.as_ref().map(|_| "functions"),
        };
        Self {
            library_name,
            library_name_by,
            soname_version: product::soname_version(file).and_then(|version| some(version, "soname_version")),
            version: looked_into.and_then(|row| some(&row.version, "version")),
            library_version: looked_into.and_then(|row| some(&row.version, "library_version")),
            build_id: looked_into.map(|row| hex(&row.build_id)).filter(|id| !id.is_empty()),
            name: reveal.text(stem, "name", escaped),
            path: reveal.path(path, "path", escaped),
        }
    }

    /// The version for people.
    pub fn shown_version(&self) -> &str {
        self.version.as_deref().unwrap_or("-")
    }

    /// The name for people, marked if only a text supports it.
    pub fn shown_name(&self, shown: impl Fn(&str) -> String) -> String {
        let name = self.library_name.as_deref().map_or("-".to_owned(), shown);
        if self.library_name_by == Some("text") { name + " (by a string)" } else { name }
    }
}

/// Opens that failed for one reason.
#[derive(Debug, Serialize)]
pub(crate) struct Failures {
    /// Name of the errno, or its number; `other` of all that have no room.
    pub error: String,
    pub count: u64,
}

/// The reasons why opens failed, the most frequent first.
pub(crate) fn failures(by_errno: &[(u32, u64)]) -> Vec<Failures> {
    let name = |errno: u32| match errno {
        OTHER_ERRNOS => "other".to_owned(),
        errno => errno_name(errno).map_or_else(|| errno.to_string(), str::to_owned),
    };
    ranked_errnos(by_errno).into_iter().map(|(errno, count)| Failures { error: name(errno), count }).collect()
}

/// The same for people: `EACCES 3, ENOENT`
pub(crate) fn failures_in_short(failures: &[Failures]) -> String {
    let one = |failure: &Failures| match failure.count {
        1 => failure.error.clone(),
        count => format!("{} {count}", failure.error),
    };
    failures.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Date and time of a timestamp, to the second, for people: `2026-11-22 10:30:45`
pub(crate) fn second(time: &str) -> String {
    time.get(..19).unwrap_or(time).replace('T', " ")
}
