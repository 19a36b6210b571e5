//! BTF as bytes: its types in their order, and their names. For build.rs too, which reads what the programs look for.
//!
//! ```text
//! header  magic (2), version (1), flags (1), its length (4), types: offset (4), length (4); strings: offset (4), length (4)
//! type    offset of its name (4), info (4): vlen in the low half, kind in bits 24 to 28; size or type (4); what its kind has
//! ```
//!
//! Source: include/uapi/linux/btf.h, Documentation/bpf/btf.rst.

use std::ops::Range;

/// `BTF_MAGIC`, in this machine's byte order.
pub const MAGIC: u16 = 0xeb9f;

/// Bytes of a type's fixed part.
pub const TYPE: usize = 12;

/// Kinds of types, `BTF_KIND_*`.
#[allow(missing_docs, reason = "named as the kernel names them")]
pub mod kind {
    pub const INT: u32 = 1;
    pub const PTR: u32 = 2;
    pub const ARRAY: u32 = 3;
    pub const STRUCT: u32 = 4;
    pub const UNION: u32 = 5;
    pub const ENUM: u32 = 6;
    pub const TYPEDEF: u32 = 8;
    pub const VOLATILE: u32 = 9;
    pub const CONST: u32 = 10;
    pub const RESTRICT: u32 = 11;
    pub const FUNC: u32 = 12;
    pub const FUNC_PROTO: u32 = 13;
    pub const VAR: u32 = 14;
    pub const DATASEC: u32 = 15;
    pub const DECL_TAG: u32 = 17;
    pub const TYPE_TAG: u32 = 18;
    pub const ENUM64: u32 = 19;
}

/// A number in bytes.
pub fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn size(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(word(bytes, at)?).ok()
}

/// Types and names of some BTF.
#[derive(Debug, Clone, Copy)]
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
}

/// One type.
#[derive(Debug, Clone, Copy)]
pub struct Type<'a> {
    /// All of it.
    pub bytes: &'a [u8],
    /// Offset of its name.
    pub name: u32,
    /// `BTF_KIND_*`.
    pub kind: u32,
    /// How many members, parameters or values it has.
    pub vlen: usize,
    /// Its size or another type's number, as its kind says.
    pub size_or_type: u32,
}

impl<'a> Btf<'a> {
    /// `None`: it is not BTF of this machine's byte order.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let magic = u16::from_ne_bytes(*bytes.first_chunk()?);
        let body = bytes.get(size(bytes, 4)?..)?;
        let section = |at: usize| -> Option<&[u8]> {
            let begin = size(bytes, at)?;
            body.get(begin..begin.checked_add(size(bytes, at + 4)?)?)
        };
        (magic == MAGIC).then_some(Self { types: section(8)?, strings: section(16)? })
    }

    /// The types in their order: the first one has number 1. Ends early at what is malformed.
    pub fn types(self) -> impl Iterator<Item = Type<'a>> {
        let mut rest = self.types;
        std::iter::from_fn(move || {
            let found = Type::new(rest)?;
            rest = rest.get(found.bytes.len()..)?;
            Some(found)
        })
    }

    /// The type whose bytes begin at this offset.
    pub fn type_at(self, offset: u32) -> Option<Type<'a>> {
        Type::new(self.types.get(usize::try_from(offset).ok()?..)?)
    }

    /// The name at this offset.
    pub fn name(self, offset: u32) -> &'a [u8] {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.strings.get(offset..)).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }
}

impl<'a> Type<'a> {
    fn new(from: &'a [u8]) -> Option<Self> {
        let (name, info, size_or_type) = (word(from, 0)?, word(from, 4)?, word(from, 8)?);
        let (kind, vlen) = (info >> 24 & 0x1f, usize::try_from(info & 0xffff).ok()?);
        let more = match kind {
            kind::INT | kind::VAR | kind::DECL_TAG => 4,
            kind::ARRAY => 12,
            kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => 12 * vlen,
            kind::ENUM | kind::FUNC_PROTO => 8 * vlen,
            _ => 0,
        };
        Some(Self { bytes: from.get(..TYPE + more)?, name, kind, vlen, size_or_type })
    }

    /// Whether it has a size and fields, or another name for a type that may.
    pub fn is_for_values(&self) -> bool {
        matches!(self.kind, kind::STRUCT | kind::UNION | kind::ENUM | kind::ENUM64 | kind::TYPEDEF | kind::INT)
    }

    /// Where in its bytes the name of each member or value is.
    pub fn names(&self) -> impl Iterator<Item = usize> + use<> {
        let step = match self.kind {
            kind::STRUCT | kind::UNION | kind::ENUM64 => 12,
            kind::ENUM => 8,
            _ => 0,
        };
        (0..if step == 0 { 0 } else { self.vlen }).map(move |i| TYPE + i * step)
    }

    /// The types that its layout depends on; what is behind a pointer does not count.
    pub fn parts(&self) -> impl Iterator<Item = u32> + use<'a> {
        let bytes = self.bytes;
        let places: Range<usize> = match self.kind {
            kind::STRUCT | kind::UNION => 0..self.vlen,
            kind::ARRAY => 0..2,
            _ => 0..0,
        };
        let members = self.kind != kind::ARRAY;
        let other = matches!(self.kind, kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG);
        let of_places = places.filter_map(move |i| word(bytes, TYPE + if members { 12 * i + 4 } else { 4 * i }));
        of_places.chain(other.then_some(self.size_or_type))
    }
}

/// A name without what tells one description of a type from another (`struct name___flavor`): `bpf_core_essential_name_len()` of
/// libbpf.
pub fn essential(name: &[u8]) -> &[u8] {
    let is_separator = |at: &usize| match name.get(at.saturating_sub(1)..at + 4) {
        Some([before, b'_', b'_', b'_', after]) => *before != b'_' && *after != b'_',
        _ => false,
    };
    let separator = (1..name.len().saturating_sub(3)).rev().find(is_separator);
    separator.and_then(|at| name.get(..at)).unwrap_or(name)
}
