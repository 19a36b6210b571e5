//! Running numbers of a capture, for people and for Prometheus.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use crypto_trace_format::record::SelfStatsFixed;

use crate::exit::Failure;
use crate::limits::privileges;
use crate::say;
use crate::units::show_size;

/// How often the metrics file is replaced when nobody says.
const METRICS_INTERVAL: Duration = Duration::from_secs(15);

/// What there is to tell at one moment. Counts are since the start.
#[derive(Debug, Clone, Copy, Default)]
pub struct Numbers {
    /// As the capture records it of itself.
    pub stats: SelfStatsFixed,
    /// Most bytes found in the rings at once since the last time.
    pub ring_fill_bytes: u64,
    /// Segments begun.
    pub segments: u64,
    /// Probes that are attached, and those that were wanted and are not.
    pub probes: (u64, u64),
}

/// Tells numbers now and then.
#[derive(Debug)]
pub struct Reporter {
    interval: Duration,
    next: Instant,
    print: bool,
    metrics: Option<Metrics>,
    /// None before the first time, which is only for the file.
    last: Option<(Instant, SelfStatsFixed)>,
}

/// A thread that writes the metrics file: a disk that hangs must not hold up the drain thread.
#[derive(Debug)]
struct Metrics {
    texts: SyncSender<String>,
    thread: JoinHandle<()>,
}

impl Reporter {
    /// Prints every `interval`, if there is one, and keeps `metrics_file`, if there is one. `None` when there is nothing to do.
    ///
    /// # Errors
    /// When the metrics file cannot be written.
    pub fn start(interval: Option<Duration>, metrics_file: Option<&Path>) -> Result<Option<Self>, Failure> {
        if interval.is_none() && metrics_file.is_none() {
            return Ok(None);
        }
        let now = Instant::now();
        let print = interval.is_some();
        let interval = interval.unwrap_or(METRICS_INTERVAL);
        let metrics = metrics_file.map(Metrics::start).transpose()?;
        // At once, so that a mistake in the set-up shows.
        Ok(Some(Self { interval, next: now, print, metrics, last: None }))
    }

    /// When it wants to be called next.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// Tells `numbers`.
    pub fn tell(&mut self, numbers: &Numbers, now: Instant) {
        let last = self.last.replace((now, numbers.stats));
        self.next = now + self.interval;
        if let Some(metrics) = &self.metrics {
            // One that is still being written is recent enough.
            let _ = metrics.texts.try_send(prometheus(numbers, true));
        }
        if let (true, Some((since, before))) = (self.print, last) {
            say::info(&line(&before, numbers, now.saturating_duration_since(since)));
        }
    }

    /// Reports the last numbers.
    pub fn finish(self, numbers: &Numbers) {
        if let Some(Metrics { texts, thread }) = self.metrics {
            let _ = texts.send(prometheus(numbers, false));
            drop(texts);
            let _ = thread.join();
        }
    }
}

impl Metrics {
    fn start(path: &Path) -> Result<Self, Failure> {
        let path = path.to_path_buf();
        let place = Place::new(&path).with_context(|| format!("--metrics-file {}", path.display()))?;
        let (texts, received) = sync_channel::<String>(1);
        let run = move || {
            // It only writes this file; without the privilege it does what it can.
            let _ = privileges::keep_writing_only();
            // What is recorded does not depend on it.
            let mut failing = false;
            let mut put = |text: &str| match place.put(text) {
                Ok(()) if failing => {
                    failing = false;
                    say::warning(&format!("--metrics-file {}: being written again", path.display()));
                }
                Err(error) if !failing => {
                    failing = true;
                    say::warning(&format!(
                        "--metrics-file {}: cannot be written: {error}; the recording continues, and the file is tried \
                         again",
                        path.display()
                    ));
                }
                _ => {}
            };
            put("");
            for text in received {
                put(&text);
            }
        };
        let thread = std::thread::Builder::new().name("ct-metrics".to_owned()).spawn(run);
        Ok(Self { texts, thread: thread.context("cannot start the thread that writes metrics")? })
    }
}

/// A file that is replaced as a whole, so that nobody reads half of it.
struct Place {
    path: PathBuf,
    next: PathBuf,
}

impl Place {
    fn new(path: &Path) -> anyhow::Result<Self> {
        let name = path.file_name().context("is not a file name")?;
        // node_exporter reads *.prom only.
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.tmp", std::process::id()));
        Ok(Self { path: path.to_path_buf(), next: path.with_file_name(hidden) })
    }

    fn put(&self, text: &str) -> std::io::Result<()> {
        use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
        let written = (|| {
            // What a run before us left under this name is not ours to follow.
            let _ = std::fs::remove_file(&self.next);
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(&self.next)?;
            // Whoever collects it is somebody else, whatever the umask of the service.
            file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
            file.write_all(text.as_bytes())?;
            std::fs::rename(&self.next, &self.path)
        })();
        if written.is_err() {
            let _ = std::fs::remove_file(&self.next);
        }
        written
    }
}

/// A line for people: what happened since `before`.
fn line(before: &SelfStatsFixed, numbers: &Numbers, elapsed: Duration) -> String {
    let now = &numbers.stats;
    let seconds = elapsed.as_secs_f64().max(1e-9);
    let cpu_ns = |stats: &SelfStatsFixed| stats.cpu_user_ns + stats.cpu_system_ns;
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    let per_second = |count: u64| count as f64 / seconds;
    let rate = per_second(now.recorded.saturating_sub(before.recorded));
    let cpu = per_second(cpu_ns(now).saturating_sub(cpu_ns(before))) / 1e7;
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    let fill = 100.0 * numbers.ring_fill_bytes as f64 / (now.ring_bytes.max(1)) as f64;
    format!(
        "Rate: {rate:.0} events/s, processed: {}, filtered: {}, recorded: {}, lost: {}, dropped: {}, ring: {fill:.0} %, CPU: {cpu:.2} %, RSS: {}",
        now.produced,
        now.filtered,
        now.recorded,
        now.lost,
        now.dropped,
        show_size(now.rss_bytes)
    )
}

/// The same as Prometheus's text format, version 0.0.4. `up`: the capture is still running.
fn prometheus(numbers: &Numbers, up: bool) -> String {
    let stats = &numbers.stats;
    let mut text = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, rows: &[(&str, f64)]| {
        let _ = writeln!(text, "# HELP crypto_trace_{name} {help}\n# TYPE crypto_trace_{name} {kind}");
        for (labels, value) in rows {
            let _ = writeln!(text, "crypto_trace_{name}{labels} {value}");
        }
    };
    #[allow(clippy::cast_precision_loss, reason = "Prometheus has no integers; exact below 2^53")]
    let number = |value: u64| value as f64;
    let seconds = |ns: u64| number(ns) / 1e9;
    let version = concat!("{version=\"", env!("CARGO_PKG_VERSION"), "\"}");
    metric("build_info", "gauge", "Version of the capture.", &[(version, 1.0)]);
    metric("up", "gauge", "1 while the capture runs, 0 once it has ended.", &[("", f64::from(u8::from(up)))]);
    metric("events_produced_total", "counter", "Events that the kernel programs saw.", &[("", number(stats.produced))]);
    metric("events_recorded_total", "counter", "Events written.", &[("", number(stats.recorded))]);
    metric("events_filtered_total", "counter", "Events left out by a filter.", &[("", number(stats.filtered))]);
    let withheld = "Events withheld from processes that produced too many.";
    metric("events_suppressed_total", "counter", withheld, &[("", number(stats.suppressed))]);
    metric("events_lost_total", "counter", "Events the kernel could not deliver.", &[("", number(stats.lost))]);
    metric("events_dropped_total", "counter", "Events that could not be written.", &[("", number(stats.dropped))]);
    let missed = [("", number(stats.missed_runs))];
    metric("missed_runs_total", "counter", "Runs of a program that the kernel skipped.", &missed);
    metric("written_bytes_total", "counter", "Bytes of segments.", &[("", number(stats.written_bytes))]);
    metric("segments_total", "counter", "Segments begun.", &[("", number(numbers.segments))]);
    metric("ring_bytes", "gauge", "Size of the ring buffers.", &[("", number(stats.ring_bytes))]);
    let fill = [("", number(numbers.ring_fill_bytes))];
    metric("ring_fill_bytes", "gauge", "Most bytes found in the rings at once since the last time.", &fill);
    let cpu = [("{mode=\"user\"}", seconds(stats.cpu_user_ns)), ("{mode=\"system\"}", seconds(stats.cpu_system_ns))];
    metric("cpu_seconds_total", "counter", "CPU time of the capture's own process.", &cpu);
    metric("resident_memory_bytes", "gauge", "Resident memory of the capture.", &[("", number(stats.rss_bytes))]);
    let (attached, failed) = numbers.probes;
    let probes = [("{state=\"attached\"}", number(attached)), ("{state=\"failed\"}", number(failed))];
    metric("probes", "gauge", "Probes by state.", &probes);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers() -> Numbers {
        let stats = SelfStatsFixed {
            produced: 1_500,
            recorded: 1_200,
            filtered: 300,
            lost: 5,
            cpu_user_ns: 10_000_000,
            cpu_system_ns: 10_000_000,
            rss_bytes: 12 << 20,
            ring_bytes: 1 << 20,
            ..SelfStatsFixed::default()
        };
        Numbers { stats, ring_fill_bytes: 1 << 18, segments: 2, probes: (7, 1) }
    }

    #[test]
    fn a_line_tells_what_happened_since_the_last() {
        let before = SelfStatsFixed { recorded: 200, ..SelfStatsFixed::default() };
        assert_eq!(
            line(&before, &numbers(), Duration::from_secs(2)),
            "Rate: 500 events/s, processed: 1500, filtered: 300, recorded: 1200, lost: 5, dropped: 0, ring: 25 %, CPU: 1.00 %, RSS: 12.0 MiB"
        );
    }

    #[test]
    fn the_metrics_file_is_replaced_as_a_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("crypto_trace.prom");
        let mut reporter = Reporter::start(None, Some(&path)).expect("writable").expect("something to do");
        reporter.tell(&numbers(), Instant::now());
        reporter.finish(&numbers());
        let text = std::fs::read_to_string(&path).expect("there");
        assert!(text.contains("\ncrypto_trace_events_recorded_total 1200\n"), "{text}");
        assert!(text.contains("\ncrypto_trace_probes{state=\"failed\"} 1\n"), "{text}");
        assert!(text.contains("\ncrypto_trace_up 0\n"), "{text}");
        let names: Vec<_> = std::fs::read_dir(dir.path()).expect("listable").flatten().map(|e| e.file_name()).collect();
        assert_eq!(names, ["crypto_trace.prom"]);
    }

    /// A directory that the service could not write to ended the recording.
    #[test]
    fn a_place_that_cannot_be_written_does_not_end_the_recording() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("later/x.prom");
        let mut reporter = Reporter::start(None, Some(&path)).expect("goes on").expect("something to do");
        reporter.tell(&numbers(), Instant::now());
        std::fs::create_dir(dir.path().join("later")).expect("made");
        reporter.finish(&numbers());
        assert!(std::fs::read_to_string(&path).expect("there").contains("crypto_trace_up 0"));
        assert!(Reporter::start(None, Some(Path::new("/"))).is_err(), "is no name of a file");
    }
}
