//! Datagrams of one side out of what a fuzzer makes: each with its length in two bytes before it.

use crypto_trace_analyze::protocol::{Chunk, Said};

/// At most as many as there are bytes.
pub fn said(mut bytes: &[u8]) -> Said<'_> {
    let mut chunks = Vec::new();
    while let Some(([high, low], rest)) = bytes.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (datagram, rest) = rest.split_at(len);
        let offset = u32::try_from(chunks.len()).unwrap_or(u32::MAX) << 16;
        chunks.push(Chunk { offset, bytes: datagram });
        bytes = rest;
    }
    Said { chunks, ..Said::default() }
}
