//! Transport parameters: what a client says of itself in its hello (RFC 9000 section 18). Which there are, their order and their
//! values differ from stack to stack.

use crate::protocol::tls::ClientHello;
use crypto_trace_format::wire::quic::take_varint;

/// More than any stack sends.
const MAX_PARAMETERS: usize = 64;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its number.
    pub id: u64,
    /// Bytes of its value.
    pub len: u64,
    /// Its value, where that is a number.
    pub value: Option<u64>,
}

/// Names, and whether the value is a number: IANA's registry of QUIC transport parameters, 2026-11.
const NAMES: &[(u64, &str, bool)] = &[
    (0x00, "original_destination_connection_id", false),
    (0x01, "max_idle_timeout", true),
    (0x02, "stateless_reset_token", false),
    (0x03, "max_udp_payload_size", true),
    (0x04, "initial_max_data", true),
    (0x05, "initial_max_stream_data_bidi_local", true),
    (0x06, "initial_max_stream_data_bidi_remote", true),
    (0x07, "initial_max_stream_data_uni", true),
    (0x08, "initial_max_streams_bidi", true),
    (0x09, "initial_max_streams_uni", true),
    (0x0a, "ack_delay_exponent", true),
    (0x0b, "max_ack_delay", true),
    (0x0c, "disable_active_migration", false),
    (0x0d, "preferred_address", false),
    (0x0e, "active_connection_id_limit", true),
    (0x0f, "initial_source_connection_id", false),
    (0x10, "retry_source_connection_id", false),
    (0x11, "version_information", false),
    (0x20, "max_datagram_frame_size", true),
    (0x0173, "discard", false),
    (0x2ab2, "grease_quic_bit", false),
];

impl Parameter {
    /// Its name; None for one that is not registered.
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|(id, ..)| *id == self.id).map(|(_, name, _)| *name)
    }

    /// Whether it is one of those that say nothing, so that unknown ones are put up with (RFC 9000 section 18.1).
    fn is_grease(self) -> bool {
        self.id >= 27 && (self.id - 27).is_multiple_of(31)
    }
}

/// Those of a client's hello, in its order, without the ones that say nothing.
pub fn read(hello: &ClientHello) -> Vec<Parameter> {
    let mut rest = hello.quic_parameters.as_deref().unwrap_or_default();
    let mut next = || {
        let (id, len) = (take_varint(&mut rest)?, take_varint(&mut rest)?);
        let (mut value, left) = rest.split_at_checked(usize::try_from(len).ok()?)?;
        rest = left;
        let is_number = NAMES.iter().any(|(number, _, is_number)| *number == id && *is_number);
        let number = take_varint(&mut value).filter(|_| is_number && value.is_empty());
        Some(Parameter { id, len, value: number })
    };
    std::iter::from_fn(&mut next).filter(|parameter| !parameter.is_grease()).take(MAX_PARAMETERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_in_their_order_as_far_as_they_are_whole() {
        let bytes = [0x04, 4, 0x80, 0x10, 0, 0, 27, 1, 9, 0x0f, 2, 1, 2, 0x7f, 0xff, 0, 0x0c, 0, 0x01, 8, 1];
        let mut hello = ClientHello::default();
        hello.quic_parameters = Some(bytes.into());
        let read = read(&hello);
        let shown: Vec<_> = read.iter().map(|one| (one.name(), one.len, one.value)).collect();
        assert_eq!(
            shown,
            [
                (Some("initial_max_data"), 4, Some(1 << 20)),
                (Some("initial_source_connection_id"), 2, None),
                (None, 0, None),
                (Some("disable_active_migration"), 0, None),
            ]
        );
    }
}
