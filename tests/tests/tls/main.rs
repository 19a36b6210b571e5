//! TLS as it is seen on the wire, against what the software itself reports: real servers and clients over loopback.
//!
//! Each test traces only what its own script starts. Keys and certificates are made for it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod calls;
mod handshakes;
mod images;
mod languages;
mod libraries;
mod listeners;
mod mutual;
mod peers;
mod privacy;
mod room;
mod shapes;
mod support;
mod tail_calls;
mod unharmed;
