//! Languages that bring their own TLS: Go, Rust and Java, nothing of which any probe of a library would see.

use serde_json::{Value, json};

use crate::peers::{Pair, compare, compare_with_failures, go, java, rustls, trace_peers};
use crate::support::texts;

/// The hybrid key exchange of X25519 and ML-KEM-768.
const X25519MLKEM768: &str = "0x11ec";

/// Both ends of each connection were seen, and name each other.
fn both_ends(pairs: &[Pair<'_>]) {
    for client in pairs.iter().filter(|pair| pair.event["role"] == "client") {
        let port = &client.event["local_port"];
        let server = pairs.iter().find(|pair| pair.event["role"] == "server" && pair.event["remote_port"] == *port);
        let server = server.unwrap_or_else(|| panic!("no server of {:#}", client.event));
        for (one, other) in [(client, server), (server, client)] {
            assert_eq!(one.event["peer"]["pid"], other.event["pid"]);
            assert_eq!(one.event["peer"]["socket_cookie"], other.event["socket_cookie"]);
        }
    }
}

/// All clients of `$PEER` against its server: TLS 1.3 and 1.2, each also resumed.
const VARIETY: &str = r"
serve s $PEER server server.crt server.key alpn=h2
$PEER client $(address s) ca.crt server.test alpn=h2,http/1.1 twice
$PEER client $(address s) ca.crt server.test alpn=h2,http/1.1 tls1.2 twice
$PEER client $(address s) ca.crt localhost
told s 5
";

/// `resumption`: how this server resumes sessions of TLS 1.2.
fn variety(pairs: &[Pair<'_>], resumption: &str) {
    both_ends(pairs);
    let clients: Vec<_> = pairs.iter().filter(|pair| pair.event["role"] == "client").collect();
    let of = |name: &str| clients.iter().map(|client| &client.event[name]).collect::<Vec<_>>();
    assert_eq!(of("version"), ["TLS 1.3", "TLS 1.3", "TLS 1.2", "TLS 1.2", "TLS 1.3"]);
    assert_eq!(of("resumption"), ["no", "psk", "no", resumption, "no"]);
    let post_quantum = [json!(true), json!(true), json!(false), Value::Null, json!(true)];
    assert_eq!(of("post_quantum"), post_quantum.iter().collect::<Vec<_>>());
    assert_eq!(clients[0].event["group"], "X25519MLKEM768");
    assert_eq!(clients[0].event["group_id"], X25519MLKEM768);
    assert!(texts(&clients[0].event["offered"]["key_shares"]).contains(&"X25519MLKEM768"));
    assert_eq!(clients[2].event["alpn"], "h2");
    assert_eq!(of("process_known_by"), ["sent"; 5]);
}

#[test]
fn a_static_go_binary_is_seen_as_crypto_tls_tells_it() {
    let Some(run) = trace_peers(&[go], &format!("PEER=$GO{VARIETY}")) else { return };
    variety(&compare(&run), "ticket");
}

#[test]
fn a_rustls_binary_is_seen_as_rustls_tells_it() {
    let Some(run) = trace_peers(&[rustls], &format!("PEER=$RUSTLS{VARIETY}")) else { return };
    variety(&compare(&run), "session_id");
}

/// Two implementations that know ML-KEM, one that does not, and every group that they could agree on.
#[test]
fn go_and_rustls_agree_on_what_is_recorded() {
    let script = "
serve g $GO server server.crt server.key
serve r $RUSTLS server server.crt server.key
$GO client $(address r) ca.crt server.test
$RUSTLS client $(address g) ca.crt server.test
$GO client $(address r) ca.crt server.test groups=0x0018
$GO client $(address r) ca.crt server.test groups=0x0017,0x001d tls1.2
serve h $GO server server.crt server.key groups=0x11ed,0x0019
$GO client $(address h) ca.crt server.test groups=0x11ed
$GO client $(address h) ca.crt server.test groups=0x001d,0x0019
told r 3
told g 1
told h 2
";
    let Some(run) = trace_peers(&[go, rustls], script) else { return };
    let pairs = compare(&run);
    both_ends(&pairs);
    let groups: Vec<_> = pairs
        .iter()
        .filter(|pair| pair.event["role"] == "client")
        .map(|pair| pair.event["group"].as_str().unwrap())
        .collect();
    assert_eq!(groups, ["X25519MLKEM768", "X25519MLKEM768", "secp384r1", groups[3], "SecP384r1MLKEM1024", "secp521r1"]);
    // The last server knows secp521r1, which the client offers but has sent no share of.
    let retried = &pairs.iter().filter(|pair| pair.event["role"] == "client").nth(5).unwrap().event["hello_notes"];
    assert_eq!(texts(retried), ["retried"]);
}

#[test]
fn handshakes_that_fail_are_told_as_go_and_rustls_tell_them() {
    let script = "
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other -keyout o.pem -out other.crt 2>/dev/null
serve g $GO server server.crt server.key tls1.2
serve r $RUSTLS server server.crt server.key tls1.3
$GO client $(address r) other.crt server.test 2>/dev/null || true
$GO client $(address r) ca.crt server.test tls1.2 2>/dev/null || true
$RUSTLS client $(address g) other.crt server.test 2>/dev/null || true
$RUSTLS client $(address g) ca.crt server.test tls1.3 2>/dev/null || true
told r 2
told g 2
";
    let Some(run) = trace_peers(&[go, rustls], script) else { return };
    let pairs = compare_with_failures(&run, 8);
    assert_eq!(pairs.len(), 8);
    let clients: Vec<_> = pairs.iter().filter(|pair| pair.event["role"] == "client").collect();
    let outcome = |index: usize| {
        let event = clients[index].event;
        assert!(clients[index].said["error"].is_string(), "{}", clients[index].said);
        ["outcome", "alert", "alert_from", "version"].map(|name| event[name].as_str().unwrap_or("null"))
    };
    // The client's alert is encrypted, so all that can be seen is that the server answered.
    assert_eq!(outcome(0), ["server_hello", "null", "null", "TLS 1.3"]);
    assert_eq!(outcome(1), ["alert", "protocol_version", "server", "null"]);
    assert_eq!(outcome(2), ["alert", "unknown_ca", "client", "TLS 1.2"]);
    assert_eq!(outcome(3), ["alert", "protocol_version", "server", "null"]);
}

#[test]
fn java_is_seen_as_its_sessions_tell_it() {
    let script = "
openssl pkcs12 -export -in server.crt -inkey server.key -out keys.p12 -passout pass:secret
serve s $JAVA Peer server keys.p12 alpn=h2
$JAVA -Djavax.net.debug=ssl:handshake Peer client $(port s) ca.crt server.test alpn=h2,http/1.1 >one.log 2>&1
$JAVA -Djavax.net.debug=ssl:handshake -Djdk.tls.namedGroups=secp384r1 Peer client $(port s) ca.crt server.test tls1.2 \
	suite=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 >two.log 2>&1
$JAVA Peer https $(port s) ca.crt
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other -keyout o.pem -out other.crt 2>/dev/null
$JAVA Peer client $(port s) other.crt server.test tls1.2
told s 4
grep '^{' one.log two.log -h
grep 'named group' one.log | sed 's/^/one: /' | tail -n 1
grep 'named group' two.log | sed 's/^/two: /' | tail -n 1
";
    let Some(run) = trace_peers(&[java], script) else { return };
    let pairs = compare_with_failures(&run, 2);
    both_ends(&pairs);
    assert_eq!(pairs.len(), 8);
    let client = |at: usize| pairs.iter().filter(|pair| pair.event["role"] == "client").nth(at).unwrap().event;
    let (https, wrong_ca, one, two) = (client(0), client(1), client(2), client(3));
    assert_eq!(
        (&one["version"], &https["version"], &two["version"]),
        (&json!("TLS 1.3"), &json!("TLS 1.3"), &json!("TLS 1.2"))
    );
    // What Java said while it read the answer: `\"named group\": x25519`
    let said = |label: &str| run.said(label).trim_start_matches("\"named group\": ").trim_matches('"').to_owned();
    assert_eq!((one["group"].as_str(), two["group"].as_str()), (Some(&*said("one:")), Some(&*said("two:"))));
    assert_eq!(two["group"], "secp384r1");
    assert_eq!(two["certificates"][0]["subject"].as_str().map(|name| name.contains("CN=server.test")), Some(true));
    let failed = ["outcome", "alert", "alert_from"].map(|name| wrong_ca[name].as_str().unwrap());
    assert_eq!(failed, ["alert", "certificate_unknown", "client"]);
    for event in [https, wrong_ca, one, two] {
        assert_eq!(event["process"].as_str().unwrap(), "java");
    }
}
