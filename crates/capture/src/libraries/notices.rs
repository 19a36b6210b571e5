//! Notes, from records that pass by, what the finder is to look at. Costs a comparison for any other record.

use std::collections::{HashMap, HashSet};

use crypto_trace_format::record::{
    ApiCall, ApiMeaning, Header, LibLoad, LibLoadFixed, ProcessExec, ProcessInfo, Protocol, Record, TlsHello, flags,
};

use super::finder::{FileId, Request};

/// Processes whose files were looked through, at most.
const MAX_PROCESSES: usize = 65_536;

/// Files that are remembered; then all are looked at anew.
const MAX_FILES: usize = 65_536;

/// Files with one device and inode number, by what is really mapped.
const MAX_SAME: usize = 64;

/// A file that is mapped again is looked at again this often, in case that it was written to since.
const AGAIN_NS: u64 = 1_000_000_000;

/// Files that were mapped again within that time, and wait.
const MAX_LATER: usize = 256;

/// What is to be looked at, and what was noticed already.
#[derive(Debug, Default)]
pub struct Notices {
    requests: Vec<Request>,
    files: HashMap<FileId, Vec<Seen>>,
    later: Vec<(FileId, Request)>,
    processes: HashSet<(u32, u64)>,
}

/// A file that was noticed.
#[derive(Debug)]
struct Seen {
    /// The number of what is really mapped.
    file: u32,
    size: u64,
    noticed_ns: u64,
    /// It waits to be looked at again.
    is_later: bool,
}

/// Longest path of a program that is kept until it is looked at, in bytes: many may wait.
pub(super) const MAX_PROGRAM_PATH: usize = 128;

/// What an exec began to run, to be found when the process is gone.
fn executable(record: &Record<'_>) -> Option<(Vec<u8>, FileId)> {
    let exec = ProcessExec::decode(record).ok()?;
    let is_whole = record.header.flags & (flags::TRUNCATED | flags::PATH_PARTIAL | flags::UNLINKED) == 0;
    let is_kept = is_whole && (1..=MAX_PROGRAM_PATH).contains(&exec.exe.len());
    is_kept.then(|| (exec.exe.to_vec(), (exec.fixed.exe_dev, exec.fixed.exe_ino)))
}

/// Whether a hello is of TLS, which a library made that may be probed.
fn is_tls(record: &Record<'_>) -> bool {
    TlsHello::decode(record).is_ok_and(|hello| hello.fixed.protocol == Protocol::TLS.0)
}

impl Notices {
    /// Looks at one record.
    pub fn see(&mut self, record: &Record<'_>) {
        match record.kind() {
            LibLoad::KIND => self.see_library(record),
            TlsHello::KIND if is_tls(record) => self.see_process(&record.header),
            ApiCall::KIND => {
                let is_handshake = |call: ApiCall<'_>| call.fixed.meaning == ApiMeaning::HANDSHAKE.0;
                if ApiCall::decode(record).is_ok_and(is_handshake) {
                    // Its library is known, but maybe not that it is this process's.
                    self.see_process(&record.header);
                }
            }
            ProcessExec::KIND => {
                self.requests.push(Request::Program { header: record.header, exe: executable(record).map(Box::new) });
            }
            // Of a kernel thread there is none.
            ProcessInfo::KIND if ProcessInfo::decode(record).is_ok_and(|info| !info.exe.is_empty()) => {
                self.requests.push(Request::Program { header: record.header, exe: None });
            }
            _ => {}
        }
    }

    fn see_library(&mut self, record: &Record<'_>) {
        let Ok(library) = LibLoad::decode(record) else { return };
        let LibLoadFixed { dev, ino, file, address, size, .. } = library.fixed;
        let (id, header) = ((dev, ino), record.header);
        let request = |again| Request::Library { header, path: library.path.to_vec(), id, address, again };
        if self.files.len() >= MAX_FILES && !self.files.contains_key(&id) {
            self.files.clear();
        }
        let same = self.files.entry(id).or_default();
        let Some(seen) = same.iter_mut().find(|seen| seen.file == file) else {
            if same.len() >= MAX_SAME {
                same.clear();
            }
            same.push(Seen { file, size, noticed_ns: header.time_ns, is_later: false });
            self.requests.push(request(false));
            return;
        };
        let is_resized = size != 0 && seen.size != 0 && seen.size != size;
        if is_resized || header.time_ns.saturating_sub(seen.noticed_ns) >= AGAIN_NS {
            (seen.size, seen.noticed_ns) = (size, header.time_ns);
            self.requests.push(request(true));
        } else if !seen.is_later && self.later.len() < MAX_LATER {
            seen.is_later = true;
            self.later.push((id, request(true)));
        }
    }

    fn see_process(&mut self, header: &Header) {
        if self.processes.len() >= MAX_PROCESSES {
            self.processes.clear();
        }
        if header.tgid != 0 && self.processes.insert((header.tgid, header.start_ns)) {
            self.requests.push(Request::Process { header: *header });
        }
    }

    /// What is to be looked at now.
    pub fn take(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.requests)
    }

    /// What was mapped again too soon is to be looked at now.
    pub fn again(&mut self) {
        for (id, request) in self.later.drain(..) {
            self.files.get_mut(&id).into_iter().flatten().for_each(|seen| seen.is_later = false);
            self.requests.push(request);
        }
    }

    /// The next mapping of a file is one of a new file.
    pub fn forget(&mut self, id: FileId) {
        self.files.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn see(notices: &mut Notices, time_ns: u64, ino: u64, size: u64) -> Vec<bool> {
        let fixed = LibLoadFixed { dev: 1, ino, size, ..LibLoadFixed::default() };
        let mut bytes = Vec::new();
        let header = Header { time_ns, ..Header::default() };
        LibLoad { fixed, path: b"/lib/libssl.so.3", ..LibLoad::default() }.encode(header, &mut bytes);
        notices.see(&Record::parse(&bytes).expect("a record"));
        taken(notices)
    }

    fn taken(notices: &mut Notices) -> Vec<bool> {
        let again = |request| matches!(request, Request::Library { again: true, .. });
        notices.take().into_iter().map(again).collect()
    }

    /// Junk was mapped, then the library written into the same inode: it was remembered as junk for ever.
    #[test]
    fn a_file_that_is_mapped_again_is_looked_at_again() {
        let mut notices = Notices::default();
        assert_eq!(see(&mut notices, AGAIN_NS, 7, 100), [false]);
        // Too soon: once, later.
        assert!(see(&mut notices, AGAIN_NS + 1, 7, 100).is_empty());
        assert!(see(&mut notices, AGAIN_NS + 2, 7, 100).is_empty());
        notices.again();
        assert_eq!(taken(&mut notices), [true]);
        notices.again();
        assert!(taken(&mut notices).is_empty());
        assert_eq!(see(&mut notices, 2 * AGAIN_NS, 7, 100), [true]);
        // Another size is reason enough.
        assert_eq!(see(&mut notices, 2 * AGAIN_NS + 1, 7, 101), [true]);
        notices.forget((1, 7));
        assert_eq!(see(&mut notices, 2 * AGAIN_NS + 2, 7, 101), [false]);
    }

    #[test]
    fn what_waits_and_what_is_remembered_has_a_limit() {
        let mut notices = Notices::default();
        for ino in 0..MAX_FILES as u64 + 10 {
            see(&mut notices, 1, ino, 1);
            see(&mut notices, 2, ino, 1);
        }
        assert!(notices.files.len() <= MAX_FILES);
        assert_eq!(notices.later.len(), MAX_LATER);
    }
}
