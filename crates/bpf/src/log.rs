//! What libbpf says while programs are loaded: kept, because one that is refused may have another in its place.

use std::sync::{Mutex, PoisonError};

use libbpf_rs::{PrintCallback, PrintLevel, set_print};

/// Bytes that are kept, of the end.
const KEPT: usize = 64 << 10;

static TEXT: Mutex<String> = Mutex::new(String::new());

/// Keeps what libbpf says for as long as it lives.
pub(crate) struct Log {
    before: Option<(PrintLevel, PrintCallback)>,
}

impl Log {
    /// Keeps it from now on.
    pub fn begin() -> Self {
        TEXT.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Self { before: set_print(Some((PrintLevel::Warn, keep))) }
    }

    /// What was said since the last attempt began to fail.
    pub fn text(&self) -> String {
        TEXT.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        set_print(self.before.take());
    }
}

fn keep(_: PrintLevel, line: String) {
    let mut text = TEXT.lock().unwrap_or_else(PoisonError::into_inner);
    text.push_str(&line);
    let excess = text.len().saturating_sub(KEPT);
    if excess > 0 {
        let from = (excess..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        text.drain(..from);
    }
}
