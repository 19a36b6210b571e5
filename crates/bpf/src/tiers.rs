//! How the ends of system calls are seen: the attach tiers, which of them a kernel lets us have, and attaching them.
//!
//! The best is chosen by trying, for each probe by itself: what the kernel refuses to load or to attach is done by the next
//! tier. A tier that is asked for is the only one that is tried.

use std::os::fd::{AsFd as _, BorrowedFd};

use crypto_trace_format::record::{ProbeState, Tier};
use libbpf_rs::btf::Btf;
use libbpf_rs::btf::types::Func;
use libbpf_rs::{ErrorKind, Link, ProgramMut};

use crate::error::LoadError;
use crate::numbers::{PART_CHANGES, PART_CRYPTO, PART_FILES, PART_LIBS};
use crate::report::{ProbeReport, plain_report, report};
use crate::select::{FileSelection, LibrarySelection, Selection};
use crate::skel::{CryptoTraceSkel, OpenCryptoTraceSkel};
use crate::trial::{counts_missed_returns, fentry_is_refused, has_kprobes, tells_io_uring};
use crate::types::KernelTypes;

/// The program of the system call tier.
const SYS_EXIT: &str = "tp_btf:sys_exit";
const IO_URING: &str = "tp_btf:io_uring_complete";
const NO_IO_URING: &str =
    "this kernel does not report what io_uring opens: Linux 5.19 and newer do, where it is built in";

const NO_FENTRY: &str = "programs on kernel functions, or a policy refuses them: --tier auto uses what is available";
/// Of a kretprobe, see [`counts_missed_returns`].
const UNCOUNTED: &str =
    "before Linux 6.7 the kernel does not count the calls a kretprobe misses, and it misses calls while others block";
const NO_KPROBES: &str = "kprobes: --tier auto uses what is available";
const NO_FUNCTION: &str = "this kernel has no such function";

/// Which attach tier to use for what is seen at the end of system calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TierChoice {
    /// The best that this kernel has.
    #[default]
    Auto,
    /// fexit programs on kernel functions.
    Fentry,
    /// kretprobes on the same functions.
    Kprobe,
    /// A raw tracepoint on the exit of every system call.
    Tracepoint,
}

/// What is seen at the end of system calls: a part of it, which has a tier of its own.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// Its name.
    probe: &'static str,
    /// What the program on every system call's exit knows it by.
    bit: u8,
    /// Its calls are seldom: one program for all of them starts sooner than one for each.
    seldom: bool,
    /// Some of its functions are seen by kprobes where the others are by fexit.
    mixed: bool,
    is_wanted: fn(&Selection) -> bool,
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        self.bit == other.bit
    }
}

impl Eq for Part {}

const FILES: Part = Part {
    probe: "file_open",
    bit: PART_FILES,
    seldom: false,
    mixed: false,
    // Opens of the random devices are counted with the kernel's crypto.
    is_wanted: |selection| selection.files != FileSelection::None || selection.kernel_crypto,
};
const LIBRARIES: Part = Part {
    probe: "lib_load",
    bit: PART_LIBS,
    seldom: false,
    mixed: false,
    is_wanted: |selection| selection.libraries != LibrarySelection::None,
};
const CRYPTO: Part = Part {
    probe: "kernel_crypto",
    bit: PART_CRYPTO,
    seldom: false,
    mixed: true,
    is_wanted: |selection| selection.kernel_crypto,
};
const CHANGES: Part = Part {
    probe: "file_change",
    bit: PART_CHANGES,
    seldom: true,
    mixed: true,
    is_wanted: |selection| selection.files != FileSelection::None,
};

const PARTS: [Part; 4] = [FILES, LIBRARIES, CRYPTO, CHANGES];

/// A kernel function whose return is probed.
struct Function {
    part: Part,
    name: &'static str,
    /// Its fexit program; `None`: for 32-bit programs, or not on all kernels that have fexit, so by kretprobes in both tiers.
    program: Option<&'static str>,
    /// Names of both tiers' targets, for people.
    fexit: &'static str,
    kretprobe: &'static str,
    /// Kernels may be built without it; then there is nothing to see.
    optional: bool,
}

macro_rules! function {
    ($part:ident, $name:expr, $program:expr, $optional:expr) => {
        Function {
            part: $part,
            name: $name,
            program: $program,
            fexit: concat!("fexit:", $name),
            kretprobe: concat!("kretprobe:", $name),
            optional: $optional,
        }
    };
}

/// What the system call table points to, and that of 32-bit programs.
#[cfg(target_arch = "x86_64")]
macro_rules! symbol {
    ($call:ident) => {
        concat!("__x64_sys_", stringify!($call))
    };
    (compat $call:ident) => {
        concat!("__ia32_", stringify!($call))
    };
}
#[cfg(target_arch = "aarch64")]
macro_rules! symbol {
    ($call:ident) => {
        concat!("__arm64_sys_", stringify!($call))
    };
    (compat $call:ident) => {
        concat!("__arm64_", stringify!($call))
    };
}

macro_rules! native {
    ($part:ident, $call:ident, $optional:expr) => {
        function!($part, symbol!($call), Some(concat!(stringify!($call), "_fexit")), $optional)
    };
}

/// Not on all kernels.
macro_rules! late {
    ($part:ident, $call:ident) => {
        function!($part, symbol!($call), None, true)
    };
}

/// Of the table for 32-bit programs; on arm64 most of that are the functions of the other.
macro_rules! compat {
    ($part:ident, $call:ident) => {
        function!($part, symbol!(compat $call), None, true)
    };
}

/// What calls.h and syscall.h know. The names of system calls are those of `SYSCALL_DEFINE` and its `COMPAT_` form
/// (arch/x86/include/asm/syscall_wrapper.h).
const FUNCTIONS: &[Function] = &[
    function!(FILES, "do_sys_openat2", Some("open_fexit"), false),
    function!(FILES, "do_handle_open", Some("handle_fexit"), true),
    function!(LIBRARIES, "ksys_mmap_pgoff", Some("mmap_fexit"), false),
    native!(LIBRARIES, mprotect, false),
    late!(LIBRARIES, pkey_mprotect),
    native!(CRYPTO, socket, true),
    native!(CRYPTO, bind, true),
    native!(CRYPTO, setsockopt, true),
    native!(CRYPTO, add_key, true),
    native!(CRYPTO, request_key, true),
    native!(CRYPTO, keyctl, true),
    native!(CRYPTO, getrandom, true),
    compat!(CRYPTO, compat_sys_keyctl),
    native!(CHANGES, renameat, false),
    native!(CHANGES, renameat2, false),
    native!(CHANGES, linkat, false),
    native!(CHANGES, symlinkat, false),
    native!(CHANGES, unlinkat, false),
    native!(CHANGES, fchmod, false),
    native!(CHANGES, fchmodat, false),
    // Since Linux 6.6: a program for it could not be loaded before, and whatever is loaded beside it with it.
    late!(CHANGES, fchmodat2),
    native!(CHANGES, fchown, false),
    native!(CHANGES, fchownat, false),
];

/// Those that x86-64 has beside them: older calls, and a table of its own for 32-bit programs.
#[cfg(target_arch = "x86_64")]
const OF_X86: &[Function] = &[
    native!(CHANGES, rename, false),
    native!(CHANGES, link, false),
    native!(CHANGES, symlink, false),
    native!(CHANGES, unlink, false),
    native!(CHANGES, rmdir, false),
    native!(CHANGES, chmod, false),
    native!(CHANGES, chown, false),
    native!(CHANGES, lchown, false),
    compat!(LIBRARIES, sys_mprotect),
    compat!(LIBRARIES, sys_pkey_mprotect),
    compat!(CRYPTO, sys_socket),
    compat!(CRYPTO, sys_bind),
    compat!(CRYPTO, sys_setsockopt),
    compat!(CRYPTO, sys_add_key),
    compat!(CRYPTO, sys_request_key),
    compat!(CRYPTO, sys_getrandom),
    compat!(CRYPTO, compat_sys_socketcall),
    compat!(CHANGES, sys_rename),
    compat!(CHANGES, sys_renameat),
    compat!(CHANGES, sys_renameat2),
    compat!(CHANGES, sys_link),
    compat!(CHANGES, sys_linkat),
    compat!(CHANGES, sys_symlink),
    compat!(CHANGES, sys_symlinkat),
    compat!(CHANGES, sys_unlink),
    compat!(CHANGES, sys_unlinkat),
    compat!(CHANGES, sys_rmdir),
    compat!(CHANGES, sys_chmod),
    compat!(CHANGES, sys_fchmod),
    compat!(CHANGES, sys_fchmodat),
    compat!(CHANGES, sys_fchmodat2),
    compat!(CHANGES, sys_chown),
    compat!(CHANGES, sys_lchown),
    compat!(CHANGES, sys_fchown),
    compat!(CHANGES, sys_fchownat),
    compat!(CHANGES, sys_chown16),
    compat!(CHANGES, sys_lchown16),
    compat!(CHANGES, sys_fchown16),
];
#[cfg(not(target_arch = "x86_64"))]
const OF_X86: &[Function] = &[];

/// All of this architecture.
fn functions() -> impl Iterator<Item = &'static Function> {
    FUNCTIONS.iter().chain(OF_X86)
}

/// The fexit programs with their names, `[&mut]` or `[&]`.
macro_rules! fexit_programs {
    ($progs:ident, $borrow:tt) => {
        fexit_programs!(@ $progs, $borrow,
            open_fexit handle_fexit mmap_fexit mprotect_fexit socket_fexit bind_fexit setsockopt_fexit add_key_fexit request_key_fexit
            keyctl_fexit getrandom_fexit rename_fexit renameat_fexit renameat2_fexit link_fexit linkat_fexit symlink_fexit
            symlinkat_fexit unlink_fexit unlinkat_fexit rmdir_fexit chmod_fexit fchmod_fexit fchmodat_fexit
            chown_fexit lchown_fexit fchown_fexit fchownat_fexit)
    };
    (@ $progs:ident, $borrow:tt, $($name:ident)*) => {
        [$((stringify!($name), fexit_programs!(# $borrow $progs.$name))),*]
    };
    (# [$($borrow:tt)+] $program:expr) => { $($borrow)+ $program };
}

/// A tier for each part that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    tiers: Vec<(Part, Tier)>,
    /// Functions that this kernel's BTF does not have.
    missing: Vec<&'static str>,
    /// What io_uring opens is to be seen too; and the kernel tells of it.
    wants_io_uring: bool,
    io_uring: bool,
    choice: TierChoice,
    kprobes: bool,
    /// Whether `auto` may take kprobes: only where what they miss is counted.
    accountable: bool,
}

impl Plan {
    /// The best one, or the one that is asked for.
    ///
    /// # Errors
    /// When that is known not to be had.
    pub fn new(selection: &Selection, types: &KernelTypes) -> Result<Self, LoadError> {
        let kprobes = has_kprobes();
        let accountable = kprobes && counts_missed_returns();
        match selection.tier {
            TierChoice::Fentry if fentry_is_refused() => return Err(LoadError::Unsupported { what: NO_FENTRY }),
            TierChoice::Kprobe if !kprobes => return Err(LoadError::Unsupported { what: NO_KPROBES }),
            _ => {}
        }
        let first = match selection.tier {
            TierChoice::Auto if fentry_is_refused() => lower(Tier::FENTRY, accountable),
            TierChoice::Auto | TierChoice::Fentry => Tier::FENTRY,
            TierChoice::Kprobe => Tier::KPROBE,
            TierChoice::Tracepoint => Tier::RAW_TRACEPOINT,
        };
        let by_kprobes = selection.tier == TierChoice::Auto && first == Tier::FENTRY && accountable;
        let tier = |part: &Part| if part.seldom && by_kprobes { Tier::KPROBE } else { first };
        let wanted = PARTS.into_iter().filter(|part| (part.is_wanted)(selection));
        let tiers = wanted.map(|part| (part, tier(&part))).collect();
        let wants_io_uring = selection.io_uring && selection.files != FileSelection::None;
        let io_uring = wants_io_uring && tells_io_uring(types);
        Ok(Self { tiers, missing: Vec::new(), wants_io_uring, io_uring, choice: selection.tier, kprobes, accountable })
    }

    fn tier(&self, part: Part) -> Option<Tier> {
        self.tiers.iter().find(|(its, _)| *its == part).map(|(_, tier)| *tier)
    }

    fn uses(&self, tier: Tier) -> bool {
        self.tiers.iter().any(|(_, its)| *its == tier)
    }

    /// What the program on every system call's exit is for.
    pub fn sys_exit_parts(&self) -> u8 {
        self.tiers.iter().filter(|(_, tier)| *tier == Tier::RAW_TRACEPOINT).map(|(part, _)| part.bit).sum()
    }

    /// What to try after a kernel that refused to load this; `None` when nothing is left.
    pub fn after_refused_load(&self) -> Option<Self> {
        if self.choice != TierChoice::Auto || !(self.uses(Tier::FENTRY) || self.uses(Tier::KPROBE)) {
            return None;
        }
        if self.uses(Tier::FENTRY) && self.missing.is_empty() {
            let missing = missing_functions();
            if !missing.is_empty() {
                let mut next = Self { missing, ..self.clone() };
                let needed = |part| functions().filter(move |f| f.part == part && !f.optional);
                for part in PARTS {
                    if needed(part).any(|function| next.missing.contains(&function.name)) {
                        next.lower(part);
                    }
                }
                return Some(next);
            }
        }
        let mut next = self.clone();
        PARTS.into_iter().for_each(|part| next.lower(part));
        Some(next)
    }

    /// What to try after these reports of attaching; `None` when nothing failed or nothing is left.
    pub fn after_attaching(&self, reports: &[ProbeReport]) -> Option<Self> {
        let mut next = self.clone();
        for part in PARTS {
            let failed = |report: &ProbeReport| report.probe == part.probe && report.state == ProbeState::FAILED;
            if self.choice == TierChoice::Auto && reports.iter().any(failed) {
                next.lower(part);
            }
        }
        (next != *self).then_some(next)
    }

    fn lower(&mut self, part: Part) {
        for (_, tier) in self.tiers.iter_mut().filter(|(its, _)| *its == part) {
            *tier = lower(*tier, self.accountable);
        }
    }

    /// Whether any program is to be loaded for kprobes.
    pub fn needs_kprobes(&self) -> bool {
        self.kprobes && (self.uses(Tier::KPROBE) || self.some_by_kprobes())
    }

    /// Whether some functions are seen by kprobes, where the rest is done by fexit.
    fn some_by_kprobes(&self) -> bool {
        self.tiers.iter().any(|(part, tier)| part.mixed && *tier == Tier::FENTRY)
    }

    /// Says which programs are to be loaded.
    pub fn choose(&self, open: &mut OpenCryptoTraceSkel<'_>) {
        let progs = &mut open.progs;
        progs.sys_exit.set_autoload(self.sys_exit_parts() != 0);
        progs.io_uring_completed.set_autoload(self.io_uring);
        let files = self.tier(FILES);
        progs.open_kretprobe.set_autoload(files == Some(Tier::KPROBE) && self.kprobes);
        let needs_kretprobe = self.tiers.iter().any(|(part, tier)| *part != FILES && *tier == Tier::KPROBE);
        progs.call_kretprobe.set_autoload((needs_kretprobe || self.some_by_kprobes()) && self.kprobes);
        for (name, program) in fexit_programs!(progs, [&mut]) {
            let function = functions().find(|function| function.program == Some(name));
            let wanted = |function: &Function| {
                self.tier(function.part) == Some(Tier::FENTRY) && !self.missing.contains(&function.name)
            };
            program.set_autoload(function.is_some_and(wanted));
        }
    }

    /// That it cannot be seen is no reason not to record the rest.
    fn attach_io_uring(&self, skel: &CryptoTraceSkel<'_>, links: &mut Vec<Link>) -> ProbeReport {
        let skipped = |why: &str| plain_report("file_open", Tier::RAW_TRACEPOINT, IO_URING, ProbeState::SKIPPED, why);
        if !self.io_uring {
            return skipped(NO_IO_URING);
        }
        match skel.progs.io_uring_completed.attach() {
            Err(error) => skipped(&format!("{error:#}")),
            attached => report("file_open", Tier::RAW_TRACEPOINT, IO_URING, attached, links),
        }
    }

    /// Attaches what was loaded.
    pub fn attach(&self, skel: &CryptoTraceSkel<'_>, links: &mut Vec<Link>) -> Vec<ProbeReport> {
        let mut reports = Vec::new();
        for function in functions() {
            match self.tier(function.part) {
                Some(Tier::FENTRY) if function.program.is_some() => {
                    let (probe, target) = (function.part.probe, function.fexit);
                    reports.push(match fexit(skel, function) {
                        Some(program) if !self.missing.contains(&function.name) => {
                            report(probe, Tier::FENTRY, target, program.attach(), links)
                        }
                        _ => plain_report(probe, Tier::FENTRY, target, ProbeState::SKIPPED, NO_FUNCTION),
                    });
                }
                Some(Tier::FENTRY | Tier::KPROBE) => {
                    reports.push(kretprobe(skel, function, self.kprobes, links));
                }
                _ => {}
            }
        }
        let parts = self.sys_exit_parts();
        if parts != 0 {
            let attached = report("", Tier::RAW_TRACEPOINT, SYS_EXIT, skel.progs.sys_exit.attach(), links);
            let probe = match parts & (PART_FILES | PART_LIBS) {
                0 => None,
                PART_FILES => Some("file_open"),
                PART_LIBS => Some("lib_load"),
                _ => Some("file_open, lib_load"),
            };
            let crypto = (parts & PART_CRYPTO != 0).then_some("kernel_crypto");
            let changes = (parts & PART_CHANGES != 0).then_some("file_change");
            reports.extend(
                [probe, changes, crypto].into_iter().flatten().map(|probe| ProbeReport { probe, ..attached.clone() }),
            );
        }
        reports.extend(self.wants_io_uring.then(|| self.attach_io_uring(skel, links)));
        reports
    }
}

/// Descriptors of the programs that are loaded for what is seen at the end of system calls.
pub(crate) fn loaded<'a>(skel: &'a CryptoTraceSkel<'_>) -> impl Iterator<Item = BorrowedFd<'a>> {
    let progs = &skel.progs;
    let others = [&progs.sys_exit, &progs.io_uring_completed, &progs.open_kretprobe, &progs.call_kretprobe];
    let fexits = functions().filter_map(|function| fexit(skel, function));
    others.into_iter().chain(fexits).filter(|program| program.autoload()).map(|program| program.as_fd())
}

/// The fexit program of a function.
fn fexit<'a, 'o>(skel: &'a CryptoTraceSkel<'o>, function: &Function) -> Option<&'a ProgramMut<'o>> {
    let progs = &skel.progs;
    let programs = fexit_programs!(progs, [&]);
    programs.into_iter().find(|(name, _)| function.program == Some(*name)).map(|(_, program)| program)
}

fn kretprobe(skel: &CryptoTraceSkel<'_>, function: &Function, kprobes: bool, links: &mut Vec<Link>) -> ProbeReport {
    let program = if function.part == FILES { &skel.progs.open_kretprobe } else { &skel.progs.call_kretprobe };
    let (probe, target) = (function.part.probe, function.kretprobe);
    if !kprobes {
        // Then it is one of those that are beside fexit programs.
        return plain_report(probe, Tier::KPROBE, target, ProbeState::SKIPPED, "this kernel has no kprobes");
    }
    match program.attach_kprobe(true, function.name) {
        Err(error) if function.optional && error.kind() == ErrorKind::NotFound => {
            plain_report(probe, Tier::KPROBE, target, ProbeState::SKIPPED, NO_FUNCTION)
        }
        attached => {
            let mut told = report(probe, Tier::KPROBE, target, attached, links);
            if told.state == ProbeState::ATTACHED && !counts_missed_returns() {
                UNCOUNTED.clone_into(&mut told.message);
            }
            told
        }
    }
}

/// The next tier to try.
fn lower(tier: Tier, kprobes: bool) -> Tier {
    if tier == Tier::FENTRY && kprobes { Tier::KPROBE } else { Tier::RAW_TRACEPOINT }
}

/// Functions that this kernel's BTF does not have, so that no program can be loaded for them.
fn missing_functions() -> Vec<&'static str> {
    // Unreadable: then it is not for this that loading failed.
    let Ok(btf) = Btf::from_vmlinux() else { return Vec::new() };
    let functions = functions().filter(|function| function.program.is_some());
    functions.map(|function| function.name).filter(|name| btf.type_by_name::<Func<'_>>(name).is_none()).collect()
}
