//! What is known of a library: its name, and what it says of itself. Several types of events show it.

use super::members::{Out, Type, Value};
use super::object::Redact;
use super::values::{HexBytes, Path, Text, When, some};
use crate::capture::Capture;
use crate::capture::libraries::{FileId, product};

/// The name of a library.
#[derive(Debug, Clone, Copy)]
pub enum LibraryName<'a> {
    /// The catalog's, or of what its functions say.
    Known(&'static str),
    /// What its functions say, where that is nothing that is known.
    Family(&'a [u8]),
}

impl<'a> LibraryName<'a> {
    /// The name in the catalog, or else what the functions say.
    pub fn new(path: &[u8], family: &'a [u8]) -> Option<Self> {
        let known = product::known_as(path, family).map(Self::Known);
        known.or_else(|| some(family).map(Self::Family))
    }
}

impl Value for LibraryName<'_> {
    const TYPE: Type = Type::Host(Redact::Text);

    fn write<O: Out>(&self, out: &mut O, bit: u32) {
        match self {
            Self::Known(name) => out.word(name),
            Self::Family(family) => out.text(bit, family, Redact::Text),
        }
    }
}

/// A library that the capture may have looked into.
#[derive(Debug)]
pub struct Library<'a> {
    /// Its path.
    pub path: Option<Path<'a>>,
    /// Its name.
    pub name: Option<LibraryName<'a>>,
    /// The version it reports itself.
    pub version: When<Text<'a>>,
    /// Its build id.
    pub build_id: When<HexBytes<'a>>,
}

impl<'a> Library<'a> {
    /// What the capture found out of a file; nothing when it did not look into it.
    pub fn of(capture: &'a Capture, id: FileId) -> Self {
        let row = capture.libraries.get(id);
        Self {
            path: row.map(|row| Path(&row.path)),
            name: row.and_then(|row| LibraryName::new(&row.path, &row.family)),
            version: When(row.and_then(|row| some(&row.version)).map(Text)),
            build_id: When(row.and_then(|row| some(&row.build_id)).map(HexBytes)),
        }
    }
}
