//! Every type of event: its name, the kind of record behind it, whose it is, and its members.
//!
//! What opens an event is made here from its name; what it holds is declared in the file of its type.

use super::head::{HEAD, Ids, Program, TAIL};
use super::members::{Field, Members};
use super::{
    api_call, certificate_file, clock, file_change, file_open, ike_handshake, inventory, lib_load, library_info, loss,
    probe_status,
};
use super::{
    process_exec, process_exit, process_fork, process_info, self_stats, ssh_handshake, suppressed, tls_handshake,
    wireguard_handshake,
};
use crypto_trace_format::record::{self, Kind};

/// A type of event.
#[derive(Debug, Clone, Copy)]
pub struct EventType {
    /// Its name, the `event_type` that users see.
    pub name: &'static str,
    /// The kind of record that is shown as it, or the kind that stands for it.
    pub kind: Kind,
    /// Whose it is.
    pub who: Who,
    /// What it begins with, up to its time: `{"event_type":"…","timestamp":"`.
    pub(super) open: &'static str,
    /// Its own members, in groups.
    members: &'static [&'static [Field]],
}

/// Whose an event is, and so which members it has besides its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// A process's.
    Process,
    /// A process's, if that is known; its members are `null` otherwise.
    ProcessIfKnown,
    /// The capture's own.
    Capture,
}

impl EventType {
    /// Its own members, in order.
    pub fn members(&self) -> impl Iterator<Item = &'static Field> {
        self.members.iter().copied().flatten()
    }

    /// All of its members, in order.
    pub fn fields(&self) -> impl Iterator<Item = Field> {
        let (who, if_known) = (self.who, self.who == Who::ProcessIfKnown);
        let process = process_fields().filter(move |_| who != Who::Capture);
        let process = process.map(move |field| Field { is_nullable: field.is_nullable || if_known, ..*field });
        HEAD.iter().copied().chain(process).chain(self.members().copied()).chain(TAIL.iter().copied())
    }
}

/// The members of a process.
pub fn process_fields() -> impl Iterator<Item = &'static Field> {
    Ids::FIELDS.iter().chain(Program::FIELDS)
}

macro_rules! event_types {
    ($($name:ident $text:literal of $kind:ident, $who:ident [$($members:ty),*];)*) => {
        $(
            #[doc = concat!("`", $text, "`")]
            pub const $name: EventType = EventType {
                name: $text,
                kind: record::$kind::KIND,
                who: Who::$who,
                open: concat!("{\"event_type\":\"", $text, "\",\"timestamp\":\""),
                members: &[$(<$members as Members>::FIELDS),*],
            };
        )*

        /// All of them.
        pub const EVENT_TYPES: &[EventType] = &[$($name),*];
    };
}

event_types! {
    PROCESS_EXEC "process_exec" of ProcessExec, Process [process_exec::ProcessExec];
    PROCESS_FORK "process_fork" of ProcessFork, Process [process_fork::ProcessFork];
    PROCESS_EXIT "process_exit" of ProcessExit, Process [process_exit::ProcessExit];
    FILE_OPEN "file_open" of FileOpen, Process [file_open::OpenedFile, file_open::FileOpen];
    FILE_CHANGE "file_change" of FileChange, Process [file_change::FileChange];
    LIB_LOAD "lib_load" of LibLoad, Process [lib_load::LibraryFile, lib_load::LibLoad];
    PROCESS_INFO "process_info" of ProcessInfo, Process [process_info::ProcessInfo];
    LOSS "loss" of Loss, Capture [loss::Loss];
    CLOCK "clock" of Clock, Capture [clock::Clock];
    PROBE_STATUS "probe_status" of ProbeStatus, Capture [probe_status::ProbeStatus];
    SELF_STATS "self_stats" of SelfStats, Capture [self_stats::SelfStats];
    TLS_HANDSHAKE "tls_handshake" of TlsHello, ProcessIfKnown [tls_handshake::TlsHandshake];
    SSH_HANDSHAKE "ssh_handshake" of SshHandshake, ProcessIfKnown [ssh_handshake::SshHandshake];
    IKE_HANDSHAKE "ike_handshake" of IkeHandshake, ProcessIfKnown [ike_handshake::IkeHandshake];
    WIREGUARD_HANDSHAKE "wireguard_handshake" of WireguardHandshake, ProcessIfKnown [wireguard_handshake::WireguardHandshake];
    API_CALL "api_call" of ApiCall, Process [api_call::ApiCall];
    LIBRARY_INFO "library_info" of LibraryInfo, ProcessIfKnown [library_info::LibraryInfo];
    INVENTORY "inventory" of Inventory, Capture [inventory::Inventory];
    SUPPRESSED "suppressed" of Suppressed, ProcessIfKnown [suppressed::Suppressed];
    CERTIFICATE_FILE "certificate_file" of CertificateFile, ProcessIfKnown [certificate_file::CertificateFile];
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_of_record_is_shown_as_one_type_of_event() {
        let kinds: BTreeSet<u16> = Kind::shown().map(|kind| kind.0).collect();
        assert_eq!(EVENT_TYPES.iter().map(|ty| ty.kind.0).collect::<BTreeSet<_>>(), kinds);
        assert_eq!(EVENT_TYPES.len(), kinds.len());
        assert!(EVENT_TYPES.iter().all(|ty| ty.kind.event_type() == ty.name));
    }

    #[test]
    fn no_event_has_a_member_twice() {
        for ty in EVENT_TYPES {
            let names: Vec<&str> = ty.fields().map(|field| field.name).collect();
            assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{}: {names:?}", ty.name);
        }
    }
}
