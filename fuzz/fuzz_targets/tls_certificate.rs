//! Certificate messages and certificates. Seeds: `crates/analyze/tests/data/tls/*.der`.

#![no_main]

use crypto_trace_analyze::catalog;
use crypto_trace_analyze::tls::{Certificate, CertificateChain};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = CertificateChain::parse(bytes);
    let _ = catalog::key(&Certificate::parse(bytes));
});
