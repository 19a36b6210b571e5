//! ELF files that are made here: small and honest ones, and those that lie about themselves. None of them can run.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;

use object::{Object as _, ObjectSymbol as _};

use super::*;
use crate::libraries::plan::{Plan, ReturnProbes, plan};
use crate::libraries::table::ProbeTable;
use crypto_trace_format::record::library_features as features;

/// Size of a table that is not really there.
const HUGE: u64 = 4 << 30;

/// A file without a name.
fn unnamed() -> File {
    let path =
        std::env::temp_dir().join(format!("crypto-trace-elf-{}-{:?}", std::process::id(), std::thread::current().id()));
    let options = File::options().read(true).write(true).create(true).truncate(true).open(&path);
    std::fs::remove_file(&path).expect("is ours");
    options.expect("a file")
}

fn file_of(bytes: &[u8]) -> File {
    let mut file = unnamed();
    file.write_all(bytes).expect("written");
    file.seek(SeekFrom::Start(0)).expect("seeks");
    file
}

/// What is said of sections and segments: names, types, where, bytes, link.
#[derive(Default)]
pub struct Builder {
    bytes: Vec<u8>,
    sections: Vec<(&'static str, u32, u64, u64, u32)>,
    dynamic: Vec<(u64, u64)>,
    is_program: bool,
}

impl Builder {
    /// Nothing but room for the headers.
    pub fn new() -> Self {
        Self { bytes: vec![0; 1024], ..Self::default() }
    }

    /// A program.
    pub fn program() -> Self {
        Self { is_program: true, ..Self::new() }
    }

    /// Appends bytes; where they are.
    fn push(&mut self, bytes: &[u8]) -> u64 {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let at = self.bytes.len() as u64;
        self.bytes.extend_from_slice(bytes);
        at
    }

    /// A section with these bytes.
    pub fn section(&mut self, name: &'static str, kind: u32, bytes: &[u8]) -> u32 {
        let at = self.push(bytes);
        self.section_at(name, kind, at, bytes.len() as u64, 0)
    }

    fn section_at(&mut self, name: &'static str, kind: u32, at: u64, len: u64, link: u32) -> u32 {
        self.sections.push((name, kind, at, len, link));
        u32::try_from(self.sections.len()).expect("few")
    }

    /// The bytes of a table of functions with these names, and those of the names.
    fn symbols(names: &[&str]) -> (Vec<u8>, Vec<u8>) {
        let (mut symbols, mut texts) = (vec![0; 24], vec![0]);
        for name in names {
            symbols.extend(symbol(u32::try_from(texts.len()).expect("short")));
            texts.extend(name.as_bytes());
            texts.push(0);
        }
        (symbols, texts)
    }

    /// A table of all symbols.
    pub fn symtab(&mut self, names: &[&str]) {
        let (symbols, texts) = Self::symbols(names);
        let link = self.section(".strtab", 3, &texts);
        let at = self.push(&symbols);
        self.section_at(".symtab", SHT_SYMTAB, at, symbols.len() as u64, link);
    }

    /// What the dynamic linker asks: one bucket for all.
    pub fn dynsym(&mut self, names: &[&str]) {
        let (symbols, texts) = Self::symbols(names);
        let count = u32::try_from(names.len() + 1).expect("few");
        let mut hash = vec![1, count, count - 1];
        hash.push(0);
        hash.extend(0..count - 1);
        let hash: Vec<u8> = hash.into_iter().flat_map(u32::to_le_bytes).collect();
        for (tag, bytes) in [(6, symbols), (5, texts), (4, hash)] {
            let at = self.push(&bytes);
            self.dynamic.push((tag, at));
        }
    }

    /// The whole file.
    pub fn build(mut self) -> Vec<u8> {
        let mut names = vec![0];
        let mut headers = vec![0; 64];
        self.sections.push((".shstrtab", 3, 0, 0, 0));
        let (last, count) = (self.sections.len(), self.sections.len() + 1);
        let texts: Vec<u8> = self.sections.iter().flat_map(|(name, ..)| [name.as_bytes(), b"\0"].concat()).collect();
        let texts_at = self.push(&[&[0], &texts[..]].concat());
        for (name, kind, at, len, link) in std::mem::take(&mut self.sections) {
            let (at, len) = if name == ".shstrtab" { (texts_at, texts.len() as u64 + 1) } else { (at, len) };
            let mut header = [0; 64];
            header[..4].copy_from_slice(&u32::try_from(names.len()).expect("short").to_le_bytes());
            header[4..8].copy_from_slice(&kind.to_le_bytes());
            header[24..32].copy_from_slice(&at.to_le_bytes());
            header[32..40].copy_from_slice(&len.to_le_bytes());
            header[40..44].copy_from_slice(&link.to_le_bytes());
            headers.extend(header);
            names.extend(name.as_bytes());
            names.push(0);
        }
        let sections_at = self.push(&headers);
        let dynamic: Vec<u8> =
            self.dynamic.iter().flat_map(|(tag, value)| [tag.to_le_bytes(), value.to_le_bytes()].concat()).collect();
        let dynamic_at = self.push(&dynamic);
        let len = self.bytes.len() as u64;
        let mut segments = segment(PT_LOAD, 0, len);
        segments.extend(segment(PT_DYNAMIC, dynamic_at, dynamic.len() as u64));
        if self.is_program {
            segments.extend(segment(PT_INTERP, 0, 0));
        }
        self.bytes[64..64 + segments.len()].copy_from_slice(&segments);
        let head = head(u16::try_from(segments.len() / 56).expect("few"), sections_at, count, last);
        self.bytes[..64].copy_from_slice(&head);
        self.bytes
    }

    fn read(self, wanted: &[&str]) -> Result<Elf, ElfError> {
        read(file_of(&self.build()), wanted)
    }
}

const SHT_SYMTAB: u32 = 2;

fn symbol(name: u32) -> Vec<u8> {
    let mut symbol = name.to_le_bytes().to_vec();
    symbol.extend([0x12, 0, 1, 0]);
    symbol.extend(0x40u64.to_le_bytes());
    symbol.extend(16u64.to_le_bytes());
    symbol
}

fn segment(kind: u32, at: u64, len: u64) -> Vec<u8> {
    let mut segment = kind.to_le_bytes().to_vec();
    segment.extend(4u32.to_le_bytes());
    [at, at, at, len, len, 8].iter().for_each(|number| segment.extend(number.to_le_bytes()));
    segment
}

fn head(segments: u16, sections_at: u64, sections: usize, names: usize) -> [u8; 64] {
    let mut head = [0; 64];
    head[..6].copy_from_slice(b"\x7fELF\x02\x01");
    head[16..18].copy_from_slice(&3u16.to_le_bytes());
    head[18..20].copy_from_slice(&HERE.to_le_bytes());
    head[24..32].copy_from_slice(&1u64.to_le_bytes());
    head[32..40].copy_from_slice(&64u64.to_le_bytes());
    head[40..48].copy_from_slice(&sections_at.to_le_bytes());
    head[54..56].copy_from_slice(&56u16.to_le_bytes());
    head[56..58].copy_from_slice(&segments.to_le_bytes());
    head[58..60].copy_from_slice(&64u16.to_le_bytes());
    head[60..62].copy_from_slice(&u16::try_from(sections).expect("few").to_le_bytes());
    head[62..64].copy_from_slice(&u16::try_from(names).expect("few").to_le_bytes());
    head
}

fn read(file: File, wanted: &[&str]) -> Result<Elf, ElfError> {
    Elf::read(file.into(), &wanted.iter().map(|name| (*name).to_owned()).collect())
}

fn plan_of(builder: Builder) -> Plan {
    let table = ProbeTable::load().expect("the table");
    plan(file_of(&builder.build()).into(), &table, ReturnProbes::Kernel, false).expect("well-formed")
}

#[test]
fn a_version_is_a_number_with_a_dot() {
    assert_eq!(version_text(b"4.0.3 29 Sep 2026\0more").as_deref(), Some("4.0.3"));
    assert_eq!(version_text(b"3.7.9").as_deref(), Some("3.7.9"));
    // Of a message in a library that holds OpenSSL: "OpenSSL 3's legacy provider failed to load".
    assert_eq!(version_text(b"3's legacy provider failed to load\0"), None);
    assert_eq!(version_text(b"1.\x1b[31m\0"), None);
    assert_eq!(version_text(b""), None);
}

/// What another reader finds in the C library of this process, and in this program.
#[test]
fn functions_are_found_as_by_another_reader() {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
    let libc =
        maps.lines().find_map(|line| line.split_ascii_whitespace().nth(5).filter(|path| path.contains("/libc.so")));
    let this = std::env::current_exe().expect("has a path");
    for path in [this.to_str(), libc].into_iter().flatten() {
        let bytes = std::fs::read(path).expect("readable");
        let theirs = object::File::parse(&*bytes).expect("ELF");
        let is_function = |symbol: &object::Symbol<'_, '_>| {
            symbol.is_definition() && symbol.kind() == object::SymbolKind::Text && symbol.size() > 0
        };
        let of = |symbol: object::Symbol<'_, '_>| Some((symbol.name().ok()?.to_owned(), symbol.address()));
        let all = theirs.dynamic_symbols().chain(theirs.symbols()).filter(is_function).filter_map(of);
        let some: Vec<(String, u64)> = all.filter(|(name, _)| name.len() < 64).step_by(7).take(2_000).collect();
        let wanted: HashSet<String> = some.iter().map(|(name, _)| name.clone()).collect();
        let elf = Elf::read(File::open(path).expect("opens").into(), &wanted).expect("ELF");
        assert!(some.len() > 100, "{path}: {}", some.len());
        let found = some.iter().filter(|(name, _)| elf.function(name).is_some()).count();
        // Of indirect functions the address is another's business.
        assert!(found * 100 >= some.len() * 95, "{path}: {found} of {}", some.len());
        let same =
            some.iter().filter(|(name, address)| elf.function(name).is_some_and(|ours| ours.address == *address));
        assert!(same.count() * 100 >= some.len() * 90, "{path}");
        assert_eq!(
            Some(elf.build_id()).filter(|id| !id.is_empty()),
            theirs.build_id().ok().flatten().map(<[u8]>::to_vec)
        );
    }
}

#[test]
fn functions_by_each_kind_of_table() {
    let mut builder = Builder::new();
    builder.dynsym(&["one", "two"]);
    builder.symtab(&["three"]);
    let elf = builder.read(&["two", "three", "four"]).expect("well-formed");
    let function = Function { address: 0x40, offset: 0x40, size: 16 };
    assert_eq!(
        ["one", "two", "three", "four"].map(|name| elf.function(name)),
        [None, Some(function), Some(function), None]
    );
    assert_eq!(elf.code(function, 8).len(), 8);
    assert!(!elf.is_executable && elf.left.is_none());
}

/// A file without a table of sections runs all the same.
#[test]
fn functions_of_a_file_without_sections() {
    let mut builder = Builder::new();
    builder.dynsym(&["SSL_do_handshake", "SSL_CTX_new"]);
    let mut bytes = builder.build();
    bytes[40..48].fill(0);
    let elf = read(file_of(&bytes), &["SSL_CTX_new"]).expect("well-formed");
    assert!(elf.function("SSL_CTX_new").is_some());
}

#[test]
fn cut_anywhere_or_with_any_bit_flipped() {
    let mut builder = Builder::program();
    builder.dynsym(&["SSL_do_handshake", "SSL_CTX_new", "OpenSSL_version_num"]);
    builder.symtab(&["gnutls_handshake"]);
    builder.section(".rodata", 1, b"OpenSSL 3.5.8 1 Jan 2026\0");
    builder.section(".go.buildinfo", 1, b"\xff Go buildinf:\x08\x02");
    let bytes = builder.build();
    let table = ProbeTable::load().expect("the table");
    let file = unnamed();
    let try_it = |bytes: &[u8]| {
        file.set_len(0).expect("cut");
        file.write_all_at(bytes, 0).expect("written");
        let _ = plan(file.try_clone().expect("cloned").into(), &table, ReturnProbes::Kernel, true);
    };
    (0..bytes.len()).step_by(3).for_each(|len| try_it(&bytes[..len]));
    let headers = (0..256).chain(1024..bytes.len());
    for at in headers.step_by(2) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x80 >> (at % 8);
        try_it(&bytes);
    }
}

/// SECURITY: tables were read whole. 8 KiB on disk took 4 GiB of memory.
#[test]
fn tables_that_are_not_really_there_are_left() {
    for (name, kind, symbols_len) in [(".symtab", 2, HUGE), (".symtab", 2, 240), (".dynsym", 11, HUGE)] {
        let mut builder = Builder::new();
        let is_dynamic = kind == 2;
        if is_dynamic {
            builder.dynsym(&["SSL_do_handshake", "SSL_CTX_new"]);
        }
        let link = builder.section_at(".strtab", 3, 0x1000, HUGE * u64::from(symbols_len == HUGE) + (1 << 20), 0);
        builder.section_at(name, kind, 0x1000, symbols_len, link);
        let file = file_of(&builder.build());
        file.set_len(2 * HUGE).expect("sparse");
        let table = ProbeTable::load().expect("the table");
        let plan = plan(file.into(), &table, ReturnProbes::Kernel, false).expect("the rest of it is well-formed");
        assert_eq!(plan.families, vec!["openssl"; usize::from(is_dynamic)]);
        let is_left = plan.message.contains("not all of it was read: its table of symbols is larger than is read");
        assert_eq!(is_left, symbols_len == HUGE, "{}", plan.message);
    }
}

/// SECURITY: each symbol's name was looked for to the end of the table of names, and each address in all program headers.
#[test]
fn names_without_an_end_and_names_that_repeat() {
    let mut builder = Builder::new();
    let texts = [&vec![b'a'; 2 << 20][..], b"\0SSL_CTX_new\0"].concat();
    let link = builder.section(".strtab", 3, &texts);
    let last = u32::try_from(texts.len() - 12).expect("short");
    let symbols: Vec<u8> = (0..50_000u32).flat_map(|i| symbol(if i % 2 == 0 { i } else { last })).collect();
    let at = builder.push(&symbols);
    builder.section_at(".symtab", 2, at, symbols.len() as u64, link);
    let elf = builder.read(&["SSL_CTX_new"]).expect("well-formed");
    assert!(elf.function("SSL_CTX_new").is_some() && elf.left.is_none());
}

#[test]
fn more_headers_than_are_read() {
    let mut bytes = Builder::new().build();
    bytes[56..58].copy_from_slice(&65_000u16.to_le_bytes());
    let error = read(file_of(&bytes), &[]).err().expect("too many");
    assert_eq!(error.to_string(), "it was not read further: it has more program headers than are read");

    let mut builder = Builder::new();
    builder.dynsym(&["SSL_CTX_new"]);
    let mut bytes = builder.build();
    bytes[60..62].copy_from_slice(&65_000u16.to_le_bytes());
    let elf = read(file_of(&bytes), &["SSL_CTX_new"]).expect("sections are not needed");
    assert_eq!((elf.function("SSL_CTX_new").is_some(), elf.left), (true, Some("it has more sections than are read")));
}

#[test]
fn tables_of_names_that_have_no_end() {
    // The next of the first is the first.
    let mut builder = Builder::new();
    builder.dynsym(&["one", "two"]);
    let hash = usize::try_from(builder.dynamic[2].1).expect("small");
    let mut bytes = builder.build();
    bytes[hash + 8..hash + 24].copy_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]);
    let error = read(file_of(&bytes), &["four"]).err().expect("no end");
    assert_eq!(error.to_string(), "it was not read further: its table of names has too many of one kind");

    // All have this hash, and none is the last.
    let name = "four";
    let number = name.bytes().fold(5381u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(byte.into())) & !1;
    let mut builder = Builder::new();
    builder.dynsym(&["one"]);
    let mut table: Vec<u8> =
        [1u32, 1, 1, 0, u32::MAX, u32::MAX, 1].iter().flat_map(|word| word.to_le_bytes()).collect();
    (0..2_000).for_each(|_| table.extend(number.to_le_bytes()));
    let at = builder.push(&table);
    builder.dynamic.push((0x6fff_fef5, at));
    // Of the symbols behind the second there are none but zeros.
    let symbols = builder.push(&vec![0; 24 * 2_100]);
    builder.dynamic[0].1 = symbols;
    let error = builder.read(&[name]).err().expect("no end");
    assert_eq!(error.to_string(), "it was not read further: its table of names has too many of one kind");

    let mut builder = Builder::new();
    builder.dynsym(&["one"]);
    let known = builder.read(&["one"]).ok().and_then(|elf| elf.function("one")).map(|found| found.address);
    assert!(known.is_some());
    // Numbers that lead out of the file; one table without names leaves it to the other.
    for words in [[u32::MAX, 0, u32::MAX, 31], [1, u32::MAX, 1, 0], [0, 0, 0, 0], [1, 0, 1, 64]] {
        let mut builder = Builder::new();
        builder.dynsym(&["one"]);
        let table: Vec<u8> = words.into_iter().chain([u32::MAX; 4]).flat_map(u32::to_le_bytes).collect();
        let at = builder.push(&table);
        builder.dynamic.push((0x6fff_fef5, at));
        // What is found is what the other table has, which is right.
        if let Ok(elf) = builder.read(&["one"]) {
            assert!(elf.function("one").is_none_or(|found| Some(found.address) == known), "{words:?}");
        }
    }
}

#[test]
fn notes_and_data_of_any_size() {
    let bytes = Builder::new().build();
    for (at, len) in [(0x100, HUGE), (u64::MAX, 64), (HUGE, u64::MAX)] {
        let mut bytes = bytes.clone();
        bytes[64 + 56..64 + 112].copy_from_slice(&segment(PT_NOTE, at, len));
        assert!(read(file_of(&bytes), &[]).is_ok_and(|elf| elf.build_id().is_empty()));
    }
    let mut note = [4u32, 0xffff_fff0, 3].iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    note.extend(b"GNU\0");
    assert_eq!(gnu_build_id(&note), None);

    let mut builder = Builder::program();
    builder.section_at(".rodata", 1, 0x2000, HUGE, 0);
    let file = file_of(&builder.build());
    file.set_len(2 * HUGE).expect("sparse");
    let plan =
        plan(file.into(), &ProbeTable::load().expect("the table"), ReturnProbes::Kernel, false).expect("well-formed");
    assert_eq!(plan.message, "it was not read further: it has more read-only data than is searched");
    assert!(!plan.holds_library());
}

#[test]
fn what_only_a_text_tells_is_told_as_that() {
    let mut builder = Builder::program();
    builder.section(".rodata", 1, b"\0OpenSSL 3.5.8 4 Aug 2026\0");
    let plan = plan_of(builder);
    assert_eq!((plan.families, plan.version.as_str()), (vec!["openssl".to_owned()], "3.5.8"));
    assert_eq!(plan.features, features::TEXT | features::TLS | features::EXECUTABLE);
    assert!(plan.message.contains("only by a text in it") && plan.probes.is_empty());

    // Named functions tell more.
    let mut builder = Builder::program();
    builder.symtab(&["SSL_do_handshake", "SSL_CTX_new"]);
    builder.section(".rodata", 1, b"\0OpenSSL 3.5.8 4 Aug 2026\0");
    let plan = plan_of(builder);
    assert_eq!((plan.version.as_str(), plan.features & features::TEXT, plan.probes.is_empty()), ("3.5.8", 0, false));
    assert_eq!(plan.message, "");

    // What needs OpenSSL's library has its headers' text.
    let mut builder = Builder::program();
    builder.dynsym(&["libssl.so.3"]);
    builder.dynamic.push((1, 1));
    builder.section(".rodata", 1, b"\0OpenSSL 3.5.8 4 Aug 2026\0");
    let plan = plan_of(builder);
    assert!(!plan.holds_library() && plan.message.is_empty());
}

#[test]
fn go_programs_that_have_its_tls() {
    let info = [b"\xff Go buildinf:\x08\x02".as_slice(), &[0; 16], b"\x08go1.27.3\x00"].concat();
    for (names, expected) in
        [("runtime.main\0crypto/tls.(*Conn).Handshake\0", Some("go1.27.3")), ("runtime.main\0", None)]
    {
        let mut builder = Builder::program();
        builder.section(".go.buildinfo", 1, &info);
        builder.section(".gopclntab", 1, names.as_bytes());
        let plan = plan_of(builder);
        assert_eq!(plan.holds_library().then_some(plan.version.as_str()), expected);
        assert_eq!(plan.features & features::GO, features::GO);
    }
}
