//! How a look at /proc went: what was seen, what may not be seen, and what was left out.

use crypto_trace_format::record::{Header, Inventory, InventoryFixed};

use crate::clock::boottime_ns;

/// How a look at /proc went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Processes that were looked at.
    pub processes: u32,
    /// Those of them whose libraries it was not allowed to see.
    pub maps_denied: u32,
    /// Those of them whose open files it was not allowed to see.
    pub files_denied: u32,
    /// Processes that ended meanwhile.
    pub vanished: u32,
    /// One of those of which it was not allowed to see something.
    pub denied_pid: Option<u32>,
    /// Processes of which not everything was looked at: it was more than their share, or could not be read.
    pub cut: u32,
    /// One of those.
    pub cut_pid: Option<u32>,
}

impl Tally {
    /// Whether something was there that it was not allowed to see.
    pub fn is_denied(&self) -> bool {
        self.maps_denied > 0 || self.files_denied > 0
    }

    /// Whether something was there that is not told.
    pub fn is_partial(&self) -> bool {
        self.is_denied() || self.cut > 0
    }

    /// Adds what another look found.
    pub fn add(&mut self, other: Self) {
        let Self { processes, maps_denied, files_denied, vanished, denied_pid, cut, cut_pid } = other;
        self.processes += processes;
        self.maps_denied += maps_denied;
        self.files_denied += files_denied;
        self.vanished += vanished;
        self.denied_pid = self.denied_pid.or(denied_pid);
        self.cut += cut;
        self.cut_pid = self.cut_pid.or(cut_pid);
    }

    /// Something of a process was not looked at.
    pub fn count_cut(&mut self, pid: u32) {
        self.cut += 1;
        self.cut_pid.get_or_insert(pid);
    }

    /// What is said to people of what was not looked at.
    pub fn cut_message(&self) -> Option<String> {
        let such_as = self.cut_pid.map_or(String::new(), |pid| format!(", such as {pid}"));
        (self.cut > 0).then(|| {
            format!(
                "{} of {} processes{such_as}, have more arguments, libraries or open files than their share, or could \
                 not be read: the recording lacks some of these",
                self.cut, self.processes
            )
        })
    }

    /// Appends an `inventory` record of a look that began at this boot time and ends now.
    pub fn encode(&self, began_ns: u64, out: &mut Vec<u8>) {
        let Self { processes, maps_denied, files_denied, vanished, denied_pid, cut, cut_pid } = *self;
        let fixed = InventoryFixed {
            began_ns,
            processes,
            maps_denied,
            files_denied,
            vanished,
            denied_tgid: denied_pid.unwrap_or_default(),
            cut,
            cut_tgid: cut_pid.unwrap_or_default(),
            reserved: 0,
        };
        Inventory { fixed, ..Inventory::default() }.encode(Header { time_ns: boottime_ns(), ..Header::default() }, out);
    }
}
