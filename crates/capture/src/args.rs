//! The command line: what can be asked, checked in one place, without side effects.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use crypto_trace_bpf::{ArgvSelection, CommFilter, RingSizes, Selection};

use crate::units::{parse_duration, parse_percent, parse_size};

/// Records what cryptography runs on this host, through eBPF, into segment files that crypto-trace-analyze reads.
#[derive(Debug, Parser)]
#[command(name = "crypto-trace-capture", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Record into segment files until stopped, for a time, or for as long as a command runs
    #[command(after_help = RECORD_EXAMPLES)]
    Record(Box<RecordArgs>),
    /// Stops itself until continued, then becomes the command: how `record -- CMD` sees it from its first instruction on
    #[command(name = crate::child::GATE_COMMAND, hide = true)]
    Gate {
        /// The command and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
}

const RECORD_EXAMPLES: &str = "\
Examples:
  crypto-trace-capture record -o /var/log/crypto-trace          everything on this host, until Ctrl-C
  crypto-trace-capture record -o out -- curl https://localhost  one command and all it starts
  crypto-trace-capture record -o out -d 60 -n nginx -F '*.pem'  nginx's certificates for a minute
  crypto-trace-capture record -o - -p 1234 | crypto-trace-analyze events -

Exit codes: 0 ok (with a command: the command's own), 1 failure, 2 usage, 3 privileges missing,
4 the kernel lacks something, 5 the BPF programs could not be loaded or attached.";

/// Whether to do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// Where it makes sense and is possible.
    Auto,
    /// Yes, and fail where it is not possible.
    On,
    /// No.
    Off,
}

/// What becomes of names and addresses in TLS hellos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PrivacyMode {
    /// They are recorded.
    Off,
    /// Pseudonyms.
    Hash,
    /// Nothing.
    Drop,
}

/// How much of the arguments of processes to record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Argv {
    /// All of them.
    Full,
    /// Only the first, the name the program was called by.
    Exe,
    /// None.
    None,
}

impl Argv {
    /// The same for the BPF programs.
    pub fn selection(self) -> ArgvSelection {
        match self {
            Self::Full => ArgvSelection::Full,
            Self::Exe => ArgvSelection::Exe,
            Self::None => ArgvSelection::None,
        }
    }
}

/// `record`.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// Where to: a directory (created if missing), a new file ending in .ctseg, or - for standard output
    #[arg(short, long, value_name = "DIR|FILE|-")]
    pub output: PathBuf,

    /// Stop after this time (60, 30s, 5m)
    #[arg(short, long, value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,

    /// Only this process (repeatable)
    #[arg(short, long, value_name = "PID")]
    pub pid: Vec<u32>,

    /// Only processes whose name contains this, case-sensitive (repeatable)
    #[arg(short, long, value_name = "NAME")]
    pub name: Vec<String>,

    /// Record opens of files that match this glob instead of those the catalog knows; without a slash it is the file name
    /// that must match, with one the whole path (repeatable)
    #[arg(short = 'F', long, value_name = "GLOB")]
    pub file: Vec<String>,

    /// Only libraries whose file name contains this (repeatable); with -F but without -l no libraries are recorded
    #[arg(short, long, value_name = "NAME")]
    pub library: Vec<String>,

    /// With -p or -n: their descendants too
    #[arg(long)]
    pub follow_children: bool,

    /// Only processes of this numeric user id (repeatable)
    #[arg(long, value_name = "UID")]
    pub uid: Vec<u32>,

    /// Only processes in or below this cgroup v2: a path below the cgroup root, or of its directory (repeatable)
    #[arg(long, value_name = "PATH")]
    pub cgroup: Vec<PathBuf>,

    /// Record TLS hellos from the network: auto is on without -F and -l, where the host allows it
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub tls: When,

    /// Record what is asked of the kernel's own crypto: AF_ALG, kTLS, key rings, random bytes; auto is on without -F and -l
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub kernel_crypto: When,
    /// Record handshakes and their configuration from calls into TLS libraries: auto is on without -F and -l, where the host
    /// allows it
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub library_calls: When,

    /// Count the algorithms that programs ask crypto libraries for, in the kernel. Costs the programs about a microsecond per
    /// call
    #[arg(long)]
    pub api: bool,

    /// With --api: how much of one core all of its probes may cost together; those that are hit most are detached before it
    /// becomes more
    #[arg(long, value_name = "PERCENT", default_value = "1%", value_parser = parse_percent, requires = "api")]
    pub api_budget: f64,

    /// How much of the arguments of processes to record: they may hold secrets
    #[arg(long, value_name = "HOW", default_value = "full")]
    pub argv: Argv,

    /// Server names and addresses in TLS hellos: hash replaces each by a pseudonym that is the same within this capture, drop
    /// removes them; either way certificates are left out
    #[arg(long, value_name = "HOW", default_value = "off")]
    pub privacy: PrivacyMode,

    /// Start a new segment at this size
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = parse_size)]
    pub segment_size: u64,

    /// Start a new segment at this age
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_duration)]
    pub segment_age: Duration,

    /// Keep at most this much in the directory, deleting the oldest segments
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub retain_bytes: Option<u64>,

    /// Keep at most this many segments
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub retain_segments: Option<u64>,

    /// Delete segments older than this
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub retain_age: Option<Duration>,

    /// Size of the event ring buffer, a power of two; it takes the bursts that the disk cannot
    #[arg(long, value_name = "SIZE", default_value = "2MiB", value_parser = parse_size)]
    pub ring_size: u64,

    /// zstd level, 1 (fastest) to 19
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=19))]
    pub compression_level: i32,

    /// Write out at least this often: a crash loses at most this [default: 1s, to standard output 100ms]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub flush_interval: Option<Duration>,

    /// Say more: what is attached, which filter runs where
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,

    /// Say nothing but errors and lost events
    #[arg(short, long)]
    pub quiet: bool,

    /// A command to run and trace, with all it starts; recording ends when it does. With `-o -` what it prints goes to
    /// standard error
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// A combination that makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

impl RecordArgs {
    /// Checks what clap cannot.
    ///
    /// # Errors
    /// [`UsageError`] with what to change.
    pub fn validate(&self) -> Result<(), UsageError> {
        let fail = |message: String| Err(UsageError(message));
        let selects_running = !self.pid.is_empty() || !self.name.is_empty();
        if !self.command.is_empty() && selects_running {
            return fail(
                "-p and -n select running processes; with a command, only it and its descendants are traced".into(),
            );
        }
        if self.follow_children && self.pid.is_empty() && self.name.is_empty() {
            return fail("--follow-children needs -p or -n: without them every process is recorded already".into());
        }
        if self.name.len() > CommFilter::MAX_COUNT {
            return fail(format!("at most {} -n filters are possible", CommFilter::MAX_COUNT));
        }
        if self.cgroup.len() > Selection::MAX_CGROUPS {
            return fail(format!("at most {} --cgroup filters are possible", Selection::MAX_CGROUPS));
        }
        if self.name.iter().any(String::is_empty) || self.library.iter().any(String::is_empty) {
            return fail("an empty name matches nothing: give at least one character".into());
        }
        for name in &self.name {
            CommFilter::new(name).map_err(|error| UsageError(format!("-n: {error}")))?;
        }
        for glob in &self.file {
            globset::Glob::new(glob).map_err(|error| UsageError(format!("-F {glob}: {}", error.kind())))?;
        }
        for (what, time) in [("--duration", self.duration), ("--flush-interval", self.flush_interval)] {
            if time.is_some_and(|time| time.is_zero()) {
                return fail(format!("{what} must be more than nothing"));
            }
        }
        if self.api && self.library_calls == When::Off {
            return fail("--api needs calls into libraries: leave --library-calls off out".into());
        }
        if self.segment_size < 64 << 10 {
            return fail("--segment-size must be at least 64KiB".into());
        }
        self.ring_sizes().map(|_| ())
    }

    /// Sizes of the two rings.
    ///
    /// # Errors
    /// [`UsageError`] when `--ring-size` is impossible.
    pub fn ring_sizes(&self) -> Result<RingSizes, UsageError> {
        const LIFECYCLE_BYTES: u32 = 512 << 10;
        let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
        match u32::try_from(self.ring_size) {
            Ok(events_bytes) if events_bytes.is_power_of_two() && self.ring_size >= page && events_bytes <= 1 << 30 => {
                Ok(RingSizes { lifecycle_bytes: LIFECYCLE_BYTES, events_bytes })
            }
            _ => Err(UsageError(format!("--ring-size must be a power of two from {page} bytes to 1GiB"))),
        }
    }

    /// Whether calls into libraries are wanted, where that is possible.
    pub fn wants_library_calls(&self) -> bool {
        match self.library_calls {
            When::Off => false,
            When::On => true,
            When::Auto => self.api || (self.file.is_empty() && self.library.is_empty()),
        }
    }

    /// Whether a probe may be missing: it is one that not every host can have, and nobody asked for it.
    pub fn may_lack(&self, probe: &str) -> bool {
        match probe {
            "tls_hello" => self.tls != When::On,
            "api_call" => self.library_calls != When::On && !self.api,
            _ => false,
        }
    }

    /// Whether segments go to standard output.
    pub fn to_stdout(&self) -> bool {
        self.output.as_os_str() == "-"
    }

    /// Whether the kernel's own crypto is recorded.
    pub fn wants_kernel_crypto(&self) -> bool {
        match self.kernel_crypto {
            When::Off => false,
            When::On => true,
            When::Auto => self.file.is_empty() && self.library.is_empty(),
        }
    }

    /// How often to write out.
    pub fn flush_interval(&self) -> Duration {
        let default = if self.to_stdout() { Duration::from_millis(100) } else { Duration::from_secs(1) };
        self.flush_interval.unwrap_or(default)
    }

    /// The filters in force, as the user gave them, for the segment header.
    pub fn filters(&self) -> Vec<String> {
        let mut filters = Vec::new();
        let mut add = |flag: &str, value: String| filters.push(format!("{flag} {value}"));
        self.pid.iter().for_each(|pid| add("--pid", pid.to_string()));
        self.name.iter().for_each(|name| add("--name", name.clone()));
        self.file.iter().for_each(|glob| add("--file", glob.clone()));
        self.library.iter().for_each(|name| add("--library", name.clone()));
        self.uid.iter().for_each(|uid| add("--uid", uid.to_string()));
        self.cgroup.iter().for_each(|path| add("--cgroup", path.display().to_string()));
        let parts =
            [("--tls", self.tls), ("--library-calls", self.library_calls), ("--kernel-crypto", self.kernel_crypto)];
        for (flag, when) in parts {
            if when != When::Auto {
                filters.push(format!("{flag} {}", if when == When::On { "on" } else { "off" }));
            }
        }
        if self.api {
            filters.push(format!("--api --api-budget {}%", self.api_budget));
        }
        if self.privacy != PrivacyMode::Off {
            filters.push(format!("--privacy {}", if self.privacy == PrivacyMode::Hash { "hash" } else { "drop" }));
        }
        if self.argv != Argv::Full {
            filters.push(format!("--argv {}", if self.argv == Argv::Exe { "exe" } else { "none" }));
        }
        if self.follow_children {
            filters.push("--follow-children".to_owned());
        }
        if !self.command.is_empty() {
            let shown = match self.argv {
                Argv::Full => self.command.len(),
                Argv::Exe => 1,
                Argv::None => 0,
            };
            let words: Vec<_> = self.command.iter().take(shown).map(|word| word.to_string_lossy()).collect();
            filters.push(format!("-- {}", words.join(" ")));
        }
        filters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> RecordArgs {
        let words = ["crypto-trace-capture", "record", "-o", "x"].into_iter().chain(line.split_whitespace());
        match Cli::try_parse_from(words).expect("clap accepts it").command {
            Command::Record(args) => *args,
            Command::Gate { .. } => unreachable!("record was asked for"),
        }
    }

    #[test]
    fn senseless_combinations_are_refused() {
        for line in [
            "-p 1 -- true",
            "--follow-children",
            "-n averyverylongname",
            "-F [",
            "-d 0",
            "--ring-size 5000",
            "--ring-size 1",
            "--segment-size 1",
            "--api --library-calls off",
        ] {
            assert!(parse(line).validate().is_err(), "{line}");
        }
        for line in ["", "-p 1 -p 2 --follow-children", "-n nginx -F *.pem", "--ring-size 8KiB -- ls -l"] {
            assert!(parse(line).validate().is_ok(), "{line}");
        }
    }
}
