//! Endings of file names, with the dot. To teach crypto-trace a new one, add a row.
//!
//! Sources: RFC 7468, RFC 8551, PKCS#12 (RFC 7292), JWK (RFC 7517), time stamps (RFC 3161), the manuals of `keytool`, GnuPG,
//! `openssl-format-options(1)`, `dnssec-keygen(1)`, `signify(1)`, `minisign(1)`, `age(1)`, `tor(1)`, `sbsiglist(1)`,
//! `softhsm2.conf(5)`, `openvpn(8)`, `wg(8)`.

use super::FileType;
use super::Strength::{self, Alone, Only, WithSign};

/// Words of what publishes signatures.
const SIGNATURES: &[&str] = &[
    "sig",
    "signature",
    "signatures",
    "signed",
    "openpgp",
    "pgp",
    "gpg",
    "sshsig",
    "minisign",
    "signify",
    "msg",
    "quote",
];

/// Words of private keys.
const KEYS: &[&str] = &[
    "key", "keys", "rsa", "dsa", "ec", "ecdsa", "ed", "mok", "tinc", "secrets", "sign", "signing", "tpm", "certify",
    "dkim", "dkimkeys", "opendkim", "dnssec", "bind", "named", "private", "priv",
];

/// Words of Java's key stores.
const STORES: &[&str] =
    &["key", "keys", "keystore", "cert", "certs", "ssl", "tls", "trust", "truststore", "security", "wallet"];

/// Matched without regard to ASCII case against what is behind the last dot.
///
/// `WithSign`: other programs use the ending as well, so that it says little without a second sign (`judge.rs`).
pub const SUFFIXES: &[(&str, FileType, Strength)] = &[
    (".pem", FileType::Certificate, Alone),
    (".crt", FileType::Certificate, Alone),
    (".cer", FileType::Certificate, Alone),
    (".cert", FileType::Certificate, WithSign),
    (".der", FileType::Certificate, Alone),
    (".p7b", FileType::Certificate, Alone),
    (".p7c", FileType::Certificate, Alone),
    (
        ".spc",
        FileType::Certificate,
        Only(&["cert", "certs", "certificate", "codesign", "authenticode", "sign", "signing"]),
    ),
    (".pkipath", FileType::Certificate, Alone),
    (".esl", FileType::Certificate, Only(&["efi", "uefi", "secureboot", "keys", "pk", "kek", "db", "dbx", "mok"])),
    (".key", FileType::PrivateKey, WithSign),
    (
        ".keys",
        FileType::PrivateKey,
        Only(&["age", "ntp", "chrony", "key", "keys", "trust", "ssl", "tls", "ssh", "dnssec", "root"]),
    ),
    (".p8", FileType::PrivateKey, Alone),
    (".pk8", FileType::PrivateKey, Alone),
    (".pkcs8", FileType::PrivateKey, Alone),
    (".pvk", FileType::PrivateKey, Alone),
    (".ppk", FileType::PrivateKey, Alone),
    (".priv", FileType::PrivateKey, Only(KEYS)),
    (".private", FileType::PrivateKey, Only(KEYS)),
    (".sec", FileType::PrivateKey, Only(&["key", "keys", "signify", "secret"])),
    (".sk", FileType::PrivateKey, Only(&["sshkeydir", "tinyssh", "keys", "ed", "nistp", "ecdsa", "key"])),
    (".pk", FileType::PublicKey, Only(&["sshkeydir", "tinyssh", "keys", "ed", "nistp", "ecdsa", "key"])),
    (".jwk", FileType::PrivateKey, Alone),
    (".jwks", FileType::PublicKey, Alone),
    (".auth_private", FileType::PrivateKey, Alone),
    (".auth", FileType::Signature, Only(&["efi", "uefi", "secureboot", "pk", "kek", "dbx", "mok"])),
    (".secrets", FileType::PrivateKey, Only(&["ipsec", "strongswan", "libreswan"])),
    (".pub", FileType::PublicKey, Alone),
    (".mkeys", FileType::PublicKey, Only(&["bind", "named", "dns", "view", "viewname", "keys"])),
    (".p12", FileType::Keystore, Alone),
    (".pkcs12", FileType::Keystore, Alone),
    (".pfx", FileType::Keystore, Alone),
    (".jks", FileType::Keystore, Alone),
    (".jceks", FileType::Keystore, Alone),
    (".bks", FileType::Keystore, Only(STORES)),
    (".bcfks", FileType::Keystore, Alone),
    (".keystore", FileType::Keystore, Alone),
    (".ks", FileType::Keystore, Only(STORES)),
    (
        ".kdb",
        FileType::Keystore,
        Only(&[
            "key",
            "keys",
            "ssl",
            "gsk",
            "keepass",
            "keepassx",
            "cert",
            "certs",
            "password",
            "passwords",
            "qm",
            "mqm",
        ]),
    ),
    (".kdbx", FileType::Keystore, Alone),
    (".sso", FileType::Keystore, Only(&["wallet", "oracle", "cwallet"])),
    (".kbx", FileType::Keystore, Alone),
    (".object", FileType::Keystore, Only(&["softhsm", "tokens"])),
    (".keyring", FileType::Keystore, Alone),
    (".kwl", FileType::Keystore, Only(&["kwallet", "kwalletd", "wallet"])),
    (".truststore", FileType::TrustStore, Alone),
    (".p11-kit", FileType::TrustStore, Alone),
    (".csr", FileType::CertificateRequest, Alone),
    (".p10", FileType::CertificateRequest, Alone),
    (".req", FileType::CertificateRequest, WithSign),
    (".tsq", FileType::CertificateRequest, Alone),
    (".crl", FileType::RevocationList, Alone),
    (".tsr", FileType::Signature, Alone),
    (".p7s", FileType::Signature, Alone),
    (".p7m", FileType::Signature, Alone),
    (".sig", FileType::Signature, Only(SIGNATURES)),
    (".sign", FileType::Signature, Only(SIGNATURES)),
    (".minisig", FileType::Signature, Alone),
    (".asc", FileType::Pgp, WithSign),
    (".gpg", FileType::Pgp, Alone),
    (".pgp", FileType::Pgp, Alone),
    (".rev", FileType::Pgp, Only(&["gnupg", "revocs", "openpgp", "gpg", "pgp"])),
    (".keytab", FileType::Keytab, WithSign),
    (".ovpn", FileType::CryptoConfig, Alone),
    (".age", FileType::Unknown, Only(&["age", "secrets", "secret", "key", "keys", "identity", "sops", "passage"])),
];
