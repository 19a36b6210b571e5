//! Which of the compiled objects is loaded: that for Linux 6.2 and newer, that for 5.17 and newer, or that for older kernels.

use std::sync::OnceLock;

use crate::trial::{has_casts, lacks_loops};

/// The programs for kernels without `bpf_loop` and what came with it; maps, programs and layouts are the same (build.rs).
static OLD: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/old/crypto_trace.bpf.o"));

/// The programs for kernels that have casts: the verifier has nothing to take out of them.
static PLAIN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/plain/crypto_trace.bpf.o"));

/// Whether this kernel needs those for older ones.
pub(crate) fn is_old() -> bool {
    static IS_OLD: OnceLock<bool> = OnceLock::new();
    *IS_OLD.get_or_init(lacks_loops)
}

/// The object that this kernel needs; called by the skeleton with the other one.
pub(crate) fn bytes(new: &'static [u8]) -> &'static [u8] {
    if is_old() {
        OLD
    } else if has_casts() {
        PLAIN
    } else {
        new
    }
}
