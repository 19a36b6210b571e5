//! Clients that show a certificate too, and those that should have.

use serde_json::{Value, json};

use crate::peers::{compare, compare_with_failures, go, trace_peers};

/// A certificate for a client, by the same authority.
const CLIENT: &str = "
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=client.test -keyout client.key -out client.csr 2>/dev/null
openssl x509 -req -in client.csr -CA ca.crt -CAkey ca-key.pem -CAcreateserial -days 2 -out client.crt 2>/dev/null
serve s $GO server server.crt server.key client-ca=ca.crt
";

/// What is told of certificates is what the server showed; the client's travels in the clear as well, after it.
#[test]
fn a_certificate_of_the_client_is_not_taken_for_the_servers() {
    let script = format!(
        "{CLIENT}
for version in tls1.3 tls1.2; do
	$GO client $(address s) ca.crt server.test cert=client.crt key=client.key $version
	openssl s_client -connect $(address s) -CAfile ca.crt -servername server.test -cert client.crt -key client.key \\
		-verify_return_error -$(echo $version | tr . _) >openssl.log 2>&1
	grep 'Cipher is' openssl.log
done
told s 4"
    );
    let Some(mut run) = trace_peers(&[go], &script) else { return };
    // OpenSSL does not tell in JSON; what it told is in the events of its server.
    let is_openssl = |event: &Value| event["process"] == "openssl";
    let openssl: Vec<_> = run.handshakes.iter().filter(|event| is_openssl(event)).cloned().collect();
    run.handshakes.retain(|event| !is_openssl(event));
    let pairs = compare(&run);
    assert_eq!((pairs.len(), openssl.len()), (6, 2));
    let suites = run.text.lines().filter_map(|line| line.split_once("Cipher is ").map(|(_, suite)| suite));
    for (client, suite) in openssl.iter().zip(suites) {
        let server = pairs.iter().find(|pair| pair.event["remote_port"] == client["local_port"]).unwrap();
        for name in ["version", "cipher_suite", "group", "server_name", "certificates", "outcome"] {
            assert_eq!(client[name], server.event[name], "{name} of {suite}");
        }
    }
    for pair in pairs.iter().filter(|pair| pair.event["version"] == "TLS 1.2") {
        let shown = pair.event["certificates"].as_array().unwrap();
        let subjects: Vec<_> = shown.iter().map(|certificate| certificate["subject"].as_str().unwrap()).collect();
        assert!(subjects.len() == 1 && subjects[0].contains("CN=server.test"), "{subjects:?}");
    }
}

#[test]
fn a_client_without_the_certificate_it_should_have_is_refused() {
    let script = format!(
        "{CLIENT}
$GO client $(address s) ca.crt server.test tls1.2 2>/dev/null && exit 1
$GO client $(address s) ca.crt server.test tls1.3 2>/dev/null && exit 1
told s 2"
    );
    let Some(run) = trace_peers(&[go], &script) else { return };
    let pairs = compare_with_failures(&run, 3);
    assert_eq!(pairs.len(), 4);
    for pair in &pairs {
        let event = pair.event;
        if event["version"] == "TLS 1.2" {
            let told = ["outcome", "alert", "alert_from"].map(|name| &event[name]);
            assert_eq!(told, [&json!("alert"), &json!("handshake_failure"), &json!("server")]);
            let said = if event["role"] == "client" { "handshake failure" } else { "didn't provide a certificate" };
            assert!(pair.said["error"].as_str().unwrap().contains(said), "{}", pair.said);
        } else {
            // The refusal is encrypted: nothing is made up.
            let told = ["version", "outcome", "alert"].map(|name| &event[name]);
            assert_eq!(told, [&json!("TLS 1.3"), &json!("server_hello"), &Value::Null], "{}", pair.said);
        }
    }
}
