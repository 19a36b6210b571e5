//! Programs that cargo alone does not build as they are needed, and campaigns of fuzzing.

use crate::{PROGRAMS, cargo, output, run};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds both programs, and these examples, without shared libraries, so that they run on any distribution's userland. Returns
/// their directory, which has one for `examples`.
///
/// # Errors
/// A build fails.
pub fn build_static(examples: &[impl AsRef<str>]) -> Result<PathBuf> {
    let version = String::from_utf8(output(Command::new("rustc").arg("-vV"))?)?;
    let target = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc -vV names no host")?;
    let mut command = cargo();
    // An explicit target keeps the flags from build scripts and macros, which have to be dynamic.
    command.env("RUSTFLAGS", "-C target-feature=+crt-static");
    command.args(["build", "--locked", "--release", "--target", target, "--target-dir", "target/static", "--bins"]);
    command.args(PROGRAMS.iter().flat_map(|name| ["-p", name])).args(["--features", "crypto-trace-capture/static"]);
    command.args(examples.iter().flat_map(|name| ["--example", name.as_ref()]));
    run(&mut command)?;
    Ok(Path::new("target/static").join(target).join("release"))
}

/// Runs the fuzz tests of every test run for longer.
///
/// # Errors
/// A build or a round fails.
pub fn fuzz(rounds: u64) -> Result<()> {
    for (package, rounds) in [("crypto-trace-format", rounds), ("crypto-trace-analyze", rounds.div_ceil(100))] {
        run(cargo().env("CRYPTO_TRACE_FUZZ_ROUNDS", rounds.to_string()).args([
            "test",
            "--release",
            "--locked",
            "-p",
            package,
            "--test",
            "fuzz",
        ]))?;
    }
    Ok(())
}
