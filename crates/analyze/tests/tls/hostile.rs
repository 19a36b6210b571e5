//! No bytes make the parsers panic, and a cut is told from the whole.

use super::{RECORDINGS, client, client_bytes, server, server_bytes};
use crypto_trace_analyze::protocol::iana::{CipherSuite, Version};
use crypto_trace_analyze::protocol::tls::{
    Certificate, CertificateChain, ClientHello, Negotiated, ServerHello, ServerKeyExchange, Stream, StreamEnd,
    find_hello,
};
use proptest::prelude::*;

/// Reads the bytes in every way there is.
fn read_all(bytes: &[u8]) -> Stream {
    let stream = Stream::parse(bytes);
    for hello in stream.client_hello().into_iter().chain(&ClientHello::parse(bytes)) {
        let _ = (hello.ja3(), hello.ja4(), hello.versions().len());
    }
    for hello in stream.server_hello().into_iter().chain(&ServerHello::parse(bytes)) {
        let _ = (hello.ja3s(), hello.version());
    }
    let _ = Negotiated::new(Some(&stream), &stream);
    let _ = (CertificateChain::parse(bytes), Certificate::parse(bytes));
    let _ = ServerKeyExchange::parse(bytes, CipherSuite(0xc02f), Version::TLS_1_2);
    let _ = find_hello(bytes);
    stream
}

#[test]
fn every_truncation_of_every_recording_is_read_as_far_as_it_goes() {
    for name in RECORDINGS {
        for (whole, bytes) in [(client(name), client_bytes(name)), (server(name), server_bytes(name))] {
            for len in 0..bytes.len() {
                let cut = Stream::parse(&bytes[..len]);
                assert!(cut.messages.len() <= whole.messages.len(), "{name} at {len}");
                assert!(!matches!(cut.end, StreamEnd::NotTls | StreamEnd::Malformed), "{name} at {len}: {:?}", cut.end);
                // All but the last message, which may be cut, are those of the whole.
                let last = cut.messages.len().saturating_sub(1);
                assert_eq!(cut.messages[..last], whole.messages[..last], "{name} at {len}");
                if let Some(hello) = cut.client_hello() {
                    assert!(!hello.malformed, "{name} at {len}");
                    assert!(hello.truncated || Some(hello) == whole.client_hello(), "{name} at {len}");
                }
            }
        }
    }
}

/// Every bit of two recordings; of the others, some of every byte.
#[test]
fn bit_flips_are_survived() {
    for name in RECORDINGS {
        let step = if ["openssl12_ec", "chrome_mlkem"].contains(&name) { 1 } else { 7 };
        for mut bytes in [client_bytes(name), server_bytes(name)] {
            for position in (0..bytes.len().min(2600) * 8).step_by(step) {
                bytes[position / 8] ^= 1 << (position % 8);
                let _ = Stream::parse(&bytes).client_hello().map(ClientHello::ja4);
                bytes[position / 8] ^= 1 << (position % 8);
            }
        }
    }
}

#[test]
fn records_and_messages_need_not_agree() {
    // The same handshake bytes, in records of any size.
    let bytes = client_bytes("openssl13");
    let message = &bytes[5..];
    for size in [1, 2, 3, 7, 100, 10_000] {
        let records: Vec<u8> = message
            .chunks(size)
            .flat_map(|chunk| {
                [&[22, 3, 1][..], &u16::try_from(chunk.len()).expect("short").to_be_bytes(), chunk].concat()
            })
            .collect();
        let hello = client("openssl13");
        let first = Stream::parse(&records);
        assert_eq!(first.client_hello(), hello.client_hello(), "records of {size} bytes");
    }
}

#[test]
fn a_hello_after_starttls_is_found() {
    let hello = client_bytes("openssl12");
    let smtp = b"220 mail ESMTP\r\nEHLO x\r\n250-STARTTLS\r\nSTARTTLS\r\n220 go\r\n";
    assert_eq!(find_hello(&[smtp, &hello[..]].concat()), Some(smtp.len()));
    assert_eq!(find_hello(&server_bytes("openssl12")), Some(0));
    assert_eq!(find_hello(smtp), None);
    assert_eq!(find_hello(&server_bytes("openssl_no_shared_cipher")), None);
}

#[test]
fn what_is_not_tls_is_not_read() {
    let check = |bytes: &[u8], end: StreamEnd| {
        let stream = Stream::parse(bytes);
        assert_eq!((stream.end, stream.messages.len()), (end, 0), "{bytes:?}");
    };
    check(b"", StreamEnd::Exhausted);
    check(b"GET / HTTP/1.1\r\n\r\n", StreamEnd::NotTls);
    check(b"SSH-2.0-OpenSSH_9.2\r\n", StreamEnd::NotTls);
    check(&[22, 3, 1, 0xff, 0xff, 1], StreamEnd::NotTls);
    check(&[23, 3, 3, 0, 2, 1, 2], StreamEnd::Encrypted);
}

#[test]
fn endless_messages_end() {
    let records: Vec<u8> = std::iter::repeat_n([22, 3, 3, 0, 4, 0, 0, 0, 0], 10_000).flatten().collect();
    let stream = Stream::parse(&records);
    assert_eq!(stream.end, StreamEnd::Malformed);
    assert!(stream.messages.len() <= 64);
}

proptest! {
    #[test]
    fn arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        read_all(&bytes);
    }

    #[test]
    fn arbitrary_handshake_records(
        payload in proptest::collection::vec(any::<u8>(), 0..600),
        kind in prop::sample::select(vec![1u8, 2, 11, 12]),
    ) {
        let len = u8::try_from(payload.len() & 0xff).expect("a byte");
        let message = [&[kind, 0, u8::try_from(payload.len() >> 8).expect("a byte"), len], &payload[..]].concat();
        read_all(&message);
        let record_len = u16::try_from(message.len()).expect("short").to_be_bytes();
        read_all(&[&[22, 3, 3][..], &record_len, &message].concat());
    }

    #[test]
    fn overwritten_recordings(
        which in 0..RECORDINGS.len(),
        from_server in any::<bool>(),
        at in any::<prop::sample::Index>(),
        patch in proptest::collection::vec(any::<u8>(), 1..8),
    ) {
        let mut bytes = if from_server { server_bytes(RECORDINGS[which]) } else { client_bytes(RECORDINGS[which]) };
        let start = at.index(bytes.len());
        for (byte, new) in bytes[start..].iter_mut().zip(patch) {
            *byte = new;
        }
        read_all(&bytes);
    }
}
