//! The kernel's own crypto, as programs ask for it: AF_ALG, kTLS, key rings, random bytes. What the kernel answered is what
//! was recorded, also where it lacks the facility and refused.
//!
//! Every test traces only what it started itself.
#![allow(clippy::unwrap_used, reason = "tests")]

mod calls;
mod privacy;
mod random;
mod support;
