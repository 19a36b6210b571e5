//! Certificate messages and certificates. Seeds: `crates/analyze/tests/data/tls/*.der`.

#![no_main]

use crypto_trace_analyze::rules;
use crypto_trace_analyze::protocol::tls::{Certificate, CertificateChain};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = CertificateChain::parse(bytes);
    let _ = rules::key(&Certificate::parse(bytes));
});
