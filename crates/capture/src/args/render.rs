//! What commands are told that record and render at once: `monitor`, `files`, `libs` and `profile`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use crypto_trace_format::record::Kind;

use super::{CaptureArgs, UsageError, When};

/// Event types, by the names that the analyzer gives them.
fn event_types() -> PossibleValuesParser {
    PossibleValuesParser::new(Kind::shown().map(Kind::event_type))
}

/// How long `profile` watches by default.
const PROFILE_DURATION: Duration = Duration::from_secs(30);

/// How events are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object per line
    JsonStream,
    /// One JSON array, one event per line
    JsonArray,
    /// One JSON array, indented
    JsonPretty,
    /// Counts and tables for people, at the end
    Summary,
}

impl Format {
    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::JsonStream => "json-stream",
            Self::JsonArray => "json-array",
            Self::JsonPretty => "json-pretty",
            Self::Summary => "summary",
        }
    }
}

/// What every command that shows events is told; with it alone, `files` and `libs`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Write the output to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Output format of events
    #[arg(short, long, value_enum, default_value = "json-stream", value_name = "FORMAT")]
    pub format: Format,

    /// Show names of home directories, which are hidden as /home/USER and /home/ROOT
    #[arg(long)]
    pub no_redact: bool,

    /// What to record.
    #[command(flatten)]
    pub capture: CaptureArgs,
}

/// `monitor`.
#[derive(Debug, Args)]
pub struct MonitorArgs {
    /// Show only events of these types
    #[arg(long = "type", value_name = "TYPE,…", value_delimiter = ',', value_parser = event_types(), hide_possible_values = true)]
    pub kinds: Vec<String>,

    /// How to show them.
    #[command(flatten)]
    pub show: ShowArgs,
}

/// `profile`.
#[derive(Debug, Args)]
pub struct ProfileArgs {
    /// Write the profile to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Output format
    #[arg(short, long, value_enum, default_value = "json-pretty", value_name = "FORMAT")]
    pub format: Format,

    /// Show names of home directories, which are hidden as /home/USER and /home/ROOT
    #[arg(long)]
    pub no_redact: bool,

    /// What to record.
    #[command(flatten)]
    pub capture: CaptureArgs,
}

impl ShowArgs {
    /// Leaves out of the recording what no event of these types tells of, unless it is asked for; all is wanted without types.
    pub fn narrow(&mut self, kinds: &[&str]) {
        let shows = |wanted: &[&str]| kinds.is_empty() || kinds.iter().any(|kind| wanted.contains(kind));
        let capture = &mut self.capture;
        // How probes fared is told of those that are wanted.
        for (part, kinds) in [
            (
                &mut capture.wire.when,
                &["tls_handshake", "ssh_handshake", "ike_handshake", "wireguard_handshake", "probe_status"][..],
            ),
            (&mut capture.kernel_crypto, &["api_call", "probe_status"]),
            (&mut capture.library_calls, &["tls_handshake", "api_call", "library_info", "probe_status"]),
        ] {
            if *part == When::Auto && !shows(kinds) {
                *part = When::Off;
            }
        }
    }

    /// Arguments of the analyzer, to show events of these types; without any, of those that it shows without being asked.
    pub fn renderer(&self, kinds: &[&str]) -> Vec<OsString> {
        let mut words = words("events", self.format, self.no_redact, &self.capture);
        let mut add = |flag: &str, value: &str| words.push(format!("{flag}={value}").into());
        kinds.iter().for_each(|kind| add("--type", kind));
        // What the kernel cannot leave out of the capture: processes that come and go.
        match (self.capture.file.is_empty(), self.capture.library.is_empty()) {
            (false, true) => self.capture.file.iter().for_each(|glob| add("--file", glob)),
            (true, false) => self.capture.library.iter().for_each(|name| add("--library", name)),
            (false, false) if kinds.is_empty() => add("--type", "file_open,file_change,lib_load,loss"),
            _ => {}
        }
        words.push("-".into());
        words
    }
}

impl ProfileArgs {
    /// Checks what clap cannot.
    ///
    /// # Errors
    /// [`UsageError`] with what to change.
    pub fn validate(&self) -> Result<(), UsageError> {
        let CaptureArgs { pid, name, command, .. } = &self.capture;
        if pid.is_empty() && name.is_empty() && command.is_empty() {
            return Err(UsageError("profile needs -p PID, -n NAME, or a command after --".into()));
        }
        self.capture.validate()
    }

    /// How long to watch: as long as a command runs, else half a minute.
    pub fn duration(&self) -> Option<Duration> {
        let default = self.capture.command.is_empty().then_some(PROFILE_DURATION);
        self.capture.duration.or(default)
    }

    /// Arguments of the analyzer.
    pub fn renderer(&self) -> Vec<OsString> {
        let mut words = words("profile", self.format, self.no_redact, &self.capture);
        words.extend(self.capture.pid.iter().map(|pid| format!("--pid={pid}").into()));
        words.extend(self.capture.name.iter().map(|name| format!("--name={name}").into()));
        if self.capture.follow_children {
            words.push("--follow-children".into());
        }
        words.push("-".into());
        words
    }
}

/// The beginning of the analyzer's command line. One thread: it runs on the host that is watched.
fn words(command: &str, format: Format, no_redact: bool, capture: &CaptureArgs) -> Vec<OsString> {
    let mut words = vec![command.into(), "--threads".into(), "1".into(), "--format".into(), format.name().into()];
    let flags = [("--no-redact", no_redact), ("--verbose", capture.verbose), ("--quiet", capture.quiet)];
    words.extend(flags.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag.into()));
    words
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crypto_trace_format::record::Protocol;

    use super::*;
    use crate::args::{Cli, Command};

    fn show(line: &str) -> ShowArgs {
        match Cli::try_parse_from(["crypto-trace-capture", "files"].into_iter().chain(line.split_whitespace())) {
            Ok(Cli { command: Command::Files(args) }) => *args,
            other => unreachable!("files was asked for, not {other:?}"),
        }
    }

    #[test]
    fn what_is_not_shown_is_not_recorded_unless_asked_for() {
        use When::{Auto, Off, On};
        for (line, kinds, expected) in [
            ("", &[][..], [Auto, Auto, Auto]),
            ("", &["file_open", "loss"], [Off, Off, Off]),
            ("", &["tls_handshake"], [Auto, Off, Auto]),
            ("", &["ssh_handshake"], [Auto, Off, Off]),
            ("", &["file_open", "api_call"], [Off, Auto, Auto]),
            ("", &["probe_status"], [Auto, Auto, Auto]),
            ("--tls on", &["file_open"], [On, Off, Off]),
        ] {
            let mut show = show(line);
            show.narrow(kinds);
            let CaptureArgs { wire, kernel_crypto, library_calls, .. } = show.capture;
            assert_eq!([wire.when, kernel_crypto, library_calls], expected, "{line} {kinds:?}");
            assert_eq!(wire.protocols, Protocol::DEFAULT, "{line} {kinds:?}");
        }
    }
}
