//! How records become connections, whatever order and shape they come in.

use super::*;
use crate::protocol::tls;
use crypto_trace_format::record::{Kind, Record, TlsHelloFixed};

mod sockets;

const CLIENT: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/openssl12.client.bin"));
const SERVER: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/openssl12.server.bin"));

fn header(tgid: u32, time_ns: u64) -> Header {
    Header { kind: TlsHello::KIND.0, tgid, tid: tgid, time_ns, start_ns: u64::from(tgid), ..Header::default() }
}

/// Port of the client, and of the server; `from_client` is which end this is.
fn fixed(cookie: u64, from_client: bool, sent: bool) -> TlsHelloFixed {
    let (client, server) = (40_000, 443);
    let mut address = [0; 16];
    address[0] = 127;
    TlsHelloFixed {
        cookie,
        family: 2,
        local_addr: address,
        remote_addr: address,
        local_port: if from_client { client } else { server },
        remote_port: if from_client { server } else { client },
        direction: if sent { 1 } else { 2 },
        ..TlsHelloFixed::default()
    }
}

/// All bytes of a side, and whether some are missing.
fn joined(side: &Side) -> (Vec<u8>, bool) {
    let (chunks, gap) = side.chunks();
    (chunks.iter().flat_map(|chunk| chunk.bytes).copied().collect(), gap)
}

/// Adds records as those of one segment.
fn gather(all: &mut Handshakes, records: &[(Header, TlsHelloFixed, &[u8])]) {
    for (number, (header, fixed, data)) in (0u64..).zip(records) {
        all.add(header, &TlsHello { fixed: *fixed, data, ..TlsHello::default() }, 0, number);
    }
    all.finish();
}

fn gathered(records: &[(Header, TlsHelloFixed, &[u8])]) -> Handshakes {
    let mut all = Handshakes::default();
    gather(&mut all, records);
    all
}

/// Adds a record of a live run.
fn add(all: &mut Handshakes, time_ns: u64, fixed: TlsHelloFixed, data: &[u8]) {
    all.add(&header(1, time_ns), &TlsHello { fixed, data, ..TlsHello::default() }, LIVE_SEGMENT, 0);
}

/// Cuts `bytes` into pieces of `len`.
fn pieces(bytes: &[u8], len: usize, base: TlsHelloFixed) -> Vec<(Header, TlsHelloFixed, &[u8])> {
    let piece = |(index, data)| {
        let offset = u32::try_from(index * len).expect("short");
        (header(7, 100 + u64::from(offset)), TlsHelloFixed { offset, ..base }, data)
    };
    bytes.chunks(len).enumerate().map(piece).collect()
}

/// What a connection of TLS says.
fn tls(connection: &Connection) -> tls::View {
    connection.view().tls().expect("of TLS").clone()
}

fn suite(connection: &Connection) -> Option<String> {
    Some(tls(connection).negotiated.as_ref()?.cipher_suite?.to_string())
}

const SUITE: &str = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384";

#[test]
fn pieces_of_any_size_and_order_are_one_handshake() {
    for len in [30, 77, 1_000, 10_000] {
        let mut records = pieces(CLIENT, len, fixed(1, true, true));
        records.extend(pieces(SERVER, len, fixed(1, true, false)));
        for order in 0..3 {
            match order {
                1 => records.reverse(),
                2 => records.rotate_left(1),
                _ => {}
            }
            let all = gathered(&records);
            let [connection] = all.connections() else { panic!("{} connections", all.connections().len()) };
            assert_eq!(suite(connection).as_deref(), Some(SUITE), "pieces of {len} bytes, order {order}");
            assert!(!connection.cut && !tls(connection).gap);
        }
    }
}

#[test]
fn what_was_sent_again_counts_once_also_when_it_overlaps() {
    let base = fixed(1, true, false);
    let at = |offset: u32, time_ns, data| (header(7, time_ns), TlsHelloFixed { offset, ..base }, data);
    let records = [
        at(0, 10, &SERVER[..500]),
        at(0, 20, &SERVER[..500]),
        at(0, 30, &SERVER[..900]),
        at(400, 40, &SERVER[400..1_200]),
        at(1_000, 5, &SERVER[1_000..]),
        at(0, 50, &SERVER[..10]),
    ];
    let all = gathered(&records);
    let connection = &all.connections()[0];
    let (bytes, gap) = joined(&connection.received);
    assert!(bytes == SERVER && !gap);
    assert_eq!(suite(connection).as_deref(), Some(SUITE));
    assert_eq!(connection.received.said().first_ns, Some(5));
}

#[test]
fn nothing_is_read_past_a_gap() {
    let base = fixed(1, true, false);
    let lost = TlsHelloFixed { offset: 900, state: 1, ..base };
    let all = gathered(&[(header(7, 1), base, &SERVER[..400]), (header(7, 2), lost, &SERVER[900..])]);
    let view = tls(&all.connections()[0]);
    assert!(view.gap);
    let server = view.server.as_ref().expect("its beginning");
    assert!(server.server_hello().is_some() && server.key_exchange().is_none());
    // Only what is after the gap: nothing, and not a guess.
    let all = gathered(&[(header(7, 2), lost, &SERVER[900..])]);
    let view = tls(&all.connections()[0]);
    assert!(view.gap && view.role.is_none() && view.outcome == Outcome::None);
}

#[test]
fn bytes_that_are_missing_are_told_also_by_a_record_without_bytes() {
    let base = fixed(1, true, false);
    let lost = TlsHelloFixed { offset: 400, state: 1, ..base };
    let hello = (header(7, 1), fixed(1, true, true), CLIENT);
    let all = gathered(&[hello, (header(7, 1), base, &SERVER[..400]), (header(7, 2), lost, &SERVER[..0])]);
    let connection = &all.connections()[0];
    let view = tls(connection);
    assert!(view.gap && view.server.as_ref().is_some_and(|server| server.server_hello().is_some()));
    assert_eq!(view.notes(connection.cut, connection.late), ["packets_missing", "certificate_incomplete"]);
}

#[test]
fn a_half_that_was_not_seen_is_told() {
    let notes = |records: &[(Header, TlsHelloFixed, &[u8])]| {
        let all = gathered(records);
        let connection = &all.connections()[0];
        tls(connection).notes(connection.cut, connection.late)
    };
    let client = (header(7, 1), fixed(1, true, true), CLIENT);
    let server = (header(7, 2), fixed(1, true, false), SERVER);
    assert_eq!(notes(&[client, server]), [""; 0]);
    assert_eq!(notes(&[client]), ["server_hello_not_seen"]);
    assert_eq!(notes(&[server]), ["client_hello_not_seen"]);
    let half = (header(7, 1), fixed(1, true, true), &CLIENT[..80]);
    assert_eq!(notes(&[half, server]), ["client_hello_incomplete"]);
    // Not even its version.
    let begun = (header(7, 1), fixed(1, true, true), &CLIENT[..8]);
    assert_eq!(notes(&[begun]), ["client_hello_not_seen", "server_hello_not_seen", "client_hello_incomplete"]);
}

#[test]
fn of_two_fatal_alerts_the_first_ended_the_handshake() {
    let alert = |description| [21, 3, 3, 0, 2, 2, description];
    let after = |len: usize, sent| TlsHelloFixed { offset: u32::try_from(len).expect("short"), ..fixed(1, true, sent) };
    let first_record = |bytes: &'static [u8]| &bytes[..5 + usize::from(u16::from_be_bytes([bytes[3], bytes[4]]))];
    let (hello, answer) = (first_record(CLIENT), first_record(SERVER));
    for (by_client, by_server, expected) in [(3, 4, (42, Role::Client)), (4, 3, (50, Role::Server))] {
        let (ours, theirs) = (alert(42), alert(50));
        let all = gathered(&[
            (header(7, 1), fixed(1, true, true), hello),
            (header(7, 2), fixed(1, true, false), answer),
            (header(7, by_client), after(hello.len(), true), &ours),
            (header(7, by_server), after(answer.len(), false), &theirs),
        ]);
        let alert = tls(&all.connections()[0]).alert.expect("an alert");
        assert_eq!((alert.0.description.0, alert.1), expected);
    }
}

#[test]
fn a_second_hello_without_a_retry_changes_nothing_and_is_noted() {
    let hello = &CLIENT[..5 + usize::from(u16::from_be_bytes([CLIENT[3], CLIENT[4]]))];
    let mut other = hello.to_vec();
    let name = b"server.test";
    if let Some(at) = other.windows(name.len()).position(|window| window == name) {
        other[at..at + 6].copy_from_slice(b"forged");
    }
    let second = TlsHelloFixed { offset: u32::try_from(hello.len()).expect("short"), ..fixed(1, true, true) };
    let records = [
        (header(7, 1), fixed(1, true, true), hello),
        (header(7, 2), second, &*other),
        (header(7, 3), fixed(1, true, false), SERVER),
    ];
    let all = gathered(&records);
    let connection = &all.connections()[0];
    let view = tls(connection);
    assert_eq!(view.notes(connection.cut, connection.late), ["second_hello_without_retry"]);
    let first = gathered(&records[..1]);
    let first = tls(&first.connections()[0]);
    assert_eq!(view.hello(), first.hello());
    assert!(view.second_hello().is_none());
}

#[test]
fn the_best_known_owner_wins_whatever_the_order() {
    let by = |owner: u16, tgid: u32| {
        let record = TlsHelloFixed { owner, ..fixed(1, false, true) };
        (header(tgid, u64::from(tgid)), record, &SERVER[..50])
    };
    let mut records = vec![by(0, 1), by(3, 2), by(2, 3), by(4, 4), by(1, 5), by(9, 6)];
    for _ in 0..records.len() {
        records.rotate_left(1);
        let all = gathered(&records);
        let owner = all.connections()[0].owner;
        assert_eq!((owner.tgid, owner.source, owner.source.name()), (5, OwnerSource::Sender, Some("sent")));
    }
    let all = gathered(&[by(0, 1)]);
    let owner = all.connections()[0].owner;
    assert!(!owner.is_known() && owner.source.name().is_none() && owner.tgid == 0);
    // The same rank twice: the first one.
    assert_eq!(gathered(&[by(2, 8), by(2, 9)]).connections()[0].owner.tgid, 8);
}

#[test]
fn two_ends_find_each_other_and_the_nearest_when_ports_are_used_again() {
    let mut records = Vec::new();
    for round in 0..100u64 {
        let time_ns = round * 1_000_000;
        records.push((header(1, time_ns), fixed(2 * round, true, true), CLIENT));
        records.push((header(2, time_ns + 10), fixed(2 * round + 1, false, false), CLIENT));
    }
    let all = gathered(&records);
    assert_eq!(all.connections().len(), 200);
    for connection in all.connections() {
        let peer = all.peer(connection).expect("the other end");
        assert_eq!(peer.cookie(), connection.cookie() ^ 1);
        assert_eq!((peer.local(), peer.remote()), (connection.remote(), connection.local()));
    }
    // A socket is not its own peer, and one with other ports is not either.
    let mut same_ports = fixed(1, true, true);
    same_ports.remote_port = same_ports.local_port;
    let all = gathered(&[(header(1, 0), same_ports, CLIENT)]);
    assert!(all.peer(&all.connections()[0]).is_none());
}

/// Two tunnels, one after the other and with the same addresses in other namespaces: the other end of the second, which was not
/// there, was taken to be that of the first.
#[test]
fn an_end_that_was_not_there_is_not_that_of_an_earlier_connection() {
    let datagram = |fixed: TlsHelloFixed| TlsHelloFixed { protocol: 5, ..fixed };
    let (first, second) = ([1, 0, 0, 0, 1, 1, 1, 1], [1, 0, 0, 0, 2, 2, 2, 2]);
    let all = gathered(&[
        (header(1, 0), datagram(fixed(1, true, true)), &first),
        (header(2, 10), datagram(fixed(2, false, false)), &first),
        (header(3, 20), datagram(fixed(3, true, true)), &second),
    ]);
    let peers = |all: &Handshakes| {
        all.connections().iter().map(|one| all.peer(one).map(Connection::cookie)).collect::<Vec<_>>()
    };
    assert_eq!(peers(&all), [Some(2), Some(1), None]);
    // Of TCP likewise, by the first bytes.
    let mut other = CLIENT.to_vec();
    other[20] ^= 1;
    let all = gathered(&[
        (header(1, 0), fixed(1, true, true), CLIENT),
        (header(2, 10), fixed(2, false, false), &CLIENT[..100]),
        (header(3, 20), fixed(3, true, true), &other),
    ]);
    assert_eq!(peers(&all), [Some(2), Some(1), None]);
}

#[test]
fn a_socket_that_connects_again_is_another_connection() {
    let mut again = fixed(1, true, true);
    again.local_port += 1;
    let all = gathered(&[(header(1, 0), fixed(1, true, true), CLIENT), (header(1, 9), again, CLIENT)]);
    assert_eq!(all.connections().len(), 2);
    assert!(all.connections().iter().all(|connection| tls(connection).client.is_some()));
}

#[test]
fn memory_has_a_limit_and_what_is_beyond_is_counted() {
    let mut all = Handshakes::new(20_000);
    let records: Vec<_> = (0..100).map(|cookie| (header(1, cookie), fixed(cookie, true, true), CLIENT)).collect();
    gather(&mut all, &records);
    let kept = all.connections().len();
    assert!((10..40).contains(&kept), "{kept}");
    assert!(all.refused() >= 100 - kept as u64, "{}", all.refused());
    assert!(all.bytes <= 20_000);
    // One connection that says ever more does not pass it either.
    let mut all = Handshakes::new(20_000);
    let big = vec![0; 15_000];
    let records: Vec<_> = (0..4)
        .map(|part| (header(1, 1), TlsHelloFixed { offset: part * 15_000, ..fixed(1, true, part % 2 == 0) }, &*big))
        .collect();
    gather(&mut all, &records);
    assert_eq!(all.refused(), 3);
    assert!(all.connections()[0].cut && all.bytes <= 20_000);
}

#[test]
fn a_hundred_thousand_pieces_of_one_socket_are_cut_not_gathered() {
    let records: Vec<_> = (0..100_000u32)
        .rev()
        .map(|part| (header(1, 1), TlsHelloFixed { offset: part * 2, ..fixed(1, true, true) }, &CLIENT[..1]))
        .collect();
    let all = gathered(&records);
    let connection = &all.connections()[0];
    assert!(connection.cut);
    assert!(connection.bytes < 2_000, "{}", connection.bytes);
    let records: Vec<_> = (0..1_000u32)
        .map(|part| (header(1, 1), TlsHelloFixed { offset: part * 9_000, ..fixed(1, true, true) }, &SERVER[..1_000]))
        .collect();
    let all = gathered(&records);
    assert!(
        all.connections()[0].cut
            && all.connections()[0].sent.chunks().0.iter().map(|chunk| chunk.bytes.len()).sum::<usize>() <= 64 << 10
    );
}

#[test]
fn absurd_offsets_times_and_families_do_no_harm() {
    let mut hostile = Vec::new();
    for offset in [u32::MAX, u32::MAX - 1, 0x8000_0000, 1] {
        for (family, direction, owner, state) in [(0, 0, 77, 0xffff), (10, 9, 0, 2), (2, 1, 4, 4)] {
            let base = fixed(3, true, true);
            let record = TlsHelloFixed { offset, family, direction, owner, state, ..base };
            hostile.push((header(1, u64::MAX - u64::from(offset)), record, &CLIENT[..100]));
            hostile.push((header(u32::MAX, 0), TlsHelloFixed { offset, ..base }, &CLIENT[..0]));
        }
    }
    let mut capture = crate::capture::Capture::new(crypto_trace_format::segment::SegmentMeta::default());
    capture.handshakes = gathered(&hostile);
    for connection in capture.handshakes.connections() {
        let json = crate::event::handshake_json(&capture, connection);
        serde_json::from_slice::<serde_json::Value>(&json).expect("valid JSON");
    }
}

#[test]
fn many_sockets_with_the_same_ends_are_paired_in_no_time() {
    // One cookie on one side: none of them is the other end of another on that side.
    let mut records: Vec<_> = (0..50_000u32)
        .map(|net_ns| (header(1, 5), TlsHelloFixed { net_ns, ..fixed(1, true, true) }, &CLIENT[..20]))
        .collect();
    let mirrored = |net_ns| TlsHelloFixed { net_ns, ..fixed(1, false, true) };
    records.extend((0..50_000u32).map(|net_ns| (header(1, 5), mirrored(net_ns), &CLIENT[..20])));
    let all = gathered(&records);
    let paired = all.connections().iter().filter(|connection| all.peer(connection).is_some()).count();
    assert_eq!((all.connections().len(), paired), (100_000, 0));
}

#[test]
fn a_live_run_shows_each_connection_once_and_lets_it_go() {
    let mut all = Handshakes::default();
    let second = 1_000_000_000;
    add(&mut all, 0, fixed(1, true, true), CLIENT);
    assert!(all.take_ready(second, false, |_| false).is_empty(), "the answer is waited for");
    all.forget_ready();
    add(&mut all, second, fixed(1, true, false), SERVER);
    assert!(all.take_ready(second, false, |_| false).is_empty(), "TLS 1.2 may have more to say");
    all.forget_ready();
    let shown = all.take_ready(2 * second, false, |_| false);
    assert_eq!(Record::parse(&shown).expect("a record").kind(), Kind(6));
    assert_eq!(suite(all.shown_at(LIVE_SEGMENT, 0).expect("shown")).as_deref(), Some(SUITE));
    all.forget_ready();
    assert_eq!((all.connections().len(), all.bytes), (0, 0));
    // A packet that comes late does not bring it back.
    add(&mut all, 3 * second, fixed(1, true, false), SERVER);
    assert!(all.take_ready(9 * second, true, |_| false).is_empty());
    // One whose library may yet tell of it is waited for, but not for long.
    add(&mut all, 5 * second, fixed(3, true, true), CLIENT);
    add(
        &mut all,
        5 * second,
        fixed(3, true, false),
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/openssl13.server.bin")),
    );
    assert!(all.take_ready(5 * second, false, |_| true).is_empty());
    assert!(!all.take_ready(6 * second, false, |cookie| cookie == 3).is_empty());
    all.forget_ready();
    // What never gets an answer is shown when nobody would wait for it any more.
    add(&mut all, 10 * second, fixed(2, true, true), CLIENT);
    assert!(all.take_ready(14 * second, false, |_| false).is_empty());
    assert!(!all.take_ready(15 * second, false, |_| false).is_empty());
}

/// What another process accepted was told as the listener's own, unanswered.
#[test]
fn a_connection_that_was_taken_by_a_process_not_selected_is_not_shown() {
    let received = TlsHelloFixed { owner: 3, ..fixed(1, false, false) };
    let taken = TlsHelloFixed { owner: 1, state: 8, ..fixed(1, false, true) };
    let records = [(header(5, 1), received, CLIENT), (header(6, 2), taken, &b""[..])];
    let mut all = gathered(&records);
    all.finish();
    assert_eq!((all.shown_at(0, 0).is_none(), all.shown_at(0, 1).is_none()), (true, true));
    assert_eq!((all.seen(), all.taken()), (1, 1));
    let mut live = Handshakes::default();
    for (header, fixed, data) in records {
        live.add(&header, &TlsHello { fixed, data, ..TlsHello::default() }, LIVE_SEGMENT, 0);
    }
    assert!(live.take_ready(u64::MAX, true, |_| false).is_empty());
    assert_eq!((live.connections().len(), live.bytes, live.taken()), (0, 0, 1));
}

#[test]
fn what_capture_leaves_out_between_hellos_is_no_gap() {
    let base = fixed(1, true, true);
    let at = |offset: u32, time_ns, data| (header(7, time_ns), TlsHelloFixed { offset, ..base }, data);
    let all = gathered(&[at(20, 2, &b"second"[..]), at(0, 1, b"first")]);
    assert_eq!(joined(&all.connections()[0].sent), (b"firstsecond".to_vec(), false));
}

#[test]
fn a_live_run_shows_both_ends_together() {
    let mut all = Handshakes::default();
    add(&mut all, 0, fixed(1, true, true), CLIENT);
    add(&mut all, 0, fixed(2, false, false), CLIENT);
    add(&mut all, 1, fixed(1, true, false), SERVER);
    // One end has a later packet, and is waited for: TLS 1.2 may have more to say.
    add(&mut all, 1, fixed(2, false, true), SERVER);
    add(&mut all, LIVE_PATIENCE_NS, fixed(2, false, true), b"");
    assert!(all.take_ready(LIVE_PATIENCE_NS + 1, false, |_| false).is_empty());
    assert!(!all.take_ready(3 * LIVE_PATIENCE_NS, false, |_| false).is_empty());
    let [one, two] = [0, 1].map(|number| all.shown_at(LIVE_SEGMENT, number).expect("shown"));
    assert_eq!(all.peer(one).map(Connection::cookie), Some(two.cookie()));
}

/// Each was parsed again by whoever asked: twice by `tls` on loopback, and by an outcome that was asked for.
#[test]
fn what_a_connection_says_is_parsed_once_and_again_only_when_there_is_more_of_it() {
    let mut all = gathered(&[(header(7, 1), fixed(1, true, true), CLIENT)]);
    let first: *const View = &raw const *all.connections()[0].view();
    assert_eq!(first, &raw const *all.connections()[0].view());
    assert!(tls(&all.connections()[0]).server.is_none());
    gather(&mut all, &[(header(7, 2), fixed(1, true, false), SERVER)]);
    assert!(tls(&all.connections()[0]).server.is_some());
}

/// A live run parsed each handshake to see whether it was over, and again to show it.
#[test]
fn a_live_handshake_is_parsed_once() {
    let mut all = Handshakes::default();
    add(&mut all, 1, fixed(1, true, true), CLIENT);
    add(&mut all, 2, fixed(1, true, false), SERVER);
    assert!(all.take_ready(2, false, |_| false).is_empty());
    let parsed: *const View = &raw const **all.connections()[0].viewed.get().expect("parsed");
    assert!(!all.take_ready(2 + LIVE_PATIENCE_NS, false, |_| false).is_empty());
    let shown = all.shown_at(LIVE_SEGMENT, 0).expect("shown");
    assert_eq!(parsed, &raw const *shown.view());
}

#[test]
fn only_what_there_is_room_for_is_kept_parsed() {
    let mut all = Handshakes::default();
    for cookie in 1..=4 {
        add(&mut all, 1, fixed(cookie, true, true), CLIENT);
    }
    all.list[1].bytes = MAX_VIEWED_BYTES;
    all.take_ready(2, false, |_| false);
    let kept = |all: &Handshakes| -> Vec<bool> { all.list.iter().map(|one| one.viewed.get().is_some()).collect() };
    assert_eq!(kept(&all), [true, false, false, false]);
    all.list[1].bytes = CONNECTION_BYTES;
    all.finish();
    all.list.iter().for_each(|one| drop(one.view()));
    assert_eq!(kept(&all), [true; 4]);
    all.list[0].bytes = MAX_VIEWED_BYTES + 1;
    all.finish();
    assert_eq!(kept(&all), [false; 4]);
}

#[test]
fn a_hello_of_a_protocol_of_a_later_version_is_not_taken_for_tls() {
    let later = TlsHelloFixed { protocol: 77, ..fixed(2, true, true) };
    let all = gathered(&[(header(7, 1), fixed(1, true, true), CLIENT), (header(7, 2), later, CLIENT)]);
    assert_eq!((all.connections().len(), all.of_unknown_protocols()), (1, 1));
}

/// A tunnel has a handshake every two minutes between the same two ends: 256 of them were told apart, and those after them were
/// taken for one.
#[test]
fn a_tunnel_of_a_week_has_all_its_handshakes() {
    let datagram = |number: u32, direction: bool| {
        let fixed = TlsHelloFixed { protocol: 5, offset: number << 16, ..fixed(7, true, direction) };
        let index = number.to_le_bytes();
        let bytes = match direction {
            true => [&[1, 0, 0, 0][..], &index].concat(),
            false => [&[2, 0, 0, 0, 9, 9, 9, 9][..], &index].concat(),
        };
        (header(1, u64::from(number) * 1_000 + u64::from(!direction)), fixed, bytes)
    };
    let numbers = 0..5_040;
    let all: Vec<_> = numbers.flat_map(|number| [datagram(number, true), datagram(number, false)]).collect();
    let handshakes =
        gathered(&all.iter().map(|(header, fixed, bytes)| (*header, *fixed, &bytes[..])).collect::<Vec<_>>());
    assert_eq!(handshakes.connections().len(), 5_040);
    assert!(handshakes.connections().iter().all(|connection| connection.view().outcome() == Outcome::ServerHello));
}
