//! Which stack a first hello looks like: what real software said, in recordings whose software is known.
#![allow(clippy::unwrap_used)]

use crypto_trace_analyze::protocol::tls::{ClientHello, Stream, Transport, View};
use crypto_trace_analyze::protocol::{Chunk, Ends, Protocol, Said};
use crypto_trace_analyze::stacks::{TlsShape, of_client};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// A connection as its client recorded it, see `data/tls/README.md`.
fn recorded(name: &str) -> View {
    let read = |side: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/tls/{name}.{side}.bin"));
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let (client, server) = (read("client"), read("server"));
    let said = |bytes| Said { chunks: vec![Chunk { offset: 0, bytes }], ..Said::default() };
    View::read(&Ends { sent: said(&client), received: said(&server), opened_by: None })
}

fn looks_like(name: &str) -> &'static [String] {
    of_client(&recorded(name))
}

#[test]
fn first_hellos_of_known_software_are_named() {
    // Without a server name, with protocols, against a server of TLS 1.2: what programs and servers decide.
    for name in ["openssl13", "openssl12", "openssl12_dhe"] {
        assert_eq!(looks_like(name), ["OpenSSL 3.0"], "{name}");
    }
    assert_eq!(looks_like("openssl4_mlkem"), ["OpenSSL 4.0"]);
    assert_eq!(looks_like("gnutls13"), ["GnuTLS 3.7"]);
}

/// The first of two is the first hello; what came after the server asked for another is none.
#[test]
fn a_second_hello_is_not_taken_for_a_first_one() {
    let view = recorded("openssl13_retry");
    let [first, second] = [view.hello().unwrap(), view.second_hello().unwrap()];
    assert_ne!(TlsShape::new(first, &Transport::Tcp), TlsShape::new(second, &Transport::Tcp));
    // The first one, of a client that knows few groups, was not measured; the second is none to look at.
    assert_eq!(of_client(&view), [""; 0]);
    let mut second_alone = view.clone();
    second_alone.client = Some(Stream::parse(&second_hello_bytes()));
    second_alone.server = None;
    assert_eq!(second_alone.hello(), Some(second));
    assert_eq!(of_client(&second_alone), [""; 0]);
}

/// What the client of `openssl13_retry` sent after the server's answer.
fn second_hello_bytes() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls/openssl13_retry.client.bin");
    let bytes = std::fs::read(path).unwrap();
    let end = |at: usize| at + 5 + usize::from(u16::from_be_bytes([bytes[at + 3], bytes[at + 4]]));
    // A record of one byte may come between both, for middleboxes (RFC 8446, appendix D.4).
    let mut at = end(0);
    while bytes[at] == 20 {
        at = end(at);
    }
    bytes[at..].to_vec()
}

#[test]
fn a_resumed_session_is_not_taken_for_a_first_hello() {
    for name in ["openssl13_resumed", "openssl12_ticket", "openssl12_session_id"] {
        assert!(recorded(name).hello().is_some(), "{name}");
        assert_eq!(looks_like(name), [""; 0], "{name}");
    }
}

/// A program that restricts versions or groups looks like nothing that was measured.
#[test]
fn what_was_set_up_otherwise_is_not_named() {
    for name in ["openssl13_retry", "openssl_protocol_version", "openssl10", "gnutls12"] {
        assert_eq!(looks_like(name), [""; 0], "{name}");
    }
}

/// OpenSSL before and since ML-KEM, with one list of signature schemes: JA4 is the same, groups and key shares are not.
#[test]
fn two_set_ups_of_openssl_with_one_ja4_are_told_apart() {
    let measured = recorded("openssl4_mlkem");
    let hello = measured.hello().unwrap();
    let mut classical: ClientHello = hello.clone();
    classical.groups.retain(|group| group.post_quantum() == Some(false));
    classical.key_shares.retain(|group| group.post_quantum() == Some(false));
    assert_eq!(hello.ja4(), classical.ja4());
    let shape = |hello| TlsShape::new(hello, &Transport::Tcp);
    assert!(shape(hello).is_some() && shape(hello) != shape(&classical));
}

/// Members of the events of a golden recording.
fn named(name: &str) -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name).join("capture.ctseg");
    let done = Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze"))
        .args(["events", "-f", "json-stream", "--type", "tls_handshake,ssh_handshake"])
        .arg(path)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let events = done.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let events: Vec<Value> = events.map(|line| serde_json::from_slice(line).unwrap()).collect();
    let looks = |event: &Value| -> Vec<String> {
        let list = event["client_looks_like"].as_array().cloned().unwrap_or_default();
        list.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let mut all: Vec<Vec<String>> = events.iter().map(looks).collect();
    all.sort();
    all.dedup();
    all
}

#[test]
fn golden_recordings_name_what_their_software_was_and_nothing_else() {
    let check = |name: &str, expected: &[&str]| {
        let found = named(name);
        let names: Vec<&str> = found.iter().flatten().map(String::as_str).collect();
        assert_eq!(names, expected, "{name}: {found:?}");
        assert!(found.iter().all(|names| names.len() <= 1), "{name}: {found:?}");
    };
    check("quic-aioquic", &["aioquic 1.2 to 1.7"]);
    check("dtls-openssl", &["OpenSSL of Debian 3.0"]);
    check("tls-libraries", &["GnuTLS 3.7", "OpenSSL 3.0"]);
    check("tls-loopback", &["GnuTLS 3.7", "OpenSSL 3.0"]);
    check("tls-nginx", &["OpenSSL 3.0", "curl of Debian 7.88"]);
    check("tls-rustls", &["rustls with aws-lc-rs 0.23"]);
    check("tls-wheels", &["OpenSSL with certificate compression 3.5"]);
    check("ssh-openssh", &["OpenSSH 9.2", "dropbear 2022.83"]);
    // Set up otherwise than was measured: session tickets, groups.
    check("tls-go", &[]);
}
