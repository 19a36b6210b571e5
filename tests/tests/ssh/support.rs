//! Scripts that are traced, and what was seen of SSH.

use crypto_trace_tests::{handshake_of, record_script, said, shown};
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
    let done = record_script(options, &[], &format!("set -eu\nexec </dev/null\n{script}"));
    let handshakes = shown("ssh_handshake", &done.output);
    Run { text: done.text(), handshakes }
}

/// The same, where nothing but SSH is looked for on the wire.
pub fn trace(script: &str) -> Run {
    trace_with(&["--wire", "ssh"], script)
}

impl Run {
    /// The one event of this role whose command line contains `command`.
    pub fn one(&self, role: &str, command: &str) -> &Value {
        handshake_of(&self.handshakes, role, command)
    }

    /// What follows `label` on the first line of the script's output that has it.
    pub fn said(&self, label: &str) -> &str {
        said(&self.text, label)
    }
}
