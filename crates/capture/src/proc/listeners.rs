//! Listening sockets of selected processes that were there before the recording: the BPF programs are told whose they are,
//! so that the hellos of connections to come are recorded from their first byte.
//!
//! A socket of another process is reached by a duplicate of its descriptor (pidfd_getfd(2)), which is closed at once; only
//! those that /proc says are listening are touched. What sockets a network namespace has is read once, however many processes are
//! in it, and only if one of them has any socket.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::ops::ControlFlow;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use crypto_trace_bpf::{ListenerOwner, Programs};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::proc::entry::{Entry, Extent, Limits, each_line};
use crate::say;

/// Descriptors of one process that are looked at.
const MAX_DESCRIPTORS: usize = 65_536;

/// Time for all namespaces: programs are not attached yet, and a service manager waits.
const TIME: Duration = Duration::from_secs(5);

/// What is looked at of the sockets of one namespace, of each address family: 400,000 of them.
const LIMITS: Limits = Limits { line: 1 << 10, total: 64 << 20, time: Duration::from_secs(2) };

/// Listening sockets that are known, in all namespaces.
const MAX_LISTENING: usize = 1 << 18;

/// `TCP_LISTEN`, include/net/tcp_states.h, as /proc/net/tcp has it.
const LISTEN: &str = "0A";

/// `TCP_CLOSE`, which a socket for datagrams is in that is connected to nobody.
const UNCONNECTED: &str = "07";

/// What is known of listening sockets so far.
pub struct Listeners {
    /// Inode numbers of those of each network namespace, by its own.
    of_namespace: HashMap<u64, HashSet<u64>>,
    began: Instant,
    listening: usize,
    processes: usize,
    cut: bool,
}

impl Listeners {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self { of_namespace: HashMap::new(), began: Instant::now(), listening: 0, processes: 0, cut: false }
    }

    /// Tells the programs of the listening sockets of this process. What cannot be looked at is passed over: its connections
    /// are then recorded from their first answer on.
    pub fn own(&mut self, programs: &Programs, owner: &ListenerOwner) -> Option<()> {
        if self.began.elapsed() >= TIME {
            self.cut = true;
            return None;
        }
        let entry = Entry::open(owner.tgid).ok()?;
        let mut sockets = Vec::new();
        let seen = entry.descriptors(MAX_DESCRIPTORS, |number, link| sockets.extend(Some(number).zip(socket(link))));
        self.cut |= matches!(seen, Ok(Extent::Cut));
        if sockets.is_empty() {
            return None;
        }
        let listening = self.listening(&entry)?;
        sockets.retain(|(_, inode)| listening.contains(inode));
        if sockets.is_empty() {
            return None;
        }
        self.processes += 1;
        let pidfd = pidfd_open(Pid::from_raw(i32::try_from(owner.tgid).ok()?)?, PidfdFlags::empty()).ok()?;
        for (number, _) in sockets {
            if let Ok(number) = i32::try_from(number)
                && let Ok(socket) = pidfd_getfd(&pidfd, number, PidfdGetfdFlags::empty())
            {
                // Refused only when memory is short; then it is as if it could not be looked at.
                let _ = programs.own_listener(socket.as_fd(), owner);
            }
        }
        Some(())
    }

    /// Inode numbers of the listening sockets of a process's network namespace.
    fn listening(&mut self, entry: &Entry) -> Option<&HashSet<u64>> {
        let namespace = entry.ino("ns/net")?;
        if !self.of_namespace.contains_key(&namespace) {
            let mut found = HashSet::new();
            // One for datagrams has no state: it listens from when it is made.
            for (name, state) in
                [("net/tcp", LISTEN), ("net/tcp6", LISTEN), ("net/udp", UNCONNECTED), ("net/udp6", UNCONNECTED)]
            {
                let room = MAX_LISTENING.saturating_sub(self.listening + found.len());
                let extent = entry.file(name).and_then(|file| read(file, state, room, &mut found));
                self.cut |= matches!(extent, Ok(Extent::Cut));
            }
            self.listening += found.len();
            self.of_namespace.insert(namespace, found);
        }
        self.of_namespace.get(&namespace)
    }

    /// Says what was found, when asked to, and what was not looked at.
    pub fn tell(&self, verbose: bool) {
        if verbose {
            say::info(&format!(
                "listening sockets: {} of {} processes, read of {} network namespaces",
                self.listening,
                self.processes,
                self.of_namespace.len()
            ));
        }
        if self.cut {
            say::warning(
                "there are more sockets than are examined before a recording begins: the client's hello may be missing \
                 for some servers",
            );
        }
    }
}

/// Adds the inode numbers of sockets in a state in a text like /proc/net/tcp, proc_net_tcp(5), at most so many.
fn read(from: impl Read, state: &str, room: usize, found: &mut HashSet<u64>) -> std::io::Result<Extent> {
    let most = found.len() + room;
    let mut full = false;
    let extent = each_line(from, LIMITS, |line| {
        let Ok(line) = std::str::from_utf8(line) else { return ControlFlow::Continue(()) };
        let mut fields = line.split_ascii_whitespace().skip(3);
        if fields.next() == Some(state)
            && let Some(inode) = fields.nth(5).and_then(|inode| inode.parse().ok())
        {
            full = found.len() >= most;
            if full {
                return ControlFlow::Break(());
            }
            found.insert(inode);
        }
        ControlFlow::Continue(())
    })?;
    Ok(if full { Extent::Cut } else { extent })
}

/// The inode number of a socket that a descriptor is of, by its link.
fn socket(link: &[u8]) -> Option<u64> {
    let inode = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(inode).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &[u8] = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
        0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0\n\
        1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 4712 1 0000000000000000 100 0 0 10 0\n\
        2: 0100007F:1F90 0100007F:C35A 01 00000000:00000000 02:000A7214 00000000     0        0 4713 2 0000000000000000 20 4 30 10 -1\n";

    #[test]
    fn listening_sockets_of_a_namespace() {
        let check = |text: &[u8], room, expected: &[u64], extent| {
            let mut found = HashSet::new();
            assert_eq!(read(text, LISTEN, room, &mut found).expect("memory can be read"), extent);
            assert_eq!(found, expected.iter().copied().collect());
        };
        check(TCP, 9, &[4711, 4712], Extent::Whole);
        check(TCP, 2, &[4711, 4712], Extent::Whole);
        check(TCP, 0, &[], Extent::Cut);
        check(b"", 9, &[], Extent::Whole);
        check(b"0A\n\xff\n0: 1 2 0A\n", 9, &[], Extent::Whole);
        assert_eq!((socket(b"socket:[12]"), socket(b"socket:[x]"), socket(b"/a")), (Some(12), None, None));
    }
}
