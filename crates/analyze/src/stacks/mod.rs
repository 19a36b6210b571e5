//! Which stack a first hello looks like: `data/stacks.toml`, a table of first hellos that were measured, and what is compared with it.
//!
//! A guess from the wire: who writes the same hello looks the same, and some do so on purpose. What a probe saw is told elsewhere.
//! Only what a stack decides is compared, see [`TlsShape`] and [`SshShape`]; all of it has to be the same. Knows nothing of
//! records, connections or processes.

#![warn(clippy::indexing_slicing)]

mod names;
mod ssh;
mod table;
mod tls;

pub use ssh::SshShape;
pub use tls::TlsShape;

use crate::protocol::Role;
use crate::protocol::ssh::KexInit;
use crate::protocol::tls::View;
use table::table;

/// What the hello of a TLS, QUIC or DTLS client looks like, each name with the versions that were measured: `Go 1.24 to 1.27`.
/// Several where several write the same hello; none where nobody's is known to be so, and where it may not be the client's first.
pub fn of_client(view: &View) -> &'static [String] {
    // Behind missing packets it may be the second.
    let hello = view.hello().filter(|_| !view.gap);
    let shape = hello.and_then(|hello| TlsShape::new(hello, &view.transport));
    shape.map_or(&[], |shape| table().of_tls(&shape))
}

/// The same of what a side of SSH offers. Of the names that it gives itself nothing is believed, and nothing compared.
pub fn of_ssh(offer: &KexInit, role: Role) -> &'static [String] {
    SshShape::new(offer, role).map_or(&[], |shape| table().of_ssh(&shape))
}
