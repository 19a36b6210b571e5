//! How the ends of system calls are seen: the attach tiers, which of them a kernel lets us have, and attaching them.
//!
//! The best is chosen by trying, for each probe by itself: what the kernel refuses to load or to attach is done by the next
//! tier. A tier that is asked for is the only one that is tried.

use std::os::fd::{AsFd as _, BorrowedFd};

use crypto_trace_format::record::{ProbeState, Tier};
use libbpf_rs::btf::Btf;
use libbpf_rs::btf::types::Func;
use libbpf_rs::{ErrorKind, Link, ProgramMut};

use crate::load::{LoadError, ProbeReport, plain_report, report};
use crate::select::{FileSelection, LibrarySelection, Selection};
use crate::skel::{CryptoTraceSkel, OpenCryptoTraceSkel};
use crate::trial::{counts_missed_returns, fentry_is_refused, has_kprobes};

/// `enum ct_part` in abi.h.
const PART_FILES: u8 = 1;
const PART_LIBS: u8 = 2;
const PART_CRYPTO: u8 = 4;

/// The program of the system call tier.
const SYS_EXIT: &str = "tp_btf:sys_exit";

const NO_FENTRY: &str = "programs on kernel functions, or refuses them by a policy: --tier auto takes what there is";
/// Of a kretprobe, see [`counts_missed_returns`].
const UNCOUNTED: &str =
    "before Linux 6.7 the kernel does not count the calls that a kretprobe misses, which it does while others block";
const NO_KPROBES: &str = "kprobes: --tier auto takes what there is";
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

/// What is seen at the end of system calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Files,
    Libraries,
    Crypto,
}

impl Part {
    const ALL: [Self; 3] = [Self::Files, Self::Libraries, Self::Crypto];

    fn bit(self) -> u8 {
        match self {
            Self::Files => PART_FILES,
            Self::Libraries => PART_LIBS,
            Self::Crypto => PART_CRYPTO,
        }
    }

    fn probe(self) -> &'static str {
        match self {
            Self::Files => "file_open",
            Self::Libraries => "lib_load",
            Self::Crypto => "kernel_crypto",
        }
    }
}

/// A kernel function whose return is probed.
struct Function {
    part: Part,
    name: &'static str,
    /// Names of both tiers' targets, for people.
    fexit: &'static str,
    kretprobe: &'static str,
    /// Kernels may be built without it; then there is nothing to see.
    optional: bool,
    /// Only for 32-bit programs: kretprobes in both tiers.
    compat: bool,
}

macro_rules! function {
    ($part:ident, $name:expr, $optional:expr, $compat:expr) => {
        Function {
            part: Part::$part,
            name: $name,
            fexit: concat!("fexit:", $name),
            kretprobe: concat!("kretprobe:", $name),
            optional: $optional,
            compat: $compat,
        }
    };
}

#[cfg(target_arch = "x86_64")]
macro_rules! native {
    ($call:literal) => {
        function!(Crypto, concat!("__x64_sys_", $call), true, false)
    };
}
#[cfg(target_arch = "x86_64")]
macro_rules! compat {
    ($call:literal) => {
        function!(Crypto, concat!("__ia32_", $call), true, true)
    };
}
#[cfg(target_arch = "aarch64")]
macro_rules! native {
    ($call:literal) => {
        function!(Crypto, concat!("__arm64_sys_", $call), true, false)
    };
}
#[cfg(target_arch = "aarch64")]
macro_rules! compat {
    ($call:literal) => {
        function!(Crypto, concat!("__arm64_", $call), true, true)
    };
}

/// What calls.h and syscall.h know. The names of system calls are those of `SYSCALL_DEFINE` and its `COMPAT_` form
/// (arch/x86/include/asm/syscall_wrapper.h).
const FUNCTIONS: &[Function] = &[
    function!(Files, "do_sys_openat2", false, false),
    function!(Files, "do_handle_open", true, false),
    function!(Libraries, "ksys_mmap_pgoff", false, false),
    native!("socket"),
    native!("bind"),
    native!("setsockopt"),
    native!("add_key"),
    native!("request_key"),
    native!("keyctl"),
    native!("getrandom"),
    compat!("sys_socket"),
    compat!("sys_bind"),
    compat!("sys_setsockopt"),
    compat!("sys_add_key"),
    compat!("sys_request_key"),
    compat!("compat_sys_keyctl"),
    compat!("sys_getrandom"),
    compat!("compat_sys_socketcall"),
];

/// A tier for each part that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    tiers: [Option<Tier>; 3],
    /// Functions that this kernel's BTF does not have.
    missing: Vec<&'static str>,
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
    pub fn new(selection: &Selection) -> Result<Self, LoadError> {
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
        let wanted = [
            // Opens of the random devices are counted with the kernel's crypto.
            selection.files != FileSelection::None || selection.kernel_crypto,
            selection.libraries != LibrarySelection::None,
            selection.kernel_crypto,
        ];
        let tiers = wanted.map(|wanted| wanted.then_some(first));
        Ok(Self { tiers, missing: Vec::new(), choice: selection.tier, kprobes, accountable })
    }

    fn tier(&self, part: Part) -> Option<Tier> {
        self.tiers[part as usize]
    }

    fn uses(&self, tier: Tier) -> bool {
        self.tiers.contains(&Some(tier))
    }

    /// What the program on every system call's exit is for.
    pub fn sys_exit_parts(&self) -> u8 {
        let its = Part::ALL.into_iter().filter(|part| self.tier(*part) == Some(Tier::RAW_TRACEPOINT));
        its.map(Part::bit).sum()
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
                let needed = |part| FUNCTIONS.iter().filter(move |f| f.part == part && !f.optional);
                for part in Part::ALL {
                    if needed(part).any(|function| next.missing.contains(&function.name)) {
                        next.lower(part);
                    }
                }
                return Some(next);
            }
        }
        let mut next = self.clone();
        Part::ALL.into_iter().for_each(|part| next.lower(part));
        Some(next)
    }

    /// What to try after these reports of attaching; `None` when nothing failed or nothing is left.
    pub fn after_attaching(&self, reports: &[ProbeReport]) -> Option<Self> {
        let mut next = self.clone();
        for part in Part::ALL {
            let failed = |report: &ProbeReport| report.probe == part.probe() && report.state == ProbeState::FAILED;
            if self.choice == TierChoice::Auto && reports.iter().any(failed) {
                next.lower(part);
            }
        }
        (next != *self).then_some(next)
    }

    fn lower(&mut self, part: Part) {
        let tier = &mut self.tiers[part as usize];
        *tier = tier.map(|tier| lower(tier, self.accountable));
    }

    /// Whether any program is to be loaded for kprobes.
    pub fn needs_kprobes(&self) -> bool {
        self.kprobes && (self.uses(Tier::KPROBE) || self.tier(Part::Crypto) == Some(Tier::FENTRY))
    }

    /// Says which programs are to be loaded.
    pub fn choose(&self, open: &mut OpenCryptoTraceSkel<'_>) {
        let progs = &mut open.progs;
        progs.sys_exit.set_autoload(self.sys_exit_parts() != 0);
        let files = self.tier(Part::Files);
        progs.open_kretprobe.set_autoload(files == Some(Tier::KPROBE) && self.kprobes);
        let others = [self.tier(Part::Libraries), self.tier(Part::Crypto)];
        // Also for 32-bit programs, where the rest is done by fexit.
        let needs_kretprobe = others.contains(&Some(Tier::KPROBE)) || others[1] == Some(Tier::FENTRY);
        progs.call_kretprobe.set_autoload(needs_kretprobe && self.kprobes);
        let fexits = [
            (&mut progs.open_fexit, Part::Files, 0),
            (&mut progs.handle_fexit, Part::Files, 1),
            (&mut progs.mmap_fexit, Part::Libraries, 2),
            (&mut progs.socket_fexit, Part::Crypto, 3),
            (&mut progs.bind_fexit, Part::Crypto, 4),
            (&mut progs.setsockopt_fexit, Part::Crypto, 5),
            (&mut progs.add_key_fexit, Part::Crypto, 6),
            (&mut progs.request_key_fexit, Part::Crypto, 7),
            (&mut progs.keyctl_fexit, Part::Crypto, 8),
            (&mut progs.getrandom_fexit, Part::Crypto, 9),
        ];
        for (program, part, function) in fexits {
            let there = FUNCTIONS.get(function).is_some_and(|function| !self.missing.contains(&function.name));
            program.set_autoload(self.tier(part) == Some(Tier::FENTRY) && there);
        }
    }

    /// Attaches what was loaded.
    pub fn attach(&self, skel: &CryptoTraceSkel<'_>, links: &mut Vec<Link>) -> Vec<ProbeReport> {
        let mut reports = Vec::new();
        for (i, function) in FUNCTIONS.iter().enumerate() {
            match self.tier(function.part) {
                Some(Tier::FENTRY) if !function.compat => {
                    let (probe, target) = (function.part.probe(), function.fexit);
                    reports.push(match fexit(skel, i) {
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
            reports
                .extend([probe, crypto].into_iter().flatten().map(|probe| ProbeReport { probe, ..attached.clone() }));
        }
        reports
    }
}

/// Descriptors of the programs that are loaded for what is seen at the end of system calls.
pub(crate) fn loaded<'a>(skel: &'a CryptoTraceSkel<'_>) -> impl Iterator<Item = BorrowedFd<'a>> {
    let progs = &skel.progs;
    let others = [&progs.sys_exit, &progs.open_kretprobe, &progs.call_kretprobe];
    let fexits = (0..FUNCTIONS.len()).filter_map(|i| fexit(skel, i));
    others.into_iter().chain(fexits).filter(|program| program.autoload()).map(|program| program.as_fd())
}

/// The fexit program of a row of [`FUNCTIONS`].
fn fexit<'a, 'o>(skel: &'a CryptoTraceSkel<'o>, function: usize) -> Option<&'a ProgramMut<'o>> {
    let progs = &skel.progs;
    let programs = [
        &progs.open_fexit,
        &progs.handle_fexit,
        &progs.mmap_fexit,
        &progs.socket_fexit,
        &progs.bind_fexit,
        &progs.setsockopt_fexit,
        &progs.add_key_fexit,
        &progs.request_key_fexit,
        &progs.keyctl_fexit,
        &progs.getrandom_fexit,
    ];
    programs.get(function).copied()
}

fn kretprobe(skel: &CryptoTraceSkel<'_>, function: &Function, kprobes: bool, links: &mut Vec<Link>) -> ProbeReport {
    let program = if function.part == Part::Files { &skel.progs.open_kretprobe } else { &skel.progs.call_kretprobe };
    let (probe, target) = (function.part.probe(), function.kretprobe);
    if !kprobes {
        // Then it is of those for 32-bit programs, beside fexit programs.
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
    let functions = FUNCTIONS.iter().filter(|function| !function.compat);
    functions.map(|function| function.name).filter(|name| btf.type_by_name::<Func<'_>>(name).is_none()).collect()
}
