//! One file per subcommand: from a [`Job`] to an [`Outcome`].

mod algorithms;
mod coverage;
mod events;
mod info;
mod paths;
mod profile;
mod schema;
mod snapshot;
mod tls;
mod verify;

pub use schema::SCHEMA;

use crate::cli::args::{Format, InventoryReport, Job, SurveyReport, Task};
use crate::cli::console::{self, Console};
use crate::cli::exit::Outcome;
use crate::read::progress;
use anyhow::{Context, Result};
use paths::Paths;

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
        Task::Events(task) => task.request.output.is_none() && task.format != Format::Summary,
        _ => false,
    };
    job.width.into_iter().for_each(console::set_width);
    progress::decide(job.progress, shows_events);
    pool.install(|| match &job.task {
        Task::Events(task) => events::run(task, console),
        Task::Info(task) => info::run(task, console),
        Task::Verify(task) => verify::run(task, console),
        Task::Survey(task) => match task.report {
            SurveyReport::Tls => tls::run(task, console),
            SurveyReport::Algorithms => algorithms::run(task, console),
            SurveyReport::Coverage => coverage::run(task, console),
        },
        Task::Inventory(task) => match task.report {
            InventoryReport::Profile => profile::run(task, console),
            InventoryReport::Snapshot => snapshot::run(task, console),
            InventoryReport::Files => paths::run(task, Paths::Files, console),
            InventoryReport::Libs => paths::run(task, Paths::Libraries, console),
        },
        Task::Schema(of) => schema::run(*of),
        Task::Version => schema::version(),
    })
}
