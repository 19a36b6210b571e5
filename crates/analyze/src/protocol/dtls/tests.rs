//! Handshakes written by hand, whole, cut and wrong.

#![allow(clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::protocol::tls::Transport;
use crate::protocol::{Chunk, Outcome, Role, Said};

/// A record of an epoch.
fn record(content: u8, epoch: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).expect("short").to_be_bytes();
    [&[content, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 9], &len[..], payload].concat()
}

fn u24(number: usize) -> [u8; 3] {
    let [_, high, mid, low] = u32::try_from(number).expect("short").to_be_bytes();
    [high, mid, low]
}

/// A fragment of a message: bytes `from..to` of its body.
fn fragment(kind: u8, number: u8, body: &[u8], from: usize, to: usize) -> Vec<u8> {
    let piece = body.get(from..to).expect("inside");
    [&[kind], &u24(body.len())[..], &[0, number], &u24(from), &u24(to - from), piece].concat()
}

fn whole(kind: u8, number: u8, body: &[u8]) -> Vec<u8> {
    record(22, 0, &fragment(kind, number, body, 0, body.len()))
}

/// The body of a ClientHello that names `a.test`.
fn client_hello(random: u8, cookie: &[u8]) -> Vec<u8> {
    let cookie_len = u8::try_from(cookie.len()).expect("short");
    let name = [&[0, 0, 0, 11, 0, 9, 0, 0, 6][..], b"a.test"].concat();
    let extensions = [&[0, 15][..], &name].concat();
    [&[0xfe, 0xfd], &[random; 32][..], &[0, cookie_len], cookie, &[0, 2, 0xc0, 0x2f, 1, 0], &extensions].concat()
}

/// The body of a ServerHello: DTLS 1.2, with TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256.
fn server_hello() -> Vec<u8> {
    [&[0xfe, 0xfd], &[7; 32][..], &[0, 0xc0, 0x2f, 0]].concat()
}

/// The body of a ServerKeyExchange: X25519, rsa_pss_rsae_sha256.
const KEY_EXCHANGE: [u8; 10] = [3, 0, 29, 1, 9, 8, 4, 0, 1, 7];

fn said(datagrams: &[Vec<u8>]) -> Said<'_> {
    let numbered = (0u32..).zip(datagrams);
    let chunks = numbered.map(|(number, bytes)| Chunk { offset: number << 16, bytes }).collect();
    Said { chunks, ..Said::default() }
}

fn read_both(sent: &[Vec<u8>], received: &[Vec<u8>]) -> View {
    read(&Ends { sent: said(sent), received: said(received), opened_by: None })
}

fn name(view: &View) -> Option<&[u8]> {
    view.hello()?.server_name.as_deref()
}

/// What each side sends in a handshake with a cookie: the client's hello twice, the server's messages in two records and more.
fn handshake() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let hello = client_hello(5, b"cookie");
    let client = vec![whole(1, 0, &client_hello(5, b"")), whole(1, 1, &hello)];
    let (server, exchange) = (server_hello(), KEY_EXCHANGE);
    let server = vec![
        whole(3, 0, &[0xfe, 0xff, 6, b'c', b'o', b'o', b'k', b'i', b'e']),
        [
            whole(2, 1, &server),
            // Of the second message first its end, then its beginning, which overlap.
            record(22, 0, &fragment(12, 2, &exchange, 4, 10)),
            record(22, 0, &[fragment(12, 2, &exchange, 0, 6), fragment(14, 3, &[], 0, 0)].concat()),
        ]
        .concat(),
    ];
    (client, server)
}

fn check(view: &View) {
    let agreed = view.negotiated.as_ref().expect("answered");
    assert_eq!(agreed.version.map(|version| version.to_string()).as_deref(), Some("DTLS 1.2"));
    assert_eq!(agreed.key_exchange, Some(crate::protocol::tls::KeyExchange::Group(crate::protocol::iana::Group(29))));
    assert_eq!((view.role, view.outcome, view.gap), (Some(Role::Client), Outcome::ServerHello, false));
    assert_eq!(name(view), Some(&b"a.test"[..]));
    assert_eq!(view.notes(false, false), Vec::<&str>::new());
    assert_eq!(view.transport, Transport::Dtls);
}

#[test]
fn a_hello_with_a_cookie_is_the_same_handshake_again() {
    let (client, server) = handshake();
    let view = read_both(&client, &server);
    check(&view);
    let hello = view.hello().expect("a hello");
    assert!(hello.is_whole(), "{hello:?}");
    assert_eq!(view.client.as_ref().map(|client| client.messages.len()), Some(1));
    // JA4 takes it for DTLS 1.2.
    let ja4 = hello.ja4_over(view.transport.ja4_letter()).expect("whole");
    assert!(ja4.starts_with("dd2d010100_"), "{ja4}");
}

#[test]
fn messages_sent_again_in_other_pieces_and_another_order_count_once() {
    let (mut client, mut server) = handshake();
    let exchange = KEY_EXCHANGE;
    server.push([whole(12, 2, &exchange), whole(2, 1, &server_hello())].concat());
    for at in 0..exchange.len() {
        server.push(record(22, 0, &fragment(12, 2, &exchange, at, at + 1)));
    }
    client.reverse();
    server.reverse();
    check(&read_both(&client, &server));
}

#[test]
fn what_is_encrypted_is_not_read() {
    let (mut client, server) = handshake();
    client.push([record(20, 0, &[1]), record(22, 1, &[0xee; 40]), record(21, 1, &[2, 40])].concat());
    let view = read_both(&client, &server);
    assert_eq!(view.alert, None);
    check(&view);
}

#[test]
fn an_alert_in_the_clear_ends_it() {
    let view = read_both(&[whole(1, 0, &client_hello(5, b""))], &[record(21, 0, &[2, 70])]);
    assert_eq!(view.outcome, Outcome::Alert);
    assert_eq!(view.alert.map(|(alert, from)| (alert.to_string(), from)), {
        Some(("fatal protocol_version".to_owned(), Role::Server))
    });
}

#[test]
fn a_missing_piece_is_told_and_keeps_nothing_from_what_follows() {
    let (client, _) = handshake();
    let body = [&[0, 0, 60, 0, 0, 57][..], &[0; 57]].concat();
    let server =
        vec![whole(2, 1, &server_hello()), record(22, 0, &fragment(11, 2, &body, 0, 9)), whole(12, 3, &KEY_EXCHANGE)];
    let view = read_both(&client, &server);
    assert!(view.negotiated.as_ref().is_some_and(|agreed| agreed.key_exchange.is_some()));
    assert_eq!(view.notes(false, false), ["packets_missing", "certificate_incomplete"]);
    // One that is missing as a whole.
    let view = read_both(&client, &[whole(2, 1, &server_hello()), whole(12, 3, &KEY_EXCHANGE)]);
    assert_eq!(view.notes(false, false), ["packets_missing"]);
}

#[test]
fn cut_or_wrong_at_every_byte_nothing_is_invented() {
    let (client, server) = handshake();
    let all: Vec<Vec<u8>> = client.iter().chain(&server).cloned().collect();
    let known: [Option<&[u8]>; 2] = [None, Some(b"a.test")];
    for (index, datagram) in all.iter().enumerate() {
        for at in 0..datagram.len() {
            let mut cut = all.clone();
            cut[index].truncate(at);
            let view = read_both(&cut[..2], &cut[2..]);
            assert!(known.contains(&name(&view)), "{index} {at}");
            let group = view.negotiated.and_then(|agreed| agreed.key_exchange);
            let x25519 = crate::protocol::tls::KeyExchange::Group(crate::protocol::iana::Group(29));
            assert!(group.is_none_or(|group| group == x25519), "{index} {at}");
            for value in [0, 1, 0x7f, 0xff] {
                let mut wrong = all.clone();
                wrong[index][at] = value;
                let _ = read_both(&wrong[..2], &wrong[2..]).notes(false, false);
            }
        }
    }
}

#[test]
fn absurd_lengths_and_floods_of_fragments_are_bounded() {
    // A message of 16 MiB of which one byte is there; a fragment beyond its message; thousands of messages.
    let long = [&[11, 0xff, 0xff, 0xff, 0, 1], &[0xff, 0xff, 0xfe, 0, 0, 1, 7][..]].concat();
    let beyond = [&[11, 0, 0, 4, 0, 2], &[0, 0, 4, 0, 0, 1, 7][..]].concat();
    let mut datagrams = vec![record(22, 0, &long), record(22, 0, &beyond)];
    datagrams.extend((0..=255).map(|number| whole(16, number, &[number; 3])));
    let view = read_both(&datagrams, &datagrams);
    assert_eq!(view.role, None);
    assert!(view.client.is_some_and(|client| client.messages.len() <= 64));
}

#[test]
fn datagrams_of_others_on_the_port_say_nothing() {
    // STUN, SRTP, QUIC, and a record of DTLS 1.3 that is encrypted (RFC 7983, RFC 9147 section 4).
    let others = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[0x80; 40], &[0xc0; 40], &[0x2f; 40]];
    let others: Vec<Vec<u8>> = others.into_iter().map(<[u8]>::to_vec).collect();
    let view = read_both(&others, &others);
    assert_eq!((view.role, view.outcome), (None, Outcome::None));
    assert_eq!(others.iter().find_map(|datagram| client_random(datagram)), None);
    assert_eq!(client_random(&whole(1, 0, &client_hello(5, b""))), Some(&[5; 32][..]));
}
