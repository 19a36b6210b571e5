//! What both sides of an exchange of IKE say, each datagram with its length in two bytes before it; and what is kept of it by
//! `--privacy`.

#![no_main]

use crypto_trace_analyze::protocol::{Ends, Protocol, ike};
use crypto_trace_format::wire::{dtls, ike as kept};

#[path = "../said.rs"]
mod said;
use said::said;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (one, other) = bytes.split_at(bytes.len() / 2);
    for (sent, received) in [(one, other), (bytes, bytes)] {
        let ends = Ends { sent: said(sent), received: said(received), opened_by: None };
        let view = ike::View::read(&ends);
        let _ = (view.notes(false, false), view.may_go_on(), view.post_quantum(), view.exchange_name());
    }
    let kept = kept::kept(bytes);
    assert!(kept.len <= bytes.len() && kept.hidden.iter().all(|range| range.end <= kept.len));
    assert!(dtls::before_names(bytes) <= bytes.len());
});
