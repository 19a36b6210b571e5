//! What one end of a connection shows, in the words that reports count by.
//!
//! Only what was negotiated is told. What a client offers is not used by that, and not counted.

use crate::capture::connections::{Connection, Outcome, Role};
use crate::capture::libraries::short;
use crate::protocol::iana::{AlertDescription, CipherSuite, SignatureScheme, Version};
use crate::protocol::tls::View;
use crate::protocol::tls::{Certificate, KeyExchange, Negotiated, Resumption};
use crate::rules;
use crate::stacks;

/// Bytes of a server name that are counted by; RFC 1035 allows no longer ones.
const MAX_NAME: usize = 255;

/// Where in a handshake an algorithm was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The version.
    Protocol,
    /// The key exchange, and the group or size it ran in.
    KeyExchange,
    /// The signature of the server, or what the suite says of it.
    Authentication,
    /// Cipher, MAC and hash of the suite; of SSH, ciphers and codes.
    CipherSuite,
    /// The key of a certificate.
    CertificateKey,
    /// The signature of a certificate.
    CertificateSignature,
    /// The key that a server of SSH proves itself by.
    HostKey,
    /// A call of a library function, for TLS or not.
    LibraryCall,
    /// A system call of the kernel's own crypto.
    KernelCall,
}

impl Place {
    /// In output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Protocol => "protocol",
            Self::KeyExchange => "key_exchange",
            Self::Authentication => "authentication",
            Self::CipherSuite => "cipher_suite",
            Self::CertificateKey => "certificate_key",
            Self::CertificateSignature => "certificate_signature",
            Self::HostKey => "host_key",
            Self::LibraryCall => "library_call",
            Self::KernelCall => "kernel_call",
        }
    }
}

/// How keys were agreed on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exchange {
    /// In this handshake: IANA name of the group or the method, and whether it is post-quantum as far as that is known.
    Known(String, Option<bool>),
    /// Not in this handshake: an earlier session went on, or a key was known before.
    Earlier,
    /// The wire does not show.
    NotSeen,
}

impl std::fmt::Display for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Known(name, _) => name,
            Self::Earlier => "none: an earlier session or key",
            Self::NotSeen => "not seen",
        })
    }
}

/// What one end of a connection shows.
#[derive(Debug)]
pub struct Facts {
    /// Which side it is.
    pub role: Option<Role>,
    /// How far it came.
    pub outcome: Outcome,
    /// The alert that ended it, and who sent it.
    pub alert: Option<(AlertDescription, Role)>,
    /// Version that was agreed on.
    pub version: Option<Version>,
    /// Suite that was agreed on.
    pub suite: Option<CipherSuite>,
    /// How keys were agreed on.
    pub exchange: Exchange,
    /// How the server signed its key exchange, where that is in the clear: up to TLS 1.2.
    pub signature_scheme: Option<SignatureScheme>,
    /// An earlier session went on.
    pub resumed: bool,
    /// The host that was asked for: bytes of the peer.
    pub server_name: Option<Box<[u8]>>,
    /// Algorithms that were used, by their names in the catalog, or in IANA's registry where the catalog has none.
    pub algorithms: Vec<(String, Place)>,
    /// Certificates, and whose.
    pub certificates: Vec<(Role, Certificate)>,
    /// Packets are missing.
    pub gap: bool,
    /// The client's hello was not seen, though there was one.
    pub no_client_hello: bool,
    /// Of a message only a part was seen.
    pub incomplete: bool,
    /// Stacks that the client looks like, where that was asked for.
    pub client_looks_like: &'static [String],
}

impl Facts {
    /// Whether the server chose something: whatever came of the handshake after that.
    pub fn was_answered(&self) -> bool {
        self.outcome == Outcome::ServerHello || self.version.is_some() || self.suite.is_some()
    }

    /// What a connection shows; None when it is not one of TLS.
    pub fn new(connection: &Connection) -> Option<Self> {
        connection.view().tls().map(Self::of_view)
    }

    /// The same, and which stacks the client looks like.
    pub fn with_stacks(connection: &Connection) -> Option<Self> {
        let view = connection.view();
        let view = view.tls()?;
        let client_looks_like = if connection.late { &[] } else { stacks::of_client(view) };
        Some(Self { client_looks_like, ..Self::of_view(view) })
    }

    /// The same of what its hellos say.
    pub fn of_view(view: &View) -> Self {
        let negotiated = view.negotiated.as_ref();
        let hello = view.hello();
        let certificates = certificates(view);
        Self {
            role: view.role,
            outcome: view.outcome,
            alert: view.alert.filter(|_| view.outcome == Outcome::Alert).map(|(alert, role)| (alert.description, role)),
            version: negotiated.and_then(|agreed| agreed.version),
            suite: negotiated.and_then(|agreed| agreed.cipher_suite),
            exchange: negotiated.map_or(Exchange::NotSeen, exchange),
            signature_scheme: view
                .server
                .as_ref()
                .and_then(|server| server.key_exchange())
                .and_then(|message| message.signature_scheme),
            resumed: negotiated.is_some_and(is_resumed),
            server_name: hello.and_then(|hello| hello.server_name.as_deref()).map(|name| short(name, MAX_NAME).into()),
            algorithms: negotiated.map(|agreed| algorithms(agreed, view, &certificates)).unwrap_or_default(),
            certificates,
            gap: view.gap,
            no_client_hello: view.role.is_some() && view.hello().is_none(),
            incomplete: view.is_incomplete(),
            client_looks_like: &[],
        }
    }
}

fn certificates(view: &View) -> Vec<(Role, Certificate)> {
    let of = |stream: &Option<crate::protocol::tls::Stream>, role| -> Vec<(Role, Certificate)> {
        let chain = stream.as_ref().and_then(|stream| stream.certificates());
        chain.map(|chain| chain.certificates.iter().map(|one| (role, one.clone())).collect()).unwrap_or_default()
    };
    [of(&view.server, Role::Server), of(&view.client, Role::Client)].concat()
}

fn is_resumed(agreed: &Negotiated) -> bool {
    !matches!(agreed.resumption, None | Some(Resumption::No))
}

fn is_tls13(agreed: &Negotiated) -> bool {
    agreed.version.is_some_and(Version::is_tls13)
}

fn exchange(agreed: &Negotiated) -> Exchange {
    match agreed.key_exchange {
        Some(KeyExchange::Group(group)) => {
            // Of a group without a name nothing is known.
            Exchange::Known(group.to_string(), group.post_quantum())
        }
        Some(KeyExchange::FiniteField { prime_bits }) => Exchange::Known(format!("DH, {prime_bits} bits"), Some(false)),
        None if is_resumed(agreed) => Exchange::Earlier,
        None if is_tls13(agreed) => Exchange::NotSeen,
        None => method(agreed),
    }
}

/// Key exchange of TLS ≤ 1.2 by the suite alone.
fn method(agreed: &Negotiated) -> Exchange {
    let Some(parts) = agreed.cipher_suite.and_then(rules::suite) else { return Exchange::NotSeen };
    let methods = parts.key_exchange;
    match methods.as_slice() {
        [] => Exchange::NotSeen,
        ["PSK"] => Exchange::Earlier,
        _ => Exchange::Known(methods.join(" + "), Some(false)),
    }
}

/// Algorithms, each once for each place.
fn algorithms(agreed: &Negotiated, view: &View, certificates: &[(Role, Certificate)]) -> Vec<(String, Place)> {
    let mut used: Vec<(String, Place)> = Vec::new();
    let mut put = |name: &str, place: Place| {
        if !used.iter().any(|(known, at)| known == name && *at == place) {
            used.push((name.to_owned(), place));
        }
    };
    if let Some(version) = agreed.version {
        put(&version.to_string(), Place::Protocol);
    }
    match (agreed.cipher_suite, agreed.cipher_suite.and_then(rules::suite)) {
        (_, Some(parts)) => {
            // Who resumes neither agrees on keys nor proves anything again.
            if !is_resumed(agreed) {
                parts.key_exchange.iter().for_each(|name| put(name, Place::KeyExchange));
                parts.authentication.iter().for_each(|name| put(name, Place::Authentication));
            }
            let rest = parts.cipher.into_iter().chain(parts.mac).chain(parts.hash);
            rest.for_each(|name| put(name, Place::CipherSuite));
        }
        (Some(suite), None) => put(&suite.to_string(), Place::CipherSuite),
        (None, None) => {}
    }
    if let Some(exchange) = agreed.key_exchange {
        match (rules::key_exchange(exchange), exchange) {
            (Some(row), _) => put(&row.name, Place::KeyExchange),
            (None, KeyExchange::Group(group)) => put(&group.to_string(), Place::KeyExchange),
            (None, KeyExchange::FiniteField { .. }) => {}
        }
    }
    let server = view.server.as_ref();
    if let Some(scheme) = server.and_then(|server| server.key_exchange()).and_then(|message| message.signature_scheme) {
        let names = rules::signature(scheme);
        names.iter().for_each(|name| put(name, Place::Authentication));
        if names.is_empty() {
            put(&scheme.to_string(), Place::Authentication);
        }
    }
    for (_, certificate) in certificates {
        if let Some(key) = rules::key(certificate).map(|row| &*row.name).or(certificate.key_type.as_deref()) {
            put(key, Place::CertificateKey);
        }
        // Nobody relies on the signature of one that signed itself.
        if certificate.self_issued != Some(true)
            && let Some(algorithm) = &certificate.signature_algorithm
        {
            let names = rules::certificate_signature(algorithm);
            names.iter().for_each(|name| put(name, Place::CertificateSignature));
            if names.is_empty() {
                put(algorithm, Place::CertificateSignature);
            }
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::connections::Handshakes;
    use crypto_trace_format::record::{Header, TlsHello, TlsHelloFixed};

    fn facts(client: &[u8], server: &[u8]) -> Facts {
        let mut all = Handshakes::default();
        for (direction, data) in [(1, client), (2, server)] {
            let fixed = TlsHelloFixed { cookie: 1, direction, family: 2, ..TlsHelloFixed::default() };
            all.add(&Header::default(), &TlsHello { fixed, data, ..TlsHello::default() }, 0, 0);
        }
        Facts::new(&all.connections()[0]).expect("of TLS")
    }

    macro_rules! recorded {
        ($name:literal) => {
            facts(
                include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/", $name, ".client.bin")),
                include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/", $name, ".server.bin")),
            )
        };
    }

    #[test]
    fn exchanges() {
        let known = |name: &str, post_quantum| Exchange::Known(name.to_owned(), Some(post_quantum));
        assert_eq!(recorded!("openssl13").exchange, known("x25519", false));
        assert_eq!(recorded!("openssl4_mlkem").exchange, known("X25519MLKEM768", true));
        assert_eq!(recorded!("openssl12_rsa").exchange, known("RSA key transport", false));
        assert_eq!(recorded!("openssl12_dhe").exchange, known("DH, 2048 bits", false));
        assert_eq!(recorded!("openssl12_ticket").exchange, Exchange::Earlier);
        assert_eq!(recorded!("openssl13_resumed").exchange, known("x25519", false));
        assert_eq!(recorded!("openssl_no_shared_cipher").exchange, Exchange::NotSeen);
    }

    /// A server's TLS 1.3 hello that answers in another group than was recorded.
    fn in_group(group: u16) -> Facts {
        let mut server =
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/openssl13.server.bin")).to_vec();
        // The extension key_share: type, length, x25519, length of a point.
        let at = server.windows(8).position(|bytes| bytes == [0, 51, 0, 36, 0, 29, 0, 32]).expect("a key share");
        server[at + 4..at + 6].copy_from_slice(&group.to_be_bytes());
        facts(include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/openssl13.client.bin")), &server)
    }

    #[test]
    fn a_group_that_is_not_known_counts_as_unknown() {
        use crate::count::handshakes::{Quantum, post_quantum};
        let mut quantum = Quantum::default();
        for (group, expected) in [
            (29, Exchange::Known("x25519".to_owned(), Some(false))),
            (0x11ec, Exchange::Known("X25519MLKEM768".to_owned(), Some(true))),
            (0xfe32, Exchange::Known("0xfe32".to_owned(), None)),
            (0x4242, Exchange::Known("0x4242".to_owned(), None)),
        ] {
            let found = in_group(group).exchange;
            assert_eq!(found, expected);
            quantum.add(&found);
        }
        assert_eq!(quantum, Quantum { post_quantum: 1, classical: 1, unknown: 2 });
        assert_eq!(post_quantum(quantum, 4), "post-quantum key exchange: 1 of 4 (25 %); 2 not known");
        let with_others = post_quantum(quantum, 5);
        assert!(with_others.ends_with("; 1 handshake without one, or with none seen"), "{with_others}");
    }

    #[test]
    fn what_was_used_and_where() {
        let names = |facts: &Facts, place: Place| -> Vec<String> {
            facts.algorithms.iter().filter(|(_, at)| *at == place).map(|(name, _)| name.clone()).collect()
        };
        let rsa = recorded!("openssl12_rsa");
        assert_eq!(names(&rsa, Place::Protocol), ["TLS 1.2"]);
        assert_eq!(names(&rsa, Place::KeyExchange), ["RSA key transport"]);
        assert_eq!(names(&rsa, Place::CipherSuite), ["AES-128-CBC", "HMAC-SHA-1"]);
        assert!(names(&rsa, Place::CertificateKey).contains(&"RSA-2048".to_owned()));
        let resumed = recorded!("openssl12_ticket");
        assert!(resumed.resumed && names(&resumed, Place::KeyExchange).is_empty());
        let dhe = recorded!("openssl12_dhe");
        assert_eq!(names(&dhe, Place::KeyExchange), ["DHE", "DH-2048"]);
        assert_eq!(names(&dhe, Place::Authentication), ["RSA signature", "SHA-256"]);
        // An offer that was refused is not a use.
        assert!(recorded!("openssl_no_shared_cipher").algorithms.is_empty());
        let mutual = recorded!("openssl12_mutual");
        assert!(mutual.certificates.iter().any(|(role, _)| *role == Role::Client));
    }
}
