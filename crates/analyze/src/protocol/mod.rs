//! What the bytes of a protocol say. No capture, no JSON, no input or output.
//!
//! A protocol is a folder with a type that implements [`Protocol`], and a row of `protocols!`. Who asks of a connection only what
//! all protocols answer asks its [`View`]; who wants more takes the protocol's own view out of it.

pub mod dtls;
pub mod iana;
pub mod ike;
pub mod quic;
pub mod ssh;
pub mod tls;
pub mod wireguard;

use crypto_trace_format::record::Protocol as Code;

/// What a protocol makes of a connection of which the first bytes are recorded.
pub trait Protocol {
    /// Reads what was seen of a connection at one of its ends. Any bytes may be there, and any missing.
    fn read(ends: &Ends<'_>) -> Self;

    /// Which side this end is. None when nothing says so.
    fn role(&self) -> Option<Role>;

    /// How far the handshake came.
    fn outcome(&self) -> Outcome;

    /// Whether more may be seen of a handshake that was answered, before it is encrypted.
    fn may_go_on(&self) -> bool;
}

macro_rules! protocols {
    ($($get:ident: $name:ident($view:ty) = $($code:ident by $read:expr),+;)*) => {
        /// What its protocol makes of a connection.
        #[derive(Debug, Clone)]
        pub enum View {
            $(
                #[doc = concat!("Of ", $("[`Code::", stringify!($code), "`] ",)+ "alone.")]
                $name($view),
            )*
        }

        impl View {
            /// What reads connections of a protocol, by its code in the record. None for one of a later version.
            pub fn reader(code: Code) -> Option<fn(&Ends<'_>) -> Self> {
                match code {
                    $($( Code::$code => Some(|ends| Self::$name($read(ends))), )+)*
                    _ => None,
                }
            }

            /// See [`Protocol::role`].
            pub fn role(&self) -> Option<Role> {
                match self { $( Self::$name(view) => view.role(), )* }
            }

            /// See [`Protocol::outcome`].
            pub fn outcome(&self) -> Outcome {
                match self { $( Self::$name(view) => view.outcome(), )* }
            }

            /// See [`Protocol::may_go_on`].
            pub fn may_go_on(&self) -> bool {
                match self { $( Self::$name(view) => view.may_go_on(), )* }
            }

            $(
                #[doc = concat!("If it is of ", $("[`Code::", stringify!($code), "`] ",)+ "alone.")]
                pub fn $get(&self) -> Option<&$view> {
                    if let Self::$name(view) = self { Some(view) } else { None }
                }
            )*
        }
    };
}

protocols! {
    tls: Tls(tls::View) = TLS by <tls::View as Protocol>::read, QUIC by quic::read, DTLS by dtls::read;
    ssh: Ssh(ssh::View) = SSH by <ssh::View as Protocol>::read;
    ike: Ike(ike::View) = IKE by <ike::View as Protocol>::read;
    wireguard: Wireguard(wireguard::View) = WIREGUARD by <wireguard::View as Protocol>::read;
}

/// Both directions of a connection, as one of its ends saw them.
#[derive(Debug, Default)]
pub struct Ends<'a> {
    /// What this end sent.
    pub sent: Said<'a>,
    /// What it received.
    pub received: Said<'a>,
    /// Which side of the TCP connection this end is: the client opened it. None when nothing says so.
    pub opened_by: Option<Role>,
}

impl Ends<'_> {
    /// From the first bytes of one side to the first of the other, as this end saw them, ns. None: one was not seen.
    pub fn exchange_ns(&self) -> Option<u64> {
        Some(self.sent.first_ns?.abs_diff(self.received.first_ns?))
    }
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub struct Said<'a> {
    /// Its bytes in order, each once, up to the first that are missing.
    pub chunks: Vec<Chunk<'a>>,
    /// Whether some are missing.
    pub gap: bool,
    /// When its first bytes were seen, boot time, ns.
    pub first_ns: Option<u64>,
    /// When its last bytes were seen, boot time, ns.
    pub last_ns: Option<u64>,
    /// Where in the stream the first of them are.
    pub first_offset: u32,
}

impl Said<'_> {
    /// The message of each datagram, and whether some could not be read.
    pub fn messages<T>(&self, parse: impl Fn(&[u8]) -> Option<T>) -> (Vec<T>, bool) {
        let found: Vec<T> = self.chunks.iter().filter_map(|chunk| parse(chunk.bytes)).collect();
        let unread = found.len() < self.chunks.len();
        (found, unread)
    }
}

/// Of notes those that are to be told.
fn those_that_are<const N: usize>(notes: [(bool, &'static str); N]) -> Vec<&'static str> {
    notes.into_iter().filter(|(is, _)| *is).map(|(_, note)| note).collect()
}

/// Bytes at a place in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Where the first of them is.
    pub offset: u32,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// Which side of the handshake this end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It opened the handshake.
    Client,
    /// It answers.
    Server,
}

impl Role {
    /// The side that it talks to.
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    /// As events show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// How far a handshake came, as the wire shows it, whatever its protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// No answer was seen.
    None,
    /// The server answered: of TLS, it chose version and suite; of SSH, both sides offered something in common.
    ServerHello,
    /// One side refused, in the clear: of TLS, by a fatal alert; of SSH, they have nothing in common, or one disconnected; of
    /// IKE, the responder answered with an error.
    Alert,
}

impl Outcome {
    /// As events show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ServerHello => "server_hello",
            Self::Alert => "alert",
        }
    }
}
