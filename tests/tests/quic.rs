//! QUIC by aioquic on loopback: what is shown is what the software itself agreed on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use crypto_trace_format::record::{Direction, TlsHelloFixed};
use crypto_trace_tests::{Capture, live, record_script, shown, software};
use serde_json::{Value, json};

/// What aioquic was asked to do, what it said, and what was seen of it.
struct Run {
    said: String,
    events: Vec<Value>,
    hellos: Vec<TlsHelloFixed>,
}

fn trace(tool: &software::Tool, record: &[&str], options: &str) -> Run {
    let script = format!(
        "set -eu\nexec </dev/null\n{}\nopenssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
         -subj /CN=quic.test -keyout key.pem -out crt.pem 2>/dev/null\n$QUIC crt.pem key.pem {options}\n",
        tool.line()
    );
    let done = record_script(record, &[], &script);
    let events = shown("tls_handshake", &done.output);
    let hellos = done.trace().hellos().into_iter().map(|(_, fixed)| *fixed).collect();
    Run { said: done.text(), events, hellos }
}

impl Run {
    fn of(&self, role: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["role"] == role).collect()
    }
}

#[test]
fn both_ends_of_quic_are_seen_as_the_software_tells_it() {
    let Some(_permit) = live() else { return };
    let Some(tool) = software::aioquic() else { return };
    for (options, version, retry, connections) in [
        ("", "1", false, 1),
        ("retry", "1", true, 1),
        ("v2", "2", false, 1),
        ("long", "1", false, 1),
        ("twice", "1", false, 2),
        // What it hears first and what it goes on with come by two sockets: one end of one connection.
        ("sockets", "1", false, 1),
    ] {
        let run = trace(&tool, &["--wire", "quic"], options);
        let agreed: Vec<&str> = run.said.lines().filter_map(|line| line.strip_prefix("agreed ")).collect();
        assert_eq!(agreed.len(), connections, "{options}: {}", run.said);
        for role in ["client", "server"] {
            let events = run.of(role);
            assert_eq!(events.len(), connections, "{options}: {:#?}", run.events);
            for event in events {
                assert_eq!(event["outcome"], "server_hello", "{options}: {event:#}");
                assert_eq!((&event["transport"], &event["quic"]["version"]), (&json!("quic"), &json!(version)));
                assert_eq!((&event["quic"]["retry"], &event["server_name"]), (&json!(retry), &json!("secret.example")));
                let suite = event["cipher_suite"].as_str().unwrap().trim_start_matches("TLS_");
                assert!(agreed[0].starts_with(suite), "{options}: {suite}: {agreed:?}");
                let offered = event["offered"]["alpn"].as_array().unwrap();
                assert_eq!(offered.len(), if options == "long" { 121 } else { 1 });
                assert!(event["ja4"].as_str().unwrap().starts_with("q13d"), "{event:#}");
                assert_eq!((&event["hello_notes"], &event["process_known_by"]), (&Value::Null, &json!("sent")));
                assert_eq!(event["peer"]["pid"], event["pid"]);
                let parameters = event["quic"]["parameters"].as_array().unwrap();
                assert!(parameters.contains(&json!({ "name": "max_idle_timeout", "value": 60000 })), "{parameters:?}");
            }
        }
    }
}

/// The first hello of qh3 takes two datagrams, which the kernel is given as one packet: their data is not where headers are.
#[test]
fn datagrams_that_are_one_packet_for_the_kernel_are_seen_each() {
    let Some(_permit) = live() else { return };
    let Some(tool) = software::aioquic() else { return };
    let run = trace(&tool, &["--wire", "quic"], "qh3");
    assert!(run.said.contains("agreed"), "{}", run.said);
    for role in ["client", "server"] {
        let events = run.of(role);
        let [event] = events[..] else { panic!("{:#?}", run.events) };
        assert_eq!((&event["outcome"], &event["server_name"]), (&json!("server_hello"), &json!("secret.example")));
        assert_eq!((&event["hello_notes"], &event["quic"]["unread"]), (&Value::Null, &Value::Null));
        let shares = event["offered"]["key_shares"].as_array().unwrap();
        assert!(shares.contains(&json!("X25519MLKEM768")), "{shares:?}");
    }
    // Both of the first packet have the same time, and numbers of their own.
    let sent = |fixed: &&TlsHelloFixed| fixed.direction == Direction::SENT.0 && fixed.data_len >= 1200;
    let numbers: Vec<u32> = run.hellos.iter().filter(sent).map(|fixed| fixed.offset >> 16).collect();
    assert!(numbers.contains(&0) && numbers.contains(&1), "{numbers:?}");
}

/// First packets from many ports, which nobody answers: a part of them is recorded, and all are counted.
#[test]
fn a_flood_of_first_packets_is_bounded_and_counted() {
    const FLOOD: u64 = 3000;
    let Some(_permit) = live() else { return };
    let script = format!(
        "import os, socket\nserver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nserver.bind(('127.0.0.1', 0))\n\
         for _ in range({FLOOD}):\n  client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n  \
         client.sendto(b'\\xc0\\0\\0\\0\\1\\x08' + os.urandom(8) + b'\\0\\0\\x44\\x96' + bytes(1178), server.getsockname())\n"
    );
    let capture = Capture::new().options(["--wire", "quic", "--process-rate", "0", "--user-rate", "0"]);
    let done = capture.command(["python3", "-c", &script]).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let trace = done.trace();
    let received =
        trace.hellos().into_iter().filter(|(_, fixed)| fixed.direction == Direction::RECEIVED.0).count() as u64;
    let withheld: u64 = trace.suppressed().into_iter().map(|(_, fixed)| fixed.count).sum();
    // More than one second may have passed.
    assert!((512..=FLOOD - 400).contains(&received), "{received}");
    assert_eq!(received + withheld, FLOOD);
}

/// Names inside of protected packets can be read by whoever sees them, so they are names.
#[test]
fn privacy_leaves_nothing_of_a_hello_in_quic_that_could_be_opened() {
    let Some(_permit) = live() else { return };
    let Some(tool) = software::aioquic() else { return };
    for options in ["", "retry", "long"] {
        let run = trace(&tool, &["--wire", "quic", "--privacy", "drop"], options);
        let clients = run.of("client");
        let [client] = clients[..] else { panic!("{:#?}", run.events) };
        assert_eq!((&client["outcome"], &client["server_name"]), (&json!("server_hello"), &Value::Null));
        assert_eq!((&client["version"], &client["offered"]), (&json!("TLS 1.3"), &Value::Null));
        assert_eq!(client["quic"]["parameters"], json!([]));
        // Of what a client sends connection ids are left, which are no longer than this.
        let cookie = client["socket_cookie"].as_u64().unwrap();
        let of_client = |fixed: &&TlsHelloFixed| (fixed.cookie == cookie) == (fixed.direction == Direction::SENT.0);
        let sent: Vec<u16> = run.hellos.iter().filter(of_client).map(|fixed| fixed.data_len).collect();
        assert!(!sent.is_empty() && sent.iter().all(|len| *len <= 47), "{options}: {sent:?}");
        assert!(run.hellos.iter().any(|fixed| fixed.data_len > 100), "what the server answers stays");
    }
}
