//! Whole names of files. To teach crypto-trace a new one, add a row; `judge.rs` knows families of names beyond these.
//!
//! Sources: the FILES sections of `ssh(1)`, `sshd(8)`, `ssh-keygen(1)`, `dropbear(8)`, `gpg(1)`, `gpgsm(1)`, `gpg-agent(1)`,
//! `dirmngr(8)`, `tor(1)`, `tor-gencert(1)`, `tinc.conf(5)`, `krb5.conf(5)`, `kdc.conf(5)`, `kstash(8)`, `ipsec.conf(5)`,
//! `swanctl.conf(5)`, `softhsm2.conf(5)`, `chrony.conf(5)`, `ntp.conf(5)`, `rndc(8)`, `delv(1)`, `unbound-anchor(8)`,
//! `certbot(7)`, `wg(8)`, `mokutil(1)`, `keytool`, and the NSS tools' `certutil(1)`.

use super::FileType;

/// Where a name means that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Anywhere.
    Anywhere,
    /// Surely only below a directory in whose name one of these words stands; else it is a guess.
    Below(&'static [&'static str]),
}

use Place::{Anywhere, Below};

/// Words of directories of SSH.
const SSH: &[&str] = &["ssh", "dropbear", "sshd"];

/// Matched exactly.
pub const EXACT_NAMES: &[(&str, FileType, Place)] = &[
    // OpenSSH.
    ("id_rsa", FileType::PrivateKey, Anywhere),
    ("id_dsa", FileType::PrivateKey, Anywhere),
    ("id_ecdsa", FileType::PrivateKey, Anywhere),
    ("id_ecdsa_sk", FileType::PrivateKey, Anywhere),
    ("id_ed25519", FileType::PrivateKey, Anywhere),
    ("id_ed25519_sk", FileType::PrivateKey, Anywhere),
    ("id_xmss", FileType::PrivateKey, Anywhere),
    ("id_mldsa44-ed25519", FileType::PrivateKey, Anywhere),
    ("id_dropbear", FileType::PrivateKey, Anywhere),
    ("identity", FileType::PrivateKey, Below(&["ssh", "age", "dropbear"])),
    ("ssh_host_key", FileType::PrivateKey, Anywhere),
    ("ssh_host_rsa_key", FileType::PrivateKey, Anywhere),
    ("ssh_host_dsa_key", FileType::PrivateKey, Anywhere),
    ("ssh_host_ecdsa_key", FileType::PrivateKey, Anywhere),
    ("ssh_host_ed25519_key", FileType::PrivateKey, Anywhere),
    ("ssh_host_ca_key", FileType::PrivateKey, Anywhere),
    ("google_compute_engine", FileType::PrivateKey, Anywhere),
    ("authorized_keys", FileType::AuthorizedKeys, Anywhere),
    ("authorized_keys2", FileType::AuthorizedKeys, Anywhere),
    ("authorized_principals", FileType::AuthorizedKeys, Anywhere),
    ("allowed_signers", FileType::AuthorizedKeys, Anywhere),
    ("revoked_keys", FileType::RevocationList, Below(SSH)),
    ("known_hosts", FileType::AuthorizedKeys, Anywhere),
    ("known_hosts2", FileType::AuthorizedKeys, Anywhere),
    ("ssh_known_hosts", FileType::AuthorizedKeys, Anywhere),
    ("ssh_known_hosts2", FileType::AuthorizedKeys, Anywhere),
    ("shosts.equiv", FileType::AuthorizedKeys, Anywhere),
    (".shosts", FileType::AuthorizedKeys, Anywhere),
    ("ssh_config", FileType::CryptoConfig, Anywhere),
    ("sshd_config", FileType::CryptoConfig, Anywhere),
    // Dropbear.
    ("dropbear_rsa_host_key", FileType::PrivateKey, Anywhere),
    ("dropbear_dss_host_key", FileType::PrivateKey, Anywhere),
    ("dropbear_ecdsa_host_key", FileType::PrivateKey, Anywhere),
    ("dropbear_ed25519_host_key", FileType::PrivateKey, Anywhere),
    // Stores of trusted certificates.
    (
        "cacerts",
        FileType::TrustStore,
        Below(&["security", "java", "jvm", "jre", "ssl", "pki", "tls", "certs", "trust"]),
    ),
    ("jssecacerts", FileType::TrustStore, Anywhere),
    ("ca-certificates.crt", FileType::TrustStore, Anywhere),
    ("ca-certificates.conf", FileType::CryptoConfig, Anywhere),
    ("ca-bundle.crt", FileType::TrustStore, Anywhere),
    ("ca-bundle.pem", FileType::TrustStore, Anywhere),
    ("ca-bundle.trust.crt", FileType::TrustStore, Anywhere),
    ("cacert.pem", FileType::TrustStore, Anywhere),
    ("tls-ca-bundle.pem", FileType::TrustStore, Anywhere),
    ("email-ca-bundle.pem", FileType::TrustStore, Anywhere),
    ("objsign-ca-bundle.pem", FileType::TrustStore, Anywhere),
    // Keys and parameters of TLS servers, and of ACME clients.
    ("privkey.pem", FileType::PrivateKey, Anywhere),
    ("key.pem", FileType::PrivateKey, Anywhere),
    ("private_key.json", FileType::PrivateKey, Anywhere),
    ("moduli", FileType::Parameters, Anywhere),
    (".rnd", FileType::PrivateKey, Anywhere),
    // NSS, and the browsers that use it.
    ("cert7.db", FileType::Keystore, Anywhere),
    ("cert8.db", FileType::Keystore, Anywhere),
    ("cert9.db", FileType::Keystore, Anywhere),
    ("cert9.db-journal", FileType::Keystore, Anywhere),
    ("cert9.db-wal", FileType::Keystore, Anywhere),
    ("key3.db", FileType::Keystore, Anywhere),
    ("key4.db", FileType::Keystore, Anywhere),
    ("key4.db-journal", FileType::Keystore, Anywhere),
    ("key4.db-wal", FileType::Keystore, Anywhere),
    ("secmod.db", FileType::Keystore, Anywhere),
    ("pkcs11.txt", FileType::CryptoConfig, Anywhere),
    ("pkcs11.conf", FileType::CryptoConfig, Anywhere),
    ("logins.json", FileType::Credentials, Anywhere),
    ("logins-backup.json", FileType::Credentials, Anywhere),
    ("cert_override.txt", FileType::TrustStore, Anywhere),
    ("nsspassword", FileType::Credentials, Anywhere),
    ("token.db", FileType::Keystore, Anywhere),
    // Configuration of libraries.
    ("openssl.cnf", FileType::CryptoConfig, Anywhere),
    ("openssl-fips.cnf", FileType::CryptoConfig, Anywhere),
    ("fipsmodule.cnf", FileType::CryptoConfig, Anywhere),
    ("opensslcnf.config", FileType::CryptoConfig, Anywhere),
    ("java.security", FileType::CryptoConfig, Anywhere),
    ("softhsm2.conf", FileType::CryptoConfig, Anywhere),
    ("krb5.conf", FileType::CryptoConfig, Anywhere),
    ("kdc.conf", FileType::CryptoConfig, Anywhere),
    ("ipsec.conf", FileType::CryptoConfig, Anywhere),
    ("strongswan.conf", FileType::CryptoConfig, Anywhere),
    ("swanctl.conf", FileType::CryptoConfig, Anywhere),
    ("gpg.conf", FileType::CryptoConfig, Anywhere),
    ("gpgsm.conf", FileType::CryptoConfig, Anywhere),
    ("gpg-agent.conf", FileType::CryptoConfig, Anywhere),
    ("dirmngr.conf", FileType::CryptoConfig, Anywhere),
    // OpenPGP.
    ("secring.gpg", FileType::PrivateKey, Anywhere),
    ("trustdb.gpg", FileType::TrustStore, Anywhere),
    ("trustlist.txt", FileType::TrustStore, Below(&["gnupg"])),
    ("pubring.db", FileType::Keystore, Below(&["gnupg", "keys"])),
    // Mutt.
    ("certificates", FileType::TrustStore, Below(&["mutt"])),
    // Oracle.
    ("ewallet.p12", FileType::Keystore, Anywhere),
    ("cwallet.sso", FileType::Keystore, Anywhere),
    // Kerberos.
    ("krb5.keytab", FileType::Keytab, Anywhere),
    ("client.keytab", FileType::Keytab, Anywhere),
    ("krb5.tab", FileType::Keytab, Anywhere),
    ("stash", FileType::PrivateKey, Below(&["krb5kdc", "kerberos", "krb"])),
    ("m-key", FileType::PrivateKey, Anywhere),
    ("principal", FileType::Keystore, Below(&["krb5kdc", "kerberos", "krb"])),
    // VPN.
    ("wg0.conf", FileType::PrivateKey, Anywhere),
    ("ipsec.secrets", FileType::PrivateKey, Anywhere),
    ("privatekey", FileType::PrivateKey, Below(&["wireguard", "wg", "keys"])),
    ("publickey", FileType::PublicKey, Below(&["wireguard", "wg", "keys"])),
    ("presharedkey", FileType::PrivateKey, Below(&["wireguard", "wg", "keys"])),
    ("rsa_key.priv", FileType::PrivateKey, Anywhere),
    ("ed25519_key.priv", FileType::PrivateKey, Anywhere),
    // Tor.
    ("secret_id_key", FileType::PrivateKey, Anywhere),
    ("secret_onion_key", FileType::PrivateKey, Anywhere),
    ("secret_onion_key_ntor", FileType::PrivateKey, Anywhere),
    ("ed25519_master_id_secret_key", FileType::PrivateKey, Anywhere),
    ("ed25519_master_id_public_key", FileType::PublicKey, Anywhere),
    ("ed25519_signing_secret_key", FileType::PrivateKey, Anywhere),
    ("ed25519_signing_cert", FileType::Certificate, Anywhere),
    ("hs_ed25519_secret_key", FileType::PrivateKey, Anywhere),
    ("hs_ed25519_public_key", FileType::PublicKey, Anywhere),
    ("private_key", FileType::PrivateKey, Below(&["tor", "hidden", "onion", "keys", "private"])),
    ("authority_identity_key", FileType::PrivateKey, Anywhere),
    ("authority_signing_key", FileType::PrivateKey, Anywhere),
    ("authority_certificate", FileType::Certificate, Anywhere),
    // DNSSEC and DKIM.
    ("bind.keys", FileType::PublicKey, Anywhere),
    ("root.keys", FileType::PublicKey, Anywhere),
    ("managed-keys.bind", FileType::PublicKey, Anywhere),
    ("rndc.key", FileType::PrivateKey, Anywhere),
    ("session.key", FileType::PrivateKey, Anywhere),
    ("icannbundle.pem", FileType::TrustStore, Anywhere),
    // Time.
    ("chrony.keys", FileType::PrivateKey, Anywhere),
    ("ntp.keys", FileType::PrivateKey, Anywhere),
    ("ntskeys", FileType::PrivateKey, Anywhere),
    ("nts-keys", FileType::PrivateKey, Anywhere),
    // Secure Boot, IMA and EVM.
    ("MOK.priv", FileType::PrivateKey, Anywhere),
    ("MOK.der", FileType::Certificate, Anywhere),
    ("evm-key", FileType::PrivateKey, Anywhere),
    ("kmk", FileType::PrivateKey, Below(&["keys"])),
    ("kmk-user.blob", FileType::PrivateKey, Anywhere),
    // age, minisign.
    ("keys.txt", FileType::PrivateKey, Below(&["age", "sops"])),
    ("key.txt", FileType::PrivateKey, Below(&["age", "sops"])),
    ("minisign.key", FileType::PrivateKey, Anywhere),
    // What stands for an account.
    ("token", FileType::Credentials, Below(&["serviceaccount", "secrets", "kubernetes", "vault"])),
    ("kubeconfig", FileType::Credentials, Anywhere),
    ("admin.conf", FileType::Credentials, Below(&["kubernetes"])),
    ("super-admin.conf", FileType::Credentials, Below(&["kubernetes"])),
    ("kubelet.conf", FileType::Credentials, Below(&["kubernetes"])),
    ("controller-manager.conf", FileType::Credentials, Below(&["kubernetes"])),
    ("scheduler.conf", FileType::Credentials, Below(&["kubernetes"])),
    ("wrapped-passphrase", FileType::Credentials, Anywhere),
    ("tpasswd", FileType::Credentials, Anywhere),
    ("smbpasswd", FileType::Credentials, Below(&["samba"])),
    ("passdb.tdb", FileType::Credentials, Anywhere),
    ("secrets.tdb", FileType::Credentials, Anywhere),
    // Signatures.
    ("cose.sig", FileType::Signature, Anywhere),
    ("Release.gpg", FileType::Signature, Anywhere),
];

/// Beginnings of names, matched exactly: what is behind is chosen by the program.
pub const PREFIXES: &[(&str, FileType)] = &[("krb5cc_", FileType::Credentials)];

/// Names that stand in directories of keys and are none.
pub const OTHER_NAMES: &[&str] = &[
    "rc",
    "environment",
    "sshrc",
    "sshd_not_to_be_run",
    "kadm5.acl",
    "README",
    "Makefile",
    ".gitignore",
    "index.txt",
    "serial",
];
