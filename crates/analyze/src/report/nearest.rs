//! Processes that were asked for and are not there: said at the end, with what is there that comes near.

use crate::capture::Capture;
use crate::select::Filter;
use crate::words::escape;
use crate::words::redact;
use crypto_trace_format::catalog::{self, file_name};
use memchr::memmem::find;
use std::collections::BTreeMap;

/// How many names or process ids are listed.
const MAX_TOLD: usize = 5;

/// Longer names are not compared letter by letter; the kernel's have at most 15 bytes, file names 255.
const MAX_COMPARED: usize = 64;

/// A sentence for each `--pid` and `--name` of a filter that no process has. `shown`: whether anything passed.
pub fn unmatched(filter: &Filter, captures: &[Capture], shown: bool, redact: bool) -> Vec<String> {
    let asked = filter.pids.len() + filter.names.len();
    if asked == 0 || (shown && asked == 1) {
        return Vec::new();
    }
    let seen = Seen::new(captures);
    let pids = filter.pids.iter().filter(|pid| !seen.pids.contains_key(pid)).map(|pid| seen.no_pid(*pid, redact));
    let is_known = |name: &str| seen.names.know(name);
    let unknown = filter.names.iter().filter(|name| !is_known(name));
    let names = unknown.map(|name| {
        let mut text = no_name("process", name, &seen.names, (NO_PROCESS, redact));
        if shown {
            // Threads may name themselves at any time.
            text.push_str(" (a thread may have had that name)");
        }
        text
    });
    pids.chain(names).collect()
}

/// A sentence for each `--library` of a filter that no library has. `loaded`: names of libraries, and how many loads there were.
pub fn unmatched_libraries(filter: &Filter, loaded: &Names, redact: bool) -> Vec<String> {
    let unknown = filter.libraries.iter().filter(|name| !loaded.know(name));
    unknown.map(|name| no_name("library", name, loaded, ("no crypto library was seen at all", redact))).collect()
}

/// Names that are there, how often, and what they are called where home directories are hidden.
#[derive(Debug, Default)]
pub struct Names(BTreeMap<Vec<u8>, (u64, Vec<u8>)>);

impl Names {
    /// Counts a name: of a file, whose path is that, or of a thread.
    pub fn add(&mut self, name: &[u8], path: Option<&[u8]>, count: u64) {
        if let Some((known, _)) = self.0.get_mut(name) {
            *known = known.saturating_add(count);
            return;
        }
        let hidden = match path {
            Some(path) if *catalog::file_name(path) == *name => redact::file_name(path, true),
            _ => redact::comm(name, path, true),
        };
        self.0.insert(name.to_vec(), (count, hidden.into_owned()));
    }

    /// Whether one of them holds a text. Who asks for a name that is hidden knows it.
    fn know(&self, text: &str) -> bool {
        self.0.keys().any(|known| find(known, text.as_bytes()).is_some())
    }
}

/// The processes of all captures.
#[derive(Default)]
struct Seen {
    /// Names, by comm and by the executable's file name, and how many processes have them.
    names: Names,
    /// Process ids, and some name of theirs; the same hidden.
    pids: BTreeMap<u32, (Vec<u8>, Vec<u8>)>,
}

impl Seen {
    fn new(captures: &[Capture]) -> Self {
        let mut seen = Self::default();
        for timeline in captures.iter().map(|capture| &capture.timeline) {
            for process in timeline.processes() {
                let mut names = BTreeMap::new();
                for image in timeline.images(process) {
                    let exe = timeline.exe(image);
                    names.insert(timeline.comm(image), exe);
                    names.insert(file_name(exe.unwrap_or_default()), exe);
                }
                names.remove(&b""[..]);
                if let Some(tgid) = timeline.tgid(process).filter(|_| !names.is_empty()) {
                    let last = timeline.images(process).last();
                    let comm = last.map(|image| timeline.comm(image)).unwrap_or_default();
                    let hidden = redact::comm(comm, last.and_then(|image| timeline.exe(image)), true);
                    seen.pids.insert(tgid, (comm.to_vec(), hidden.into_owned()));
                }
                names.into_iter().for_each(|(name, exe)| seen.names.add(name, exe, 1));
            }
        }
        seen
    }

    fn no_pid(&self, wanted: u32, redact: bool) -> String {
        let mut rows: Vec<_> = self.pids.iter().collect();
        rows.sort_by_key(|(pid, _)| (pid.abs_diff(wanted), **pid));
        let told = rows.iter().take(MAX_TOLD).map(|(pid, (name, hidden))| {
            let name = if redact { hidden } else { name };
            format!("{pid} ({})", escape::for_people(name))
        });
        sentence(format!("no process {wanted}"), told.collect(), rows.len(), NO_PROCESS)
    }
}

const NO_PROCESS: &str = "no process was seen at all";

/// That nothing is named so, and what comes near.
fn no_name(what: &str, wanted: &str, names: &Names, (none, redact): (&str, bool)) -> String {
    let mut rows: Vec<(usize, u64, &Vec<u8>, &Vec<u8>)> = names
        .0
        .iter()
        .map(|(name, (count, hidden))| (distance(wanted.as_bytes(), name), *count, name, hidden))
        .collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)).then_with(|| a.2.cmp(b.2)));
    let told = rows.iter().take(MAX_TOLD).map(|(_, count, name, hidden)| {
        let name = if redact { hidden } else { name };
        format!("{} ({count})", escape::for_people(name))
    });
    sentence(format!("no {what} named \"{}\"", escape::for_people(wanted.as_bytes())), told.collect(), rows.len(), none)
}

fn sentence(mut text: String, told: Vec<String>, all: usize, none: &str) -> String {
    if told.is_empty() {
        text.push_str(": ");
        text.push_str(none);
    } else {
        text.push_str("; seen: ");
        text.push_str(&told.join(", "));
        if all > told.len() {
            text.push_str(&format!(" and {} more", all - told.len()));
        }
    }
    text
}

/// How far a name is from the one that was asked for: letters to change, and less when one holds the other.
fn distance(wanted: &[u8], name: &[u8]) -> usize {
    let lower = |text: &[u8]| text.iter().take(MAX_COMPARED).map(u8::to_ascii_lowercase).collect::<Vec<u8>>();
    let (wanted, name) = (lower(wanted), lower(name));
    let holds = |a: &[u8], b: &[u8]| b.len() >= 3 && find(a, b).is_some();
    if holds(&name, &wanted) || holds(&wanted, &name) {
        return 0;
    }
    strsim::osa_distance(&String::from_utf8_lossy(&wanted), &String::from_utf8_lossy(&name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto_trace_format::record::{Header, ProcessExec, Record};
    use crypto_trace_format::segment::SegmentMeta;

    fn capture(processes: &[(u32, &str)]) -> Capture {
        let mut capture = Capture::new(SegmentMeta::default());
        for (tgid, name) in processes {
            let mut comm = [0; 16];
            comm.iter_mut().zip(name.bytes().take(15)).for_each(|(to, from)| *to = from);
            let header = Header { tgid: *tgid, start_ns: u64::from(*tgid), time_ns: 5, comm, ..Header::default() };
            let exe = format!("/usr/bin/{name}");
            let mut bytes = Vec::new();
            ProcessExec { exe: exe.as_bytes(), ..ProcessExec::default() }.encode(header, &mut bytes);
            capture.apply(&Record::parse(&bytes).expect("a record")).expect("well formed");
        }
        capture
    }

    fn told(pids: &[u32], names: &[&str], shown: bool) -> Vec<String> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let filter = Filter { pids: pids.to_vec(), names, ..Filter::default() };
        let host =
            [(10, "nginx"), (11, "nginx"), (12, "nginx"), (20, "openssl"), (30, "python3"), (31, "a"), (32, "b")];
        unmatched(&filter, &[capture(&host)], shown, true)
    }

    #[test]
    fn what_comes_nearest_is_told_first() {
        let seen = "seen: nginx (3), openssl (1), a (1), b (1), python3 (1)";
        let found = told(&[], &["ngnix"], false);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("no process named \"ngnix\"; seen: nginx (3), "), "{found:?}");
        assert_eq!(found[0].len(), format!("no process named \"ngnix\"; {seen}").len());
        assert!(told(&[], &["OpenSSL-server"], false)[0].contains("seen: openssl (1), "));
        assert_eq!(
            told(&[13], &[], false),
            ["no process 13; seen: 12 (nginx), 11 (nginx), 10 (nginx), 20 (openssl), 30 (python3) and 2 more"]
        );
    }

    /// `-n` told what comes near, `-l` did not.
    #[test]
    fn a_library_that_nothing_is_named_by_is_told_with_what_comes_near() {
        let loaded = [("libssl.so.3", 4), ("OpenSSL", 4), ("libgnutls.so.30", 1)];
        let mut all = Names::default();
        loaded.into_iter().for_each(|(name, count)| all.add(name.as_bytes(), None, count));
        let loaded = all;
        let told = |names: &[&str], loaded: &Names| {
            let libraries = names.iter().map(|name| (*name).to_owned()).collect();
            unmatched_libraries(&Filter { libraries, ..Filter::default() }, loaded, true)
        };
        assert_eq!(
            told(&["libsll", "gnutls"], &loaded),
            ["no library named \"libsll\"; seen: OpenSSL (4), libssl.so.3 (4), libgnutls.so.30 (1)"]
        );
        assert_eq!(told(&["x"], &Names::default()), ["no library named \"x\": no crypto library was seen at all"]);
    }

    #[test]
    fn what_is_there_is_not_told() {
        assert!(told(&[10], &["nginx"], false).is_empty());
        assert!(told(&[], &["thread"], true).is_empty(), "it was a thread's name");
        assert!(told(&[], &[], false).is_empty());
        let found = told(&[], &["nginx", "nobody"], true);
        assert_eq!(found.len(), 1);
        assert!(found[0].ends_with("(a thread may have had that name)"));
        let nothing = unmatched(&Filter { pids: vec![1], ..Filter::default() }, &[], false, true);
        assert_eq!(nothing, ["no process 1: no process was seen at all"]);
    }

    #[test]
    fn a_name_within_another_is_nearest() {
        assert_eq!(distance(b"SSL", b"openssl"), 0);
        assert_eq!(distance(b"ngnix", b"nginx"), 1);
    }
}
