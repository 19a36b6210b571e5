//! Connections that real software made, from what each end saw of them.

#![allow(clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::protocol::{Outcome, Role};

const NGTCP2: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/quic/ngtcp2-retry-v2.bin"));

/// What the client sent, and what the server sent.
fn sides(mut rest: &[u8]) -> [Vec<&[u8]>; 2] {
    let mut sides = [Vec::new(), Vec::new()];
    while let Some(([from_client, high, low], after)) = rest.split_first_chunk() {
        let (datagram, next) = after.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        let [client, server] = &mut sides;
        if *from_client == 1 {
            client.push(datagram)
        } else {
            server.push(datagram)
        }
        rest = next;
    }
    sides
}

fn said<'a>(datagrams: &[&'a [u8]]) -> Said<'a> {
    let numbered = (0u32..).zip(datagrams);
    let chunks = numbered.map(|(number, bytes)| Chunk { offset: number << 16, bytes }).collect();
    Said { chunks, ..Said::default() }
}

fn quic(view: &View) -> &Quic {
    let Transport::Quic(quic) = &view.transport else { panic!("of QUIC") };
    quic
}

/// ngtcp2 begins with a packet number of four bytes and sends one byte of the next; it goes on in the version that the server chose.
/// All of it was shown as `unread`.
#[test]
fn numbers_cut_short_and_packets_in_the_version_that_the_server_chose_are_read() {
    let [client, server] = sides(NGTCP2);
    assert_eq!((client.len(), server.len()), (3, 2));
    for role in [Role::Client, Role::Server] {
        let (sent, received) = if role == Role::Client { (&client, &server) } else { (&server, &client) };
        let view = read(&Ends { sent: said(sent), received: said(received), opened_by: None });
        assert_eq!((view.role, view.outcome), (Some(role), Outcome::ServerHello));
        let seen = quic(&view);
        assert!(!seen.unread && seen.retry && !seen.token, "{seen:?}");
        assert_eq!(seen.versions, [QuicVersion::V1, QuicVersion::V2]);
        // The server takes another id after its Retry; the client's first packet stays the first.
        let ids = [&seen.original_cid, &seen.client_cid, &seen.server_cid].map(|cid| cid.as_deref().map(<[u8]>::len));
        assert_eq!(ids, [Some(18), Some(17), Some(18)]);
        assert_ne!(seen.server_cid.as_deref(), packets(server[0]).next().map(|packet| packet.scid));
        assert_eq!(view.hello().and_then(|hello| hello.server_name.as_deref()), Some(&b"localhost"[..]));
    }
}

/// A packet between two others is lost: what follows it is opened all the same, for its number is near enough.
#[test]
fn a_packet_that_was_not_seen_does_not_hide_those_after_it() {
    let [client, server] = sides(NGTCP2);
    // Without the hello after the Retry there is nothing that its keys could follow from.
    let lost = [client[0], client[2]];
    let view = read(&Ends { sent: said(&lost), received: said(&server), opened_by: None });
    assert_eq!((quic(&view).unread, view.role), (true, Some(Role::Client)));
    let first = [client[1], client[2]];
    let view = read(&Ends { sent: said(&first), received: said(&server), opened_by: None });
    assert!(!quic(&view).unread && quic(&view).token, "{:?}", quic(&view));
}
