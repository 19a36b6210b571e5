//! `files`: which crypto files were opened, how, how often and by which programs.

mod args;

pub(crate) use args::{Args, Task};

use crate::cli::console::Console;
use crate::cli::exit::Outcome;
use crate::report::paths::{self, Paths};
use anyhow::Result;

pub(super) fn run(task: &Task, console: Console) -> Result<Outcome> {
    paths::run(task, Paths::Files, console)
}
