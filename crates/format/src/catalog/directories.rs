//! Directories all of whose files are recorded. To teach crypto-trace a new one, add a row.

use super::FileType;

/// By their one or two last components, matched exactly; and what a file there is, when its name does not say otherwise. `None`:
/// its name has to say it.
pub const DIRECTORIES: &[(&str, Option<FileType>)] = &[
    // TLS.
    ("ssl/private", Some(FileType::PrivateKey)),
    ("tls/private", Some(FileType::PrivateKey)),
    ("pki/private", Some(FileType::PrivateKey)),
    ("certs/private", Some(FileType::PrivateKey)),
    ("ssl/certs", Some(FileType::Certificate)),
    ("tls/certs", Some(FileType::Certificate)),
    ("letsencrypt/keys", Some(FileType::PrivateKey)),
    ("source/anchors", Some(FileType::Certificate)),
    ("trust-source/anchors", Some(FileType::Certificate)),
    // VPN.
    ("ipsec.d/private", Some(FileType::PrivateKey)),
    ("ipsec.d/certs", Some(FileType::Certificate)),
    ("ipsec.d/cacerts", Some(FileType::Certificate)),
    ("ipsec.d/aacerts", Some(FileType::Certificate)),
    ("ipsec.d/acerts", Some(FileType::Certificate)),
    ("ipsec.d/ocspcerts", Some(FileType::Certificate)),
    ("ipsec.d/crls", Some(FileType::RevocationList)),
    ("swanctl/private", Some(FileType::PrivateKey)),
    ("swanctl/rsa", Some(FileType::PrivateKey)),
    ("swanctl/ecdsa", Some(FileType::PrivateKey)),
    ("swanctl/pkcs8", Some(FileType::PrivateKey)),
    ("swanctl/bliss", Some(FileType::PrivateKey)),
    ("swanctl/pkcs12", Some(FileType::Keystore)),
    ("swanctl/pubkey", Some(FileType::PublicKey)),
    ("swanctl/x509", Some(FileType::Certificate)),
    ("swanctl/x509ca", Some(FileType::Certificate)),
    ("swanctl/x509aa", Some(FileType::Certificate)),
    ("swanctl/x509ac", Some(FileType::Certificate)),
    ("swanctl/x509ocsp", Some(FileType::Certificate)),
    ("swanctl/x509crl", Some(FileType::RevocationList)),
    ("etc/wireguard", Some(FileType::PrivateKey)),
    // SSH.
    (".ssh", Some(FileType::PrivateKey)),
    ("etc/ssh", None),
    ("sshd_config.d", Some(FileType::CryptoConfig)),
    ("ssh_config.d", Some(FileType::CryptoConfig)),
    ("known_hosts.d", Some(FileType::AuthorizedKeys)),
    ("authorized_keys.d", Some(FileType::AuthorizedKeys)),
    ("sshkeydir", Some(FileType::PrivateKey)),
    // OpenPGP, S/MIME.
    ("private-keys-v1.d", Some(FileType::PrivateKey)),
    ("openpgp-revocs.d", Some(FileType::Pgp)),
    ("public-keys.d", Some(FileType::Keystore)),
    ("crls.d", Some(FileType::RevocationList)),
    ("gnupg/trusted-certs", Some(FileType::Certificate)),
    ("gnupg/extra-certs", Some(FileType::Certificate)),
    ("rpm-gpg", Some(FileType::Pgp)),
    (".smime/keys", Some(FileType::PrivateKey)),
    (".smime/certificates", Some(FileType::Certificate)),
    // Others.
    ("tor/keys", Some(FileType::PrivateKey)),
    ("authorized_clients", Some(FileType::AuthorizedKeys)),
    ("onion_auth", Some(FileType::PrivateKey)),
    ("dkimkeys", Some(FileType::PrivateKey)),
    ("dkim/keys", Some(FileType::PrivateKey)),
    ("opendkim/keys", Some(FileType::PrivateKey)),
    ("krb5kdc", None),
    ("borg/keys", Some(FileType::PrivateKey)),
    ("etc/keys", Some(FileType::PrivateKey)),
    ("run/secrets", Some(FileType::Credentials)),
];
