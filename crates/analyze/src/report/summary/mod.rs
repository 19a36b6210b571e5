//! The summary as text: the sections of `events -f summary`.

mod calls;
mod coverage;
mod print;
mod tls;

pub use print::{SummaryContext, print};
