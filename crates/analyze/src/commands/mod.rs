//! One file per subcommand: from a [`Job`] to an [`Outcome`].

mod algorithms;
mod coverage;
mod events;
mod info;
mod inventory;
mod paths;
mod profile;
mod schema;
mod snapshot;
pub(crate) mod survey;
mod tls;
mod verify;

use crate::capture::clock::WallNs;
use crate::cli::args::{Format, Job, Task};
use crate::cli::console::{self, Console};
use crate::read::progress;
use crate::words::timestamp::timestamp;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// How a run ended, when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Done,
    /// `verify` found damage.
    Damaged,
    /// The command line makes no sense here.
    Usage,
}

/// Does the work.
///
/// # Errors
/// When it cannot be done.
pub fn run(job: &Job) -> Result<Outcome> {
    let console = Console::new(job.verbosity);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(job.threads)
        .thread_name(|index| format!("analyze-{index}"))
        .build()
        .context("cannot start threads")?;
    let shows_events = match &job.task {
        Task::Events(task) => task.output.is_none() && task.format != Format::Summary,
        _ => false,
    };
    job.width.into_iter().for_each(console::set_width);
    progress::decide(job.progress, shows_events);
    pool.install(|| match &job.task {
        Task::Events(task) => events::run(task, console),
        Task::Info(task) => info::run(task, console),
        Task::Verify(task) => verify::run(task, console),
        Task::Survey(task) => survey::run(task, console),
        Task::Inventory(task) => inventory::run(task, console),
        Task::Schema(of) => schema::run(*of),
        Task::Version => schema::version(),
    })
}

/// Times that depended on the capture's end: nothing is between them when they are the wrong way round.
fn refuse_empty_time((since, until): (Option<WallNs>, Option<WallNs>)) -> Result<()> {
    if let (Some(since), Some(until)) = (since, until)
        && since > until
    {
        bail!("--since ({}) is after --until ({})", timestamp(since), timestamp(until));
    }
    Ok(())
}

/// An output that is also an input would be emptied before it is read.
fn refuse_overwriting(output: Option<&Path>, inputs: &[PathBuf]) -> Result<()> {
    let Some(output) = output.and_then(|output| output.canonicalize().ok()) else { return Ok(()) };
    if inputs.iter().any(|input| input.canonicalize().is_ok_and(|input| input == output)) {
        bail!("{}: is an input, and cannot be the output", output.display());
    }
    Ok(())
}
