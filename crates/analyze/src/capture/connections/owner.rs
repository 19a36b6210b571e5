//! Which process a socket belongs to, as far as its records tell.

use crypto_trace_format::record::{Comm, Header, SocketOwner, flags};

/// How a socket's process is known, from least to best.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum OwnerSource {
    /// It is not.
    #[default]
    Unknown,
    /// It opened the listening socket.
    Listener,
    /// It connected the socket.
    Connect,
    /// It sent an earlier packet.
    Earlier,
    /// It sent a packet of the handshake.
    Sender,
}

impl OwnerSource {
    pub(super) fn new(code: u16) -> Self {
        match SocketOwner(code) {
            SocketOwner::SENDER => Self::Sender,
            SocketOwner::CONNECT => Self::Connect,
            SocketOwner::LISTENER => Self::Listener,
            SocketOwner::EARLIER => Self::Earlier,
            _ => Self::Unknown,
        }
    }

    /// As events show it.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Unknown => None,
            Self::Listener => Some("listened"),
            Self::Connect => Some("connected"),
            Self::Earlier | Self::Sender => Some("sent"),
        }
    }
}

/// The process that owns a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// How it is known.
    pub source: OwnerSource,
    /// Process id.
    pub tgid: u32,
    /// Thread id.
    pub tid: u32,
    /// Start of the process, boot time.
    pub start_ns: u64,
    uid: u32,
    gid: u32,
    comm: Comm,
    /// `start_ns` is rounded down.
    start_is_tick: bool,
}

impl Default for Owner {
    /// Nobody: ids that no user and no group has.
    fn default() -> Self {
        Self {
            source: OwnerSource::Unknown,
            tgid: 0,
            tid: 0,
            start_ns: 0,
            uid: u32::MAX,
            gid: u32::MAX,
            comm: Comm::default(),
            start_is_tick: false,
        }
    }
}

impl Owner {
    pub(super) fn new(header: &Header, source: OwnerSource) -> Self {
        let Header { tgid, tid, start_ns, uid, gid, comm, .. } = *header;
        let start_is_tick = header.flags & flags::START_IS_TICK != 0;
        Self { source, tgid, tid, start_ns, uid, gid, comm, start_is_tick }
    }

    /// Makes a record's header one of this process.
    pub fn put_into(&self, header: &mut Header) {
        let Self { tgid, tid, start_ns, uid, gid, comm, .. } = *self;
        let tick = if self.start_is_tick { flags::START_IS_TICK } else { 0 };
        let flags = header.flags & !flags::START_IS_TICK | tick;
        *header = Header { tgid, tid, start_ns, uid, gid, comm, flags, ..*header };
    }

    /// Whether there is any process to speak of.
    pub fn is_known(&self) -> bool {
        self.source != OwnerSource::Unknown
    }

    /// Name of the thread.
    pub fn comm(&self) -> &[u8] {
        crypto_trace_format::record::trim_comm(&self.comm)
    }
}
