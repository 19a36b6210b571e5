//! Probes on the functions of a library's file. Which functions there are, and where in a file they are, is the caller's business.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use libbpf_rs::{Link, MapCore as _, MapFlags, UprobeMultiOpts, UprobeOpts};

use crate::error::{AttachError, attach_error};
use crate::log::Log;
use crate::maps::{LibraryRow, library_row};
use crate::numbers::{
    self, COOKIE_HITS_SHIFT, COOKIE_JUMPED_TO_SHIFT, COOKIE_JUMPS_SHIFT, COOKIE_LIBRARY_SHIFT, COOKIE_RETURNS_SHIFT,
    COOKIE_STACK_SHIFT, MAX_HITS,
};
use crate::programs::Programs;

/// A probe on a place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProbeSite {
    /// Offset in the file.
    pub offset: u64,
    /// Row of the function.
    pub function: u16,
    /// How far below its place at the function's entry the stack pointer is there, in bytes; at most 32,767.
    pub stack: u16,
    /// Of a function that counts: it may end by a jump into another one.
    pub jumps: bool,
    /// Others may end by a jump into it.
    pub jumped_to: bool,
}

/// Everything that is attached to one file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LibraryProbes {
    /// Where functions whose result is recorded begin. Their return is probed by uretprobes.
    pub returning: Vec<ProbeSite>,
    /// Where functions begin whose result is not recorded, or not by a uretprobe.
    pub entries: Vec<ProbeSite>,
    /// Where functions whose result is recorded begin, when their return instructions are probed.
    pub stepped: Vec<ProbeSite>,
    /// Those return instructions.
    pub exits: Vec<ProbeSite>,
    /// Where functions begin whose calls are counted.
    pub counted: Vec<ProbeSite>,
}

impl LibraryProbes {
    /// Whether there is nothing to attach.
    pub fn is_empty(&self) -> bool {
        self.returning.is_empty() && self.entries.is_empty() && self.stepped.is_empty() && self.counted.is_empty()
    }
}

impl Programs {
    /// Most rows of functions.
    pub const MAX_FUNCTIONS: usize = numbers::MAX_FUNCTIONS;
    /// Most libraries.
    pub const MAX_LIBRARIES: usize = numbers::MAX_LIBRARIES;
    /// Most probes that count.
    pub const MAX_COUNTED: usize = MAX_HITS;

    /// Attaches probes to the file behind `file`, which is library number `slot`; of one process only when `pid` is given.
    /// Either all are attached or none.
    ///
    /// # Errors
    /// [`AttachError`].
    pub fn attach_library(
        &mut self,
        slot: u16,
        file: BorrowedFd<'_>,
        row: &LibraryRow,
        probes: &LibraryProbes,
        pid: Option<u32>,
    ) -> Result<(), AttachError> {
        self.skel
            .maps
            .probed
            .update(&u32::from(slot).to_ne_bytes(), &library_row(row), MapFlags::ANY)
            .map_err(attach_error)?;
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let pid = pid.map_or(-1, |pid| i32::try_from(pid).unwrap_or(-1));
        let progs = &self.skel.progs;
        let mut links = Vec::new();
        let mut attach = |program, sites: &[ProbeSite], returns, retprobe| -> libbpf_rs::Result<()> {
            if !sites.is_empty() {
                links.extend(attach_sites(
                    program,
                    &path,
                    sites,
                    slot,
                    u64::from(returns) << COOKIE_RETURNS_SHIFT,
                    retprobe,
                    pid,
                )?);
            }
            Ok(())
        };
        // Returns first: a call that is entered has its return probed.
        attach(&progs.library_return, &probes.exits, true, false)
            .and_then(|()| attach(&progs.library_return, &probes.returning, true, true))
            .and_then(|()| attach(&progs.library_enter, &probes.stepped, true, false))
            .and_then(|()| attach(&progs.library_enter, &probes.returning, true, false))
            .and_then(|()| attach(&progs.library_enter, &probes.entries, false, false))
            .map_err(attach_error)?;
        let mut counters = Vec::new();
        // Places of libraries that are gone come first.
        let free = (0..).zip(&self.counters).filter(|(_, probe)| probe.free).map(|(place, _)| place);
        let places = free.chain(self.counters.len()..Self::MAX_COUNTED);
        for (site, place) in probes.counted.iter().zip(places) {
            let hits = u64::try_from(place).unwrap_or(u64::MAX);
            let cookie = hits << COOKIE_HITS_SHIFT
                | u64::from(site.jumps) << COOKIE_JUMPS_SHIFT
                | u64::from(site.jumped_to) << COOKIE_JUMPED_TO_SHIFT;
            let mut link =
                attach_sites(&progs.library_count, &path, &[*site], slot, cookie, false, pid).map_err(attach_error)?;
            counters.extend(link.pop().map(|link| (place, *site, cookie, link)));
        }
        let held = match counters.is_empty() {
            true => None,
            false => file.try_clone_to_owned().ok().map(Rc::new),
        };
        self.library_links.extend(links.into_iter().map(|link| LibraryLink { slot, link }));
        for (place, site, cookie, link) in counters {
            let file = held.clone();
            let new = CountingProbe { slot, site, cookie, pid, file, link: Some(link), hits: 0, free: false };
            match self.counters.get_mut(place) {
                // The kernel's count goes on where it was.
                Some(before) => *before = CountingProbe { hits: before.hits, ..new },
                None => self.counters.push(new),
            }
        }
        Ok(())
    }

    /// Detaches a probe that counts, by its number. What it counted stays. The kernel's grace period is waited for elsewhere.
    pub fn detach_counted(&mut self, number: u32) {
        let probe = usize::try_from(number).ok().and_then(|number| self.counters.get_mut(number));
        if let Some(link) = probe.and_then(|probe| probe.link.take())
            && let Ok(held) = link.as_fd().try_clone_to_owned()
        {
            drop(link);
            crate::release::later(vec![held]);
        }
    }

    /// Attaches such a probe again, which then counts on.
    ///
    /// # Errors
    /// When its library is gone, or the kernel refuses.
    pub fn attach_counted_again(&mut self, number: u32) -> Result<(), AttachError> {
        let gone = || AttachError { errno: 0, message: "its library is gone".to_owned() };
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        let probe = self.counters.get_mut(index).filter(|probe| !probe.free).ok_or_else(gone)?;
        let path = format!("/proc/self/fd/{}", probe.file.as_ref().ok_or_else(gone)?.as_raw_fd());
        let program = &self.skel.progs.library_count;
        let links = attach_sites(program, &path, &[probe.site], probe.slot, probe.cookie, false, probe.pid);
        probe.link = links.map_err(attach_error)?.pop();
        Ok(())
    }
}

/// What holds probes on a library.
pub(crate) struct LibraryLink {
    pub(crate) slot: u16,
    pub(crate) link: Link,
}

/// A probe that counts, and how often it was hit when that was asked last.
pub(crate) struct CountingProbe {
    pub(crate) slot: u16,
    pub(crate) site: ProbeSite,
    /// Of its link, besides what its site and its library say.
    cookie: u64,
    /// The only process that has it; -1: all.
    pid: i32,
    /// Its library, as long as the probe may be attached again.
    pub(crate) file: Option<Rc<OwnedFd>>,
    pub(crate) link: Option<Link>,
    pub(crate) hits: u64,
    /// Its library is gone: the place may be another's.
    pub(crate) free: bool,
}

/// The kernel has no links for many places.
static LACKS_MULTI: AtomicBool = AtomicBool::new(false);

/// One link for all places where the kernel can do that (Linux 6.6), else one each.
fn attach_sites(
    program: &libbpf_rs::ProgramMut<'_>,
    path: &str,
    sites: &[ProbeSite],
    slot: u16,
    more: u64,
    retprobe: bool,
    pid: i32,
) -> libbpf_rs::Result<Vec<Link>> {
    let cookie = |site: &ProbeSite| {
        let library = u64::from(slot) << COOKIE_LIBRARY_SHIFT;
        u64::from(site.stack) << COOKIE_STACK_SHIFT | more | library | u64::from(site.function)
    };
    let offset = |site: &ProbeSite| usize::try_from(site.offset).unwrap_or(0);
    let many = UprobeMultiOpts {
        offsets: sites.iter().map(offset).collect(),
        cookies: sites.iter().map(cookie).collect(),
        retprobe,
        ..UprobeMultiOpts::default()
    };
    if !LACKS_MULTI.load(Ordering::Relaxed) {
        // What libbpf says of a refusal is for nobody: it is done otherwise.
        let log = Log::begin();
        let attached = program.attach_uprobe_multi_with_opts(pid, path, "", many);
        drop(log);
        match attached {
            Ok(link) => return Ok(vec![link]),
            Err(error) if error.kind() != libbpf_rs::ErrorKind::InvalidInput => return Err(error),
            Err(_) => {}
        }
    }
    let links: libbpf_rs::Result<Vec<_>> = sites
        .iter()
        .map(|site| {
            let opts = UprobeOpts { cookie: cookie(site), retprobe, ..UprobeOpts::default() };
            program.attach_uprobe_with_opts(pid, path, offset(site), opts)
        })
        .collect();
    // Nothing was wrong with the places, so it is the kernel.
    if links.as_ref().is_ok_and(|links| !links.is_empty()) {
        LACKS_MULTI.store(true, Ordering::Relaxed);
    }
    links
}
