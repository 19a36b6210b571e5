//! SSH of real software, parsed and compared with what that software said of it. See `data/ssh/README.md`.
#![allow(clippy::unwrap_used)]

use crypto_trace_analyze::protocol::ssh::{Chunk, Direction, View, message};
use crypto_trace_analyze::protocol::{Ends, Outcome, Protocol, Role, Said};
use proptest::prelude::*;
use std::path::Path;

const RECORDINGS: [&str; 8] = [
    "openssh",
    "openssh_certificate",
    "openssh_gex",
    "openssh_dh",
    "openssh_nothing_in_common",
    "openssh_dropbear",
    "dropbear_client",
    "dropbear",
];

const ED25519: &str = "SHA256:Oo2S8oE+k4/qerUybJhDp5+4t56O4OxWVkfFXzqW6Ig";

fn bytes(name: &str, side: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/ssh/{name}.{side}.bin"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn said(bytes: &[u8]) -> Said<'_> {
    Said { chunks: vec![Chunk { offset: 0, bytes }], ..Said::default() }
}

fn read(sent: &[u8], received: &[u8]) -> View {
    View::read(&Ends { sent: said(sent), received: said(received), opened_by: None })
}

fn recorded(name: &str) -> View {
    read(&bytes(name, "client"), &bytes(name, "server"))
}

fn text(name: Option<&[u8]>) -> String {
    String::from_utf8_lossy(name.unwrap_or(b"-")).into_owned()
}

/// `chacha20-poly1305@openssh.com - none`
fn used(direction: &Direction) -> String {
    [&direction.cipher, &direction.mac, &direction.compression].map(|name| text(name.as_deref())).join(" ")
}

fn agreed(view: &View) -> [String; 4] {
    let agreed = view.agreed.as_ref().unwrap();
    [text(agreed.kex.as_deref()), text(agreed.host_key.as_deref()), used(&agreed.to_server), used(&agreed.to_client)]
}

fn key(view: &View) -> (String, Option<u32>, Option<String>) {
    let key = view.host_key.as_ref().unwrap();
    (text(Some(&key.key_type)), key.bits, key.fingerprint.clone())
}

#[test]
fn what_is_agreed_on_is_what_the_client_says() {
    let plain = "chacha20-poly1305@openssh.com - none";
    let zlib = "chacha20-poly1305@openssh.com - zlib@openssh.com";
    let rsa = ("ssh-rsa", 3072, "SHA256:Ccp5SXMfIAaRUlXU10/wT+qad9HYqncQHOTIk4c2/58");
    let p384 = ("ecdsa-sha2-nistp384", 384, "SHA256:wBD5d7LKyrpFPY9inphod1VavmOlF+7VwxtPcaGDFj0");
    let p256 = ("ecdsa-sha2-nistp256", 256, "SHA256:K2oFnxHv4WDBjV/zokH/RXjTTtt3PSFk1A6mxsNDwXY");
    let certificate = ("ssh-ed25519-cert-v01@openssh.com", 256, ED25519);
    let ed25519 = ("ssh-ed25519", 256, ED25519);
    for (name, kex, algorithm, cipher, key_expected, post_quantum) in [
        ("openssh", "sntrup761x25519-sha512", "ssh-ed25519-cert-v01@openssh.com", plain, certificate, true),
        ("openssh_certificate", "sntrup761x25519-sha512", "ssh-ed25519-cert-v01@openssh.com", plain, certificate, true),
        (
            "openssh_gex",
            "diffie-hellman-group-exchange-sha256",
            "rsa-sha2-512",
            "aes128-ctr hmac-sha2-256 none",
            rsa,
            false,
        ),
        (
            "openssh_dh",
            "diffie-hellman-group14-sha1",
            "ecdsa-sha2-nistp384",
            "aes256-gcm@openssh.com - zlib@openssh.com",
            p384,
            false,
        ),
        ("openssh_dropbear", "curve25519-sha256", "ecdsa-sha2-nistp256", plain, p256, false),
        ("dropbear_client", "curve25519-sha256", "ssh-ed25519", zlib, ed25519, false),
        ("dropbear", "curve25519-sha256", "ecdsa-sha2-nistp256", zlib, p256, false),
    ] {
        let view = recorded(name);
        assert_eq!((view.role, view.outcome), (Some(Role::Client), Outcome::ServerHello), "{name}");
        assert_eq!(agreed(&view), [kex, algorithm, cipher, cipher], "{name}");
        let (key_type, bits, fingerprint) = key_expected;
        assert_eq!(key(&view), (key_type.to_owned(), Some(bits), Some(fingerprint.to_owned())), "{name}");
        assert_eq!(view.agreed.as_ref().unwrap().post_quantum(), Some(post_quantum), "{name}");
        assert!(view.agreed.as_ref().unwrap().strict_kex, "{name}");
        assert!(!view.may_go_on(), "{name}");
        // The server sees the same.
        let other = read(&bytes(name, "server"), &bytes(name, "client"));
        assert_eq!(
            (other.role, agreed(&other), key(&other)),
            (Some(Role::Server), agreed(&view), key(&view)),
            "{name}"
        );
    }
    assert_eq!(recorded("openssh_gex").group_bits, Some(8192));
    assert_eq!(recorded("openssh").group_bits, None);
}

#[test]
fn a_certificate_says_what_ssh_keygen_says_of_it() {
    let view = recorded("openssh_certificate");
    let certificate = view.host_key.as_ref().unwrap().certificate.as_ref().unwrap();
    assert_eq!((certificate.serial, certificate.kind, &*certificate.key_id), (42, 2, &b"host one"[..]));
    let principals: Vec<String> = certificate.principals.iter().map(|name| text(Some(name))).collect();
    assert_eq!(principals, ["one.example.test", "two.example.test"]);
    assert_eq!((certificate.valid_after, certificate.valid_before), (1_767_225_600, 2_082_758_400));
    assert_eq!(&*certificate.ca_key_type, b"ssh-rsa");
    assert_eq!(certificate.ca_fingerprint, "SHA256:YlVlOElztRAwiFpSxKEHEPr9De6OKvwPTKn5irwkI9o");
}

#[test]
fn guesses_and_disagreement_are_told() {
    let guess = |name| recorded(name).agreed.unwrap().guessed_right;
    assert_eq!([guess("dropbear_client"), guess("dropbear"), guess("openssh")], [Some(false), Some(false), None]);
    // Who guessed wrong says it again.
    let said = |name| {
        let client = recorded(name).client.unwrap();
        client.messages.iter().filter(|number| **number == message::KEX_INIT).count()
    };
    assert_eq!([said("dropbear_client"), said("dropbear"), said("openssh")], [2, 2, 1]);
    let view = recorded("openssh_nothing_in_common");
    assert_eq!((view.outcome, view.host_key.is_none()), (Outcome::Alert, true));
    assert_eq!(view.agreed.unwrap().nothing_in_common, ["kex"]);
}

/// Computed a second time, from the bytes of the lists.
#[test]
fn software_and_fingerprints() {
    let view = recorded("openssh_dropbear");
    let (client, server) = (view.client.as_ref().unwrap(), view.server.as_ref().unwrap());
    let banner = |stream: &crypto_trace_analyze::protocol::ssh::Stream| {
        let banner = stream.banner.as_ref().unwrap();
        (text(banner.software()), text(banner.comments()))
    };
    assert_eq!(banner(client), ("OpenSSH_9.2p1".to_owned(), "Debian-2+deb12u10".to_owned()));
    assert_eq!(banner(server), ("dropbear_2022.83".to_owned(), "-".to_owned()));
    assert_eq!(client.kexinit.as_ref().unwrap().hassh().unwrap(), HASSH_OPENSSH);
    assert_eq!(server.kexinit.as_ref().unwrap().hassh_server().unwrap(), HASSH_DROPBEAR);
}

const HASSH_OPENSSH: &str = "472b5de333ad665af5cbf10ff892c4df";
const HASSH_DROPBEAR: &str = "e1a0b5f8d334ec70fe937b2d5ff8d0b6";

#[test]
fn every_truncation_is_read_as_far_as_it_goes() {
    for name in RECORDINGS {
        let (client, server) = (bytes(name, "client"), bytes(name, "server"));
        let whole = recorded(name);
        for len in 0..server.len() {
            let cut = read(&client, &server[..len]);
            let (messages, all) = (&cut.server.as_ref().unwrap().messages, &whole.server.as_ref().unwrap().messages);
            assert!(all.starts_with(messages), "{name} at {len}");
            assert!(!cut.server.as_ref().unwrap().is_malformed || len == 0, "{name} at {len}");
            // What is agreed on is told once all of both offers is there, and never another.
            assert!(cut.agreed.is_none() || cut.agreed == whole.agreed, "{name} at {len}");
            let fingerprint = cut.host_key.as_ref().and_then(|key| key.fingerprint.clone());
            assert!(
                fingerprint.is_none() || fingerprint == whole.host_key.as_ref().unwrap().fingerprint,
                "{name} at {len}"
            );
            assert!(
                cut.may_go_on() || cut.server.as_ref().unwrap().has(message::NEWKEYS) || len == 0,
                "{name} at {len}"
            );
        }
        for len in 0..client.len() {
            let cut = read(&client[..len], &server);
            assert!(cut.agreed.is_none() || cut.agreed == whole.agreed, "{name} at {len}");
        }
    }
}

#[test]
fn what_capture_left_out_changes_nothing() {
    for name in RECORDINGS {
        let (client, server) = (bytes(name, "client"), bytes(name, "server"));
        let (sent, received) = (as_captured(&client), as_captured(&server));
        let ends = Ends {
            sent: Said { chunks: sent, ..Said::default() },
            received: Said { chunks: received, ..Said::default() },
            opened_by: None,
        };
        let (view, whole) = (View::read(&ends), recorded(name));
        assert_eq!((&view.agreed, &view.host_key), (&whole.agreed, &whole.host_key), "{name}");
        assert_eq!(view.client.unwrap().messages, whole.client.unwrap().messages, "{name}");
    }
}

/// The pieces that capture keeps: lines, offers, and of other packets ten bytes and, of the server's answers, the first string.
fn as_captured(bytes: &[u8]) -> Vec<Chunk<'_>> {
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let mut chunks = vec![Chunk { offset: 0, bytes: &bytes[..line] }];
    let mut at = line;
    while at + 10 <= bytes.len() {
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let len = 4 + number(at);
        let kept = match bytes[at + 5] {
            message::KEXINIT => len,
            message::KEX_REPLY | message::KEX_GEX_REPLY => 10 + number(at + 6),
            _ => 10,
        };
        chunks.push(Chunk { offset: u32::try_from(at).unwrap(), bytes: &bytes[at..at + kept.min(len)] });
        at += len;
    }
    chunks
}

/// Every bit of two recordings, and every byte of the others as a length would have it.
#[test]
fn changed_bytes_are_survived() {
    for name in RECORDINGS {
        let (client, mut server) = (bytes(name, "client"), bytes(name, "server"));
        let bits: &[u8] = if name == "dropbear" { &[1, 2, 4, 8, 16, 32, 64, 128] } else { &[0xff] };
        for at in 0..server.len() {
            for bit in bits {
                server[at] ^= bit;
                let view = read(&client, &server);
                let _ = (view.notes(true, true), view.outcome(), view.host_key);
                server[at] ^= bit;
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(sent in proptest::collection::vec(any::<u8>(), 0..600), received: Vec<u8>) {
        let line = |bytes: &[u8]| [&b"SSH-2.0-x\r\n"[..], bytes].concat();
        let _ = read(&line(&sent), &received).notes(false, false);
        let _ = read(&received, &line(&sent)).may_go_on();
    }
}
