//! What names of SSH are made of, as names of the catalog: `data/ssh.toml`.

use super::parts;
use crate::protocol::ssh::{Agreed, HostKey};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Names of one sort, and what they are made of.
type Names = BTreeMap<String, Vec<String>>;

/// Bytes of a name that are told; RFC 4251 allows no longer ones than 64.
const MAX_NAME: usize = 255;

/// Smallest group of RFC 9142, section 3.2.1, in bits.
const SMALLEST_GROUP: u32 = 2_048;

/// A group below it, as the catalog has it.
const SMALL_GROUP: &str = "generated group below 2048 bits";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    kex: Names,
    group: BTreeMap<String, u32>,
    host_key: Names,
    cipher: Names,
    mac: Names,
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    // It is part of the program: a test reads it, so that this cannot fail for a user.
    TABLE.get_or_init(|| {
        toml::from_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/ssh.toml"))).unwrap_or_default()
    })
}

/// The row of a name, or of the longest beginning of it that has one.
fn row<'t, T>(names: &'t BTreeMap<String, T>, name: &str) -> Option<&'t T> {
    let begins = |(known, _): &(&String, &T)| known.strip_suffix('*').is_some_and(|start| name.starts_with(start));
    names.get(name).or_else(|| names.iter().filter(begins).max_by_key(|(known, _)| known.len()).map(|(_, row)| row))
}

/// What a name is made of; itself, of any letters and not longer than is of use, where that is not known.
fn parts_of(names: &Names, name: &[u8]) -> Vec<String> {
    let name = String::from_utf8_lossy(name.get(..MAX_NAME).unwrap_or(name));
    row(names, &name).cloned().unwrap_or_else(|| vec![name.into_owned()])
}

/// The method of key exchange, and the group that the server chose, if it did, in bits.
pub fn ssh_key_exchange(agreed: &Agreed, group_bits: Option<u32>) -> Vec<String> {
    let mut names = agreed.kex.as_deref().map(|kex| parts_of(&table().kex, kex)).unwrap_or_default();
    if let Some(bits) = group_bits {
        names.push(parts::finite_field(bits).to_owned());
        if bits < SMALLEST_GROUP {
            names.push(SMALL_GROUP.to_owned());
        }
    }
    names
}

/// Bits of the group that a method names.
pub fn ssh_group_bits(kex: &[u8]) -> Option<u32> {
    row(&table().group, std::str::from_utf8(kex).ok()?).copied()
}

/// How the server signs.
pub fn ssh_signature(agreed: &Agreed) -> Vec<String> {
    let Some(name) = agreed.host_key.as_deref() else { return Vec::new() };
    parts_of(&table().host_key, name.strip_suffix(b"-cert-v01@openssh.com").unwrap_or(name))
}

/// Ciphers and codes of both directions, each once.
pub fn ssh_ciphers(agreed: &Agreed) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for direction in [&agreed.to_server, &agreed.to_client] {
        let ciphers = direction.cipher.as_deref().map(|name| parts_of(&table().cipher, name));
        // Without a code nothing authenticates, which no row says.
        let mac = direction.mac.as_deref().filter(|name| *name != b"none").map(|name| parts_of(&table().mac, name));
        for name in ciphers.into_iter().chain(mac).flatten() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// A host key by its size, and what has that size: `RSA`, `DSA`, `EC`. None of a kind that is not known.
pub fn ssh_host_key(key: &HostKey) -> Option<(String, Option<(&'static str, u32)>)> {
    let kind = std::str::from_utf8(&key.key_type).ok()?;
    let kind = kind.strip_suffix("-cert-v01@openssh.com").unwrap_or(kind);
    let sized = |what: &'static str, name: &str| Some((name.to_owned(), key.bits.map(|bits| (what, bits))));
    match kind {
        "ssh-rsa" => sized("RSA", parts::rsa(key.bits?)),
        "ssh-dss" => sized("DSA", parts::dsa(key.bits?)),
        "ecdsa-sha2-nistp256" => sized("EC", "ECDSA secp256r1"),
        "ecdsa-sha2-nistp384" => sized("EC", "ECDSA secp384r1"),
        "ecdsa-sha2-nistp521" => sized("EC", "ECDSA secp521r1"),
        "ecdsa-sha2-1.3.132.0.10" => sized("EC", "ECDSA secp256k1"),
        "ssh-ed25519" => Some(("Ed25519".to_owned(), None)),
        "ssh-ed448" => Some(("Ed448".to_owned(), None)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{algorithm, assess};

    #[test]
    fn the_table_is_read_whole_and_speaks_of_the_catalog() {
        let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/ssh.toml"));
        let table: Table = toml::from_str(text).expect("valid");
        assert!(table.kex.len() > 30 && table.cipher.len() > 25);
        for (name, parts) in [&table.kex, &table.host_key, &table.cipher, &table.mac].into_iter().flatten() {
            assert!(!parts.is_empty(), "{name}");
            for part in parts {
                assert!(algorithm(part).is_some(), "{part} of {name} has no row");
            }
        }
        assert!(algorithm(SMALL_GROUP).is_some());
    }

    #[test]
    fn names_are_known_whole_or_by_how_they_begin() {
        let kex = |name: &str| parts_of(&table().kex, name.as_bytes());
        assert_eq!(kex("curve25519-sha256@libssh.org"), ["x25519", "SHA-256"]);
        assert_eq!(kex("gss-group14-sha256-toWM5Slw5Ew8Mqkay+al2g=="), ["DH-2048", "SHA-256"]);
        assert_eq!(kex("gss-group14-sha1-toWM5Slw5Ew8Mqkay+al2g=="), ["gss-group14-sha1", "DH-2048", "SHA-1"]);
        assert_eq!(kex("own@example.test\x1b"), ["own@example.test\x1b"]);
        let bits = ["diffie-hellman-group1-sha1", "diffie-hellman-group14-sha256", "gss-group18-sha512-x", "x"];
        assert_eq!(bits.map(|name| ssh_group_bits(name.as_bytes())), [Some(1024), Some(2048), Some(8192), None]);
        assert_eq!(parts_of(&table().mac, b"hmac-sha2-512-etm@openssh.com"), ["HMAC-SHA-512"]);
        assert_eq!(parts_of(&table().mac, b"hmac-sha1-96"), ["HMAC-SHA-1"]);
    }

    #[test]
    fn groups_and_keys_are_worth_what_their_size_is() {
        let agreed = Agreed { kex: Some(b"diffie-hellman-group-exchange-sha256"[..].into()), ..Agreed::default() };
        let names = |bits| ssh_key_exchange(&agreed, bits);
        assert_eq!(names(None), ["SHA-256"]);
        assert_eq!(names(Some(1_536)), ["SHA-256", "DH-1024", SMALL_GROUP]);
        assert_eq!(names(Some(3_072)), ["SHA-256", "DH-3072"]);
        let key = |kind: &str, bits| HostKey { key_type: kind.as_bytes().into(), bits, ..HostKey::default() };
        let known = |kind: &str, bits| ssh_host_key(&key(kind, bits));
        assert_eq!(known("ssh-rsa-cert-v01@openssh.com", Some(2_047)), Some(("RSA-1024".into(), Some(("RSA", 2_047)))));
        assert_eq!(known("ssh-dss", Some(1_024)), Some(("DSA-1024".into(), Some(("DSA", 1_024)))));
        assert_eq!(known("ssh-ed25519", Some(256)), Some(("Ed25519".into(), None)));
        assert_eq!(known("own@example.test", None), None);
        let koblitz = known("ecdsa-sha2-1.3.132.0.10", Some(256));
        assert_eq!(koblitz, Some(("ECDSA secp256k1".into(), Some(("EC", 256)))));
    }

    /// They were not in the catalog, so no rule spoke of them; umac-64 is what OpenSSH offers first.
    #[test]
    fn names_of_vendors_and_numbers_of_curves_are_of_the_catalog() {
        let table = table();
        for (of, name, parts) in [
            (&table.kex, "ecdh-sha2-1.3.132.0.10", &["secp256k1", "SHA-256"][..]),
            (&table.kex, "diffie-hellman-group-exchange-sha512@ssh.com", &["SHA-512"]),
            (&table.kex, "diffie-hellman-group14-sha224@ssh.com", &["DH-2048", "SHA-224"]),
            (&table.host_key, "ssh-rsa-sha224@ssh.com", &["RSA signature", "SHA-224 signature hash"]),
            (&table.host_key, "ecdsa-sha2-1.3.132.0.10", &["ECDSA", "SHA-256"]),
            (&table.cipher, "seed-cbc@ssh.com", &["SEED"]),
            (&table.mac, "umac-64-etm@openssh.com", &["UMAC-64"]),
            (&table.mac, "hmac-sha2-384", &["HMAC-SHA-384"]),
        ] {
            assert_eq!(parts_of(of, name.as_bytes()), parts, "{name}");
        }
        assert_eq!(ssh_group_bits(b"diffie-hellman-group18-sha512@ssh.com"), Some(8192));
    }

    #[test]
    fn rules_of_the_ietf_speak_of_ssh() {
        let says = |name: &str| -> Vec<&str> {
            let found = assess(name, "2026-11-29".parse().expect("a day"));
            let of_ssh = found.iter().filter(|finding| finding.document.protocol.as_deref() == Some("ssh"));
            of_ssh.map(|finding| &*finding.document.id).collect()
        };
        assert_eq!(says("diffie-hellman-group1-sha1"), ["RFC 9142", "RFC 9142"]);
        assert_eq!(says("diffie-hellman-group14-sha1"), ["RFC 9142"]);
        assert_eq!(says("rsa1024-sha1"), ["RFC 9142", "RFC 9142"]);
        assert_eq!(says(SMALL_GROUP), ["RFC 9142", "RFC 8270"]);
        assert_eq!(says("RC4-128"), ["RFC 8758"]);
        assert_eq!(says("ssh-rsa"), ["RFC 8332"]);
        assert_eq!(says("NULL"), ["RFC 4253"]);
        assert_eq!(says("x25519"), [""; 0]);
    }
}
