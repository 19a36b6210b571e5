//! Scripts that are traced, and what was seen of SSH.

use std::process::Command;

use crypto_trace_tests::{Capture, analyze_binary, run};
use serde_json::Value;

/// A finished script.
pub struct Run {
    /// What the script printed.
    pub text: String,
    /// What was seen of SSH, in order of time.
    pub handshakes: Vec<Value>,
}

/// Runs a shell script in a directory of its own, with options for `record`; each event is held to the schema.
pub fn trace_with(options: &[&str], script: &str) -> Run {
    let dir = tempfile::Builder::new().prefix("crypto-trace-test-").tempdir().unwrap();
    std::fs::write(dir.path().join("script"), format!("set -eu\nexec </dev/null\n{script}")).unwrap();
    let capture = Capture::new().options(options).current_dir(dir.path());
    let done = capture.command(["timeout", "-k", "1", "50", "sh", "script"]).run();
    assert_eq!(done.code(), 0, "{}\n{}", done.text(), done.stderr);
    let mut command = Command::new(analyze_binary());
    command.args(["events", "--type", "ssh_handshake"]).arg(&done.output);
    let events = run(&mut command);
    assert_eq!(events.code(), 0, "{}", events.stderr);
    let schema = run(Command::new(analyze_binary()).arg("schema"));
    let schema = jsonschema::validator_for(&serde_json::from_str(&schema.text()).unwrap()).unwrap();
    let handshakes: Vec<Value> = events.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for event in &handshakes {
        let errors: Vec<_> = schema.iter_errors(event).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{event:#}\n{errors:?}");
    }
    Run { text: done.text(), handshakes }
}

/// The same, where nothing but SSH is looked for on the wire.
pub fn trace(script: &str) -> Run {
    trace_with(&["--wire", "ssh"], script)
}

impl Run {
    /// The one event of this role whose command line contains `command`.
    pub fn one(&self, role: &str, command: &str) -> &Value {
        let of = |event: &&Value| {
            event["role"] == role && event["cmdline"].as_str().is_some_and(|line| line.contains(command))
        };
        let found: Vec<_> = self.handshakes.iter().filter(of).collect();
        assert_eq!(found.len(), 1, "{role} of {command}: {:#?}", self.handshakes);
        found[0]
    }

    /// What follows `label` on the first line of the script's output that has it.
    pub fn said(&self, label: &str) -> &str {
        let line = self.text.lines().find_map(|line| line.split_once(label)).map(|(_, rest)| rest.trim());
        line.unwrap_or_else(|| panic!("no {label} in {}", self.text))
    }
}
