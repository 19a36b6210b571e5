//! What is to be recorded, and how that is told to the BPF programs: the configuration struct and the filter maps.

use std::os::fd::OwnedFd;

use crypto_trace_format::catalog::{COPY_ENDINGS, DIRECTORIES, EXACT_NAMES, LIBRARY_PREFIXES, PREFIXES, SUFFIXES};
use crypto_trace_format::record::Protocol;

use crate::globs::{NameRule, kernel_rules};
use crate::numbers::{
    ARGV_EXE, ARGV_FULL, ARGV_NONE, MAX_CGROUP_FILTERS, MAX_COMM_FILTERS, NAME_MAX, PREFIX_MAX, TAIL_BITS,
};
use crate::programs::RingSizes;
use crate::skel::types;
use crate::tiers::TierChoice;

/// Length of a zero-padded key in the names map.
pub(crate) const NAME_KEY_LEN: usize = NAME_MAX + 1;

/// Bytes of a tails table: one bit for each hash of the end of a name.
pub(crate) const TAILS_LEN: usize = 1 << (TAIL_BITS - 3);

/// Which files' opens are recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum FileSelection {
    /// None.
    None,
    /// Those the catalog knows as crypto.
    #[default]
    Catalog,
    /// Those that match one of these globs; user space applies them once more, exactly.
    Globs(Vec<String>),
}

/// Which mapped libraries are recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LibrarySelection {
    /// None.
    None,
    /// Those the catalog knows; user space narrows them by name.
    #[default]
    Catalog,
}

/// How much of the arguments of processes is recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ArgvSelection {
    /// All of them.
    #[default]
    Full,
    /// The first, which is the program's name.
    Exe,
    /// Nothing.
    None,
}

/// A part of a process name to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommFilter(String);

/// The kernel keeps 15 bytes of a process name: a longer part of one can never be found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is longer than the 15 bytes the kernel keeps of a process name")]
pub struct CommTooLong(pub String);

impl CommFilter {
    /// Most names that can be looked for at once.
    pub const MAX_COUNT: usize = MAX_COMM_FILTERS;

    /// A filter for names that contain `part`.
    ///
    /// # Errors
    /// [`CommTooLong`] when no process name can contain it.
    pub fn new(part: &str) -> Result<Self, CommTooLong> {
        if part.len() > 15 { Err(CommTooLong(part.to_owned())) } else { Ok(Self(part.to_owned())) }
    }

    fn to_abi(&self) -> types::ct_comm_filter {
        let mut bytes = [0; 16];
        let mut mask = [0; 16];
        for (i, byte) in self.0.bytes().take(15).enumerate() {
            bytes[i] = byte;
            mask[i] = 0xff;
        }
        let words = |bytes: [u8; 16]| {
            let all = u128::from_le_bytes(bytes);
            #[allow(clippy::cast_possible_truncation, reason = "splits 128 bits into two words")]
            [all as u64, (all >> 64) as u64]
        };
        types::ct_comm_filter {
            bytes: words(bytes),
            mask: words(mask),
            len: u32::try_from(self.0.len()).unwrap_or(15),
            reserved: 0,
        }
    }
}

/// Bytes of events that may be written each second, over longer than some seconds; 0: any number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budgets {
    /// By one process.
    pub process_bytes: u64,
    /// By all processes of a user, of which each cgroup of root's is one.
    pub user_bytes: u64,
}

/// What is to be recorded. Fields combine with AND, values of one field with OR; an empty list means no restriction.
#[derive(Debug, Default)]
pub struct Selection {
    /// The capture's own process, never recorded.
    pub self_tgid: u32,
    /// Only processes that are added to the targets map (`--pid`, or a command that was started).
    pub only_targets: bool,
    /// Descendants of a selected process are selected too, whatever their name.
    pub follow_children: bool,
    /// Only processes whose name contains one of these.
    pub comms: Vec<CommFilter>,
    /// Only these real user ids.
    pub uids: Vec<u32>,
    /// Only processes in or below these cgroup v2 directories.
    pub cgroups: Vec<OwnedFd>,
    /// Which opens.
    pub files: FileSelection,
    /// Which libraries.
    pub libraries: LibrarySelection,
    /// How much of the arguments.
    pub argv: ArgvSelection,
    /// Hellos of connections whose sockets belong to these cgroup v2 directories or those below; of none when empty.
    pub tls_cgroups: Vec<OwnedFd>,
    /// Of which protocols, as bits.
    pub wire: u16,
    /// The kernel's own crypto: AF_ALG, kTLS, key rings, random bytes.
    pub kernel_crypto: bool,
    /// What io_uring opens, where opens are recorded and the kernel tells.
    pub io_uring: bool,
    /// Probes on libraries will be attached; a random number, by which objects are numbered instead of by their address.
    pub library_calls: Option<[u64; 2]>,
    /// Probes that count algorithms will be attached too.
    pub algorithms: bool,
    /// How the ends of system calls are seen.
    pub tier: TierChoice,
    /// How much of the events each may write.
    pub budgets: Budgets,
}

impl Selection {
    /// Most cgroups at once.
    pub const MAX_CGROUPS: usize = MAX_CGROUP_FILTERS;

    /// Whether it matters who makes a socket for datagrams: what such a one receives first tells nothing of whose it is.
    pub(crate) fn owns_datagrams(&self) -> bool {
        let selects = self.only_targets || !self.uids.is_empty() || !self.comms.is_empty();
        selects && !self.tls_cgroups.is_empty() && self.wire & Protocol::DATAGRAMS != 0
    }
}

/// The filter tables of a selection, as the maps hold them.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub names: Vec<[u8; NAME_KEY_LEN]>,
    /// Ends of names that are looked for with copies: each with each ending.
    pub copies: Vec<Vec<u8>>,
    /// What stands behind the name of a file that is copied.
    pub endings: Vec<[u8; NAME_KEY_LEN]>,
    /// Beginning of names.
    pub head: Option<&'static str>,
    pub directories: Vec<[u8; 2 * NAME_KEY_LEN]>,
    pub libraries: Vec<Vec<u8>>,
    pub prefixes: Vec<Vec<u8>>,
    pub match_all_names: bool,
}

impl Tables {
    pub fn new(selection: &Selection) -> Self {
        let mut tables = Self::default();
        match &selection.files {
            FileSelection::None => {}
            FileSelection::Catalog => {
                let names = || SUFFIXES.iter().map(|row| row.0).chain(EXACT_NAMES.iter().map(|row| row.0));
                tables.names = names().map(name_key).collect();
                tables.endings = COPY_ENDINGS.iter().map(|ending| name_key(ending)).collect();
                let marks = COPY_ENDINGS.iter().chain(&["~", "#"]);
                let copies = marks.flat_map(|mark| names().map(move |name| [name, mark].concat().into_bytes()));
                // A mark before a short name is one of the last eight bytes.
                let marked = names().map(|name| format!("#{name}#").into_bytes());
                tables.copies = copies.chain(marked).collect();
                tables.head = PREFIXES.first().map(|(prefix, _)| *prefix);
                tables.directories = DIRECTORIES.iter().map(|(directory, _)| directory_key(directory)).collect();
            }
            FileSelection::Globs(globs) => tables.add_globs(globs),
        }
        if selection.libraries == LibrarySelection::Catalog {
            tables.libraries = LIBRARY_PREFIXES.iter().map(|(prefix, _)| trie_key(prefix, NAME_KEY_LEN)).collect();
        }
        tables
    }

    fn add_globs(&mut self, globs: &[String]) {
        let rules: Vec<_> = globs.iter().flat_map(|glob| kernel_rules(glob)).collect();
        for rule in &rules {
            match &rule.name {
                NameRule::Any => self.match_all_names = true,
                NameRule::Exact(name) | NameRule::Suffix(name) => self.names.push(name_key(name)),
            }
        }
        // One rule without a prefix lets every path through.
        let prefixes: Option<Vec<_>> = rules.iter().map(|rule| rule.prefix.as_deref()).collect();
        if let Some(prefixes) = prefixes {
            self.prefixes = prefixes.iter().map(|prefix| trie_key(prefix, PREFIX_MAX + 1)).collect();
        }
    }

    /// Sets the bits of all names, and of their copies.
    pub fn set_name_tails(&self, tails: &mut [u8; TAILS_LEN]) {
        self.names.iter().for_each(|key| set_tail(tails, key));
        self.copies.iter().for_each(|copy| set_tail(tails, copy));
    }

    /// Writes everything the programs read from read-only memory.
    pub fn configure(&self, selection: &Selection, rings: RingSizes, rodata: &mut types::rodata) {
        let count = |len: usize| u8::try_from(len).unwrap_or(u8::MAX);
        let cfg = &mut rodata.cfg;
        cfg.self_tgid = selection.self_tgid;
        cfg.filter_tgid = selection.only_targets.into();
        cfg.follow_children = selection.follow_children.into();
        cfg.filter_uid = (!selection.uids.is_empty()).into();
        cfg.cgroup_count = count(selection.cgroups.len());
        cfg.comm_count = count(selection.comms.len());
        cfg.argv = match selection.argv {
            ArgvSelection::Full => ARGV_FULL,
            ArgvSelection::Exe => ARGV_EXE,
            ArgvSelection::None => ARGV_NONE,
        };
        rodata.record_kernel_crypto = selection.kernel_crypto.into();
        cfg.library_calls = selection.library_calls.is_some().into();
        cfg.object_key = selection.library_calls.unwrap_or_default();
        cfg.match_all_names = self.match_all_names.into();
        cfg.match_dirs = (!self.directories.is_empty()).into();
        cfg.filter_prefix = (!self.prefixes.is_empty()).into();
        // A quarter: early enough that the reader comes in time, late enough that it comes seldom.
        cfg.lifecycle_wakeup_bytes = rings.lifecycle_bytes / 4;
        cfg.events_wakeup_bytes = rings.events_bytes / 4;
        cfg.page_shift = u8::try_from(rustix::param::page_size().trailing_zeros()).unwrap_or(12);
        // Codes of this version: there are fewer than eight.
        cfg.wire = u8::try_from(selection.wire & Protocol::ALL).unwrap_or(u8::MAX);
        cfg.events_ring_bytes = rings.events_bytes.into();
        cfg.process_rate = selection.budgets.process_bytes;
        cfg.user_rate = selection.budgets.user_bytes;
        for (slot, comm) in cfg.comms.iter_mut().zip(&selection.comms) {
            *slot = comm.to_abi();
        }
        self.set_name_tails(&mut rodata.name_tails);
        rodata.match_copies = (!self.copies.is_empty()).into();
        (rodata.name_head, rodata.name_head_mask) = self.head.map(head_bits).unwrap_or_default();
        for key in &self.directories {
            set_tail(&mut rodata.dir_tails, key.get(..NAME_KEY_LEN).unwrap_or_default());
        }
    }
}

pub(crate) fn name_key(name: &str) -> [u8; NAME_KEY_LEN] {
    let mut key = [0; NAME_KEY_LEN];
    for (to, from) in key.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    key
}

/// `grandparent/parent` or `parent`, as the directories map is keyed: parent first.
pub(crate) fn directory_key(directory: &str) -> [u8; 2 * NAME_KEY_LEN] {
    let (grandparent, parent) = directory.rsplit_once('/').unwrap_or(("", directory));
    let mut key = [0; 2 * NAME_KEY_LEN];
    let (first, second) = key.split_at_mut(NAME_KEY_LEN);
    first.copy_from_slice(&name_key(parent));
    second.copy_from_slice(&name_key(grandparent));
    key
}

/// Key of an LPM trie: number of significant bits, then the bytes, zero padded to `len`.
fn trie_key(prefix: &str, len: usize) -> Vec<u8> {
    let bits = u32::try_from(prefix.len() * 8).unwrap_or(0);
    let mut key = bits.to_ne_bytes().to_vec();
    key.extend_from_slice(prefix.as_bytes());
    key.resize(4 + len, 0);
    key
}

/// Sets the bit of a zero-padded name or suffix.
pub(crate) fn set_tail(tails: &mut [u8; TAILS_LEN], key: &[u8]) {
    let len = key.iter().position(|byte| *byte == 0).unwrap_or(key.len());
    let bit = tail_bit(key.get(..len).unwrap_or_default());
    if let Some(byte) = tails.get_mut(bit >> 3) {
        *byte |= 1 << (bit & 7);
    }
}

/// The first bytes of a name, at most eight, as one number, and which of its bits they are.
pub(crate) fn head_bits(prefix: &str) -> (u64, u64) {
    let bytes = prefix.bytes().take(8).enumerate();
    bytes.fold((0, 0), |(head, mask), (at, byte)| (head | u64::from(byte) << (8 * at), mask | 0xff << (8 * at)))
}

/// Hash of the last eight bytes of a name, in any case: as `bit_of()` in filter.h.
pub(crate) fn tail_bit(name: &[u8]) -> usize {
    let tail = name.iter().rev().take(8).fold(0u64, |tail, byte| tail << 8 | u64::from(byte | 0x20));
    usize::try_from(tail.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - TAIL_BITS)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_that_of_the_last_eight_bytes_in_any_case() {
        assert_eq!(tail_bit(b".pem"), tail_bit(b".PEM"));
        assert_eq!(tail_bit(b"authorized_keys"), tail_bit(b"zed_keys"));
        assert_ne!(tail_bit(b".pem"), tail_bit(b"pem"));
        let mut tails = [0; TAILS_LEN];
        set_tail(&mut tails, &name_key(".pem"));
        assert_eq!(tails.iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
    }

    #[test]
    fn globs_with_and_without_a_prefix_filter_by_none() {
        let tables = |globs: &[&str]| {
            let globs = globs.iter().map(|glob| (*glob).to_owned()).collect();
            Tables::new(&Selection { files: FileSelection::Globs(globs), ..Selection::default() })
        };
        assert_eq!(tables(&["/etc/ssl/*.pem"]).prefixes.len(), 1);
        assert_eq!(tables(&["/etc/ssl/*.pem", "*.key"]).prefixes.len(), 0);
        assert_eq!(tables(&["/etc/ssl/*.pem", "*.key"]).names.len(), 2);
        assert!(tables(&["id_*"]).match_all_names);
    }
}
