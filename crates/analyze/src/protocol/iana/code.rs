//! Code points as types, so that a suite is not taken for a group. Each prints as its IANA name, or as `0x1234`.

use super::{alerts, cipher_suites, extension_types, groups, signature_schemes};
use std::fmt;

macro_rules! code_point {
    ($(#[$doc:meta])* $type:ident, $names:ident) => {
        code_point!($(#[$doc])* $type, $names, |_| None);
    };
    ($(#[$doc:meta])* $type:ident, $names:ident, $other:expr) => {
        $(#[$doc])*
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(pub u16);

        impl $type {
            /// Its name in IANA's registry.
            pub fn name(self) -> Option<&'static str> {
                $names().get(self.0)
            }
        }

        impl From<$type> for u16 {
            fn from(code: $type) -> Self {
                code.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let other: fn(u16) -> Option<String> = $other;
                match (self.name(), other(self.0)) {
                    (Some(name), _) => f.write_str(name),
                    (None, Some(name)) => f.write_str(&name),
                    (None, None) => write!(f, "{:#06x}", self.0),
                }
            }
        }
    };
}

code_point!(
    /// A cipher suite: `TLS_AES_128_GCM_SHA256` = 0x1301.
    CipherSuite,
    cipher_suites
);
code_point!(
    /// A group for key exchange, or curve: `X25519MLKEM768` = 0x11ec.
    Group,
    groups
);
code_point!(
    /// A signature scheme: `rsa_pss_rsae_sha256` = 0x0804. The pairs of TLS 1.2 that have no name as one print as `dsa_sha1`.
    SignatureScheme,
    signature_schemes,
    signature_and_hash
);
code_point!(
    /// The type of an extension of a hello: `server_name` = 0.
    ExtensionType,
    extension_types
);

/// A pair of hash and signature of TLS 1.2, each by its name (RFC 5246, section 7.4.1.4.1), in the order in which RFC 8446 names
/// those it mentions: `dsa_sha1`.
fn signature_and_hash(code: u16) -> Option<String> {
    const HASHES: [&str; 7] = ["none", "md5", "sha1", "sha224", "sha256", "sha384", "sha512"];
    const SIGNATURES: [&str; 4] = ["anonymous", "rsa", "dsa", "ecdsa"];
    let [hash, signature] = code.to_be_bytes();
    Some(format!("{}_{}", SIGNATURES.get(usize::from(signature))?, HASHES.get(usize::from(hash))?))
}

impl Group {
    /// Whether it is a hybrid or pure ML-KEM group, or one of the drafts with Kyber that IANA's registry has: a key exchange that
    /// a quantum computer is not known to break.
    ///
    /// None of a group without a name: what stands for it is only known to those who use it. So with 0xfe32, which is for private
    /// use and which the patch of BoringSSL for Rust (boring-sys 5) gives to `P256Kyber768Draft00`: a draft that was withdrawn, and
    /// not ML-KEM.
    pub fn post_quantum(self) -> Option<bool> {
        self.name().map(|name| name.contains("MLKEM") || name.contains("Kyber"))
    }
}

impl ExtensionType {
    pub(crate) const SERVER_NAME: Self = Self(0);
    pub(crate) const COOKIE: Self = Self(44);
    pub(crate) const SUPPORTED_GROUPS: Self = Self(10);
    pub(crate) const EC_POINT_FORMATS: Self = Self(11);
    pub(crate) const SIGNATURE_ALGORITHMS: Self = Self(13);
    pub(crate) const ALPN: Self = Self(16);
    pub(crate) const ENCRYPT_THEN_MAC: Self = Self(22);
    pub(crate) const EXTENDED_MASTER_SECRET: Self = Self(23);
    pub(crate) const SESSION_TICKET: Self = Self(35);
    pub(crate) const PRE_SHARED_KEY: Self = Self(41);
    pub(crate) const EARLY_DATA: Self = Self(42);
    pub(crate) const QUIC_TRANSPORT_PARAMETERS: Self = Self(57);
    pub(crate) const SUPPORTED_VERSIONS: Self = Self(43);
    pub(crate) const PSK_KEY_EXCHANGE_MODES: Self = Self(45);
    pub(crate) const SIGNATURE_ALGORITHMS_CERT: Self = Self(50);
    pub(crate) const KEY_SHARE: Self = Self(51);
    pub(crate) const ENCRYPTED_CLIENT_HELLO: Self = Self(0xfe0d);
    pub(crate) const RENEGOTIATION_INFO: Self = Self(0xff01);
}

/// A protocol version as it is on the wire: TLS 1.2 = 0x0303.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u16);

impl From<Version> for u16 {
    fn from(version: Version) -> Self {
        version.0
    }
}

impl Version {
    /// SSL 2.0, which hellos in its format may ask for.
    pub const SSL_2_0: Self = Self(0x0002);
    /// SSL 3.0.
    pub const SSL_3_0: Self = Self(0x0300);
    /// TLS 1.0.
    pub const TLS_1_0: Self = Self(0x0301);
    /// TLS 1.1.
    pub const TLS_1_1: Self = Self(0x0302);
    /// TLS 1.2.
    pub const TLS_1_2: Self = Self(0x0303);
    /// TLS 1.3.
    pub const TLS_1_3: Self = Self(0x0304);
    /// DTLS 1.0: RFC 4347. DTLS counts downwards, and there is no 1.1.
    pub const DTLS_1_0: Self = Self(0xfeff);
    /// DTLS 1.2: RFC 6347.
    pub const DTLS_1_2: Self = Self(0xfefd);
    /// DTLS 1.3: RFC 9147.
    pub const DTLS_1_3: Self = Self(0xfefc);

    /// `TLS 1.3`; also the drafts of it (0x7f00 and up), as `TLS 1.3 draft 28`.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::SSL_2_0 => "SSL 2.0",
            Self::SSL_3_0 => "SSL 3.0",
            Self::TLS_1_0 => "TLS 1.0",
            Self::TLS_1_1 => "TLS 1.1",
            Self::TLS_1_2 => "TLS 1.2",
            Self::TLS_1_3 => "TLS 1.3",
            Self::DTLS_1_0 => "DTLS 1.0",
            Self::DTLS_1_2 => "DTLS 1.2",
            Self::DTLS_1_3 => "DTLS 1.3",
            _ => return None,
        })
    }

    /// Whether it is a draft of TLS 1.3 (RFC 8446, draft 18 and later, section 4.2.1.1).
    pub fn is_tls13_draft(self) -> bool {
        self.0 & 0xff00 == 0x7f00
    }

    /// Whether it is TLS 1.3, or a draft of it, or DTLS 1.3.
    pub fn is_tls13(self) -> bool {
        if self.is_dtls() { self <= Self::DTLS_1_3 } else { self >= Self::TLS_1_3 }
    }

    /// Whether it is one of DTLS, which counts downwards.
    pub fn is_dtls(self) -> bool {
        self.0 & 0xff00 == 0xfe00
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self.0.to_be_bytes()) {
            (Some(name), _) => f.write_str(name),
            // RFC 8446, draft 18 and later, section 4.2.1.1: drafts are 0x7f00 plus their number.
            (None, [0x7f, draft]) => write!(f, "TLS 1.3 draft {draft}"),
            (None, _) => write!(f, "{:#06x}", self.0),
        }
    }
}

/// What an alert says: `handshake_failure` = 40.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertDescription(pub u8);

impl AlertDescription {
    /// Its name in IANA's registry.
    pub fn name(self) -> Option<&'static str> {
        alerts().get(self.0.into())
    }
}

impl fmt::Display for AlertDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_points_print_as_names() {
        let check = |shown: String, expected: &str| assert_eq!(shown, expected);
        check(CipherSuite(0x1301).to_string(), "TLS_AES_128_GCM_SHA256");
        check(CipherSuite(0x4242).to_string(), "0x4242");
        check(Group(0x11ec).to_string(), "X25519MLKEM768");
        check(Version(0x0303).to_string(), "TLS 1.2");
        check(Version(0x7f1c).to_string(), "TLS 1.3 draft 28");
        check(Version(0x0305).to_string(), "0x0305");
        // In the library of a DTLS connection: not 0xfefd.
        check(Version(0xfefd).to_string(), "DTLS 1.2");
        check(Version(0xfeff).to_string(), "DTLS 1.0");
        check(Version(0xfefc).to_string(), "DTLS 1.3");
        check(AlertDescription(40).to_string(), "handshake_failure");
        check(AlertDescription(117).to_string(), "general_error");
        check(AlertDescription(200).to_string(), "200");
    }

    #[test]
    fn pairs_of_hash_and_signature_without_a_name_as_one() {
        let check = |code: u16, expected: &str| assert_eq!(SignatureScheme(code).to_string(), expected, "{code:#06x}");
        check(0x0101, "rsa_md5");
        check(0x0202, "dsa_sha1");
        check(0x0301, "rsa_sha224");
        check(0x0303, "ecdsa_sha224");
        check(0x0402, "dsa_sha256");
        check(0x0600, "anonymous_sha512");
        check(0x0000, "anonymous_none");
        // These have one.
        check(0x0201, "rsa_pkcs1_sha1");
        check(0x0203, "ecdsa_sha1");
        check(0x0403, "ecdsa_secp256r1_sha256");
        // These are none.
        check(0x0004, "0x0004");
        check(0x0701, "0x0701");
    }

    #[test]
    fn a_group_without_a_name_is_neither_post_quantum_nor_classical() {
        assert_eq!(Group(29).post_quantum(), Some(false));
        assert_eq!(Group(0x11ec).post_quantum(), Some(true));
        for code in [0x4242, 0xfe30, 0xfe31, 0xfe32] {
            assert_eq!((Group(code).post_quantum(), Group(code).to_string()), (None, format!("{code:#06x}")));
        }
    }

    #[test]
    fn post_quantum_groups() {
        let all: Vec<u16> =
            groups().iter().map(|(code, _)| code).filter(|code| Group(*code).post_quantum() == Some(true)).collect();
        assert_eq!(all, [0x0200, 0x0201, 0x0202, 0x11e9, 0x11ea, 0x11eb, 0x11ec, 0x11ed, 0x11ee, 0x6399, 0x639a]);
    }
}
