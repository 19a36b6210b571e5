//! What probes in crypto libraries told: the libraries themselves, and the calls that made handshakes.
//!
//! A `library_info` record is a library and what became of the probes on it; an `api_call` record is a call. Calls of
//! handshakes are kept by their socket, so that a `tls_handshake` event can name the library that made it, and what came of
//! it after the hellos, where the wire is blind.

mod files;
mod names;
mod outcome;
pub mod product;

pub use files::{Known, LoadedFiles, Uses, better, judge_path, loaded_as};
pub use names::{algorithm, is_number, uses_algorithm};
pub use outcome::{succeeded, was_interrupted};

pub use crypto_trace_format::record::api_state as state;

use crate::capture::libraries::product::version_number;
use crypto_trace_format::record::{ApiCall, ApiMeaning, Header, LibraryInfo, ProbeState, library_features};
use foldhash::fast::RandomState;
use std::collections::{BTreeMap, HashMap};

/// Libraries that are kept. A real capture has some dozens, a host full of containers some thousands.
const MAX_LIBRARIES: usize = 16_384;

/// Calls of handshakes that are kept.
const MAX_CALLS: usize = 1 << 19;

/// Bytes that are kept of a path; the kernel allows no longer ones.
pub(crate) const MAX_PATH: usize = 4_096;

/// Bytes that are kept of other texts; a real capture has shorter ones.
pub const MAX_TEXT: usize = 512;

/// The beginning of a text that may be of any length.
pub fn short(text: &[u8], max: usize) -> &[u8] {
    text.get(..max).unwrap_or(text)
}

/// Bits of `features` of a `library_info`, and what they are called; but for the two that say what kind of file it is.
pub const FEATURES: &[(u16, &str)] = &[
    (library_features::RESULTS, "results"),
    (library_features::VERSIONS, "versions"),
    (library_features::SUITES, "suites"),
    (library_features::TEXT, "text"),
    (library_features::TLS, "tls"),
];

/// A file: device in the kernel's form, and inode number.
pub type FileId = (u64, u64);

/// A library and its probes, as last heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibraryRow {
    /// Where it was found first, as its process sees it.
    pub path: Vec<u8>,
    /// What it is by its functions; several with commas; empty when not known.
    pub family: Vec<u8>,
    /// The version it reports, a number; empty when not known.
    pub version: Vec<u8>,
    /// Raw; empty when it has none.
    pub build_id: Vec<u8>,
    /// What became of its probes.
    pub state: ProbeState,
    /// errno of a failure.
    pub errno: i32,
    /// Functions that are probed.
    pub functions: u16,
    /// See [`library_features`].
    pub features: u16,
    /// Why there are no probes, or not all.
    pub message: Vec<u8>,
    /// Since when it is in this state, boot time.
    pub since_ns: u64,
}

/// The libraries of one capture.
#[derive(Debug, Default)]
pub struct Libraries {
    rows: BTreeMap<FileId, LibraryRow>,
    refused: u64,
}

impl Libraries {
    /// Takes in one record.
    pub fn add(&mut self, header: &Header, info: &LibraryInfo<'_>) {
        let id = (info.fixed.dev, info.fixed.ino);
        if self.rows.len() >= MAX_LIBRARIES && !self.rows.contains_key(&id) {
            self.refused += 1;
            return;
        }
        let state = ProbeState(info.fixed.state);
        // Its number may be another file's later, when it is gone.
        let is_same = |row: &&LibraryRow| {
            row.build_id.is_empty() || info.build_id.is_empty() || row.build_id == short(info.build_id, MAX_TEXT)
        };
        let before = self.rows.get(&id).filter(is_same);
        // Every segment repeats it.
        let since_ns = before.filter(|row| row.state == state).map_or(u64::MAX, |row| row.since_ns);
        let path = before.map_or(short(info.path, MAX_PATH), |row| &row.path).to_vec();
        let text = |text| short(text, MAX_TEXT).to_vec();
        let row = LibraryRow {
            path,
            family: text(info.family),
            version: text(version_number(info.version)),
            build_id: text(info.build_id),
            state,
            errno: info.fixed.errno,
            functions: info.fixed.functions,
            features: info.fixed.features,
            message: text(info.message),
            since_ns: since_ns.min(header.time_ns),
        };
        self.rows.insert(id, row);
    }

    /// One of them. The kernel, which is no file, is none.
    #[inline]
    pub fn get(&self, id: FileId) -> Option<&LibraryRow> {
        if id == (0, 0) { None } else { self.rows.get(&id) }
    }

    /// All of them, by their file.
    pub fn iter(&self) -> impl Iterator<Item = (FileId, &LibraryRow)> {
        self.rows.iter().map(|(id, row)| (*id, row))
    }

    /// Whether none was told of: the capture did not look for them.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether calls of any of them are recorded.
    pub fn any_probed(&self) -> bool {
        self.rows.values().any(LibraryRow::is_probed)
    }

    /// Records that were left out, because there was no more room.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

impl LibraryRow {
    /// Whether its calls are recorded.
    pub fn is_probed(&self) -> bool {
        self.state == ProbeState::ATTACHED
    }

    /// Whether it is known to make TLS handshakes.
    pub fn speaks_tls(&self) -> bool {
        self.features & library_features::TLS != 0
    }

    /// Whether only a text in the file identifies it.
    pub fn is_by_text(&self) -> bool {
        self.features & library_features::TEXT != 0
    }
}

/// A handshake as the library saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandshakeCall {
    /// The library.
    pub library: FileId,
    /// Name of the function.
    pub function: Box<[u8]>,
    /// Whether it succeeded. None: not known, or not over.
    pub succeeded: Option<bool>,
    /// From its first call to the end of its last, ns; 0 when not known.
    pub duration_ns: u64,
    /// When it was recorded, boot time.
    time_ns: u64,
}

/// The handshakes that libraries made, by the cookie of their socket.
#[derive(Debug, Default)]
pub struct HandshakeCalls {
    by_cookie: HashMap<u64, HandshakeCall, RandomState>,
    /// All that were recorded, with a socket or without.
    seen: u64,
    /// Those of which no socket is known.
    without_socket: u64,
    refused: u64,
}

impl HandshakeCalls {
    /// Takes in a call, if it is one of a handshake. Of several for a socket the one that tells most is kept, then the first.
    pub fn add(&mut self, header: &Header, call: &ApiCall<'_>) {
        let fixed = &call.fixed;
        if fixed.meaning != ApiMeaning::HANDSHAKE.0 || fixed.state & state::INTERNAL != 0 {
            return;
        }
        self.seen += 1;
        if fixed.cookie == 0 {
            self.without_socket += 1;
            return;
        }
        let new = HandshakeCall {
            library: (fixed.dev, fixed.ino),
            function: short(call.function, MAX_TEXT).into(),
            succeeded: succeeded(call),
            duration_ns: fixed.duration_ns,
            time_ns: header.time_ns,
        };
        let rank = |call: &HandshakeCall| (call.succeeded.is_none(), call.time_ns);
        let full = self.by_cookie.len() >= MAX_CALLS;
        match self.by_cookie.get_mut(&fixed.cookie) {
            Some(known) if rank(&new) < rank(known) => *known = new,
            Some(_) => {}
            None if full => self.refused += 1,
            None => {
                self.by_cookie.insert(fixed.cookie, new);
            }
        }
    }

    /// The handshake of a socket.
    pub fn of(&self, cookie: u64) -> Option<&HandshakeCall> {
        if self.by_cookie.is_empty() { None } else { self.by_cookie.get(&cookie) }
    }

    /// How many were recorded.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// How many of them have no known socket.
    pub fn without_socket(&self) -> u64 {
        self.without_socket
    }

    /// How many have a socket of which `on_wire` says no.
    pub fn off_wire(&self, on_wire: impl Fn(u64) -> bool) -> u64 {
        self.by_cookie.keys().filter(|cookie| !on_wire(**cookie)).count() as u64
    }

    /// Those that were left out, because there was no more room.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Forgets all but the newest half, when there are very many: a live run goes on for ever.
    pub fn retire(&mut self) {
        if self.by_cookie.len() < MAX_CALLS {
            return;
        }
        let mut times: Vec<u64> = self.by_cookie.values().map(|call| call.time_ns).collect();
        let middle = times.len() / 2;
        let (_, from_ns, _) = times.select_nth_unstable(middle);
        let from_ns = *from_ns;
        self.by_cookie.retain(|_, call| call.time_ns > from_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto_trace_format::record::{ApiCallFixed, LibraryInfoFixed};

    fn call(cookie: u64, result: i64, bits: u16) -> ApiCall<'static> {
        let fixed = ApiCallFixed {
            ino: 7,
            cookie,
            result,
            state: bits,
            meaning: ApiMeaning::HANDSHAKE.0,
            ..ApiCallFixed::default()
        };
        ApiCall { fixed, function: b"SSL_do_handshake", ..ApiCall::default() }
    }

    fn at(time_ns: u64) -> Header {
        Header { time_ns, ..Header::default() }
    }

    #[test]
    fn the_call_that_tells_most_is_kept_whatever_the_order() {
        let records = [
            (at(1), call(5, 0, state::PENDING)),
            (at(2), call(5, 1, state::RESULT)),
            (at(3), call(5, 0, state::RESULT)),
            (at(0), call(5, 1, state::RESULT | state::INTERNAL)),
        ];
        for reversed in [false, true] {
            let mut calls = HandshakeCalls::default();
            let mut order: Vec<_> = records.iter().collect();
            if reversed {
                order.reverse();
            }
            order.iter().for_each(|(header, call)| calls.add(header, call));
            assert_eq!(calls.of(5).and_then(|call| call.succeeded), Some(true));
            assert_eq!((calls.seen(), calls.without_socket()), (3, 0));
            assert!(calls.of(6).is_none());
        }
        let mut calls = HandshakeCalls::default();
        calls.add(&at(1), &call(0, 1, state::RESULT));
        calls.add(&at(1), &call(9, 1, state::RESULT));
        assert_eq!(
            (calls.without_socket(), calls.off_wire(|cookie| cookie == 9), calls.off_wire(|_| false)),
            (1, 0, 1)
        );
    }

    #[test]
    fn a_library_is_told_again_in_every_segment() {
        let info = |state: ProbeState, path| {
            let fixed = LibraryInfoFixed { dev: 1, ino: 2, state: state.0, ..LibraryInfoFixed::default() };
            LibraryInfo { fixed, path, ..LibraryInfo::default() }
        };
        let mut libraries = Libraries::default();
        assert!(libraries.is_empty());
        libraries.add(&at(10), &info(ProbeState::ATTACHED, b"/a"));
        libraries.add(&at(20), &info(ProbeState::ATTACHED, b"/b"));
        let row = libraries.get((1, 2)).expect("there");
        assert_eq!((row.since_ns, &*row.path, row.is_probed()), (10, &b"/a"[..], true));
        libraries.add(&at(30), &info(ProbeState::DETACHED, b"/a"));
        assert_eq!(libraries.get((1, 2)).map(|row| (row.since_ns, row.is_probed())), Some((30, false)));
        libraries.add(&at(1), &info(ProbeState::FAILED, b""));
        assert!(libraries.get((0, 0)).is_none());
    }

    /// Probes of a file that is gone do not hold its number any more.
    #[test]
    fn another_file_with_the_number_of_one_that_is_gone_is_another_library() {
        let fixed = LibraryInfoFixed { dev: 1, ino: 2, state: ProbeState::ATTACHED.0, ..LibraryInfoFixed::default() };
        let info = |path, build_id| LibraryInfo { fixed, path, build_id, ..LibraryInfo::default() };
        let mut libraries = Libraries::default();
        libraries.add(&at(10), &info(b"/old/libssl.so.3", b"1"));
        libraries.add(&at(20), &info(b"/elsewhere/libssl.so.3", b"1"));
        let row = libraries.get((1, 2)).expect("there");
        assert_eq!((row.since_ns, &*row.path), (10, &b"/old/libssl.so.3"[..]));
        libraries.add(&at(30), &info(b"/new/libgnutls.so.30", b"2"));
        let row = libraries.get((1, 2)).expect("there");
        assert_eq!((row.since_ns, &*row.path), (30, &b"/new/libgnutls.so.30"[..]));
    }
}
