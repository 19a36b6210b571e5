//! IKEv2 messages as far as what is in them may tell where or who an end is.
//!
//! Header: RFC 7296 section 3.1; chain of payloads: section 3.2; notifications: section 3.10.

use std::ops::Range;

/// Before a message on port 4500 (RFC 3948 section 2.2).
const MARKER: [u8; 4] = [0; 4];

/// Bytes of a header.
const HEADER_LEN: usize = 28;

/// IKE_SA_INIT, the only exchange in the clear.
const SA_INIT: u8 = 34;

/// Payloads that name algorithms, or are random: security association, key exchange, nonce.
const TELLS_NOBODY: [u8; 3] = [33, 34, 40];

/// A notification.
const NOTIFY: u8 = 41;

/// INVALID_KE_PAYLOAD, whose data is the number of a method.
const INVALID_KE_PAYLOAD: u16 = 17;

/// What of a datagram may be kept.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Its first bytes: the whole of it, or what comes before the first that could not be read.
    pub len: usize,
    /// Of these, what says who or where an end is, or may: digests of addresses, vendor ids, hashes of authorities, and whatever
    /// is not known.
    pub hidden: Vec<Range<usize>>,
}

/// The message in a datagram, and whether four zeros came before it, as on port 4500.
pub fn message(datagram: &[u8]) -> (&[u8], bool) {
    match datagram.strip_prefix(&MARKER) {
        Some(message) => (message, true),
        None => (datagram, false),
    }
}

/// What of a datagram with IKEv2 may be kept by whoever wants no names and addresses.
pub fn kept(datagram: &[u8]) -> Kept {
    let start = datagram.len() - message(datagram).0.len();
    let at = |offset: usize| datagram.get(start + offset).copied();
    let (Some(mut next), Some(exchange), true) = (at(16), at(18), datagram.len() >= start + HEADER_LEN) else {
        return Kept::default();
    };
    let mut kept = Kept { len: start + HEADER_LEN, hidden: Vec::new() };
    if exchange != SA_INIT {
        return kept;
    }
    while next != 0 {
        let Some([following, _, high, low, body @ ..]) = datagram.get(kept.len..) else { break };
        let Some(len) = usize::from(u16::from_be_bytes([*high, *low])).checked_sub(4) else { break };
        let Some(body) = body.get(..len) else { break };
        let from = kept.len + 4;
        match next {
            NOTIFY => {
                kept.hidden.extend(hidden_of_notification(body).map(|range| from + range.start..from + range.end))
            }
            known if TELLS_NOBODY.contains(&known) => {}
            _ => kept.hidden.push(from..from + len),
        }
        kept.len = from + len;
        next = *following;
    }
    kept
}

/// The data of a notification, but of those whose data is a number.
fn hidden_of_notification(body: &[u8]) -> Option<Range<usize>> {
    let [_, spi_len, high, low, ..] = body else { return Some(0..body.len()) };
    let number = u16::from_be_bytes([*high, *low]);
    let data = (4 + usize::from(*spi_len)).min(body.len());
    (number != INVALID_KE_PAYLOAD && data < body.len()).then_some(data..body.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(next: u8, body: &[u8]) -> Vec<u8> {
        let len = u8::try_from(body.len() + 4).unwrap_or(u8::MAX);
        [&[next, 0, 0, len], body].concat()
    }

    /// Bytes of each kind of payload are those of its number.
    fn message(exchange: u8) -> Vec<u8> {
        let mut header = vec![7; HEADER_LEN];
        (header[16], header[18]) = (33, exchange);
        let nat = [&[0, 0, 0x40, 0x04][..], &[0xaa; 20]].concat();
        let wanted = [0, 0, 0, 17, 0, 31];
        let payloads = [
            payload(34, &[33; 9]),
            payload(40, &[34; 9]),
            payload(41, &[40; 9]),
            payload(41, &nat),
            payload(43, &wanted),
        ];
        [header, payloads.concat(), payload(0, &[43; 9])].concat()
    }

    #[test]
    fn digests_of_addresses_and_vendors_are_hidden_and_algorithms_are_not() {
        let message = message(SA_INIT);
        let found = kept(&message);
        assert_eq!(found.len, message.len());
        let hidden: Vec<&[u8]> = found.hidden.iter().map(|range| &message[range.clone()]).collect();
        assert_eq!(hidden, [&[0xaa; 20][..], &[43; 9]]);
        let marked = [&MARKER[..], &message].concat();
        let marked_kept = kept(&marked);
        assert_eq!((marked_kept.len, &marked[marked_kept.hidden[0].clone()]), (marked.len(), &[0xaa; 20][..]));
    }

    #[test]
    fn of_other_exchanges_the_header_is_kept_alone() {
        assert_eq!(kept(&message(43)), Kept { len: HEADER_LEN, hidden: vec![] });
    }

    #[test]
    fn what_is_cut_is_kept_up_to_the_payload_that_is() {
        let message = message(SA_INIT);
        for len in 0..message.len() {
            let found = kept(&message[..len]);
            assert!(found.len <= len && found.hidden.iter().all(|range| range.end <= found.len), "{len}: {found:?}");
        }
    }
}
