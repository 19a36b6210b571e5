//! The directory segments are written to. It is opened once; every file is reached through it, so that renaming or
//! replacing a parent directory cannot redirect what is written.

use rustix::fs::{AtFlags, Mode, OFlags};
use std::ffi::OsStr;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

pub(super) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

impl Dir {
    /// Opens `path`, creating it and its parents with mode 0750 where missing.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o750).create(path)?;
        Self::open(path)
    }

    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { fd, path: path.to_owned() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Creates a file (0640) that must not be there yet, not even as a symlink.
    pub(super) fn create_new(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o640));
        Ok(rustix::io::retry_on_intr(open)?.into())
    }

    /// Whether anything has that name, be it a dangling symlink.
    pub(super) fn exists(&self, name: &OsStr) -> io::Result<bool> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(rustix::io::Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Renames `from` to `to`, which must not be there yet.
    pub(super) fn rename_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            use rustix::io::Errno;
            match rustix::fs::renameat_with(&self.fd, from, &self.fd, to, rustix::fs::RenameFlags::NOREPLACE) {
                // Kernels before 3.15; file systems that do not know the flag.
                Err(Errno::NOSYS | Errno::INVAL) => {}
                done => return Ok(done?),
            }
        }
        match rustix::fs::linkat(&self.fd, from, &self.fd, to, AtFlags::empty()) {
            Ok(()) => Ok(rustix::fs::unlinkat(&self.fd, from, AtFlags::empty())?),
            Err(rustix::io::Errno::EXIST) => Err(io::ErrorKind::AlreadyExists.into()),
            // No hard links either: what remains is to look first.
            Err(_) if self.exists(to)? => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => Ok(rustix::fs::renameat(&self.fd, from, &self.fd, to)?),
        }
    }

    /// Whether what has that name is this file.
    pub(super) fn is_file(&self, name: &OsStr, file: &File) -> io::Result<bool> {
        let (ours, named) = (rustix::fs::fstat(file)?, rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?);
        Ok((ours.st_dev, ours.st_ino) == (named.st_dev, named.st_ino))
    }

    /// Gives a file that has another name somewhere this one, which must not be there yet.
    pub(super) fn link_new(&self, file: &File, to: &OsStr) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            use std::os::fd::AsRawFd as _;
            let from = format!("/proc/self/fd/{}", file.as_raw_fd());
            Ok(rustix::fs::linkat(rustix::fs::CWD, from, &self.fd, to, AtFlags::SYMLINK_FOLLOW)?)
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = (file, to);
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    pub(super) fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.fd)
    }

    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Makes creations and renames durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        match rustix::fs::fsync(&self.fd) {
            // Some file systems cannot sync a directory; they need not.
            Ok(()) | Err(rustix::io::Errno::INVAL) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Names and metadata of the regular files in it.
    pub(super) fn files(&self) -> io::Result<Vec<(std::ffi::OsString, rustix::fs::Stat)>> {
        use std::os::unix::ffi::OsStrExt;
        let mut files = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            let Ok(stat) = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() {
                files.push((name.to_owned(), stat));
            }
        }
        Ok(files)
    }
}
