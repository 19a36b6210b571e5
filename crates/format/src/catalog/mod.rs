//! What counts as crypto: file names, directories and libraries.
//!
//! The capture loads these tables into BPF maps; the analyzer uses them to name what it shows. A table here is data, one in a
//! file: to teach crypto-trace a new name, add a row. How a file's type is decided is `judge.rs`'s, told in `docs/events.md`. The
//! kernel records more than what is judged to be crypto, never less: what is a matter of words is left to the analyzer.

mod copies;
mod directories;
mod judge;
mod libraries;
mod names;
mod suffixes;
mod wanted;
mod words;

pub use copies::{COPY_ENDINGS, RANDOM_LEN};
pub use directories::DIRECTORIES;
pub use judge::judge;
pub use libraries::{LIBRARY_PREFIXES, library};
pub use names::{EXACT_NAMES, OTHER_NAMES, PREFIXES, Place};
pub use suffixes::SUFFIXES;
pub use wanted::{wanted, wanted_name};

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
    /// Tickets, tokens and passwords that stand for an account.
    Credentials,
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
            Self::Credentials => "credentials",
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
        Self::Credentials,
        Self::Unknown,
    ];
}

/// How sure a type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// A guess: others use such a name as well.
    Low,
    /// Likely: the name says it is crypto, and what kind is the usual one.
    Medium,
    /// As sure as a name can be, or better.
    High,
}

impl Confidence {
    /// Name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// What a type is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JudgedBy {
    /// The whole name, or a family of names.
    Name,
    /// What is behind the last dot.
    Suffix,
    /// The words in the name.
    Words,
    /// The directory.
    Directory,
    /// A library was asked to load it as that.
    Use,
}

impl JudgedBy {
    /// Name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Suffix => "suffix",
            Self::Words => "words",
            Self::Directory => "directory",
            Self::Use => "use",
        }
    }
}

/// What a file holds, how sure that is, and what it is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Judged {
    /// What it holds.
    pub file_type: FileType,
    /// How sure that is.
    pub confidence: Confidence,
    /// What it is known by.
    pub by: JudgedBy,
}

/// How much an ending says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strength {
    /// It says enough.
    Alone,
    /// Other programs use it too: it takes a second sign.
    WithSign,
    /// It takes one of these words in the name or in a directory.
    Only(&'static [&'static str]),
}

/// Longest suffix or exact name in bytes that the tables, and the BPF maps made from them, may hold.
pub const MAX_NAME_LEN: usize = 31;

/// Last component of a path.
pub fn file_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// Type of the file at `path` by its name and directory; `None` when the catalog does not know it as crypto.
pub fn file_type(path: &[u8]) -> Option<FileType> {
    judge(path).map(|judged| judged.file_type)
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
    fn how_sure_a_type_is_and_by_what_is_told() {
        use {Confidence::*, JudgedBy::*};
        let check = |path: &str, file_type: FileType, confidence: Confidence, by: JudgedBy| {
            assert_eq!(judge(path.as_bytes()), Some(Judged { file_type, confidence, by }), "{path}");
        };
        check("/root/.ssh/id_ed25519", FileType::PrivateKey, High, Name);
        check("/root/.ssh/github", FileType::PrivateKey, Medium, Directory);
        check("/srv/site-key.pem", FileType::PrivateKey, High, Words);
        check("/srv/site.pem", FileType::Certificate, Medium, Suffix);
        check("/srv/site.csr", FileType::CertificateRequest, High, Suffix);
        check("/home/alice/talk.key", FileType::PrivateKey, Low, Suffix);
        check("/home/alice/server.key", FileType::PrivateKey, Medium, Suffix);
        check("/run/secrets/database", FileType::Credentials, Low, Directory);
    }

    /// A .pem or .der was a certificate whatever its name said, DNSSEC's public keys and SSH's certificates were other things.
    #[test]
    fn a_name_that_speaks_of_something_else_is_no_certificate() {
        let check = |path: &str, expected: FileType| assert_eq!(file_type(path.as_bytes()), Some(expected), "{path}");
        check("/srv/moonReqNew.der", FileType::CertificateRequest);
        check("/srv/ca_key.der", FileType::PrivateKey);
        check("/etc/ocserv/dh_2048.pem", FileType::Parameters);
        check("/etc/bind/Kexample.com.+013+12345.key", FileType::PublicKey);
        check("/etc/bind/Kexample.com.+013+12345.private", FileType::PrivateKey);
        check("/var/lib/unbound/root.key", FileType::PublicKey);
        check("/srv/pki/root.key", FileType::PrivateKey);
        check("/root/.ssh/id_rsa-cert.pub", FileType::Certificate);
        check("/root/.ssh/id_rsa-cert", FileType::Certificate);
        check("/usr/lib/ssl/cert.pem", FileType::TrustStore);
        check("/etc/pki/tls/cert.pem", FileType::TrustStore);
        check("/etc/letsencrypt/live/example.com/cert.pem", FileType::Certificate);
    }

    /// Proof books, keyboard layouts and AsciiDoc were shown as certificates and keys.
    #[test]
    fn an_ending_that_others_use_too_is_a_guess_without_a_second_sign() {
        let check = |path: &str, sure: bool| {
            let found = judge(path.as_bytes()).map(|judged| judged.confidence > Confidence::Low);
            assert_eq!(found, Some(sure), "{path}");
        };
        check("/usr/share/acl2-8.5dfsg/books/rtl/rel4/support/merge.cert", false);
        check("/etc/docker/certs.d/registry/client.cert", true);
        check("/usr/share/qtermwidget5/kb-layouts/macbook.keytab", false);
        check("/etc/krb5/user/1000/http.keytab", true);
        check("/usr/lib/dracut/modules.d/98dracut-systemd/dracut-mount.service.8.asc", false);
        check("/etc/apt/trusted.gpg.d/debian.asc", true);
        check("/srv/release-1.0.tar.gz.asc", true);
        check("/usr/share/doc/libexene-smlnj/examples/src/utils.sig", false);
        check("/home/alice/generic.spc", false);
    }

    #[test]
    fn copies_of_what_is_known_are_known() {
        let check = |path: &str, expected: Option<FileType>| assert_eq!(file_type(path.as_bytes()), expected, "{path}");
        for name in [
            "server.key~",
            "server.key.bak",
            "server.key.dpkg-old",
            "#server.key#",
            ".server.key.swp",
            ".server.key.Xa83kd",
        ] {
            check(&format!("/etc/nginx/{name}"), Some(FileType::PrivateKey));
        }
        for name in ["id_rsa.old", "id_rsa~", "#id_rsa#", ".id_rsa.swp"] {
            check(&format!("/srv/{name}"), Some(FileType::PrivateKey));
        }
        check("/srv/missing.key.bak", Some(FileType::PrivateKey));
        check("/etc/fstab.bak", None);
        check("/srv/notes.txt~", None);
        check("/usr/share/openssh/sshd_config.md5sum", None);
        check("/home/ann/.gnupg/pubring.kbx.lock", None);
    }

    #[test]
    fn every_row_fits_the_bpf_maps() {
        for (suffix, ..) in SUFFIXES {
            assert!(suffix.starts_with('.') && suffix.len() <= MAX_NAME_LEN && !suffix[1..].contains('.'), "{suffix}");
            assert_eq!(suffix.to_ascii_lowercase(), *suffix);
        }
        for (name, ..) in EXACT_NAMES.iter() {
            assert!(name.len() <= MAX_NAME_LEN && !name.contains('/'), "{name}");
        }
        for (directory, _) in DIRECTORIES {
            assert!(directory.split('/').all(|part| !part.is_empty() && part.len() <= MAX_NAME_LEN), "{directory}");
            assert!(directory.split('/').count() <= 2, "{directory}");
        }
        for (prefix, _) in LIBRARY_PREFIXES {
            assert!(prefix.len() <= MAX_NAME_LEN, "{prefix}");
        }
        // With its ending `.dpkg-dist` a copy's own is looked at, as far as CT_SUFFIX_MAX.
        for ending in COPY_ENDINGS {
            assert!(ending.starts_with('.') && ending.len() <= 15 && !ending[1..].contains('.'), "{ending}");
            assert!(!SUFFIXES.iter().any(|(suffix, ..)| suffix == ending), "{ending}");
        }
        for (suffix, ..) in SUFFIXES {
            assert!(suffix.len() <= 15, "{suffix}");
        }
        // The kernel compares one beginning, of at most eight bytes.
        assert!(matches!(PREFIXES, [(prefix, _)] if prefix.len() <= 8));
    }
}
