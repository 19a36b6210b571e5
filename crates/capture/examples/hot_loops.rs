//! What is done for each record, once for each in a file: `hot_loops none|drain|write FILE`, of raw records (`zstd -dc` of a
//! segment). For `cargo xtask instructions`, which counts what it executes.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark's load")]

use crypto_trace_capture::hot_loops::{drain, drain_and_write};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let records = std::fs::read(&args[1]).unwrap();
    let recorded = match args[0].as_str() {
        "drain" => drain(&records, |_| ()).unwrap(),
        "write" => drain_and_write(&records).unwrap(),
        _ => 0,
    };
    println!("{recorded}");
}
