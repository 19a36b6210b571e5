//! What is never recorded: payload, keys, secrets.

use crypto_trace_tests::live;
use serde_json::json;

use crate::support::{trace, trace_with};

/// Looks for known secrets in everything that was recorded.
#[test]
fn neither_payload_nor_keys_nor_session_secrets_are_recorded() {
    let Some(_permit) = live() else { return };
    let run = trace(
        "cat > plain.py <<'PY'
import socket, threading
listener = socket.create_server(('127.0.0.1', 21321))
def serve():
    peer, _ = listener.accept()
    peer.recv(65536)
    peer.sendall(b'HTTP/1.0 200 OK\\r\\n\\r\\nplain-answer-5e1f')
    peer.close()
thread = threading.Thread(target=serve)
thread.start()
peer = socket.create_connection(('127.0.0.1', 21321))
peer.sendall(b'GET /plain-request-77ab HTTP/1.0\\r\\n\\r\\n')
peer.recv(65536)
thread.join()
PY
         python3 plain.py
         serve s openssl s_server -accept 127.0.0.1:21322 -cert server.crt -key server.key -rev
         for version in -tls1_2 -tls1_3; do
             (echo secret-of-the-client-09cd; sleep 0.3) | openssl s_client -quiet -no_ign_eof $version -keylogfile keys.log \
                 -CAfile ca.crt -connect 127.0.0.1:21322 2>/dev/null
         done
         cat keys.log | sed 's/^/keylog /'
         openssl pkey -in server.key -outform DER | od -An -v -tx1 | tr -d ' \\n' | sed 's/^/key /'; echo",
    );
    assert!(run.handshakes.iter().any(|event| event["version"] == json!("TLS 1.2")));
    assert!(run.handshakes.iter().any(|event| event["version"] == json!("TLS 1.3")));
    assert!(run.text.contains("dc90-tneilc-eht-fo-terces"), "the server answered: {}", run.text);

    let raw = run.done.trace().raw;
    let found = |secret: &[u8]| raw.windows(secret.len()).any(|window| window == secret);
    assert!(found(b"s_server"), "the search finds what is there");
    for text in ["plain-request-77ab", "plain-answer-5e1f", "secret-of-the-client-09cd", "dc90-tneilc"] {
        assert!(!found(text.as_bytes()), "{text}");
    }
    let unhex = |hex: &str| -> Vec<u8> {
        hex.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    };
    let mut secrets = 0;
    for line in run.text.lines().filter_map(|line| line.strip_prefix("keylog ")) {
        // LABEL CLIENT_RANDOM SECRET
        let Some(secret) = line.split(' ').nth(2).filter(|_| !line.starts_with('#')) else { continue };
        assert!(!found(&unhex(secret)), "{line}");
        assert!(!found(secret.as_bytes()), "{line}");
        secrets += 1;
    }
    assert!(secrets >= 5, "TLS 1.2 has one, TLS 1.3 at least four: {}", run.text);
    // The private exponent is somewhere in the middle of the key; any 32 bytes of it are enough to be found.
    let key = unhex(run.said("key "));
    assert!(key.len() > 1000);
    // The modulus is public and in the certificate; what comes after it in PKCS#1 is not.
    for chunk in key[400..].chunks_exact(32) {
        assert!(!found(chunk), "part of the private key");
    }
}

/// Pseudonyms tell which names are the same without telling the names; certificates are not there at all.
#[test]
fn with_privacy_names_are_pseudonyms_and_certificates_are_left_out() {
    let Some(_permit) = live() else { return };
    let script = "serve s openssl s_server -accept 127.0.0.1:21323 -cert server.crt -key server.key
         for name in one.secret.test one.secret.test two.secret.test; do
             openssl s_client -CAfile ca.crt -connect 127.0.0.1:21323 -tls1_2 -servername $name >/dev/null 2>&1
         done";
    for how in ["hash", "drop"] {
        let run = trace_with(&["--privacy", how, "--argv", "exe"], script);
        let raw = run.done.trace().raw;
        let found = |part: &[u8]| raw.windows(part.len()).any(|window| window == part);
        assert!(!found(b"secret.test") && !found(b"test CA"), "{how}");
        assert_eq!(run.handshakes.len(), 6);
        for event in &run.handshakes {
            assert_eq!((&event["version"], &event["certificates"]), (&json!("TLS 1.2"), &json!(null)), "{event:#}");
            assert_eq!(event["server_name"].as_str().unwrap().len(), "one.secret.test".len());
        }
        let mut names: Vec<_> = run.handshakes.iter().map(|event| event["server_name"].as_str().unwrap()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), if how == "hash" { 2 } else { 1 });
    }
}
