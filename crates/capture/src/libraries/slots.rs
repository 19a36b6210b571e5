//! Numbers of the files that have probes, who has how many, and letting go of those that nobody has mapped any more.
//!
//! Whether somebody has a file mapped the kernel tells of the inode itself, whoever that is and however he came by it: a child by its
//! parent, somebody in another namespace. So nothing is let go of that anybody uses. A number is another file's only when no probe of
//! the one before can run any more.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crypto_trace_bpf::{Mapped, Programs, Releasing};

use super::finder::FileId;

/// Files with probes that one user may have, but for root.
pub const SHARE: usize = 256;

/// How long probes stay on a file that nobody has mapped: a program that is run again and again finds them there.
pub const IDLE: Duration = Duration::from_secs(10);

/// The same of a file that has no name any more, which nobody can map again who has no descriptor of it.
const IDLE_WITHOUT_NAME: Duration = Duration::from_millis(900);

/// Files that are looked at each time, at least; all are within two.
const LOOKS: usize = 128;

/// A file with probes.
#[derive(Debug)]
pub struct Slot {
    /// Where the kernel has it; without, nothing is known of who maps it, and it stays.
    pub inode: Option<u64>,
    /// What its probes are, as a number.
    pub what: u64,
    /// As it was found, and in other containers.
    pub ids: Vec<FileId>,
    /// Its path as it was found, for people.
    pub path: Vec<u8>,
    /// Who had it mapped when it was found; root for those of the system.
    pub user: u32,
    /// From the dynamic linker's cache: it stays as long as it has a name, mapped or not.
    pub is_system: bool,
    /// Since when nobody has it mapped.
    pub idle: Option<Instant>,
}

impl Slot {
    /// Whether it is to be let go of.
    fn is_over(&mut self, mapped: Mapped, now: Instant) -> bool {
        if mapped.anywhere {
            self.idle = None;
            return false;
        }
        // Seen twice, so that who maps it in between is heard of.
        let idle = now.duration_since(*self.idle.get_or_insert(now));
        if mapped.has_name { !self.is_system && idle >= IDLE } else { idle >= IDLE_WITHOUT_NAME }
    }
}

/// All numbers.
#[derive(Debug, Default)]
pub struct Slots {
    slots: Vec<Option<Slot>>,
    free: Vec<u16>,
    by_inode: HashMap<u64, u16>,
    releasing: Vec<(Releasing, Vec<u16>)>,
    next_look: usize,
}

/// What is there of an inode.
#[derive(Debug, PartialEq, Eq)]
pub enum Known {
    /// These probes.
    Same(u16),
    /// Probes of what was in the file before.
    Other(u16),
    /// None.
    No,
}

impl Slots {
    /// What is there of this inode, for these probes.
    pub fn known(&self, inode: Option<u64>, what: u64) -> Known {
        let number = inode.and_then(|inode| self.by_inode.get(&inode)).copied();
        match number.and_then(|number| Some((number, self.slots.get(usize::from(number))?.as_ref()?))) {
            Some((number, slot)) if slot.what == what => Known::Same(number),
            Some((number, _)) => Known::Other(number),
            None => Known::No,
        }
    }

    /// A number that is nobody's, for a file of this user.
    ///
    /// # Errors
    /// Why there is none, for people.
    pub fn number(&mut self, user: u32) -> Result<u16, String> {
        let own = self.slots.iter().flatten().filter(|slot| slot.user == user).count();
        if user != 0 && own >= SHARE {
            return Err(format!("user {user} already has {SHARE} probed libraries, its share"));
        }
        if let Some(number) = self.free.last() {
            return Ok(*number);
        }
        let next = self.slots.len();
        let number = u16::try_from(next).ok().filter(|_| next < Programs::MAX_LIBRARIES);
        number.ok_or_else(|| format!("{} libraries are already probed", Programs::MAX_LIBRARIES))
    }

    /// Gives the number to a file.
    pub fn fill(&mut self, number: u16, slot: Slot) {
        self.free.retain(|free| *free != number);
        self.by_inode.extend(slot.inode.map(|inode| (inode, number)));
        let at = usize::from(number);
        if self.slots.len() <= at {
            self.slots.resize_with(at + 1, || None);
        }
        if let Some(place) = self.slots.get_mut(at) {
            *place = Some(slot);
        }
    }

    /// The same file elsewhere; or, as is returned, as it was found first.
    pub fn add_id(&mut self, number: u16, id: FileId) -> bool {
        /// Containers of one image whose files are remembered with it.
        const MAX_IDS: usize = 1_024;
        let Some(Some(slot)) = self.slots.get_mut(usize::from(number)) else { return false };
        if slot.ids.len() < MAX_IDS && !slot.ids.contains(&id) {
            slot.ids.push(id);
        }
        slot.ids.first() == Some(&id)
    }

    /// Numbers of files that are to be let go of, by what `mapped` says of inodes.
    pub fn over(&mut self, now: Instant, mut mapped: impl FnMut(u64) -> Option<Mapped>) -> Vec<u16> {
        let count = self.slots.len();
        let mut over = Vec::new();
        for _ in 0..count.div_ceil(2).max(LOOKS).min(count) {
            self.next_look = (self.next_look + 1) % count;
            let Some(Some(slot)) = self.slots.get_mut(self.next_look) else { continue };
            let Some(mapped) = slot.inode.and_then(&mut mapped) else { continue };
            if slot.is_over(mapped, now) {
                over.extend(u16::try_from(self.next_look));
            }
        }
        over
    }

    /// Whether probes are being let go of.
    pub fn is_releasing(&self) -> bool {
        !self.releasing.is_empty()
    }

    /// Lets go of these; what they were. Their numbers are free when [`Slots::released`] tells them.
    pub fn release(&mut self, programs: &mut Programs, numbers: Vec<u16>) -> Vec<Slot> {
        let gone: Vec<Slot> = numbers.iter().filter_map(|n| self.slots.get_mut(usize::from(*n))?.take()).collect();
        for slot in &gone {
            slot.inode.map(|inode| self.by_inode.remove(&inode));
        }
        self.releasing.push((programs.release_libraries(&numbers), numbers));
        gone
    }

    /// Numbers that are free from now on.
    pub fn released(&mut self) -> Vec<u16> {
        let over = self.releasing.extract_if(.., |(releasing, _)| releasing.is_over());
        let numbers: Vec<u16> = over.flat_map(|(_, numbers)| numbers).collect();
        self.free.extend(&numbers);
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(inode: u64, user: u32, is_system: bool) -> Slot {
        Slot { inode: Some(inode), what: 1, ids: vec![(1, inode)], path: Vec::new(), user, is_system, idle: None }
    }

    const MAPPED: Mapped = Mapped { anywhere: true, has_name: true };
    const IDLE_FILE: Mapped = Mapped { anywhere: false, has_name: true };
    const NAMELESS: Mapped = Mapped { anywhere: false, has_name: false };

    /// 1,024 copies that one user mapped once ended the probing of everything.
    #[test]
    fn a_user_has_a_share_and_root_has_what_is_left() {
        let mut slots = Slots::default();
        for inode in 0..SHARE as u64 {
            let number = slots.number(1_000).expect("its share");
            slots.fill(number, slot(inode, 1_000, false));
        }
        assert!(slots.number(1_000).is_err_and(|why| why.contains("its share")));
        assert_eq!(slots.number(1_001), Ok(256));
        for inode in SHARE as u64..Programs::MAX_LIBRARIES as u64 {
            let number = slots.number(0).expect("there is one");
            slots.fill(number, slot(inode, 0, false));
        }
        assert!(slots.number(0).is_err_and(|why| why.contains("1024 libraries are already probed")));
    }

    #[test]
    fn what_is_mapped_stays_and_what_nobody_maps_goes_after_a_while() {
        let began = Instant::now();
        let mut slots = Slots::default();
        slots.fill(0, slot(10, 0, true));
        slots.fill(1, slot(11, 0, false));
        slots.fill(2, slot(12, 0, false));
        let after = |seconds: u64| began + Duration::from_secs(seconds);
        let says = |of: [Mapped; 3]| move |inode: u64| of.get(usize::try_from(inode).ok()?.checked_sub(10)?).copied();
        let none: [u16; 0] = [];
        assert_eq!(slots.over(after(0), says([IDLE_FILE, IDLE_FILE, MAPPED])), none);
        assert_eq!(slots.over(after(9), says([IDLE_FILE, IDLE_FILE, IDLE_FILE])), none);
        assert_eq!(slots.over(after(10), says([IDLE_FILE, IDLE_FILE, IDLE_FILE])), [1]);
        // Mapped again: it is idle from then on only.
        assert_eq!(slots.over(after(11), says([IDLE_FILE, MAPPED, MAPPED])), none);
        assert_eq!(slots.over(after(12), says([IDLE_FILE, IDLE_FILE, NAMELESS])), none);
        assert_eq!(slots.over(after(13), says([NAMELESS, IDLE_FILE, NAMELESS])).len(), 2);
        // Of what cannot be determined nothing is let go.
        assert_eq!(slots.over(after(99), |_| None), none);
    }

    #[test]
    fn a_file_that_was_written_to_is_told_from_the_same_in_another_container() {
        let mut slots = Slots::default();
        slots.fill(0, slot(10, 0, false));
        assert_eq!(slots.known(Some(10), 1), Known::Same(0));
        assert_eq!(slots.known(Some(10), 2), Known::Other(0));
        assert_eq!(slots.known(Some(11), 1), Known::No);
        assert_eq!(slots.known(None, 1), Known::No);
    }
}
