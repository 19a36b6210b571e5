//! ServerKeyExchange of TLS ≤ 1.2: which group the key exchange ran in (RFC 8422, section 5.4; RFC 5246, section 7.4.3).
//!
//! Its layout depends on the suite, so that one is needed too. Public values and signatures are not kept.

use super::ParseError;
use crate::protocol::iana::{CipherSuite, Group, SignatureScheme, Version};
use crypto_trace_format::wire::cursor::{Cursor, Shape};

/// Its handshake type.
pub(super) const SERVER_KEY_EXCHANGE: u8 = 12;

/// What a ServerKeyExchange says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServerKeyExchange {
    /// ECDHE: the curve.
    pub group: Option<Group>,
    /// DHE: size of the prime.
    pub prime_bits: Option<usize>,
    /// TLS 1.2: how the server signed its key.
    pub signature_scheme: Option<SignatureScheme>,
    /// The bytes ended before the message did.
    pub truncated: bool,
    /// Lengths in it contradict each other.
    pub malformed: bool,
}

impl ServerKeyExchange {
    /// Reads a ServerKeyExchange from the start of its handshake message. Suites other than DHE and ECDHE (PSK with them
    /// included) leave it empty.
    ///
    /// # Errors
    /// Another type of message, or cut inside its header.
    pub fn parse(bytes: &[u8], suite: CipherSuite, version: Version) -> Result<Self, ParseError> {
        let shape = Shape::default();
        let mut body = Cursor::message(bytes, SERVER_KEY_EXCHANGE, &shape)?;
        let mut message = Self::default();
        // None: the message ended early, which `shape` shows.
        let _: Option<()> = message.read_body(&mut body, suite.name().unwrap_or_default(), version);
        message.truncated = shape.truncated.get();
        message.malformed = shape.malformed.get();
        Ok(message)
    }

    fn read_body(&mut self, body: &mut Cursor<'_>, suite: &str, version: Version) -> Option<()> {
        /// ECCurveType named_curve (RFC 8422, section 5.4).
        const NAMED_CURVE: u8 = 3;
        let exchange = suite.strip_prefix("TLS_")?;
        let ecdhe = exchange.starts_with("ECDHE_") || exchange.starts_with("ECDH_anon_");
        // IANA spells two suites of RFC 6655 the other way round.
        let dhe = ["DHE_", "DH_anon_", "PSK_DHE_"].iter().any(|prefix| exchange.starts_with(prefix));
        if !ecdhe && !dhe {
            return Some(());
        }
        if exchange.contains("PSK_") {
            let _identity_hint = body.vec16()?;
        }
        if ecdhe {
            if body.u8()? != NAMED_CURVE {
                return Some(());
            }
            self.group = Some(Group(body.u16()?));
            let _public = body.vec8()?;
        } else {
            let prime = body.vec16()?;
            self.prime_bits = prime.is_complete().then(|| bit_length(prime.rest()));
            let _generator = body.vec16()?;
            let _public = body.vec16()?;
        }
        // Suites without a signature end here.
        if matches!(version, Version::TLS_1_2 | Version::DTLS_1_2) && !body.is_empty() {
            self.signature_scheme = Some(SignatureScheme(body.u16()?));
        }
        Some(())
    }
}

/// Bits of a big-endian number.
fn bit_length(number: &[u8]) -> usize {
    let Some(first) = number.iter().position(|byte| *byte != 0) else { return 0 };
    let leading = number.get(first).map_or(0, |byte| byte.leading_zeros());
    (number.len() - first) * 8 - usize::try_from(leading).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECDHE: CipherSuite = CipherSuite(0xc02f);
    const DHE: CipherSuite = CipherSuite(0x009e);
    const DHE_PSK: CipherSuite = CipherSuite(0x00aa);

    fn message(body: &[u8]) -> Vec<u8> {
        let len = u8::try_from(body.len()).expect("short");
        [&[SERVER_KEY_EXCHANGE, 0, 0, len], body].concat()
    }

    #[test]
    fn groups_of_tls_1_2() {
        let check = |suite, body: &[u8], group: Option<u16>, prime_bits, scheme: Option<u16>| {
            let found = ServerKeyExchange::parse(&message(body), suite, Version::TLS_1_2).expect("a message");
            assert_eq!(found.group, group.map(Group), "{body:?}");
            assert_eq!(found.prime_bits, prime_bits, "{body:?}");
            assert_eq!(found.signature_scheme, scheme.map(SignatureScheme), "{body:?}");
        };
        check(ECDHE, &[3, 0, 29, 1, 9, 8, 4, 0, 1, 7], Some(29), None, Some(0x0804));
        check(DHE, &[0, 2, 0x00, 0x81, 0, 1, 2, 0, 1, 9, 4, 1, 0, 0], None, Some(8), Some(0x0401));
        check(DHE_PSK, &[0, 1, b'h', 0, 2, 0x01, 0xff, 0, 1, 2, 0, 1, 9], None, Some(9), None);
        // An explicit curve, and a suite without this message.
        check(ECDHE, &[1, 0, 29], None, None, None);
        check(CipherSuite(0x009c), &[3, 0, 29], None, None, None);
    }

    #[test]
    fn bits() {
        assert_eq!(bit_length(&[]), 0);
        assert_eq!(bit_length(&[0, 0]), 0);
        assert_eq!(bit_length(&[0, 1]), 1);
        assert_eq!(bit_length(&[0x80, 0]), 16);
    }
}
