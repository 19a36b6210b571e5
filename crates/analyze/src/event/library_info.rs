//! `library_info`: a crypto library that the capture found.

use super::library::LibraryName;
use super::members::members;
use super::values::{Device, Errno, HexBytes, Listed, Path, Text, When, some, words};
use crate::capture::libraries::{FEATURES, product};
use crypto_trace_format::record::library_features::{EXECUTABLE, GO};
use crypto_trace_format::record::{self, ProbeState};

members! {
    /// Members of a library_info.
    pub struct LibraryInfo<'a> from "record" {
        /// its path, as that process sees it
        library: Path<'a>,
        /// its name; `null` when neither the catalog nor its functions identify it
        #[from = "catalog, or record"]
        library_name: Option<LibraryName<'a>>,
        /// what kind of library it is by its functions, `openssl`; several with commas; `null` when none is known
        family: Option<Text<'a>>,
        /// version it reports itself, as in lib_load; `null`: not known
        library_version: Option<Text<'a>>,
        /// its build id; left out: it has none
        build_id: When<HexBytes<'a>>,
        /// device of the file, as in file_open
        device: Device,
        /// inode number of the file
        inode: u64,
        /// size of the file
        #[unit = "bytes"]
        size: u64,
        /// `attached`: its calls are recorded; `failed`, `skipped`, `detached`: they are not, see `error` and `message`
        state: ProbeState,
        /// name of the errno of a failure
        error: When<Errno>,
        /// why it failed or was skipped
        message: When<Text<'a>>,
        /// how many functions are probed
        functions: u32,
        /// only when there are any: `results` of calls are recorded, `versions` and `suites` of connections are read; the
        /// library makes `tls` handshakes; only a `text` in the file identifies it, because its functions have no names; the
        /// file is an `executable`, which contains the library if it has a `family`; a `go` program
        features: Listed<Feature>,
    }
}

words! {
    /// What is recorded of its calls, and what kind of file it is.
    pub Feature: "results" "versions" "suites" "text" "tls" "executable" "go"
}

impl<'a> LibraryInfo<'a> {
    /// As recorded.
    pub fn new(info: &record::LibraryInfo<'a>) -> Self {
        let fixed = &info.fixed;
        let features = FEATURES.iter().copied().chain([(EXECUTABLE, "executable"), (GO, "go")]);
        Self {
            library: Path(info.path),
            library_name: LibraryName::new(info.path, info.family),
            family: some(info.family).map(Text),
            library_version: some(info.version).map(|version| Text(product::version_number(version))),
            build_id: When(some(info.build_id).map(HexBytes)),
            device: Device(fixed.dev),
            inode: fixed.ino,
            size: fixed.size,
            state: ProbeState(fixed.state),
            error: When::if_so(fixed.errno != 0, Errno(fixed.errno.unsigned_abs())),
            message: When(some(info.message).map(Text)),
            functions: fixed.functions.into(),
            features: Listed(
                features.filter(|(bit, _)| fixed.features & bit != 0).map(|(_, name)| Feature::new(name)).collect(),
            ),
        }
    }
}
