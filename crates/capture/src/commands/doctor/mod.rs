//! `doctor`: what this kernel, these capabilities and these libraries allow, found out by trying, and what to do about the rest.
//!
//! The programs are loaded and attached for a moment, and select nobody but this process.

mod host;
mod probes;

use std::io::Write as _;

use serde::Serialize;

use crate::args::{DoctorArgs, DoctorFormat};
use crate::exit::{self, Failure};

/// Exit code: recording works, but not all of it.
pub const DEGRADED: u8 = 8;

/// What a finding means for recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    /// Good to know.
    Info,
    /// Something will be missing.
    Degraded,
    /// Nothing can be recorded.
    Unusable,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    name: String,
    state: State,
    found: String,
    /// What to do; none when there is nothing to do.
    advice: Option<String>,
    /// Exit code that `record` would end with.
    #[serde(skip)]
    code: u8,
}

impl Finding {
    fn new(name: impl Into<String>, state: State, found: impl Into<String>) -> Self {
        Self { name: name.into(), state, found: found.into(), advice: None, code: 0 }
    }

    fn ok(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(name, State::Ok, found)
    }

    fn info(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(name, State::Info, found)
    }

    fn degraded(name: impl Into<String>, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..Self::new(name, State::Degraded, found) }
    }

    fn unusable(name: impl Into<String>, found: impl Into<String>, advice: impl Into<String>, code: u8) -> Self {
        Self { advice: Some(advice.into()), code, ..Self::new(name, State::Unusable, found) }
    }

    fn advise(self, advice: &str) -> Self {
        Self { advice: Some(advice.to_owned()), ..self }
    }
}

/// The document.
#[derive(Debug, Serialize)]
struct Report {
    doctor_version: &'static str,
    result: &'static str,
    exit_code: u8,
    findings: Vec<Finding>,
}

/// Runs `doctor`. Returns the exit code: 0 usable, [`DEGRADED`], or that which recording would end with.
///
/// # Errors
/// When the findings cannot be written.
pub fn run(args: &DoctorArgs) -> Result<u8, Failure> {
    let mut findings = host::kernel();
    let (capabilities, may_load) = host::capabilities();
    findings.extend(capabilities);
    findings.extend(host::surroundings());
    if may_load {
        findings.extend(probes::try_out());
    } else {
        findings.push(Finding::info("probes", "not tried: the capabilities for it are missing"));
    }
    findings.extend(host::room(&args.output));
    let report = Report::new(findings);
    let text = match args.format {
        DoctorFormat::Json => serde_json::to_string_pretty(&report).map_err(anyhow::Error::from)? + "\n",
        DoctorFormat::Text => report.text(args.quiet),
    };
    std::io::stdout().write_all(text.as_bytes()).map_err(anyhow::Error::from)?;
    Ok(report.exit_code)
}

impl Report {
    fn new(findings: Vec<Finding>) -> Self {
        let any = |state| findings.iter().any(|finding| finding.state == state);
        // Of several reasons the one that has to be seen to first: privileges, then the kernel, then the programs.
        let fatal =
            findings.iter().filter(|finding| finding.state == State::Unusable).map(|finding| finding.code).min();
        let (result, exit_code) = match fatal {
            Some(code) => ("unusable", code),
            None if any(State::Degraded) => ("degraded", DEGRADED),
            None => ("usable", 0),
        };
        Self { doctor_version: "1.0", result, exit_code, findings }
    }

    fn text(&self, quiet: bool) -> String {
        let shown = || self.findings.iter().filter(|finding| !quiet || finding.advice.is_some());
        let width = shown().map(|finding| finding.name.chars().count()).max().unwrap_or(0);
        let mut out = String::new();
        for Finding { name, state, found, advice, .. } in shown() {
            let state = match state {
                State::Ok => "ok",
                State::Info => "-",
                State::Degraded => "DEGRADED",
                State::Unusable => "UNUSABLE",
            };
            out.push_str(&format!("{state:<8}  {name:<width$}  {found}\n"));
            if let Some(advice) = advice {
                out.push_str(&format!("{:<8}  {:<width$}  -> {advice}\n", "", ""));
            }
        }
        out.push_str(match self.exit_code {
            0 => "\nUsable: everything can be recorded here.\n",
            DEGRADED => "\nPartly usable: the list above shows what will be missing; each recording reports it, too.\n",
            exit::PRIVILEGES => "\nNot usable: privileges are missing.\n",
            exit::UNSUPPORTED => "\nNot usable: the kernel, or this place in it, lacks something.\n",
            _ => "\nNot usable: the BPF programs cannot be loaded or attached.\n",
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_decides() {
        let code = |findings: Vec<Finding>| Report::new(findings).exit_code;
        let degraded = || Finding::degraded("a", "b", "c");
        let unusable = |code| Finding::unusable("a", "b", "c", code);
        assert_eq!(code(vec![Finding::ok("a", "b"), Finding::info("a", "b")]), 0);
        assert_eq!(code(vec![Finding::ok("a", "b"), degraded()]), DEGRADED);
        assert_eq!(code(vec![degraded(), unusable(exit::BPF)]), exit::BPF);
        assert_eq!(code(vec![unusable(exit::UNSUPPORTED), unusable(exit::PRIVILEGES)]), exit::PRIVILEGES);
    }
}
