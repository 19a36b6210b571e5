//! Files of certificates that `snapshot --certificates` read: what is in them.

use crate::budget::heap;
use crate::protocol::tls::Certificate;
use crypto_trace_format::record::{self, CertificateFileState, Header, flags};
use std::collections::BTreeMap;

/// Bytes that they may take.
const MAX_BYTES: usize = 64 << 20;

/// What became of one file.
#[derive(Debug, Clone)]
pub struct CertificateFile {
    /// Whether it was read.
    pub state: CertificateFileState,
    /// errno of a failure, positive; 0 when there was none.
    pub errno: u32,
    /// When its contents changed last, ns since 1970; 0: not known.
    pub modified_ns: i64,
    /// In the order of the file.
    pub certificates: Vec<Certificate>,
}

/// By path, without links.
#[derive(Debug, Default)]
pub struct CertificateFiles {
    files: BTreeMap<Box<[u8]>, CertificateFile>,
    bytes: usize,
    refused: u64,
}

/// What the certificate of a record says; None: it has none.
pub fn certificate(header: &Header, file: &record::CertificateFile<'_>) -> Option<Certificate> {
    let is_there = CertificateFileState(file.fixed.state) == CertificateFileState::READ;
    is_there.then(|| match header.flags & flags::TRUNCATED {
        0 => Certificate::parse(file.certificate),
        _ => Certificate::incomplete("longer than a record holds"),
    })
}

impl CertificateFiles {
    /// Takes in one record.
    pub fn add(&mut self, header: &Header, file: &record::CertificateFile<'_>) {
        let certificate = certificate(header, file);
        let bytes = 256 + heap(file.path.len()) + certificate.as_ref().map_or(0, Certificate::held_bytes);
        if self.bytes.saturating_add(bytes) > MAX_BYTES {
            self.refused += 1;
            return;
        }
        self.bytes += bytes;
        let row = self.files.entry(file.path.into()).or_insert_with(|| CertificateFile {
            state: CertificateFileState(file.fixed.state),
            errno: file.fixed.errno.unsigned_abs(),
            modified_ns: file.fixed.modified_ns,
            certificates: Vec::new(),
        });
        row.certificates.extend(certificate);
    }

    /// All of them, by path.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &CertificateFile)> {
        self.files.iter().map(|(path, file)| (&**path, file))
    }

    /// Certificates that there was no room for.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}
