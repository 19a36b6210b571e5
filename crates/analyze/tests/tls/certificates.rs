//! Certificates of kinds that hardly anyone sees, made by the real OpenSSL, against what it prints of them.

use crypto_trace_analyze::protocol::tls::Certificate;
use serde_json::Value;
use std::path::PathBuf;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls/odd")
}

fn certificate(name: &str) -> Certificate {
    Certificate::parse(&std::fs::read(directory().join(format!("{name}.der"))).expect("a fixture"))
}

/// What OpenSSL prints, by the certificate's name.
fn printed() -> serde_json::Map<String, Value> {
    serde_json::from_slice(&std::fs::read(directory().join("odd.json")).expect("a fixture")).expect("JSON")
}

/// The parts of a name: separated by a comma that is no part of a value.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in name.chars() {
        match c {
            ',' if !escaped => parts.push(String::new()),
            c => parts.last_mut().expect("one").push(c),
        }
        escaped = c == '\\' && !escaped;
    }
    parts
}

/// A name as `openssl x509 -nameopt RFC2253` prints it: last attribute first, no spaces between, ASCII only.
fn as_rfc2253(name: &str) -> String {
    let mut parts: Vec<String> =
        parts(name).iter().map(|part| part.strip_prefix(' ').unwrap_or(part).to_owned()).collect();
    parts.reverse();
    let escape = |c: char| match c {
        ' '..='~' => c.to_string(),
        c => c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("\\{byte:02X}")).collect(),
    };
    parts.join(",").chars().map(escape).collect()
}

/// The names that differ: the curves that TLS calls otherwise, and two spellings that came before.
fn as_openssl(name: &str) -> String {
    match name {
        "secp256r1" => "prime256v1".to_owned(),
        "curveSM2" => "SM2".to_owned(),
        "Ed448" => "ED448".to_owned(),
        "dsa-with-SHA256" => "dsa_with_SHA256".to_owned(),
        "RSA" => "rsaEncryption".to_owned(),
        "RSASSA-PSS" => "rsassaPss".to_owned(),
        "DSA" => "dsaEncryption".to_owned(),
        "EC" => "id-ecPublicKey".to_owned(),
        other => other.to_owned(),
    }
}

#[test]
fn odd_certificates_are_what_openssl_prints() {
    let printed = printed();
    assert!(printed.len() >= 23, "{}", printed.len());
    for (name, said) in &printed {
        let text = |key: &str| said[key].as_str().map(str::to_owned);
        let found = certificate(name);
        assert_eq!((&found.not_read, &found.notes), (&vec![], &vec![]), "{name}");
        assert_eq!(found.subject.as_deref().map(as_rfc2253), text("subject"), "{name}");
        assert_eq!(found.issuer.as_deref().map(as_rfc2253), text("issuer"), "{name}");
        assert_eq!(found.serial, text("serial").map(|serial| serial.to_lowercase()), "{name}");
        assert_eq!(found.not_before, text("notBefore").map(|time| time.replace(' ', "T")), "{name}");
        assert_eq!(found.not_after, text("notAfter").map(|time| time.replace(' ', "T")), "{name}");
        assert_eq!(
            found.signature_algorithm.as_deref().map(as_openssl),
            text("signature").map(|text| text.trim().to_owned()),
            "{name}"
        );
        assert_eq!(found.key_type.as_deref().map(as_openssl), text("key"), "{name}");
        let curve = if said["field"].is_string() { Some("explicit".to_owned()) } else { text("oid") };
        assert_eq!(found.curve.as_deref().map(as_openssl), curve, "{name}");
        // OpenSSL tells the size of a curve's order, which of this one is a bit more than that of its field.
        let bits = if name == "secp224k1" { Some("224".to_owned()) } else { text("bits") };
        assert_eq!(found.key_bits.map(|bits| bits.to_string()), bits, "{name}");
        assert_eq!((found.self_issued, found.is_ca), (Some(true), Some(false)), "{name}");
    }
}

#[test]
fn names_keep_their_order_and_a_comma_in_a_value_passes_for_no_attribute() {
    let subject = |name: &str| certificate(name).subject.expect("a subject");
    assert_eq!(subject("names_t61"), r"C=DE, O=Müller\, Söhne \+ Co, CN=names");
    assert_eq!(subject("names_bmp"), "O=Москва, CN=names");
    assert_eq!(subject("names_universal"), "O=🔒 lock, CN=names");
    assert_eq!(subject("names_escaped"), r#"O=\#a\;b\<c\>d\, O=Forged \"e\" \\ f\ , CN=a\+b"#);
    assert!(subject("names_many").contains(", organizationIdentifier=VATDE-123, UID=e, DC=org, "));
}

#[test]
fn alternative_names_of_every_kind() {
    let expected = [
        "other:1.3.6.1.4.1.311.20.2.3=u@example.org",
        r"directory:O=a\, b, CN=c",
        "RID:1.2.3.4",
        "URI:https://example.org/",
        "IP:2001:db8::1",
        "email:a@example.org",
    ];
    assert_eq!(certificate("alternative_names").alternative_names, expected);
}

/// Another reader of X.509 agrees wherever it reads a certificate at all.
#[test]
fn another_reader_says_the_same() {
    use x509_parser::prelude::FromDer;
    let mut read = 0;
    for name in printed().keys() {
        let der = std::fs::read(directory().join(format!("{name}.der"))).expect("a fixture");
        let Ok((_, other)) = x509_parser::certificate::X509Certificate::from_der(&der) else { continue };
        let ours = Certificate::parse(&der);
        read += 1;
        assert_eq!(ours.not_after_unix, Some(other.validity().not_after.timestamp()), "{name}");
        assert_eq!(ours.is_ca, Some(other.is_ca()), "{name}");
        assert_eq!(ours.self_issued, Some(other.subject().as_raw() == other.issuer().as_raw()), "{name}");
    }
    assert!(read >= 20, "{read}");
}

/// Cut anywhere, and with any bit turned over: no panic, and nothing that was read is not said to be read.
#[test]
fn hostile_bytes_are_a_reason_and_never_a_panic() {
    for name in ["ec_explicit", "alternative_names"] {
        let der = std::fs::read(directory().join(format!("{name}.der"))).expect("a fixture");
        for end in 0..der.len() {
            let found = Certificate::parse(&der[..end]);
            assert!(!found.not_read.is_empty() && found.subject.is_none(), "{name}, {end} bytes");
        }
        for bit in 0..der.len() * 8 {
            let mut bytes = der.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let found = Certificate::parse(&bytes);
            let missing = found.subject.is_none() || found.serial.is_none() || found.key_type.is_none();
            assert!(!missing || !found.not_read.is_empty(), "{name}, bit {bit}: {found:?}");
        }
    }
}
