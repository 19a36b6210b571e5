//! What an SSH connection says of itself before it is encrypted: opening lines, both SSH_MSG_KEXINIT, the server's host key.
//!
//! Parses bytes that capture recorded, and that may be cut anywhere and have holes where capture left out what nobody needs; what
//! is there is read. Knows nothing of records, connections or processes. Names that no standard has stay, as names.
//!
//! Lines: RFC 4253 section 4.2; packets: section 6; algorithms and what is agreed: section 7.1; host keys: sections 6.6 and 8,
//! RFC 5656, RFC 8709, and OpenSSH's PROTOCOL.certkeys.

#![warn(clippy::indexing_slicing)]

mod agreed;
mod banner;
mod host_key;
mod kexinit;
mod reader;
mod reason;
mod stream;
mod view;

pub use crate::protocol::Chunk;
pub use agreed::{Agreed, Direction, post_quantum};
pub use banner::Banner;
pub use host_key::{Certificate, HostKey};
pub use kexinit::{KexInit, Offers};
pub use reason::reason_name;
pub use stream::{Stream, message};
pub use view::View;
