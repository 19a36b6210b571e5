//! Arguments of `snapshot`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use crypto_trace_format::record::{ArgvMode, PrivacyMode, Wanted};
use crypto_trace_format::segment::Selected;

use super::{Format, UsageError};
use crate::units::parse_uid;

/// `snapshot`.
#[derive(Debug, Args)]
pub struct SnapshotArgs {
    /// Write to this file instead of standard output; a new file ending in .ctseg is written as a recording, which can
    /// be archived and rendered later by crypto-trace-analyze
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// How to show it [default: json-pretty]
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,

    /// Only this process (repeatable)
    #[arg(short, long, value_name = "PID")]
    pub pid: Vec<u32>,

    /// Only processes whose name, or whose executable's name, contains this, case-sensitive (repeatable)
    #[arg(short, long, value_name = "NAME")]
    pub name: Vec<String>,

    /// Only files that match this glob instead of those in the catalog; a glob without a slash matches the file name,
    /// one with a slash the whole path (repeatable)
    #[arg(short = 'F', long, value_name = "GLOB")]
    pub file: Vec<String>,

    /// Only libraries whose file name contains this (repeatable); with -F but without -l no libraries are listed
    #[arg(short, long, value_name = "NAME")]
    pub library: Vec<String>,

    /// Only processes of this user: a user name on this host, or a numeric id (repeatable)
    #[arg(long, value_name = "USER", value_parser = parse_uid)]
    pub uid: Vec<u32>,

    /// Also record the certificates in these files, and in those that processes have open and whose names are of certificates:
    /// subject, validity, key and fingerprint; never of a file that holds a private key. Recordings read no file's contents:
    /// this is for `crypto-trace-analyze certs`, run by whoever may read them
    #[arg(long, value_name = "FILE", num_args = 0..)]
    pub certificates: Option<Vec<PathBuf>>,

    /// Show names of home directories, which are hidden as /home/USER and /home/ROOT
    #[arg(long)]
    pub no_redact: bool,

    /// Print how many processes were examined, and how long it took
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,

    /// Print only errors; what could not be seen is in the output
    #[arg(short, long)]
    pub quiet: bool,

    /// With -o FILE.ctseg: replace an existing file, once the new one is complete
    #[arg(long, requires = "output")]
    pub force: bool,
}

impl SnapshotArgs {
    /// Checks what clap cannot.
    ///
    /// # Errors
    /// [`UsageError`] with what to change.
    pub fn validate(&self) -> Result<(), UsageError> {
        if self.name.iter().any(String::is_empty) || self.library.iter().any(String::is_empty) {
            return Err(UsageError("an empty name matches nothing: give at least one character".into()));
        }
        if self.is_recording() && self.format.is_some() {
            return Err(UsageError("-o FILE.ctseg writes a recording: leave -f out, or give another file".into()));
        }
        for glob in &self.file {
            globset::Glob::new(glob).map_err(|error| UsageError(format!("-F {glob}: {}", error.kind())))?;
        }
        Ok(())
    }

    /// Whether it is written as a recording.
    pub fn is_recording(&self) -> bool {
        self.output.as_ref().is_some_and(|output| output.extension().is_some_and(|extension| extension == "ctseg"))
    }

    /// What is selected, for the segment header.
    pub fn selected(&self) -> Selected {
        let off = Wanted::DEFAULT_OFF;
        Selected {
            tls: off,
            library_calls: off,
            kernel_crypto: off,
            io_uring: off,
            algorithms: off,
            pids: self.pid.clone(),
            names: self.name.clone(),
            uids: self.uid.clone(),
            files: self.file.clone(),
            libraries: self.library.clone(),
            privacy: PrivacyMode::OFF,
            argv: ArgvMode::FULL,
            ..Selected::default()
        }
    }

    /// Arguments of the analyzer.
    pub fn renderer(&self) -> Vec<OsString> {
        let format = self.format.unwrap_or(Format::JsonPretty);
        let mut words: Vec<OsString> =
            ["snapshot", "--threads", "1", "--format", format.name()].map(Into::into).to_vec();
        let flags = [("--no-redact", self.no_redact), ("--quiet", self.quiet)];
        words.extend(flags.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag.into()));
        words.push("-".into());
        words
    }
}
