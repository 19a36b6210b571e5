//! Functions by their names: from the tables that the dynamic linker asks, and from the table of all symbols, where there is one.
//!
//! The linker's tables are asked for one name after the other, as the linker does: what is read is a few bytes for each. The
//! table of all symbols is gone through in pieces, with a piece of the names at a time.

use std::collections::{HashMap, HashSet};

use super::bytes::MAX_RANGE;
use super::{Elf, ElfError, Fields, Function};

/// Symbols that are looked at in one table, each time that a piece of the names is.
const MAX_VISITS: u64 = 1 << 23;

/// A piece of the names, bytes.
const NAMES: usize = 4 << 20;

/// Entries of the dynamic table.
const MAX_DYNAMIC: usize = 1 << 10;

/// Entries of its table of imports.
const MAX_RELOCATIONS: u64 = 1 << 18;

/// Symbols with one hash that are compared: real tables have a handful.
const MAX_CHAIN: usize = 1 << 10;

/// Libraries that it needs.
const MAX_NEEDED: usize = 256;

/// Longest name of a library.
const MAX_NAME: usize = 256;

const SYMBOL: u64 = 24;
const SHT_SYMTAB: u32 = 2;
const SHT_DYNSYM: u32 = 11;

/// What the dynamic linker is told; offsets in the file.
#[derive(Debug, Default)]
pub struct Dynamic {
    symbols: Option<u64>,
    names: Option<u64>,
    gnu_hash: Option<u64>,
    hash: Option<u64>,
    /// Tables of relocations: where, bytes.
    relocations: Vec<(u64, u64)>,
    needed: Vec<u64>,
}

/// A symbol of a function that is defined.
struct Symbol {
    name: u32,
    address: u64,
    size: u64,
}

impl Symbol {
    fn parse(entry: &[u8]) -> Option<Self> {
        let fields = Fields(entry.get(..24)?);
        let is_function = entry.get(4)? & 0xf == 2 && fields.u16(6) != 0;
        is_function.then(|| Self { name: fields.u32(0), address: fields.u64(8), size: fields.u64(16) })
    }
}

impl Elf {
    pub(super) fn read_dynamic(&self, offset: u64, len: u64) -> Result<Dynamic, ElfError> {
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(16 * MAX_DYNAMIC);
        let table = self.bytes.up_to(offset, len)?;
        let mut found = Dynamic::default();
        let (mut jumps, mut jumps_len, mut others, mut others_len) = (None, 0, None, 0);
        for entry in table.chunks_exact(16).map(Fields) {
            let value = entry.u64(8);
            let place = || self.offset_of(value);
            match entry.u64(0) {
                0 => break,
                1 if found.needed.len() < MAX_NEEDED => found.needed.push(value),
                2 => jumps_len = value,
                4 => found.hash = place(),
                5 => found.names = place(),
                6 => found.symbols = place(),
                7 => others = place(),
                8 => others_len = value,
                23 => jumps = place(),
                0x6fff_fef5 => found.gnu_hash = place(),
                _ => {}
            }
        }
        let tables = [(jumps, jumps_len), (others, others_len)];
        found.relocations = tables.into_iter().filter_map(|(at, len)| Some((at?, len))).collect();
        Ok(found)
    }

    /// Names of the libraries that it needs.
    pub fn needed(&self) -> Vec<String> {
        let Some(names) = self.dynamic.names else { return Vec::new() };
        let name = |at: &u64| self.bytes.text(names.checked_add(*at)?, MAX_NAME).ok().flatten();
        self.dynamic.needed.iter().filter_map(name).collect()
    }

    pub(super) fn find_functions(&mut self, wanted: &HashSet<String>) -> Result<(), ElfError> {
        let mut found = HashMap::new();
        if let (Some(symbols), Some(names)) = (self.dynamic.symbols, self.dynamic.names) {
            if let Some(table) = self.dynamic.gnu_hash.map(|at| GnuHash::read(self, at)).transpose()?.flatten() {
                for name in wanted {
                    if let Some(symbol) = table.find(self, name, symbols, names)? {
                        self.add(&mut found, name, &symbol);
                    }
                }
            } else if let Some(at) = self.dynamic.hash {
                for name in wanted {
                    if let Some(symbol) = self.find_by_hash(at, name, symbols, names)? {
                        self.add(&mut found, name, &symbol);
                    }
                }
            }
        }
        let has_hash = self.dynamic.gnu_hash.or(self.dynamic.hash).is_some();
        let is_table = |kind| kind == SHT_SYMTAB || (kind == SHT_DYNSYM && !has_hash);
        let tables = self.sections.iter().filter(|section| is_table(section.kind)).take(2);
        let mut left = None;
        for table in tables {
            let names = usize::try_from(table.link).ok().and_then(|link| self.sections.get(link));
            let names = names.map(|names| (names.offset, names.len)).unwrap_or_default();
            if let Err(error) = self.scan((table.offset, table.len), names, wanted, &mut found) {
                match error {
                    // What the linker's tables told stays true.
                    ElfError::Share(what) => left = Some(what),
                    error => return Err(error),
                }
            }
        }
        self.left = self.left.or(left);
        self.functions = found;
        Ok(())
    }

    fn add(&self, found: &mut HashMap<String, Function>, name: &str, symbol: &Symbol) {
        if let Some(offset) = self.offset_of(symbol.address) {
            let Symbol { address, size, .. } = *symbol;
            found.entry(name.to_owned()).or_insert(Function { address, offset, size });
        }
    }

    /// A symbol, if it is a function that is called so.
    fn symbol(&self, index: u32, name: &str, symbols: u64, names: u64) -> Result<Option<Symbol>, ElfError> {
        let place = u64::from(index).checked_mul(SYMBOL).and_then(|into| symbols.checked_add(into));
        let Some(place) = place else { return Ok(None) };
        let Some(symbol) = Symbol::parse(&self.bytes.array::<24>(place)?) else { return Ok(None) };
        let Some(at) = names.checked_add(symbol.name.into()) else { return Ok(None) };
        let text = self.bytes.up_to(at, name.len() + 1)?;
        let is_it = text.strip_suffix(b"\0").is_some_and(|text| text == name.as_bytes());
        Ok(is_it.then_some(symbol))
    }

    /// By the older kind of table: System V ABI, chapter 5, "Hash Table".
    fn find_by_hash(&self, at: u64, name: &str, symbols: u64, names: u64) -> Result<Option<Symbol>, ElfError> {
        let hash = name.bytes().fold(0u32, |hash, byte| {
            let hash = (hash << 4).wrapping_add(byte.into());
            let high = hash & 0xf000_0000;
            (hash ^ (high >> 24)) & !high
        });
        let buckets = self.bytes.u32(at)?;
        let word = |index: u64| index.checked_mul(4).and_then(|into| at.checked_add(into));
        let Some(bucket) = hash.checked_rem(buckets).and_then(|bucket| word(2 + u64::from(bucket))) else {
            return Ok(None);
        };
        let mut index = self.bytes.u32(bucket)?;
        for _ in 0..MAX_CHAIN {
            if index == 0 {
                return Ok(None);
            }
            if let Some(symbol) = self.symbol(index, name, symbols, names)? {
                return Ok(Some(symbol));
            }
            let Some(next) = word(2 + u64::from(buckets) + u64::from(index)) else { return Ok(None) };
            index = self.bytes.u32(next)?;
        }
        Err(ElfError::Share("its table of names has too many of one kind"))
    }

    /// All symbols of a table, with a piece of the names at a time.
    fn scan(
        &self,
        (at, len): (u64, u64),
        (names, names_len): (u64, u64),
        wanted: &HashSet<String>,
        found: &mut HashMap<String, Function>,
    ) -> Result<(), ElfError> {
        let longest = wanted.iter().map(String::len).max().unwrap_or(0) + 1;
        let step = (NAMES - longest) as u64;
        if (len / SYMBOL).saturating_mul(names_len.div_ceil(step)) > MAX_VISITS {
            return Err(ElfError::Share("its table of symbols is larger than is read"));
        }
        let mut buffer = vec![0; usize::try_from(len).unwrap_or(MAX_RANGE).min(MAX_RANGE / 24 * 24)];
        let mut texts = vec![0; usize::try_from(names_len).unwrap_or(NAMES).min(NAMES)];
        for from in (0..names_len).step_by(NAMES - longest) {
            let Some(place) = names.checked_add(from) else { break };
            let filled = self.bytes.fill(place, &mut texts)?;
            let texts = texts.get(..filled).unwrap_or_default();
            let mut done = 0;
            while done < len {
                let want = usize::try_from(len - done).unwrap_or(MAX_RANGE).min(buffer.len());
                let (Some(piece), Some(place)) = (buffer.get_mut(..want), at.checked_add(done)) else { break };
                let filled = self.bytes.fill(place, piece)?;
                let entries = piece.get(..filled).unwrap_or_default().chunks_exact(24);
                for symbol in entries.filter_map(Symbol::parse) {
                    let into = u64::from(symbol.name).checked_sub(from).filter(|into| *into < step);
                    let text = into.and_then(|into| texts.get(usize::try_from(into).ok()?..));
                    let text = text.and_then(|text| text.get(..longest.min(text.len())));
                    let name = text.and_then(|text| text.get(..memchr::memchr(0, text)?));
                    let Some(name) = name.and_then(|name| std::str::from_utf8(name).ok()) else { continue };
                    if wanted.contains(name) && !found.contains_key(name) {
                        self.add(found, name, &symbol);
                    }
                }
                if filled < want || want < 24 {
                    break;
                }
                done += want as u64;
            }
        }
        Ok(())
    }

    /// Addresses of functions of this file that it takes from its table of imports, by where they are in that.
    pub fn slots(&self) -> HashMap<u64, u64> {
        let mut slots = HashMap::new();
        let Some(symbols) = self.dynamic.symbols else { return slots };
        let known: HashSet<u64> = self.functions.values().map(|function| function.address).collect();
        for (at, len) in &self.dynamic.relocations {
            // Those that are the least, of jumps, come first; where there are more, the rest are not known.
            let found = self.bytes.search(*at, (*len).min(24 * MAX_RELOCATIONS), MAX_RANGE % 24, |piece| {
                for entry in piece.chunks_exact(24).map(Fields) {
                    let index = entry.u64(8) >> 32;
                    let place = index.checked_mul(SYMBOL).and_then(|into| symbols.checked_add(into));
                    let (Some(place), 1..) = (place, index) else { continue };
                    let Ok(symbol) = self.bytes.array::<24>(place) else { return Some(()) };
                    if let Some(symbol) = Symbol::parse(&symbol).filter(|symbol| known.contains(&symbol.address)) {
                        slots.insert(entry.u64(0), symbol.address);
                    }
                }
                None
            });
            if found.is_err() {
                break;
            }
        }
        slots
    }
}

/// The newer kind of table, `DT_GNU_HASH`: buckets of symbols that are sorted by them, and a filter before.
struct GnuHash {
    /// Number of the first symbol in it.
    first: u32,
    shift: u32,
    filter: (u64, u32),
    buckets: (u64, u32),
    /// Where the hashes of symbols are.
    hashes: u64,
}

impl GnuHash {
    fn read(elf: &Elf, at: u64) -> Result<Option<Self>, ElfError> {
        let head = elf.bytes.array::<16>(at)?;
        let head = Fields(&head);
        let (buckets, first, words, shift) = (head.u32(0), head.u32(4), head.u32(8), head.u32(12));
        let filter = at.checked_add(16);
        let table = filter.and_then(|at| at.checked_add(8 * u64::from(words)));
        let hashes = table.and_then(|at| at.checked_add(4 * u64::from(buckets)));
        let (Some(filter), Some(table), Some(hashes)) = (filter, table, hashes) else { return Ok(None) };
        if buckets == 0 || words == 0 || shift > 31 {
            return Ok(None);
        }
        Ok(Some(Self { first, shift, filter: (filter, words), buckets: (table, buckets), hashes }))
    }

    fn find(&self, elf: &Elf, name: &str, symbols: u64, names: u64) -> Result<Option<Symbol>, ElfError> {
        let hash = name.bytes().fold(5381u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(byte.into()));
        let word = u64::from(hash / 64 % self.filter.1);
        let word = u64::from_le_bytes(elf.bytes.array(self.filter.0 + 8 * word)?);
        let bits = 1u64 << (hash % 64) | 1u64 << ((hash >> self.shift) % 64);
        if word & bits != bits {
            return Ok(None);
        }
        let index = elf.bytes.u32(self.buckets.0 + 4 * u64::from(hash % self.buckets.1))?;
        let Some(into) = index.checked_sub(self.first) else { return Ok(None) };
        let Some(at) = self.hashes.checked_add(4 * u64::from(into)) else { return Ok(None) };
        // A bucket's hashes follow each other; the last has its lowest bit set.
        let chain = elf.bytes.up_to(at, 4 * MAX_CHAIN)?;
        for (step, entry) in (0u32..).zip(chain.chunks_exact(4)) {
            let entry = Fields(entry).u32(0);
            let index = index.checked_add(step).filter(|_| entry | 1 == hash | 1);
            if let Some(symbol) = index.map(|index| elf.symbol(index, name, symbols, names)).transpose()?.flatten() {
                return Ok(Some(symbol));
            }
            if entry & 1 == 1 {
                return Ok(None);
            }
        }
        if chain.len() < 4 * MAX_CHAIN {
            return Ok(None);
        }
        Err(ElfError::Share("its table of names has too many of one kind"))
    }
}
