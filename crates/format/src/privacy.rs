//! Names and addresses taken out of hellos before they are written, and arguments out of processes: `--privacy` and `--argv`
//! of the recorder, and of whoever writes recorded records again.
//!
//! Works on the records as they come, in order: server names in ClientHellos and addresses are overwritten by a pseudonym or
//! by zeros; a server's certificates, and its host key of SSH, are left out. Of QUIC everything is but connection ids and what a
//! server says in Initial packets, which names nobody. Of DTLS a client's random and what a server chooses stays, of IKE the algorithms.
//! What cannot be read for sure is left out as well.

use std::collections::HashMap;
use std::ops::Range;

use crate::record::limits::ARGV_EXE_MAX;
use crate::record::{ApiCall, ApiMeaning, ArgvMode, ProcessExec, ProcessInfo, Protocol, Record, TlsHello, hello_state};
use crate::wire::cursor::Shape;
use crate::wire::quic::{InitialKeys, PacketType, QuicVersion, Sender, packets};
use crate::wire::ssh::Follower;
use crate::wire::tls::{
    ALERT, CHANGE_CIPHER_SPEC, CLIENT_HELLO, ClientHelloParts, HANDSHAKE, HANDSHAKE_HEADER_LEN, RECORD_HEADER_LEN,
    RecordHeader, SERVER_HELLO, SERVER_NAME, message_len, read_extensions,
};
use crate::wire::{dtls, ike};
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

/// Takes names and addresses out.
#[derive(Debug)]
pub struct Anonymizer {
    privacy: Privacy,
    /// Where streams are that go on, by socket and direction.
    known: HashMap<(u64, u16), Place>,
    /// The same of SSH.
    known_ssh: HashMap<(u64, u16), Follower>,
    /// By socket and other end, what the keys of QUIC connections come from: the ids that their clients sent first to.
    known_quic: HashMap<Flow, Vec<(QuicVersion, Vec<u8>)>>,
}

/// A socket of datagrams, and the other end: address and port.
type Flow = (u64, [u8; 16], u16);

/// Connections of one flow whose keys are kept, at most.
const MAX_KEYS: usize = 16;

/// Where in its TLS records and messages a stream is, of which nothing was left out for want of certainty.
#[derive(Debug, Clone, Default)]
struct Place {
    /// Offset in the stream of the next byte.
    offset: u32,
    /// The header of a TLS record, as far as it is there.
    head: Vec<u8>,
    /// Bytes of the record still to come.
    record_left: usize,
    /// Bytes of a hello still to come whose names were found.
    message_left: usize,
}

impl Anonymizer {
    /// One for a whole capture.
    pub fn new(privacy: Privacy) -> Self {
        Self { privacy, known: HashMap::new(), known_ssh: HashMap::new(), known_quic: HashMap::new() }
    }

    /// The record without names and addresses; `None` when it has none.
    pub fn apply(&mut self, record: &Record<'_>) -> Option<Vec<u8>> {
        match record.kind() {
            TlsHello::KIND => {}
            ApiCall::KIND => return self.apply_to_call(record),
            _ => return None,
        }
        let Ok(mut hello) = TlsHello::decode(record) else { return Some(Vec::new()) };
        let flow = (hello.fixed.cookie, hello.fixed.remote_addr, hello.fixed.remote_port);
        for address in [&mut hello.fixed.local_addr, &mut hello.fixed.remote_addr] {
            let len = if hello.fixed.family == 2 { 4 } else { 16 };
            self.hide_address(address.get_mut(..len).unwrap_or_default());
        }
        let mut data = hello.data.to_vec();
        let side = (hello.fixed.cookie, hello.fixed.direction);
        let keep = match Protocol(hello.fixed.protocol) {
            Protocol::TLS => self.hide_names(&mut data, side, hello.fixed.offset),
            Protocol::SSH => self.before_host_key(&data, side, hello.fixed.offset),
            Protocol::QUIC => self.before_names(&data, flow),
            Protocol::DTLS => dtls::before_names(&data),
            Protocol::IKE => hide_of_ike(&mut data),
            // Its indexes are random, and nothing else of it is recorded.
            Protocol::WIREGUARD => data.len(),
            _ => 0,
        };
        if keep < data.len() {
            data.truncate(keep);
            hello.fixed.state |= hello_state::CUT;
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

    /// Overwrites names; returns how many bytes may be kept. What follows bytes that may not be is not kept either.
    fn hide_names(&mut self, data: &mut [u8], side: (u64, u16), offset: u32) -> usize {
        let mut place = match self.known.remove(&side) {
            Some(place) if place.offset == offset => place,
            // What capture left out before it is whole records: it starts with one.
            Some(_) | None if starts_record(data) => Place { offset, ..Place::default() },
            _ => return 0,
        };
        let keep = self.walk(data, &mut place);
        if keep == data.len() {
            place.offset = offset.wrapping_add(u32::try_from(data.len()).unwrap_or(u32::MAX));
            if self.known.len() >= MAX_KNOWN {
                self.known.clear();
            }
            self.known.insert(side, place);
        }
        keep
    }

    /// How many bytes of a side that speaks SSH may be kept: those before its host key.
    fn before_host_key(&mut self, data: &[u8], side: (u64, u16), offset: u32) -> usize {
        if data.starts_with(b"SSH-") && !self.known_ssh.contains_key(&side) {
            if self.known_ssh.len() >= MAX_KNOWN {
                self.known_ssh.clear();
            }
            self.known_ssh.insert(side, Follower::new(offset));
        }
        self.known_ssh.get_mut(&side).map_or(0, |follower| follower.before_host_key(data, offset))
    }

    /// How many bytes of a QUIC datagram may be kept: all of one that a server filled with Initial packets, of any other its
    /// connection ids alone.
    fn before_names(&mut self, datagram: &[u8], flow: Flow) -> usize {
        let Some(first) = packets(datagram).next() else { return 0 };
        if self.known_quic.len() >= MAX_KNOWN && !self.known_quic.contains_key(&flow) {
            self.known_quic.clear();
        }
        let known = self.known_quic.entry(flow).or_default();
        let is_from = |version, cid: &[u8], sender| {
            InitialKeys::new(version, cid, sender).is_some_and(|keys| first.open(&keys, None).is_some())
        };
        if first.kind == PacketType::Initial && is_from(first.version, first.dcid, Sender::Client) {
            let source = (first.version, first.dcid.to_vec());
            if !known.contains(&source) && known.len() < MAX_KEYS {
                known.push(source);
            }
            return first.ids_end;
        }
        if first.kind == PacketType::Initial && known.iter().any(|(_, cid)| is_from(first.version, cid, Sender::Server))
        {
            // What follows it in the datagram is protected by keys that nobody else has.
            return datagram.len();
        }
        first.ids_end
    }

    /// Follows records and messages; returns how many bytes may be kept.
    fn walk(&self, data: &mut [u8], place: &mut Place) -> usize {
        let mut at = 0;
        // Where the record began, as long as only its header was read.
        let mut record_at = None;
        while at < data.len() {
            if place.record_left == 0 {
                let missing = RECORD_HEADER_LEN - place.head.len();
                let head = data.get(at..data.len().min(at + missing)).unwrap_or_default();
                place.head.extend_from_slice(head);
                let Some(whole) = place.head.first_chunk() else { return data.len() };
                let Some(header) = RecordHeader::parse(*whole) else { return at };
                if !matches!((header.content, header.len), (HANDSHAKE, _) | (ALERT, 2) | (CHANGE_CIPHER_SPEC, 1)) {
                    return at;
                }
                record_at = at.checked_sub(RECORD_HEADER_LEN - missing);
                at += head.len();
                place.record_left = header.len;
            } else if place.head.first() == Some(&HANDSHAKE) && place.message_left == 0 {
                let Some(len) = self.hide_in_message(data, at, place.record_left) else {
                    return record_at.unwrap_or(at);
                };
                place.message_left = len;
                record_at = None;
            } else {
                let within = if place.head.first() == Some(&HANDSHAKE) { place.message_left } else { usize::MAX };
                let step = within.min(place.record_left).min(data.len() - at);
                at += step;
                place.record_left -= step;
                place.message_left -= step.min(place.message_left);
            }
            if place.record_left == 0 && place.head.len() == RECORD_HEADER_LEN {
                place.head.clear();
            }
        }
        at
    }

    /// Overwrites the names in the message at `at`, in a record of which `record_left` bytes are to come. Its length, head
    /// included; None: it is no hello, or where its names are is not certain.
    fn hide_in_message(&self, data: &mut [u8], at: usize, record_left: usize) -> Option<usize> {
        let places = message_places(data, at, record_left);
        let message: Vec<u8> = places.iter().filter_map(|place| data.get(*place).copied()).collect();
        let len = HANDSHAKE_HEADER_LEN + message_len(&message)?;
        match message.first() {
            Some(&CLIENT_HELLO) => {}
            Some(&SERVER_HELLO) => return Some(len),
            _ => return None,
        }
        for range in server_names(&message)? {
            let mut name = message.get(range.clone()).unwrap_or_default().to_vec();
            self.hide_name(&mut name);
            for (place, byte) in places.get(range).unwrap_or_default().iter().zip(name) {
                if let Some(to) = data.get_mut(*place) {
                    *to = byte;
                }
            }
        }
        Some(len)
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

/// Overwrites what of a datagram with IKE may say who or where an end is; returns how many bytes of it may be kept.
fn hide_of_ike(data: &mut [u8]) -> usize {
    let kept = ike::kept(data);
    for range in kept.hidden {
        data.get_mut(range).unwrap_or_default().fill(0);
    }
    kept.len
}

/// Whether bytes may be the start of a TLS record with a hello, or an alert, as far as they go.
fn starts_record(data: &[u8]) -> bool {
    match data {
        [HANDSHAKE, 3, _, _, _, message, ..] => matches!(*message, CLIENT_HELLO | SERVER_HELLO),
        [HANDSHAKE, 3, ..] => true,
        [HANDSHAKE] => true,
        [ALERT | CHANGE_CIPHER_SPEC, 3, ..] => true,
        _ => false,
    }
}

/// Where the bytes of the message are that begins at `at`, as far as they are there: it may go on in further records.
fn message_places(data: &[u8], mut at: usize, mut record_left: usize) -> Vec<usize> {
    let mut places = Vec::new();
    let mut len = HANDSHAKE_HEADER_LEN;
    while places.len() < len && at < data.len() {
        if record_left == 0 {
            let header = data.get(at..).and_then(<[u8]>::first_chunk).and_then(|header| RecordHeader::parse(*header));
            let Some(RecordHeader { content: HANDSHAKE, len }) = header else { break };
            record_left = len;
            at += RECORD_HEADER_LEN;
            continue;
        }
        places.push(at);
        at += 1;
        record_left -= 1;
        if places.len() == HANDSHAKE_HEADER_LEN {
            let head: Vec<u8> = places.iter().filter_map(|place| data.get(*place).copied()).collect();
            len += message_len(&head).unwrap_or(0);
        }
    }
    places
}

/// Where the server names of a ClientHello are, of which the end may be missing; `None` when the bytes end before that is certain.
fn server_names(message: &[u8]) -> Option<Vec<Range<usize>>> {
    let shape = Shape::default();
    let mut extensions = ClientHelloParts::parse(message, &shape).ok()?.extensions?;
    let (mut names, mut is_cut) = (Vec::new(), false);
    read_extensions(&mut extensions, |kind, data| {
        if kind == SERVER_NAME {
            // A list of one: type, length, name. All of the extension is taken, whatever is in it.
            names.push(data.at() + data.len().min(5)..data.at() + data.len());
            is_cut |= !data.is_complete();
        }
    });
    // The rest, of which there may be a second one in malformed hellos alone, is kept once the name was found.
    (!is_cut && (!shape.truncated.get() || !names.is_empty())).then_some(names)
}

/// How many bytes of a process's arguments may be kept.
pub fn kept_argv(argv: &[u8], mode: ArgvMode) -> usize {
    match mode {
        ArgvMode::EXE => argv.iter().position(|byte| *byte == 0).map_or(argv.len(), |end| end + 1).min(ARGV_EXE_MAX),
        ArgvMode::NONE => 0,
        _ => argv.len(),
    }
}

/// The record with no more of a process's arguments than may be kept; `None` when it has no more. One that cannot be read is
/// left empty.
pub fn without_argv(record: &Record<'_>, mode: ArgvMode) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match record.kind() {
        ProcessExec::KIND => {
            let Ok(mut exec) = ProcessExec::decode(record) else { return Some(out) };
            let kept = exec.argv.get(..kept_argv(exec.argv, mode)).filter(|kept| kept.len() < exec.argv.len())?;
            exec.argv = kept;
            exec.encode(record.header, &mut out);
        }
        ProcessInfo::KIND => {
            let Ok(mut info) = ProcessInfo::decode(record) else { return Some(out) };
            let kept = info.argv.get(..kept_argv(info.argv, mode)).filter(|kept| kept.len() < info.argv.len())?;
            info.argv = kept;
            info.encode(record.header, &mut out);
        }
        _ => return None,
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Header, TlsHelloFixed};

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
        apply_at(anonymizer, data, direction, 0)
    }

    fn apply_at(anonymizer: &mut Anonymizer, data: &[u8], direction: u16, offset: u32) -> (TlsHelloFixed, Vec<u8>) {
        let fixed = TlsHelloFixed {
            cookie: 1,
            offset,
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
                    let offset = u32::try_from(cut).expect("short");
                    shown.extend(apply_at(&mut anonymizer, second, 1, offset).1);
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
            assert!(!contains(&shown, b"cn") && shown.len() == hello.len() && fixed.state & hello_state::CUT != 0);
            let offset = u32::try_from(data.len()).expect("short");
            assert!(apply_at(&mut anonymizer, b"rest of a certificate", 1, offset).1.is_empty());
        }
    }

    #[test]
    fn a_clients_certificate_is_left_out_in_all_its_packets() {
        let hello = client_hello(b"secret.example");
        let certificate = [&[HANDSHAKE, 3, 3, 0, 206, 11, 0, 0, 202][..], &[b'c'; 202]].concat();
        let mut anonymizer = Anonymizer::new(Privacy::Drop);
        assert_eq!(apply(&mut anonymizer, &hello, 1).1.len(), hello.len());
        let mut offset = u32::try_from(hello.len()).expect("short");
        for piece in certificate.chunks(50) {
            let shown = apply_at(&mut anonymizer, piece, 1, offset).1;
            assert!(!contains(&shown, b"c"), "{shown:?}");
            offset += 50;
        }
    }

    #[test]
    fn a_name_is_gone_from_a_hello_in_records_of_any_size() {
        let whole = client_hello(b"secret.example");
        let message = &whole[RECORD_HEADER_LEN..];
        for size in [1, 2, 3, 5, 16, 60, 100] {
            let record = |chunk: &[u8]| {
                [&[HANDSHAKE, 3, 1][..], &u16::try_from(chunk.len()).expect("short").to_be_bytes(), chunk].concat()
            };
            let records: Vec<u8> = message.chunks(size).flat_map(record).collect();
            let (fixed, shown) = apply(&mut Anonymizer::new(Privacy::Drop), &records, 1);
            let hidden: Vec<u8> =
                client_hello(b"xxxxxxxxxxxxxx")[RECORD_HEADER_LEN..].chunks(size).flat_map(record).collect();
            assert_eq!((shown, fixed.state), (hidden, 0), "records of {size} bytes");
        }
    }

    #[test]
    fn a_first_packet_of_a_few_bytes_costs_nothing_but_them() {
        let whole = client_hello(b"secret.example");
        for cut in 1..=RECORD_HEADER_LEN {
            let mut anonymizer = Anonymizer::new(Privacy::Drop);
            let (first, second) = whole.split_at(cut);
            let mut shown = apply(&mut anonymizer, first, 1).1;
            shown.extend(apply_at(&mut anonymizer, second, 1, u32::try_from(cut).expect("short")).1);
            assert_eq!(shown, client_hello(b"xxxxxxxxxxxxxx"), "cut at {cut}");
        }
    }

    #[test]
    fn arguments_are_cut_as_the_recorder_cuts_them() {
        let argv = b"/bin/db\0--password\0secret\0";
        let encoded = |argv| {
            let (mut exec, mut info) = (Vec::new(), Vec::new());
            ProcessExec { argv, exe: b"/bin/db", cwd: b"/", ..ProcessExec::default() }
                .encode(Header::default(), &mut exec);
            ProcessInfo { argv, exe: b"/bin/db", cwd: b"/", ..ProcessInfo::default() }
                .encode(Header::default(), &mut info);
            [exec, info]
        };
        for (mode, left) in [(ArgvMode::EXE, &b"/bin/db\0"[..]), (ArgvMode::NONE, b"")] {
            for (whole, cut) in encoded(argv).into_iter().zip(encoded(left)) {
                let record = Record::parse(&whole).expect("well formed");
                assert_eq!(without_argv(&record, mode), Some(cut.clone()), "{mode:?}");
                assert_eq!(without_argv(&Record::parse(&cut).expect("well formed"), mode), None);
                assert_eq!(without_argv(&record, ArgvMode::FULL), None);
            }
        }
        // A title that a process made of its arguments, and arguments that were cut themselves.
        assert_eq!(kept_argv(&[b'x'; 4096], ArgvMode::EXE), ARGV_EXE_MAX);
    }
}
