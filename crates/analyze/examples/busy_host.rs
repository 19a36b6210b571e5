//! Writes the synthetic capture that benchmarks use: `cargo run --release --example busy_host -- FILE [EVENTS]`.
#![allow(clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

fn main() {
    let mut args = std::env::args().skip(1);
    let path = args.next().unwrap_or_else(|| "busy_host.ctseg".to_owned());
    let events = args.next().map_or(1_000_000, |events| events.parse().unwrap());
    let records = common::busy_host(events, 200, 2_000);
    common::write_segment(path.as_ref(), &common::meta("bench", 1, 0), &records, u32::MAX);
}
