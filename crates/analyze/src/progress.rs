//! Progress of long work, on a terminal's stderr; nothing anywhere else, and nothing when it is over soon.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Work that takes less is not worth a word.
const PATIENCE: Duration = Duration::from_millis(500);

static WANTED: AtomicBool = AtomicBool::new(false);
static TOTAL: AtomicU64 = AtomicU64::new(0);
static DONE: AtomicU64 = AtomicU64::new(0);
static BEGUN: OnceLock<Instant> = OnceLock::new();
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Whether progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum When {
    /// Of long work, on a terminal that shows nothing else meanwhile
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
            let style = ProgressStyle::with_template("{wide_bar} {percent}% of {len} blocks, {eta} left");
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            style.map_or(bar.clone(), |style| bar.with_style(style))
        });
        bar.set_length(TOTAL.load(Ordering::Relaxed));
        bar.set_position(done);
    }
}

/// All of it is read: what was shown goes away.
pub fn end() {
    if let Ok(mut bar) = BAR.lock()
        && let Some(bar) = bar.take()
    {
        bar.finish_and_clear();
    }
}
