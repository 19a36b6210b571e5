//! What of a crypto library's ELF file is wanted: where its functions are, their code, its version and build id.
//!
//! The file is another's and may be anything: only the ranges that are needed are read, and everything that it says of itself
//! has a limit. Layout: elf(5), System V ABI, chapters 4 and 5.

mod bytes;
mod symbols;
#[cfg(test)]
pub mod tests;

use std::collections::{HashMap, HashSet};
use std::io;

pub use self::bytes::Bytes;
use self::symbols::Dynamic;

/// Program headers that a file may have. Real ones have a dozen.
const MAX_SEGMENTS: u16 = 256;

/// Sections that a file may have. Real libraries and programs have some forty.
const MAX_SECTIONS: u16 = 4_096;

/// Names of sections, bytes.
const MAX_SECTION_NAMES: usize = 64 << 10;

/// Read-only data that is searched for a text, at most.
const MAX_TEXT_DATA: u64 = 128 << 20;

/// Longest version.
pub const MAX_VERSION: usize = 64;

/// Longest build id, and what is read of notes.
const MAX_BUILD_ID: usize = 64;
const MAX_NOTES: usize = 64 << 10;

/// Why a file cannot be probed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ElfError {
    /// It cannot be read.
    #[error("cannot read it: {0}")]
    Read(#[from] io::Error),
    /// It is not a well-formed ELF file.
    #[error("not a well-formed ELF file: {0}")]
    Malformed(&'static str),
    /// It is for another machine, or for 32 bits.
    #[error("it is for {0}: only 64-bit code of this machine can be probed")]
    Architecture(String),
    /// It asks for more than its share.
    #[error("it was not read further: {0}")]
    Share(&'static str),
}

/// A function in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    /// Its address as the file tells it.
    pub address: u64,
    /// Where it is in the file.
    pub offset: u64,
    /// Bytes; 0 when the file does not show.
    pub size: u64,
}

/// What is mapped of the file when it runs.
#[derive(Debug, Clone, Copy)]
struct Segment {
    address: u64,
    offset: u64,
    len: u64,
    /// Read-only: neither written nor run.
    is_data: bool,
}

/// A part of the file by its name.
#[derive(Debug)]
struct Section {
    name: Vec<u8>,
    kind: u32,
    offset: u64,
    len: u64,
    link: u32,
}

/// A library or executable that is read.
pub struct Elf {
    bytes: Bytes,
    segments: Vec<Segment>,
    notes: Vec<(u64, u64)>,
    sections: Vec<Section>,
    dynamic: Dynamic,
    functions: HashMap<String, Function>,
    /// Made by Go: its stacks move, so returns must not be probed.
    pub is_go: bool,
    /// A program rather than a library.
    pub is_executable: bool,
    /// What of it was not read, and so may be there.
    pub left: Option<&'static str>,
}

/// Little-endian numbers at fixed places of a header that is read whole.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        self.0.get(at..).and_then(|rest| rest.first_chunk().copied()).unwrap_or([0; N])
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.array(at))
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }
}

/// Numbers of `e_machine`: this machine's, and those that have a name here.
const HERE: u16 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
const MACHINES: &[(u16, &str)] =
    &[(3, "i386"), (8, "mips"), (20, "powerpc"), (21, "powerpc64"), (22, "s390"), (40, "arm"), (62, "x86-64")];
const MORE_MACHINES: &[(u16, &str)] = &[(183, "aarch64"), (243, "risc-v"), (258, "loongarch")];

/// Types of segments.
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const PT_NOTE: u32 = 4;

impl Elf {
    /// Reads where the functions called `wanted` are in the file.
    ///
    /// # Errors
    /// [`ElfError`].
    pub fn read(bytes: Bytes, wanted: &HashSet<String>) -> Result<Self, ElfError> {
        let head = bytes.up_to(0, 64)?;
        let head = Fields(&head);
        if head.0.get(..4) != Some(b"\x7fELF") || head.0.len() < 64 {
            return Err(ElfError::Malformed("it does not start like one"));
        }
        if head.array(4) != [2, 1] {
            return Err(ElfError::Architecture("32-bit, or another byte order".to_owned()));
        }
        let machine = head.u16(18);
        if machine != HERE {
            let name = MACHINES.iter().chain(MORE_MACHINES).find(|(number, _)| *number == machine);
            return Err(ElfError::Architecture(
                name.map_or_else(|| format!("machine {machine}"), |(_, name)| (*name).to_owned()),
            ));
        }
        let (entry, is_fixed) = (head.u64(24), head.u16(16) == 2);
        let (offset, size, count) = (head.u64(32), head.u16(54), head.u16(56));
        if count > MAX_SEGMENTS {
            return Err(ElfError::Share("it has more program headers than are read"));
        }
        if count > 0 && size != 56 {
            return Err(ElfError::Malformed("its program headers have an unexpected size"));
        }
        let mut elf = Self {
            bytes,
            segments: Vec::new(),
            notes: Vec::new(),
            sections: Vec::new(),
            dynamic: Dynamic::default(),
            functions: HashMap::new(),
            is_go: false,
            is_executable: false,
            left: None,
        };
        let table = elf.bytes.up_to(offset, 56 * usize::from(count))?;
        let (mut dynamic, mut interpreter) = (None, false);
        for header in table.chunks_exact(56).map(Fields) {
            let (offset, address, len) = (header.u64(8), header.u64(16), header.u64(32));
            match header.u32(0) {
                PT_LOAD => {
                    elf.segments.push(Segment { address, offset, len, is_data: header.u32(4) & 7 == 4 });
                }
                PT_DYNAMIC => dynamic = Some((offset, len)),
                PT_INTERP => interpreter = true,
                PT_NOTE => elf.notes.push((offset, len)),
                _ => {}
            }
        }
        elf.read_sections(&head)?;
        elf.is_go = elf.sections.iter().any(|section| {
            matches!(
                section.name.as_slice(),
                b".go.buildinfo" | b".gopclntab" | b".note.go.buildid" | b".data.rel.ro.gopclntab"
            )
        });
        elf.is_executable = entry != 0 && (is_fixed || interpreter);
        if let Some((offset, len)) = dynamic {
            elf.dynamic = elf.read_dynamic(offset, len)?;
        }
        elf.find_functions(wanted)?;
        Ok(elf)
    }

    /// Sections are of use to people only: a file may be without.
    fn read_sections(&mut self, head: &Fields<'_>) -> Result<(), ElfError> {
        let (offset, size, count, names) = (head.u64(40), head.u16(58), head.u16(60), head.u16(62));
        if offset == 0 || size != 64 || count == 0 {
            return Ok(());
        }
        if count > MAX_SECTIONS {
            self.left = Some("it has more sections than are read");
            return Ok(());
        }
        let table = self.bytes.up_to(offset, 64 * usize::from(count))?;
        let headers: Vec<Fields<'_>> = table.chunks_exact(64).map(Fields).collect();
        let Some(texts) = headers.get(usize::from(names)) else { return Ok(()) };
        let len = usize::try_from(texts.u64(32)).unwrap_or(MAX_SECTION_NAMES).min(MAX_SECTION_NAMES);
        let texts = self.bytes.up_to(texts.u64(24), len)?;
        let name = |at: u32| {
            let rest = usize::try_from(at).ok().and_then(|at| texts.get(at..)).unwrap_or_default();
            let end = memchr::memchr(0, rest.get(..64.min(rest.len())).unwrap_or_default()).unwrap_or(0);
            rest.get(..end).unwrap_or_default().to_vec()
        };
        let section = |header: &Fields<'_>| Section {
            name: name(header.u32(0)),
            kind: header.u32(4),
            offset: header.u64(24),
            len: header.u64(32),
            link: header.u32(40),
        };
        self.sections = headers.iter().map(section).collect();
        Ok(())
    }

    /// Where in the file an address is.
    fn offset_of(&self, address: u64) -> Option<u64> {
        self.segments.iter().find_map(|segment| {
            let into = address.checked_sub(segment.address).filter(|into| *into < segment.len)?;
            segment.offset.checked_add(into)
        })
    }

    /// Where the section of this name is.
    fn section(&self, name: &[u8]) -> Option<(u64, u64)> {
        self.sections.iter().find(|section| section.name == name).map(|section| (section.offset, section.len))
    }

    /// A function by its name.
    pub fn function(&self, name: &str) -> Option<Function> {
        self.functions.get(name).copied()
    }

    /// At most `len` bytes at an address; empty when there are less, or it cannot be read.
    pub fn code_at(&self, address: u64, len: usize) -> Vec<u8> {
        let code = self.offset_of(address).and_then(|offset| self.bytes.up_to(offset, len).ok());
        code.filter(|code| code.len() == len).unwrap_or_default()
    }

    /// At most `max` bytes of a function's code; empty when the file does not show how long it is.
    pub fn code(&self, function: Function, max: usize) -> Vec<u8> {
        let len = usize::try_from(function.size).unwrap_or(usize::MAX).min(max);
        self.code_at(function.address, len)
    }

    /// The text at an address, when it is one that begins as a version.
    pub fn version_at(&self, address: u64) -> Option<String> {
        version_text(&self.bytes.up_to(self.offset_of(address)?, MAX_VERSION).ok()?)
    }

    /// The build id, raw.
    pub fn build_id(&self) -> Vec<u8> {
        let id = self.notes.iter().take(16).find_map(|(offset, len)| {
            let len = usize::try_from(*len).unwrap_or(MAX_NOTES).min(MAX_NOTES);
            gnu_build_id(&self.bytes.up_to(*offset, len).ok()?)
        });
        id.unwrap_or_default()
    }

    /// What `found` makes of the read-only data: that section, or where there are none, the segments. Pieces overlap by `overlap`.
    ///
    /// # Errors
    /// [`ElfError::Share`] when there is more of it than is read.
    pub fn search_data<T>(
        &self,
        overlap: usize,
        mut found: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, ElfError> {
        let segments =
            || self.segments.iter().filter(|part| part.is_data).map(|part| (part.offset, part.len)).collect();
        let parts: Vec<(u64, u64)> = self.section(b".rodata").map_or_else(segments, |part| vec![part]);
        let mut left = MAX_TEXT_DATA;
        for (offset, len) in parts {
            if let Some(result) = self.bytes.search(offset, len.min(left), overlap, &mut found)? {
                return Ok(Some(result));
            }
            left = left.checked_sub(len).ok_or(ElfError::Share("it has more read-only data than is searched"))?;
        }
        Ok(None)
    }

    /// The text in the read-only data that begins with `prefix` and a version. What it is the version of is said elsewhere.
    pub fn version(&self, prefix: &str) -> Option<String> {
        let finder = memchr::memmem::Finder::new(prefix.as_bytes());
        let found = self.search_data(MAX_VERSION + prefix.len(), |data| {
            finder.find_iter(data).find_map(|at| {
                let text = data.get(at + prefix.len()..)?;
                version_text(text.get(..MAX_VERSION.min(text.len()))?)
            })
        });
        found.ok().flatten()
    }

    /// What Go's linker wrote of the compiler: `go1.27.3`. Layout: debug/buildinfo, since Go 1.18.
    pub fn go_version(&self) -> Option<String> {
        let (offset, len) = self.section(b".go.buildinfo")?;
        let info = self.bytes.up_to(offset, usize::try_from(len).unwrap_or(256).min(256)).ok()?;
        let is_inline = info.starts_with(b"\xff Go buildinf:") && info.get(15).is_some_and(|flags| flags & 2 != 0);
        let len = is_inline.then(|| info.get(32)).flatten().filter(|len| **len < 0x80)?;
        let version = std::str::from_utf8(info.get(33..33 + usize::from(*len))?).ok()?;
        let is_plain = !version.is_empty() && version.bytes().all(|byte| (b'!'..=b'~').contains(&byte));
        is_plain.then(|| version.split_once(' ').map_or(version, |(first, _)| first).to_owned())
    }

    /// Whether the names of Go's functions contain one.
    pub fn go_has(&self, name: &str) -> bool {
        let table = self.section(b".gopclntab").or_else(|| self.section(b".data.rel.ro.gopclntab"));
        let Some((offset, len)) = table else { return false };
        let finder = memchr::memmem::Finder::new(name.as_bytes());
        let found = self.bytes.search(offset, len.min(MAX_TEXT_DATA), name.len(), |data| finder.find(data));
        matches!(found, Ok(Some(_)))
    }
}

/// `NT_GNU_BUILD_ID` of a table of notes.
fn gnu_build_id(mut notes: &[u8]) -> Option<Vec<u8>> {
    loop {
        let head = Fields(notes.get(..12)?);
        let (name_len, len) = (usize::try_from(head.u32(0)).ok()?, usize::try_from(head.u32(4)).ok()?);
        let text = notes.get(12..)?;
        let name = text.get(..name_len)?;
        let text = text.get(name_len.checked_next_multiple_of(4)?..)?;
        if head.u32(8) == 3 && name == b"GNU\0" {
            return Some(text.get(..len)?.get(..len.min(MAX_BUILD_ID))?.to_vec());
        }
        notes = text.get(len.checked_next_multiple_of(4)?..)?;
    }
}

/// A version at the begin of a text: its first word, if that is a number, a dot, a number.
pub fn version_text(data: &[u8]) -> Option<String> {
    let text = data.split(|byte| *byte == 0).next()?;
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let is_dotted = digits > 0 && matches!(text.get(digits..), Some([b'.', minor, ..]) if minor.is_ascii_digit());
    let word = text.split(|byte| *byte == b' ').next()?;
    let is_version = is_dotted && text.iter().all(|byte| (b' '..=b'~').contains(byte));
    is_version.then(|| String::from_utf8_lossy(word).into_owned())
}
