//! `snapshot --certificates`: certificates in files, those that were named and those that processes have open.
//!
//! Certificates are public. A file in which there is a private key is left alone: nothing of it is recorded but that. What is in
//! them is not judged here; the analyzer reads the certificates.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crypto_trace_format::catalog::{FileType, judge};
use crypto_trace_format::record::{
    CertificateFile, CertificateFileFixed, CertificateFileState, FileOpen, Header, Records,
};
use memchr::memmem::find;

use crate::clock::boottime_ns;

/// Longest file that is read, in bytes: a bundle of all authorities has 250 KB.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Files that are read.
const MAX_FILES: usize = 4_096;

/// What is in a file.
#[derive(Debug, PartialEq, Eq)]
enum Content {
    Certificates(Vec<Vec<u8>>),
    HoldsKey,
    NoCertificate,
}

/// A file to be read: how it is reached, and what it is called.
struct Wanted {
    reach: PathBuf,
    path: PathBuf,
    /// Who has it open; zeros: it was named.
    header: Header,
}

/// How it went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// Files of which certificates were read.
    pub read: usize,
    /// Certificates in them.
    pub certificates: usize,
    /// Files of which none were.
    pub without: usize,
    /// Files beyond as many as are read.
    pub beyond: usize,
}

/// Appends `certificate_file` records of the files named, and of those that are open in `events` and by their names hold
/// certificates.
pub fn encode(named: &[PathBuf], events: &[u8], out: &mut Vec<u8>) -> Found {
    let mut found = Found::default();
    let mut seen = BTreeSet::new();
    for wanted in named.iter().map(|path| by_name(path)).chain(open_files(events)) {
        if !seen.insert(wanted.path.clone()) {
            continue;
        }
        if seen.len() > MAX_FILES {
            found.beyond += 1;
            continue;
        }
        let certificates = wanted.encode(out);
        found.certificates += certificates;
        if certificates > 0 { found.read += 1 } else { found.without += 1 }
    }
    found
}

/// Without links, as the kernel shows paths in recordings, if it is there.
fn by_name(path: &Path) -> Wanted {
    let resolved = path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned());
    Wanted { reach: resolved.clone(), path: resolved, header: Header::default() }
}

fn open_files(events: &[u8]) -> impl Iterator<Item = Wanted> {
    Records::new(events).flatten().filter_map(|record| {
        let open = FileOpen::decode(&record).ok().filter(|_| record.kind() == FileOpen::KIND)?;
        let path = open.full_path();
        let is_certificate = judge(&path).is_some_and(|judged| judged.file_type == FileType::Certificate);
        let header = record.header;
        is_certificate.then(|| Wanted {
            reach: format!("/proc/{}/fd/{}", header.tgid, open.fixed.result).into(),
            path: std::ffi::OsStr::from_bytes(&path).into(),
            header,
        })
    })
}

impl Wanted {
    /// Appends its records; how many certificates there are.
    fn encode(&self, out: &mut Vec<u8>) -> usize {
        let mut fixed = CertificateFileFixed::default();
        let content = self.read(&mut fixed);
        let state = match &content {
            Ok(Some(Content::Certificates(_))) => CertificateFileState::READ,
            Ok(Some(Content::HoldsKey)) => CertificateFileState::HOLDS_KEY,
            Ok(Some(Content::NoCertificate)) => CertificateFileState::NO_CERTIFICATE,
            Ok(None) => CertificateFileState::LEFT_OUT,
            Err(error) => {
                fixed.errno = error.raw_os_error().unwrap_or_default();
                CertificateFileState::NOT_READ
            }
        };
        fixed.state = state.0;
        let header = Header { time_ns: boottime_ns(), ..self.header };
        let path = self.path.as_os_str().as_bytes();
        let certificates = match &content {
            Ok(Some(Content::Certificates(certificates))) => certificates.as_slice(),
            _ => &[],
        };
        fixed.count = u32::try_from(certificates.len()).unwrap_or(u32::MAX);
        if certificates.is_empty() {
            CertificateFile { fixed, path, ..CertificateFile::default() }.encode(header, out);
        }
        for (number, certificate) in (1..).zip(certificates) {
            fixed.number = number;
            CertificateFile { fixed, path, certificate, ..CertificateFile::default() }.encode(header, out);
        }
        certificates.len()
    }

    /// What is in it; None: it is left out. What is known of it before is noted.
    fn read(&self, fixed: &mut CertificateFileFixed) -> io::Result<Option<Content>> {
        // What is no file may do something when it is opened.
        if !std::fs::metadata(&self.reach)?.is_file() {
            return Ok(None);
        }
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        let flags = i32::try_from(flags.bits()).unwrap_or_default();
        let file = File::options().read(true).custom_flags(flags).open(&self.reach)?;
        let metadata = file.metadata()?;
        fixed.dev = device(metadata.dev());
        fixed.ino = metadata.ino();
        fixed.size = metadata.len();
        fixed.mode = metadata.mode();
        fixed.modified_ns = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
        if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
        Ok(Some(content(&bytes)))
    }
}

/// As records have it: `MAJOR << 20 | MINOR`.
fn device(st_dev: u64) -> u64 {
    u64::from(rustix::fs::major(st_dev)) << 20 | u64::from(rustix::fs::minor(st_dev))
}

/// What a file holds: PEM (RFC 7468), or one certificate in DER.
fn content(bytes: &[u8]) -> Content {
    // Of whatever kind, also of those that no parser knows, and in text around what it does.
    if find(bytes, b"PRIVATE KEY").is_some() {
        return Content::HoldsKey;
    }
    let is_certificate = |block: &pem::Pem| {
        matches!(block.tag(), "CERTIFICATE" | "X509 CERTIFICATE") && seems_certificate(block.contents())
    };
    let blocks = pem::parse_many(bytes).unwrap_or_default();
    let certificates: Vec<_> = blocks.into_iter().filter(is_certificate).map(pem::Pem::into_contents).collect();
    match certificates.is_empty() {
        false => Content::Certificates(certificates),
        true if seems_certificate(bytes) => Content::Certificates(vec![bytes.to_vec()]),
        true => Content::NoCertificate,
    }
}

/// Whether DER begins and ends as a certificate does (RFC 5280, section 4.1): a sequence of all the bytes, in it a sequence that
/// begins with a version, or with a serial number and an algorithm. Private keys begin with a number (PKCS #1, #8) or with an
/// algorithm (encrypted); a request has a number and a name.
fn seems_certificate(der: &[u8]) -> bool {
    let Some((outer, [])) = element(der, SEQUENCE) else { return false };
    let Some((inner, [SEQUENCE, ..])) = element(outer, SEQUENCE) else { return false };
    let begins_with_algorithm =
        |rest| element(rest, SEQUENCE).is_some_and(|(algorithm, _)| algorithm.first() == Some(&OID));
    inner.first() == Some(&VERSION) || element(inner, INTEGER).is_some_and(|(_, rest)| begins_with_algorithm(rest))
}

/// Tags of DER.
const INTEGER: u8 = 0x02;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// What is in the element with this tag that bytes begin with, and what follows it.
fn element(der: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (&[tag, first], rest) = der.split_first_chunk::<2>()?;
    let (len, rest) = match first {
        _ if tag != wanted => return None,
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |len, digit| len << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What openssl(1) prints on standard output.
    fn openssl(arguments: &str) -> Vec<u8> {
        let output =
            std::process::Command::new("openssl").args(arguments.split_whitespace()).output().expect("openssl");
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn records(bytes: &[u8]) -> Vec<(u16, u32, u32, Vec<u8>)> {
        Records::new(bytes)
            .map(|record| {
                let record = record.expect("a record");
                let file = CertificateFile::decode(&record).expect("of this kind");
                (file.fixed.state, file.fixed.number, file.fixed.count, file.certificate.to_vec())
            })
            .collect()
    }

    #[test]
    fn certificates_are_recorded_and_files_with_keys_are_left_alone() {
        let place = tempfile::tempdir().expect("a directory");
        let path = |name: &str| place.path().join(name);
        let (key, pem, der) = (path("a.key"), path("a.pem"), path("a.der"));
        let make = format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=a -keyout {} -out {}",
            key.display(),
            pem.display()
        );
        openssl(&make);
        openssl(&format!("x509 -in {} -outform DER -out {}", pem.display(), der.display()));
        let (pem_bytes, key_bytes) = (std::fs::read(&pem).expect("made"), std::fs::read(&key).expect("made"));
        let der_bytes = std::fs::read(&der).expect("made");
        // A text before, twice the same, and in one file with its key.
        std::fs::write(path("bundle.pem"), [b"text\n", &pem_bytes[..], &pem_bytes[..]].concat()).expect("written");
        std::fs::write(path("both.pem"), [&pem_bytes[..], &key_bytes[..]].concat()).expect("written");
        std::fs::write(path("empty.pem"), b"").expect("written");
        let wanted = ["a.pem", "a.der", "bundle.pem", "both.pem", "a.key", "empty.pem", "missing.pem", "."].map(path);
        let mut out = Vec::new();
        let found = encode(&wanted, &[], &mut out);
        assert_eq!(found, Found { read: 3, certificates: 4, without: 5, beyond: 0 });
        let read = CertificateFileState::READ.0;
        let none = |state: CertificateFileState| (state.0, 0, 0, Vec::new());
        assert_eq!(
            records(&out),
            [
                (read, 1, 1, der_bytes.clone()),
                (read, 1, 1, der_bytes.clone()),
                (read, 1, 2, der_bytes.clone()),
                (read, 2, 2, der_bytes),
                none(CertificateFileState::HOLDS_KEY),
                none(CertificateFileState::HOLDS_KEY),
                none(CertificateFileState::NO_CERTIFICATE),
                none(CertificateFileState::NOT_READ),
                none(CertificateFileState::LEFT_OUT),
            ]
        );
        assert_eq!(Records::new(&out).flatten().count(), 9);
    }

    /// Keys in DER, plain, as PKCS #8 and encrypted, and a store of PKCS #12, begin as certificates do not.
    #[test]
    fn no_key_in_der_is_taken_for_a_certificate() {
        let place = tempfile::tempdir().expect("a directory");
        let path = |name: &str| place.path().join(name).display().to_string();
        openssl(&format!("genrsa -out {} 2048", path("key")));
        openssl(&format!("rsa -in {} -traditional -outform DER -out {}", path("key"), path("1.der")));
        openssl(&format!("pkcs8 -topk8 -nocrypt -in {} -outform DER -out {}", path("key"), path("2.der")));
        openssl(&format!("pkcs8 -topk8 -passout pass:x -in {} -outform DER -out {}", path("key"), path("3.der")));
        openssl(&format!("req -x509 -new -key {} -subj /CN=a -out {}", path("key"), path("a.pem")));
        openssl(&format!("req -new -key {} -subj /CN=a -outform DER -out {}", path("key"), path("4.der")));
        openssl(&format!(
            "pkcs12 -export -passout pass:x -inkey {} -in {} -out {}",
            path("key"),
            path("a.pem"),
            path("5.der")
        ));
        for number in 1..=5 {
            let bytes = std::fs::read(path(&format!("{number}.der"))).expect("made");
            assert_eq!(content(&bytes), Content::NoCertificate, "{number}");
        }
    }

    #[test]
    fn a_file_that_is_cut_anywhere_is_no_certificate_and_no_panic() {
        let der = openssl("req -x509 -newkey ed25519 -nodes -keyout /dev/null -subj /CN=a -outform DER");
        assert!(seems_certificate(&der));
        for len in 0..der.len() {
            assert!(!seems_certificate(&der[..len]), "{len}");
        }
    }
}
