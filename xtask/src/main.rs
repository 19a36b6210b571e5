//! Development tasks that need more than cargo: static programs, packages, man pages, instruction counts, fuzzing.
//!
//! `cargo xtask --help` lists them. The virtual machines are in `tests/kernels`, the benchmarks in `bench`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for developers that talks to a terminal")]

mod assets;
mod build;
mod instructions;
mod package;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Development tasks of crypto-trace
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build both programs without shared libraries, into target/static
    Static {
        /// An example to build as well: what a benchmark runs beside the programs
        #[arg(long = "example", value_name = "NAME")]
        examples: Vec<String>,
    },
    /// Count the instructions of the hot loops per record and compare them with tests/instructions.toml
    Instructions {
        /// Write the counts as the new budgets
        #[arg(long)]
        update: bool,
    },
    /// Build a .deb and a .rpm, and the debug lines of their programs, into target/package
    Package {
        /// Pack the programs of the debug build, for a test of the packages themselves
        #[arg(long)]
        debug: bool,
    },
    /// Install what makes packages into target/tools, as `package` does where it is missing
    Tools,
    /// Write man pages and shell completions
    Assets {
        /// Where to: man/ and completions/ are made in it
        directory: PathBuf,
    },
    /// Run the fuzz tests for longer than a test run does
    Fuzz {
        /// Rounds of the mutations of segments; those of the analyzer's commands are a hundredth
        #[arg(long, default_value_t = 3_000_000)]
        rounds: u64,
    },
}

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask is not in a workspace")?;
    std::env::set_current_dir(root).with_context(|| root.display().to_string())?;
    match Cli::parse().task {
        Task::Static { examples } => build::build_static(&examples).map(drop),
        Task::Instructions { update } => instructions::run(update),
        Task::Package { debug } => package::run(debug),
        Task::Tools => package::tools().map(drop),
        Task::Assets { directory } => assets::write(&directory),
        Task::Fuzz { rounds } => build::fuzz(rounds),
    }
}

/// The two programs.
const PROGRAMS: [&str; 2] = ["crypto-trace-capture", "crypto-trace-analyze"];

/// Runs a command, whose output goes where ours goes.
///
/// # Errors
/// It could not be started, or did not succeed.
fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if !status.success() {
        bail!("{command:?} failed: {status}");
    }
    Ok(())
}

/// Runs a command. Returns its standard output.
///
/// # Errors
/// It could not be started, or did not succeed.
fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", output.status);
    }
    Ok(output.stdout)
}

/// The cargo that runs this task.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Set for this task's own package: the build scripts of others would run again because of them.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH"] {
        command.env_remove(name);
    }
    command
}
