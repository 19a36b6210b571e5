//! The summary as text: the sections of `events -f summary`.

mod calls;
mod coverage;
mod page;
mod print;
mod tls;
mod wire;

pub use page::SummaryContext;
pub use print::print;
