//! Files that a library was asked to load as a key, a certificate or what it trusts: of those it is known what they hold.

use super::{MAX_PATH, short, succeeded};
use crypto_trace_format::catalog::{Confidence, FileType, Judged, JudgedBy, judge};
use crypto_trace_format::record::{ApiCall, ApiMeaning, FileOpen, Header};
use foldhash::fast::RandomState;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// Files that are kept; a real capture has some hundreds.
const MAX_FILES: usize = 65_536;

/// Bytes of their paths.
const MAX_BYTES: usize = 64 << 20;

/// A process: id, and start in boot time.
type Process = (u32, u64);

/// Files by their path as it was given to a library.
#[derive(Debug, Default)]
pub struct LoadedFiles {
    by_path: HashMap<Arc<[u8]>, Vec<(Process, FileType)>, RandomState>,
    /// Bytes of paths.
    bytes: usize,
    /// In the order in which they became known.
    known: Vec<Known>,
}

/// That a process loaded a file as what it is.
#[derive(Debug)]
pub struct Known {
    /// Path as it was given to the library.
    pub path: Arc<[u8]>,
    /// Process id.
    pub tgid: u32,
    /// Start of the process, `CLOCK_BOOTTIME` ns.
    pub start_ns: u64,
    /// What it is.
    pub judged: Judged,
}

/// What a call says that a file holds. A call that failed says nothing: the file may be something else.
pub fn loaded_as(call: &ApiCall<'_>) -> Option<Judged> {
    if succeeded(call) == Some(false) || call.text.is_empty() {
        return None;
    }
    let file_type = match ApiMeaning(call.fixed.meaning) {
        ApiMeaning::PRIVATE_KEY_FILE => FileType::PrivateKey,
        ApiMeaning::CERTIFICATE_FILE => FileType::Certificate,
        ApiMeaning::TRUST_FILE => FileType::TrustStore,
        _ => return None,
    };
    Some(by_use(file_type))
}

fn by_use(file_type: FileType) -> Judged {
    Judged { file_type, confidence: Confidence::High, by: JudgedBy::Use }
}

/// What a file is used as: of what libraries are told, any may be true of one file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Uses(u8);

impl Uses {
    /// Types, in the order in which they are reported: what must be kept secret first.
    const ALL: [FileType; 3] = [FileType::PrivateKey, FileType::Certificate, FileType::TrustStore];

    /// These, and another one.
    #[must_use]
    pub fn with(self, file_type: FileType) -> Self {
        Self(Self::ALL.iter().position(|known| *known == file_type).map_or(self.0, |at| self.0 | 1 << at))
    }

    /// These, and others.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// All of them.
    pub fn types(self) -> impl Iterator<Item = FileType> {
        Self::ALL.into_iter().enumerate().filter(move |(at, _)| self.0 & 1 << at != 0).map(|(_, file_type)| file_type)
    }

    /// The first of them.
    fn told(self) -> Option<Judged> {
        self.types().next().map(by_use)
    }
}

impl LoadedFiles {
    /// Takes in a call.
    pub fn add(&mut self, header: &Header, call: &ApiCall<'_>) {
        let Some(judged) = loaded_as(call) else { return };
        let path = short(call.text, MAX_PATH);
        if self.known.len() >= MAX_FILES || self.bytes >= MAX_BYTES {
            return;
        }
        let path = match self.by_path.get_key_value(path) {
            Some((known, _)) => Arc::clone(known),
            None => {
                self.bytes += path.len();
                path.into()
            }
        };
        let known = Known { path: Arc::clone(&path), tgid: header.tgid, start_ns: header.start_ns, judged };
        let process = (header.tgid, header.start_ns);
        let rows = self.by_path.entry(path).or_default();
        // A file may hold a key and its certificate.
        if !rows.contains(&(process, judged.file_type)) {
            rows.push((process, judged.file_type));
            self.known.push(known);
        }
    }

    /// What became known after the first `seen`: of a stream the call comes after the open.
    pub fn known_since(&self, seen: usize) -> &[Known] {
        self.known.get(seen..).unwrap_or_default()
    }

    /// Whether any process loaded a file by this path, as it was given to the library.
    pub fn knows(&self, path: &[u8]) -> bool {
        self.by_path.contains_key(path)
    }

    /// What a file is that this process opened, when a library of it was told so.
    #[inline]
    pub fn of(&self, header: &Header, open: &FileOpen<'_>) -> Option<Judged> {
        self.uses(header, open).told()
    }

    /// Everything that a library of this process was told that a file is.
    #[inline]
    pub fn uses(&self, header: &Header, open: &FileOpen<'_>) -> Uses {
        if self.by_path.is_empty() {
            return Uses::default();
        }
        let told = |path: &[u8]| {
            if path.is_empty() {
                return Uses::default();
            }
            let rows = self.by_path.get(path).map(Vec::as_slice).unwrap_or_default();
            let own = rows.iter().filter(|(process, _)| *process == (header.tgid, header.start_ns));
            own.fold(Uses::default(), |uses, (_, file_type)| uses.with(*file_type))
        };
        let given = told(open.given);
        if given == Uses::default() { told(open.path) } else { given }
    }

    /// What the file of an open holds: as a library was told; or by its path, as events show it; or else by the path as passed.
    #[inline]
    pub fn judged(&self, header: &Header, open: &FileOpen<'_>, by_path: Option<Judged>) -> Option<Judged> {
        self.of(header, open).or(by_path).or_else(|| if open.given.is_empty() { None } else { judge(open.given) })
    }
}

/// Paths whose judgement a thread remembers, and how long they may be.
const MAX_REMEMBERED: usize = 16_384;
const MAX_REMEMBERED_PATH: usize = 512;

/// What the catalog says of a path. A thread remembers it: counters meet the same paths in every block.
pub fn judge_path(path: &[u8]) -> Option<Judged> {
    type Remembered = HashMap<Box<[u8]>, Option<Judged>, RandomState>;
    thread_local! {
        static REMEMBERED: RefCell<Remembered> = RefCell::new(Remembered::default());
    }
    if path.len() > MAX_REMEMBERED_PATH {
        return judge(path);
    }
    REMEMBERED.with_borrow_mut(|remembered| {
        if let Some(judged) = remembered.get(path) {
            return *judged;
        }
        if remembered.len() >= MAX_REMEMBERED {
            remembered.clear();
        }
        *remembered.entry(path.into()).or_insert_with(|| judge(path))
    })
}

/// Of two judgements of one file the one to be told: what is known by its use, and of uses the first of [`Uses::types`].
pub fn better(one: Option<Judged>, other: Option<Judged>) -> Option<Judged> {
    let rank = |judged: Option<Judged>| {
        judged.map(|judged| {
            let place = Uses::ALL.iter().position(|known| *known == judged.file_type);
            (judged.by == JudgedBy::Use).then_some(std::cmp::Reverse(place.unwrap_or(Uses::ALL.len())))
        })
    };
    if rank(other) > rank(one) { other } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::libraries::state;
    use crypto_trace_format::record::ApiCallFixed;

    fn call(meaning: ApiMeaning, path: &'static [u8], result: i64) -> ApiCall<'static> {
        let fixed = ApiCallFixed { meaning: meaning.0, result, state: state::RESULT, ..ApiCallFixed::default() };
        ApiCall { fixed, function: b"SSL_CTX_use_PrivateKey_file", text: path, ..ApiCall::default() }
    }

    /// A key in a .pem was shown as a certificate, although the library had been told what it is.
    #[test]
    fn a_file_that_was_loaded_as_a_private_key_is_one_for_that_process() {
        let process = Header { tgid: 7, start_ns: 70, ..Header::default() };
        let other = Header { tgid: 8, start_ns: 80, ..Header::default() };
        let mut files = LoadedFiles::default();
        files.add(&process, &call(ApiMeaning::CERTIFICATE_FILE, b"conf/server.pem", 1));
        files.add(&process, &call(ApiMeaning::PRIVATE_KEY_FILE, b"conf/server.pem", 1));
        files.add(&other, &call(ApiMeaning::TRUST_FILE, b"/srv/ca", 1));
        let open = FileOpen { path: b"/srv/conf/server.pem", given: b"conf/server.pem", ..FileOpen::default() };
        let judged = |header, open: &FileOpen<'_>| files.judged(header, open, judge(open.path));
        assert_eq!(judged(&process, &open), Some(by_use(FileType::PrivateKey)));
        assert_eq!(judged(&other, &open).map(|judged| judged.by), Some(JudgedBy::Suffix));
        let plain = FileOpen { path: b"/srv/ca", ..FileOpen::default() };
        assert_eq!(judged(&other, &plain), Some(by_use(FileType::TrustStore)));
        assert_eq!(judged(&process, &plain), None);
    }

    #[test]
    fn a_call_that_failed_says_nothing_of_the_file() {
        assert_eq!(loaded_as(&call(ApiMeaning::PRIVATE_KEY_FILE, b"/srv/a.pem", 0)), None);
        assert_eq!(loaded_as(&call(ApiMeaning::PRIVATE_KEY_FILE, b"", 1)), None);
        assert_eq!(loaded_as(&call(ApiMeaning::CIPHERS, b"/srv/a.pem", 1)), None);
        assert_eq!(
            loaded_as(&call(ApiMeaning::PRIVATE_KEY_FILE, b"/srv/a.pem", 1)),
            Some(by_use(FileType::PrivateKey))
        );
    }

    #[test]
    fn what_is_known_by_use_wins() {
        let by_name = judge(b"/srv/server.pem");
        let (key, certificate) = (Some(by_use(FileType::PrivateKey)), Some(by_use(FileType::Certificate)));
        assert_eq!(better(by_name, certificate), certificate);
        assert_eq!(better(certificate, key), key);
        assert_eq!(better(key, certificate), key);
        // Whichever of two processes comes first.
        let trust = Some(by_use(FileType::TrustStore));
        assert_eq!((better(trust, certificate), better(certificate, trust)), (certificate, certificate));
        assert_eq!(better(by_name, None), by_name);
    }
}
