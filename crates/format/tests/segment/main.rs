//! Segments as a whole: written, read back, damaged, piped, rotated.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod damage;
mod hostile;
mod round_trip;
mod stock_zstd;
mod store;
mod stream;
mod util;
