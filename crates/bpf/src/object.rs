//! Which of the two compiled objects is loaded: that for Linux 5.17 and newer, or that for older kernels.

use std::sync::OnceLock;

use crate::trial::lacks_loops;

/// The programs for kernels without `bpf_loop` and what came with it; maps, programs and layouts are the same (build.rs).
static OLD: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/old/crypto_trace.bpf.o"));

/// Whether this kernel needs those.
pub(crate) fn is_old() -> bool {
    static IS_OLD: OnceLock<bool> = OnceLock::new();
    *IS_OLD.get_or_init(lacks_loops)
}

/// The object that this kernel needs; called by the skeleton with the other one.
pub(crate) fn bytes(new: &'static [u8]) -> &'static [u8] {
    if is_old() { OLD } else { new }
}
