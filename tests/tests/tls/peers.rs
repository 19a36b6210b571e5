//! TLS programs that say what they themselves know of each connection, and the comparison with what was recorded.
//!
//! They are in `tests/software`. What has to be built is built once, below `target/software`; a test of software that is not
//! here is skipped, and says so.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crypto_trace_tests::{live, run as finish, skip};
use serde_json::Value;

use crate::support::{Run, texts, trace};

/// What is said to those who lack something.
const SETUP: &str = "is missing: scripts/setup --tests installs it";

/// Functions for scripts: addresses of servers, and waiting for what they say.
const PRELUDE: &str = r#"
# address NAME: where the server of that name listens
address() { sed -n 's/.*ACCEPT //p' $1.log | head -n 1; }
port() { address $1 | sed 's/.*://'; }
# told NAME COUNT: waits until it has told of so many connections
told() {
	tries=0
	until [ "$(grep -c '^{' $1.log)" -ge $2 ]; do
		tries=$((tries + 1))
		[ $tries -lt 500 ] || { cat $1.log >&2; exit 1; }
		sleep 0.02
	done
	cat $1.log
}
"#;

fn software() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("software")
}

/// Where what the tests need is installed and built.
fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/software")
}

/// Something a script needs.
pub struct Tool {
    path: PathBuf,
    /// The line that tells the script where it is.
    line: String,
}

impl Tool {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Gives a tool, or says that there is none.
fn tool(name: &str, path: Option<PathBuf>, line: impl FnOnce(&str) -> String) -> Option<Tool> {
    let Some(path) = path else {
        skip(&format!("{name} {SETUP}"));
        return None;
    };
    Some(Tool { line: line(path.to_str().unwrap()), path })
}

/// Where a program is in PATH.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|path| path.is_file())
}

/// Builds a peer once; `None` when what builds it is missing.
fn built(
    cell: &'static OnceLock<Option<PathBuf>>,
    build: impl FnOnce() -> Option<(Command, PathBuf)>,
) -> Option<PathBuf> {
    let build = || {
        let (mut command, path) = build()?;
        std::fs::create_dir_all(target()).unwrap();
        // Not by the harness: the first time, building may take longer than anything that a test waits for.
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?} failed:\n{said}");
        Some(path)
    };
    cell.get_or_init(build).clone()
}

/// A static binary of Go's crypto/tls: `$GO`.
pub fn go() -> Option<Tool> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let path = built(&BUILT, || {
        let compiler = target().join("wheels/go/bin/go");
        let path = target().join("go-peer");
        let mut command = Command::new(&compiler);
        command.args(["build", "-trimpath", "-o"]).arg(&path).arg(".").current_dir(software().join("go"));
        // Statically linked, from the standard library alone, by this very toolchain.
        command.env("CGO_ENABLED", "0").env("GOTOOLCHAIN", "local").env("GOPROXY", "off").env("GOFLAGS", "");
        command.env("GOCACHE", target().join("go-cache")).env("GOENV", "off").env_remove("GOROOT");
        compiler.is_file().then_some((command, path))
    });
    tool("a Go toolchain", path, |path| format!("GO='{path}'"))
}

/// A binary of rustls with AWS-LC inside: `$RUSTLS`.
pub fn rustls() -> Option<Tool> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let path = built(&BUILT, || {
        let mut command = Command::new(env!("CARGO"));
        command.args(["build", "--quiet", "--locked", "--target-dir"]).arg(target().join("rustls"));
        command.current_dir(software().join("rustls"));
        Some((command, target().join("rustls/debug/rustls-peer")))
    });
    tool("rustls", path, |path| format!("RUSTLS='{path}'"))
}

/// Java's virtual machine, with least start-up time, and the classes of the peer: `$JAVA`.
pub fn java() -> Option<Tool> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let path = built(&BUILT, || {
        let mut command = Command::new(find("javac")?);
        command.arg("-d").arg(target().join("java")).arg(software().join("java/Peer.java"));
        Some((command, target().join("java")))
    });
    let options = "-Xshare:auto -XX:+UseSerialGC -XX:TieredStopAtLevel=1";
    tool("javac", path, |path| format!("JAVA='java {options} -cp {path}'"))
}

/// Python modules from wheels, with libraries of their own.
pub fn wheels() -> Option<Tool> {
    let path = target().join("wheels");
    tool("psycopg2-binary", path.join("psycopg2").is_dir().then_some(path), |path| {
        format!("export PYTHONPATH='{path}'")
    })
}

/// nginx, from the distribution.
pub fn nginx() -> Option<Tool> {
    tool("nginx", find("nginx"), |path| format!("NGINX='{path}'"))
}

/// The test programs of NSS, from the distribution.
pub fn nss() -> Option<Tool> {
    tool("selfserv", find("selfserv"), |_| String::new())
}

/// Traces a script that uses these tools. `None`: something is missing here, which has been said.
pub fn trace_peers(tools: &[fn() -> Option<Tool>], script: &str) -> Option<Run> {
    let _permit = live()?;
    let mut text = format!("{PRELUDE}SOFTWARE='{}'\n", software().display());
    for tool in tools {
        text = text + &tool()?.line + "\n";
    }
    Some(trace(&(text + script)))
}

/// The name of a suite in the IANA registry, from OpenSSL's own.
fn iana_suite(openssl: &str) -> String {
    let list = finish(Command::new("openssl").args(["ciphers", "-stdname", "ALL:@SECLEVEL=0"])).text();
    // TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 - ECDHE-RSA-AES256-GCM-SHA384 TLSv1.2 …
    let mut lines = list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = lines.find(|words| words[2] == openssl).unwrap_or_else(|| panic!("OpenSSL has no {openssl}"));
    line[0].to_owned()
}

/// The name of a group in the IANA registry, from OpenSSL's own.
fn iana_group(openssl: &str) -> String {
    match openssl {
        "prime256v1" => "secp256r1".to_owned(),
        "X25519" => "x25519".to_owned(),
        other => other.to_owned(),
    }
}

/// A connection as its program told of it, and as it was recorded.
pub struct Pair<'a> {
    /// What the program said.
    pub said: Value,
    /// The event.
    pub event: &'a Value,
}

/// Whatever the programs said of their connections is what was recorded of them, and nothing else was recorded. In the
/// order in which it was said. None of them failed.
pub fn compare(run: &Run) -> Vec<Pair<'_>> {
    compare_with_failures(run, 0)
}

/// The same, where so many of them failed, as their programs tell it.
pub fn compare_with_failures(run: &Run, failures: usize) -> Vec<Pair<'_>> {
    let told = run.text.lines().filter(|line| line.starts_with('{'));
    let pairs: Vec<_> = told.map(|line| pair(run, serde_json::from_str(line).unwrap())).collect();
    assert_eq!(pairs.len(), run.handshakes.len(), "{}\n{:#?}", run.text, run.handshakes);
    let failed = pairs.iter().filter(|pair| pair.said["error"].is_string()).count();
    assert_eq!(failed, failures, "{}", run.text);
    pairs
}

fn pair(run: &Run, said: Value) -> Pair<'_> {
    let same = |event: &&Value| {
        ["role", "pid", "local_port", "remote_port"]
            .iter()
            .all(|name| said.get(name).is_none_or(|value| event[name] == *value))
    };
    let found: Vec<_> = run.handshakes.iter().filter(same).collect();
    assert_eq!(found.len(), 1, "connections like {said}: {:#?}", run.handshakes);
    let event = found[0];
    for (name, value) in said.as_object().unwrap() {
        compare_member(event, name, value);
    }
    Pair { said, event }
}

/// Most members have the name and the values of the event's.
fn compare_member(event: &Value, name: &str, value: &Value) {
    let context = || format!("{name} is {value} in\n{event:#}");
    let in_the_clear = event["version"] == "TLS 1.2";
    match name {
        "resumed" => assert_eq!(event["resumption"] != "no", value.as_bool().unwrap(), "{}", context()),
        "retried" => {
            let notes = event["hello_notes"].as_array().is_some_and(|notes| notes.iter().any(|note| note == "retried"));
            assert_eq!(notes, value.as_bool().unwrap(), "{}", context());
        }
        // Of the session that is resumed; this handshake exchanges no keys.
        "group_id" if in_the_clear && event["resumption"] != "no" => assert_eq!(event["group_id"], Value::Null),
        "openssl_cipher" => assert_eq!(event["cipher_suite"], iana_suite(value.as_str().unwrap()), "{}", context()),
        "openssl_group" => assert_eq!(event["group"], iana_group(value.as_str().unwrap()), "{}", context()),
        // What was chosen is encrypted in TLS 1.3, but it is one of those that were offered.
        "negotiated_protocol" => match value.as_str().unwrap_or("") {
            "" => assert_eq!(event["alpn"], Value::Null, "{}", context()),
            chosen if in_the_clear => assert_eq!(event["alpn"], chosen, "{}", context()),
            chosen => {
                assert_eq!(event["alpn"], Value::Null, "{}", context());
                assert!(texts(&event["offered"]["alpn"]).contains(&chosen), "{}", context());
            }
        },
        // Encrypted in TLS 1.3, and not sent again when a session is resumed.
        "certificates" if in_the_clear && event["resumption"] == "no" => {
            let shown = event["certificates"].as_array().unwrap();
            let digests: Vec<_> = shown.iter().map(|certificate| certificate["sha256"].clone()).collect();
            assert_eq!(digests, *value.as_array().unwrap(), "{}", context());
        }
        "certificates" => assert_eq!(event["certificates"], Value::Null, "{}", context()),
        // What went wrong is for the test to look at.
        "error" => {}
        _ => assert_eq!(event[name], *value, "{}", context()),
    }
}
