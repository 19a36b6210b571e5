//! tls_handshake: version, suite, group, names, certificates, outcome and processes are those the software itself reports.

use crypto_trace_tests::live;
use serde_json::{Value, json};

use crate::support::{texts, trace, trace_with};

const S_CLIENT: &str = "openssl s_client -CAfile ca.crt -servername server.test -connect";

#[test]
fn both_ends_of_a_tls_1_3_connection_are_seen_and_name_each_other() {
    let Some(_permit) = live() else { return };
    let run = trace(&format!(
        "serve s openssl s_server -accept 127.0.0.1:21301 -cert server.crt -key server.key -alpn http/1.1
         {S_CLIENT} 127.0.0.1:21301 -alpn h2,http/1.1 -tls1_3"
    ));
    assert_eq!(run.handshakes.len(), 2);
    let (client, server) = (run.one("client", "s_client"), run.one("server", "s_server"));
    let suite = run.said("Cipher is ");
    for event in [client, server] {
        assert_eq!(event["version"], "TLS 1.3");
        assert_eq!(event["cipher_suite"], suite);
        assert_eq!(
            event["group"].as_str().unwrap().to_uppercase(),
            run.said("Server Temp Key: ").split(',').next().unwrap()
        );
        assert_eq!(event["server_name"], "server.test");
        assert_eq!(event["outcome"], "server_hello");
        assert_eq!(event["resumption"], "no");
        assert_eq!(event["post_quantum"], false);
        assert_eq!(event["process_known_by"], "sent");
        assert_eq!(texts(&event["offered"]["alpn"]), ["h2", "http/1.1"]);
        assert_eq!(texts(&event["offered"]["versions"]), ["TLS 1.3"]);
        assert_eq!(event["hello_notes"], Value::Null);
        // TLS 1.3 encrypts these; nothing may be made up.
        assert_eq!((&event["certificates"], &event["alpn"]), (&Value::Null, &Value::Null));
    }
    assert_eq!(client["peer"]["pid"], server["pid"]);
    assert_eq!(server["peer"]["pid"], client["pid"]);
    assert_eq!(client["peer"]["socket_cookie"], server["socket_cookie"]);
    assert_eq!((&client["remote_port"], &server["local_port"]), (&json!(21301), &json!(21301)));
    assert_eq!(client["local_port"], server["remote_port"]);
    assert!(client["exchange_ns"].as_u64().unwrap() > 0);
}

#[test]
fn a_tls_1_2_handshake_has_its_certificates() {
    let Some(_permit) = live() else { return };
    let run = trace(&format!(
        "serve s openssl s_server -accept 127.0.0.1:21302 -cert server.crt -key server.key -CAfile ca.crt -cert_chain ca.crt
         {S_CLIENT} 127.0.0.1:21302 -tls1_2
         openssl x509 -in server.crt -noout -fingerprint -sha256
         openssl x509 -in server.crt -noout -enddate -dateopt iso_8601
         openssl x509 -in server.crt -noout -serial"
    ));
    let (client, server) = (run.one("client", "s_client"), run.one("server", "s_server"));
    for event in [client, server] {
        assert_eq!(event["version"], "TLS 1.2");
        assert_eq!(event["cipher_suite"], "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "{}", run.said("Cipher is "));
        assert_eq!(
            event["group"].as_str().unwrap().to_uppercase(),
            run.said("Server Temp Key: ").split(',').next().unwrap()
        );
        let chain = event["certificates"].as_array().unwrap();
        assert_eq!(chain.len(), 2, "{event:#}");
        let leaf = &chain[0];
        assert_eq!(leaf["sha256"].as_str().unwrap().to_uppercase(), run.said("Fingerprint=").replace(':', ""));
        assert_eq!(leaf["serial"].as_str().unwrap().to_uppercase().replace(':', ""), run.said("serial="));
        assert_eq!(leaf["not_after"].as_str().unwrap().replace('T', " "), run.said("notAfter="));
        assert!(leaf["subject"].as_str().unwrap().contains("CN=server.test"));
        assert_eq!(leaf["issuer"], "CN=test CA");
        assert_eq!(texts(&leaf["alternative_names"]), ["DNS:server.test", "DNS:localhost", "IP:127.0.0.1"]);
        assert_eq!((&leaf["key_type"], &leaf["key_bits"]), (&json!("RSA"), &json!(2048)));
        assert_eq!(chain[1]["key_type"], "EC");
    }
}

#[test]
fn resumption_is_told_apart_from_a_full_handshake() {
    let Some(_permit) = live() else { return };
    // -ign_eof with a short input, so that the client stays for the ticket.
    let connect = |options: &str| {
        format!("printf 'Q\\n' | (sleep 0.3; cat) | {S_CLIENT} 127.0.0.1:21303 {options} >/dev/null 2>&1\n")
    };
    let run = trace(&format!(
        "serve s openssl s_server -accept 127.0.0.1:21303 -cert server.crt -key server.key
         {}{}{}{}",
        connect("-tls1_3 -sess_out s13"),
        connect("-tls1_3 -sess_in s13"),
        connect("-tls1_2 -sess_out s12"),
        connect("-tls1_2 -sess_in s12"),
    ));
    let of = |what: &str| &run.one("client", what)["resumption"];
    assert_eq!((of("-sess_out s13"), of("-sess_in s13")), (&json!("no"), &json!("psk")));
    assert_eq!((of("-sess_out s12"), of("-sess_in s12")), (&json!("no"), &json!("ticket")));
    // Nothing is exchanged when a TLS 1.2 session is resumed, so there is no group to tell.
    assert_eq!(run.one("client", "-sess_in s12")["group"], Value::Null);
}

#[test]
fn handshakes_that_fail_say_by_which_alert_and_whose() {
    let Some(_permit) = live() else { return };
    let run = trace(&format!(
        "serve s openssl s_server -accept 127.0.0.1:21304 -cert server.crt -key server.key -tls1_2 -cipher ECDHE-RSA-AES256-GCM-SHA384
         {S_CLIENT} 127.0.0.1:21304 -tls1_2 -cipher AES128-SHA >/dev/null 2>&1 || true
         {S_CLIENT} 127.0.0.1:21304 -tls1_3 >/dev/null 2>&1 || true
         openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other -keyout o.pem -out other.crt 2>/dev/null
         openssl s_client -connect 127.0.0.1:21304 -CAfile other.crt -verify_return_error >/dev/null 2>&1 || true"
    ));
    let no_cipher = run.one("client", "AES128-SHA");
    assert_eq!((&no_cipher["outcome"], &no_cipher["alert"]), (&json!("alert"), &json!("handshake_failure")));
    assert_eq!((&no_cipher["alert_from"], &no_cipher["version"]), (&json!("server"), &Value::Null));
    let no_version = run.one("client", "-tls1_3");
    assert_eq!((&no_version["outcome"], &no_version["alert"]), (&json!("alert"), &json!("protocol_version")));
    // The client does not know who signed: its alert is in the clear before TLS 1.3.
    let wrong_ca = run.one("client", "other.crt");
    assert_eq!((&wrong_ca["outcome"], &wrong_ca["alert_from"]), (&json!("alert"), &json!("client")), "{wrong_ca:#}");
    assert_eq!((&wrong_ca["alert"], &wrong_ca["version"]), (&json!("unknown_ca"), &json!("TLS 1.2")));
    assert_eq!(run.handshakes.iter().filter(|event| event["role"] == "server").count(), 3);
}

#[test]
fn a_hello_retry_request_ends_in_the_group_of_the_second_hello() {
    let Some(_permit) = live() else { return };
    let run = trace(&format!(
        "serve s openssl s_server -accept 127.0.0.1:21305 -cert server.crt -key server.key -groups P-384
         {S_CLIENT} 127.0.0.1:21305 -groups X25519:P-384"
    ));
    for (role, command) in [("client", "s_client"), ("server", "s_server")] {
        let event = run.one(role, command);
        assert_eq!((&event["version"], &event["group"]), (&json!("TLS 1.3"), &json!("secp384r1")), "{event:#}");
        assert_eq!(texts(&event["hello_notes"]), ["retried"]);
        assert_eq!(texts(&event["offered"]["key_shares"]), ["x25519"]);
        assert_eq!(texts(&event["retry"]["second_hello"]["key_shares"]), ["secp384r1"]);
    }
}

#[test]
fn ipv6_is_seen_as_ipv4_is() {
    let Some(_permit) = live() else { return };
    let run = trace(&format!(
        "serve s openssl s_server -accept [::1]:21306 -cert server.crt -key server.key
         {S_CLIENT} [::1]:21306 >/dev/null"
    ));
    let client = run.one("client", "s_client");
    assert_eq!((&client["local_address"], &client["remote_address"]), (&json!("::1"), &json!("::1")));
    assert_eq!(client["remote_port"], 21306);
}

#[test]
fn starttls_is_seen_where_the_hello_is_not_the_first_byte() {
    let Some(_permit) = live() else { return };
    let run = trace(&format!(
        "cat > smtp.py <<'PY'
import socket, ssl
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain('server.crt', 'server.key')
listener = socket.create_server(('127.0.0.1', 21307))
print('ACCEPT', flush=True)
peer, _ = listener.accept()
peer.sendall(b'220 test ESMTP\\r\\n')
peer.recv(4096)
peer.sendall(b'250-test\\r\\n250 STARTTLS\\r\\n')
peer.recv(4096)
peer.sendall(b'220 go ahead\\r\\n')
tls = context.wrap_socket(peer, server_side=True)
tls.recv(4096)
tls.close()
PY
         serve s python3 smtp.py
         {S_CLIENT} 127.0.0.1:21307 -starttls smtp >/dev/null 2>&1"
    ));
    for (role, command) in [("client", "-starttls"), ("server", "smtp.py")] {
        let event = run.one(role, command);
        assert_eq!((&event["version"], &event["outcome"]), (&json!("TLS 1.3"), &json!("server_hello")));
        assert!(event["stream_offset"].as_u64().unwrap() > 10, "{event:#}");
    }
}

/// A hello may come in any number of packets: here its TLS record's head is torn as well.
#[test]
fn a_hello_in_many_packets_is_put_together() {
    let Some(_permit) = live() else { return };
    let run = trace(
        "cat > split.py <<'PY'
import socket, ssl, time
incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
context = ssl.create_default_context(cafile='ca.crt')
tls = context.wrap_bio(incoming, outgoing, server_hostname='server.test')
try:
    tls.do_handshake()
except ssl.SSLWantReadError:
    pass
hello = outgoing.read()
peer = socket.create_connection(('127.0.0.1', 21308))
peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for part in hello[:7], hello[7:8], hello[8:100], hello[100:101], hello[101:]:
    peer.sendall(part)
    time.sleep(0.02)
incoming.write(peer.recv(65536))
try:
    tls.do_handshake()
except ssl.SSLWantReadError:
    pass
peer.close()
PY
         serve s openssl s_server -accept 127.0.0.1:21308 -cert server.crt -key server.key
         python3 split.py",
    );
    for (role, command) in [("client", "split.py"), ("server", "s_server")] {
        let event = run.one(role, command);
        assert_eq!((&event["version"], &event["server_name"]), (&json!("TLS 1.3"), &json!("server.test")), "{event:#}");
        assert!(event["ja4"].as_str().unwrap().starts_with("t13d"), "the whole hello is there");
        assert_eq!(event["hello_notes"], Value::Null);
    }
}

/// Not linked to any library we know of, not even to the same one on both sides.
#[test]
fn other_libraries_are_seen_like_openssl() {
    let Some(_permit) = live() else { return };
    let run = trace(
        "serve s openssl s_server -accept 127.0.0.1:21309 -cert server.crt -key server.key -www
         gnutls-cli --x509cafile ca.crt --sni-hostname server.test --verify-hostname server.test \
            --port 21309 127.0.0.1 >gnutls.log 2>&1 || true
         grep Description gnutls.log
         curl --silent --cacert ca.crt --resolve server.test:21309:127.0.0.1 https://server.test:21309/ -o /dev/null",
    );
    let gnutls = run.one("client", "gnutls-cli");
    // (TLS1.3-X.509)-(ECDHE-SECP256R1)-(RSA-PSS-RSAE-SHA256)-(AES-256-GCM)
    let description = run.said("Description: ");
    assert!(description.contains("TLS1.3") && gnutls["version"] == "TLS 1.3");
    let group = gnutls["group"].as_str().unwrap().to_uppercase();
    assert!(description.contains(&group), "{group} in {description}");
    assert!(description.contains("AES-256-GCM") == (gnutls["cipher_suite"] == "TLS_AES_256_GCM_SHA384"));
    assert_eq!(gnutls["server_name"], "server.test");
    let curl = run.one("client", "curl");
    assert_eq!(texts(&curl["offered"]["alpn"]), ["h2", "http/1.1"]);
    assert_eq!(curl["process"], "curl");
}

/// A server that answers from a child, as many do: the process that sends is told, not the one that opened the port.
#[test]
fn a_forked_worker_is_told_rather_than_the_listener() {
    let Some(_permit) = live() else { return };
    let run = trace(&format!(
        "cat > fork.py <<'PY'
import os, socket, ssl
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain('server.crt', 'server.key')
listener = socket.create_server(('127.0.0.1', 21310))
if os.fork() == 0:
    print('worker', os.getpid(), flush=True)
    print('ACCEPT', flush=True)
    peer, _ = listener.accept()
    context.wrap_socket(peer, server_side=True).close()
    os._exit(0)
os.wait()
PY
         serve s python3 fork.py
         {S_CLIENT} 127.0.0.1:21310 >/dev/null 2>&1 || true
         cat s.log"
    ));
    let server = run.one("server", "fork.py");
    assert_eq!(server["pid"].to_string(), run.said("worker "));
}

#[test]
fn a_server_that_never_answers_is_a_handshake_without_outcome() {
    let Some(_permit) = live() else { return };
    let run = trace(&format!(
        "cat > mute.py <<'PY'
import socket
listener = socket.create_server(('127.0.0.1', 21311))
print('ACCEPT', flush=True)
peer, _ = listener.accept()
peer.recv(65536)
peer.recv(65536)
PY
         serve s python3 mute.py
         timeout 0.5 {S_CLIENT} 127.0.0.1:21311 >/dev/null 2>&1 || true"
    ));
    let client = run.one("client", "s_client");
    assert_eq!(
        (&client["outcome"], &client["version"], &client["exchange_ns"]),
        (&json!("none"), &Value::Null, &Value::Null)
    );
    // It sent nothing, so all that is known is who listened.
    let server = run.one("server", "mute.py");
    assert_eq!(server["process_known_by"], "listened");
}

/// What others on this machine do over TLS is none of a command's business.
#[test]
fn only_the_commands_connections_are_recorded() {
    let Some(_permit) = live() else { return };
    let (dir, noise) = noise();
    let run = trace(&format!(
        "serve s openssl s_server -accept 127.0.0.1:21312 -cert server.crt -key server.key
         until [ $(wc -c < {0}/count) -gt 3 ]; do sleep 0.02; done
         {S_CLIENT} 127.0.0.1:21312 >/dev/null 2>&1",
        dir.path().display()
    ));
    drop(noise);
    assert_eq!(run.handshakes.len(), 2, "{:#?}", run.handshakes);
    assert!(run.handshakes.iter().all(|event| event["remote_port"] == 21312 || event["local_port"] == 21312));
}

/// What `record -n nginx` is for: the server listened long before, and its clients are none of those selected.
#[test]
fn a_server_that_listened_before_the_recording_has_its_clients_hellos() {
    let Some(_permit) = live() else { return };
    let server = "
import socket, ssl, subprocess, sys
subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=n',
    '-keyout', 'k', '-out', 'c'], stderr=subprocess.DEVNULL, check=True)
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain('c', 'k')
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], file=sys.stderr, flush=True)
sys.stdin.readline()
client = ssl.create_default_context(cafile='c')
import os
if os.fork() == 0:
    client.wrap_socket(socket.create_connection(listener.getsockname()), server_hostname='n').close()
    os._exit(0)
context.wrap_socket(listener.accept()[0], server_side=True).close()
os.wait()
";
    let dir = tempfile::Builder::new().prefix("crypto-trace-test-").tempdir().unwrap();
    let mut command = std::process::Command::new("python3");
    command.args(["-c", server]).current_dir(dir.path()).stdin(std::process::Stdio::piped());
    let mut server = crypto_trace_tests::Process::spawn(&mut command);
    server.wait_for("\n");
    let options = ["--tls", "on", "-p", &server.pid().to_string()];
    let running = crypto_trace_tests::Capture::new().options(options).start();
    drop(server.child().stdin.take());
    let pid = server.pid();
    server.finish().expect_success();
    let done = running.stop(rustix::process::Signal::INT);
    let events = crate::support::handshakes(&done.output);
    assert_eq!(events.len(), 1, "the client is a child, and children were not asked for: {events:#?}");
    let event = &events[0];
    assert_eq!((&event["role"], &event["pid"]), (&json!("server"), &json!(pid)));
    assert_eq!((&event["server_name"], &event["version"]), (&json!("n"), &json!("TLS 1.3")), "{event:#}");
    assert!(event["cmdline"].as_str().unwrap().contains(" -c "), "told from /proc: {event:#}");
}

/// A process that connects to itself by TLS again and again, outside of any capture, and counts.
fn noise() -> (tempfile::TempDir, crypto_trace_tests::Process) {
    let dir = tempfile::Builder::new().prefix("crypto-trace-test-").tempdir().unwrap();
    std::fs::write(dir.path().join("count"), "").unwrap();
    let script = "
import socket, ssl, subprocess, threading
subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=n',
    '-keyout', 'k', '-out', 'c'], stderr=subprocess.DEVNULL, check=True)
server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
server.load_cert_chain('c', 'k')
listener = socket.create_server(('127.0.0.1', 0))
def serve():
    while True:
        server.wrap_socket(listener.accept()[0], server_side=True).close()
threading.Thread(target=serve, daemon=True).start()
client = ssl.create_default_context(cafile='c')
client.check_hostname = False
with open('count', 'a') as count:
    while True:
        client.wrap_socket(socket.create_connection(listener.getsockname())).close()
        print('x', end='', file=count, flush=True)
";
    let mut command = std::process::Command::new("python3");
    command.args(["-c", script]).current_dir(dir.path());
    (dir, crypto_trace_tests::Process::spawn(&mut command))
}

#[test]
fn tls_can_be_left_out() {
    let Some(_permit) = live() else { return };
    let run = trace_with(
        &["--tls", "off"],
        &format!(
            "serve s openssl s_server -accept 127.0.0.1:21314 -cert server.crt -key server.key
             {S_CLIENT} 127.0.0.1:21314 >/dev/null 2>&1"
        ),
    );
    assert!(run.handshakes.is_empty());
    assert!(run.done.trace().probes().iter().all(|(_, probe)| probe.probe != "tls_hello"));
}
