//! WireGuard by wireguard-go, between network namespaces: what is shown is what wg tells of it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use crypto_trace_tests::{Done, live, record_script, said, shown, software};
use serde_json::{Value, json};

fn trace(tool: &software::Tool, record: &[&str], what: &str) -> Done {
    let script = format!("set -eu\nexec </dev/null\n{}\n$WIREGUARD {what}\n", tool.line());
    record_script(record, &["unshare", "-nmpf", "--mount-proc"], &script)
}

fn of<'e>(events: &'e [Value], role: &str) -> Vec<&'e Value> {
    events.iter().filter(|event| event["role"] == role).collect()
}

#[test]
fn both_ends_of_a_tunnel_are_seen_as_wg_tells_it() {
    let Some(_permit) = live() else { return };
    let Some(tool) = software::wireguard() else { return };
    for what in ["", "psk"] {
        let done = trace(&tool, &["--wire", "wireguard"], what);
        let events = shown("wireguard_handshake", &done.output);
        assert_eq!(events.len(), 2, "{}\n{events:#?}", done.text());
        let told = |end: &str| said(&done.text(), &format!("handshake {end} ")).parse::<u64>().unwrap();
        assert!(told("left") > 0 && told("right") > 0, "{}", done.text());
        let (client, server) = (of(&events, "client")[0], of(&events, "server")[0]);
        for (event, address) in [(client, "192.0.2.1"), (server, "192.0.2.2")] {
            assert_eq!((&event["outcome"], &event["post_quantum"]), (&json!("agreed"), &json!(false)), "{event:#}");
            assert_eq!((&event["key_exchange"], &event["cipher"]), (&json!("x25519"), &json!("ChaCha20-Poly1305")));
            assert_eq!((&event["local_address"], &event["local_port"]), (&json!(address), &json!(51820)));
            assert_eq!((&event["process"], &event["process_known_by"]), (&json!("wireguard-go"), &json!("sent")));
            assert_eq!(event["hello_notes"], Value::Null, "{event:#}");
            assert_eq!(event["initiator_index"], client["initiator_index"]);
            assert_eq!(event["responder_index"], client["responder_index"]);
        }
        assert_eq!((&client["peer"]["pid"], &server["peer"]["pid"]), (&server["pid"], &client["pid"]));
    }
}

#[test]
fn an_initiation_that_nobody_answers_is_no_agreement() {
    let Some(_permit) = live() else { return };
    let Some(tool) = software::wireguard() else { return };
    let done = trace(&tool, &["--wire", "wireguard"], "absent");
    let events = shown("wireguard_handshake", &done.output);
    assert!(!events.is_empty(), "{}", done.text());
    for event in &events {
        assert_eq!((&event["role"], &event["outcome"]), (&json!("client"), &json!("none")), "{event:#}");
        assert_eq!((&event["cipher"], &event["post_quantum"]), (&Value::Null, &Value::Null));
        assert_eq!(event["hello_notes"], json!(["response_not_seen"]));
    }
}

/// Keys and codes of a handshake tell who somebody is to whoever knows public keys.
#[test]
fn nothing_is_recorded_of_a_message_but_its_type_and_indexes() {
    let Some(_permit) = live() else { return };
    let Some(tool) = software::wireguard() else { return };
    for privacy in [&["--wire", "wireguard"][..], &["--wire", "wireguard", "--privacy", "drop"]] {
        let done = trace(&tool, privacy, "");
        let mut lengths: Vec<u16> = done.trace().hellos().into_iter().map(|(_, fixed)| fixed.data_len).collect();
        lengths.sort_unstable();
        assert_eq!(lengths, [8, 8, 12, 12], "of 148 and 92 bytes");
        assert_eq!(of(&shown("wireguard_handshake", &done.output), "client").len(), 1);
    }
}
