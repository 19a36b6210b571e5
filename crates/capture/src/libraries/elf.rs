//! What of a crypto library's ELF file is wanted: where its functions are, their code, its version and build id.
//!
//! The file is another's and may be anything: it is read piece by piece, never mapped, so that one which shrinks is an error and
//! not a signal.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader};

use object::read::ReadCache;
use object::read::elf::{ElfFile64, SectionHeader as _, Sym as _};
use object::{Architecture, Endianness, FileKind, Object as _, ObjectSection as _, ObjectSegment as _, elf};

/// Read-only data that is searched for a version, at most.
const MAX_VERSION_DATA: u64 = 16 << 20;

/// Entries of its table of imports, at most.
const MAX_RELOCATIONS: usize = 1 << 20;

/// Longest version.
const MAX_VERSION: usize = 64;

/// Longest build id.
const MAX_BUILD_ID: usize = 64;

/// Why a file cannot be probed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ElfError {
    /// It cannot be read.
    #[error("cannot read it: {0}")]
    Read(#[from] io::Error),
    /// It is not a well-formed ELF file.
    #[error("not a well-formed ELF file: {0}")]
    Malformed(#[from] object::read::Error),
    /// It is for another machine, or for 32 bits.
    #[error("it is for {0}, only 64-bit code of this machine can be probed")]
    Architecture(String),
}

/// A function in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    /// Its address as the file tells it.
    pub address: u64,
    /// Where it is in the file.
    pub offset: u64,
    /// Bytes; 0 when the file does not tell.
    pub size: u64,
}

/// A library or executable that is read.
pub struct Elf<'a> {
    file: ElfFile64<'a, Endianness, &'a ReadCache<BufReader<File>>>,
    functions: HashMap<String, Function>,
    /// Made by Go: its stacks move, so returns must not be probed.
    pub is_go: bool,
    /// A program rather than a library.
    pub is_executable: bool,
}

impl<'a> Elf<'a> {
    /// Reads what `wanted` says of the functions in the file behind `cache`.
    ///
    /// # Errors
    /// [`ElfError`].
    pub fn read(cache: &'a ReadCache<BufReader<File>>, wanted: impl Fn(&str) -> bool) -> Result<Self, ElfError> {
        let kind = FileKind::parse(cache)?;
        if kind != FileKind::Elf64 {
            return Err(ElfError::Architecture(format!("{kind:?}")));
        }
        let file = ElfFile64::parse(cache)?;
        let here = if cfg!(target_arch = "aarch64") { Architecture::Aarch64 } else { Architecture::X86_64 };
        if file.architecture() != here {
            return Err(ElfError::Architecture(format!("{:?}", file.architecture())));
        }
        let is_go = file.sections().any(|section| {
            matches!(section.name(), Ok(".go.buildinfo" | ".gopclntab" | ".note.go.buildid" | ".data.rel.ro.gopclntab"))
        });
        let is_executable = file.entry() != 0
            && (file.kind() == object::ObjectKind::Executable || file.section_by_name(".interp").is_some());
        let mut elf = Self { file, functions: HashMap::new(), is_go, is_executable };
        elf.find_functions(wanted)?;
        Ok(elf)
    }

    /// From the dynamic symbols, and from all that the file has. Tables are read whole: name by name would take a hundred times
    /// as long.
    fn find_functions(&mut self, wanted: impl Fn(&str) -> bool) -> Result<(), ElfError> {
        let segments: Vec<(u64, u64, u64)> = self
            .file
            .segments()
            .map(|segment| {
                let (offset, len) = segment.file_range();
                (segment.address(), offset, len)
            })
            .collect();
        let offset = |address: u64| {
            segments.iter().find_map(|(start, offset, len)| {
                let into = address.checked_sub(*start).filter(|into| into < len)?;
                offset.checked_add(into)
            })
        };
        let (endian, data) = (self.file.endian(), self.file.data());
        let sections = self.file.elf_section_table();
        for symbols in [self.file.elf_dynamic_symbol_table(), self.file.elf_symbol_table()] {
            if symbols.is_empty() {
                continue;
            }
            let names = sections.section(symbols.string_section())?.data(endian, data)?;
            for symbol in symbols.iter() {
                if symbol.st_type() != elf::STT_FUNC || symbol.st_shndx(endian) == elf::SHN_UNDEF {
                    continue;
                }
                let name = usize::try_from(symbol.st_name(endian)).ok().and_then(|at| names.get(at..));
                let name = name.and_then(|name| name.get(..memchr::memchr(0, name)?));
                let Some(name) = name.and_then(|name| std::str::from_utf8(name).ok()) else { continue };
                let address = symbol.st_value(endian);
                if let Some(offset) = wanted(name).then(|| offset(address)).flatten() {
                    let function = Function { address, offset, size: symbol.st_size(endian) };
                    self.functions.entry(name.to_owned()).or_insert(function);
                }
            }
        }
        Ok(())
    }

    /// A function by its name.
    pub fn function(&self, name: &str) -> Option<Function> {
        self.functions.get(name).copied()
    }

    /// Addresses of functions of this file that it takes from its table of imports, by where they are in that.
    pub fn slots(&self) -> HashMap<u64, u64> {
        let Some(relocations) = self.file.dynamic_relocations() else { return HashMap::new() };
        let symbols = self.file.elf_dynamic_symbol_table();
        let address = |relocation: &object::Relocation| {
            let object::RelocationTarget::Symbol(index) = relocation.target() else { return None };
            let name = symbols.symbol_name(self.file.endian(), symbols.symbol(index).ok()?).ok()?;
            Some(self.function(std::str::from_utf8(name).ok()?)?.address)
        };
        let slots = relocations.take(MAX_RELOCATIONS);
        slots.filter_map(|(slot, relocation)| Some((slot, address(&relocation)?))).collect()
    }

    /// At most `len` bytes at an address; empty when there are less.
    pub fn code_at(&self, address: u64, len: usize) -> Vec<u8> {
        let len = u64::try_from(len).unwrap_or(0);
        let found = self.file.segments().find_map(|segment| segment.data_range(address, len).ok().flatten());
        found.map(<[u8]>::to_vec).unwrap_or_default()
    }

    /// At most `max` bytes of a function's code; empty when the file does not tell how long it is.
    pub fn code(&self, function: Function, max: usize) -> Vec<u8> {
        let len = function.size.min(u64::try_from(max).unwrap_or(u64::MAX));
        self.file
            .segments()
            .find_map(|segment| segment.data_range(function.address, len).ok().flatten())
            .map(<[u8]>::to_vec)
            .unwrap_or_default()
    }

    /// The text at an address, when it is one that begins with a digit.
    pub fn version_at(&self, address: u64) -> Option<String> {
        let max = u64::try_from(MAX_VERSION).unwrap_or(0);
        let data = (1..=max)
            .rev()
            .find_map(|len| self.file.segments().find_map(|segment| segment.data_range(address, len).ok().flatten()))?;
        version_text(data)
    }

    /// The build id, raw.
    pub fn build_id(&self) -> Vec<u8> {
        let id = self.file.build_id().ok().flatten().unwrap_or_default();
        id.get(..MAX_BUILD_ID.min(id.len())).unwrap_or_default().to_vec()
    }

    /// The text in the read-only data that begins with `prefix` and a digit.
    pub fn version(&self, prefix: &str) -> Option<String> {
        let section = self.file.section_by_name(".rodata")?;
        if section.size() > MAX_VERSION_DATA {
            return None;
        }
        let data = section.data().ok()?;
        memchr::memmem::find_iter(data, prefix.as_bytes()).find_map(|at| {
            // What it is the version of is said elsewhere.
            let text = data.get(at + prefix.len()..)?;
            version_text(text.get(..MAX_VERSION.min(text.len()))?)
        })
    }
}

fn version_text(data: &[u8]) -> Option<String> {
    let text = data.split(|byte| *byte == 0).next()?;
    // A number, a dot, a number.
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let is_dotted = digits > 0 && matches!(text.get(digits..), Some([b'.', minor, ..]) if minor.is_ascii_digit());
    let is_version = is_dotted && text.iter().all(|byte| (b' '..=b'~').contains(byte));
    is_version.then(|| String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_number_with_a_dot() {
        assert_eq!(version_text(b"4.0.3 29 Sep 2026\0more").as_deref(), Some("4.0.3 29 Sep 2026"));
        assert_eq!(version_text(b"3.7.9").as_deref(), Some("3.7.9"));
        // Of a message in a library that holds OpenSSL: "OpenSSL 3's legacy provider failed to load".
        assert_eq!(version_text(b"3's legacy provider failed to load\0"), None);
        assert_eq!(version_text(b"1.\x1b[31m\0"), None);
        assert_eq!(version_text(b""), None);
    }
}
