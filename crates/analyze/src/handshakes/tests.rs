//! Putting connections together from pieces, in any order and from any bytes.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crypto_trace_format::record::TlsHelloFixed;

const CLIENT: ([u8; 4], u16) = ([127, 0, 0, 1], 50_000);
const SERVER: ([u8; 4], u16) = ([127, 0, 0, 1], 443);

fn address(bytes: [u8; 4]) -> [u8; 16] {
    let mut address = [0; 16];
    address[..4].copy_from_slice(&bytes);
    address
}

fn piece(cookie: u64, ends: (([u8; 4], u16), ([u8; 4], u16)), offset: u32, owner: u16) -> TlsHelloFixed {
    let (local, remote) = ends;
    TlsHelloFixed {
        cookie,
        offset,
        owner,
        family: 2,
        direction: 1,
        local_addr: address(local.0),
        local_port: local.1,
        remote_addr: address(remote.0),
        remote_port: remote.1,
        ..TlsHelloFixed::default()
    }
}

fn add(to: &mut Handshakes, fixed: TlsHelloFixed, tgid: u32, time_ns: u64, data: &[u8]) {
    let header = Header { tgid, time_ns, ..Header::default() };
    to.add(&header, &TlsHello { fixed, data, ..TlsHello::default() }, 0, time_ns);
}

fn sent(handshakes: &Handshakes) -> (Vec<u8>, bool) {
    handshakes.connections()[0].sent.assemble()
}

#[test]
fn pieces_are_put_in_the_order_of_the_stream() {
    let mut all = Handshakes::default();
    for (offset, time_ns, data) in [(4, 1, &b"ef"[..]), (0, 2, b"abcd"), (2, 3, b"cdef"), (6, 4, b"gh")] {
        add(&mut all, piece(1, (CLIENT, SERVER), offset, 1), 7, time_ns, data);
    }
    assert_eq!(sent(&all), (b"abcdefgh".to_vec(), false));
    // What capture leaves out between hellos are whole TLS records.
    add(&mut all, piece(1, (CLIENT, SERVER), 20, 1), 7, 5, b"second");
    assert_eq!(sent(&all), (b"abcdefghsecond".to_vec(), false));
}

#[test]
fn nothing_is_read_past_missing_packets() {
    let mut all = Handshakes::default();
    add(&mut all, piece(1, (CLIENT, SERVER), 0, 1), 7, 1, b"abc");
    add(&mut all, TlsHelloFixed { state: 1, ..piece(1, (CLIENT, SERVER), 9, 1) }, 7, 2, b"xyz");
    assert_eq!(sent(&all), (b"abc".to_vec(), true));
}

#[test]
fn the_best_known_process_owns_the_socket() {
    let mut all = Handshakes::default();
    for (time_ns, tgid, owner) in [(1, 10, 3), (2, 20, 2), (3, 30, 1), (4, 40, 4), (5, 50, 0), (6, 60, 3)] {
        add(&mut all, piece(1, (CLIENT, SERVER), 0, owner), tgid, time_ns, b"");
    }
    all.finish();
    assert_eq!(all.shown_at(0, 1).unwrap().owner.tgid, 30);
    assert!((2..=6).all(|number| all.shown_at(0, number).is_none()), "shown once, at its first record");
}

#[test]
fn ends_name_each_other_and_cookies_are_not_mixed_up() {
    let mut all = Handshakes::default();
    add(&mut all, piece(1, (CLIENT, SERVER), 0, 1), 7, 1, b"c");
    add(&mut all, piece(2, (SERVER, CLIENT), 0, 1), 8, 2, b"s");
    // The same socket connects again, elsewhere; and later the first pair of ports is used once more.
    add(&mut all, piece(1, (CLIENT, ([10, 0, 0, 1], 443)), 0, 1), 7, 3, b"x");
    add(&mut all, piece(5, (SERVER, CLIENT), 0, 1), 9, 1_000, b"s");
    let list = all.connections();
    assert_eq!(list.len(), 4);
    assert_eq!(all.peer(&list[0]).unwrap().cookie(), 2);
    assert_eq!(all.peer(&list[1]).unwrap().cookie(), 1);
    assert!(all.peer(&list[2]).is_none());
}

#[test]
fn hostile_numbers_cost_neither_time_nor_memory() {
    let mut all = Handshakes::default();
    for i in 0..200_000 {
        add(&mut all, piece(1, (CLIENT, SERVER), u32::MAX - i, 1), 7, u64::from(i), &[0; 100]);
    }
    assert!(all.bytes < MAX_SIDE_BYTES * 2 && all.connections()[0].cut);
    let _ = all.connections()[0].view();

    let mut all = Handshakes { max_bytes: 10_000, ..Handshakes::default() };
    for cookie in 0..1_000 {
        add(&mut all, piece(cookie, (CLIENT, SERVER), 0, 1), 7, cookie, &[0; 100]);
    }
    assert!(all.connections().len() < 20 && all.refused() > 900);
}

#[test]
fn live_connections_are_given_once() {
    let hello = |direction, data: &[u8], all: &mut Handshakes| {
        let fixed = TlsHelloFixed { direction, ..piece(1, (CLIENT, SERVER), 0, 1) };
        let header = Header { tgid: 7, time_ns: 1_000, ..Header::default() };
        all.add(&header, &TlsHello { fixed, data, ..TlsHello::default() }, LIVE_SEGMENT, 0);
    };
    let mut all = Handshakes::default();
    hello(1, b"\x16\x03\x01", &mut all);
    assert!(all.take_ready(2_000, false).is_empty(), "an answer may come");
    all.forget_ready();
    assert!(!all.take_ready(1_000 + LIVE_ANSWER_NS + 1, false).is_empty());
    assert_eq!(all.shown_at(LIVE_SEGMENT, 0).unwrap().cookie(), 1);
    all.forget_ready();
    hello(1, b"late", &mut all);
    assert!(all.take_ready(u64::MAX, true).is_empty());
    assert!(all.connections().is_empty() && all.bytes == 0);
}
