//! `file_open`: a call that opens a file ended, or a file was found open.

use super::members::members;
use super::members::{Form, Type, Value};
use super::values::{Device, Errno, Hex, InodeMode, Mode, Passed, Path, When, made_texts, words};
use crate::words::kernel::{OpenFlags, is_interrupted, takes_mode};
use crypto_trace_format::catalog::{Confidence, FileType, Judged, JudgedBy};
use crypto_trace_format::record::{self, Header, Tier, flags};

members! {
    /// The path, which is kept rendered.
    pub struct OpenedFile<'a> from "record" {
        /// absolute path that the kernel resolved. For a failed open: the path as passed, joined to `directory` when it was
        /// relative; not normalised
        file: Path<'a>,
    }
}

members! {
    /// Members of a file_open after that.
    pub struct FileOpen<'a> from "record" {
        /// what the file holds, judged by its name, or by its use, see [File types](#file-types)
        #[from = "catalog, or `api_call`"]
        file_type: FileType,
        /// how sure that is: `high`, `medium`, or `low`, which is a guess; `null` when the catalog does not know the name
        #[from = "catalog, or `api_call`"]
        file_type_confidence: Option<Confidence>,
        /// how it was recognised: `name`, `suffix`, `words` in the name, `directory`, or `use`: a library of this process was
        /// asked to load the file as that; `null` when not known
        #[from = "catalog, or `api_call`"]
        file_type_by: Option<JudgedBy>,
        /// flags as passed, `O_RDONLY|O_CLOEXEC`; bits without a name as one hexadecimal number. Decoded for the
        /// architecture that recorded them
        flags: Flags,
        /// file descriptor, or the negative errno; `null` with the note `interrupted`
        result: Option<i32>,
        /// name of the errno, for a failed open: `ENOENT`, `EACCES`, …
        error: When<Errno>,
        /// mode as passed, octal; only with `O_CREAT` or `O_TMPFILE`
        mode: When<Mode>,
        /// path as passed, where it differs from `file`
        file_given: When<Passed<'a>>,
        /// for a failed open of a relative path: the directory it was relative to
        directory: When<Path<'a>>,
        /// device of the file, `major:minor`; not for a failed open
        device: When<Device>,
        /// inode number of the file; not for a failed open
        inode: When<u64>,
        /// `st_mode` of the file, octal: `100640` is a regular file, 0640
        inode_mode: When<InodeMode>,
        /// instead of `syscall`, `already open`: not an open that happened, but a file that a process had open when the
        /// capture inspected /proc (when the capture began). `flags` and the descriptor are as of then
        source: When<Found>,
        /// `open`, `openat`, `openat2`, `creat` or `open_by_handle_at`; `io_uring openat` or `io_uring openat2`: an equivalent
        /// io_uring request, seen if it succeeded, without the path as passed
        syscall: When<OpenCall>,
        /// `RESOLVE_*` flags of openat2, hexadecimal; only when there are any
        resolve: When<Hex<u64>>,
        /// kernel mechanism that saw it: `tracepoint`, `raw_tracepoint`, `kprobe`, `fentry`, `uprobe`, `proc`
        tier: Tier,
    }
}

words! {
    /// Where a file that was not opened comes from.
    pub Found: "already open"
}

words! {
    /// The call.
    pub OpenCall: "open" "openat" "openat2" "creat" "open_by_handle_at" "io_uring openat" "io_uring openat2" "unknown"
}

/// Open flags of the architecture that recorded them.
#[derive(Debug, Clone, Copy)]
pub struct Flags {
    names: OpenFlags,
    flags: u64,
}

made_texts! {
    Flags: Form::Any, |this, out| this.names.write(this.flags, out);
}

impl<'a> FileOpen<'a> {
    /// As recorded; `shown` is `file`.
    #[inline(always)]
    pub fn new(
        open: &'a record::FileOpen<'a>,
        header: &Header,
        names: OpenFlags,
        shown: &'a [u8],
        judged: Option<Judged>,
    ) -> Self {
        let fixed = &open.fixed;
        let (file_type, file_type_confidence, file_type_by) = file_type(judged);
        let result = (!is_interrupted(fixed.result.into())).then_some(fixed.result);
        let was_open = header.flags & flags::FROM_PROC != 0;
        let joined = open.is_joined();
        let passed = if joined { open.path } else { open.given };
        let is_file = fixed.ino != 0 || fixed.dev != 0;
        Self {
            file_type,
            file_type_confidence,
            file_type_by,
            flags: Flags { names, flags: open.all_flags() },
            result,
            error: error(result),
            mode: When::if_so(takes_mode(fixed.flags), Mode(fixed.mode)),
            file_given: When::if_so(!passed.is_empty(), Passed { passed, real: shown }),
            directory: When::if_so(joined, Path(open.dir)),
            device: When::if_so(is_file, Device(fixed.dev)),
            inode: When::if_so(is_file, fixed.ino),
            inode_mode: When::if_so(fixed.inode_mode != 0, InodeMode(fixed.inode_mode)),
            source: When(was_open.then(|| Found::new("already open"))),
            syscall: When((!was_open).then(|| OpenCall::new(record::OpenCall(fixed.call).name()))),
            resolve: When::if_so(fixed.resolve != 0, Hex(fixed.resolve)),
            tier: Tier(fixed.tier),
        }
    }
}

/// What a file holds, how sure that is, and what it is known by.
#[inline]
pub fn file_type(judged: Option<Judged>) -> (FileType, Option<Confidence>, Option<JudgedBy>) {
    let file_type = judged.map_or(FileType::Unknown, |judged| judged.file_type);
    (file_type, judged.map(|judged| judged.confidence), judged.map(|judged| judged.by))
}

/// Of a result, where it is one.
#[inline]
pub fn error(result: Option<i32>) -> When<Errno> {
    When(result.filter(|result| *result < 0).map(|result| Errno(result.unsigned_abs())))
}
