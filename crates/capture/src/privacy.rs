//! Names and addresses taken out of TLS hellos before they are written: `--privacy`.
//!
//! Works on the records as they come from the ring, in place: server names in ClientHellos and addresses are overwritten
//! by a pseudonym or by zeros; a server's certificates are left out. What cannot be read for sure is left out as well.

use std::collections::HashSet;

use crypto_trace_format::record::{ApiCall, ApiMeaning, Record, TlsHello};
use sha2::{Digest as _, Sha256};

/// What becomes of names and addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privacy {
    /// Each becomes the same pseudonym throughout the capture, by a key that is never written.
    Hash([u8; 32]),
    /// They are overwritten by zeros.
    Drop,
}

/// Connections whose later packets may be kept, at most.
const MAX_KNOWN: usize = 4096;

/// Length of a TLS record's head, and of a handshake message's.
const RECORD_HEAD: usize = 5;
const MESSAGE_HEAD: usize = 4;

const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;

/// `state` bit: more was there and is left out.
const CUT: u16 = 2;

/// Takes names and addresses out.
#[derive(Debug)]
pub struct Anonymizer {
    privacy: Privacy,
    /// Socket and direction of hellos whose name was found and whose rest is to come.
    known: HashSet<(u64, u16)>,
}

impl Anonymizer {
    /// One for a whole capture.
    pub fn new(privacy: Privacy) -> Self {
        Self { privacy, known: HashSet::new() }
    }

    /// The record without names and addresses; `None` when it has none.
    pub fn apply(&mut self, record: &Record<'_>) -> Option<Vec<u8>> {
        match record.kind() {
            TlsHello::KIND => {}
            ApiCall::KIND => return self.apply_to_call(record),
            _ => return None,
        }
        let Ok(mut hello) = TlsHello::decode(record) else { return Some(Vec::new()) };
        for address in [&mut hello.fixed.local_addr, &mut hello.fixed.remote_addr] {
            let len = if hello.fixed.family == 2 { 4 } else { 16 };
            self.hide_address(address.get_mut(..len).unwrap_or_default());
        }
        let mut data = hello.data.to_vec();
        let keep = self.hide_names(&mut data, (hello.fixed.cookie, hello.fixed.direction));
        if keep < data.len() {
            data.truncate(keep);
            hello.fixed.state |= CUT;
        }
        hello.data = &data;
        let mut out = Vec::new();
        hello.encode(record.header, &mut out);
        Some(out)
    }

    /// A library call, when it tells a server name.
    fn apply_to_call(&self, record: &Record<'_>) -> Option<Vec<u8>> {
        let Ok(mut call) = ApiCall::decode(record) else { return Some(Vec::new()) };
        if call.fixed.meaning != ApiMeaning::SERVER_NAME.0 {
            return None;
        }
        let mut name = call.text.to_vec();
        self.hide_name(&mut name);
        call.text = &name;
        let mut out = Vec::new();
        call.encode(record.header, &mut out);
        Some(out)
    }

    /// Loopback is nobody's.
    fn hide_address(&self, address: &mut [u8]) {
        let is_loopback = match &*address {
            [127, _, _, _] => true,
            [zeros @ .., 1] => zeros.len() == 15 && zeros.iter().all(|byte| *byte == 0),
            _ => false,
        };
        if is_loopback {
            return;
        }
        match self.privacy {
            Privacy::Drop => address.fill(0),
            Privacy::Hash(key) => {
                let hash = keyed_hash(&key, address);
                address.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
            }
        }
    }

    /// Overwrites names; returns how many bytes may be kept.
    fn hide_names(&mut self, data: &mut [u8], side: (u64, u16)) -> usize {
        let mut at = 0;
        let starts_record =
            matches!(data, [HANDSHAKE, 3, _, _, _, CLIENT_HELLO | SERVER_HELLO, ..] | [ALERT, 3, _, 0, 2, ..]);
        if !starts_record {
            // The rest of a hello whose name was in an earlier packet; else nobody knows what it is.
            return if self.known.contains(&side) { data.len() } else { 0 };
        }
        while let Some([content, 3, _, high, low]) = data.get(at..at + RECORD_HEAD) {
            let end = at + RECORD_HEAD + usize::from(u16::from_be_bytes([*high, *low]));
            let message = at + RECORD_HEAD;
            match (*content, data.get(message)) {
                (ALERT, _) => {}
                (HANDSHAKE, Some(&CLIENT_HELLO)) => {
                    let Some(name) = server_name(data, message) else { return at };
                    if let NamePlace::At(from, to) = name {
                        self.hide_name(data.get_mut(from..to).unwrap_or_default());
                    }
                    if end > data.len() {
                        self.remember(side);
                    }
                }
                (HANDSHAKE, Some(&SERVER_HELLO)) => {
                    let hello_end = message + MESSAGE_HEAD + message_len(data, message);
                    if hello_end < end {
                        // Certificates may follow in the same TLS record.
                        return hello_end.min(data.len());
                    }
                }
                _ => return at,
            }
            at = end;
            if at >= data.len() {
                return data.len();
            }
        }
        at
    }

    fn remember(&mut self, side: (u64, u16)) {
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(side);
    }

    /// Of the same length, so that every other length in the hello stays true.
    fn hide_name(&self, name: &mut [u8]) {
        match self.privacy {
            Privacy::Drop => name.fill(b'x'),
            Privacy::Hash(key) => {
                let hash = keyed_hash(&key, &name.to_ascii_lowercase());
                let digits = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]).cycle();
                for (to, digit) in name.iter_mut().zip(digits) {
                    *to = b"0123456789abcdef".get(usize::from(digit)).copied().unwrap_or(b'x');
                }
            }
        }
    }
}

fn keyed_hash(key: &[u8; 32], bytes: &[u8]) -> [u8; 32] {
    // Only pseudonyms of short inputs of one capture: no message is extended here.
    Sha256::new().chain_update(key).chain_update(bytes).finalize().into()
}

/// Where a ClientHello has its server name.
#[derive(Debug, PartialEq, Eq)]
enum NamePlace {
    Nowhere,
    At(usize, usize),
}

fn message_len(data: &[u8], message: usize) -> usize {
    match data.get(message + 1..message + MESSAGE_HEAD) {
        Some([a, b, c]) => usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c),
        _ => usize::MAX >> 1,
    }
}

/// Finds the server name of the ClientHello at `message` (RFC 8446 section 4.1.2, RFC 6066 section 3); `None` when the
/// bytes end before it is certain where it is.
fn server_name(data: &[u8], message: usize) -> Option<NamePlace> {
    let u8_at = |at: usize| data.get(at).map(|byte| usize::from(*byte));
    let u16_at = |at: usize| Some(u8_at(at)? << 8 | u8_at(at + 1)?);
    let body_end = message + MESSAGE_HEAD + message_len(data, message);
    // Version and random, then three lists: session id, cipher suites, compression methods.
    let mut at = message + MESSAGE_HEAD + 2 + 32;
    at += 1 + u8_at(at)?;
    at += 2 + u16_at(at)?;
    at += 1 + u8_at(at)?;
    if at >= body_end {
        return Some(NamePlace::Nowhere);
    }
    let end = (at + 2 + u16_at(at)?).min(body_end);
    at += 2;
    while at + 4 <= end {
        let (kind, len) = (u16_at(at)?, u16_at(at + 2)?);
        at += 4;
        if kind == 0 {
            // A list of one: type, length, name. All of the extension is taken, whatever is in it.
            let from = at + 5.min(len);
            let to = at + len;
            return (to <= data.len()).then_some(NamePlace::At(from, to));
        }
        at += len;
    }
    Some(NamePlace::Nowhere)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto_trace_format::record::{Header, TlsHelloFixed};

    /// A ClientHello in a TLS record, with an extension before and one after the name.
    fn client_hello(name: &[u8]) -> Vec<u8> {
        let u16_of = |len: usize| u16::try_from(len).expect("short").to_be_bytes();
        let mut extensions = vec![0, 23, 0, 0];
        extensions.extend([0, 0]);
        extensions.extend(u16_of(name.len() + 5));
        extensions.extend(u16_of(name.len() + 3));
        extensions.push(0);
        extensions.extend(u16_of(name.len()));
        extensions.extend(name);
        extensions.extend([0, 43, 0, 3, 2, 3, 4]);
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
        body.extend(u16_of(extensions.len()));
        body.extend(extensions);
        let mut message = vec![CLIENT_HELLO, 0];
        message.extend(u16_of(body.len()));
        message.extend(body);
        let mut record = vec![HANDSHAKE, 3, 1];
        record.extend(u16_of(message.len()));
        record.extend(message);
        record
    }

    fn apply(anonymizer: &mut Anonymizer, data: &[u8], direction: u16) -> (TlsHelloFixed, Vec<u8>) {
        let fixed = TlsHelloFixed {
            cookie: 1,
            direction,
            family: 2,
            remote_addr: *b"\xc0\x00\x02\x01            ",
            ..TlsHelloFixed::default()
        };
        let mut bytes = Vec::new();
        TlsHello { fixed, data, ..TlsHello::default() }.encode(Header::default(), &mut bytes);
        let changed = anonymizer.apply(&Record::parse(&bytes).expect("well formed")).expect("a hello");
        let record = Record::parse(&changed).expect("well formed");
        let hello = TlsHello::decode(&record).expect("well formed");
        (hello.fixed, hello.data.to_vec())
    }

    fn contains(data: &[u8], part: &[u8]) -> bool {
        data.windows(part.len()).any(|window| window == part)
    }

    #[test]
    fn a_name_is_gone_wherever_the_packets_end() {
        let whole = client_hello(b"secret.example");
        for privacy in [Privacy::Drop, Privacy::Hash([9; 32])] {
            for cut in 1..=whole.len() {
                let mut anonymizer = Anonymizer::new(privacy);
                let (first, second) = whole.split_at(cut);
                let mut shown = apply(&mut anonymizer, first, 1).1;
                if !second.is_empty() {
                    shown.extend(apply(&mut anonymizer, second, 1).1);
                }
                for part in b"secret.example".windows(3) {
                    assert!(!contains(&shown, part), "{privacy:?}, cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn the_rest_of_the_hello_is_as_it_was() {
        let whole = client_hello(b"secret.example");
        let (fixed, shown) = apply(&mut Anonymizer::new(Privacy::Drop), &whole, 1);
        assert_eq!(shown, client_hello(b"xxxxxxxxxxxxxx"));
        assert_eq!((fixed.state, fixed.remote_addr.get(..4)), (0, Some(&[0; 4][..])));
        let hash = |key: u8| apply(&mut Anonymizer::new(Privacy::Hash([key; 32])), &whole, 1);
        assert_eq!(hash(1), hash(1));
        assert_ne!(hash(1).1, hash(2).1);
        assert_ne!(hash(1).0.remote_addr, hash(2).0.remote_addr);
    }

    #[test]
    fn certificates_are_left_out() {
        let hello = [HANDSHAKE, 3, 3, 0, 6, SERVER_HELLO, 0, 0, 2, 3, 3];
        let certificate = [HANDSHAKE, 3, 3, 0, 6, 11, 0, 0, 2, b'c', b'n'];
        let two_records = [&hello[..], &certificate].concat();
        let one_record = [&[HANDSHAKE, 3, 3, 0, 12][..], &hello[5..], &certificate[5..]].concat();
        for data in [two_records, one_record] {
            let mut anonymizer = Anonymizer::new(Privacy::Drop);
            let (fixed, shown) = apply(&mut anonymizer, &data, 1);
            assert!(!contains(&shown, b"cn") && shown.len() == hello.len() && fixed.state & CUT != 0);
            assert!(apply(&mut anonymizer, b"rest of a certificate", 1).1.is_empty());
        }
    }
}
