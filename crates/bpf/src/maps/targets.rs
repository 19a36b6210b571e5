//! Which processes are selected, and which sockets are whose.

use std::mem::offset_of;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use crypto_trace_format::record::SocketOwner;
use libbpf_rs::{ErrorKind, MapCore as _, MapFlags, MapHandle};

use crate::error::LoadError;
use crate::numbers::{TARGET_DESCENDANT, TARGET_SEED};
use crate::programs::Programs;
use crate::skel::types;

/// The selected processes, as the BPF programs keep them.
pub struct Targets {
    handle: MapHandle,
}

impl Targets {
    /// Ids of all selected processes, in no order.
    pub fn tgids(&self) -> Vec<u32> {
        self.handle.keys().filter_map(|key| key.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))).collect()
    }
}

/// A process that listens, as /proc tells it.
#[derive(Debug, Clone, Copy)]
pub struct ListenerOwner {
    /// Process id.
    pub tgid: u32,
    /// Start, rounded down to the clock tick.
    pub start_ns: u64,
    /// Real user id.
    pub uid: u32,
    /// Real group id.
    pub gid: u32,
    /// Name, NUL padded.
    pub comm: [u8; 16],
}

impl Programs {
    /// A handle for asking, from any thread, which processes are selected now.
    ///
    /// # Errors
    /// When the map's descriptor cannot be duplicated.
    pub fn targets(&self) -> Result<Targets, LoadError> {
        let handle = MapHandle::try_from(&self.skel.maps.targets).map_err(|e| LoadError::new("duplicate a map", e))?;
        Ok(Targets { handle })
    }

    /// Selects a process. `descendant` says whether it is one of a selected process, to which name filters do not apply.
    ///
    /// # Errors
    /// When the map is full.
    pub fn add_target(&self, tgid: u32, descendant: bool) -> Result<(), LoadError> {
        let value = if descendant { TARGET_DESCENDANT } else { TARGET_SEED };
        self.skel
            .maps
            .targets
            .update(&tgid.to_ne_bytes(), &[value], MapFlags::ANY)
            .map_err(|e| LoadError::new("add a process to the filter", e))
    }

    /// Says that the executable of a process that was there before has a wanted name. The programs find that out themselves,
    /// except of one that does nothing but end.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn add_image(&self, tgid: u32) -> Result<(), LoadError> {
        let mut value = [0; size_of::<types::ct_image>()];
        let at = offset_of!(types::ct_image, wanted);
        if let Some(wanted) = value.get_mut(at..at + size_of::<u64>()) {
            wanted.copy_from_slice(&1u64.to_ne_bytes());
        }
        let images = &self.skel.maps.images;
        match images.update(&tgid.to_ne_bytes(), &value, MapFlags::NO_EXIST) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                Err(LoadError::new("add a process to the filter", error))
            }
            _ => Ok(()),
        }
    }

    /// Makes a process the owner of a listening socket, and of the connections accepted from it from now on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn own_listener(&self, socket: BorrowedFd<'_>, owner: &ListenerOwner) -> Result<(), LoadError> {
        let [listener, _] = SocketOwner::LISTENER.0.to_le_bytes();
        // The map's value, by the layout that the skeleton tells.
        let mut value = [0; size_of::<types::ct_socket>()];
        let mut put = |offset: usize, bytes: &[u8]| {
            if let Some(place) = value.get_mut(offset..offset + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        };
        put(offset_of!(types::ct_socket, start_ns), &owner.start_ns.to_ne_bytes());
        put(offset_of!(types::ct_socket, tgid), &owner.tgid.to_ne_bytes());
        put(offset_of!(types::ct_socket, tid), &owner.tgid.to_ne_bytes());
        put(offset_of!(types::ct_socket, uid), &owner.uid.to_ne_bytes());
        put(offset_of!(types::ct_socket, gid), &owner.gid.to_ne_bytes());
        put(offset_of!(types::ct_socket, comm), &owner.comm);
        put(offset_of!(types::ct_socket, owner), &[listener]);
        put(offset_of!(types::ct_socket, wanted), &[1]);
        put(offset_of!(types::ct_socket, start_is_tick), &[1]);
        self.skel
            .maps
            .sockets
            .update(&socket.as_raw_fd().to_ne_bytes(), &value, MapFlags::ANY)
            .map_err(|e| LoadError::new("set the owner of a listening socket", e))
    }
}
