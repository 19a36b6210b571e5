//! `api_call`: a call into a crypto library, or of the kernel's crypto.

use super::file_open::file_type;
use super::library::{Library, LibraryName};
use super::members::{Out, Type, Value, members};
use super::object::Redact;
use super::values::{Code, CodePoint, Errno, Hex, HexBytes, Listed, Path, Secret, Text, When, words};
use crate::capture::Capture;
use crate::capture::libraries::{self, state, succeeded};
use crate::protocol::iana::{CipherSuite, Version};
use crypto_trace_format::catalog::{Confidence, FileType, JudgedBy};
use crypto_trace_format::record::{self, ApiLevel, ApiMeaning};

members! {
    /// Members of an api_call.
    pub struct ApiCall<'a> from "record" {
        /// the function, `SSL_do_handshake`; or the system call
        function_name: Text<'a>,
        /// `handshake`: handshakes and what configures them; `algorithm`: algorithms in use; `kernel`: the kernel's own crypto
        level: ApiLevel,
        /// what the call is for: `handshake`, `context`, `certificate_file`, `private_key_file`, `trust_file`, `server_name`,
        /// `ciphers`, `groups`, `priority`, `min_version`, `max_version`, `configuration`; algorithms in use: `cipher`,
        /// `digest`, `public_key`, `mac`, `key_derivation`, `mechanism`, `random`; of the kernel: `kernel_algorithm`,
        /// `kernel_tls`, `kernel_key`
        meaning: ApiMeaning,
        /// path of the library; `null` when not known, and for the kernel
        #[from = "`library_info`"]
        library: Option<Path<'a>>,
        /// its name in the catalog or by its functions; `null` likewise
        #[from = "catalog, or `library_info`"]
        library_name: Option<LibraryName<'a>>,
        /// the version it reports itself; left out when not known
        #[from = "`library_info`"]
        library_version: When<Text<'a>>,
        /// its build id; left out when not known
        #[from = "`library_info`"]
        build_id: When<HexBytes<'a>>,
        /// what the call was given, by `meaning`: a path, a host name, a list of ciphers as the library writes them, a version,
        /// an algorithm; `null` when there is none. Secrets in it are masked
        argument: Option<Argument<'a>>,
        /// the number that the call was given, as the library numbers it; only when there is one
        number: When<u64>,
        /// only for a call that loads a file and did not fail: what the file is according to this call
        file_type: When<Loaded>,
        /// `high`; with `file_type`
        file_type_confidence: When<High>,
        /// `use`; with `file_type`
        file_type_by: When<Use>,
        /// only for calls that use one: the algorithm, under the name used in reports (`AES-256-GCM` also for `id-aes256-GCM`
        /// and for a number); `null` when the call does not show it
        #[from = "record, rules"]
        algorithm: When<Option<Secret<'a>>>,
        /// what it returned; for a pointer 1, or 0 if null; `null` when not known
        result: Option<i64>,
        /// name of the errno, for a system call that failed
        error: When<Errno>,
        /// whether that means success; `null` when not known, or when the call may go on
        succeeded: Option<bool>,
        /// how many calls this is
        count: u64,
        /// calls that the handshake took; only when known
        calls: When<u32>,
        /// for a handshake: from its first call to the end of its last one; otherwise how long the call took; `null` when
        /// not known
        #[unit = "ns"]
        duration_ns: Option<u64>,
        /// descriptor of the connection; `null` when not known
        fd: Option<u32>,
        /// socket of the connection, as in tls_handshake; `null` when not known
        socket_cookie: Option<u64>,
        /// stands for the connection or context: the same value is the same object of that process. Not an address
        object: When<Hex<u64>>,
        /// what the library reports for the connection, `DTLS 1.2` for DTLS; only when known
        tls_version: When<Code<Version>>,
        /// its suite: the IANA name, or the code point; only when known
        cipher_suite: When<Code<CipherSuite>>,
        /// the suite's code point
        cipher_suite_id: When<CodePoint>,
        /// only when there is something to note: `may_go_on` (it would have blocked, or the library does not report
        /// that), `argument_unreadable`, `called_by_library` (the library itself made the call)
        call_notes: Listed<CallNote>,
    }
}

words! {
    /// What a library was asked to load.
    pub Loaded: "certificate" "private_key" "trust_store"
}

words! {
    /// How sure what was loaded is.
    pub High: "high"
}

words! {
    /// What it is known by.
    pub Use: "use"
}

words! {
    /// What to know about a call.
    pub CallNote: "may_go_on" "argument_unreadable" "called_by_library"
}

/// What a call was given, as people read it.
#[derive(Debug, Clone, Copy)]
pub enum Argument<'a> {
    /// An absolute path.
    Path(&'a [u8]),
    /// Any text.
    Text(&'a [u8]),
    /// A version.
    Version(Version),
    /// A number that stands for something.
    Number(u64),
}

impl Value for Argument<'_> {
    const TYPE: Type = Type::Host(Redact::Secret);

    fn write<O: Out>(&self, out: &mut O, bit: u32) {
        match self {
            Self::Path(path) => out.text(bit, path, Redact::Path),
            Self::Text(text) => out.text(bit, text, Redact::Secret),
            Self::Version(version) => Code(version).write(out, bit),
            Self::Number(number) => out.word(&format!("{number:#x}")),
        }
    }
}

impl<'a> Argument<'a> {
    fn new(call: &record::ApiCall<'a>) -> Option<Self> {
        let number = call.fixed.number;
        match (ApiMeaning(call.fixed.meaning), call.text) {
            (ApiMeaning::CERTIFICATE_FILE | ApiMeaning::PRIVATE_KEY_FILE | ApiMeaning::TRUST_FILE, path)
                if path.first() == Some(&b'/') =>
            {
                Some(Self::Path(path))
            }
            (_, text) if !text.is_empty() => Some(Self::Text(text)),
            (ApiMeaning::MIN_VERSION | ApiMeaning::MAX_VERSION, _) if number != 0 => {
                Some(u16::try_from(number).map_or(Self::Number(number), |number| Self::Version(Version(number))))
            }
            (ApiMeaning::MECHANISM, _) => Some(Self::Number(number)),
            _ => None,
        }
    }
}

impl<'a> ApiCall<'a> {
    /// As recorded; `algorithm` is what [`libraries::algorithm`] says of it.
    pub fn new(capture: &'a Capture, call: &record::ApiCall<'a>, algorithm: Option<&'a str>) -> Self {
        let fixed = &call.fixed;
        let known = |bit| fixed.state & bit != 0;
        let meaning = ApiMeaning(fixed.meaning);
        let library = Library::of(capture, (fixed.dev, fixed.ino));
        let loaded = libraries::loaded_as(call).map(|judged| file_type(Some(judged)));
        let uses_algorithm = libraries::uses_algorithm(meaning);
        // Other numbers than those of algorithms may be any.
        let no_number = uses_algorithm && !libraries::is_number(fixed.number);
        let told = known(state::RESULT) && !libraries::was_interrupted(call);
        let refused = fixed.level == ApiLevel::KERNEL.0 && told && fixed.result < 0;
        let errno = u32::try_from(fixed.result.unsigned_abs()).unwrap_or(u32::MAX);
        let notes = [
            (state::PENDING, "may_go_on"),
            (state::UNREADABLE, "argument_unreadable"),
            (state::INTERNAL, "called_by_library"),
        ];
        Self {
            function_name: Text(call.function),
            level: ApiLevel(fixed.level),
            meaning,
            library: library.path,
            library_name: library.name,
            library_version: library.version,
            build_id: library.build_id,
            argument: Argument::new(call),
            number: When::if_so(fixed.number != 0 && !no_number, fixed.number),
            file_type: When(loaded.map(|(file_type, ..)| Loaded::new(FileType::name(file_type)))),
            file_type_confidence: When(loaded.and_then(|(_, sure, _)| Some(High::new(Confidence::name(sure?))))),
            file_type_by: When(loaded.and_then(|(.., by)| Some(Use::new(JudgedBy::name(by?))))),
            algorithm: When::if_so(uses_algorithm, algorithm.map(|name| Secret(name.as_bytes()))),
            result: told.then_some(fixed.result),
            error: When::if_so(refused, Errno(errno)),
            succeeded: succeeded(call),
            count: fixed.count,
            calls: When::if_so(fixed.calls != 0, fixed.calls),
            duration_ns: Some(fixed.duration_ns).filter(|ns| *ns != 0),
            fd: u32::try_from(fixed.fd).ok(),
            socket_cookie: Some(fixed.cookie).filter(|cookie| *cookie != 0),
            object: When::if_so(fixed.object != 0, Hex(fixed.object)),
            tls_version: When::if_so(fixed.version != 0, Code(Version(fixed.version))),
            cipher_suite: When::if_so(fixed.suite != 0, Code(CipherSuite(fixed.suite))),
            cipher_suite_id: When::if_so(fixed.suite != 0, CodePoint(fixed.suite)),
            call_notes: Listed(
                notes.into_iter().filter(|(bit, _)| known(*bit)).map(|(_, note)| CallNote::new(note)).collect(),
            ),
        }
    }
}

/// The algorithm that a call uses, by the name that reports use.
pub fn algorithm(capture: &Capture, call: &record::ApiCall<'_>) -> Option<String> {
    let row = capture.libraries.get((call.fixed.dev, call.fixed.ino));
    libraries::algorithm(call, row.map_or(&[][..], |row| &row.family))
}
