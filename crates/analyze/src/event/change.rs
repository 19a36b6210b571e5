//! Members of a file_change.

use super::fields::{as_passed, device, error, file_type, octal};
use super::object::{Object, Redact};
use crate::capture::libraries::judge_path;
use crate::words::kernel::{change_flags, change_name, is_interrupted};
use crypto_trace_format::catalog::Judged;
use crypto_trace_format::record::{ChangeCall, FileChange, Tier};

/// What the file of a change holds: by its new name, where it got one that says it, or by the one that it had, or, of a
/// symbolic link, by what that points to.
pub fn judge(change: &FileChange<'_>) -> Option<Judged> {
    let new = change.full_new().and_then(|path| judge_path(&path));
    let old = || judge_path(&change.full_path());
    new.or_else(old).or_else(|| judge_path(change.link_target()?))
}

/// All members but those that every event has.
pub fn file_change(object: &mut Object<'_>, change: &FileChange<'_>) {
    let fixed = &change.fixed;
    let call = ChangeCall(fixed.call);
    object.plain(b",\"change\":", change_name(call));
    let path = change.full_path();
    object.text(b",\"file\":", "file", &path, Redact::Path);
    if let Some(new) = change.full_new() {
        object.text(b",\"new_file\":", "new_file", &new, Redact::Path);
    }
    if let Some(target) = change.link_target() {
        as_passed(object, b",\"link_target\":", "link_target", target, &path);
    }
    file_type(object, judge(change));
    let told = !is_interrupted(fixed.result.into());
    object.number_or_null(b",\"result\":", told.then_some(fixed.result));
    if told && fixed.result < 0 {
        error(object, fixed.result.unsigned_abs());
    }
    match change_name(call) {
        "chmod" => object.formatted(b",\"mode\":", format_args!("{:04o}", fixed.mode)),
        "chown" => {
            let given = |id: u32| Some(id).filter(|id| *id != u32::MAX);
            object.number_or_null(b",\"owner\":", given(fixed.uid));
            object.number_or_null(b",\"group\":", given(fixed.gid));
        }
        _ => {}
    }
    let flags = change_flags(call, fixed.flags);
    if !flags.is_empty() {
        object.plain(b",\"flags\":", &flags);
    }
    if let Some((directory, given)) = change.given() {
        as_passed(object, b",\"file_given\":", "file_given", given, &path);
        object.text(b",\"directory\":", "directory", directory, Redact::Path);
    }
    if let (Some((directory, given)), Some(new)) = (change.new_given(), change.full_new()) {
        as_passed(object, b",\"new_file_given\":", "new_file_given", given, &new);
        object.text(b",\"new_directory\":", "new_directory", directory, Redact::Path);
    }
    if fixed.ino != 0 || fixed.dev != 0 {
        device(object, fixed.dev);
        object.number(b",\"inode\":", fixed.ino);
    }
    if fixed.inode_mode != 0 {
        octal(object, b",\"inode_mode\":\"", fixed.inode_mode);
    }
    object.plain(b",\"syscall\":", call.name());
    object.plain(b",\"tier\":", Tier(fixed.tier).name());
}
