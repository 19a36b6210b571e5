//! The frames of Initial packets: pieces of TLS messages, in any order and more than once, and why a connection was closed.

use crate::protocol::tls::{Alert, Message, Stream};
use crypto_trace_format::wire::quic::take_varint;

/// Bytes of messages that are kept of one side: more than hellos take.
const MAX_CRYPTO_BYTES: usize = 64 << 10;

/// Pieces of messages that are kept of one side.
const MAX_PIECES: usize = 1024;

/// What one side said in its Initial packets.
#[derive(Debug, Default)]
pub struct Crypto {
    /// Pieces of the stream of messages, by offset; the first that was sent of each place counts.
    pieces: Vec<(usize, Vec<u8>)>,
    /// The code that it closed the connection with.
    pub closed: Option<u64>,
    /// Some packets could not be opened.
    pub unread: bool,
}

/// TLS alerts are the codes from 0x100 on (RFC 9001 section 4.8).
pub fn alert(code: u64) -> Option<Alert> {
    const FATAL: u8 = 2;
    let number = u8::try_from(code.checked_sub(0x100)?).ok()?;
    Alert::parse(&[FATAL, number])
}

impl Crypto {
    /// Takes in the frames of one packet, as far as they can be there (RFC 9000 section 12.4) and are whole.
    pub fn add(&mut self, frames: &[u8]) {
        let mut rest = frames;
        while self.frame(&mut rest).is_some() {}
    }

    fn frame(&mut self, rest: &mut &[u8]) -> Option<()> {
        const PADDING: u64 = 0;
        const PING: u64 = 1;
        const ACK: u64 = 2;
        const ACK_ECN: u64 = 3;
        const CRYPTO: u64 = 6;
        const CONNECTION_CLOSE: u64 = 0x1c;
        match take_varint(rest)? {
            PADDING => {
                let padding = rest.iter().take_while(|byte| **byte == 0).count();
                *rest = rest.get(padding..)?;
            }
            PING => {}
            kind @ (ACK | ACK_ECN) => {
                let _largest = take_varint(rest)?;
                let _delay = take_varint(rest)?;
                let ranges = take_varint(rest)?;
                let counts = if kind == ACK_ECN { 3 } else { 0 };
                for _ in 0..ranges.checked_mul(2)?.checked_add(1 + counts)? {
                    take_varint(rest)?;
                }
            }
            CRYPTO => {
                let offset = usize::try_from(take_varint(rest)?).ok()?;
                let len = usize::try_from(take_varint(rest)?).ok()?;
                let (bytes, left) = rest.split_at_checked(len)?;
                *rest = left;
                self.piece(offset, bytes);
            }
            CONNECTION_CLOSE => {
                self.closed = self.closed.or(Some(take_varint(rest)?));
                return None;
            }
            _ => return None,
        }
        Some(())
    }

    fn piece(&mut self, offset: usize, bytes: &[u8]) {
        let fits = offset.checked_add(bytes.len()).is_some_and(|end| end <= MAX_CRYPTO_BYTES);
        if !fits || bytes.is_empty() || self.pieces.len() == MAX_PIECES {
            return;
        }
        let at = self.pieces.partition_point(|(other, _)| *other <= offset);
        self.pieces.insert(at, (offset, bytes.to_vec()));
    }

    /// The bytes of its messages, each once, up to the first that is missing.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = Vec::new();
        for (offset, piece) in &self.pieces {
            let Some(known) = bytes.len().checked_sub(*offset) else { break };
            bytes.extend_from_slice(piece.get(known..).unwrap_or_default());
        }
        bytes
    }

    /// The messages, and the alert that it closed the connection with.
    pub fn stream(&self) -> Stream {
        let mut stream = Stream::of_messages(&self.bytes());
        stream.messages.extend(self.closed.and_then(alert).map(Message::Alert));
        stream
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crypto(offset: u8, bytes: &[u8]) -> Vec<u8> {
        let len = u8::try_from(bytes.len()).expect("short");
        [&[6, offset, len], bytes].concat()
    }

    #[test]
    fn pieces_come_in_any_order_overlap_and_have_others_between_them() {
        let ack = [2, 9, 0, 1, 3, 1, 2];
        let ecn = [3, 9, 0, 0, 3, 1, 1, 1];
        let packet = [
            &ack[..],
            &crypto(6, b"gh"),
            &[1, 0, 0, 0],
            &crypto(0, b"abcd"),
            &ecn,
            &crypto(2, b"cdef"),
            &crypto(12, b"x"),
        ]
        .concat();
        let mut all = Crypto::default();
        all.add(&packet);
        assert_eq!((all.bytes(), all.closed), (b"abcdefgh".to_vec(), None));
        // Whatever the order of packets, and cut anywhere: never more than was there.
        for len in 0..packet.len() {
            let mut cut = Crypto::default();
            cut.add(packet.get(..len).expect("shorter"));
            assert!(b"abcdefgh".starts_with(&cut.bytes()), "{len}");
        }
    }

    #[test]
    fn a_close_tells_an_alert_or_a_code() {
        for (frames, closed, description) in [
            (&[0x1c, 0x41, 0x28, 0, 0][..], Some(0x128), Some("handshake_failure")),
            (&[0x1c, 0x0a, 0, 0], Some(10), None),
            (&[0x1d, 0x0a, 0, 0], None, None),
        ] {
            let mut crypto = Crypto::default();
            crypto.add(frames);
            assert_eq!(crypto.closed, closed);
            let alert = crypto.stream().alert();
            assert_eq!(alert.map(|alert| alert.description.to_string()).as_deref(), description);
        }
    }

    #[test]
    fn absurd_places_are_left_out() {
        let mut crypto = Crypto::default();
        crypto.add(&[6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 7]);
        crypto.add(&[6, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 7]);
        crypto.add(&[2, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 7]);
        assert_eq!((crypto.pieces.len(), crypto.stream().messages.len()), (0, 0));
    }
}
