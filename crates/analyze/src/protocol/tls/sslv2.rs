//! ClientHello in the format of SSL 2.0 (RFC 5246, appendix E.2): very old clients send it also to ask for newer versions.

use super::client_hello::{ClientHello, HelloFormat};
use crate::protocol::iana::Version;
use crypto_trace_format::wire::cursor::{Cursor, Shape};

/// Reads one from the start of a stream. None where it is no such thing.
pub(super) fn parse(bytes: &[u8]) -> Option<ClientHello> {
    const CLIENT_HELLO: u8 = 1;
    let [length_high, length_low, CLIENT_HELLO, major, minor, ..] = *bytes else { return None };
    let version = Version(u16::from_be_bytes([major, minor]));
    // The top bit of the length says that there is no padding.
    let asks_for_ssl = version == Version::SSL_2_0 || (major == 3 && minor <= 4);
    if length_high & 0x80 == 0 || !asks_for_ssl {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([length_high & 0x7f, length_low]));
    let shape = Shape::default();
    let record = bytes.get(2..)?;
    let mut body = if record.len() < length { Cursor::cut(record, &shape) } else { Cursor::whole(record, &shape) };
    let mut body = body.part(length);
    let _type_and_version: Option<[u8; 3]> = body.array();

    let mut hello = ClientHello { format: HelloFormat::Sslv2, legacy_version: version, ..ClientHello::default() };
    // None: cut short, which `shape` shows.
    let _: Option<()> = read_body(&mut hello, &mut body);
    hello.truncated = shape.truncated.get();
    hello.malformed = shape.malformed.get();
    // With so few bytes to go by, one that does not add up is no hello.
    (!hello.malformed).then_some(hello)
}

/// Length of the record that `bytes` begin with, its length field included.
pub(super) fn record_len(bytes: &[u8]) -> usize {
    let [high, low, ..] = *bytes else { return bytes.len() };
    2 + usize::from(u16::from_be_bytes([high & 0x7f, low]))
}

fn read_body(hello: &mut ClientHello, body: &mut Cursor<'_>) -> Option<()> {
    let (suites_len, session_len, challenge_len) = (body.u16()?, body.u16()?, body.u16()?);
    let mut suites = body.part(suites_len.into());
    let mut codes = Vec::new();
    while let Some([kind, high, low]) = if suites.is_empty() { None } else { suites.array::<3>() } {
        // Other kinds are suites of SSL 2.0 itself, which have no code point of two bytes.
        if kind == 0 {
            codes.push(u16::from_be_bytes([high, low]));
        }
    }
    hello.set_cipher_suites(codes.into_iter());
    hello.session_id = body.part(session_len.into()).rest().into();
    let _challenge = body.part(challenge_len.into());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::iana::CipherSuite;

    /// TLS 1.0 asked for in the old format: two suites of SSL 2.0, two of TLS.
    const HELLO: &[u8] = &[
        0x80, 0x25, 1, 3, 1, 0, 12, 0, 0, 0, 16, 1, 0, 0x80, 7, 0, 0xc0, 0, 0, 0x05, 0, 0, 0x0a, 1, 2, 3, 4, 5, 6, 7,
        8, 9, 10, 11, 12, 13, 14, 15, 16,
    ];

    #[test]
    fn old_format() {
        let hello = parse(HELLO).expect("a hello");
        assert_eq!(hello.format, HelloFormat::Sslv2);
        assert_eq!(hello.legacy_version, Version::TLS_1_0);
        assert_eq!(hello.cipher_suites, [CipherSuite(0x0005), CipherSuite(0x000a)]);
        assert!(hello.is_whole());
        let cut = HELLO.get(..20).and_then(parse).expect("a hello");
        assert!(cut.truncated);
    }

    #[test]
    fn not_that_format() {
        let check = |bytes: &[u8]| assert_eq!(parse(bytes), None, "{bytes:?}");
        check(&[]);
        check(b"GET / HTTP/1.1\r\n\r\n");
        check(&[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]);
        check(&[0x80, 0x0b, 1, 3, 1, 0, 12, 0, 0, 0, 16, 0, 0]);
    }
}
