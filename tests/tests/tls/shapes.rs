//! The beginning of a TLS connection in every form that it legally comes in, and what is said where it does not.
//!
//! Real software where there is any that does it; else `tests/software/wire.py`, byte by byte.

use std::path::Path;
use std::process::Command;

use crypto_trace_tests::{Trace, analyze_binary, live, run as finish};
use serde_json::{Value, json};

use crate::support::{Run, texts, trace};

const S_CLIENT: &str = "openssl s_client -CAfile ca.crt -servername server.test -connect";

/// Makes a connection for each case.
fn wire(cases: &[&str]) -> Run {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("software/wire.py");
    trace(&format!("python3 '{}' {}", script.display(), cases.join(" ")))
}

/// The two ends whose hello names this case, server first.
fn ends<'a>(run: &'a Run, case: &str) -> [&'a Value; 2] {
    let name = format!("{case}.test");
    let of = |role: &str| {
        let found: Vec<_> =
            run.handshakes.iter().filter(|event| event["role"] == role && event["server_name"] == name).collect();
        assert_eq!(found.len(), 1, "{role} of {case}: {:#?}", run.handshakes);
        found[0]
    };
    [of("server"), of("client")]
}

fn is_whole(event: &Value) {
    assert_eq!(event["outcome"], "server_hello", "{event:#}");
    assert_eq!((&event["version"], &event["group"]), (&json!("TLS 1.3"), &json!("x25519")), "{event:#}");
    assert_eq!(texts(&event["offered"]["groups"]), ["x25519", "secp384r1"], "{event:#}");
    assert!(event["ja3"].is_string() && event["ja4"].is_string(), "{event:#}");
    assert_eq!(event["hello_notes"], Value::Null, "{event:#}");
}

/// What `coverage` says, as JSON.
fn coverage(run: &Run) -> Value {
    let done = finish(Command::new(analyze_binary()).args(["coverage", "-f", "json"]).arg(&run.done.output));
    assert_eq!(done.code(), 0, "{}", done.stderr);
    serde_json::from_str(&done.text()).unwrap()
}

/// Everything that was recorded.
fn raw(run: &Run) -> Vec<u8> {
    Trace::read(&run.done.segments()).raw
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn a_hello_need_not_begin_a_segment_nor_fit_into_one_nor_keep_to_records() {
    let Some(_permit) = live() else { return };
    let cases = [
        "plain",
        "cut-1",
        "cut-2",
        "cut-3",
        "cut-4",
        "cut-5",
        "cut-6",
        "cut-9",
        "drip-5",
        "drip-12",
        "records-1",
        "records-3",
        "records-4",
        "records-5",
        "records-64",
        "proxy1",
        "proxy1cut-1",
        "proxy1cut-5",
        "proxy1cut-7",
        "proxy2-0",
        "proxy2-900",
        "connect",
        "sslrequest",
        "greeting",
    ];
    let run = wire(&cases);
    for case in cases {
        ends(&run, case).iter().for_each(|event| is_whole(event));
    }
    assert_eq!(run.handshakes.len(), 2 * cases.len());
}

#[test]
fn what_comes_with_the_last_packet_of_the_tcp_handshake_is_seen_at_both_ends() {
    let Some(_permit) = live() else { return };
    let run = trace(
        r#"
cat > deferred.py <<'END'
import socket, ssl, threading, time
server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server.load_cert_chain("server.crt", "server.key")
client = ssl.create_default_context(cafile="ca.crt")
def accept(listener, count):
    for _ in range(count):
        with listener.accept()[0] as accepted, server.wrap_socket(accepted, server_side=True) as tls:
            tls.recv(1)
# A handshake whose first packet holds so many bytes.
def torn(sock, head):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client.wrap_bio(incoming, outgoing, server_hostname="server.test")
    done = False
    while not done:
        try:
            tls.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            pass
        data = outgoing.read()
        if head:
            sock.sendall(data[:head])
            time.sleep(0.02)
            data, head = data[head:], 0
        sock.sendall(data)
        if not done:
            incoming.write(sock.recv(65536))
    tls.write(b"x")
    sock.sendall(outgoing.read())
for family, listen, host in ((2, "127.0.0.1", "127.0.0.1"), (10, "::1", "::1"), (10, "::", "127.0.0.1")):
    with socket.socket(family) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 5)
        listener.bind((listen, 0))
        listener.listen()
        thread = threading.Thread(target=accept, args=(listener, 20))
        thread.start()
        for n in range(20):
            with socket.create_connection((host, listener.getsockname()[1])) as connected:
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if n >= 10:
                    torn(connected, n - 9)
                    continue
                with client.wrap_socket(connected, server_hostname="server.test") as tls:
                    tls.send(b"x")
        thread.join()
END
python3 deferred.py"#,
    );
    assert_eq!(run.handshakes.len(), 120);
    for event in &run.handshakes {
        assert_eq!((&event["server_name"], &event["hello_notes"]), (&json!("server.test"), &Value::Null), "{event:#}");
        assert!(event["ja4"].is_string() && event["offered"]["versions"].is_array(), "{event:#}");
        assert_eq!(event["process_known_by"], "sent", "{event:#}");
        let is_torn = event["role"] == "client" && event["library"].is_null();
        assert!(event["library"].is_string() || is_torn, "the library's call is tied to it: {event:#}");
    }
}

#[test]
fn what_comes_with_the_syn_is_seen_at_both_ends_and_tied_to_the_librarys_call() {
    let Some(_permit) = live() else { return };
    let run = trace(
        r#"
cat > fast.py <<'END'
import socket, ssl, threading
open("/proc/sys/net/ipv4/tcp_fastopen", "w").write("1543")
server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server.load_cert_chain("server.crt", "server.key")
client = ssl.create_default_context(cafile="ca.crt")
listener = socket.socket()
listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
listener.bind(("127.0.0.1", 0))
listener.listen()
def accept():
    for _ in range(10):
        with listener.accept()[0] as accepted, server.wrap_socket(accepted, server_side=True) as tls:
            tls.recv(1)
thread = threading.Thread(target=accept)
thread.start()
TCP_FASTOPEN_CONNECT = 30
for _ in range(10):
    with socket.socket() as plain:
        plain.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
        with client.wrap_socket(plain, server_hostname="server.test") as tls:
            tls.connect(listener.getsockname())
            tls.send(b"x")
thread.join()
line = [l.split() for l in open("/proc/net/netstat") if l.startswith("TcpExt:")]
print("in the SYN:", dict(zip(*line))["TCPFastOpenPassive"])
END
unshare -n sh -c 'ip link set lo up; exec python3 fast.py'"#,
    );
    assert_eq!(run.said("in the SYN: "), "10");
    assert_eq!(run.handshakes.len(), 20);
    for event in &run.handshakes {
        assert_eq!((&event["server_name"], &event["hello_notes"]), (&json!("server.test"), &Value::Null), "{event:#}");
        assert!(event["ja4"].is_string() && event["library"].is_string(), "{event:#}");
        assert_eq!(event["peer"]["socket_cookie"].as_u64().map(|cookie| cookie > 0), Some(true), "{event:#}");
    }
}

#[test]
fn after_change_cipher_spec_a_first_byte_of_one_is_no_hello_and_is_not_recorded() {
    let Some(_permit) = live() else { return };
    let run = wire(&["finished"]);
    for event in ends(&run, "finished") {
        assert_eq!((&event["outcome"], &event["version"]), (&json!("server_hello"), &json!("TLS 1.2")), "{event:#}");
        assert_eq!(texts(&event["offered"]["groups"]), ["x25519", "secp384r1"]);
        assert!(event["ja3"].is_string() && event["ja4"].is_string());
    }
    assert!(!contains(&raw(&run), b"CIPHERTEXT"));
}

#[test]
fn messages_over_many_records_are_those_that_were_sent() {
    let Some(_permit) = live() else { return };
    let run = trace(&format!(
        "serve s openssl s_server -accept 127.0.0.1:21351 -cert server.crt -key server.key -cert_chain ca.crt -max_send_frag 512
         serve t openssl s_server -accept 127.0.0.1:21352 -cert server.crt -key server.key -cert_chain ca.crt
         {S_CLIENT} 127.0.0.1:21351 -tls1_2 >/dev/null
         {S_CLIENT} 127.0.0.1:21352 -tls1_2 >/dev/null
         protocols=$(python3 -c 'print(\",\".join(\"proto%03d\" % n for n in range(60)))')
         {S_CLIENT} 127.0.0.1:21352 -tls1_3 -max_send_frag 512 -alpn $protocols >/dev/null
         {S_CLIENT} 127.0.0.1:21352 -tls1_2 -maxfraglen 512 >/dev/null"
    ));
    for role in ["client", "server"] {
        let of = |port: u64, with: &dyn Fn(&Value) -> bool| {
            let at = if role == "client" { "remote_port" } else { "local_port" };
            let found: Vec<_> =
                run.handshakes.iter().filter(|e| e["role"] == role && e[at] == port && with(e)).collect();
            found.into_iter().cloned().collect::<Vec<_>>()
        };
        let is_12 = |event: &Value| event["version"] == "TLS 1.2";
        let (split, whole) = (of(21351, &is_12), of(21352, &is_12));
        assert_eq!((split.len(), whole.len()), (1, 2), "{:#?}", run.handshakes);
        for event in [&split[0], &whole[1]] {
            for member in ["certificates", "group", "cipher_suite", "server_name", "hello_notes"] {
                assert_eq!(event[member], whole[0][member], "{member}: {event:#}");
            }
        }
        assert_eq!(split[0]["certificates"].as_array().unwrap().len(), 2);
        let long = of(21352, &|event: &Value| event["version"] == "TLS 1.3");
        assert_eq!(long[0]["offered"]["alpn"].as_array().unwrap().len(), 60);
        assert!(long[0]["ja4"].is_string() && long[0]["server_name"] == "server.test", "{:#}", long[0]);
    }
}

#[test]
fn a_chain_of_more_than_one_record_holds_is_whole_up_to_the_limit() {
    let Some(_permit) = live() else { return };
    // Certificates of some 3 KiB: six are more than 16 KiB in one packet, fourteen more than the 32 KiB that are kept.
    let run = trace(&format!(
        "python3 -c 'print(\"subjectAltName=DNS:server.test,\" + \",\".join(\"DNS:host-%03d.example.org\" % n for n in range(100)))' > big.cnf
         openssl x509 -req -in server.csr -CA ca.crt -CAkey ca-key.pem -CAcreateserial -days 2 -extfile big.cnf -out big.crt 2>/dev/null
         for n in 1 2 3 4 5 6; do cat big.crt; done > six.crt
         for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do cat big.crt; done > fourteen.crt
         serve s openssl s_server -accept 127.0.0.1:21353 -cert big.crt -key server.key -cert_chain six.crt
         serve t openssl s_server -accept 127.0.0.1:21354 -cert big.crt -key server.key -cert_chain fourteen.crt
         {S_CLIENT} 127.0.0.1:21353 -tls1_2 >/dev/null
         {S_CLIENT} 127.0.0.1:21354 -tls1_2 >/dev/null
         openssl x509 -in big.crt -noout -fingerprint -sha256"
    ));
    let fingerprint = run.said("Fingerprint=").replace(':', "").to_lowercase();
    for role in ["client", "server"] {
        let at = if role == "client" { "remote_port" } else { "local_port" };
        let of = |port: u64| {
            run.handshakes.iter().find(|event| event["role"] == role && event[at] == port).expect("a handshake")
        };
        let chain = |event: &Value| -> Vec<Value> {
            event["certificates"].as_array().unwrap().iter().map(|one| one["sha256"].clone()).collect()
        };
        let whole = of(21353);
        assert_eq!(chain(whole), vec![json!(fingerprint); 7], "{role}");
        assert_eq!((&whole["group"], &whole["hello_notes"]), (&json!("x25519"), &Value::Null));
        let cut = of(21354);
        let kept = chain(cut);
        let (last, before) = kept.split_last().unwrap();
        assert!(before.len() >= 10 && before.iter().all(|one| *one == fingerprint), "{role}: {}", kept.len());
        // What is there of it is no certificate.
        assert_eq!(*last, Value::Null);
        assert_eq!(texts(&cut["hello_notes"]), ["hello_cut", "certificate_incomplete"]);
    }
}

#[test]
fn a_warning_before_the_answer_stands_beside_it() {
    let Some(_permit) = live() else { return };
    let run = trace(
        "serve s openssl s_server -accept 127.0.0.1:21355 -cert server.crt -key server.key -tls1_2 -servername other.test -cert2 server.crt -key2 server.key
         openssl s_client -connect 127.0.0.1:21355 -servername warned.test >/dev/null",
    );
    for event in ends(&run, "warned") {
        assert_eq!((&event["outcome"], &event["version"]), (&json!("server_hello"), &json!("TLS 1.2")), "{event:#}");
        assert_eq!((&event["alert"], &event["alert_level"]), (&json!("unrecognized_name"), &json!("warning")));
        assert_eq!(event["alert_from"], "server");
        assert_eq!(event["certificates"].as_array().unwrap().len(), 1);
    }
    let report = coverage(&run);
    assert_eq!((&report["handshakes"], &report["message_incomplete"]), (&json!(1), &json!(0)));
}

#[test]
fn after_a_retry_the_first_hello_is_what_was_offered() {
    let Some(_permit) = live() else { return };
    let run = wire(&["retry", "early", "retrysplit-40", "retrysplit-3"]);
    let cases = [
        ("retry", &["cookie"][..], &[][..]),
        ("early", &[], &["early_data"]),
        ("retrysplit-40", &[], &[]),
        ("retrysplit-3", &[], &[]),
    ];
    for (case, added, removed) in cases {
        for event in ends(&run, case) {
            assert_eq!(
                (&event["outcome"], &event["group"]),
                (&json!("server_hello"), &json!("secp384r1")),
                "{event:#}"
            );
            assert_eq!(texts(&event["hello_notes"]), ["retried"]);
            assert_eq!(texts(&event["offered"]["key_shares"]), ["x25519"]);
            assert_eq!(event["retry"]["requested_group"], "secp384r1");
            let second = &event["retry"]["second_hello"];
            assert_eq!(texts(&second["key_shares"]), ["secp384r1"]);
            assert_eq!(texts(&second["extensions_added"]), added);
            assert_eq!(texts(&second["extensions_removed"]), removed);
            assert_eq!(second["changed"], json!([]));
        }
    }
}

#[test]
fn a_second_hello_without_a_retry_changes_nothing_and_is_noted() {
    let Some(_permit) = live() else { return };
    let run = wire(&["twice"]);
    for event in ends(&run, "twice") {
        assert_eq!(texts(&event["hello_notes"]), ["second_hello_without_retry"], "{event:#}");
    }
}

#[test]
fn a_side_that_stopped_half_way_does_not_pass_as_whole() {
    let Some(_permit) = live() else { return };
    let run = wire(&["half", "half_answer"]);
    let half: Vec<_> = run.handshakes.iter().filter(|event| event["outcome"] == "none").collect();
    assert_eq!(half.len(), 2, "{:#?}", run.handshakes);
    for event in half {
        assert_eq!(texts(&event["hello_notes"]), ["server_hello_not_seen", "client_hello_incomplete"]);
        assert_eq!((&event["server_name"], &event["ja3"], &event["ja4"]), (&Value::Null, &Value::Null, &Value::Null));
    }
    for event in ends(&run, "half_answer") {
        assert_eq!(texts(&event["hello_notes"]), ["server_hello_incomplete"]);
        assert_eq!((&event["version"], &event["group"]), (&Value::Null, &Value::Null));
    }
    assert_eq!(coverage(&run)["message_incomplete"], 4);
}

#[test]
fn a_hello_in_the_format_of_ssl_2_is_recorded() {
    let Some(_permit) = live() else { return };
    let run = wire(&["sslv2"]);
    assert_eq!(run.handshakes.len(), 2);
    for event in &run.handshakes {
        assert_eq!((&event["outcome"], &event["version"]), (&json!("server_hello"), &json!("TLS 1.2")), "{event:#}");
        let suites = ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_RSA_WITH_AES_256_CBC_SHA"];
        assert_eq!(texts(&event["offered"]["cipher_suites"]), suites);
        assert_eq!(event["hello_notes"], Value::Null);
    }
}

#[test]
fn tls_after_a_long_dialogue_is_seen_or_the_connection_is_counted_as_given_up() {
    let Some(_permit) = live() else { return };
    let run = wire(&["dialogue-25", "dialogue-1000", "dialogue-1030", "bulk-60000", "bulk-70000", "tds"]);
    for case in ["dialogue-25", "dialogue-1000", "bulk-60000"] {
        ends(&run, case).iter().for_each(|event| is_whole_after_a_dialogue(event));
    }
    assert_eq!(run.handshakes.len(), 6, "{:#?}", run.handshakes);
    // Both ends of each of three.
    assert_eq!(coverage(&run)["captures"][0]["connections_given_up"], 6);
}

fn is_whole_after_a_dialogue(event: &Value) {
    is_whole(event);
    assert!(event["stream_offset"].as_u64().unwrap() > 0);
}

#[test]
fn of_a_connection_that_is_not_tls_nothing_is_recorded() {
    let Some(_permit) = live() else { return };
    let run = wire(&["not_tls", "plain"]);
    assert_eq!(run.handshakes.len(), 2);
    assert!(!contains(&raw(&run), b"SECRET"));
}

#[test]
fn certificates_of_clients_are_recorded_before_tls_1_3() {
    let Some(_permit) = live() else { return };
    let run = trace(&format!(
        "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=the-client -keyout c.key -out c.csr 2>/dev/null
         openssl x509 -req -in c.csr -CA ca.crt -CAkey ca-key.pem -CAcreateserial -days 2 -out c.crt 2>/dev/null
         serve s openssl s_server -accept 127.0.0.1:21356 -cert server.crt -key server.key -CAfile ca.crt -Verify 2
         {S_CLIENT} 127.0.0.1:21356 -cert c.crt -key c.key -tls1_2 >/dev/null
         {S_CLIENT} 127.0.0.1:21356 -cert c.crt -key c.key -tls1_2 -max_send_frag 512 >/dev/null
         {S_CLIENT} 127.0.0.1:21356 -cert c.crt -key c.key -tls1_3 >/dev/null
         openssl x509 -in c.crt -noout -fingerprint -sha256"
    ));
    let fingerprint = run.said("Fingerprint=").replace(':', "").to_lowercase();
    assert_eq!(run.handshakes.len(), 6);
    for event in &run.handshakes {
        if event["version"] == "TLS 1.3" {
            assert_eq!(event["client_certificates"], Value::Null, "{event:#}");
            continue;
        }
        let chain = event["client_certificates"].as_array().unwrap();
        // Its own, and the authority that it was given.
        assert_eq!((chain.len(), &chain[0]["sha256"]), (2, &json!(fingerprint)), "{event:#}");
        assert_eq!(event["certificates"].as_array().unwrap().len(), 2);
    }
}
