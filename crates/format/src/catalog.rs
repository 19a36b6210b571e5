//! What counts as crypto: file names, directories and libraries.
//!
//! The capture loads these tables into BPF maps; the analyzer uses them to name what it shows. A table here is data: to
//! teach crypto-trace a new name, add a row. How a file's type is decided is told in `docs/events.md`.

/// What a crypto file holds, judged by its name alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileType {
    /// X.509 certificate or chain.
    Certificate,
    /// Private key.
    PrivateKey,
    /// Public key.
    PublicKey,
    /// Keystore or token database: may hold keys and certificates.
    Keystore,
    /// Certificate signing request.
    CertificateRequest,
    /// Certificate revocation list.
    RevocationList,
    /// Set of trusted certificates.
    TrustStore,
    /// Detached or inline signature.
    Signature,
    /// Keys that may log in, or hosts that are trusted.
    AuthorizedKeys,
    /// Diffie-Hellman or other parameters.
    Parameters,
    /// OpenPGP data.
    Pgp,
    /// Kerberos key table.
    Keytab,
    /// Configuration of a crypto library.
    CryptoConfig,
    /// A crypto file of unknown content.
    Unknown,
}

impl FileType {
    /// Name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::PrivateKey => "private_key",
            Self::PublicKey => "public_key",
            Self::Keystore => "keystore",
            Self::CertificateRequest => "certificate_request",
            Self::RevocationList => "revocation_list",
            Self::TrustStore => "trust_store",
            Self::Signature => "signature",
            Self::AuthorizedKeys => "authorized_keys",
            Self::Parameters => "parameters",
            Self::Pgp => "pgp",
            Self::Keytab => "keytab",
            Self::CryptoConfig => "crypto_config",
            Self::Unknown => "unknown",
        }
    }

    /// Every type.
    pub const ALL: &'static [Self] = &[
        Self::Certificate,
        Self::PrivateKey,
        Self::PublicKey,
        Self::Keystore,
        Self::CertificateRequest,
        Self::RevocationList,
        Self::TrustStore,
        Self::Signature,
        Self::AuthorizedKeys,
        Self::Parameters,
        Self::Pgp,
        Self::Keytab,
        Self::CryptoConfig,
        Self::Unknown,
    ];
}

/// Longest suffix or exact name in bytes that the tables, and the BPF maps made from them, may hold.
pub const MAX_NAME_LEN: usize = 31;

/// File name endings, with the dot. Matched without regard to ASCII case. Sources: RFC 7468, RFC 8551, PKCS#12 (RFC 7292),
/// the Java `keytool` manual, GnuPG's manual, OpenSSL's `openssl-format-options(1)`.
pub const SUFFIXES: &[(&str, FileType)] = &[
    (".pem", FileType::Certificate),
    (".crt", FileType::Certificate),
    (".cer", FileType::Certificate),
    (".cert", FileType::Certificate),
    (".der", FileType::Certificate),
    (".p7b", FileType::Certificate),
    (".p7c", FileType::Certificate),
    (".spc", FileType::Certificate),
    (".key", FileType::PrivateKey),
    (".p8", FileType::PrivateKey),
    (".pk8", FileType::PrivateKey),
    (".pvk", FileType::PrivateKey),
    (".ppk", FileType::PrivateKey),
    (".pub", FileType::PublicKey),
    (".p12", FileType::Keystore),
    (".pfx", FileType::Keystore),
    (".jks", FileType::Keystore),
    (".jceks", FileType::Keystore),
    (".bks", FileType::Keystore),
    (".bcfks", FileType::Keystore),
    (".keystore", FileType::Keystore),
    (".ks", FileType::Keystore),
    (".truststore", FileType::TrustStore),
    (".kdb", FileType::Keystore),
    (".kdbx", FileType::Keystore),
    (".sso", FileType::Keystore),
    (".csr", FileType::CertificateRequest),
    (".p10", FileType::CertificateRequest),
    (".crl", FileType::RevocationList),
    (".p7s", FileType::Signature),
    (".p7m", FileType::Signature),
    (".sig", FileType::Signature),
    (".asc", FileType::Pgp),
    (".gpg", FileType::Pgp),
    (".pgp", FileType::Pgp),
    (".kbx", FileType::Keystore),
    (".keytab", FileType::Keytab),
];

/// Whole file names. Matched exactly.
pub const EXACT_NAMES: &[(&str, FileType)] = &[
    ("id_rsa", FileType::PrivateKey),
    ("id_dsa", FileType::PrivateKey),
    ("id_ecdsa", FileType::PrivateKey),
    ("id_ecdsa_sk", FileType::PrivateKey),
    ("id_ed25519", FileType::PrivateKey),
    ("id_ed25519_sk", FileType::PrivateKey),
    ("id_xmss", FileType::PrivateKey),
    ("identity", FileType::PrivateKey),
    ("ssh_host_rsa_key", FileType::PrivateKey),
    ("ssh_host_dsa_key", FileType::PrivateKey),
    ("ssh_host_ecdsa_key", FileType::PrivateKey),
    ("ssh_host_ed25519_key", FileType::PrivateKey),
    ("authorized_keys", FileType::AuthorizedKeys),
    ("authorized_keys2", FileType::AuthorizedKeys),
    ("known_hosts", FileType::AuthorizedKeys),
    ("ssh_known_hosts", FileType::AuthorizedKeys),
    ("cacerts", FileType::TrustStore),
    ("jssecacerts", FileType::TrustStore),
    ("ca-certificates.crt", FileType::TrustStore),
    ("ca-bundle.crt", FileType::TrustStore),
    ("ca-bundle.trust.crt", FileType::TrustStore),
    ("cert.pem", FileType::Certificate),
    ("cacert.pem", FileType::TrustStore),
    ("tls-ca-bundle.pem", FileType::TrustStore),
    ("privkey.pem", FileType::PrivateKey),
    ("key.pem", FileType::PrivateKey),
    ("dhparam.pem", FileType::Parameters),
    ("dhparams.pem", FileType::Parameters),
    ("dh.pem", FileType::Parameters),
    ("moduli", FileType::Parameters),
    ("cert8.db", FileType::Keystore),
    ("cert9.db", FileType::Keystore),
    ("key3.db", FileType::Keystore),
    ("key4.db", FileType::Keystore),
    ("pkcs11.txt", FileType::CryptoConfig),
    ("secmod.db", FileType::Keystore),
    ("krb5.keytab", FileType::Keytab),
    ("openssl.cnf", FileType::CryptoConfig),
    ("opensslcnf.config", FileType::CryptoConfig),
    ("java.security", FileType::CryptoConfig),
    ("secring.gpg", FileType::PrivateKey),
    ("ewallet.p12", FileType::Keystore),
    ("cwallet.sso", FileType::Keystore),
    ("wg0.conf", FileType::PrivateKey),
];

/// Directories all of whose files count, by their one or two last components. Matched exactly.
pub const DIRECTORIES: &[(&str, FileType)] = &[
    ("ssl/private", FileType::PrivateKey),
    ("tls/private", FileType::PrivateKey),
    ("ipsec.d/private", FileType::PrivateKey),
    ("swanctl/private", FileType::PrivateKey),
    ("swanctl/rsa", FileType::PrivateKey),
    ("swanctl/ecdsa", FileType::PrivateKey),
    ("ssl/certs", FileType::Certificate),
    ("tls/certs", FileType::Certificate),
    (".gnupg/private-keys-v1.d", FileType::PrivateKey),
    ("etc/wireguard", FileType::PrivateKey),
];

/// Beginnings of library file names and the library each belongs to. The longest match wins.
pub const LIBRARY_PREFIXES: &[(&str, &str)] = &[
    ("libssl", "OpenSSL"),
    ("libcrypto", "OpenSSL"),
    ("libgnutls", "GnuTLS"),
    ("libnettle", "Nettle"),
    ("libhogweed", "Nettle"),
    ("libgcrypt", "Libgcrypt"),
    ("libgpgme", "GPGME"),
    ("libksba", "Libksba"),
    ("libssl3.", "NSS"),
    ("libnss3", "NSS"),
    ("libnssutil3", "NSS"),
    ("libsmime3", "NSS"),
    ("libsoftokn3", "NSS"),
    ("libfreebl", "NSS"),
    ("libnssckbi", "NSS"),
    ("libsodium", "libsodium"),
    ("libmbedtls", "Mbed TLS"),
    ("libmbedcrypto", "Mbed TLS"),
    ("libmbedx509", "Mbed TLS"),
    ("libtfpsacrypto", "Mbed TLS"),
    ("libwolfssl", "wolfSSL"),
    ("libboringssl", "BoringSSL"),
    ("libaws-lc", "AWS-LC"),
    ("libs2n", "s2n-tls"),
    ("librustls", "rustls"),
    ("libbotan", "Botan"),
    ("libcryptopp", "Crypto++"),
    ("libcrypto++", "Crypto++"),
    ("libtomcrypt", "LibTomCrypt"),
    ("liboqs", "liboqs"),
    ("oqsprovider", "liboqs"),
    ("libp11", "PKCS#11"),
    ("libp11-kit", "p11-kit"),
    ("p11-kit-", "p11-kit"),
    ("libpkcs11", "PKCS#11"),
    ("opensc-pkcs11", "OpenSC"),
    ("libopensc", "OpenSC"),
    ("libsofthsm", "SoftHSM"),
    ("libtpm2_pkcs11", "tpm2-pkcs11"),
    ("libtss2", "tpm2-tss"),
    ("libssh", "libssh"),
    ("libssh2", "libssh2"),
    ("libkrb5", "Kerberos"),
    ("libk5crypto", "Kerberos"),
    ("libgssapi", "Kerberos"),
    ("libcryptsetup", "cryptsetup"),
    ("libargon2", "Argon2"),
    ("libxmlsec1", "XMLSec"),
    ("libcrypt.", "libcrypt"),
    ("libxcrypt", "libcrypt"),
    ("libecpg_crypto", "OpenSSL"),
    ("libsunec", "Java SunEC"),
    ("libj2pkcs11", "Java SunPKCS11"),
    ("libj2gss", "Java SunJGSS"),
    ("libtcnative", "Tomcat Native"),
    ("libnetty_tcnative", "Netty tcnative"),
    ("libconscrypt", "Conscrypt"),
    ("libQt5Network", "Qt Network"),
    ("libQt6Network", "Qt Network"),
    ("libqca-", "QCA"),
    ("_ssl.", "Python ssl"),
    ("_hashlib.", "Python hashlib"),
    ("_rust.abi3.so", "Python cryptography"),
    ("legacy.so", "OpenSSL"),
    ("fips.so", "OpenSSL"),
    ("pkcs11.so", "OpenSSL"),
    ("afalg.so", "OpenSSL"),
    ("padlock.so", "OpenSSL"),
    ("loader_attic.so", "OpenSSL"),
];

/// Last component of a path.
pub fn file_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// The suffix of a file name that the tables are keyed by: from its last dot on.
fn suffix(name: &[u8]) -> Option<&[u8]> {
    name.iter().rposition(|byte| *byte == b'.').and_then(|dot| name.get(dot..))
}

/// Type of the file at `path` by its name and directory; `None` when the catalog does not know it as crypto.
///
/// The whole name is asked first, then hints within a `.pem` or extensionless name (`key`, `ca`, `dh`…), then the
/// suffix, then the directory.
pub fn file_type(path: &[u8]) -> Option<FileType> {
    let name = file_name(path);
    if let Some((_, found)) = EXACT_NAMES.iter().find(|(exact, _)| exact.as_bytes() == name) {
        return Some(*found);
    }
    let by_suffix = suffix(name)
        .and_then(|suffix| SUFFIXES.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(suffix)))
        .map(|(_, found)| *found);
    let by_directory = directory_type(path);
    match (by_suffix, by_directory) {
        // A .pem may hold anything: its name and then its directory decide between key and certificate.
        (Some(FileType::Certificate), directory) if is_pem(name) => {
            Some(pem_type(name).or(directory).unwrap_or(FileType::Certificate))
        }
        (Some(found), _) => Some(found),
        (None, directory) => directory,
    }
}

fn is_pem(name: &[u8]) -> bool {
    suffix(name).is_some_and(|suffix| suffix.eq_ignore_ascii_case(b".pem"))
}

/// What the words in the name of a .pem say of its content.
fn pem_type(name: &[u8]) -> Option<FileType> {
    let lower = name.to_ascii_lowercase();
    let words = || lower.split(|byte| !byte.is_ascii_alphabetic());
    let has = |wanted: &[&[u8]]| words().any(|word| wanted.contains(&word));
    if has(&[b"pub", b"pubkey", b"public"]) {
        Some(FileType::PublicKey)
    } else if has(&[b"key", b"privkey", b"private", b"priv", b"privatekey"]) {
        Some(FileType::PrivateKey)
    } else if has(&[b"csr", b"req"]) {
        Some(FileType::CertificateRequest)
    } else if has(&[b"crl"]) {
        Some(FileType::RevocationList)
    } else if has(&[b"dh", b"dhparam", b"dhparams"]) {
        Some(FileType::Parameters)
    } else if has(&[b"bundle", b"truststore", b"roots"]) {
        Some(FileType::TrustStore)
    } else {
        None
    }
}

fn directory_type(path: &[u8]) -> Option<FileType> {
    let directory = path.get(..path.iter().rposition(|byte| *byte == b'/')?)?;
    DIRECTORIES
        .iter()
        .find(|(known, _)| {
            directory
                .strip_suffix(known.as_bytes())
                .is_some_and(|before| before.is_empty() || before.last() == Some(&b'/'))
        })
        .map(|(_, found)| *found)
}

/// The crypto library whose file this is; `None` when the catalog does not know it.
pub fn library(path: &[u8]) -> Option<&'static str> {
    let name = file_name(path);
    LIBRARY_PREFIXES
        .iter()
        .filter(|(prefix, _)| name.starts_with(prefix.as_bytes()))
        .max_by_key(|(prefix, _)| prefix.len())
        .map(|(_, library)| *library)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_typed_by_name_then_words_then_suffix_then_directory() {
        let check = |path: &str, expected: Option<FileType>| assert_eq!(file_type(path.as_bytes()), expected, "{path}");
        check("/etc/ssl/certs/server.crt", Some(FileType::Certificate));
        check("/etc/ssl/server.PEM", Some(FileType::Certificate));
        check("/etc/ssl/private/server.pem", Some(FileType::PrivateKey));
        check("/etc/nginx/site-key.pem", Some(FileType::PrivateKey));
        check("/etc/nginx/monkey.pem", Some(FileType::Certificate));
        check("/etc/nginx/dh.pem", Some(FileType::Parameters));
        check("/srv/public.pem", Some(FileType::PublicKey));
        check("/etc/ssl/private/anything", Some(FileType::PrivateKey));
        check("/etc/notssl/private/anything", None);
        check("/root/.ssh/id_ed25519", Some(FileType::PrivateKey));
        check("id_ed25519", Some(FileType::PrivateKey));
        check("/root/.ssh/id_ed25519.pub", Some(FileType::PublicKey));
        check("/opt/app/trust.jks", Some(FileType::Keystore));
        check("/etc/passwd", None);
        check("", None);
        check("/", None);
        check(".pem", Some(FileType::Certificate));
    }

    #[test]
    fn the_longest_library_prefix_wins() {
        let check = |path: &str, expected: Option<&str>| assert_eq!(library(path.as_bytes()), expected, "{path}");
        check("/usr/lib/x86_64-linux-gnu/libssl.so.3", Some("OpenSSL"));
        check("/usr/lib/x86_64-linux-gnu/libssl3.so", Some("NSS"));
        check("/usr/lib/libp11-kit.so.0", Some("p11-kit"));
        check("/usr/lib/libssh2.so.1", Some("libssh2"));
        check("/usr/lib/libc.so.6", None);
        check("/usr/lib/libcrypt.so.1", Some("libcrypt"));
    }

    #[test]
    fn every_row_fits_the_bpf_maps() {
        for (suffix, _) in SUFFIXES {
            assert!(suffix.starts_with('.') && suffix.len() <= MAX_NAME_LEN && !suffix[1..].contains('.'), "{suffix}");
            assert_eq!(suffix.to_ascii_lowercase(), *suffix);
        }
        for (name, _) in EXACT_NAMES.iter() {
            assert!(name.len() <= MAX_NAME_LEN && !name.contains('/'), "{name}");
        }
        for (directory, _) in DIRECTORIES {
            assert!(directory.split('/').all(|part| !part.is_empty() && part.len() <= MAX_NAME_LEN), "{directory}");
            assert!(directory.split('/').count() <= 2, "{directory}");
        }
        for (prefix, _) in LIBRARY_PREFIXES {
            assert!(prefix.len() <= MAX_NAME_LEN, "{prefix}");
        }
    }
}
