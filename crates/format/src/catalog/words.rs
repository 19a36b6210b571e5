//! What the words in the name of a file or directory say of its content.

use super::FileType;

/// Words of a name in lower case: runs of letters, cut where a capital follows a small letter, and before `key`, `cert` and their
/// like where what is before them is a word of its own (`cakey`, `servercert`; but not `monkey`).
pub fn words(name: &[u8]) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut word: Vec<u8> = Vec::new();
    let mut was_small = false;
    let mut skip = 0;
    for (at, byte) in name.iter().enumerate() {
        if let Some(standard) = standard_at(name, at) {
            if !word.is_empty() {
                push(&mut found, std::mem::take(&mut word));
            }
            found.push(standard.as_bytes().to_vec());
            skip = standard.len();
        }
        if skip > 0 {
            skip -= 1;
            was_small = false;
            continue;
        }
        let ends = !byte.is_ascii_alphabetic() || (was_small && byte.is_ascii_uppercase());
        if ends && !word.is_empty() {
            push(&mut found, std::mem::take(&mut word));
        }
        if byte.is_ascii_alphabetic() {
            word.push(byte.to_ascii_lowercase());
        }
        was_small = byte.is_ascii_lowercase();
    }
    if !word.is_empty() {
        push(&mut found, word);
    }
    found
}

/// A standard whose number belongs to its name, where one begins.
fn standard_at(name: &[u8], at: usize) -> Option<&'static str> {
    const STANDARDS: &[&str] = &["x509", "pkcs7", "pkcs8", "pkcs10", "pkcs12"];
    let begins_word =
        at.checked_sub(1).and_then(|before| name.get(before)).is_none_or(|byte| !byte.is_ascii_alphabetic());
    let here = |standard: &&&str| {
        name.get(at..at + standard.len()).is_some_and(|part| part.eq_ignore_ascii_case(standard.as_bytes()))
    };
    if begins_word { STANDARDS.iter().rev().find(here).copied() } else { None }
}

fn push(found: &mut Vec<Vec<u8>>, word: Vec<u8>) {
    for tail in TAILS {
        if let Some(head) = word.strip_suffix(tail.as_bytes())
            && contains(HEADS, head)
        {
            found.push(head.to_vec());
            found.push(tail.as_bytes().to_vec());
            return;
        }
    }
    found.push(word);
}

/// Whether a word is in a list.
pub fn contains(list: &[&str], word: &[u8]) -> bool {
    list.iter().any(|known| known.as_bytes() == word)
}

/// What often stands at the end of a word.
const TAILS: &[&str] = &[
    "key",
    "keys",
    "cert",
    "certs",
    "crt",
    "certificate",
    "req",
    "csr",
    "crl",
    "param",
    "params",
    "pubkey",
    "privkey",
    "pub",
];

/// What may stand before one of [`TAILS`].
const HEADS: &[&str] = &[
    "a", "aa", "ac", "account", "acme", "b", "c", "ca", "cl", "client", "cluster", "db", "device", "dh", "dkim", "dsa",
    "ec", "ecc", "ecdh", "ecdsa", "host", "https", "id", "ima", "evm", "int", "inter", "issuer", "jwt", "kek", "key",
    "kubelet", "leaf", "master", "my", "new", "node", "old", "peer", "pk", "platform", "priv", "private", "proxy",
    "pub", "public", "ra", "root", "rsa", "s", "sa", "self", "server", "service", "session", "sig", "sign", "signing",
    "site", "ssh", "ssl", "sub", "ta", "test", "tls", "tmp", "tpm", "tsa", "tss", "user", "vpn", "web", "x",
];

const PRIVATE: &[&str] = &["key", "keys", "privkey", "privatekey", "private", "priv", "secretkey", "skey", "pkcs8"];
const PUBLIC: &[&str] = &["pub", "pubkey", "public", "publickey", "spki", "capubs"];
const REQUEST: &[&str] = &["csr", "req", "reqs", "request", "requests", "pkcs10"];
const REVOCATION: &[&str] = &["crl", "crls", "revocation", "revoked"];
const PARAMETERS: &[&str] = &["dh", "dhparam", "dhparams", "dhp", "dhpx", "dsap", "param", "params", "parameters"];
const CERTIFICATE: &[&str] =
    &["cert", "certs", "certificate", "certificates", "crt", "chain", "fullchain", "x509", "newcerts", "pkcs7"];
const TRUST: &[&str] = &["bundle", "truststore", "cacerts", "roots", "trust", "trusted", "cabundle"];

/// What a file holds by the words of its name: the last word that says something decides, for `client-cert-key` is a key and
/// `key-cert` a certificate; but a public key stays one.
pub fn content(words: &[Vec<u8>]) -> Option<FileType> {
    let mut found = None;
    for (at, word) in words.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| words.get(at)).map(Vec::as_slice);
        let of_cas = matches!(before, Some(b"ca" | b"root" | b"mozilla"));
        found = match () {
            () if contains(PUBLIC, word) => Some(FileType::PublicKey),
            () if found == Some(FileType::PublicKey) && matches!(&word[..], b"key" | b"keys") => found,
            () if contains(PRIVATE, word) => Some(FileType::PrivateKey),
            () if contains(REQUEST, word) => Some(FileType::CertificateRequest),
            () if contains(REVOCATION, word) => Some(FileType::RevocationList),
            () if contains(PARAMETERS, word) => Some(FileType::Parameters),
            () if of_cas && matches!(&word[..], b"certs" | b"certificates" | b"db") => Some(FileType::TrustStore),
            () if contains(TRUST, word) => Some(FileType::TrustStore),
            () if found == Some(FileType::TrustStore) && contains(CERTIFICATE, word) => found,
            () if contains(CERTIFICATE, word) => Some(FileType::Certificate),
            () => found,
        };
    }
    found
}

/// Words of directories that keep cryptography, or programs that do.
const PLACES: &[&str] = &[
    "acme",
    "age",
    "auth",
    "bind",
    "ca",
    "cas",
    "cert",
    "certbot",
    "certificate",
    "certificates",
    "certs",
    "chrony",
    "crypto",
    "cryptography",
    "dkim",
    "dkimkeys",
    "dns",
    "dnssec",
    "docker",
    "dovecot",
    "dropbear",
    "exim",
    "gnupg",
    "gnutls",
    "gpg",
    "haproxy",
    "https",
    "ima",
    "ipsec",
    "jose",
    "jwk",
    "jwt",
    "kerberos",
    "keyring",
    "keyrings",
    "keys",
    "keystore",
    "knot",
    "krb",
    "kube",
    "kubernetes",
    "letsencrypt",
    "luks",
    "minisign",
    "named",
    "nginx",
    "nss",
    "nssdb",
    "openpgp",
    "openssh",
    "openssl",
    "opendkim",
    "openvpn",
    "pgp",
    "pki",
    "postgresql",
    "private",
    "sbctl",
    "secrets",
    "secureboot",
    "shim",
    "signify",
    "signing",
    "softhsm",
    "sops",
    "ssh",
    "ssl",
    "strongswan",
    "swanctl",
    "tang",
    "tinc",
    "tls",
    "tor",
    "trust",
    "trusted",
    "truststore",
    "unbound",
    "vpn",
    "wireguard",
    "x509",
    "xmldsig",
];

/// Words of names that go with keys and certificates.
const NAMES: &[&str] = &[
    "account",
    "acme",
    "archive",
    "automatic",
    "ca",
    "client",
    "cluster",
    "dkim",
    "dsa",
    "ecdsa",
    "ed",
    "gpg",
    "host",
    "https",
    "ima",
    "identity",
    "jwt",
    "keyring",
    "krb",
    "localhost",
    "luks",
    "node",
    "openpgp",
    "peer",
    "pgp",
    "pki",
    "proxy",
    "release",
    "root",
    "rsa",
    "sa",
    "secret",
    "secrets",
    "selfsigned",
    "server",
    "session",
    "sign",
    "signature",
    "signed",
    "signing",
    "smime",
    "snakeoil",
    "ssh",
    "ssl",
    "static",
    "ta",
    "tls",
    "tsig",
    "user",
    "vpn",
    "wildcard",
];

/// Whether a directory speaks of cryptography.
pub fn is_place(words: &[Vec<u8>]) -> bool {
    words.iter().any(|word| contains(PLACES, word))
}

/// Whether a name does, beside its ending.
pub fn is_sign(words: &[Vec<u8>]) -> bool {
    content(words).is_some() || words.iter().any(|word| contains(NAMES, word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_into_words() {
        let check = |name: &str, expected: &str| {
            let found: Vec<String> =
                words(name.as_bytes()).into_iter().map(|word| String::from_utf8_lossy(&word).into_owned()).collect();
            assert_eq!(found.join(" "), expected, "{name}");
        };
        check("site-key", "site key");
        check("monkey", "monkey");
        check("cakey", "ca key");
        check("servercert", "server cert");
        check("moonReqNew", "moon req new");
        check("privkey12", "priv key");
        check("dh_2048", "dh");
        check("", "");
    }

    #[test]
    fn the_last_word_that_says_something_decides() {
        let check =
            |name: &str, expected: Option<FileType>| assert_eq!(content(&words(name.as_bytes())), expected, "{name}");
        check("client-cert-key", Some(FileType::PrivateKey));
        check("public_key", Some(FileType::PublicKey));
        check("myReq", Some(FileType::CertificateRequest));
        check("ca-certs", Some(FileType::TrustStore));
        check("curl-ca-bundle", Some(FileType::TrustStore));
        check("trusted-certs", Some(FileType::TrustStore));
        check("dhkey", Some(FileType::PrivateKey));
        check("logsrvd_dhparams", Some(FileType::Parameters));
        check("example", None);
    }
}
