//! IKE by strongSwan, between network namespaces: what is shown is what the software itself agreed on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use crypto_trace_tests::{live, record_script, said, shown, software};
use serde_json::{Value, json};

/// What swanctl said, and what was seen of it.
struct Run {
    text: String,
    events: Vec<Value>,
}

/// An initiation, of the initiator's and the responder's proposals, and further lines of their connections and the responder's
/// options.
fn trace(tool: &software::Tool, record: &[&str], arguments: [&str; 5]) -> Run {
    let arguments = arguments.map(|one| format!("'{one}'")).join(" ");
    let script = format!("set -eu\nexec </dev/null\n{}\n$IKE {arguments}\n", tool.line());
    let done = record_script(record, &["unshare", "-nmpf", "--mount-proc"], &script);
    Run { text: done.text(), events: shown("ike_handshake", &done.output) }
}

impl Run {
    /// The events of both ends of the only exchange.
    fn both(&self) -> [&Value; 2] {
        assert_eq!(self.events.len(), 2, "{}\n{:#?}", self.text, self.events);
        ["client", "server"].map(|role| self.events.iter().find(|event| event["role"] == role).unwrap())
    }
}

#[test]
fn both_ends_of_strongswan_are_seen_as_it_tells_it() {
    let Some(_permit) = live() else { return };
    let Some(tool) = software::strongswan() else { return };
    for (proposals, told, expected) in [
        (
            "aes256-sha256-modp2048",
            "IKE:AES_CBC_256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048",
            ("ENCR_AES_CBC", 256, "PRF_HMAC_SHA2_256", json!("AUTH_HMAC_SHA2_256_128"), "2048-bit MODP Group"),
        ),
        (
            "aes128gcm16-prfsha384-ecp384",
            "IKE:AES_GCM_16_128/PRF_HMAC_SHA2_384/ECP_384",
            ("ENCR_AES_GCM_16", 128, "PRF_HMAC_SHA2_384", Value::Null, "384-bit random ECP group"),
        ),
        (
            "aes192-sha1-prfmd5-x25519",
            "IKE:AES_CBC_192/HMAC_SHA1_96/PRF_HMAC_MD5/CURVE_25519",
            ("ENCR_AES_CBC", 192, "PRF_HMAC_MD5", json!("AUTH_HMAC_SHA1_96"), "Curve25519"),
        ),
    ] {
        let run = trace(&tool, &["--wire", "ike"], [proposals, proposals, "", "", ""]);
        assert_eq!(said(&run.text, "selected proposal: "), told);
        for event in run.both() {
            assert_eq!((&event["outcome"], &event["version"]), (&json!("agreed"), &json!("2.0")), "{event:#}");
            let seen =
                ["encryption", "encryption_key_bits", "prf", "integrity", "key_exchange"].map(|name| &event[name]);
            let (encryption, bits, prf, integrity, exchange) = &expected;
            assert_eq!(seen, [&json!(encryption), &json!(bits), &json!(prf), integrity, &json!(exchange)], "{told}");
            assert_eq!((&event["hello_notes"], &event["process"]), (&Value::Null, &json!("charon")), "{event:#}");
            assert_eq!((&event["post_quantum"], &event["retried"]), (&json!(false), &json!(false)));
            assert_eq!((&event["nat_detection"], &event["fragmentation"]), (&json!(true), &json!(true)));
        }
        let [client, server] = run.both();
        assert_eq!((&client["peer"]["pid"], &server["peer"]["pid"]), (&server["pid"], &client["pid"]));
        assert_eq!(client["initiator_spi"], server["initiator_spi"]);
    }
}

/// The initiator's SPI comes first, and is any eight bytes. Where it began like a packet of QUIC, which half of all do, or of DTLS,
/// the exchange was not recorded.
#[test]
fn an_exchange_is_seen_however_its_spi_begins() {
    let Some(_permit) = live() else { return };
    let script = r#"
import os, socket, struct
a, b = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
a.bind(("127.0.0.1", 500))
b.bind(("127.0.0.1", 4501))
# A proposal of ENCR_AES_GCM_16 with 256 bits, PRF_HMAC_SHA2_256 and Curve25519.
transforms = [(1, 20, b"\x80\x0e\x01\x00"), (2, 5, b""), (4, 31, b"")]
body = b"".join(struct.pack("!BBHBBH", 3 if i < 2 else 0, 0, 8 + len(c), t, 0, n) + c for i, (t, n, c) in enumerate(transforms))
sa = struct.pack("!BBHBBBB", 0, 0, 8 + len(body), 1, 1, 0, 3) + body
payloads = struct.pack("!BBH", 34, 0, 4 + len(sa)) + sa + struct.pack("!BBHHH", 0, 0, 40, 31, 0) + bytes(32)
for first in (b"\x00\x01", b"\x16\xfe", b"\x7f\x00", b"\x80\x00", b"\xc0\x00", b"\xff\xff"):
    spi = first + os.urandom(6)
    for here, there, answer, flags in ((b, a, bytes(8), 8), (a, b, os.urandom(8), 0x20)):
        here.sendto(spi + answer + struct.pack("!BBBBII", 33, 0x20, 34, flags, 0, 28 + len(payloads)) + payloads, there.getsockname())
        there.recv(2048)
"#;
    let script = format!("ip link set lo up\npython3 - <<'SCRIPT'\n{script}\nSCRIPT\n");
    let done = record_script(&["--wire", "on"], &["unshare", "-n"], &script);
    let events = shown("ike_handshake", &done.output);
    assert_eq!(events.len(), 12, "{events:#?}");
    for event in events {
        assert_eq!((&event["outcome"], &event["key_exchange"]), (&json!("agreed"), &json!("Curve25519")), "{event:#}");
    }
}

#[test]
fn another_method_than_was_begun_with_is_one_exchange() {
    let Some(_permit) = live() else { return };
    let Some(tool) = software::strongswan() else { return };
    let run = trace(&tool, &["--wire", "ike"], ["aes256-sha256-ecp256-x25519", "aes256-sha256-x25519", "", "", ""]);
    assert!(run.text.contains("it requested CURVE_25519"), "{}", run.text);
    for event in run.both() {
        assert_eq!((&event["outcome"], &event["retried"]), (&json!("agreed"), &json!(true)), "{event:#}");
        assert_eq!(
            (&event["wanted_key_exchange"], &event["key_exchange"]),
            (&json!("Curve25519"), &json!("Curve25519"))
        );
        let proposed = &event["proposed"][0]["key_exchange"];
        assert_eq!(proposed.as_array().unwrap().len(), 2, "{proposed}");
    }
}

#[test]
fn what_a_responder_refuses_is_told() {
    let Some(_permit) = live() else { return };
    let Some(tool) = software::strongswan() else { return };
    let run = trace(&tool, &["--wire", "ike"], ["aes256-sha256-modp3072", "aes128-sha1-modp2048", "", "", ""]);
    assert!(run.text.contains("received NO_PROPOSAL_CHOSEN"), "{}", run.text);
    for event in run.both() {
        assert_eq!((&event["outcome"], &event["error"]), (&json!("failed"), &json!("NO_PROPOSAL_CHOSEN")), "{event:#}");
        assert_eq!((&event["key_exchange"], &event["post_quantum"]), (&Value::Null, &Value::Null));
    }
}

#[test]
fn privacy_leaves_algorithms_and_no_address() {
    let Some(_permit) = live() else { return };
    let Some(tool) = software::strongswan() else { return };
    let proposals = "aes256-sha256-modp2048";
    let run = trace(&tool, &["--wire", "ike", "--privacy", "drop"], [proposals, proposals, "", "", ""]);
    assert_eq!(run.events.len(), 2, "{}", run.text);
    for event in &run.events {
        assert!(!event.to_string().contains("10.9.0."), "{event:#}");
        assert_eq!((&event["outcome"], &event["hello_notes"]), (&json!("agreed"), &Value::Null), "{event:#}");
        assert_eq!(
            (&event["encryption"], &event["key_exchange"]),
            (&json!("ENCR_AES_CBC"), &json!("2048-bit MODP Group"))
        );
        assert_eq!(event["nat_detection"], true);
    }
    assert!(run.text.contains("selected proposal"), "{}", run.text);
}
