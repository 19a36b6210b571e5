//! The kernel's types, read once: of the hundred thousand that it describes, the programs look for forty, and libbpf searches all
//! of them for each.
//!
//! So libbpf is given the kernel's BTF with those types alone. Each keeps its number, because the programs name some to the kernel by
//! it (`bpf_rdonly_cast`); in the places of the others there are pointers without a name, and none after the last one needed.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, memfd_create};

use crate::btf::{Btf, MAGIC, Type, essential, kind, word};

include!(concat!(env!("OUT_DIR"), "/core_types.rs"));

/// Where the kernel shows its BTF.
pub(crate) const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Bytes of a header.
const HEADER: u32 = 24;

/// What the programs are loaded with.
pub(crate) struct KernelTypes {
    reduced: Option<OwnedFd>,
    found: HashSet<&'static str>,
}

/// Types whose presence tells what a kernel can do.
const TELLING: [&str; 2] = ["btf_trace_io_uring_complete", "io_open"];

impl KernelTypes {
    /// Of the kernel that runs. What cannot be read is left to libbpf.
    pub fn read() -> Self {
        let bytes = std::fs::read(VMLINUX).unwrap_or_default();
        let Some(btf) = Btf::new(&bytes) else { return Self { reduced: None, found: HashSet::new() } };
        let telling = |found: Type<'_>| {
            let is_telling = matches!(found.kind, kind::TYPEDEF | kind::STRUCT);
            is_telling.then(|| TELLING.into_iter().find(|name| name.as_bytes() == btf.name(found.name))).flatten()
        };
        let found = btf.types().filter_map(telling).collect();
        let reduced = reduce(btf, CORE_TYPES).and_then(|bytes| in_memory(&bytes).ok());
        Self { reduced, found }
    }

    /// A path under which libbpf finds the reduced BTF, while this lives; `None`: it is to read the kernel's.
    pub fn path(&self) -> Option<PathBuf> {
        self.reduced.as_ref().map(|file| format!("/proc/self/fd/{}", file.as_raw_fd()).into())
    }

    /// Whether requests of io_uring are told of when they are completed, with what they were.
    pub fn tells_io_uring(&self) -> bool {
        self.found.len() == TELLING.len()
    }
}

fn in_memory(bytes: &[u8]) -> std::io::Result<OwnedFd> {
    let mut file = std::fs::File::from(memfd_create("kernel-types", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    Ok(file.into())
}

/// BTF with the types of these names, and what their layout depends on. `None`: something of it is malformed.
fn reduce(btf: Btf<'_>, names: &[&str]) -> Option<Vec<u8>> {
    let types: Vec<Type<'_>> = btf.types().collect();
    let names: HashSet<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
    let type_of = |number: u32| types.get(usize::try_from(number).ok()?.checked_sub(1)?);
    let mut wanted: HashSet<u32> = HashSet::new();
    let mut to_look_at: Vec<u32> = (1..)
        .zip(&types)
        .filter(|(_, found)| found.is_for_values() && names.contains(essential(btf.name(found.name))))
        .map(|(number, _)| number)
        .collect();
    while let Some(number) = to_look_at.pop() {
        // 0 is void.
        if number != 0 && wanted.insert(number) {
            to_look_at.extend(type_of(number)?.parts());
        }
    }
    let last = wanted.iter().max().copied().unwrap_or(0);
    let mut strings = Strings::new(btf);
    let mut out = Vec::new();
    for number in 1..=last {
        match type_of(number)? {
            found if wanted.contains(&number) && found.kind != kind::PTR => copy(found, &mut strings, &mut out)?,
            _ => out.extend([0, kind::PTR << 24, 0].into_iter().flat_map(u32::to_ne_bytes)),
        }
    }
    Some(with_header(&out, &strings.bytes))
}

/// Copies a type with its names.
fn copy(found: &Type<'_>, strings: &mut Strings<'_>, out: &mut Vec<u8>) -> Option<()> {
    let at = out.len();
    out.extend_from_slice(found.bytes);
    for place in std::iter::once(0).chain(found.names()) {
        let name = strings.offset(word(found.bytes, place)?)?;
        out.get_mut(at + place..)?.get_mut(..4)?.copy_from_slice(&name.to_ne_bytes());
    }
    Some(())
}

fn with_header(types: &[u8], strings: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    // Magic, version 1, no flags.
    let mut out = [MAGIC.to_ne_bytes(), [1, 0]].concat();
    let numbers = [HEADER, 0, length(types), length(types), length(strings)];
    out.extend(numbers.into_iter().flat_map(u32::to_ne_bytes));
    [&out, types, strings].concat()
}

/// The names that are needed, each once.
struct Strings<'a> {
    of: Btf<'a>,
    bytes: Vec<u8>,
    offsets: HashMap<u32, u32>,
}

impl<'a> Strings<'a> {
    fn new(of: Btf<'a>) -> Self {
        // The empty one comes first.
        Self { of, bytes: vec![0], offsets: HashMap::from([(0, 0)]) }
    }

    fn offset(&mut self, before: u32) -> Option<u32> {
        if let Some(offset) = self.offsets.get(&before) {
            return Some(*offset);
        }
        let offset = u32::try_from(self.bytes.len()).ok()?;
        self.bytes.extend_from_slice(self.of.name(before));
        self.bytes.push(0);
        self.offsets.insert(before, offset);
        Some(offset)
    }
}
