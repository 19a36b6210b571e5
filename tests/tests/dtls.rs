//! DTLS by OpenSSL and GnuTLS on loopback: what is shown is what the software itself agreed on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use crypto_trace_tests::{live, record_script, said, shown, software};
use serde_json::{Value, json};

/// What a script printed, and what was seen of it.
struct Run {
    text: String,
    events: Vec<Value>,
}

/// A key and a certificate, whose chain does not fit into a small datagram; and how a server is waited for.
const PRELUDE: &str = r#"
ip link set lo up
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=dtls.test -keyout key.pem -out crt.pem 2>/dev/null
serve() {
	"$@" >server.log 2>&1 &
	server=$!
	until grep -q ':1151 ' /proc/net/udp; do kill -0 $server; sleep 0.05; done
}
openssl_serves() { serve openssl s_server -accept 127.0.0.1:4433 -cert crt.pem -key key.pem -quiet "$@"; }
openssl_asks() { openssl s_client -connect 127.0.0.1:4433 -servername dtls.test "$@" </dev/null 2>&1; }
"#;

/// Runs a script in a network namespace of its own.
fn trace(record: &[&str], script: &str) -> Run {
    let script = format!("set -eu\nexec </dev/null\n{PRELUDE}\n{script}\nkill $server\nwait || true\n");
    let done = record_script(record, &["unshare", "-n"], &script);
    Run { text: done.text(), events: shown("tls_handshake", &done.output) }
}

impl Run {
    /// The events of both ends of the only handshake.
    fn both(&self) -> [&Value; 2] {
        assert_eq!(self.events.len(), 2, "{:#?}", self.events);
        ["client", "server"].map(|role| self.events.iter().find(|event| event["role"] == role).unwrap())
    }
}

#[test]
fn both_ends_of_openssl_are_seen_as_the_client_tells_it() {
    let Some(_permit) = live() else { return };
    let weak = "-dtls1 -cipher DEFAULT@SECLEVEL=0";
    for (server, client, version) in [
        ("-dtls1_2", "-dtls1_2", "DTLS 1.2"),
        // A hello that is sent again with a cookie, and messages in fragments.
        ("-dtls1_2 -listen -mtu 300", "-dtls1_2 -mtu 300", "DTLS 1.2"),
        (weak, weak, "DTLS 1.0"),
    ] {
        let run = trace(&["--wire", "dtls"], &format!("openssl_serves {server}\nopenssl_asks {client}"));
        for event in run.both() {
            assert_eq!((&event["outcome"], &event["transport"]), (&json!("server_hello"), &json!("udp")), "{server}");
            assert_eq!((&event["version"], &event["server_name"]), (&json!(version), &json!("dtls.test")), "{server}");
            let suite =
                event["cipher_suite"].as_str().unwrap().trim_start_matches("TLS_").replace("_WITH_AES_256", "_AES256");
            assert_eq!(
                said(&run.text, "    Cipher    : ").replace('-', "_"),
                suite.replace("_CBC_SHA", "_SHA"),
                "{server}"
            );
            assert_eq!((&event["group"], said(&run.text, "Server Temp Key: ")), (&json!("x25519"), "X25519, 253 bits"));
            let certificate = &event["certificates"][0];
            assert_eq!((&certificate["subject"], &certificate["key_bits"]), (&json!("CN=dtls.test"), &json!(2048)));
            assert!(event["ja4"].as_str().unwrap().starts_with("dd"), "{event:#}");
            assert_eq!((&event["hello_notes"], &event["process_known_by"]), (&Value::Null, &json!("sent")), "{server}");
            assert_eq!(event["offered"]["versions"], json!([version]));
        }
        let [client, server] = run.both();
        assert_eq!((&client["peer"]["pid"], &server["peer"]["pid"]), (&server["pid"], &client["pid"]));
    }
}

#[test]
fn two_handshakes_from_the_same_port_are_two() {
    let Some(_permit) = live() else { return };
    let script = "openssl_serves -dtls1_2\nfor cipher in AES128 AES256; do\n\
                  openssl_asks -dtls1_2 -bind 127.0.0.1:4444 -cipher $cipher\nsleep 0.2\ndone";
    let run = trace(&["--wire", "dtls"], script);
    let names = |role: &str| -> Vec<String> {
        let of_role = run.events.iter().filter(|event| event["role"] == role);
        of_role.map(|event| event["cipher_suite"].as_str().unwrap_or_default().to_owned()).collect()
    };
    for role in ["client", "server"] {
        let [first, second] = &names(role)[..] else { panic!("{:#?}", run.events) };
        assert!(first.contains("AES_128") && second.contains("AES_256"), "{role}: {first}, {second}");
    }
}

#[test]
fn what_a_server_refuses_is_told() {
    let Some(_permit) = live() else { return };
    let script = "openssl_serves -dtls1_2 -cipher AES128-SHA\nopenssl_asks -dtls1_2 -cipher AES256-SHA || true";
    let run = trace(&["--wire", "dtls"], script);
    for event in run.both() {
        assert_eq!((&event["outcome"], &event["alert"]), (&json!("alert"), &json!("handshake_failure")), "{event:#}");
        assert_eq!(event["alert_from"], "server");
    }
}

#[test]
fn both_ends_of_gnutls_are_seen_as_the_client_tells_it() {
    let Some(_permit) = live() else { return };
    let Some(_tool) = software::gnutls() else { return };
    let script = "serve gnutls-serv --udp -p 4433 --echo --x509keyfile key.pem --x509certfile crt.pem\n\
                  gnutls-cli --udp -p 4433 --insecure --sni-hostname dtls.test 127.0.0.1 2>&1 || true";
    let run = trace(&["--wire", "dtls"], script);
    let agreed = said(&run.text, "- Description: ");
    assert!(agreed.contains("(DTLS1.2-X.509)-(ECDHE-SECP256R1)-(RSA-SHA256)-(AES-256-GCM)"), "{}", run.text);
    for event in run.both() {
        assert_eq!((&event["outcome"], &event["version"]), (&json!("server_hello"), &json!("DTLS 1.2")));
        assert_eq!(event["cipher_suite"], "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384");
        assert_eq!((&event["group"], &event["server_name"]), (&json!("secp256r1"), &json!("dtls.test")));
        assert_eq!(
            (&event["certificates"][0]["subject"], &event["hello_notes"]),
            (&json!("CN=dtls.test"), &Value::Null)
        );
    }
}

#[test]
fn privacy_leaves_what_was_chosen_and_no_name_in_dtls() {
    let Some(_permit) = live() else { return };
    let run = trace(&["--wire", "dtls", "--privacy", "drop"], "openssl_serves -dtls1_2\nopenssl_asks -dtls1_2");
    for event in run.both() {
        assert_eq!((&event["server_name"], event["certificates"].get(0)), (&Value::Null, None), "{event:#}");
        assert_eq!((&event["outcome"], &event["version"]), (&json!("server_hello"), &json!("DTLS 1.2")), "{event:#}");
        assert_eq!(said(&run.text, "    Cipher    : "), "ECDHE-RSA-AES256-GCM-SHA384");
        assert_eq!(event["cipher_suite"], "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384");
        let told = event.as_object().unwrap().iter().filter(|(member, _)| *member != "cmdline");
        assert!(told.clone().all(|(_, value)| !value.to_string().contains("dtls.test")), "{event:#}");
        assert_eq!(event["hello_notes"], json!(["packets_missing", "hello_cut", "client_hello_incomplete"]));
    }
    assert!(run.text.contains("DTLSv1.2"), "{}", run.text);
}

/// Chromium's WebRTC speaks DTLS 1.3, whose first hello with a post-quantum key share takes two datagrams, beside STUN.
#[test]
fn a_call_between_browsers_is_post_quantum() {
    let Some(_permit) = live() else { return };
    let Some(modules) = software::browser() else { return };
    // An address that calls can be made to; in a directory of their own, for what the browser keeps.
    let script = format!(
        "set -eu\nexec </dev/null\nexport HOME=$PWD\nip link set lo up\nip link add v0 type veth peer name v1\n\
         ip addr add 10.8.0.1/24 dev v0\nip link set v0 up\nip link set v1 up\nip route add default dev v0\n\
         node {}/webrtc/call.mjs {} \"$(command -v chromium)\"\n",
        software::directory().display(),
        modules.path().display()
    );
    let done = record_script(&["--wire", "dtls"], &["unshare", "-n"], &script);
    let run = Run { text: done.text(), events: shown("tls_handshake", &done.output) };
    let told: Vec<&str> = run.text.lines().filter_map(|line| line.strip_prefix("agreed ")).collect();
    assert_eq!(told.len(), 2, "{}", run.text);
    for event in run.both() {
        let role = event["role"].as_str().unwrap();
        // 0xFEFC is DTLS 1.3 (RFC 9147 section 5.3).
        let suite = event["cipher_suite"].as_str().unwrap();
        assert!(told.contains(&format!("{role} FEFC {suite}").as_str()), "{told:?}: {event:#}");
        assert_eq!((&event["version"], &event["outcome"]), (&json!("DTLS 1.3"), &json!("server_hello")), "{event:#}");
        assert_eq!((&event["group"], &event["hello_notes"]), (&json!("X25519MLKEM768"), &Value::Null), "{event:#}");
        assert_eq!((&event["transport"], event["certificates"].get(0)), (&json!("udp"), None));
    }
}
