//! Which results of library functions mean success.

use super::state;
use crate::words::kernel::is_interrupted;
use crypto_trace_format::record::{ApiCall, ApiLevel};

/// What a result means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Success {
    /// 1 succeeded.
    One,
    /// Everything above 0 succeeded.
    Positive,
    /// 0 succeeded.
    Zero,
    /// Everything but negative numbers succeeded.
    NotNegative,
}

/// By the beginning of the function's name, the first that fits. Sources: openssl(7ssl) manual pages; the GnuTLS manual;
/// NSS's ssl.h (SECStatus); mbedtls/ssl.h; the wolfSSL manual.
const FUNCTIONS: &[(&[u8], Success)] = &[
    (b"SSL_ForceHandshake", Success::Zero),
    (b"SSL_SetURL", Success::Zero),
    (b"SSL_do_handshake", Success::One),
    (b"SSL_connect", Success::One),
    (b"SSL_accept", Success::One),
    (b"SSL_", Success::Positive),
    (b"gnutls_handshake", Success::Zero),
    (b"gnutls_", Success::NotNegative),
    (b"mbedtls_", Success::Zero),
    (b"wolfSSL_", Success::One),
];

/// Whether a call succeeded; of system calls a negative result is an error. None: its result is not known, it may go on, or nothing is known of the function.
pub fn succeeded(call: &ApiCall<'_>) -> Option<bool> {
    if call.fixed.state & (state::RESULT | state::PENDING) != state::RESULT {
        return None;
    }
    let result = call.fixed.result;
    if call.fixed.level == ApiLevel::KERNEL.0 {
        return (!was_interrupted(call)).then_some(result >= 0);
    }
    let (_, success) = FUNCTIONS.iter().find(|(name, _)| call.function.starts_with(name))?;
    Some(match success {
        Success::One => result == 1,
        Success::Positive => result > 0,
        Success::Zero => result == 0,
        Success::NotNegative => result >= 0,
    })
}

/// Whether the result of a system call is one that no process saw, see [`is_interrupted`].
pub fn was_interrupted(call: &ApiCall<'_>) -> bool {
    let fixed = &call.fixed;
    fixed.level == ApiLevel::KERNEL.0 && fixed.state & state::RESULT != 0 && is_interrupted(fixed.result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto_trace_format::record::ApiCallFixed;

    #[test]
    fn results() {
        let check = |function: &str, result, bits, expected| {
            let fixed = ApiCallFixed { result, state: bits, ..ApiCallFixed::default() };
            let call = ApiCall { fixed, function: function.as_bytes(), ..ApiCall::default() };
            assert_eq!(succeeded(&call), expected, "{function} {result} {bits}");
        };
        check("SSL_do_handshake", 1, 1, Some(true));
        check("SSL_do_handshake", 2, 1, Some(false));
        check("SSL_do_handshake", -1, 1, Some(false));
        check("SSL_do_handshake", -1, 3, None);
        check("SSL_do_handshake", 1, 0, None);
        check("SSL_CTX_use_PrivateKey_file", 0, 1, Some(false));
        check("SSL_ForceHandshakeWithTimeout", 0, 1, Some(true));
        check("gnutls_handshake", 0, 1, Some(true));
        check("gnutls_certificate_set_x509_trust_file", 140, 1, Some(true));
        check("gnutls_priority_init", -50, 1, Some(false));
        check("mbedtls_ssl_handshake", -0x7780, 1, Some(false));
        check("something_else", 0, 1, None);
        let fixed = ApiCallFixed { result: -2, state: 1, level: ApiLevel::KERNEL.0, ..ApiCallFixed::default() };
        assert_eq!(succeeded(&ApiCall { fixed, function: b"bind", ..ApiCall::default() }), Some(false));
        let fixed = ApiCallFixed { result: -512, ..fixed };
        assert_eq!(succeeded(&ApiCall { fixed, function: b"bind", ..ApiCall::default() }), None);
    }
}
