//! What both sides of a DTLS connection say, each datagram with its length in two bytes before it.

#![no_main]

use crypto_trace_analyze::protocol::{Ends, Protocol, dtls};

#[path = "../said.rs"]
mod said;
use said::said;

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
