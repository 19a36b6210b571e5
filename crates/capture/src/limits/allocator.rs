//! What the C library's allocator keeps for itself.
//!
//! Left alone it gives every thread an arena, and once something large was freed, such as what libbpf reads of the kernel's types,
//! it keeps as much of all that is freed later. Most of what a recording allocates it allocates before it begins; this gives it
//! back by then, so that rings and blocks do not come on top of it.
#![allow(unsafe_code, reason = "mallopt and malloc_trim have no safe form")]

/// glibc's own initial value; set, it stays: otherwise it grows to the size of what was freed, up to 32 MiB (mallopt(3)).
#[cfg(target_env = "gnu")]
const LARGE_BYTES: libc::c_int = 128 << 10;

/// One arena for all threads, and what is large goes back when it is freed. To be called before there are threads.
pub(crate) fn keep_little() {
    #[cfg(target_env = "gnu")]
    for (parameter, value) in
        [(libc::M_ARENA_MAX, 1), (libc::M_MMAP_THRESHOLD, LARGE_BYTES), (libc::M_TRIM_THRESHOLD, LARGE_BYTES)]
    {
        // SAFETY: any value is valid; at worst nothing changes.
        unsafe { libc::mallopt(parameter, value) };
    }
}

/// Gives back what is free.
pub(crate) fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it may be called at any time, from any thread.
    unsafe {
        libc::malloc_trim(0)
    };
}
