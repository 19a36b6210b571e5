//! What both sides of a DTLS connection say, each datagram with its length in two bytes before it.

#![no_main]

use crypto_trace_analyze::protocol::{Chunk, Ends, Protocol, Said, dtls};

fn said(mut bytes: &[u8]) -> Said<'_> {
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

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (one, other) = bytes.split_at(bytes.len() / 2);
    for (sent, received) in [(one, other), (bytes, bytes)] {
        let ends = Ends { sent: said(sent), received: said(received), opened_by: None };
        let view = dtls::read(&ends);
        let _ = (view.notes(false, false), view.may_go_on());
        let _ = view.hello().map(|hello| (hello.ja3(), hello.ja4_over(view.transport.ja4_letter())));
        let _ = ends.sent.chunks.iter().find_map(|chunk| dtls::client_random(chunk.bytes));
    }
});
