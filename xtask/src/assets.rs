//! Man pages and shell completions of both programs, from their arguments.

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;
use std::fs;
use std::path::Path;

/// Writes `man/*.1` and `completions/*` into a directory.
///
/// # Errors
/// A file cannot be written.
pub fn write(directory: &Path) -> Result<()> {
    let (man, completions) = (directory.join("man"), directory.join("completions"));
    for place in [&man, &completions] {
        fs::create_dir_all(place).with_context(|| place.display().to_string())?;
    }
    for command in [crypto_trace_capture::args::Cli::command(), crypto_trace_analyze::commands::command()] {
        let name = command.get_name().to_owned();
        clap_mangen::generate_to(command.clone(), &man).with_context(|| man.display().to_string())?;
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            clap_complete::generate_to(shell, &mut command.clone(), &name, &completions)
                .with_context(|| completions.display().to_string())?;
        }
    }
    Ok(())
}
