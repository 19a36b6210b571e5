//! Scripts that are traced, and the handshakes that were seen of them.

use crypto_trace_tests::{Done, handshake_of, record_script, said, shown};
use serde_json::Value;

/// Makes a certificate authority and a server certificate; waits for a port to be listened on.
const PRELUDE: &str = r#"
set -eu
exec </dev/null
# A standard input that never ends, without which openssl s_server would.
mkfifo hold
exec 3<>hold
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=test CA" \
	-keyout ca-key.pem -out ca.crt 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj "/O=Test, with a comma/CN=server.test" -keyout server.key -out server.csr 2>/dev/null
printf 'subjectAltName=DNS:server.test,DNS:localhost,IP:127.0.0.1\n' > san.cnf
openssl x509 -req -in server.csr -CA ca.crt -CAkey ca-key.pem -CAcreateserial -days 2 -extfile san.cnf -out server.crt 2>/dev/null
servers=""
trap 'for s in $servers; do kill $s 2>/dev/null || true; done' EXIT
# serve NAME COMMAND…: starts it in the background; it must print ACCEPT
serve() {
	name=$1; shift
	"$@" >$name.log 2>&1 <&3 &
	pid=$!
	servers="$servers $pid"
	until grep -q ACCEPT $name.log; do kill -0 $pid || { cat $name.log >&2; exit 1; }; sleep 0.02; done
}
"#;

/// A finished script.
pub struct Run {
    /// The capture.
    pub done: Done,
    /// What the script printed.
    pub text: String,
    /// Its handshakes, in order of time.
    pub handshakes: Vec<Value>,
}

/// Runs a shell script in a directory of its own, and reads the handshakes that were seen. It leaves nothing running,
/// even when it hangs.
pub fn trace(script: &str) -> Run {
    trace_with(&[], script)
}

/// The same with options for `record`.
pub fn trace_with(options: &[&str], script: &str) -> Run {
    let when = if options.contains(&"--tls") { &[][..] } else { &["--tls", "on"] };
    let done = record_script(&[when, options].concat(), &[], &format!("{PRELUDE}{script}"));
    let handshakes = handshakes(&done.output);
    Run { text: done.text(), done, handshakes }
}

/// The handshakes of a capture in order of time; each is held to the schema.
pub fn handshakes(capture: &std::path::Path) -> Vec<Value> {
    shown("tls_handshake", capture)
}

impl Run {
    /// The one handshake of this role whose command line contains `command`.
    pub fn one(&self, role: &str, command: &str) -> &Value {
        handshake_of(&self.handshakes, role, command)
    }

    /// What follows `label` on the first line of the script's output that has it.
    pub fn said(&self, label: &str) -> &str {
        said(&self.text, label)
    }
}

/// Texts of a JSON array.
pub fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}
