//! Loads and attaches everything for a target that does not exist, prints the reports.
#![allow(clippy::print_stdout, clippy::unwrap_used)]
use crypto_trace_bpf::*;
fn main() {
    let selection =
        Selection { only_targets: true, follow_children: true, self_tgid: std::process::id(), ..Selection::default() };
    let options =
        LoadOptions { rings: RingSizes { lifecycle_bytes: 1 << 19, events_bytes: 1 << 22 }, wakeup_bytes: 1 << 20 };
    let mut p = Programs::load(&selection, &options).unwrap();
    println!("{:#?}", p.attach());
    p.detach();
}
