//! DTLS records as far as what is in them names somebody.
//!
//! Records: RFC 6347 section 4.1; fragments of messages: section 4.2.2.

use super::tls::{ALERT, CHANGE_CIPHER_SPEC, CLIENT_HELLO, HANDSHAKE, SERVER_HELLO};

/// Bytes of a record's header.
const RECORD_HEADER_LEN: usize = 13;

/// Bytes of a fragment's header.
const MESSAGE_HEADER_LEN: usize = 12;

/// Bytes of a ClientHello before its session id: version and random.
const BEFORE_SESSION: usize = 34;

/// HelloVerifyRequest, ServerKeyExchange, ServerHelloDone: they name nobody, nor does a ServerHello.
const NAMES_NOBODY: [u8; 3] = [3, 12, 14];

/// How many bytes of a datagram may be kept by whoever wants no names: those before the first message that may have one. Of a
/// ClientHello they end with its cookie, which tells one from another; a server's choice comes before its certificates.
pub fn before_names(datagram: &[u8]) -> usize {
    let mut at = 0;
    while let Some(record) = datagram.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(header) = record.get(..RECORD_HEADER_LEN) else { break };
        let [kind, _, _, epoch_high, epoch_low, _, _, _, _, _, _, high, low] = header else { break };
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        if (*epoch_high, *epoch_low) != (0, 0) {
            break;
        }
        let Some(body) = record.get(RECORD_HEADER_LEN..RECORD_HEADER_LEN + len) else { break };
        let kept = match *kind {
            HANDSHAKE => of_messages(body),
            ALERT | CHANGE_CIPHER_SPEC => len,
            _ => break,
        };
        at += if kept == 0 { 0 } else { RECORD_HEADER_LEN + kept };
        if kept < len || len == 0 {
            break;
        }
    }
    at
}

fn of_messages(body: &[u8]) -> usize {
    let mut at = 0;
    while let Some([kind, _, _, _, _, _, from_high, from_mid, from_low, high, mid, low, rest @ ..]) = body.get(at..) {
        let number = |bytes: [u8; 3]| bytes.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        let (from, len) = (number([*from_high, *from_mid, *from_low]), number([*high, *mid, *low]));
        if rest.len() < len {
            return at;
        }
        if *kind == CLIENT_HELLO {
            let first = (from == 0).then(|| before_suites(rest.get(..len)?)).flatten();
            return first.map_or(at, |first| at + MESSAGE_HEADER_LEN + first);
        }
        if *kind != SERVER_HELLO && !NAMES_NOBODY.contains(kind) {
            return at;
        }
        at += MESSAGE_HEADER_LEN + len;
    }
    at
}

/// Bytes of a ClientHello up to its cookie, which is the server's, and random or a digest by a key of its own.
fn before_suites(body: &[u8]) -> Option<usize> {
    let cookie = BEFORE_SESSION + 1 + usize::from(*body.get(BEFORE_SESSION)?);
    let end = cookie + 1 + usize::from(*body.get(cookie)?);
    (end <= body.len()).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, epoch: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
        [&[kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 0], &len[..], body].concat()
    }

    fn fragment(kind: u8, from: u8, body: &[u8]) -> Vec<u8> {
        let len = u8::try_from(body.len()).unwrap_or(u8::MAX);
        [&[kind, 0, 0, 99, 0, 0, 0, 0, from, 0, 0, len], body].concat()
    }

    #[test]
    fn what_may_name_somebody_is_not_kept() {
        let choice = record(HANDSHAKE, 0, &fragment(SERVER_HELLO, 0, &[1; 40]));
        let certificate = record(HANDSHAKE, 0, &fragment(11, 0, &[2; 40]));
        let exchange = record(HANDSHAKE, 0, &fragment(12, 0, &[3; 40]));
        let hello = record(HANDSHAKE, 0, &fragment(CLIENT_HELLO, 0, &[4; 90]));
        let alert = record(ALERT, 0, &[2, 40]);
        for (datagram, expected) in [
            (choice.clone(), choice.len()),
            ([choice.clone(), certificate.clone()].concat(), choice.len()),
            (certificate.clone(), 0),
            ([exchange.clone(), choice.clone()].concat(), exchange.len() + choice.len()),
            ([alert.clone(), certificate].concat(), alert.len()),
            (hello, RECORD_HEADER_LEN + MESSAGE_HEADER_LEN + BEFORE_SESSION + 5 + 5),
            (record(HANDSHAKE, 0, &fragment(CLIENT_HELLO, 7, &[4; 90])), 0),
            // Both messages in one record.
            (record(HANDSHAKE, 0, &[fragment(SERVER_HELLO, 0, &[1; 40]), fragment(11, 0, &[2; 40])].concat()), 65),
            (record(HANDSHAKE, 1, &fragment(SERVER_HELLO, 0, &[1; 40])), 0),
            (record(23, 0, &[5; 9]), 0),
            (vec![22, 0xfe], 0),
        ] {
            assert_eq!(before_names(&datagram), expected, "{datagram:?}");
        }
        let both = [choice, exchange].concat();
        assert!((0..both.len()).all(|len| before_names(&both[..len]) <= len));
    }
}
