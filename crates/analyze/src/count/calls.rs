//! What is counted of calls of library functions and of the kernel's own crypto.

use crate::capture::libraries::{self, FileId, state};
use crypto_trace_format::record::{ApiCall, ApiCallFixed, ApiMeaning};

/// Calls that are counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey {
    /// The library; (0, 0) is the kernel.
    pub library: FileId,
    /// What it is for, by its number.
    pub meaning: u16,
    /// Name of the function.
    pub function: Box<[u8]>,
    /// The algorithm's name, where the call uses one and tells it so.
    pub text: Box<[u8]>,
    /// The algorithm's number, likewise.
    pub number: u64,
}

impl CallKey {
    /// What a record's calls are counted by. Texts and numbers that are no algorithm are not counted apart.
    pub fn new(call: &ApiCall<'_>) -> Self {
        let ApiCallFixed { dev, ino, meaning, number, .. } = call.fixed;
        let short = |text| libraries::short(text, libraries::MAX_TEXT).into();
        let uses_algorithm = libraries::uses_algorithm(ApiMeaning(meaning));
        let (text, number) = if uses_algorithm { (short(call.text), number) } else { (Box::default(), 0) };
        Self { library: (dev, ino), meaning, function: short(call.function), text, number }
    }
}

/// Calls of one function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallUse {
    /// How many.
    pub calls: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Those of them that the library itself made.
    pub internal: u64,
}

impl CallUse {
    /// Those of one record.
    pub fn new(call: &ApiCall<'_>) -> Self {
        let of = |holds: bool| if holds { call.fixed.count } else { 0 };
        Self {
            calls: call.fixed.count,
            failed: of(libraries::succeeded(call) == Some(false)),
            internal: of(call.fixed.state & state::INTERNAL != 0),
        }
    }

    /// Those that the program made, and not the library of itself.
    pub fn own(self) -> u64 {
        self.calls.saturating_sub(self.internal)
    }

    /// Adds other calls.
    pub fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.failed = self.failed.saturating_add(other.failed);
        self.internal = self.internal.saturating_add(other.internal);
    }
}
