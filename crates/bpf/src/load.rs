//! Loading the programs: what is selected is compiled into their read-only memory and maps, and the best plan is found by trying.

use std::mem::MaybeUninit;
use std::os::fd::AsRawFd as _;

use libbpf_rs::skel::{OpenSkel as _, SkelBuilder as _};
use libbpf_rs::{MapCore as _, MapFlags, OpenObject};

use crate::error::LoadError;
use crate::log::Log;
use crate::numbers::{NAME_ENDING, NAME_WANTED};
use crate::object::is_old;
use crate::programs::{Programs, RingSizes};
use crate::select::{Selection, Tables};
use crate::skel::{CryptoTraceSkelBuilder, OpenCryptoTraceSkel};
use crate::tiers::Plan;
use crate::trial::{lacking, warns_of_lazy_maps};
use crate::types::{KernelTypes, VMLINUX};

/// What kernels are too old for that have programs of their own.
const TOO_OLD: &str = "see TLS or calls of libraries before Linux 5.17";

/// Entries of the large maps where all of them are allocated ahead.
const ENTRIES_AHEAD: u32 = 8192;

impl Programs {
    /// Loads the programs with `selection` compiled into their read-only memory and maps.
    ///
    /// # Errors
    /// [`LoadError`]: no privileges, a kernel without BTF or ring buffers, or a refusal of the verifier.
    pub fn load(selection: &Selection, rings: RingSizes) -> Result<Self, LoadError> {
        let log = Log::begin();
        if is_old() && (selection.library_calls.is_some() || !selection.tls_cgroups.is_empty()) {
            let source = std::io::Error::from(std::io::ErrorKind::Unsupported).into();
            return Err(LoadError::Failed { action: TOO_OLD, source, log: String::new() });
        }
        let loaded = Self::load_best(selection, rings);
        match loaded {
            Err(LoadError::Failed { action, source, .. }) => Err(match lacking() {
                Some(what) => LoadError::Unsupported { what },
                None => LoadError::Failed { action, source, log: log.text() },
            }),
            loaded => loaded,
        }
    }

    fn load_best(selection: &Selection, rings: RingSizes) -> Result<Self, LoadError> {
        if !std::path::Path::new(VMLINUX).exists() {
            return Err(LoadError::Unsupported { what: "BTF (CONFIG_DEBUG_INFO_BTF, /sys/kernel/btf/vmlinux)" });
        }
        let tables = Tables::new(selection);
        let types = KernelTypes::read();
        let mut plan = Plan::new(selection, &types)?;
        loop {
            match Self::load_plan(selection, rings, &tables, &plan, &types) {
                Ok(mut programs) => {
                    programs.attach_calls(&plan);
                    let Some(next) = plan.after_attaching(&programs.reports) else { return Ok(programs) };
                    plan = next;
                }
                Err(error) => plan = plan.after_refused_load().ok_or(error)?,
            }
        }
    }

    fn load_plan(
        selection: &Selection,
        rings: RingSizes,
        tables: &Tables,
        plan: &Plan,
        types: &KernelTypes,
    ) -> Result<Self, LoadError> {
        // The skeleton borrows this for as long as it lives, which is as long as the process: a few hundred bytes.
        let storage: &'static mut MaybeUninit<OpenObject> = Box::leak(Box::new(MaybeUninit::uninit()));
        let mut open = open_object(types, storage).map_err(|e| LoadError::new("open the BPF object", e))?;
        let rodata =
            open.maps.rodata_data.as_deref_mut().ok_or(LoadError::Unsupported { what: "read-only BPF data" })?;
        tables.configure(selection, rings, rodata);
        rodata.sys_exit_parts = plan.sys_exit_parts();
        plan.choose(&mut open);
        let progs = &mut open.progs;
        for program in [&mut progs.socket_state, &mut progs.packets] {
            program.set_autoload(!selection.tls_cgroups.is_empty());
        }
        let owns_datagrams = selection.owns_datagrams();
        progs.datagram_socket.set_autoload(owns_datagrams);
        for program in [&mut progs.library_enter, &mut progs.library_return, &mut progs.what_is_mapped] {
            program.set_autoload(selection.library_calls.is_some());
        }
        progs.library_count.set_autoload(selection.library_calls.is_some() && selection.algorithms);
        if warns_of_lazy_maps() && (plan.needs_kprobes() || selection.library_calls.is_some()) {
            fill_maps_ahead(&mut open).map_err(|e| LoadError::new("size the maps", e))?;
        }
        if selection.comms.is_empty() {
            let size = open.maps.images.set_max_entries(1);
            size.map_err(|e| LoadError::new("size the maps", e))?;
        }
        let set = |e| LoadError::new("size the ring buffers", e);
        open.maps.lifecycle_ring.set_max_entries(rings.lifecycle_bytes).map_err(set)?;
        open.maps.events_ring.set_max_entries(rings.events_bytes).map_err(set)?;
        let skel = open.load().map_err(|e| LoadError::new("load the BPF programs", e))?;
        let programs = Self {
            links: Vec::new(),
            packet_links: Vec::new(),
            reports: Vec::new(),
            library_links: Vec::new(),
            counters: Vec::new(),
            skel,
            tls: !selection.tls_cgroups.is_empty(),
            owns_datagrams,
        };
        programs.fill_maps(selection, tables).map_err(|e| LoadError::new("fill the BPF filter maps", e))?;
        Ok(programs)
    }

    fn fill_maps(&self, selection: &Selection, tables: &Tables) -> libbpf_rs::Result<()> {
        let maps = &self.skel.maps;
        for key in &tables.names {
            maps.names.update(key, &[NAME_WANTED], MapFlags::ANY)?;
        }
        for key in &tables.endings {
            maps.names.update(key, &[NAME_ENDING], MapFlags::ANY)?;
        }
        for key in &tables.directories {
            maps.directories.update(key, &[1], MapFlags::ANY)?;
        }
        for key in &tables.libraries {
            maps.libraries.update(key, &[1], MapFlags::ANY)?;
        }
        for key in &tables.prefixes {
            maps.prefixes.update(key, &[1], MapFlags::ANY)?;
        }
        for uid in &selection.uids {
            maps.uids.update(&uid.to_ne_bytes(), &[1], MapFlags::ANY)?;
        }
        for (i, cgroup) in (0u32..).zip(&selection.cgroups) {
            maps.cgroups.update(&i.to_ne_bytes(), &cgroup.as_raw_fd().to_ne_bytes(), MapFlags::ANY)?;
        }
        Ok(())
    }
}

fn open_object<'a>(
    types: &KernelTypes,
    storage: &'a mut MaybeUninit<OpenObject>,
) -> libbpf_rs::Result<OpenCryptoTraceSkel<'a>> {
    let mut builder = CryptoTraceSkelBuilder::default();
    if let Some(path) = types.path() {
        builder.obj_builder.btf_custom_path(path)?;
    }
    builder.open(storage)
}

/// Has the maps of kprobes and uprobes allocate all of their entries when they are made.
fn fill_maps_ahead(open: &mut OpenCryptoTraceSkel<'_>) -> libbpf_rs::Result<()> {
    let maps = &mut open.maps;
    let large = [&mut maps.targets, &mut maps.uses, &mut maps.random_counts, &mut maps.threads, &mut maps.jumps];
    for map in large.into_iter().chain([&mut maps.suppressed]) {
        map.set_max_entries(ENTRIES_AHEAD)?;
        map.set_map_flags(0)?;
    }
    [&mut maps.names, &mut maps.directories, &mut maps.uids].into_iter().try_for_each(|map| map.set_map_flags(0))
}
