//! Every recording says what its software said.

use super::{RECORDINGS, client, client_bytes, read, report, server};
use crypto_trace_analyze::protocol::iana::{
    AlertDescription, CipherSuite, ExtensionType, Group, SignatureScheme, Version,
};
use crypto_trace_analyze::protocol::tls::{
    Certificate, HelloFormat, KeyExchange, Message, Negotiated, Resumption, Stream, StreamEnd,
};
use crypto_trace_analyze::rules;

fn version_of(text: &str) -> Version {
    match text {
        "TLSv1" => Version::TLS_1_0,
        "TLSv1.2" => Version::TLS_1_2,
        "TLSv1.3" => Version::TLS_1_3,
        other => panic!("{other}"),
    }
}

/// `Server Temp Key` of s_client.
fn key_exchange_of(text: &str) -> KeyExchange {
    match text {
        "X25519, 253 bits" => KeyExchange::Group(Group(29)),
        "ECDH, secp384r1, 384 bits" => KeyExchange::Group(Group(24)),
        "ECDH, prime256v1, 256 bits" => KeyExchange::Group(Group(23)),
        "DH, 2048 bits" => KeyExchange::FiniteField { prime_bits: 2048 },
        other => panic!("{other}"),
    }
}

#[test]
fn what_was_negotiated_is_what_the_software_says() {
    let mut compared = 0;
    for name in RECORDINGS {
        let (client, server, report) = (client(name), server(name), report(name));
        let negotiated = Negotiated::new(Some(&client), &server);
        for (key, said) in &report {
            compared += 1;
            let found = || negotiated.as_ref().unwrap_or_else(|| panic!("{name}: no server hello"));
            match &**key {
                "version" => assert_eq!(found().version, Some(version_of(said)), "{name}"),
                "suite" => {
                    assert_eq!(found().cipher_suite.map(|suite| suite.to_string()).as_ref(), Some(said), "{name}")
                }
                "key" => assert_eq!(found().key_exchange, Some(key_exchange_of(said)), "{name}"),
                "group" => match found().key_exchange {
                    Some(KeyExchange::Group(group)) => assert_eq!(group.to_string(), *said, "{name}"),
                    other => panic!("{name}: {other:?}"),
                },
                "resumed" => assert_eq!(found().resumption != Some(Resumption::No), said == "yes", "{name}"),
                "alpn" if found().version == Some(Version::TLS_1_3) => assert_eq!(found().alpn, None, "{name}"),
                "alpn" => assert_eq!(found().alpn.as_deref(), Some(said.as_bytes()), "{name}"),
                "sni" => {
                    let hello = client.client_hello().expect("a hello");
                    assert_eq!(hello.server_name.as_deref(), Some(said.as_bytes()), "{name}");
                }
                "alert" => {
                    let alert = server.alert().expect("an alert");
                    assert_eq!(alert.description.0.to_string(), *said, "{name}");
                }
                "gnutls" => {}
                other => panic!("{name}: {other} is not compared"),
            }
        }
    }
    assert!(compared > 50, "{compared}");
}

#[test]
fn how_each_was_resumed() {
    let check = |name: &str, expected: Resumption, key_exchange: bool| {
        let negotiated = Negotiated::new(Some(&client(name)), &server(name)).expect("a server hello");
        assert_eq!(negotiated.resumption, Some(expected), "{name}");
        assert_eq!(negotiated.key_exchange.is_some(), key_exchange, "{name}");
    };
    check("openssl12_ticket", Resumption::Ticket, false);
    check("openssl12_session_id", Resumption::SessionId, false);
    check("openssl13_resumed", Resumption::Psk, true);
    check("openssl12_rsa", Resumption::No, false);
    // What was cut away might have told otherwise.
    let bytes = client_bytes("openssl12_session_id");
    let cut = Stream::parse(&bytes[..100]);
    assert!(cut.client_hello().is_some_and(|hello| hello.truncated));
    let negotiated = Negotiated::new(Some(&cut), &server("openssl12_session_id")).expect("a server hello");
    assert_eq!(negotiated.resumption, None);
    // Without the client's side, only what the server's tells.
    let alone = |name: &str| Negotiated::new(None, &server(name)).expect("a server hello").resumption;
    assert_eq!(alone("openssl13"), Some(Resumption::No));
    assert_eq!(alone("openssl12"), Some(Resumption::No));
    assert_eq!(alone("openssl12_ticket"), None);
}

#[test]
fn hellos_are_whole_and_end_where_encryption_starts() {
    for name in RECORDINGS {
        let (client, server) = (client(name), server(name));
        let hello = client.client_hello().unwrap_or_else(|| panic!("{name}: no hello"));
        assert!(hello.is_whole(), "{name}: {hello:?}");
        assert_eq!(hello.format, HelloFormat::Tls);
        assert!(hello.ja3().is_some() && hello.ja4().is_some());
        match server.alert() {
            Some(_) => assert_eq!((client.end, server.end), (StreamEnd::Exhausted, StreamEnd::Exhausted), "{name}"),
            None => {
                assert_eq!((client.end, server.end), (StreamEnd::Encrypted, StreamEnd::Encrypted), "{name}");
                let hello = server.server_hello().unwrap_or_else(|| panic!("{name}: no server hello"));
                assert!(!hello.truncated && !hello.malformed, "{name}: {hello:?}");
                assert!(hello.ja3s().is_some());
            }
        }
    }
}

#[test]
fn openssl_offers_what_it_was_told_to() {
    let openssl13 = client("openssl13");
    let hello = openssl13.client_hello().expect("a hello");
    assert_eq!(hello.versions(), [Version::TLS_1_3, Version::TLS_1_2, Version::TLS_1_1, Version::TLS_1_0]);
    assert_eq!(hello.alpn, [Box::from(*b"h2"), Box::from(*b"http/1.1")]);
    assert_eq!(hello.key_shares, [Group(29)]);
    // OpenSSL 3.0's defaults (SSL_CTX_set1_groups, with the finite-field groups of RFC 7919).
    assert_eq!(
        hello.groups.iter().map(|group| group.0).collect::<Vec<_>>(),
        [29, 23, 30, 25, 24, 256, 257, 258, 259, 260]
    );
    assert_eq!(hello.cipher_suites.first(), Some(&CipherSuite(0x1302)));
    assert!(hello.signature_schemes.contains(&SignatureScheme(0x0804)));
    assert_eq!((hello.session_id_bytes(), hello.psk_modes.as_slice()), (32, &[1][..]));
    assert!(hello.extended_master_secret && hello.encrypt_then_mac && hello.secure_renegotiation);
    assert!(!hello.grease && !hello.ech && !hello.early_data && !hello.pre_shared_key);

    let resumed = client("openssl13_resumed");
    let hello = resumed.client_hello().expect("a hello");
    assert!(hello.early_data && hello.pre_shared_key);
    assert_eq!(hello.extensions.last().map(ToString::to_string).as_deref(), Some("pre_shared_key"));
}

#[test]
fn a_retry_is_two_hellos_on_each_side() {
    let (client, server) = (client("openssl13_retry"), server("openssl13_retry"));
    let hellos = client.messages.iter().filter(|message| matches!(message, Message::ClientHello(_))).count();
    assert_eq!(hellos, 2, "{client:?}");
    assert_eq!(client.client_hello().map(|hello| &*hello.key_shares), Some(&[Group(29)][..]));
    assert_eq!(client.second_client_hello().map(|hello| &*hello.key_shares), Some(&[Group(24)][..]));
    assert_eq!(server.retry_request().and_then(|hello| hello.group), Some(Group(24)));
    let negotiated = Negotiated::new(Some(&client), &server).expect("a server hello");
    assert!(negotiated.retried);
}

#[test]
fn chrome_hides_among_grease() {
    let chrome = client("chrome_mlkem");
    let hello = chrome.client_hello().expect("a hello");
    assert!(hello.grease && hello.ech);
    assert_eq!(hello.versions(), [Version::TLS_1_3, Version::TLS_1_2]);
    assert_eq!(hello.groups, [Group(0x11ec), Group(29), Group(23), Group(24)]);
    assert_eq!(hello.key_shares, [Group(0x11ec), Group(29)]);
    assert!(hello.key_shares.first().is_some_and(|group| group.post_quantum() == Some(true)));
    assert_eq!(hello.cipher_suites.len(), 15);
    assert_eq!(hello.extensions.len(), 16);
    // Chrome permutes its extensions; JA4 does not mind. This is what fingerprint databases know Chrome 120 to 131 by.
    assert_eq!(hello.ja4().as_deref(), Some("t13d1516h2_8daaf6152771_02713d6af862"));
}

#[test]
fn gnutls_says_the_same() {
    // "(TLS1.3-X.509)-(ECDHE-SECP256R1)-(ECDSA-SECP256R1-SHA256)-(AES-256-GCM)", and 1.2.
    let check = |name: &str, version, suite, scheme: Option<u16>| {
        let server = server(name);
        let negotiated = Negotiated::new(Some(&client(name)), &server).expect("a server hello");
        assert_eq!(negotiated.version, Some(version), "{name}");
        assert_eq!(negotiated.cipher_suite, Some(CipherSuite(suite)), "{name}");
        assert_eq!(negotiated.key_exchange, Some(KeyExchange::Group(Group(23))), "{name}");
        assert_eq!(server.key_exchange().and_then(|exchange| exchange.signature_scheme), scheme.map(SignatureScheme));
        assert!(report(name)["gnutls"].contains("(ECDHE-SECP256R1)-(ECDSA-"));
    };
    check("gnutls13", Version::TLS_1_3, 0x1302, None);
    check("gnutls12", Version::TLS_1_2, 0xc02c, Some(0x0403));
}

#[test]
fn alerts_say_why() {
    let check = |name: &str, expected: &str| {
        let alert = server(name).alert().expect("an alert");
        assert_eq!(alert.to_string(), expected);
        assert_ne!(alert.description, AlertDescription(0));
    };
    check("openssl_no_shared_cipher", "fatal handshake_failure");
    check("openssl_protocol_version", "fatal protocol_version");
}

#[test]
fn certificates_are_what_openssl_prints() {
    let printed: serde_json::Value = serde_json::from_slice(&read("certificates.json")).expect("JSON");
    let check = |certificate: &Certificate, name: &str| {
        let lines = printed[name].as_array().expect("lines");
        let said = |key: &str| {
            let line = lines.iter().filter_map(|line| line.as_str()).find_map(|line| line.strip_prefix(key));
            line.unwrap_or_else(|| panic!("{name}: no {key}")).to_owned()
        };
        let some = |text: String| Some(text);
        assert_eq!(certificate.subject, some(said("subject=").replace(" = ", "=")));
        assert_eq!(certificate.issuer, some(said("issuer=").replace(" = ", "=")));
        assert_eq!(certificate.serial, some(said("serial=").to_lowercase()));
        assert_eq!(certificate.not_before, some(said("notBefore=").replace(' ', "T")));
        assert_eq!(certificate.not_after, some(said("notAfter=").replace(' ', "T")));
        assert_eq!(certificate.sha256, some(said("sha256 Fingerprint=").replace(':', "").to_lowercase()));
        assert_eq!(certificate.signature_algorithm.as_deref(), Some("sha256WithRSAEncryption"));
        assert_eq!((certificate.is_ca, certificate.self_issued), (Some(name == "ca"), Some(name == "ca")));
        assert_eq!((&certificate.not_read, &certificate.notes), (&vec![], &vec![]));
        let names = ["DNS:example.org", "DNS:*.example.org", "IP:127.0.0.1", "IP:::1", "email:a@example.org"];
        let expected = if name == "ca" { &[][..] } else { &names };
        assert_eq!(certificate.alternative_names, expected);
    };
    let chain = |stream: &Stream| stream.certificates().expect("certificates").clone();

    let rsa = chain(&server("openssl12"));
    assert_eq!((rsa.certificates.len(), rsa.more, rsa.truncated, rsa.malformed), (2, 0, false, false));
    check(&rsa.certificates[0], "rsa");
    check(&rsa.certificates[1], "ca");
    assert_eq!((rsa.certificates[0].key_type.as_deref(), rsa.certificates[0].key_bits), (Some("RSA"), Some(2048)));

    let ec = chain(&server("openssl12_ec"));
    check(&ec.certificates[0], "ec");
    let key = &ec.certificates[0];
    assert_eq!(
        (key.key_type.as_deref(), key.curve.as_deref(), key.key_bits),
        (Some("EC"), Some("secp256r1"), Some(256))
    );

    let mutual = client("openssl12_mutual");
    check(&chain(&mutual).certificates[0], "client");
    assert_eq!(chain(&mutual).certificates[0].key_type.as_deref(), Some("Ed25519"));
    assert!(server("openssl12_mutual").messages.contains(&Message::CertificateRequest));
}

#[test]
fn extensions_have_names() {
    for name in RECORDINGS {
        let client = client(name);
        let unnamed: Vec<ExtensionType> = client
            .client_hello()
            .expect("a hello")
            .extensions
            .iter()
            .copied()
            .filter(|extension| extension.name().is_none())
            .collect();
        // 17513 is ALPS, which Chrome uses without a registration.
        let expected: &[ExtensionType] = if name == "chrome_mlkem" { &[ExtensionType(17513)] } else { &[] };
        assert_eq!(unnamed, expected, "{name}");
    }
}

#[test]
fn certificates_of_other_kinds() {
    let forever = Certificate::parse(&read("never_expires.der"));
    assert_eq!(
        (forever.not_before.as_deref(), forever.not_after.as_deref()),
        (Some("1999-01-02T03:04:05Z"), Some("9999-12-31T23:59:59Z"))
    );
    assert_eq!(
        (forever.serial.as_deref(), forever.signature_algorithm.as_deref()),
        (Some("80f1"), Some("ecdsa-with-SHA384"))
    );
    assert_eq!((forever.curve.as_deref(), forever.key_bits), (Some("secp384r1"), Some(384)));
    assert_eq!((forever.self_issued, forever.is_ca), (Some(true), Some(true)));
    assert_eq!(forever.subject.as_deref(), Some("CN=f\u{f6}\u{f6} \\07 \\\"bar\\\""));
    assert_eq!(rules::key(&forever).map(|row| &*row.name), Some("ECDSA secp384r1"));

    let post_quantum = Certificate::parse(&read("ml_dsa_65.der"));
    assert_eq!(
        (post_quantum.key_type.as_deref(), post_quantum.signature_algorithm.as_deref()),
        (Some("ML-DSA-65"), Some("ML-DSA-65"))
    );
    assert_eq!((post_quantum.key_bits, &post_quantum.curve), (None, &None));
    assert_eq!(rules::key(&post_quantum).and_then(|row| row.quantum_vulnerable), Some(false));
    assert_eq!(Certificate::parse(b"").not_read, ["certificate: it ends too early"]);
}

#[test]
fn what_was_negotiated_has_a_worth() {
    let as_of = "2026-11-23".parse().expect("a date");
    let check = |name: &str, expected: &[&str]| {
        let negotiated = Negotiated::new(Some(&client(name)), &server(name)).expect("a server hello");
        let version = negotiated.version.expect("a version").to_string();
        let parts = rules::suite(negotiated.cipher_suite.expect("a suite")).expect("known");
        let group = negotiated.key_exchange.and_then(rules::key_exchange).map(|row| &*row.name);
        let names = [&*version].into_iter().chain(parts.names()).chain(group);
        let found: Vec<String> = names
            .flat_map(|name| rules::assess(name, as_of).into_iter().map(move |finding| (name, finding)))
            .filter(|(_, finding)| finding.in_force && finding.document.state == rules::DocumentState::Final)
            .filter(|(_, finding)| finding.rule.speaks_of(&version))
            .map(|(name, finding)| format!("{name}: {}", finding.document.id))
            .collect();
        assert_eq!(found, expected, "{name}");
    };
    check("openssl13", &[]);
    check("openssl4_mlkem", &[]);
    check("openssl10", &["TLS 1.0: RFC 8996", "TLS 1.0: RFC 9325"]);
    check("openssl12_rsa", &["RSA key transport: SP 800-131A", "RSA key transport: RFC 10015"]);
    check("openssl12_dhe", &["DHE: RFC 10015"]);
}
