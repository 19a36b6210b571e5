//! Arguments of `export`.

use crate::cli::input::input;
use crate::cli::which::WhichArgs;
use crate::cli::{Input, InputArgs, Request, usage};
use crate::event::{EVENT_TYPES, EventType};
use crate::format::OCSF_KINDS;
use crate::tables::{Mode, Place};
use clap::ValueEnum;
use clap::error::ErrorKind;
use crypto_trace_format::record::Kind;
use std::path::PathBuf;

/// At the end of its help.
const EXAMPLES: &str = "\
Examples:
  crypto-trace-analyze export /var/log/crypto-trace -o tables
  crypto-trace-analyze export /var/log/crypto-trace -o tables --append            what was sealed since then
  duckdb -c \"SELECT host, version, count(*) FROM 'tables/event_type=tls_handshake/*/*.parquet' GROUP BY ALL\"
  crypto-trace-analyze export rec --to arrow --type tls_handshake | python3 -c \\
    'import sys, pyarrow.ipc as ipc; print(ipc.open_stream(sys.stdin.buffer).read_all().group_by(\"version\").aggregate([]))'
  crypto-trace-analyze export rec --to ocsf | gzip > events.json.gz
  crypto-trace-analyze export rec --to security-lake --region eu-central-1 --account-id 123456789012 -o lake
  crypto-trace-analyze export rec --to ecs --bulk > bulk.ndjson       for POST /_bulk";

/// Megabytes of a file, as --file-size has them.
const MEGABYTE: usize = 1_000_000;

/// What to export.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    /// Which events, of what.
    pub request: Request,
    /// Into what.
    pub to: To,
    /// In words, for the manifest.
    pub selection: Vec<String>,
    /// Also of segments that are still being written.
    pub open: bool,
}

/// Into what.
#[derive(Debug, Clone)]
pub(crate) enum To {
    /// A directory of Parquet files.
    Parquet {
        /// The directory.
        directory: PathBuf,
        /// Where in a lake, with the classes of OCSF.
        lake: Option<Place>,
        /// What may be there.
        mode: Mode,
        /// Bytes of a file, about.
        file_bytes: usize,
    },
    /// A stream of events of one type.
    Arrow(&'static EventType),
    /// Lines in the vocabulary of others.
    Lines(Lines),
}

/// Lines in the vocabulary of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lines {
    /// Of the Open Cybersecurity Schema Framework.
    Ocsf,
    /// Of the Elastic Common Schema, with or without the lines that its bulk interface wants between them.
    Ecs {
        /// With them.
        bulk: bool,
    },
}

/// What an export is made into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A directory of Parquet files: a table for each type of event, in parts by day
    Parquet,
    /// Apache Arrow (IPC stream), events of one --type
    Arrow,
    /// Open Cybersecurity Schema Framework, one JSON object per line
    Ocsf,
    /// The same as Parquet, in a directory as Amazon Security Lake wants it of custom sources
    SecurityLake,
    /// Elastic Common Schema, one JSON object per line
    Ecs,
}

/// Export events as typed tables for DuckDB, Spark and Python, or as OCSF or ECS for security lakes and Elastic
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    input: InputArgs,

    /// What to make of events
    #[arg(long, value_enum, default_value = "parquet", value_name = "FORMAT")]
    to: Format,

    /// Of parquet and security-lake, the directory, which must be new or empty; otherwise a file instead of stdout
    #[arg(short, long, value_name = "DIR|FILE")]
    output: Option<PathBuf>,

    /// Add to an earlier export: events of segments that are not in it
    #[arg(long)]
    append: bool,

    /// Include segments that are still being written, or that no recorder ended; not with --append
    #[arg(long, conflicts_with = "append")]
    open: bool,

    /// Begin another file when one has this many megabytes
    #[arg(long, value_name = "MB", default_value = "256", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    file_size: u32,

    /// Of ecs: before each event the line that the bulk interface of Elasticsearch wants
    #[arg(long)]
    bulk: bool,

    /// Of security-lake: the region of AWS
    #[arg(long, value_parser = path_part)]
    region: Option<String>,

    /// Of security-lake: number of the account, or the external id of the sources
    #[arg(long, value_name = "ID", value_parser = path_part)]
    account_id: Option<String>,

    /// Show names of home directories, which are hidden as /home/USER and /home/ROOT
    #[arg(long)]
    no_redact: bool,

    #[command(flatten)]
    which: WhichArgs,
}

/// A word that may stand in a path and in the key of an object.
fn path_part(word: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if word.bytes().all(is_plain) && !word.starts_with('.') && !word.is_empty() {
        return Ok(word.to_owned());
    }
    Err("letters, digits and -_. only".to_owned())
}

impl Args {
    pub fn check(self) -> Result<Task, clap::Error> {
        let mut selection = self.which.words();
        let mut filter = self.which.check()?;
        if self.no_redact {
            selection.push("--no-redact".to_owned());
        }
        let one = match filter.kinds.as_slice() {
            [kind] => EVENT_TYPES.iter().find(|ty| ty.kind == *kind),
            _ => None,
        };
        let is_ocsf = matches!(self.to, Format::Ocsf | Format::SecurityLake);
        if let (true, Some(kind)) = (is_ocsf, filter.kinds.iter().find(|kind| !OCSF_KINDS.contains(kind))) {
            let types = OCSF_KINDS.map(Kind::event_type).join(", ");
            let message = format!("OCSF has no class for {}: it has for {types}", kind.event_type());
            return Err(usage(ErrorKind::ValueValidation, &message));
        }
        if filter.kinds.is_empty() {
            filter.kinds = if is_ocsf { OCSF_KINDS.to_vec() } else { EVENT_TYPES.iter().map(|ty| ty.kind).collect() };
        }
        let input = input(self.input, &filter)?;
        let is_lake = self.to == Format::SecurityLake;
        let is_directory = is_lake || self.to == Format::Parquet;
        let is_table = is_directory || self.to == Format::Arrow;
        if input == Input::Stdin && is_table {
            let message = "tables are made of files: name segments or a directory of them";
            return Err(usage(ErrorKind::MissingRequiredArgument, message));
        }
        for (given, with, message) in [
            (self.append, is_directory, "--append adds to a directory of Parquet files"),
            (self.open, is_table, "--open is for tables; other formats have what is in open segments, too"),
            (self.bulk, self.to == Format::Ecs, "--bulk is for --to ecs"),
            (
                self.region.is_some() || self.account_id.is_some(),
                is_lake,
                "--region and --account-id are for --to security-lake",
            ),
        ] {
            if given && !with {
                return Err(usage(ErrorKind::ArgumentConflict, message));
            }
        }
        let missing = |message| usage(ErrorKind::MissingRequiredArgument, message);
        let to = match self.to {
            Format::Parquet | Format::SecurityLake => To::Parquet {
                directory: self.output.clone().ok_or_else(|| missing("tables need a directory: -o DIR"))?,
                lake: match (is_lake, self.region, self.account_id) {
                    (false, ..) => None,
                    (true, Some(region), Some(account)) => {
                        selection.push(format!("--to security-lake --region {region} --account-id {account}"));
                        Some(Place { region, account })
                    }
                    _ => return Err(missing("--to security-lake needs --region and --account-id")),
                },
                mode: if self.append { Mode::Append } else { Mode::New },
                file_bytes: usize::try_from(self.file_size).unwrap_or(usize::MAX).saturating_mul(MEGABYTE),
            },
            Format::Arrow => {
                To::Arrow(one.ok_or_else(|| missing("--to arrow is a table of one type of event: --type TYPE"))?)
            }
            Format::Ocsf => To::Lines(Lines::Ocsf),
            Format::Ecs => To::Lines(Lines::Ecs { bulk: self.bulk }),
        };
        let output = self.output.filter(|_| !matches!(to, To::Parquet { .. }));
        let request = Request { input, filter, output, redact: !self.no_redact };
        Ok(Task { request, to, selection, open: self.open })
    }
}
