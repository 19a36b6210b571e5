//! What is known of the programs behind ends of connections: the TLS libraries that they loaded, and the lists of groups that
//! their processes gave to them.

use super::Who;
use crate::budget::{Budget, first_sorted, heap, sorted};
use crate::capture::Capture;
use crate::capture::libraries::{FileId, LibraryRow, MAX_TEXT, product, short, state, succeeded};
use crate::capture::timeline::ProcessId;
use crate::rules::{self, Brought};
use crypto_trace_format::catalog::file_name;
use crypto_trace_format::record::{ApiCall, ApiMeaning, Record, flags};
use std::collections::{BTreeMap, BTreeSet};

/// Libraries of one program that are told apart. With more, nothing is concluded from them.
const MAX_LIBRARIES: usize = 64;

/// Lists of groups of one process, likewise.
const MAX_LISTS: usize = 8;

/// Forks that a process may be away from the one that configured what it inherits.
const MAX_FORKS: usize = 8;

/// What one program loaded.
#[derive(Debug, Clone, Default)]
pub struct ProgramFacts {
    /// Files of libraries that speak TLS, by capture.
    pub tls: BTreeSet<(u32, FileId)>,
    /// Files that hold the cryptography of OpenSSL's TLS: what they say of their version is true of libssl, too.
    crypto: BTreeSet<(u32, FileId)>,
    /// There were more than are kept.
    pub is_cut: bool,
}

/// A list of groups that a program gave to a library.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupList {
    /// The function that it called.
    pub function: Box<[u8]>,
    /// The list, as it was given.
    pub text: Box<[u8]>,
    /// Not all of it is there.
    pub is_cut: bool,
}

impl GroupList {
    /// The list in a call, if it is one that a program made and that worked.
    pub fn of(record: &Record<'_>, call: &ApiCall<'_>) -> Option<Self> {
        let is_own = call.fixed.meaning == ApiMeaning::GROUPS.0 && call.fixed.state & state::INTERNAL == 0;
        // What a library does with defaults of its own is no configuration.
        if !is_own || succeeded(call) == Some(false) || call.text.is_empty() {
            return None;
        }
        let is_cut = record.header.flags & flags::TRUNCATED != 0 || call.text.len() > MAX_TEXT;
        Some(Self { function: short(call.function, MAX_TEXT).into(), text: short(call.text, MAX_TEXT).into(), is_cut })
    }

    /// Whether it names a post-quantum group. None: it has a word that stands for others, or not all of it is there.
    pub fn names_post_quantum(&self) -> Option<bool> {
        let text = self.text.to_ascii_uppercase();
        let has = |word: &[u8]| memchr::memmem::find(&text, word).is_some();
        if has(b"MLKEM") || has(b"KYBER") {
            // `-X25519MLKEM768` takes one out, with OpenSSL 3.5.
            return if text.contains(&b'-') { None } else { Some(true) };
        }
        // DEFAULT stands for the library's own list, since OpenSSL 3.5.
        if self.is_cut || has(b"DEFAULT") { None } else { Some(false) }
    }
}

/// How old a library is, measured by what brought post-quantum key exchange.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Aged {
    /// The file: capture, device and inode.
    pub file: (u32, FileId),
    /// Its version.
    pub version: Vec<u8>,
    /// Whether that comes before the version that brought it. None: it is not known.
    pub is_older: Option<bool>,
    /// Its version is that of the libcrypto beside it.
    pub by_libcrypto: bool,
}

impl ProgramFacts {
    /// Takes in that it loaded a file.
    pub fn load(&mut self, capture: &Capture, number: u32, (file, path): (FileId, &[u8]), budget: &mut Budget) {
        let known = capture.libraries.get(file);
        let name = file_name(path);
        let families = known.map(|row| &*row.family).unwrap_or_default();
        let is_crypto = families.split(|byte| *byte == b',').any(|family| family == b"openssl-crypto");
        // An extension that is called after what it wraps speaks no TLS of its own.
        let by_name = product::speaks_tls(name) && !name.starts_with(b"_ssl.");
        let set = match (known.is_some_and(LibraryRow::speaks_tls) || by_name, is_crypto) {
            (true, _) => &mut self.tls,
            (false, true) => &mut self.crypto,
            (false, false) => return,
        };
        if set.contains(&(number, file)) {
            return;
        }
        if set.len() < MAX_LIBRARIES && budget.take(sorted::<(u32, FileId)>()) {
            set.insert((number, file));
        } else {
            self.is_cut = true;
        }
    }

    /// How old a library of this program is.
    pub fn age(&self, captures: &[Capture], file: (u32, FileId)) -> Option<(Aged, &'static Brought)> {
        let row = |(capture, file): (u32, FileId)| captures.get(capture as usize)?.libraries.get(file);
        let library = row(file)?;
        let brought = rules::brought(&library.family)?;
        let mut version = library.version.clone();
        let mut by_libcrypto = false;
        if version.is_empty() && brought.family == "openssl" && !self.is_cut {
            // Older recordings have the version with libcrypto alone.
            let versions: BTreeSet<&[u8]> = self.crypto.iter().filter_map(|file| Some(&*row(*file)?.version)).collect();
            if let (Some(only), 1) = (versions.first().filter(|only| !only.is_empty()), versions.len()) {
                version = only.to_vec();
                by_libcrypto = true;
            }
        }
        let is_older = brought.is_after(&version);
        Some((Aged { file, version, is_older, by_libcrypto }, brought))
    }

    /// The libraries that made a handshake: the one that a call named; or all that the program loaded, when each of them is too old
    /// or there is one only, so that it does not matter which it was.
    pub fn behind(&self, captures: &[Capture], by_call: Option<(u32, FileId)>) -> Vec<(Aged, &'static Brought)> {
        if let Some(file) = by_call {
            return self.age(captures, file).into_iter().collect();
        }
        if self.is_cut {
            return Vec::new();
        }
        let all: Vec<_> = self.tls.iter().filter_map(|file| self.age(captures, *file)).collect();
        let is_whole = all.len() == self.tls.len();
        let all_older = all.iter().all(|(aged, _)| aged.is_older == Some(true));
        if is_whole && (all.len() == 1 || all_older) { all } else { Vec::new() }
    }
}

/// What is known of programs, by who they are.
pub type Programs = BTreeMap<Who, ProgramFacts>;

/// Lists of groups by the process that gave them to a library: capture and process.
#[derive(Debug, Default)]
pub struct Configured(BTreeMap<(u32, u32), BTreeSet<GroupList>>);

impl Configured {
    /// Takes in a list. False: there was no room, and nothing is concluded of this process.
    pub fn add(&mut self, process: (u32, ProcessId), list: GroupList, budget: &mut Budget) -> bool {
        let lists = self.0.entry((process.0, process.1.number())).or_default();
        if lists.contains(&list) {
            return true;
        }
        let bytes = sorted::<GroupList>() + heap(list.function.len()) + heap(list.text.len());
        let first = if lists.is_empty() {
            sorted::<((u32, u32), BTreeSet<GroupList>)>() + first_sorted::<GroupList>()
        } else {
            0
        };
        let fits = lists.len() < MAX_LISTS && budget.take(bytes + first);
        if fits {
            lists.insert(list);
        } else {
            // One that says that there may be others.
            lists.insert(GroupList { function: Box::default(), text: Box::default(), is_cut: true });
        }
        fits
    }

    /// The lists that a process gave to its libraries, or inherited as they were by a fork without an exec, when none of them has
    /// a post-quantum group. None: it gave none, or one may have some.
    pub fn without_post_quantum(
        &self,
        capture: (u32, &Capture),
        process: ProcessId,
        time_ns: u64,
    ) -> Option<&BTreeSet<GroupList>> {
        let timeline = &capture.1.timeline;
        let exe = |process| timeline.exe(timeline.image_at(process, time_ns));
        let own = exe(process)?;
        let mut at = process;
        for _ in 0..MAX_FORKS {
            if let Some(lists) = self.0.get(&(capture.0, at.number())) {
                return lists.iter().all(|list| list.names_post_quantum() == Some(false)).then_some(lists);
            }
            at = timeline.parent(at).filter(|parent| exe(*parent) == Some(own))?;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_groups_is_judged_by_what_it_names() {
        let check = |text: &str, expected: Option<bool>| {
            let list = GroupList { function: b"f"[..].into(), text: text.as_bytes().into(), is_cut: false };
            assert_eq!(list.names_post_quantum(), expected, "{text}");
        };
        check("P-384", Some(false));
        check("X25519:P-256", Some(false));
        check("?*X25519MLKEM768 / ?*X25519:?secp256r1", Some(true));
        check("x25519mlkem768", Some(true));
        check("p256_kyber768", Some(true));
        check("DEFAULT", None);
        check("DEFAULT:-X25519MLKEM768", None);
        let cut = GroupList { function: b"f"[..].into(), text: b"P-384"[..].into(), is_cut: true };
        assert_eq!(cut.names_post_quantum(), None);
    }
}
