//! The first bytes of one direction of a TLS connection. Seeds: `crates/analyze/tests/data/tls/*.bin`.

#![no_main]

use crypto_trace_analyze::tls::{Negotiated, Stream, find_hello};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let stream = Stream::parse(bytes);
    for hello in stream.client_hello().into_iter().chain(stream.last_client_hello()) {
        let _ = (hello.ja3(), hello.ja4(), hello.versions().len());
    }
    let _ = stream.server_hello().map(|hello| (hello.ja3s(), hello.version()));
    let _ = Negotiated::new(Some(&stream), &stream);
    let _ = find_hello(bytes);
});
