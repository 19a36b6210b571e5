//! How a file's type is decided: by its whole name, its ending, the words in its name, its directory; and how sure that is.
//!
//! `docs/events.md` tells it to users; `testdata/catalog-names.tsv` is what it is measured by.

use super::copies::{original, unmarked};
use super::words::{contains, content, is_place, is_sign, words};
use super::{
    Confidence, DIRECTORIES, EXACT_NAMES, FileType, Judged, JudgedBy, OTHER_NAMES, PREFIXES, Place, SUFFIXES, Strength,
    file_name,
};

/// What the file at `path` holds, by its name and directory; `None` when the catalog does not know it as crypto.
pub fn judge(path: &[u8]) -> Option<Judged> {
    let file = File::new(path);
    let name = file.name;
    if name.ends_with(b".lock")
        || name.starts_with(b"README")
        || OTHER_NAMES.iter().any(|other| other.as_bytes() == name)
    {
        return None;
    }
    let itself = by_name(&file, name);
    if itself.is_some_and(|judged| judged.confidence > Confidence::Low) {
        return itself;
    }
    let copy = original(name).and_then(|base| {
        let marked = || unmarked(base).and_then(|base| by_name(&file, base));
        by_name(&file, base).or_else(marked)
    });
    let sure = copy.filter(|judged| judged.confidence > Confidence::Low);
    sure.or_else(|| by_directory(&file)).or(itself).or(copy)
}

/// A path in the parts that are judged.
struct File<'a> {
    name: &'a [u8],
    directory: &'a [u8],
    /// Words of all directories.
    places: Vec<Vec<u8>>,
}

impl<'a> File<'a> {
    fn new(path: &'a [u8]) -> Self {
        let name = file_name(path);
        let directory = path.get(..path.len() - name.len()).unwrap_or_default();
        let directory = directory.strip_suffix(b"/").unwrap_or(directory);
        Self { name, directory, places: words(directory) }
    }

    fn is_below(&self, any: &[&str]) -> bool {
        self.places.iter().any(|word| contains(any, word))
    }

    /// The last directory.
    fn parent(&self) -> &'a [u8] {
        file_name(self.directory)
    }

    /// Configuration of the system: a file there is meant.
    fn is_configuration(&self) -> bool {
        self.directory == b"/etc" || self.directory.starts_with(b"/etc/")
    }

    /// Not of a user or a service.
    fn is_of_the_system(&self) -> bool {
        self.is_configuration() || self.directory.starts_with(b"/usr/")
    }

    /// What comes with a package and is the same for all.
    fn is_shipped(&self) -> bool {
        self.directory.starts_with(b"/usr/share") || self.directory.starts_with(b"/usr/lib")
    }
}

fn judged(file_type: FileType, confidence: Confidence, by: JudgedBy) -> Option<Judged> {
    Some(Judged { file_type, confidence, by })
}

/// By the name, whole or by its ending.
fn by_name(file: &File<'_>, name: &[u8]) -> Option<Judged> {
    by_whole_name(file, name).or_else(|| by_suffix(file, name))
}

fn by_whole_name(file: &File<'_>, name: &[u8]) -> Option<Judged> {
    if let Some((_, file_type, place)) = EXACT_NAMES.iter().find(|(exact, _, _)| exact.as_bytes() == name) {
        let confidence = match place {
            Place::Anywhere => Confidence::High,
            Place::Below(any) if file.is_below(any) => Confidence::High,
            Place::Below(_) => Confidence::Low,
        };
        return judged(*file_type, confidence, JudgedBy::Name);
    }
    if let Some((_, file_type)) = PREFIXES.iter().find(|(prefix, _)| name.starts_with(prefix.as_bytes())) {
        return judged(*file_type, Confidence::High, JudgedBy::Name);
    }
    // Host keys of whatever algorithm, as sshd_config(5) names them.
    if name.starts_with(b"ssh_host_") && name.ends_with(b"_key") && directory_type(file.directory).is_some() {
        return judged(FileType::PrivateKey, Confidence::High, JudgedBy::Name);
    }
    // ssh(1) looks for a certificate beside each key, first without an ending: `id_ed25519-cert`.
    if name.ends_with(b"-cert") && file.parent() == b".ssh" {
        return judged(FileType::Certificate, Confidence::High, JudgedBy::Name);
    }
    // A realm's master key: `.k5.REALM`.
    if name.starts_with(b".k5.") && file.is_below(&["krb", "kdc", "kerberos"]) {
        return judged(FileType::PrivateKey, Confidence::High, JudgedBy::Name);
    }
    None
}

fn by_suffix(file: &File<'_>, name: &[u8]) -> Option<Judged> {
    let dot = name.iter().rposition(|byte| *byte == b'.')?;
    let (stem, suffix) = name.split_at_checked(dot)?;
    let (known, file_type, strength) =
        SUFFIXES.iter().find(|(known, ..)| known.as_bytes().eq_ignore_ascii_case(suffix))?;
    let said = words(stem);
    if let Some(found) = by_rule(file, known, stem, &said) {
        return Some(found);
    }
    let (by_words, file_type) = refined(file, known, *file_type, &said);
    let sign = match strength {
        Strength::Alone => true,
        Strength::WithSign => has_sign(file, known, stem, &said),
        Strength::Only(any) => file.is_below(any) || said.iter().any(|word| contains(any, word)),
    };
    let confidence = match (by_words, strength) {
        _ if !sign => Confidence::Low,
        (Some(JudgedBy::Words), Strength::Alone) => Confidence::High,
        (Some(_), Strength::Alone) if directory_type(file.directory).is_some() => Confidence::High,
        (None, Strength::Alone) if !holds_anything(known) => Confidence::High,
        _ => Confidence::Medium,
    };
    judged(file_type, confidence, by_words.unwrap_or(JudgedBy::Suffix))
}

/// Endings of encodings, which say nothing of what is encoded.
fn holds_anything(suffix: &str) -> bool {
    matches!(suffix, ".pem" | ".der")
}

/// The type where words or the directory say more than the ending, and which of them does.
fn refined(file: &File<'_>, suffix: &str, by_suffix: FileType, said: &[Vec<u8>]) -> (Option<JudgedBy>, FileType) {
    let by_words = content(said);
    let words = |file_type| (Some(JudgedBy::Words), file_type);
    match (by_suffix, by_words) {
        (_, Some(found)) if holds_anything(suffix) => words(found),
        _ if holds_anything(suffix) => {
            match directory_type(file.directory).flatten().or_else(|| said_last(file.parent())) {
                // Of a directory of trusted certificates each file is one.
                Some(FileType::TrustStore) => (Some(JudgedBy::Directory), FileType::Certificate),
                Some(found) => (Some(JudgedBy::Directory), found),
                None => (None, by_suffix),
            }
        }
        (FileType::Certificate, Some(found @ (FileType::TrustStore | FileType::CertificateRequest))) => words(found),
        (FileType::PrivateKey, Some(found @ FileType::PublicKey)) => words(found),
        (FileType::Keystore, Some(found @ FileType::TrustStore))
            if said.iter().any(|word| contains(&["truststore", "cacerts"], word)) =>
        {
            words(found)
        }
        (FileType::Pgp, Some(found @ FileType::PrivateKey))
            if said.iter().any(|word| contains(&["private", "secret"], word)) =>
        {
            words(found)
        }
        (FileType::Unknown, Some(found)) => words(found),
        (FileType::Unknown, None) if said.iter().any(|word| word == b"identity") => words(FileType::PrivateKey),
        _ => (None, by_suffix),
    }
}

/// What the last word of a directory says of what is in it.
fn said_last(directory: &[u8]) -> Option<FileType> {
    // With an ending it is rather a file, below which there is nothing.
    if directory.contains(&b'.') {
        return None;
    }
    words(directory).last().and_then(|word| content(std::slice::from_ref(word)))
}

/// Families of names that are no matter of words.
fn by_rule(file: &File<'_>, suffix: &str, stem: &[u8], said: &[Vec<u8>]) -> Option<Judged> {
    let surely = |file_type| judged(file_type, Confidence::High, JudgedBy::Name);
    match suffix {
        // OpenSSL's own: the certificates that it trusts.
        ".pem" if stem == b"cert" && matches!(file.parent(), b"ssl" | b"tls") && file.is_of_the_system() => {
            surely(FileType::TrustStore)
        }
        ".key" if said.iter().any(|word| contains(&["gpg", "pgp", "openpgp"], word)) => {
            judged(FileType::Pgp, Confidence::Medium, JudgedBy::Words)
        }
        ".pub" if stem.ends_with(b"-cert") => surely(FileType::Certificate),
        ".key" | ".private" if is_dnssec(stem) => {
            surely(if suffix == ".key" { FileType::PublicKey } else { FileType::PrivateKey })
        }
        // The root's trust anchor.
        ".key" if stem == b"root" && file.is_below(&["dns", "unbound", "bind", "named", "knot", "dnssec", "trust"]) => {
            surely(FileType::PublicKey)
        }
        ".asc" | ".sig" | ".sign" | ".gpg" | ".pgp" if is_signed(stem) => {
            judged(FileType::Signature, Confidence::Medium, JudgedBy::Name)
        }
        // Manual pages and other texts in AsciiDoc.
        ".asc" if file.is_below(&["doc", "docs", "man"]) || stem.last().is_some_and(u8::is_ascii_digit) => {
            let sign = said.iter().any(|word| contains(&["key", "keys", "pgp", "gpg", "keyring", "signature"], word))
                || file.is_below(&["keys", "keyrings", "pgp", "gpg", "openpgp"]);
            let confidence = if sign { Confidence::Medium } else { Confidence::Low };
            judged(FileType::Pgp, confidence, JudgedBy::Suffix)
        }
        // Layouts of keyboards come with terminals.
        ".keytab" if file.is_shipped() || file.is_below(&["kb", "keyboard", "layouts", "konsole"]) => {
            judged(FileType::Keytab, Confidence::Low, JudgedBy::Suffix)
        }
        ".keytab" => judged(FileType::Keytab, Confidence::High, JudgedBy::Suffix),
        _ => None,
    }
}

/// `Kexample.com.+013+12345`, as dnssec-keygen(1) names keys.
fn is_dnssec(stem: &[u8]) -> bool {
    let mut parts = stem.rsplit(|byte| *byte == b'+');
    let digits =
        |part: Option<&[u8]>, len| part.is_some_and(|part| part.len() == len && part.iter().all(u8::is_ascii_digit));
    stem.starts_with(b"K") && digits(parts.next(), 5) && digits(parts.next(), 3)
}

/// What is published with a signature beside it.
fn is_signed(stem: &[u8]) -> bool {
    const SIGNED: &[&str] = &[
        "gz", "xz", "bz2", "zst", "zip", "tar", "tgz", "dsc", "changes", "deb", "rpm", "jar", "pom", "iso", "img",
        "exe", "apk", "crate", "gem", "whl", "sums", "sha256", "sha512", "manifest", "xml", "bin", "efi",
    ];
    let suffix = stem.rsplit(|byte| *byte == b'.').next().unwrap_or_default().to_ascii_lowercase();
    (suffix.len() < stem.len() && contains(SIGNED, &suffix)) || stem.ends_with(b"SUMS") || stem.ends_with(b"CHECKSUM")
}

/// A second sign beside an ending that others use as well.
fn has_sign(file: &File<'_>, suffix: &str, stem: &[u8], said: &[Vec<u8>]) -> bool {
    let host = suffix != ".asc" && is_host(stem);
    file.is_configuration() || is_place(&file.places) || is_sign(said) || host || is_fingerprint(stem)
}

/// `example.com`: certificates and keys are often named after the host.
fn is_host(stem: &[u8]) -> bool {
    let mut labels = stem.split(|byte| *byte == b'.').peekable();
    let mut count = 0;
    while let Some(label) = labels.next() {
        let fits =
            !label.is_empty() && label.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        let is_last = labels.peek().is_none();
        if !fits || (is_last && !(label.len() >= 2 && label.iter().all(u8::is_ascii_alphabetic))) {
            return false;
        }
        count += 1;
    }
    count >= 2
}

/// Sixteen hexadecimal digits or more, and nothing else.
fn is_fingerprint(stem: &[u8]) -> bool {
    stem.len() >= 16 && stem.iter().all(u8::is_ascii_hexdigit)
}

/// Endings of what is neither key nor certificate, wherever it is.
const OTHER_SUFFIXES: &[&str] = &[".html", ".md", ".sh", ".py", ".log", ".pid", ".txt"];

/// By the directory alone.
fn by_directory(file: &File<'_>) -> Option<Judged> {
    let found = directory_type(file.directory)?;
    // Texts beside them.
    if OTHER_SUFFIXES.iter().any(|suffix| file.name.ends_with(suffix.as_bytes())) {
        return None;
    }
    // Sockets that ssh(1) and its agent make beside the keys.
    if file.parent() == b".ssh" && file.name.iter().any(|byte| matches!(byte, b'@' | b':')) {
        return None;
    }
    if file.parent() == b".ssh" && file.name == b"config" {
        return judged(FileType::CryptoConfig, Confidence::High, JudgedBy::Name);
    }
    if file.parent() == b".kube" && file.name == b"config" {
        return judged(FileType::Credentials, Confidence::High, JudgedBy::Name);
    }
    match (content(&words(file.name)), found) {
        (Some(by_words), None) => judged(by_words, Confidence::Medium, JudgedBy::Words),
        (_, Some(FileType::Credentials)) => judged(FileType::Credentials, Confidence::Low, JudgedBy::Directory),
        (_, Some(by_directory)) => judged(by_directory, Confidence::Medium, JudgedBy::Directory),
        (None, None) => None,
    }
}

/// The row of a directory of the tables.
fn directory_type(directory: &[u8]) -> Option<Option<FileType>> {
    let ends = |known: &&(&str, Option<FileType>)| {
        let before = directory.strip_suffix(known.0.as_bytes());
        before.is_some_and(|before| before.is_empty() || before.last() == Some(&b'/'))
    };
    DIRECTORIES.iter().find(ends).map(|(_, found)| *found)
}
