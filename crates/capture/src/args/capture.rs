//! What every command that records is told: what to record and of whom.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use crypto_trace_bpf::{CommFilter, RingSizes, Selection};
use crypto_trace_format::record::{self, ArgvMode, Wanted};
use crypto_trace_format::segment::Selected;

use super::{Argv, PrivacyMode, TierArg, UsageError, When, Wire, not_zero};
use crate::units::{parse_duration, parse_percent, parse_size, parse_uid};

/// Size of the event ring when none is given: `--ring-size 2MiB`.
pub const EVENT_RING_BYTES: u64 = 2 << 20;

/// What to record, of whom, and how much to say of it: the same for every command that records.
#[derive(Debug, Args)]
pub struct CaptureArgs {
    /// Stop after this long (60, 30s, 5m)
    #[arg(short, long, value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,

    /// Record only this process (repeatable)
    #[arg(short, long, value_name = "PID")]
    pub pid: Vec<u32>,

    /// Only processes whose name, or whose executable's name, contains this, case-sensitive (repeatable)
    #[arg(short, long, value_name = "NAME")]
    pub name: Vec<String>,

    /// Record opens of files that match this glob instead of those in the catalog; a glob without a slash matches the
    /// file name, one with a slash the whole path (repeatable)
    #[arg(short = 'F', long, value_name = "GLOB")]
    pub file: Vec<String>,

    /// Only libraries whose file name contains this (repeatable); with -F but without -l no libraries are recorded
    #[arg(short, long, value_name = "NAME")]
    pub library: Vec<String>,

    /// With -p or -n: include descendants of these processes
    #[arg(long)]
    pub follow_children: bool,

    /// Only processes of this user: a user name on this host, or a numeric id (repeatable)
    #[arg(long, value_name = "USER", value_parser = parse_uid)]
    pub uid: Vec<u32>,

    /// Only processes in or below this cgroup (v2): its path below the cgroup root, or the path of its directory
    /// (repeatable)
    #[arg(long, value_name = "PATH")]
    pub cgroup: Vec<PathBuf>,

    /// Record the beginnings of connections from the network: of these protocols (tls, ssh, quic, dtls, ike, wireguard), or of all
    /// with on; auto is all without -F and -l, where the host allows it. The old word for it is --tls
    #[arg(long, alias = "tls", value_name = "WHAT", default_value = "auto", value_parser = Wire::parse)]
    pub wire: Wire,

    /// Record requests to the kernel's own crypto: AF_ALG, kTLS, key rings, random bytes; auto is on without -F and -l
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub kernel_crypto: When,

    /// Record files opened through io_uring, which adds about 0.15 us to every io_uring completion of any kind; auto is
    /// on where the kernel reports these opens
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub io_uring: When,

    /// Record handshakes and their configuration from calls into TLS libraries: auto is on without -F and -l, where the host
    /// allows it
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub library_calls: When,

    /// How to observe the end of system calls: fentry and kprobe slow down only the calls that are recorded, tracepoint
    /// slows every system call a little; auto is the best that this kernel has
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub tier: TierArg,

    /// Count in the kernel the algorithms that programs request from crypto libraries. Costs the programs about a
    /// microsecond per call
    #[arg(long)]
    pub api: bool,

    /// With --api: limit on what all its probes may cost together, as a share of one core; the probes hit most are
    /// detached before the limit is exceeded
    #[arg(long, value_name = "PERCENT", default_value = "1%", value_parser = parse_percent, requires = "api")]
    pub api_budget: f64,

    /// How much of process arguments to record: they may hold secrets
    #[arg(long, value_name = "HOW", default_value = "full")]
    pub argv: Argv,

    /// How to record server names in TLS hellos, and addresses: hash replaces each with a pseudonym that is the same
    /// throughout this capture, drop removes them; both leave certificates out
    #[arg(long, value_name = "HOW", default_value = "off")]
    pub privacy: PrivacyMode,

    /// Size of the event ring buffer, a power of two; it absorbs bursts that the disk cannot keep up with
    #[arg(long, value_name = "SIZE", default_value = "2MiB", value_parser = parse_size)]
    pub ring_size: u64,

    /// Bytes of events to record per second for one process, sustained over more than 16 s; any excess is withheld and
    /// counted, as is anything that would fill up the ring buffer; 0: no limit; both rates 0: no share of the ring
    /// buffer either
    #[arg(long, value_name = "SIZE", default_value = "4MiB", value_parser = parse_size)]
    pub process_rate: u64,

    /// The same for all processes of a user together; for root, for the processes of each cgroup
    #[arg(long, value_name = "SIZE", default_value = "8MiB", value_parser = parse_size)]
    pub user_rate: u64,

    /// Print a line with rate, ring fill, losses, CPU and memory at this interval
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub stats_interval: Option<Duration>,

    /// Keep the same numbers in this file as Prometheus text, for node_exporter's textfile collector; the file is
    /// replaced as a whole every 15 s, or at --stats-interval if given
    #[arg(long, value_name = "FILE")]
    pub metrics_file: Option<PathBuf>,

    /// Print more: what is attached, which filter runs where
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,

    /// Print only errors and lost events
    #[arg(short, long)]
    pub quiet: bool,

    /// Command to run and trace, with everything it starts; recording ends when it does. Its output goes to standard
    /// error if the recording goes to standard output
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

impl CaptureArgs {
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
        for (what, time) in [("--duration", self.duration), ("--stats-interval", self.stats_interval)] {
            not_zero(what, time)?;
        }
        if self.api && self.library_calls == When::Off {
            return fail("--api needs calls into libraries: leave --library-calls off out".into());
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

    /// Whether hellos from the network are wanted.
    pub fn wire(&self) -> Wanted {
        self.wire.when.wanted(self.selects_no_files())
    }

    /// Whether calls into libraries are wanted.
    pub fn library_calls(&self) -> Wanted {
        self.library_calls.wanted(self.api || self.selects_no_files())
    }

    /// Whether the kernel's own crypto is wanted.
    pub fn kernel_crypto(&self) -> Wanted {
        self.kernel_crypto.wanted(self.selects_no_files())
    }

    fn selects_no_files(&self) -> bool {
        self.file.is_empty() && self.library.is_empty()
    }

    /// Whether a probe may be missing: it is one that not every host can have, and nobody asked for it.
    pub fn may_lack(&self, probe: &str) -> bool {
        match probe {
            "tls_hello" | "ssh_hello" | "datagram_hello" => self.wire.when != When::On,
            "api_call" => self.library_calls != When::On && !self.api,
            _ => false,
        }
    }

    /// What is selected, for the segment header.
    pub fn selected(&self) -> Selected {
        let words = match self.argv {
            Argv::Full => self.command.len(),
            Argv::Exe => 1,
            Argv::None => 0,
        };
        let command: Vec<_> = self.command.iter().take(words).map(|word| word.to_string_lossy()).collect();
        Selected {
            tls: self.wire(),
            wire: self.wire.protocols,
            library_calls: self.library_calls(),
            kernel_crypto: self.kernel_crypto(),
            // With -l alone no opens are recorded.
            io_uring: self.io_uring.wanted(!self.file.is_empty() || self.library.is_empty()),
            algorithms: if self.api { Wanted::ON } else { Wanted::DEFAULT_OFF },
            algorithms_budget_ppb: if self.api { Selected::ppb(self.api_budget) } else { 0 },
            pids: self.pid.clone(),
            names: self.name.clone(),
            uids: self.uid.clone(),
            cgroups: self.cgroup.iter().map(|path| path.display().to_string()).collect(),
            follow_children: self.follow_children,
            command: (!self.command.is_empty()).then(|| command.join(" ")),
            files: self.file.clone(),
            libraries: self.library.clone(),
            privacy: match self.privacy {
                PrivacyMode::Off => record::PrivacyMode::OFF,
                PrivacyMode::Hash => record::PrivacyMode::HASH,
                PrivacyMode::Drop => record::PrivacyMode::DROP,
            },
            argv: match self.argv {
                Argv::Full => ArgvMode::FULL,
                Argv::Exe => ArgvMode::EXE,
                Argv::None => ArgvMode::NONE,
            },
            process_rate: Some(self.process_rate),
            user_rate: Some(self.user_rate),
        }
    }
}
