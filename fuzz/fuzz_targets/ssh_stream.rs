//! What both sides of an SSH connection say, in one piece and with parts left out. Seeds: `crates/analyze/tests/data/ssh/*.bin`.

#![no_main]

use crypto_trace_analyze::protocol::ssh::{Chunk, View};
use crypto_trace_analyze::protocol::{Ends, Protocol, Said};

fn read(sent: Vec<Chunk<'_>>, received: Vec<Chunk<'_>>) {
    let said = |chunks| Said { chunks, ..Said::default() };
    let view = View::read(&Ends { sent: said(sent), received: said(received), opened_by: None });
    let _ = (view.notes(false, false), view.may_go_on());
    for stream in [&view.client, &view.server].into_iter().flatten() {
        let _ = stream.kexinit.as_ref().map(|offer| (offer.hassh(), offer.hassh_server()));
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let whole = |bytes| vec![Chunk { offset: 0, bytes }];
    let (one, other) = bytes.split_at(bytes.len() / 2);
    read(whole(one), whole(other));
    // Holes as long as the first byte after each piece says.
    let mut chunks = Vec::new();
    let mut offset = 0u32;
    for piece in bytes.chunks(97) {
        offset += u32::from(piece[0] & 63);
        chunks.push(Chunk { offset, bytes: piece });
        offset += 97;
    }
    read(chunks, whole(bytes));
});
