//! Progress of long work, on a terminal's stderr; nothing anywhere else, and nothing when it is over soon.

use crate::words::text;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Work that takes less is not worth a word.
const PATIENCE: Duration = Duration::from_millis(500);

/// Before that, nobody knows how fast it goes.
const KNOWING: Duration = Duration::from_secs(2);

static WANTED: AtomicBool = AtomicBool::new(false);
static TOTAL: AtomicU64 = AtomicU64::new(0);
static DONE: AtomicU64 = AtomicU64::new(0);
static BEGUN: OnceLock<Instant> = OnceLock::new();
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Whether progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum When {
    /// For long work, on a terminal that shows nothing else meanwhile
    Auto,
    /// No
    Never,
}

/// Decides for this run. `shows_events`: single events go to stdout as they are found.
pub fn decide(when: When, shows_events: bool) {
    let free = std::io::stderr().is_terminal() && !(shows_events && std::io::stdout().is_terminal());
    WANTED.store(when == When::Auto && free, Ordering::Relaxed);
}

/// So many more blocks are to be read.
pub fn begin(blocks: usize) {
    if WANTED.load(Ordering::Relaxed) {
        BEGUN.get_or_init(Instant::now);
        TOTAL.fetch_add(blocks as u64, Ordering::Relaxed);
    }
}

/// One block is read.
pub fn advance() {
    if !WANTED.load(Ordering::Relaxed) {
        return;
    }
    let done = DONE.fetch_add(1, Ordering::Relaxed) + 1;
    if BEGUN.get().is_none_or(|begun| begun.elapsed() < PATIENCE) {
        return;
    }
    // Whoever holds it is showing as much.
    if let Ok(mut bar) = BAR.try_lock() {
        let bar = bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{wide_bar} {percent}% of {len} blocks{msg}");
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            style.map_or(bar.clone(), |style| bar.with_style(style))
        });
        let total = TOTAL.load(Ordering::Relaxed);
        bar.set_length(total);
        bar.set_position(done);
        let elapsed = BEGUN.get().map(Instant::elapsed).unwrap_or_default();
        bar.set_message(left(done, total, elapsed).map_or_else(String::new, |left| format!(", {left} left")));
    }
}

/// How long it still takes; `None` as long as too little is done to know.
fn left(done: u64, total: u64, elapsed: Duration) -> Option<String> {
    let known = elapsed >= KNOWING && done.saturating_mul(20) >= total && done > 0;
    let ns = elapsed.as_nanos() * u128::from(total.saturating_sub(done)) / u128::from(done.max(1));
    known.then(|| u64::try_from(ns).unwrap_or(u64::MAX)).filter(|ns| *ns >= 1_000_000_000).map(text::duration)
}

/// All of it is read: what was shown goes away.
pub fn end() {
    if let Ok(mut bar) = BAR.lock()
        && let Some(bar) = bar.take()
    {
        bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_told_only_when_it_is_known() {
        let left = |done, total, seconds| left(done, total, Duration::from_secs(seconds));
        assert_eq!(left(1, 1_000, 10), None, "too little is done");
        assert_eq!(left(500, 1_000, 1), None, "too early");
        assert_eq!(left(0, 0, 10), None);
        assert_eq!(left(1_000, 1_000, 10), None, "nothing is left");
        assert_eq!(left(100, 1_000, 10).as_deref(), Some("1m 30s"));
    }
}
