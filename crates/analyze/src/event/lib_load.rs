//! `lib_load`: a crypto library was mapped.

use super::library::{Library, LibraryName};
use super::members::members;
use super::values::{Device, Hex, HexBytes, Path, Text, When, words};
use crate::capture::Capture;
use crate::capture::libraries::product;
use crypto_trace_format::record::{self, Header, Tier, flags};

members! {
    /// What its path tells, which is kept rendered.
    pub struct LibraryFile<'a> from "record" {
        /// absolute path of the library
        library: Path<'a>,
        /// its file name
        library_file: Text<'a>,
        /// version of the binary interface, taken from the file name: `3` of `libssl.so.3`, `30.34.3` of
        /// `libgnutls.so.30.34.3`; `null` when there is none
        soname_version: Option<Text<'a>>,
    }
}

members! {
    /// Members of a lib_load after those.
    pub struct LibLoad<'a> from "record" {
        /// library it belongs to, `OpenSSL`, according to the catalog, or by its functions or a text in it; `null` when
        /// none of these identifies it
        #[from = "catalog, or `library_info`"]
        library_name: Option<LibraryName<'a>>,
        /// version that the library reports itself, `3.0.17`; `null` when not known. libssl reports none: its version is that
        /// of the libcrypto that the same process has mapped
        #[from = "`library_info`"]
        version: Option<Text<'a>>,
        /// the same version; left out when the capture did not examine the library
        #[from = "`library_info`"]
        library_version: When<Text<'a>>,
        /// the file's build id; likewise
        #[from = "`library_info`"]
        build_id: When<HexBytes<'a>>,
        /// `mapped` when seen happening, `already mapped` when found in /proc
        source: Mapped,
        /// device of the file, as in file_open
        device: Device,
        /// inode number of the file
        inode: u64,
        /// size of the file, when known
        #[unit = "bytes"]
        size: When<u64>,
        /// address it was mapped at, hexadecimal; `0x0`: its process was gone when its file was looked at
        address: Hex<u64>,
        /// offset in the file of what was mapped
        #[unit = "bytes"]
        offset: u64,
        /// as in file_open
        tier: Tier,
    }
}

words! {
    /// How a library was found.
    pub Mapped: "mapped" "already mapped"
}

impl<'a> LibraryFile<'a> {
    /// Of a path; `name` is its file name, as it is shown.
    pub fn new(path: &'a [u8], name: &'a [u8]) -> Self {
        Self { library: Path(path), library_file: Text(name), soname_version: product::soname_version(name).map(Text) }
    }
}

impl<'a> LibLoad<'a> {
    /// As recorded, and what the capture found in the file; `known` is the catalog's name.
    pub fn new(capture: &'a Capture, header: &Header, load: &record::LibLoad<'a>, known: Option<&'static str>) -> Self {
        let fixed = &load.fixed;
        let id = (fixed.dev, fixed.ino);
        let row = capture.libraries.get(id);
        let found = Library::of(capture, id);
        let by_functions = || LibraryName::new(b"", row.map(|row| &row.family[..]).unwrap_or_default());
        Self {
            library_name: known.map(LibraryName::Known).or_else(by_functions),
            version: found.version.0,
            library_version: found.version,
            build_id: found.build_id,
            source: Mapped::new(if header.flags & flags::FROM_PROC != 0 { "already mapped" } else { "mapped" }),
            device: Device(fixed.dev),
            inode: fixed.ino,
            size: When::if_so(fixed.size != 0, fixed.size),
            address: Hex(fixed.address),
            offset: fixed.offset,
            tier: Tier(fixed.tier),
        }
    }
}
