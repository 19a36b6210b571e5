//! What one direction of a TLS connection says first, in one piece and with parts left out. Seeds:
//! `crates/analyze/tests/data/tls/*.bin`.

#![no_main]

use crypto_trace_analyze::protocol::tls::{Chunk, Negotiated, Stream, find_hello};

fn read(stream: &Stream) {
    for hello in stream.client_hello().into_iter().chain(stream.second_client_hello()) {
        let _ = (hello.ja3(), hello.ja4(), hello.versions().len());
    }
    let _ = stream.server_hello().map(|hello| (hello.ja3s(), hello.version()));
    let _ = Negotiated::new(Some(stream), stream);
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    read(&Stream::parse(bytes));
    let _ = find_hello(bytes);
    // Holes as long as the first byte after each piece says.
    let mut chunks = Vec::new();
    let mut offset = 0u32;
    for piece in bytes.chunks(97) {
        offset += u32::from(piece[0] & 63);
        chunks.push(Chunk { offset, bytes: piece });
        offset += 97;
    }
    let (one, other) = Stream::parse_both(&chunks, &[Chunk { offset: 0, bytes }]);
    read(&one);
    read(&other);
});
