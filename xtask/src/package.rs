//! A .deb and a .rpm with both programs, the service, man pages, completions and docs.

use crate::{PROGRAMS, assets, cargo, run as execute};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Tools of other projects, their commands and versions, which are installed into target/tools where they are missing.
const TOOLS: [(&str, &str); 2] = [("cargo-deb", "3.6.0"), ("cargo-generate-rpm", "0.21.1")];

/// Builds the packages into target/package, and into target/package/debug the lines that backtraces and profilers show,
/// which debuggers find by the programs' names. With `debug`, of the programs that tests have built.
///
/// # Errors
/// A build, a tool or the disk fails.
pub fn run(debug: bool) -> Result<()> {
    let out = Path::new("target/package");
    if out.exists() {
        fs::remove_dir_all(out).with_context(|| out.display().to_string())?;
    }
    for place in ["bin", "debug", "assets"] {
        fs::create_dir_all(out.join(place))?;
    }
    // The tests' programs are those of all targets: others would be built a second time.
    let what: &[&str] = if debug {
        &["--workspace", "--all-targets"]
    } else {
        &["--profile", "dist", "--bins", "-p", PROGRAMS[0], "-p", PROGRAMS[1]]
    };
    execute(cargo().args(["build", "--locked"]).args(what))?;
    for name in PROGRAMS {
        split(&Path::new("target").join(if debug { "debug" } else { "dist" }).join(name), out, name)?;
    }
    let assets = out.join("assets");
    assets::write(&assets)?;
    for page in fs::read_dir(assets.join("man"))? {
        execute(Command::new("gzip").arg("-9n").arg(page?.path()))?;
    }
    let changelog = fs::File::create(assets.join("changelog.gz"))?;
    execute(Command::new("gzip").args(["-9nc", "CHANGELOG.md"]).stdout(changelog))?;

    let tools = tools()?;
    execute(tool(&tools, "cargo-deb").args([
        "deb",
        "--quiet",
        "--no-build",
        "--no-strip",
        "-p",
        "crypto-trace-capture",
        "--output",
        "target/package/",
    ]))?;
    execute(tool(&tools, "cargo-generate-rpm").args([
        "generate-rpm",
        "-p",
        "crates/capture",
        "--output",
        "target/package/",
    ]))?;
    for made in fs::read_dir(out)? {
        let made = made?;
        if made.file_type()?.is_file() {
            println!("{} {} bytes", made.path().display(), made.metadata()?.len());
        }
    }
    Ok(())
}

/// Parts a program from its debug lines: `bin/NAME` and `debug/NAME.debug` in `out`.
fn split(program: &Path, out: &Path, name: &str) -> Result<()> {
    let (stripped, lines) = (out.join("bin").join(name), out.join("debug").join(format!("{name}.debug")));
    execute(Command::new("objcopy").arg("--only-keep-debug").arg(program).arg(&lines))?;
    execute(Command::new("strip").arg("-o").arg(&stripped).arg(program))?;
    let link = format!("--add-gnu-debuglink={}", lines.display());
    execute(Command::new("objcopy").arg(link).arg(&stripped))
}

/// A tool that was installed by [`install`], or that the user has.
fn tool(tools: &Path, name: &str) -> Command {
    let own = tools.join("bin").join(name);
    Command::new(if own.exists() { own } else { PathBuf::from(name) })
}

/// Installs what makes packages where it is missing; returns the directory that it is below.
///
/// # Errors
/// A tool cannot be built.
pub fn tools() -> Result<PathBuf> {
    let tools = std::env::current_dir()?.join("target/tools");
    for (name, version) in TOOLS {
        install(&tools, name, version)?;
    }
    Ok(tools)
}

fn install(tools: &Path, name: &str, version: &str) -> Result<()> {
    let there = tool(tools, name).arg("--version").output().is_ok_and(|output| output.status.success());
    if there {
        return Ok(());
    }
    println!("cargo xtask package: installing {name} {version} into target/tools");
    // Without optimization a tool is built in a third of the time, and packs as quickly as the disk allows.
    execute(
        cargo()
            .args(["install", "--quiet", "--locked", "--debug", "--root"])
            .arg(tools)
            .arg(format!("{name}@{version}")),
    )
}
