//! Which file of the kernel's stands behind a descriptor: below an overlay it is a layer's, and that is where probes go.
//!
//! Nothing in user space tells it. So a page of the file is mapped here, never touched, and a program that runs for us looks at what
//! the mapping holds (`real.h`).

use std::mem::offset_of;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::time::Duration;

use libbpf_rs::{MapCore as _, MapFlags, ProgramInput};
use memmap2::MmapOptions;

use crate::programs::Programs;
use crate::skel::types::ct_asked;

/// How often it is asked at once: the kernel does not answer while another thread changes our mappings.
const TRIES_AT_ONCE: u32 = 16;
/// How often after that, each time after [`PAUSE`]: a thread that loses its processor in the middle of a change may be away for long.
const TRIES_LATER: u32 = 250;
const PAUSE: Duration = Duration::from_millis(1);

impl Programs {
    /// Where the kernel has the inode that is mapped when this file is: what two descriptors share is one file, however it was
    /// opened, for as long as both or a probe on it are there. Not for any record. `None` when that cannot be known.
    pub fn real_inode(&self, file: BorrowedFd<'_>) -> Option<u64> {
        // Raw: no byte of it is ever read, so that it does not matter what becomes of the file.
        let page = MmapOptions::new().len(1).map_raw_read_only(file.as_raw_fd()).ok()?;
        let mut question = [0; size_of::<ct_asked>()];
        let address = u64::try_from(page.as_ptr().addr()).ok()?;
        question.get_mut(offset_of!(ct_asked, address)..)?.get_mut(..8)?.copy_from_slice(&address.to_ne_bytes());
        let place = [0; 4];
        for tried in 0..TRIES_AT_ONCE + TRIES_LATER {
            if tried >= TRIES_AT_ONCE {
                std::thread::sleep(PAUSE);
            }
            self.skel.maps.asked.update(&place, &question, MapFlags::ANY).ok()?;
            self.skel.progs.what_is_mapped.test_run(ProgramInput::default()).ok()?;
            let answer = self.skel.maps.asked.lookup(&place, MapFlags::ANY).ok()??;
            let inode = u64::from_ne_bytes(*answer.get(offset_of!(ct_asked, inode)..)?.first_chunk()?);
            if inode != 0 {
                return Some(inode);
            }
        }
        None
    }

    /// Whether anybody has a file mapped, and how many names it has: of an inode that [`Programs::real_inode`] told and that a probe
    /// holds since. `None` when that cannot be known.
    pub fn mapped(&self, inode: u64) -> Option<Mapped> {
        let mut question = [0; size_of::<ct_asked>()];
        question.get_mut(offset_of!(ct_asked, inode)..)?.get_mut(..8)?.copy_from_slice(&inode.to_ne_bytes());
        let place = [0; 4];
        self.skel.maps.asked.update(&place, &question, MapFlags::ANY).ok()?;
        self.skel.progs.what_is_mapped.test_run(ProgramInput::default()).ok()?;
        let answer = self.skel.maps.asked.lookup(&place, MapFlags::ANY).ok()??;
        let word = |at: usize| Some(u32::from_ne_bytes(*answer.get(at..)?.first_chunk()?));
        let anywhere = word(offset_of!(ct_asked, unmapped))? == 0;
        Some(Mapped { anywhere, has_name: word(offset_of!(ct_asked, links))? > 0 })
    }
}

/// What the kernel says of a file that is probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapped {
    /// Somebody has it mapped, or that cannot be determined.
    pub anywhere: bool,
    /// It has a name still; only told of what nobody has mapped.
    pub has_name: bool,
}
