//! What the first exchange of IKEv2 says in the clear: what both sides propose and choose, and what they say they can do.
//!
//! Parses datagrams that capture recorded, and that may be cut anywhere; what is there is read. Of IKE_INTERMEDIATE only the
//! header is there, and more is encrypted. Knows nothing of records, connections or processes.
//!
//! Messages: RFC 7296 sections 3.1 to 3.12; additional key exchanges: RFC 9370; IKE_INTERMEDIATE: RFC 9242; fragmentation: RFC 7383;
//! four zeros before a message on port 4500: RFC 3948 section 2.2.

#![warn(clippy::indexing_slicing)]

mod message;
mod names;
mod view;

pub use message::{Exchange, Message, Proposal, Transform, TransformType, notify};
pub use names::{error_name, is_post_quantum, transform_name};
pub use view::View;
