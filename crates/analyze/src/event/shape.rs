//! The parts of an event in their order, whatever they are made into: what opens it, whose it is, its own members, notes.

use super::ike_handshake::IkeHandshake;
use super::members::Members;
use super::ssh_handshake::SshHandshake;
use super::tls_handshake::TlsHandshake;
use super::types::{self, EventType};
use super::wireguard_handshake::WireguardHandshake;
use super::{
    api_call, certificate_file, clock, file_change, file_open, inventory, lib_load, library_info, loss, probe_status,
};
use super::{head, process_exec, process_exit, process_fork, process_info, self_stats, suppressed};
use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crate::capture::connections::{Connection, View};
use crate::capture::timeline::{Identity, ImageId};
use crate::words::kernel::is_interrupted;
use crypto_trace_format::catalog::Judged;
use crypto_trace_format::record::{
    self, ApiCall, CertificateFile, Clock, FileChange, FileOpen, Inventory, LibLoad, LibraryInfo, Loss, ProbeStatus,
    ProcessExec, ProcessExit, ProcessFork, ProcessInfo, Record, RecordError, SelfStats, Suppressed, TlsHello,
};

/// How events are shown.
#[derive(Debug, Clone, Copy)]
pub struct RenderOptions {
    /// Hide the names of home directories.
    pub redact: bool,
}

/// A record with all that is needed to show it.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// Its capture.
    pub capture: &'a Capture,
    /// Number of the capture in this run.
    pub capture_index: u32,
    /// The record.
    pub record: Record<'a>,
    /// When it happened.
    pub time: WallNs,
    /// What its process ran then.
    pub image: ImageId,
    /// The connection that the record stands for.
    pub connection: Option<&'a Connection>,
}

/// What an event is made into, part by part.
pub(super) trait Shape {
    /// Its type, its time, its host.
    fn head(&mut self, ty: &'static EventType, event: &Event<'_>);

    /// The process that the record names, and what the timeline knows of it.
    fn process(&mut self, event: &Event<'_>);

    /// No process is known.
    fn no_process(&mut self);

    /// The process, with what the record itself tells of it.
    fn own_identity(&mut self, event: &Event<'_>, identity: &Identity<'_>);

    /// The path of a file that was opened. Returns what its name says of it.
    fn file(&mut self, path: &[u8]) -> Option<Judged>;

    /// The path of a library. Returns what the catalog calls it.
    fn library(&mut self, path: &[u8]) -> Option<&'static str>;

    /// Something to note: [`head::INTERRUPTED`], or nothing.
    fn note(&mut self, note: u32);

    /// The members of its type, its notes, its end.
    fn rest(&mut self, event: &Event<'_>, members: &impl Members);

    /// Whether home directories are hidden.
    fn redacts(&self) -> bool;
}

/// Hands the parts of an event to `to`.
///
/// # Errors
/// When the record's body is malformed, or its kind is unknown; then `to` has seen nothing of it.
#[inline]
pub(super) fn show(event: &Event<'_>, to: &mut impl Shape) -> Result<(), RecordError> {
    let record = &event.record;
    let (capture, header) = (event.capture, &record.header);
    match record.kind() {
        FileOpen::KIND => {
            let open = FileOpen::decode(record)?;
            to.head(&types::FILE_OPEN, event);
            to.process(event);
            let path = &*open.full_path();
            let judged = capture.loaded.judged(header, &open, to.file(path));
            to.note(interrupted(is_interrupted(open.fixed.result.into())));
            to.rest(event, &file_open::FileOpen::new(&open, header, capture.open_flags, path, judged));
        }
        FileChange::KIND => {
            let told = FileChange::decode(record)?;
            to.head(&types::FILE_CHANGE, event);
            to.process(event);
            to.note(interrupted(is_interrupted(told.fixed.result.into())));
            let (path, new) = (told.full_path(), told.full_new());
            to.rest(event, &file_change::FileChange::new(&told, &path, new.as_deref()));
        }
        LibLoad::KIND => {
            let load = LibLoad::decode(record)?;
            to.head(&types::LIB_LOAD, event);
            to.process(event);
            let known = to.library(load.path);
            to.rest(event, &lib_load::LibLoad::new(capture, header, &load, known));
        }
        ProcessExec::KIND => {
            let exec = ProcessExec::decode(record)?;
            to.head(&types::PROCESS_EXEC, event);
            let identity = process_exec::identity(capture.timeline.identity(event.image), &exec);
            to.own_identity(event, &identity);
            to.rest(event, &process_exec::ProcessExec::new(&exec));
        }
        ProcessInfo::KIND => {
            let info = ProcessInfo::decode(record)?;
            to.head(&types::PROCESS_INFO, event);
            let identity = process_info::identity(capture.timeline.identity(event.image), &info);
            to.own_identity(event, &identity);
            to.rest(event, &process_info::ProcessInfo::new(&info));
        }
        ProcessFork::KIND => {
            let fork = ProcessFork::decode(record)?;
            to.head(&types::PROCESS_FORK, event);
            to.process(event);
            to.rest(event, &process_fork::ProcessFork::new(&fork));
        }
        ProcessExit::KIND => {
            let exit = ProcessExit::decode(record)?;
            to.head(&types::PROCESS_EXIT, event);
            to.process(event);
            to.rest(event, &process_exit::ProcessExit::new(&exit));
        }
        TlsHello::KIND | record::SshHandshake::KIND | record::IkeHandshake::KIND | record::WireguardHandshake::KIND => {
            let Some(connection) = event.connection else { return Err(unknown(record)) };
            handshake(event, connection, to);
        }
        ApiCall::KIND => {
            let call = ApiCall::decode(record)?;
            to.head(&types::API_CALL, event);
            to.process(event);
            to.note(interrupted(crate::capture::libraries::was_interrupted(&call)));
            let algorithm = api_call::algorithm(capture, &call);
            to.rest(event, &api_call::ApiCall::new(capture, &call, algorithm.as_deref()));
        }
        LibraryInfo::KIND => {
            let info = LibraryInfo::decode(record)?;
            to.head(&types::LIBRARY_INFO, event);
            process_if(header.tgid != 0, event, to);
            to.rest(event, &library_info::LibraryInfo::new(&info));
        }
        Suppressed::KIND => {
            let withheld = Suppressed::decode(record)?;
            to.head(&types::SUPPRESSED, event);
            process_if(header.tgid != 0, event, to);
            to.rest(event, &suppressed::Suppressed::new(capture, header, &withheld));
        }
        CertificateFile::KIND => {
            let file = CertificateFile::decode(record)?;
            to.head(&types::CERTIFICATE_FILE, event);
            process_if(header.tgid != 0, event, to);
            to.rest(event, &certificate_file::CertificateFile::new(header, &file));
        }
        // Events about the capture itself have no process.
        Loss::KIND => {
            let members = loss::Loss::new(capture, &Loss::decode(record)?);
            to.head(&types::LOSS, event);
            to.rest(event, &members);
        }
        Clock::KIND => {
            let members = clock::Clock::new(&Clock::decode(record)?);
            to.head(&types::CLOCK, event);
            to.rest(event, &members);
        }
        ProbeStatus::KIND => {
            let members = probe_status::ProbeStatus::new(&ProbeStatus::decode(record)?);
            to.head(&types::PROBE_STATUS, event);
            to.rest(event, &members);
        }
        SelfStats::KIND => {
            let members = self_stats::SelfStats::new(header, &SelfStats::decode(record)?);
            to.head(&types::SELF_STATS, event);
            to.rest(event, &members);
        }
        Inventory::KIND => {
            let members = inventory::Inventory::new(capture, &Inventory::decode(record)?);
            to.head(&types::INVENTORY, event);
            to.rest(event, &members);
        }
        _ => return Err(unknown(record)),
    }
    Ok(())
}

/// One end of a connection, in the words of its protocol. Not inlined: what it needs of the stack other events do not pay for.
#[inline(never)]
fn handshake(event: &Event<'_>, connection: &Connection, to: &mut impl Shape) {
    let capture = event.capture;
    let is_known = connection.owner.is_known();
    match &*connection.view() {
        View::Tls(view) => {
            to.head(&types::TLS_HANDSHAKE, event);
            process_if(is_known, event, to);
            to.rest(event, &TlsHandshake::new(capture, connection, view, to.redacts()));
        }
        View::Ike(view) => {
            to.head(&types::IKE_HANDSHAKE, event);
            process_if(is_known, event, to);
            to.rest(event, &IkeHandshake::new(capture, connection, view, to.redacts()));
        }
        View::Wireguard(view) => {
            to.head(&types::WIREGUARD_HANDSHAKE, event);
            process_if(is_known, event, to);
            to.rest(event, &WireguardHandshake::new(capture, connection, view, to.redacts()));
        }
        View::Ssh(view) => {
            to.head(&types::SSH_HANDSHAKE, event);
            process_if(is_known, event, to);
            to.rest(event, &SshHandshake::new(capture, connection, view, to.redacts()));
        }
    }
}

/// The process where it is known, and `null` for each of its members where it is not.
#[inline]
fn process_if(is_known: bool, event: &Event<'_>, to: &mut impl Shape) {
    if is_known { to.process(event) } else { to.no_process() }
}

/// The note that the kernel gave the call up, where it did.
fn interrupted(is: bool) -> u32 {
    if is { head::INTERRUPTED } else { 0 }
}

/// A record that cannot be shown.
fn unknown(record: &Record<'_>) -> RecordError {
    RecordError::BadFixedLength { fixed_len: record.header.fixed_len, len: record.header.len }
}
