//! `schema`: the JSON Schema of events, and of reports.

mod args;

pub(crate) use args::{Args, Task};

use crate::cli::console::{Console, Output};
use crate::cli::exit::Outcome;
use crate::event;
use anyhow::Result;
use std::io::Write;

/// JSON Schema of reports; that of events is made from what is declared of them.
const PROFILE: &str = include_str!("profile.json");
const SNAPSHOT: &str = include_str!("snapshot.json");
const FILES: &str = include_str!("files.json");
const LIBS: &str = include_str!("libs.json");
const READINESS: &str = include_str!("readiness.json");
const CHECK: &str = include_str!("check.json");
const DIFF: &str = include_str!("diff.json");
const KEYS: &str = include_str!("keys.json");
const CERTS: &str = include_str!("certs.json");
const REPORT: &str = include_str!("report.json");
const WIRE: &str = include_str!("wire.json");
const SSH: &str = include_str!("ssh.json");
const TLS: &str = include_str!("tls.json");
const TLS_FOLLOW: &str = include_str!("tls-follow.json");
const ALGORITHMS: &str = include_str!("algorithms.json");
const COVERAGE: &str = include_str!("coverage.json");
const INFO: &str = include_str!("info.json");
const VERIFY: &str = include_str!("verify.json");

/// Documents within that of `report`, by their names there.
const WITHIN_REPORT: [(&str, &str); 7] = [
    ("readiness", READINESS),
    ("check", CHECK),
    ("certs", CERTS),
    ("keys", KEYS),
    ("tls", TLS),
    ("algorithms", ALGORITHMS),
    ("coverage", COVERAGE),
];

/// The schema of `report`, with those of the documents in it.
fn report() -> String {
    let put = |schema: String, (name, of): &(&str, &str)| {
        // What it refers to is further down now.
        let of = of.trim_end().replace("\"#/$defs/", &format!("\"#/properties/{name}/$defs/"));
        schema.replace(&format!("\"@{name}\""), &of)
    };
    WITHIN_REPORT.iter().fold(REPORT.to_owned(), put)
}

pub(super) fn run(of: &Task, _: Console) -> Result<Outcome> {
    let made;
    let schema = match of {
        Task::Events => {
            made = event::schema();
            &made
        }
        Task::Profile => PROFILE,
        Task::Snapshot => SNAPSHOT,
        Task::Files => FILES,
        Task::Libs => LIBS,
        Task::Readiness => READINESS,
        Task::Check => CHECK,
        Task::Diff => DIFF,
        Task::Keys => KEYS,
        Task::Certs => CERTS,
        Task::Report => {
            made = report();
            &made
        }
        Task::Wire => WIRE,
        Task::Tls => TLS,
        Task::TlsFollow => TLS_FOLLOW,
        Task::Ssh => SSH,
        Task::Algorithms => ALGORITHMS,
        Task::Coverage => COVERAGE,
        Task::Info => INFO,
        Task::Verify => VERIFY,
    };
    Output::open(None)?.write_all(schema.as_bytes())?;
    Ok(Outcome::Done)
}
