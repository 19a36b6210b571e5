//! The file that a command writes for its user, which may be root in a directory where others may write, too.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use rustix::fs::OFlags;

use crate::say;

/// Opens `path` for what is to come, for its owner and group, as segments are. What it holds stays until [`empty`].
///
/// # Errors
/// When it cannot be written; as root also when it is a symbolic link, is a file of somebody else, or has other names: whoever
/// made it so decides what is overwritten.
pub fn open(path: &Path, behind_sudo: Option<u32>) -> Result<File> {
    let shown = || path.display().to_string();
    let is_root = rustix::process::geteuid().is_root();
    let flags = if is_root { OFlags::NOFOLLOW | OFlags::CLOEXEC } else { OFlags::CLOEXEC };
    let mut options = File::options();
    options.write(true).create(true).truncate(false).mode(0o640).custom_flags(flags.bits().cast_signed());
    let file = match options.open(path) {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            bail!("{}: a symbolic link, which is not followed as root: name the file itself", shown())
        }
        opened => opened.with_context(|| format!("{}: cannot be written", shown()))?,
    };
    if is_root {
        let metadata = file.metadata().with_context(|| format!("{}: cannot be looked at", shown()))?;
        if let Some(why) = refusal(&metadata, behind_sudo) {
            bail!("{}: {why}: name another one, or remove it", shown());
        }
    }
    Ok(file)
}

/// Why root does not write into such a file.
fn refusal(metadata: &Metadata, behind_sudo: Option<u32>) -> Option<String> {
    if !metadata.is_file() {
        return None;
    }
    let owner = metadata.uid();
    if owner != 0 && Some(owner) != behind_sudo {
        return Some(format!("belongs to user {owner}, and root would write it"));
    }
    (metadata.nlink() > 1).then(|| "has a second name (hard link), and root would write it".to_owned())
}

/// Whether nobody but root can have made, replaced or changed this file.
pub fn is_of_root_alone(path: &Path) -> bool {
    let of_root =
        |path: &Path| path.metadata().is_ok_and(|metadata| metadata.uid() == 0 && metadata.mode() & 0o022 == 0);
    let real = path.canonicalize().unwrap_or_default();
    of_root(&real) && real.ancestors().skip(1).all(of_root)
}

/// Who else decides what a directory holds that segments are written to: whoever may rename or remove them, and put others in their
/// place. Those that only add files, as in /tmp, do not.
pub fn shared_with(metadata: &Metadata, behind_sudo: Option<u32>) -> Option<String> {
    /// `S_ISVTX`: only the owner of a file renames or removes it.
    const STICKY: u32 = 0o1000;
    let (owner, mode) = (metadata.uid(), metadata.mode());
    let (us, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    if owner != 0 && owner != us && Some(owner) != behind_sudo {
        return Some(format!("belongs to user {owner}"));
    }
    let others = mode & 0o002 != 0;
    let members = mode & 0o020 != 0 && ![0, group].contains(&metadata.gid());
    if mode & STICKY != 0 || !(others || members) {
        return None;
    }
    let who = if others { "others".to_owned() } else { format!("the members of group {}", metadata.gid()) };
    Some(format!("may be written by {who} (mode {:04o})", mode & 0o7777))
}

/// Says so.
pub fn warn_if_shared(directory: BorrowedFd<'_>, path: &Path, behind_sudo: Option<u32>) {
    let metadata = directory.try_clone_to_owned().map(File::from).and_then(|directory| directory.metadata());
    if let Some(why) = metadata.ok().and_then(|metadata| shared_with(&metadata, behind_sudo)) {
        say::warning(&format!(
            "the directory of {} {why}: anyone who may write there can remove and replace recordings; give a directory \
             of your own",
            path.display().to_string().escape_debug()
        ));
    }
}

/// Empties a file, now that there is something to write.
///
/// # Errors
/// When the system refuses.
pub fn empty(file: &File) -> io::Result<()> {
    if file.metadata()?.is_file() { file.set_len(0) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn refused(path: &Path) -> String {
        open(path, None).map_or_else(|error| format!("{error:#}"), |_| "opened".to_owned())
    }

    #[test]
    fn what_a_file_holds_stays_until_there_is_something_to_write() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("out.json");
        std::fs::write(&path, "before").expect("written");
        let file = open(&path, None).expect("ours");
        assert_eq!(std::fs::read(&path).expect("readable"), b"before");
        empty(&file).expect("emptied");
        assert_eq!(std::fs::read(&path).expect("readable"), b"");
        let new = dir.path().join("new.json");
        let file = open(&new, None).expect("created");
        assert_eq!(file.metadata().expect("there").mode() & 0o137, 0, "for its owner and group");
        empty(&File::options().write(true).open("/dev/null").expect("there")).expect("nothing to empty");
    }

    #[test]
    fn directories_whose_files_others_may_replace() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("a directory");
        let shared = |mode: u32| {
            std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).expect("ours");
            shared_with(&dir.path().metadata().expect("there"), None)
        };
        for mode in [0o700, 0o750, 0o755, 0o1777, 0o1770, 0o2750] {
            assert_eq!(shared(mode), None, "{mode:o}");
        }
        assert_eq!(shared(0o777).as_deref(), Some("may be written by others (mode 0777)"));
        assert_eq!(shared(0o770), None, "our own group");
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(dir.path(), None, Some(1234)).expect("root may");
            assert_eq!(shared(0o770).as_deref(), Some("may be written by the members of group 1234 (mode 0770)"));
            std::os::unix::fs::chown(dir.path(), Some(1234), None).expect("root may");
            assert_eq!(shared(0o700).as_deref(), Some("belongs to user 1234"));
            assert_eq!(shared_with(&dir.path().metadata().expect("there"), Some(1234)), None, "of who called sudo");
        }
    }

    #[test]
    fn what_others_may_write_is_not_of_root_alone() {
        assert!(is_of_root_alone(Path::new("/usr/bin/env")));
        assert!(!is_of_root_alone(Path::new("/dev/null")), "anybody writes to it");
        assert!(!is_of_root_alone(Path::new("/nowhere")));
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("crypto-trace-analyze");
        std::fs::write(&path, "").expect("written");
        assert!(!is_of_root_alone(&path), "below a directory where anybody makes files");
    }

    #[test]
    fn root_follows_no_link_and_writes_into_no_file_of_others() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let (theirs, link, twice) = (dir.path().join("theirs"), dir.path().join("link"), dir.path().join("twice"));
        for path in [&theirs, &twice] {
            std::fs::write(path, "kept").expect("written");
        }
        std::os::unix::fs::chown(&theirs, Some(1234), None).expect("root may");
        symlink(&twice, &link).expect("made");
        assert!(refused(&link).contains("a symbolic link"), "{}", refused(&link));
        assert!(refused(&theirs).contains("belongs to user 1234"), "{}", refused(&theirs));
        assert!(open(&theirs, Some(1234)).is_ok(), "of who called sudo");
        std::fs::hard_link(&twice, dir.path().join("other")).expect("made");
        assert!(refused(&twice).contains("has a second name"), "{}", refused(&twice));
        for path in [&theirs, &twice] {
            assert_eq!(std::fs::read(path).expect("readable"), b"kept");
        }
    }
}
