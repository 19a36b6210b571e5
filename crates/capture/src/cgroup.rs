//! cgroup v2 directories: where they are mounted, and descriptors of them for the BPF programs.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::fs::{Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use crate::exit::Failure;

/// Where cgroup v2 is mounted, for example /sys/fs/cgroup or /sys/fs/cgroup/unified.
///
/// # Errors
/// When it is not.
pub fn root() -> Result<PathBuf, Failure> {
    let mounts = procfs::process::Process::myself().and_then(|me| me.mountinfo()).context("cannot read the mounts")?;
    mounts
        .into_iter()
        .find(|mount| mount.fs_type == "cgroup2" && mount.root == "/")
        .map(|mount| mount.mount_point)
        .ok_or_else(|| Failure::unsupported("--cgroup needs cgroup v2, which is not mounted here".into()))
}

/// The directory of a cgroup given as its directory or as its path below the cgroup root.
///
/// # Errors
/// When cgroup v2 is not mounted.
pub fn directory(path: &Path) -> Result<PathBuf, Failure> {
    let root = root()?;
    if path.starts_with(&root) {
        return Ok(path.to_path_buf());
    }
    Ok(root.join(path.strip_prefix("/").unwrap_or(path)))
}

/// A descriptor of a cgroup given as in [`directory`].
///
/// # Errors
/// When there is no such cgroup.
pub fn open(path: &Path) -> Result<OwnedFd, Failure> {
    let directory = directory(path)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let cannot = || format!("cannot open the cgroup {}", directory.display());
    Ok(rustix::fs::open(&directory, flags, Mode::empty()).with_context(cannot)?)
}

/// A descriptor of the root cgroup, also where cgroup v2 is not mounted: a mount that is attached nowhere goes with it.
///
/// # Errors
/// When the kernel has no cgroup v2, or mounting is not allowed.
pub fn open_root() -> Result<OwnedFd, Failure> {
    if root().is_ok() {
        return open(Path::new("/"));
    }
    let mount = || -> rustix::io::Result<OwnedFd> {
        let fs = fsopen("cgroup2", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(&fs)?;
        fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
    };
    Ok(mount().context("cgroup v2 is not mounted here and cannot be")?)
}
