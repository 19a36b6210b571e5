//! The command line: what can be asked, checked in one place, without side effects.

mod capture;
mod doctor;
mod render;
mod snapshot;
mod wire;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use crypto_trace_bpf::{ArgvSelection, TierChoice};
use crypto_trace_format::record::Wanted;

pub use capture::{CaptureArgs, EVENT_RING_BYTES};
pub use doctor::{DoctorArgs, DoctorFormat};
pub use render::{Format, MonitorArgs, ProfileArgs, ShowArgs};
pub use snapshot::SnapshotArgs;
pub use wire::Wire;

use crate::units::{parse_duration, parse_size};

/// Records the cryptography that runs on this host, through eBPF, into segment files that crypto-trace-analyze reads.
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
    /// Show events as they happen: record into a pipe that crypto-trace-analyze renders without privileges
    #[command(after_help = MONITOR_EXAMPLES)]
    Monitor(Box<MonitorArgs>),
    /// Show opens of crypto files as they happen: monitor for file_open alone
    #[command(after_help = FILES_EXAMPLES)]
    Files(Box<ShowArgs>),
    /// Show crypto libraries as processes load them: monitor for lib_load alone
    #[command(after_help = LIBS_EXAMPLES)]
    Libs(Box<ShowArgs>),
    /// Watch processes for a while, then report the cryptography they used
    #[command(after_help = PROFILE_EXAMPLES)]
    Profile(Box<ProfileArgs>),
    /// List the processes with crypto libraries mapped or crypto files open now, from /proc: no privileges, no eBPF
    #[command(after_help = SNAPSHOT_EXAMPLES)]
    Snapshot(Box<SnapshotArgs>),
    /// Check by trying what can be recorded on this host, and suggest what to do about the rest
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(Box<DoctorArgs>),
    /// Print the version
    Version,
    /// Runs a program for each path that it reads, without privileges: what `--on-seal` starts
    #[command(name = crate::on_seal::HELPER_COMMAND, hide = true)]
    OnSeal {
        /// Limit of descriptors, user, group, groups; the program.
        #[arg(allow_hyphen_values = true, required = true)]
        words: Vec<OsString>,
    },
    /// Stops itself until continued, then becomes the command: how `record -- CMD` sees it from its first instruction on
    #[command(name = crate::child::GATE_COMMAND, hide = true)]
    Gate {
        /// The command and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
}

const MONITOR_EXAMPLES: &str = "\
Examples:
  crypto-trace-capture monitor                                   everything on this host, until Ctrl-C
  crypto-trace-capture monitor -d 60 -n nginx -F '*.pem'         nginx's PEM files for a minute
  crypto-trace-capture monitor -o events.json -f json-array -- ./deploy.sh
  crypto-trace-capture monitor --type tls_handshake | jq -r .server_name

Exit codes: those of record; 1 (with a command: 125) also when rendering the events failed.";

const FILES_EXAMPLES: &str = "\
Examples:
  crypto-trace-capture files                                     every crypto file that is opened, until Ctrl-C
  crypto-trace-capture files -F '/etc/ssl/*' -d 5m -o opens.json files opened below /etc/ssl
  crypto-trace-capture files -f summary -- ./deploy.sh           counts, when the command has ended

For a table of files and the programs that opened them: record, then crypto-trace-analyze files.
Exit codes: those of monitor.";

const LIBS_EXAMPLES: &str = "\
Examples:
  crypto-trace-capture libs                                      every crypto library that is loaded, until Ctrl-C
  crypto-trace-capture libs -l libssl -n nginx -d 60             which libssl nginx loads
  crypto-trace-capture libs -- python3 -c 'import ssl'           what a command loads

Libraries that are already loaded come first. For a table of libraries and the programs that use them:
record, then crypto-trace-analyze libs.
Exit codes: those of monitor.";

const PROFILE_EXAMPLES: &str = "\
Examples:
  crypto-trace-capture profile -p 1234                           one process for half a minute
  crypto-trace-capture profile -n nginx -d 60 -o nginx.json      all processes of that name
  crypto-trace-capture profile -f summary -- curl https://localhost

Exit codes: those of record; 1 (with a command: 125) also when rendering the profile failed.";

const SNAPSHOT_EXAMPLES: &str = "\
Examples:
  crypto-trace-capture snapshot                                  all processes, as JSON
  sudo crypto-trace-capture snapshot -f summary                  those of other users too, for people
  crypto-trace-capture snapshot -n nginx -o nginx.json
  crypto-trace-capture snapshot -o inventory.ctseg && crypto-trace-analyze snapshot inventory.ctseg

Whatever it was not allowed to see is counted and reported.
Exit codes: 0 ok, 1 failure, 2 usage.";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  sudo crypto-trace-capture doctor                               everything that was checked
  sudo crypto-trace-capture doctor -q                            only what something can be done about
  sudo crypto-trace-capture doctor -f json -o /data/crypto-trace

The probes are attached for a moment, in this process alone.
Exit codes: 0 usable, 8 partly usable, otherwise as for a recording: 3 privileges missing, 4 the kernel lacks
something, 5 the BPF programs could not be loaded or attached.";

const RECORD_EXAMPLES: &str = "\
Examples:
  crypto-trace-capture record -o /var/log/crypto-trace          everything on this host, until Ctrl-C
  crypto-trace-capture record -o out -- curl https://localhost  one command and all it starts
  crypto-trace-capture record -o out -d 60 -n nginx -F '*.pem'  nginx's certificates for a minute
  crypto-trace-capture record -o - -p 1234 | crypto-trace-analyze events -
  crypto-trace-capture record --config /etc/crypto-trace/capture.toml --check

Exit codes: 0 ok, 1 failure, 2 usage, 3 privileges missing, 4 the kernel lacks something,
5 the BPF programs could not be loaded or attached. With a command, as with env and timeout:
the command's own (128 plus the signal's number for a signal), 125 for any failure of the recording,
126 when the command cannot be run, 127 when it is not found.";

/// Whether to do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// Where it makes sense and is possible.
    Auto,
    /// Always; fail where it is not possible.
    On,
    /// Never.
    Off,
}

impl When {
    /// The same for the segment header, where `by_default` is what auto is.
    pub fn wanted(self, by_default: bool) -> Wanted {
        match self {
            Self::Off => Wanted::OFF,
            Self::On => Wanted::ON,
            Self::Auto if by_default => Wanted::DEFAULT_ON,
            Self::Auto => Wanted::DEFAULT_OFF,
        }
    }
}

/// Which attach tier to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TierArg {
    /// The best that this kernel has.
    Auto,
    /// Programs on the return of kernel functions.
    Fentry,
    /// Return probes on the same functions.
    Kprobe,
    /// A tracepoint on the exit of every system call.
    Tracepoint,
}

impl TierArg {
    /// The same, for the programs.
    pub fn choice(self) -> TierChoice {
        match self {
            Self::Auto => TierChoice::Auto,
            Self::Fentry => TierChoice::Fentry,
            Self::Kprobe => TierChoice::Kprobe,
            Self::Tracepoint => TierChoice::Tracepoint,
        }
    }
}

/// What becomes of names and addresses in TLS hellos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PrivacyMode {
    /// Record them.
    Off,
    /// Record pseudonyms.
    Hash,
    /// Record nothing.
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
    /// Where to record: a directory (created if missing), a new file ending in .ctseg, or - for standard output
    #[arg(short, long, value_name = "DIR|FILE|-", required_unless_present = "config")]
    pub output: Option<PathBuf>,

    /// Read options from this TOML file: keys are the long options; options on the command line override the file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// With --config: only check that the file is valid, that the paths and cgroups it names exist, and that its sizes
    /// are possible
    #[arg(long, requires = "config")]
    pub check: bool,

    /// What to record.
    #[command(flatten)]
    pub capture: CaptureArgs,

    /// Start a new segment when the current one reaches this size
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = parse_size)]
    pub segment_size: u64,

    /// Start a new segment when the current one reaches this age
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

    /// With --retain-bytes: protect segments younger than this from floods. When they take half of that size,
    /// --process-rate and --user-rate fall to an eighth, and from three quarters on to a 64th
    #[arg(long, value_name = "TIME", value_parser = parse_duration, requires = "retain_bytes")]
    pub retain_min_age: Option<Duration>,

    /// zstd compression level, 1 (fastest) to 19
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=19))]
    pub compression_level: i32,

    /// Run this program with the path of each segment once it is sealed, as `CMD PATH`, without a shell and without
    /// privileges. It is run once, whatever comes of it; if it does not keep up, segments are left out, and counted
    #[arg(long, value_name = "CMD")]
    pub on_seal: Option<OsString>,

    /// User to run it as when this runs as root; the segments are readable for members of their group only
    /// [default: nobody]
    #[arg(long, value_name = "USER", requires = "on_seal")]
    pub on_seal_user: Option<String>,

    /// Write out at least this often: a crash loses at most this much time [default: 1s, to standard output 100ms]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub flush_interval: Option<Duration>,
}

/// A combination that makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// A time of nothing is none.
fn not_zero(what: &str, time: Option<Duration>) -> Result<(), UsageError> {
    match time {
        Some(time) if time.is_zero() => Err(UsageError(format!("{what} must be greater than zero"))),
        _ => Ok(()),
    }
}

impl RecordArgs {
    /// Checks what clap cannot.
    ///
    /// # Errors
    /// [`UsageError`] with what to change.
    pub fn validate(&self) -> Result<(), UsageError> {
        not_zero("--flush-interval", self.flush_interval)?;
        if self.output.is_none() {
            return Err(UsageError("no output given: use -o, or set `output` in the --config file".into()));
        }
        if self.segment_size < 64 << 10 {
            return Err(UsageError("--segment-size must be at least 64KiB".into()));
        }
        if self.on_seal.is_some() && self.output.as_ref().is_some_and(|output| output.as_os_str() == "-") {
            return Err(UsageError(
                "--on-seal needs segment files: standard output has none that could be sealed".into(),
            ));
        }
        if self.on_seal.as_ref().is_some_and(|program| program.is_empty()) {
            return Err(UsageError("--on-seal needs the path of a program".into()));
        }
        self.capture.validate()
    }

    /// Where to; [`Self::validate`] sees to it that it is told.
    pub fn output(&self) -> &Path {
        self.output.as_deref().unwrap_or(Path::new("-"))
    }

    /// Whether segments go to standard output.
    pub fn to_stdout(&self) -> bool {
        self.output().as_os_str() == "-"
    }

    /// How often to write out.
    pub fn flush_interval(&self) -> Duration {
        let default = if self.to_stdout() { Duration::from_millis(100) } else { Duration::from_secs(1) };
        self.flush_interval.unwrap_or(default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto_trace_format::record::{ArgvMode, PrivacyMode as Privacy, Protocol};
    use crypto_trace_format::segment::Selected;

    fn parse(line: &str) -> RecordArgs {
        let words = ["crypto-trace-capture", "record", "-o", "x"].into_iter().chain(line.split_whitespace());
        match Cli::try_parse_from(words).expect("clap accepts it").command {
            Command::Record(args) => *args,
            other => unreachable!("record was asked for, not {other:?}"),
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
            "--on-seal=",
        ] {
            assert!(parse(line).validate().is_err(), "{line}");
        }
        for line in ["", "-p 1 -p 2 --follow-children", "-n nginx -F *.pem", "--ring-size 8KiB -- ls -l"] {
            assert!(parse(line).validate().is_ok(), "{line}");
        }
    }

    #[test]
    fn a_stream_has_no_segments_that_could_be_sealed() {
        let check = |output: &str| {
            let words = ["crypto-trace-capture", "record", "--on-seal", "./ship", "-o", output];
            match Cli::try_parse_from(words).expect("clap accepts it").command {
                Command::Record(args) => args.validate().is_ok(),
                other => unreachable!("record was asked for, not {other:?}"),
            }
        };
        assert!(check("out") && check("out.ctseg") && !check("-"));
    }

    #[test]
    fn what_is_selected_is_in_the_header_as_values() {
        let check = |line: &str, expected: fn(&Selected) -> bool, options: &[&str]| {
            let selected = parse(line).capture.selected();
            assert!(expected(&selected), "{line}: {selected:?}");
            assert_eq!(selected.options(), options, "{line}");
        };
        check("", |of| of.tls == Wanted::DEFAULT_ON && of.algorithms == Wanted::DEFAULT_OFF, &[]);
        check("", |of| (of.process_rate, of.user_rate) == (Some(4 << 20), Some(8 << 20)), &[]);
        check("-F *.pem", |of| of.tls == Wanted::DEFAULT_OFF && of.io_uring == Wanted::DEFAULT_ON, &["--file *.pem"]);
        check("-l ssl", |of| of.io_uring == Wanted::DEFAULT_OFF && of.libraries == ["ssl"], &["--library ssl"]);
        check("-l ssl --api", |of| of.library_calls == Wanted::DEFAULT_ON, &["--library ssl", "--api --api-budget 1%"]);
        check("--wire off --privacy drop", |of| of.privacy == Privacy::DROP, &["--wire off", "--privacy drop"]);
        check("--tls on", |of| of.looks_for(Protocol::TLS) && of.looks_for(Protocol::SSH), &["--wire on"]);
        let both = |of: &Selected| of.looks_for(Protocol::TLS) && of.looks_for(Protocol::SSH);
        check("--wire tls,ssh", both, &["--wire tls,ssh"]);
        check("--wire tls,ssh,quic,dtls,ike,wireguard", both, &["--wire on"]);
        check("--wire tls", |of| of.looks_for(Protocol::TLS) && !of.looks_for(Protocol::SSH), &["--wire tls"]);
        check("--wire ssh", |of| of.looks_for(Protocol::SSH) && !of.looks_for(Protocol::TLS), &["--wire ssh"]);
        check("--argv exe -- a b", |of| of.argv == ArgvMode::EXE, &["--argv exe", "-- a"]);
        check("--argv none -- a b", |of| of.command.as_deref() == Some(""), &["--argv none", "-- "]);
        check("--api --api-budget 0.5", |of| of.algorithms_budget_ppb == 5_000_000, &["--api --api-budget 0.5%"]);
    }
}
