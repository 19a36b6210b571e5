//! The kernel's types, read once: of the hundred thousand that it describes, the programs look for forty, and libbpf searches all
//! of them for each.
//!
//! So libbpf is given the kernel's BTF with those types alone. Each keeps its number, because the programs name some to the kernel by
//! it (`bpf_rdonly_cast`); in the places of the others there are pointers without a name, and none after the last one needed.

#![allow(unsafe_code, reason = "the kernel's BTF is mapped")]

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;

use memmap2::MmapOptions;
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
        let reduced = with_vmlinux(|bytes| Reduced::new(Btf::new(bytes)?, CORE_TYPES));
        let Some(Reduced { bytes, found }) = reduced else { return Self { reduced: None, found: HashSet::new() } };
        Self { reduced: in_memory(&bytes).ok(), found }
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

/// Hands over the kernel's BTF: mapped where the kernel allows that (Linux 6.16, which refuses shared mappings), for it is read by
/// pages, which takes longer than looking at it.
fn with_vmlinux<T>(look: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
    let file = File::open(VMLINUX).ok()?;
    // SAFETY: this file is a part of the kernel, which nobody writes to.
    match unsafe { MmapOptions::new().map_copy_read_only(&file) } {
        Ok(mapped) => look(&mapped),
        Err(_) => look(&std::fs::read(VMLINUX).ok()?),
    }
}

fn in_memory(bytes: &[u8]) -> std::io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("kernel-types", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    Ok(file.into())
}

/// BTF with the types of some names, and what their layout depends on.
struct Reduced {
    bytes: Vec<u8>,
    /// Which of [`TELLING`] there are.
    found: HashSet<&'static str>,
}

impl Reduced {
    /// `None`: something of it is malformed.
    fn new(btf: Btf<'_>, names: &[&str]) -> Option<Self> {
        let names: HashSet<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
        // Where each is: there are more than a hundred thousand, of which few are looked at again.
        let (mut places, mut to_look_at, mut found, mut number) = (vec![0], Vec::new(), HashSet::new(), 0_u32);
        for each in btf.types() {
            number += 1;
            places.push(places.last()? + u32::try_from(each.bytes.len()).ok()?);
            if each.is_for_values() {
                let name = btf.name(each.name);
                found.extend(TELLING.into_iter().filter(|telling| telling.as_bytes() == name));
                if names.contains(essential(name)) {
                    to_look_at.push(number);
                }
            }
        }
        let type_of = |number: u32| btf.type_at(*places.get(usize::try_from(number).ok()?.checked_sub(1)?)?);
        let mut wanted: HashSet<u32> = HashSet::new();
        while let Some(number) = to_look_at.pop() {
            // 0 is void.
            if number != 0 && wanted.insert(number) {
                to_look_at.extend(type_of(number)?.parts());
            }
        }
        let mut strings = Strings::new(btf);
        let mut out = Vec::new();
        for number in 1..=wanted.iter().max().copied().unwrap_or(0) {
            match wanted.contains(&number).then(|| type_of(number)) {
                Some(found) if found?.kind != kind::PTR => copy(&found?, &mut strings, &mut out)?,
                _ => out.extend([0, kind::PTR << 24, 0].into_iter().flat_map(u32::to_ne_bytes)),
            }
        }
        Some(Self { bytes: with_header(&out, &strings.bytes), found })
    }
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn numbers(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    /// struct a { int x; struct b *p; struct c y[2]; } (5), struct b (2), int (1), struct c { int z; } (4), [2] (6), a function (3),
    /// and struct d after all of them (8), which nobody looks for.
    fn kernel() -> Vec<u8> {
        let strings = b"\0int\0b\0f\0c\0z\0a\0x\0p\0y\0d\0";
        let types = [
            &[1, kind::INT << 24, 4, 32][..],
            &[5, kind::STRUCT << 24, 0],
            &[7, kind::FUNC << 24, 0],
            &[9, kind::STRUCT << 24 | 1, 4, 11, 1, 0],
            &[13, kind::STRUCT << 24 | 3, 24, 15, 1, 0, 17, 7, 64, 19, 6, 128],
            &[0, kind::ARRAY << 24, 0, 4, 1, 2],
            &[0, kind::PTR << 24, 2],
            &[21, kind::STRUCT << 24 | 1, 4, 11, 1, 0],
        ]
        .concat();
        with_header(&numbers(&types), strings)
    }

    #[test]
    fn types_keep_their_numbers_and_those_that_nobody_needs_have_no_name() {
        let kernel = kernel();
        let reduced = Reduced::new(Btf::new(&kernel).unwrap(), &["a", "missing"]).unwrap();
        let btf = Btf::new(&reduced.bytes).unwrap();
        let told: Vec<_> =
            btf.types().map(|found| (found.kind, String::from_utf8_lossy(btf.name(found.name)))).collect();
        let named = |kind, name: &'static str| (kind, name.into());
        let expected = [
            named(kind::INT, "int"),
            named(kind::PTR, ""),
            named(kind::PTR, ""),
            named(kind::STRUCT, "c"),
            named(kind::STRUCT, "a"),
            named(kind::ARRAY, ""),
            named(kind::PTR, ""),
        ];
        assert_eq!(told, expected);
        let members = btf.types().nth(4).unwrap();
        let names: Vec<_> = members.names().map(|at| btf.name(word(members.bytes, at).unwrap())).collect();
        assert_eq!(names, [b"x", b"p", b"y"]);
        assert_eq!(Vec::from_iter(members.parts()), [1, 7, 6]);
    }

    #[test]
    fn any_truncation_is_survived() {
        let kernel = kernel();
        for end in 0..kernel.len() {
            let _ = Btf::new(&kernel[..end]).and_then(|btf| Reduced::new(btf, &["a"]));
        }
    }

    #[test]
    fn flavors_of_a_type_are_that_type() {
        for (name, expected) in [
            ("kernfs_node___new", "kernfs_node"),
            ("a___b___c", "a___b"),
            ("___a", "___a"),
            ("a___", "a___"),
            ("a____b", "a____b"),
            ("a__b", "a__b"),
            ("", ""),
        ] {
            assert_eq!(essential(name.as_bytes()), expected.as_bytes(), "{name}");
        }
    }

    /// Where the kernel shows its BTF: what libbpf looks for is there, in a fraction of the size.
    #[test]
    fn the_kernels_types_are_found() {
        let Some((reduced, size)) =
            with_vmlinux(|bytes| Some((Reduced::new(Btf::new(bytes)?, CORE_TYPES)?, bytes.len())))
        else {
            return;
        };
        assert!(reduced.bytes.len() < size / 3, "{} of {size}", reduced.bytes.len());
        let btf = Btf::new(&reduced.bytes).unwrap();
        let names: HashSet<_> = btf.types().map(|found| btf.name(found.name)).collect();
        for name in ["task_struct", "file", "dentry", "tcp_sock"] {
            assert!(names.contains(name.as_bytes()), "{name}");
        }
    }
}
