//! The records of a datagram (RFC 6347 section 4.1, RFC 9147 section 4), and the fragments of messages in them (RFC 6347 section
//! 4.2.2).

use crypto_trace_format::wire::tls::{CHANGE_CIPHER_SPEC, HEARTBEAT};

/// Length of the head of a record, bytes: type, version, epoch, sequence number of 48 bits, length.
pub(super) const RECORD_HEAD_LEN: usize = 13;

/// Length of the head of a fragment, bytes: type, length, number of the message, place and length of the fragment.
pub(super) const FRAGMENT_HEAD_LEN: usize = 12;

/// A record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// Content type.
    pub content: u8,
    /// 0 before anything is encrypted.
    pub epoch: u16,
    /// As much of it as is there.
    pub payload: &'a [u8],
}

/// A piece of a handshake message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fragment<'a> {
    /// Type of the message.
    pub kind: u8,
    /// Length of the whole message's body, bytes.
    pub len: usize,
    /// Number of the message, by which a message that is sent again is known.
    pub number: u16,
    /// Where in the body it begins.
    pub offset: usize,
    /// As much of it as is there.
    pub bytes: &'a [u8],
}

/// The records of a datagram, up to the first bytes that are none with a whole head.
pub(super) fn records(datagram: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let (head, after) = rest.split_first_chunk::<RECORD_HEAD_LEN>()?;
        let [content, 0xfe, 0xfd..=0xff, epoch_high, epoch_low, .., len_high, len_low] = *head else { return None };
        if !(CHANGE_CIPHER_SPEC..=HEARTBEAT).contains(&content) {
            return None;
        }
        let len = usize::from(u16::from_be_bytes([len_high, len_low]));
        let (payload, next) = after.split_at_checked(len).unwrap_or((after, &[]));
        rest = next;
        Some(Record { content, epoch: u16::from_be_bytes([epoch_high, epoch_low]), payload })
    })
}

fn u24(high: u8, mid: u8, low: u8) -> usize {
    usize::from(high) << 16 | usize::from(mid) << 8 | usize::from(low)
}

/// The fragments in a record, up to the first that cannot be one.
pub(super) fn fragments(payload: &[u8]) -> impl Iterator<Item = Fragment<'_>> {
    let mut rest = payload;
    std::iter::from_fn(move || {
        let (head, after) = rest.split_first_chunk::<FRAGMENT_HEAD_LEN>()?;
        let [kind, len0, len1, len2, number_high, number_low, at0, at1, at2, count0, count1, count2] = *head;
        let (len, offset, count) = (u24(len0, len1, len2), u24(at0, at1, at2), u24(count0, count1, count2));
        if offset + count > len {
            return None;
        }
        let (bytes, next) = after.split_at_checked(count).unwrap_or((after, &[]));
        rest = next;
        Some(Fragment { kind, len, number: u16::from_be_bytes([number_high, number_low]), offset, bytes })
    })
}
