//! Certificates with chosen faults. Their signatures are junk: nothing here verifies one.

#![allow(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "of what the tests themselves made")]

use super::*;

/// An element.
fn tlv(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = body.len();
    let header = match u8::try_from(len) {
        Ok(short) if short < 0x80 => vec![tag, short],
        _ => [&[tag, 0x83][..], &u32::try_from(len).expect("short").to_be_bytes()[1..]].concat(),
    };
    [&header[..], body].concat()
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(SEQUENCE, &parts.concat())
}

fn oid(text: &str) -> Vec<u8> {
    let arcs: Vec<u64> = text.split('.').map(|arc| arc.parse().expect("an arc")).collect();
    let mut body = Vec::new();
    for arc in std::iter::once(arcs[0] * 40 + arcs[1]).chain(arcs[2..].iter().copied()) {
        let digits =
            (0..10).rev().map(|at| arc >> (7 * at)).skip_while(|rest| *rest == 0).map(|rest| (rest & 0x7f) as u8);
        let digits: Vec<u8> = if arc == 0 { vec![0] } else { digits.collect() };
        let last = digits.len() - 1;
        body.extend(digits.iter().enumerate().map(|(at, digit)| if at < last { digit | 0x80 } else { *digit }));
    }
    tlv(der::OID, &body)
}

fn attribute(kind: &str, tag: u8, value: &[u8]) -> Vec<u8> {
    sequence(&[oid(kind), tlv(tag, value)])
}

/// A name with one attribute: the common name.
fn common_name(tag: u8, value: &[u8]) -> Vec<u8> {
    sequence(&[tlv(der::SET, &attribute("2.5.4.3", tag, value))])
}

fn key(algorithm: &[Vec<u8>], bits: &[u8]) -> Vec<u8> {
    sequence(&[sequence(algorithm), tlv(BIT_STRING, &[&[0], bits].concat())])
}

fn rsa(modulus: &[u8]) -> Vec<u8> {
    key(&[oid("1.2.840.113549.1.1.1"), tlv(der::NULL, &[])], &sequence(&[tlv(INTEGER, modulus), tlv(INTEGER, &[3])]))
}

/// The parts of a certificate, each as it is to be written.
struct Parts {
    version: Vec<u8>,
    serial: Vec<u8>,
    signed_with: Vec<u8>,
    issuer: Vec<u8>,
    times: Vec<u8>,
    subject: Vec<u8>,
    key: Vec<u8>,
    extensions: Vec<Vec<u8>>,
}

fn parts() -> Parts {
    Parts {
        version: tlv(context(0), &tlv(INTEGER, &[2])),
        serial: tlv(INTEGER, &[0x12, 0x34]),
        signed_with: sequence(&[oid("1.2.840.113549.1.1.11"), tlv(der::NULL, &[])]),
        issuer: common_name(12, b"Issuer"),
        times: sequence(&[tlv(0x17, b"260101000000Z"), tlv(0x17, b"360101000000Z")]),
        subject: common_name(12, b"leaf"),
        key: rsa(&[0, 0x80, 1]),
        extensions: Vec::new(),
    }
}

impl Parts {
    fn der(&self) -> Vec<u8> {
        let mut body = vec![self.version.clone(), self.serial.clone(), self.signed_with.clone(), self.issuer.clone()];
        body.extend([self.times.clone(), self.subject.clone(), self.key.clone()]);
        if !self.extensions.is_empty() {
            body.push(tlv(context(3), &sequence(&self.extensions)));
        }
        sequence(&[sequence(&body), self.signed_with.clone(), tlv(BIT_STRING, &[0, 1, 2])])
    }

    fn read(&self) -> Certificate {
        Certificate::parse(&self.der())
    }
}

fn extension(kind: &str, value: &[u8]) -> Vec<u8> {
    sequence(&[oid(kind), tlv(OCTET_STRING, value)])
}

fn alternative_names(names: &[Vec<u8>]) -> Vec<u8> {
    extension("2.5.29.17", &sequence(names))
}

fn authority(value: &[u8]) -> Vec<u8> {
    extension("2.5.29.19", &sequence(&[tlv(BOOLEAN, value)]))
}

#[track_caller]
fn subject(tag: u8, value: &[u8], expected: &str) {
    let found = Parts { subject: common_name(tag, value), ..parts() }.read();
    assert_eq!(found.subject.as_deref(), Some(format!("CN={expected}").as_str()));
    assert_eq!(found.not_read, [""; 0]);
}

#[test]
fn a_plain_certificate() {
    let found = parts().read();
    assert_eq!((found.subject.as_deref(), found.issuer.as_deref()), (Some("CN=leaf"), Some("CN=Issuer")));
    assert_eq!((found.key_bits, found.serial.as_deref()), (Some(16), Some("1234")));
    assert_eq!((found.self_issued, found.is_ca), (Some(false), Some(false)));
    assert_eq!((found.not_read, found.notes), (vec![], vec![]));
}

#[test]
fn strings_of_every_kind_are_a_name() {
    subject(12, "M\u{fc}ller".as_bytes(), "M\u{fc}ller");
    subject(18, b"0815", "0815");
    subject(19, b"Printable", "Printable");
    subject(20, b"M\xfcller", "M\u{fc}ller");
    subject(22, b"ia5@example.org", "ia5@example.org");
    subject(26, b"visible", "visible");
    subject(27, b"general", "general");
    subject(28, &[0, 1, 0xf5, 0x12, 0, 0, 0, b'x'], "\u{1f512}x");
    subject(30, &[0x04, 0x1c, 0xd8, 0x3d, 0xdd, 0x12], "\u{41c}\u{1f512}");
    subject(12, b"", "");
}

#[test]
fn bytes_that_are_no_characters_do_not_lose_the_name() {
    subject(12, b"bad\xff\xfeutf8", r"bad\FF\FEutf8");
    subject(19, b"M\xfcller", r"M\FCller");
    subject(22, b"\xc3\x28", r"\C3(");
    subject(20, b"\x80\x9b31m", r"\C2\80\C2\9B31m");
    // Half a character, a lone surrogate, more than there are characters: as it is encoded.
    subject(30, &[0, 65, 0], "#1e03004100");
    subject(30, &[0xd8, 0x3d, 0, 65], "#1e04d83d0041");
    subject(28, &[0, 0x11, 0, 0], "#1c0400110000");
    subject(28, &[0, 0, 65], "#1c03000041");
    // What is no string.
    subject(3, &[0, 1], "#03020001");
    subject(INTEGER, &[1], "#020101");
    subject(0x30, &[], "#3000");
}

#[test]
fn values_are_escaped_by_rfc_4514() {
    subject(12, b"a, O=Forged", r"a\, O=Forged");
    subject(12, b"a + OU=b", r"a \+ OU=b");
    subject(12, br#"<"\;>"#, r#"\<\"\\\;\>"#);
    subject(12, b"#0101", r"\#0101");
    subject(12, b"a#", "a#");
    subject(12, b" a b ", r"\ a b\ ");
    subject(12, b" ", r"\ ");
    subject(12, b"good.test\0.evil.test", r"good.test\00.evil.test");
    subject(12, b"\n\x1b[31mCN=x\x7f", r"\0A\1B[31mCN=x\7F");
    subject(12, "a\u{202e}b".as_bytes(), r"a\E2\80\AEb");
    subject(12, "\u{f6} \u{1f512}".as_bytes(), "\u{f6} \u{1f512}");
}

#[test]
fn relative_names_of_several_values_and_of_none() {
    let two = [attribute("2.5.4.3", 12, b"a"), attribute("2.5.4.97", 12, b"VATDE-1")].concat();
    let found =
        Parts { subject: sequence(&[tlv(der::SET, &two), tlv(der::SET, &attribute("1.2.3", 12, b"x"))]), ..parts() };
    assert_eq!(found.read().subject.as_deref(), Some("CN=a + organizationIdentifier=VATDE-1, 1.2.3=x"));
    // What is no attribute is shown as it is, and takes nothing with it.
    for (odd, shown) in [
        (tlv(der::SET, &[]), "#3100"),
        (tlv(der::SET, &tlv(SEQUENCE, &[])), "#31023000"),
        (tlv(INTEGER, &[7]), "#020107"),
        (tlv(der::SET, &sequence(&[tlv(der::OID, &[0x55, 4, 0x80, 3]), tlv(12, b"x")])), "#310b3009060455048003"),
    ] {
        let subject =
            sequence(&[tlv(der::SET, &attribute("2.5.4.6", 19, b"DE")), odd, common_name(12, b"a")[2..].to_vec()]);
        let found = Parts { subject, ..parts() }.read();
        let text = found.subject.expect("a name");
        assert!(text.starts_with(&format!("C=DE, {shown}")) && text.ends_with(", CN=a"), "{text}");
        assert!(found.not_read[0].starts_with("subject: a part of it: "), "{:?}", found.not_read);
    }
    let cut = [tlv(der::SET, &attribute("2.5.4.6", 19, b"DE")), vec![0x31, 0x7f, 1]].concat();
    let found = Parts { subject: tlv(SEQUENCE, &cut), ..parts() }.read();
    assert_eq!(found.subject.as_deref(), Some("C=DE, #317f01"));
    let empty = Parts { subject: sequence(&[]), ..parts() }.read();
    assert_eq!((empty.subject.as_deref(), empty.not_read), (Some(""), vec![]));
}

#[test]
fn serial_numbers_have_their_sign() {
    let check = |body: &[u8], expected: &str| {
        assert_eq!(
            Parts { serial: tlv(INTEGER, body), ..parts() }.read().serial.as_deref(),
            Some(expected),
            "{body:02x?}"
        );
    };
    check(&[0xf4, 0x8e], "-0b72");
    check(&[0, 0xf4, 0x8e], "f48e");
    check(&[0], "00");
    check(&[0x7f; 40], &"7f".repeat(40));
}

#[test]
fn one_field_that_cannot_be_read_takes_no_other_with_it() {
    let check = |parts: Parts, reasons: &[&str]| {
        let found = parts.read();
        assert_eq!(found.not_read, reasons);
        let fields = [&found.serial, &found.issuer, &found.not_before, &found.subject, &found.key_type];
        assert_eq!(fields.iter().filter(|field| field.is_none()).count(), 1, "{found:?}");
        assert_eq!(found.signature_algorithm.as_deref(), Some("sha256WithRSAEncryption"));
        assert_eq!(found.sha256.map(|digest| digest.len()), Some(64));
    };
    check(Parts { serial: tlv(OCTET_STRING, &[1]), ..parts() }, &["serial: tag 0x04 in place of 0x02"]);
    check(Parts { serial: tlv(INTEGER, &[]), ..parts() }, &["serial: an illegal value"]);
    check(Parts { issuer: tlv(der::SET, &[]), ..parts() }, &["issuer: tag 0x31 in place of 0x30"]);
    check(Parts { subject: tlv(12, b"x"), ..parts() }, &["subject: tag 0x0c in place of 0x30"]);
    check(Parts { key: tlv(der::NULL, &[]), ..parts() }, &["key_type: tag 0x05 in place of 0x30"]);
    let times = |before: &[u8]| sequence(&[tlv(0x17, before), tlv(0x18, b"20500101000000Z")]);
    check(Parts { times: times(b"361231235960Z"), ..parts() }, &["not_before: no time in UTC: 361231235960Z"]);
    check(Parts { times: times(b"26\x1b[31m"), ..parts() }, &["not_before: no time in UTC: 26\\u{1b}[31m"]);
}

#[test]
fn times_before_1950_and_after_2050() {
    let check = |after: Vec<u8>, text: &str, unix: i64| {
        let found = Parts { times: sequence(&[tlv(0x18, b"19491231000000Z"), after]), ..parts() }.read();
        assert_eq!((found.not_after.as_deref(), found.not_after_unix), (Some(text), Some(unix)));
        assert_eq!(found.not_before.as_deref(), Some("1949-12-31T00:00:00Z"));
    };
    check(tlv(0x17, b"500101000000Z"), "1950-01-01T00:00:00Z", -631_152_000);
    check(tlv(0x18, b"20500101000000Z"), "2050-01-01T00:00:00Z", 2_524_608_000);
}

#[test]
fn a_key_is_as_large_as_its_number() {
    let check = |key: Vec<u8>, bits: Option<usize>, reasons: &[&str]| {
        let found = Parts { key, ..parts() }.read();
        assert_eq!((found.key_bits, found.not_read), (bits, reasons.iter().map(|r| (*r).to_owned()).collect()));
    };
    check(rsa(&[&[0x40][..], &[1; 255]].concat()), Some(2047), &[]);
    check(rsa(&[&[0, 0x80][..], &[1; 255]].concat()), Some(2048), &[]);
    check(rsa(&[&[2][..], &[1; 256]].concat()), Some(2050), &[]);
    check(rsa(&[0x80, 1]), None, &["key_bits: a negative number"]);
    check(rsa(&[0]), None, &["key_bits: zero"]);
    check(rsa(&[]), None, &["key_bits: an illegal value"]);
    let pss = |bits: &[u8]| key(&[oid("1.2.840.113549.1.1.10")], bits);
    check(pss(&sequence(&[tlv(INTEGER, &[0, 0x80, 0])])), Some(16), &[]);
    check(pss(b"junk"), None, &["key_bits: it ends too early"]);
    let dsa =
        |parameters: &[Vec<u8>]| key(&[&[oid("1.2.840.10040.4.1")], parameters].concat(), &tlv(INTEGER, &[1; 99]));
    check(dsa(&[sequence(&[tlv(INTEGER, &[0, 0x80, 0]), tlv(INTEGER, &[5])])]), Some(16), &[]);
    // Those of who signed it.
    check(dsa(&[]), None, &[]);
    check(dsa(&[tlv(der::NULL, &[])]), None, &["key_bits: tag 0x05 in place of 0x30"]);
    check(sequence(&[sequence(&[oid("1.2.840.113549.1.1.1")])]), None, &["key_bits: it ends too early"]);
}

#[test]
fn curves_named_spelled_out_inherited_and_unknown() {
    let check = |parameters: &[Vec<u8>], curve: Option<&str>, bits: Option<usize>, reasons: &[&str]| {
        let algorithm = [&[oid("1.2.840.10045.2.1")], parameters].concat();
        let found = Parts { key: key(&algorithm, &[4, 1, 2]), ..parts() }.read();
        assert_eq!((found.curve.as_deref(), found.key_bits), (curve, bits));
        assert_eq!(
            (found.key_type.as_deref(), found.not_read),
            (Some("EC"), reasons.iter().map(|r| (*r).to_owned()).collect())
        );
    };
    check(&[oid("1.3.36.3.3.2.8.1.1.9")], Some("brainpoolP320r1"), Some(320), &[]);
    check(&[oid("1.3.36.3.3.2.8.1.1.14")], Some("brainpoolP512t1"), Some(512), &[]);
    check(&[oid("1.3.132.0.32")], Some("secp224k1"), Some(224), &[]);
    check(&[oid("1.2.156.10197.1.301")], Some("curveSM2"), Some(256), &[]);
    check(&[oid("1.2.3.4")], Some("1.2.3.4"), None, &[]);
    check(&[tlv(der::NULL, &[])], Some("implicit"), None, &[]);
    check(&[], None, None, &["curve: it ends too early"]);
    check(&[tlv(INTEGER, &[1])], None, None, &["curve: tag 0x02 in place of 0x06"]);
    check(&[tlv(der::OID, &[0x80])], None, None, &["curve: an illegal value"]);
    let explicit = |kind: &str, parameter: Vec<u8>| sequence(&[tlv(INTEGER, &[1]), sequence(&[oid(kind), parameter])]);
    check(&[explicit("1.2.840.10045.1.1", tlv(INTEGER, &[1, 0, 1]))], Some("explicit"), Some(17), &[]);
    check(&[explicit("1.2.840.10045.1.2", sequence(&[tlv(INTEGER, &[2, 0x3b])]))], Some("explicit"), Some(571), &[]);
    let odd = "key_bits: an illegal value";
    check(&[explicit("1.2.840.10045.1.1", tlv(INTEGER, &[0x80]))], Some("explicit"), None, &[odd]);
    check(&[explicit("1.2.840.10045.1.2", sequence(&[tlv(INTEGER, &[1; 9])]))], Some("explicit"), None, &[odd]);
    check(&[explicit("1.2.3", tlv(INTEGER, &[5]))], Some("explicit"), None, &[odd]);
    check(&[sequence(&[])], Some("explicit"), None, &["key_bits: it ends too early"]);
}

#[test]
fn identifiers_that_real_certificates_have_are_named() {
    let signature = |identifier: &str, expected: &str| {
        let found = Parts { signed_with: sequence(&[oid(identifier)]), ..parts() }.read();
        assert_eq!(found.signature_algorithm.as_deref(), Some(expected));
    };
    signature("2.16.840.1.101.3.4.3.10", "ecdsa_with_SHA3-256");
    signature("2.16.840.1.101.3.4.3.14", "RSA-SHA3-256");
    signature("1.2.840.113549.1.1.16", "sha512-256WithRSAEncryption");
    signature("1.2.156.10197.1.501", "SM2-with-SM3");
    signature("1.2.643.7.1.1.3.2", "GOST R 34.10-2012 with GOST R 34.11-2012 (256 bit)");
    signature("2.16.840.1.101.3.4.3.20", "SLH-DSA-SHA2-128s");
    signature("1.2.3.4", "1.2.3.4");
    let kind = |algorithm: &[Vec<u8>], expected: &str, curve: Option<&str>, bits: Option<usize>| {
        let found = Parts { key: key(algorithm, &[1; 32]), ..parts() }.read();
        assert_eq!((found.key_type.as_deref(), found.curve.as_deref(), found.key_bits), (Some(expected), curve, bits));
        assert!(crate::rules::key(&found).is_some(), "{expected}");
    };
    kind(&[oid("2.16.840.1.101.3.4.4.2")], "ML-KEM-768", None, None);
    kind(&[oid("2.16.840.1.101.3.4.3.31")], "SLH-DSA-SHAKE-256f", None, None);
    let parameters = sequence(&[oid("1.2.643.7.1.2.1.1.1"), oid("1.2.643.7.1.1.2.2")]);
    let gost = "GOST R 34.10-2012 with 256 bit modulus";
    kind(&[oid("1.2.643.7.1.1.1.1"), parameters], gost, Some("GC256A"), Some(256));
    kind(&[oid("1.2.840.10045.2.1"), oid("1.2.156.10197.1.301")], "EC", Some("curveSM2"), Some(256));
    kind(&[oid("1.2.840.10045.2.1"), oid("1.3.36.3.3.2.8.1.1.10")], "EC", Some("brainpoolP320t1"), Some(320));
}

#[test]
fn alternative_names_beyond_256_are_counted() {
    let check = |count: usize, kept: usize, notes: &[&str]| {
        let names: Vec<Vec<u8>> = (0..count).map(|at| tlv(0x82, format!("h{at}.test").as_bytes())).collect();
        let found = Parts { extensions: vec![alternative_names(&names)], ..parts() }.read();
        assert_eq!((found.alternative_names.len(), found.alternative_name_count), (kept, count));
        assert_eq!(found.notes, notes);
    };
    check(0, 0, &[]);
    check(256, 256, &[]);
    check(257, 256, &["alternative_names_cut"]);
    check(300, 256, &["alternative_names_cut"]);
}

#[test]
fn one_alternative_name_that_is_odd_takes_no_other_with_it() {
    let names = [
        tlv(0x82, b"m\xfcller.test"),
        tlv(0x82, b"nul\0x.test"),
        tlv(0x82, br"back\x00slash"),
        tlv(0x87, &[127, 0, 0, 1]),
        tlv(0x87, &[1, 2, 3]),
        tlv(0x88, &[0x2a, 3]),
        tlv(0x88, &[0x80]),
        tlv(0xa0, &[oid("1.2.3"), tlv(context(0), &tlv(12, b"a, b"))].concat()),
        tlv(0xa0, b"junk"),
        tlv(0xa3, &[5, 0]),
        tlv(0xa4, &common_name(12, b"a, b")),
        tlv(0xa4, &[5, 0]),
        tlv(0xa5, &[5, 0]),
        tlv(0x89, &[1]),
        tlv(0x82, b"ok.test"),
    ];
    let found = Parts { extensions: vec![alternative_names(&names)], ..parts() }.read();
    let expected = [
        r"DNS:m\xfcller.test",
        r"DNS:nul\u{0}x.test",
        r"DNS:back\\x00slash",
        "IP:127.0.0.1",
        "IP:#010203",
        "RID:1.2.3",
        "RID:#80",
        r"other:1.2.3=a\, b",
        "other:#6a756e6b",
        "x400:#0500",
        r"directory:CN=a\, b",
        "directory:#0500",
        "ediParty:#0500",
        "[0x89]:#01",
        "DNS:ok.test",
    ];
    assert_eq!((found.alternative_names, found.not_read), (expected.map(str::to_owned).to_vec(), vec![]));
    let cut = extension("2.5.29.17", &tlv(SEQUENCE, &[&tlv(0x82, b"ok.test")[..], &[0x82, 99, 1]].concat()));
    let found = Parts { extensions: vec![cut, authority(&[0xff])], ..parts() }.read();
    assert_eq!(
        (found.alternative_names, found.not_read),
        (vec!["DNS:ok.test".to_owned()], vec!["alternative_names: it ends too early".to_owned()])
    );
    assert_eq!(found.is_ca, Some(true));
}

#[test]
fn extensions_that_stand_twice_or_cannot_be_read() {
    let check = |extensions: Vec<Vec<u8>>, is_ca: Option<bool>, notes: &[&str], faults: usize| {
        let found = Parts { extensions, ..parts() }.read();
        assert_eq!((found.is_ca, found.notes, found.not_read.len()), (is_ca, notes.to_vec(), faults));
        assert_eq!(found.subject.as_deref(), Some("CN=leaf"));
    };
    let twice = &["duplicate_extensions"][..];
    check(vec![authority(&[0xff])], Some(true), &[], 0);
    check(vec![authority(&[1])], Some(true), &[], 0);
    check(vec![authority(&[0])], Some(false), &[], 0);
    check(vec![authority(&[0xff]), authority(&[0xff])], Some(true), twice, 0);
    check(vec![authority(&[0xff]), authority(&[0])], None, twice, 0);
    check(vec![extension("2.5.29.19", &[5, 0])], None, &[], 1);
    check(vec![tlv(INTEGER, &[1])], None, &[], 1);
    check(vec![tlv(INTEGER, &[1]), authority(&[0xff])], Some(true), &[], 1);
    check(vec![extension("1.2.3.4", b"anything")], Some(false), &[], 0);
    let critical = sequence(&[oid("1.2.3.4"), tlv(BOOLEAN, &[0xff]), tlv(OCTET_STRING, b"unknown and critical")]);
    check(vec![critical], Some(false), &[], 0);
}

#[test]
fn version_1_bytes_after_it_and_a_signature_of_another_kind() {
    let old = Parts { version: vec![], ..parts() }.read();
    assert_eq!((old.subject.as_deref(), old.is_ca, old.not_read), (Some("CN=leaf"), Some(false), vec![]));
    let after = Certificate::parse(&[&parts().der()[..], &[0; 3]].concat());
    assert_eq!((after.subject.as_deref(), after.notes), (Some("CN=leaf"), vec!["trailing_bytes"]));
    let mut der = parts().der();
    let outer = der.len() - 5 - 13;
    let at = outer + der[outer..].iter().position(|byte| *byte == 0x0b).expect("the last arc");
    der[at] = 5;
    let found = Certificate::parse(&der);
    assert_eq!(
        (found.signature_algorithm.as_deref(), found.notes),
        (Some("sha1WithRSAEncryption"), vec!["signature_algorithms_differ"])
    );
}

/// Of BER, which OpenSSL reads too.
#[test]
fn a_certificate_without_lengths_is_read() {
    let der = parts().der();
    let inside = der.get(3..).filter(|_| der[1] == 0x83).map_or(&der[2..], |_| &der[5..]);
    let found = Certificate::parse(&[&[SEQUENCE, 0x80][..], inside, &[0, 0]].concat());
    assert_eq!((found.subject.as_deref(), found.not_read, found.notes), (Some("CN=leaf"), vec![], vec![]));
}

fn chain(certificates: &[Vec<u8>]) -> Vec<u8> {
    let with_length = |bytes: &[u8]| [&u32::try_from(bytes.len()).expect("short").to_be_bytes()[1..], bytes].concat();
    let list: Vec<u8> = certificates.iter().flat_map(|der| with_length(der)).collect();
    [&[CERTIFICATE][..], &with_length(&with_length(&list))].concat()
}

#[test]
fn what_cannot_be_read_keeps_its_place_in_the_chain() {
    let read = CertificateChain::parse(&chain(&[vec![0x30, 3, 2, 1, 5], vec![], parts().der()])).expect("a chain");
    let [first, second, third] = read.certificates.as_slice() else { panic!("{}", read.certificates.len()) };
    assert_eq!(first.not_read, ["certificate: tag 0x02 in place of 0x30"]);
    assert_eq!(first.sha256, Some(hex(&Sha256::digest([0x30, 3, 2, 1, 5]))));
    assert_eq!((&first.subject, first.self_issued, first.is_ca), (&None, None, None));
    assert_eq!(second.not_read, ["certificate: it ends too early"]);
    assert_eq!(third.subject.as_deref(), Some("CN=leaf"));
    assert_eq!((read.more, read.truncated, read.malformed), (0, false, false));
}

#[test]
fn a_certificate_of_which_not_all_is_there_has_a_place_and_no_digest() {
    let whole = chain(&[parts().der(), parts().der()]);
    let check = |bytes: &[u8], reason: &str| {
        let read = CertificateChain::parse(bytes).expect("a chain");
        let [first, second] = read.certificates.as_slice() else { panic!("{}", read.certificates.len()) };
        assert_eq!(first.subject.as_deref(), Some("CN=leaf"));
        assert_eq!((&second.subject, &second.sha256), (&None, &None));
        assert_eq!(second.not_read, [reason]);
    };
    check(&whole[..whole.len() - 1], "certificate: its end was not recorded");
    let mut beyond = whole.clone();
    let at = 7 + 3 + parts().der().len() + 2;
    beyond[at] += 1;
    check(&beyond, "certificate: its length goes beyond the list");
}

#[test]
fn a_long_chain_is_counted() {
    let read = CertificateChain::parse(&chain(&vec![parts().der(); 40])).expect("a chain");
    assert_eq!((read.certificates.len(), read.more), (32, 8));
    let empty = CertificateChain::parse(&chain(&[])).expect("a chain");
    assert_eq!((empty.certificates.len(), empty.more, empty.malformed), (0, 0, false));
}
