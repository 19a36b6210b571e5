//! Compiles the BPF programs, for Linux 6.2 and newer, for 5.17 and newer, and for older ones, and generates their skeleton.
//!
//! Before that it writes two headers from what is declared in Rust, so that C and Rust cannot differ: `abi_codes.h`, all numbers
//! that they share, and `abi_check.h`, one `_Static_assert` per field of every record.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use crypto_trace_format::record::{CODES, ChangeCall, FieldLayout, Header, KINDS, Kind, KindLayout, OpenCall, limits};
use libbpf_cargo::SkeletonBuilder;
use object::{Object as _, ObjectSection as _};

#[path = "src/btf.rs"]
#[allow(dead_code, reason = "the kernel's is read by it, too")]
mod btf;
#[path = "src/numbers.rs"]
mod numbers;

const SOURCE: &str = "src/bpf/crypto_trace.bpf.c";

fn main() -> Result<()> {
    let out = PathBuf::from(std::env::var("OUT_DIR").context("OUT_DIR is not set: run me through cargo")?);
    let arch = match std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("x86_64") => "x86",
        Ok("aarch64") => "arm64",
        other => anyhow::bail!("no BPF programs for target architecture {other:?} yet: see src/bpf/syscall.h"),
    };
    std::fs::write(out.join("abi_codes.h"), abi_codes()?).context("cannot write abi_codes.h")?;
    std::fs::write(out.join("abi_check.h"), abi_check()).context("cannot write abi_check.h")?;
    let libbpf = std::env::var("DEP_BPF_INCLUDE").context("libbpf-sys did not say where its headers are")?;
    println!("cargo:rerun-if-changed=src/bpf");
    // For tests/programs.rs, which compiles the same.
    println!("cargo:rustc-env=CRYPTO_TRACE_LIBBPF_INCLUDE={libbpf}");
    println!("cargo:rerun-if-env-changed=CLANG");

    let arguments = [
        format!("-D__TARGET_ARCH_{arch}"),
        format!("-I{}", out.display()),
        format!("-I{libbpf}"),
        "-Wall".into(),
        "-Werror".into(),
        "-Wno-unused-function".into(),
        "-mcpu=v3".into(),
    ];
    let new = skeleton(&out.join("new"), &arguments)?;
    let old = skeleton(&out.join("old"), &[&arguments[..], &["-DCT_OLD_KERNEL".into()]].concat())?;
    let plain = skeleton(&out.join("plain"), &[&arguments[..], &["-DCT_PLAIN_LOADS".into()]].concat())?;
    // By lines, because types come in the order in which the programs use them.
    let same = |text: &str| {
        text.split_once(OBJECT).map(|(before, _)| {
            let mut lines: Vec<_> = before.lines().map(|line| line.trim().to_owned()).collect();
            lines.sort_unstable();
            lines
        })
    };
    let all_same = same(&new) == same(&old) && same(&new) == same(&plain);
    anyhow::ensure!(all_same, "the programs for other kernels differ in maps, programs or layout");
    let objects = ["new", "old", "plain"].map(|name| out.join(name).join("crypto_trace.bpf.o"));
    std::fs::write(out.join("core_types.rs"), core_types(&objects)?).context("cannot write core_types.rs")?;
    // One skeleton for all: which object it opens is decided when it is opened.
    let opened = new.replacen(OPENS, OPENS_EITHER, 1);
    anyhow::ensure!(opened != new, "libbpf-cargo makes skeletons that open their object in another way: see build.rs");
    std::fs::write(out.join("crypto_trace.skel.rs"), opened).context("cannot write the skeleton")
}

/// Where a generated skeleton holds its object, and where it opens it; what that becomes.
const OBJECT: &str = "static DATA: ";
const OPENS: &str = "ObjectSkeletonConfigBuilder::new(&DATA)";
const OPENS_EITHER: &str = "ObjectSkeletonConfigBuilder::new(crate::object::bytes(&DATA))";

/// Compiles the programs into a directory; the text of their skeleton.
fn skeleton(out: &Path, arguments: &[String]) -> Result<String> {
    std::fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    let mut builder = SkeletonBuilder::new();
    builder.source(Path::new(SOURCE)).clang_args(arguments).obj(out.join("crypto_trace.bpf.o"));
    if let Some(clang) = std::env::var_os("CLANG") {
        builder.clang(clang);
    }
    let text = out.join("crypto_trace.skel.rs");
    builder
        .build_and_generate(&text)
        .with_context(|| format!("cannot build {SOURCE} (clang 14 or newer is needed: run scripts/setup)"))?;
    std::fs::read_to_string(&text).with_context(|| format!("cannot read {}", text.display()))
}

/// Rust source of the names of the kernel's types that any of the programs look for (CO-RE relocations).
fn core_types(objects: &[PathBuf]) -> Result<String> {
    let mut names = BTreeSet::new();
    for path in objects {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = object::File::parse(&*bytes).with_context(|| format!("cannot read {}", path.display()))?;
        let section = |name: &str| file.section_by_name(name)?.data().ok();
        let (btf, ext) = section(".BTF").zip(section(".BTF.ext")).context("the programs have no BTF")?;
        let btf = btf::Btf::new(btf).context("the programs' BTF is malformed")?;
        let types: Vec<_> = btf.types().collect();
        for (number, how) in relocations(ext).context("the programs' relocations are malformed")? {
            anyhow::ensure!(how <= LAST_KNOWN, "relocations of kind {how} need more of a type than src/types.rs keeps");
            let found = usize::try_from(number)?.checked_sub(1).and_then(|index| types.get(index));
            let name = btf.name(found.context("a relocation names no type")?.name);
            names.insert(String::from_utf8_lossy(btf::essential(name)).into_owned());
        }
    }
    Ok(format!(
        "/// Names of the types that the programs look for.\nconst CORE_TYPES: &[&str] = &{:?};\n",
        Vec::from_iter(names)
    ))
}

/// `BPF_CORE_ENUMVAL_VALUE`; the one after it compares whole types.
const LAST_KNOWN: u32 = 11;

/// Types and kinds of the relocations (`struct bpf_core_relo`) in a section .BTF.ext: after its header, by section of the programs.
fn relocations(ext: &[u8]) -> Option<Vec<(u32, u32)>> {
    let at = |offset: usize| usize::try_from(btf::word(ext, offset)?).ok();
    let begin = at(4)? + at(24)?;
    let mut rest = ext.get(begin..begin + at(28)?)?;
    let size = usize::try_from(btf::word(rest, 0)?).ok()?;
    rest = rest.get(4..)?;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let count = usize::try_from(btf::word(rest, 4)?).ok()?;
        let (records, after) = rest.get(8..)?.split_at_checked(count * size)?;
        for record in records.chunks(size) {
            found.push((btf::word(record, 4)?, btf::word(record, 12)?));
        }
        rest = after;
    }
    Some(found)
}

/// Kinds that BPF programs make, which have a C struct.
fn kinds() -> impl Iterator<Item = &'static KindLayout> {
    KINDS.iter().filter(|layout| Kind(layout.kind).is_from_bpf())
}

/// C source of all numbers that the programs share with Rust.
fn abi_codes() -> Result<String> {
    let mut text = String::from(
        "/* Generated by build.rs from crates/format/src/record/codes.rs and crates/bpf/src/numbers.rs. */\n\
         #ifndef CRYPTO_TRACE_ABI_CODES_H\n#define CRYPTO_TRACE_ABI_CODES_H\n\nenum { /* Kind */\n",
    );
    for kind in kinds() {
        let _ = writeln!(text, "\t{} = {},", kind.c_struct.to_uppercase(), kind.kind);
    }
    for code in CODES {
        let _ = writeln!(text, "}};\n\nenum {{ /* {} */", code.name);
        for (name, value) in code.values {
            let _ = writeln!(text, "\t{}{name} = {value},", code.c_prefix);
        }
    }
    text.push_str("};\n\nenum ct_sys {\n");
    for (value, name) in system_calls()? {
        let _ = writeln!(text, "\tCT_SYS_{name} = {value},");
    }
    text.push_str("};\n\n");
    for (name, value) in limits::ALL.iter().chain(numbers::NUMBERS) {
        let _ = writeln!(text, "#define CT_{name} {value}");
    }
    Ok(text + "\n#endif\n")
}

/// System calls by number, as the programs know them.
fn system_calls() -> Result<BTreeMap<u64, &'static str>> {
    use numbers::system_calls::{BEFORE_CHANGES, OTHERS};
    // Requests of io_uring are no system calls of their own.
    let first_request = u64::from(OpenCall::IO_URING_OPENAT.0);
    let opens = OpenCall::LAYOUT.values.iter().filter(|(_, value)| *value < first_request).copied();
    let changes = ChangeCall::LAYOUT.values.iter().map(|(name, value)| (*name, value + BEFORE_CHANGES));
    let mut calls = BTreeMap::new();
    for (name, value) in opens.chain(OTHERS.iter().copied()).chain(changes) {
        let other = calls.insert(value, name);
        anyhow::ensure!(other.is_none(), "{name} and {other:?} have one number: see src/numbers.rs");
    }
    Ok(calls)
}

/// C source that fails to compile where a C struct differs from its Rust layout.
fn abi_check() -> String {
    let mut text = String::from("/* Generated by build.rs from crates/format/src/record/kinds.rs. */\n");
    check_struct(&mut text, "ct_header", Header::SIZE, Header::FIELDS);
    for kind in kinds() {
        check_struct(&mut text, kind.c_struct, kind.fixed_len, kind.fields);
    }
    text
}

fn check_struct(text: &mut String, name: &str, size: usize, fields: &[FieldLayout]) {
    let _ = writeln!(text, "_Static_assert(sizeof(struct {name}) == {size}, \"size of {name}\");");
    for field in fields {
        let _ = writeln!(
            text,
            "_Static_assert(__builtin_offsetof(struct {name}, {0}) == {1} && sizeof(((struct {name} *)0)->{0}) == {2}, \
             \"{name}.{0}\");",
            field.name, field.offset, field.size
        );
    }
}
