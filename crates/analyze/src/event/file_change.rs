//! `file_change`: a file got, changed or lost a name, a mode or an owner.

use super::file_open::{error, file_type};
use super::members::members;
use super::values::{Device, Errno, InodeMode, Mode, Passed, Path, When, words};
use crate::capture::libraries::judge_path;
use crate::words::kernel::{change_flags, change_name, is_interrupted};
use crypto_trace_format::catalog::{Confidence, FileType, Judged, JudgedBy};
use crypto_trace_format::record::{self, ChangeCall, Tier};

members! {
    /// Members of a file_change.
    pub struct FileChange<'a> from "record" {
        /// `rename`, `link` (another name for the file), `symlink`, `unlink` (also of a directory), `chmod` or `chown`
        change: Change,
        /// the file concerned: for a rename its old name, for a link its existing name, for `symlink` the new link. The path as
        /// passed, joined to `directory` when it was relative, not normalised: when such a call ends there is no file to ask.
        /// For a call on a descriptor, the absolute path that the kernel has
        file: Path<'a>,
        /// for `rename` and `link`: the new name, likewise
        new_file: When<Path<'a>>,
        /// for `symlink`: what the link points to, as passed
        link_target: When<Passed<'a>>,
        /// as in file_open: by the new name, else by the old one, else by `link_target`
        #[from = "catalog"]
        file_type: FileType,
        /// as in file_open
        #[from = "catalog"]
        file_type_confidence: Option<Confidence>,
        /// as in file_open
        #[from = "catalog"]
        file_type_by: Option<JudgedBy>,
        /// 0, or the negative errno; `null` with the note `interrupted`
        result: Option<i32>,
        /// name of the errno, when it failed
        error: When<Errno>,
        /// for `chmod`: the requested mode, octal
        mode: When<Mode>,
        /// for `chown`: the requested user id, as the process passed it; `null`: unchanged
        owner: When<Option<u32>>,
        /// the same for the group id
        group: When<Option<u32>>,
        /// flags as passed, `RENAME_NOREPLACE`, `AT_REMOVEDIR`; only when there are any
        flags: When<String>,
        /// the path as passed, when it was relative
        file_given: When<Passed<'a>>,
        /// the directory it was relative to
        directory: When<Path<'a>>,
        /// the same for `new_file`
        new_file_given: When<Passed<'a>>,
        /// the directory that was relative to
        new_directory: When<Path<'a>>,
        /// device of the file, as in file_open; only for calls on a descriptor
        device: When<Device>,
        /// its inode number; likewise
        inode: When<u64>,
        /// its `st_mode`, after the change; likewise
        inode_mode: When<InodeMode>,
        /// the call: `rename`, `renameat`, `renameat2`, `link`, `linkat`, `symlink`, `symlinkat`, `unlink`, `unlinkat`,
        /// `rmdir`, `chmod`, `fchmod`, `fchmodat`, `fchmodat2`, `chown`, `lchown`, `fchown`, `fchownat`; variants of
        /// 32-bit programs for 16-bit ids are shown under the names of the others
        syscall: ChangeCall,
        /// as in file_open
        tier: Tier,
    }
}

words! {
    /// What was done.
    pub Change: "rename" "link" "symlink" "unlink" "chmod" "chown" "unknown"
}

/// What the file of a change holds: by its new name, where it got one that says it, or by the one that it had, or, of a
/// symbolic link, by what that points to.
pub fn judge(change: &record::FileChange<'_>) -> Option<Judged> {
    let new = change.full_new().and_then(|path| judge_path(&path));
    let old = || judge_path(&change.full_path());
    new.or_else(old).or_else(|| judge_path(change.link_target()?))
}

impl<'a> FileChange<'a> {
    /// As recorded; `path` and `new` are its full paths.
    pub fn new(change: &'a record::FileChange<'a>, path: &'a [u8], new: Option<&'a [u8]>) -> Self {
        let fixed = &change.fixed;
        let call = ChangeCall(fixed.call);
        let done = change_name(call);
        let (file_type, file_type_confidence, file_type_by) = file_type(judge(change));
        let result = (!is_interrupted(fixed.result.into())).then_some(fixed.result);
        let id = |id: u32| When::if_so(done == "chown", Some(id).filter(|id| *id != u32::MAX));
        let given = change.given();
        let new_given = change.new_given().zip(new);
        let is_file = fixed.ino != 0 || fixed.dev != 0;
        Self {
            change: Change::new(done),
            file: Path(path),
            new_file: When(new.map(Path)),
            link_target: When(change.link_target().map(|passed| Passed { passed, real: path })),
            file_type,
            file_type_confidence,
            file_type_by,
            result,
            error: error(result),
            mode: When::if_so(done == "chmod", Mode(fixed.mode)),
            owner: id(fixed.uid),
            group: id(fixed.gid),
            flags: When(Some(change_flags(call, fixed.flags)).filter(|flags| !flags.is_empty())),
            file_given: When(given.map(|(_, passed)| Passed { passed, real: path })),
            directory: When(given.map(|(directory, _)| Path(directory))),
            new_file_given: When(new_given.map(|((_, passed), real)| Passed { passed, real })),
            new_directory: When(new_given.map(|((directory, _), _)| Path(directory))),
            device: When::if_so(is_file, Device(fixed.dev)),
            inode: When::if_so(is_file, fixed.ino),
            inode_mode: When::if_so(fixed.inode_mode != 0, InodeMode(fixed.inode_mode)),
            syscall: call,
            tier: Tier(fixed.tier),
        }
    }
}
