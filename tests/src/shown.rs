//! Events as the analyzer shows them, and what scripts printed.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::{Capture, Done, analyze_binary, run};

/// The events of a type in a capture, in order of time; each is held to the schema.
pub fn shown(ty: &str, capture: &Path) -> Vec<Value> {
    let mut command = Command::new(analyze_binary());
    command.args(["events", "--type", ty]).arg(capture);
    let events = run(&mut command);
    assert_eq!(events.code(), 0, "{}", events.stderr);
    let schema = run(Command::new(analyze_binary()).arg("schema"));
    let schema = jsonschema::validator_for(&serde_json::from_str(&schema.text()).unwrap()).unwrap();
    let events: Vec<Value> = events.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for event in &events {
        let errors: Vec<_> = schema.iter_errors(event).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{event:#}\n{errors:?}");
    }
    events
}

/// Records a shell script in a directory of its own, where it succeeds; `before` is what it is run by: `unshare -n`.
pub fn record_script(options: &[&str], before: &[&str], script: &str) -> Done {
    let dir = tempfile::Builder::new().prefix("crypto-trace-test-").tempdir().unwrap();
    // In a file: what is in its argument vector would be recorded as such.
    std::fs::write(dir.path().join("script"), script).unwrap();
    let command = [&["timeout", "-k", "1", "50"], before, &["sh", "script"]].concat();
    let done = Capture::new().options(options).current_dir(dir.path()).command(command).run();
    assert_eq!(done.code(), 0, "{}\n{}", done.text(), done.stderr);
    done
}

/// The one handshake of this role whose command line contains `command`.
pub fn handshake_of<'e>(events: &'e [Value], role: &str, command: &str) -> &'e Value {
    let of =
        |event: &&Value| event["role"] == role && event["cmdline"].as_str().is_some_and(|line| line.contains(command));
    let found: Vec<_> = events.iter().filter(of).collect();
    assert_eq!(found.len(), 1, "{role} of {command}: {events:#?}");
    found[0]
}

/// What follows `label` on the first line of a script's output that has it.
pub fn said<'t>(text: &'t str, label: &str) -> &'t str {
    let line = text.lines().find_map(|line| line.split_once(label)).map(|(_, rest)| rest.trim());
    line.unwrap_or_else(|| panic!("`{label}` was not said:\n{text}"))
}
