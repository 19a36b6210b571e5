//! TLS programs that say what they themselves know of each connection, and the comparison with what was recorded.
//!
//! They are in `tests/software`; a test of software that is not here is skipped, and says so.

use std::process::Command;

use crypto_trace_tests::software::{Tool, directory as software};
use crypto_trace_tests::{live, run as finish};
use serde_json::Value;

pub use crypto_trace_tests::software::{go, java, nginx, nss, rustls, wheels};

use crate::support::{Run, texts, trace};

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

/// Traces a script that uses these tools. `None`: something is missing here, which has been said.
pub fn trace_peers(tools: &[fn() -> Option<Tool>], script: &str) -> Option<Run> {
    let _permit = live()?;
    let mut text = format!("{PRELUDE}SOFTWARE='{}'\n", software().display());
    for tool in tools {
        text = text + tool()?.line() + "\n";
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
    // Left out where no call of a library was seen.
    if let Some(result) = event["api_result"].as_str() {
        let expected = if said["error"].is_string() { "failed" } else { "ok" };
        assert_eq!(result, expected, "{said}\n{event:#}");
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
