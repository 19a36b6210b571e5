//! `certificate_file`: a certificate in a file that `snapshot --certificates` read.

use super::certificate::CertificateFields;
use super::members::members;
use super::values::{AtLeast, Device, Errno, InodeMode, Path, When};
use crate::capture::certificate_files::certificate;
use crate::capture::clock::WallNs;
use crypto_trace_format::record::{self, CertificateFileState, Header};

members! {
    /// Members of a certificate_file.
    pub struct CertificateFile<'a> from "record" {
        /// its path, without links
        file: Path<'a>,
        /// `read`: this is one of its certificates; `holds_key`: the file holds a private key, so nothing else of it is
        /// recorded; `no_certificate`: none that can be parsed; `not_read`, see `error`; `left_out`: longer than 1 MiB, or
        /// not a regular file
        state: CertificateFileState,
        /// name of the errno of a failure
        error: When<Errno>,
        /// which of the file's certificates this is, from 1; left out: none was read
        number: When<AtLeast<1>>,
        /// how many the file has
        count: u32,
        /// size of the file
        #[unit = "bytes"]
        size: u64,
        /// when its contents last changed; left out: not known
        modified: When<WallNs>,
        /// its permissions
        mode: When<InodeMode>,
        /// device of the file, as in file_open
        device: Device,
        /// inode number of the file
        inode: u64,
        /// what the certificate says
        certificate: When<CertificateFields>,
    }
}

impl<'a> CertificateFile<'a> {
    /// As recorded.
    pub fn new(header: &Header, file: &record::CertificateFile<'a>) -> Self {
        let fixed = &file.fixed;
        Self {
            file: Path(file.path),
            state: CertificateFileState(fixed.state),
            error: When::if_so(fixed.errno != 0, Errno(fixed.errno.unsigned_abs())),
            number: When(AtLeast::new(fixed.number)),
            count: fixed.count,
            size: fixed.size,
            modified: When::if_so(fixed.modified_ns != 0, WallNs(fixed.modified_ns)),
            mode: When::if_so(fixed.mode != 0, InodeMode(fixed.mode)),
            device: Device(fixed.dev),
            inode: fixed.ino,
            certificate: When(certificate(header, file).as_ref().map(CertificateFields::new)),
        }
    }
}
