//! What both sides of a QUIC connection say, each datagram with its length in two bytes before it. Packets of the fuzzer's own are not
//! protected; what is in them is tried as CRYPTO frames are by `tls_stream`.

#![no_main]

use crypto_trace_analyze::protocol::{Ends, Protocol, quic};
use crypto_trace_format::wire::quic::{ids, packets};

#[path = "../said.rs"]
mod said;
use said::said;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (one, other) = bytes.split_at(bytes.len() / 2);
    for (sent, received) in [(one, other), (bytes, bytes)] {
        let ends = Ends { sent: said(sent), received: said(received), opened_by: None };
        let view = quic::read(&ends);
        let _ = (view.notes(false, false), view.may_go_on());
        for chunk in &ends.sent.chunks {
            let _ = (ids(chunk.bytes), packets(chunk.bytes).count());
        }
    }
});
