//! Streams of which capture left parts out, and handshake messages that do not keep to records.

use super::{client_bytes, server, server_bytes};
use crypto_trace_analyze::protocol::tls::{AlertLevel, Chunk, ClientHello, Message, Stream, StreamEnd};
use proptest::prelude::*;

/// A handshake message in records of `size` bytes.
fn in_records(message: &[u8], size: usize) -> Vec<u8> {
    let record =
        |chunk: &[u8]| [&[22, 3, 3][..], &u16::try_from(chunk.len()).expect("short").to_be_bytes(), chunk].concat();
    message.chunks(size).flat_map(record).collect()
}

/// The handshake messages of a side's first flight, one after the other.
fn messages(records: &[u8]) -> Vec<u8> {
    let mut rest = records;
    let mut all = Vec::new();
    while let [22, _, _, high, low, after @ ..] = rest {
        let (payload, next) = after.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        all.extend_from_slice(payload);
        rest = next;
    }
    all
}

fn whole(bytes: &[u8]) -> [Chunk<'_>; 1] {
    [Chunk { offset: 0, bytes }]
}

/// `bytes` without some ranges: from where to where.
fn without<'a>(bytes: &'a [u8], ranges: &[(usize, usize)]) -> Vec<Chunk<'a>> {
    let mut chunks = Vec::new();
    let mut from = 0;
    for (start, end) in ranges.iter().chain(&[(bytes.len(), bytes.len())]) {
        if *start > from {
            chunks.push(Chunk { offset: u32::try_from(from).expect("short"), bytes: &bytes[from..*start] });
        }
        from = *end;
    }
    chunks
}

#[test]
fn a_certificate_over_many_records_is_the_certificate() {
    let expected = server("openssl12_ec");
    let flight = messages(&server_bytes("openssl12_ec"));
    for size in [1, 3, 5, 64, 512, 4_000] {
        let records = in_records(&flight, size);
        let stream = Stream::parse(&records);
        assert_eq!(stream.server_hello(), expected.server_hello(), "records of {size} bytes");
        assert_eq!(stream.certificates(), expected.certificates(), "records of {size} bytes");
        assert_eq!(stream.key_exchange(), expected.key_exchange(), "records of {size} bytes");
        assert_eq!(stream.incomplete, None);
    }
}

#[test]
fn a_message_is_not_read_on_past_what_an_old_recording_left_out() {
    // Whole records were left out in the middle of a Certificate: what follows may be of it.
    let flight = messages(&server_bytes("openssl12_ec"));
    let records = in_records(&flight, 300);
    let third = (2 * 305, 3 * 305);
    let stream = Stream::parse_chunks(&without(&records, &[third]), false);
    assert!(stream.server_hello().is_some());
    assert_eq!((stream.end, stream.incomplete), (StreamEnd::Cut, Some(11)));
    assert!(stream.certificates().is_none_or(|chain| chain.truncated), "{stream:?}");
    assert!(stream.key_exchange().is_none());
}

#[test]
fn what_is_left_out_of_messages_that_nobody_reads_is_no_cut() {
    let ticket = [&[4, 0, 0, 200][..], &[7; 200]].concat();
    let hello = messages(&server_bytes("openssl12_ec"));
    let hello = &hello[..4 + usize::from(u16::from_be_bytes([hello[2], hello[3]]))];
    let done = [14, 0, 0, 0];
    let change = [20, 3, 3, 0, 1, 1];
    // In records of their own, in one record together, and over two.
    let records = [in_records(hello, 9_000), in_records(&ticket, 9_000), change.to_vec()].concat();
    let begin = hello.len() + 5 + 9;
    let own = without(&records, &[(begin, begin + 200)]);
    let together = [in_records(&[hello, &ticket, &done].concat(), 9_000), change.to_vec()].concat();
    let begin_together = 5 + hello.len() + 4;
    let split = [in_records(hello, 9_000), in_records(&ticket, 104), change.to_vec()].concat();
    let first = (hello.len() + 5 + 9, hello.len() + 5 + 109);
    let second = (first.1 + 5, first.1 + 105);
    for (chunks, after) in [
        (own, vec![Message::NewSessionTicket, Message::ChangeCipherSpec]),
        (
            without(&together, &[(begin_together, begin_together + 200)]),
            vec![Message::NewSessionTicket, Message::Other(14), Message::ChangeCipherSpec],
        ),
        (without(&split, &[first, second]), vec![Message::NewSessionTicket, Message::ChangeCipherSpec]),
    ] {
        let stream = Stream::parse_chunks(&chunks, false);
        assert_eq!(stream.messages[1..], after, "{chunks:?}");
        assert_eq!((stream.end, stream.incomplete), (StreamEnd::Exhausted, None));
    }
    // At the end, nothing tells how much was left out.
    let stream = Stream::parse(&records[..begin]);
    assert_eq!(stream.messages.last(), Some(&Message::NewSessionTicket));
    assert_eq!((stream.end, stream.incomplete), (StreamEnd::Exhausted, None));
}

#[test]
fn a_record_whose_header_alone_was_kept_is_stepped_over() {
    // The first bytes of a client's ChangeCipherSpec, at the end of a packet; then, after a retry, its second hello.
    let hello = in_records(&messages(&client_bytes("openssl13")), 16_000);
    let bytes = [&hello[..], &[20, 3, 3, 0, 1, 1], &hello].concat();
    let at = hello.len();
    let stream = Stream::parse_chunks(&without(&bytes, &[(at + 2, at + 6)]), true);
    assert!(stream.second_client_hello().is_some());
    assert_eq!(stream.end, StreamEnd::Exhausted);
}

#[test]
fn after_change_cipher_spec_a_first_byte_of_a_hello_is_ciphertext() {
    let hello = client_bytes("openssl12");
    let mut finished = [9; 45];
    finished[..9].copy_from_slice(&[22, 3, 3, 0, 40, 1, 0, 0, 36]);
    finished[9..11].copy_from_slice(&[3, 3]);
    let bytes = [&hello[..], &[20, 3, 3, 0, 1, 1], &finished].concat();
    for retried in [false, true] {
        let stream = Stream::parse_chunks(&whole(&bytes), retried);
        if !retried {
            assert_eq!(stream.end, StreamEnd::Encrypted);
            assert!(stream.second_client_hello().is_none());
        }
        assert_eq!(stream.client_hello(), Stream::parse(&hello).client_hello());
    }
    // The server's, too.
    let flight = server_bytes("openssl12");
    finished[5] = 2;
    let bytes = [&in_records(&messages(&flight), 16_000)[..], &[20, 3, 3, 0, 1, 1], &finished].concat();
    let stream = Stream::parse(&bytes);
    assert_eq!((stream.end, stream.server_hello()), (StreamEnd::Encrypted, server("openssl12").server_hello()));
}

#[test]
fn early_data_is_stepped_over_on_the_way_to_a_second_hello() {
    let hello = client_bytes("openssl13");
    let data = [&[23, 3, 3, 0, 30][..], &[5; 30]].concat();
    let bytes = [&hello[..], &[20, 3, 3, 0, 1, 1], &data, &hello].concat();
    assert!(Stream::parse_chunks(&whole(&bytes), true).second_client_hello().is_some());
    let stream = Stream::parse_chunks(&whole(&bytes), false);
    assert!(stream.second_client_hello().is_none());
    assert_eq!(stream.end, StreamEnd::Encrypted);
}

#[test]
fn a_warning_before_the_hello_is_beside_it() {
    let bytes = [&[21, 3, 3, 0, 2, 1, 112][..], &server_bytes("openssl12")].concat();
    let stream = Stream::parse(&bytes);
    assert_eq!(stream.server_hello(), server("openssl12").server_hello());
    assert_eq!(stream.alert().map(|alert| alert.level), Some(AlertLevel::Warning));
}

#[test]
fn no_suite_is_made_up_of_a_draft_without_session_ids() {
    // draft-ietf-tls-tls13-18: version, random, suite, extensions (key_share: x25519).
    let body = [&[0x7f, 18][..], &[7; 32], &[0x13, 0x02, 0, 8, 0, 40, 0, 4, 0, 29, 0, 0]].concat();
    let message = [&[2, 0, 0, u8::try_from(body.len()).expect("short")][..], &body].concat();
    let stream = Stream::parse(&in_records(&message, 1_000));
    let hello = stream.server_hello().expect("a hello");
    assert_eq!(hello.cipher_suite.map(|suite| suite.0), Some(0x1302));
    assert_eq!(hello.version().map(|version| version.to_string()).as_deref(), Some("TLS 1.3 draft 18"));
    // The draft's key_share had the number 40.
    assert_eq!(hello.group, None);
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_are_survived(
        pieces in prop::collection::vec((0u32..200, prop::collection::vec(any::<u8>(), 0..80)), 0..8),
        retried: bool,
    ) {
        let mut at = 0u32;
        let mut chunks = Vec::new();
        for (hole, bytes) in &pieces {
            at += hole;
            chunks.push(Chunk { offset: at, bytes });
            at += u32::try_from(bytes.len()).expect("short");
        }
        let _ = Stream::parse_chunks(&chunks, retried).client_hello().map(ClientHello::ja4);
    }

    #[test]
    fn nothing_is_told_that_was_not_sent(
        from in 0usize..3_000,
        len in 1usize..400,
        flip in any::<u8>(),
    ) {
        // Whatever is left out of a recording: hellos and chains are as they were, or said to be in part.
        let bytes = server_bytes("openssl12_ec");
        let range = (from.min(bytes.len()), (from + len).min(bytes.len()));
        let expected = server("openssl12_ec");
        let stream = Stream::parse_chunks(&without(&bytes, &[range]), flip & 1 == 1);
        if let Some(hello) = stream.server_hello() {
            prop_assert!(hello.truncated || Some(hello) == expected.server_hello());
        }
        if let Some(chain) = stream.certificates() {
            prop_assert!(chain.truncated || Some(chain) == expected.certificates());
        }
    }
}
