//! Copies of the crypto libraries for the tests' own processes.
//!
//! A probe on a library's function is in every process that has the library's file mapped, recorded or not. So that tests put
//! none into processes that are not theirs, each process a test starts has its own mount namespace, in which copies lie over
//! the system's libraries.
#![allow(unsafe_code, reason = "namespaces are changed between fork and exec")]

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Beginnings of the names of libraries that are probed.
const PREFIXES: &[&str] = &[
    "libssl.so",
    "libcrypto.so",
    "libgnutls.so",
    "libssl3.so",
    "libnss3.so",
    "libgcrypt.so",
    "libsodium.so",
    "libmbedtls.so",
    "libwolfssl.so",
];

/// Makes `command` see the copies, where that is allowed.
pub fn give_to(command: &mut Command) {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let copies = copies();
    let enter = move || -> io::Result<()> {
        // SAFETY: only this process's view of the mounts changes, between fork and exec.
        unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
        mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        for (copy, library) in copies {
            mount_bind(copy.as_c_str(), library.as_c_str())?;
        }
        Ok(())
    };
    // SAFETY: `enter` makes system calls only, on strings that are there for ever.
    unsafe { command.pre_exec(enter) };
}

/// The file that processes of a test see at this path, for looking at it from outside.
pub fn as_seen(path: &Path) -> PathBuf {
    let copies = if rustix::process::geteuid().is_root() { copies() } else { &[] };
    let copy = copies.iter().find(|(_, library)| library.to_bytes() == path.as_os_str().as_bytes());
    copy.map_or(path, |(copy, _)| Path::new(std::ffi::OsStr::from_bytes(copy.to_bytes()))).to_path_buf()
}

/// Copies and what they lie over.
fn copies() -> &'static [(CString, CString)] {
    static COPIES: OnceLock<Vec<(CString, CString)>> = OnceLock::new();
    COPIES.get_or_init(|| {
        let directory = crate::binaries::directory().join("own-libraries");
        std::fs::create_dir_all(&directory).unwrap();
        let c_string = |path: &Path| CString::new(path.as_os_str().as_bytes()).unwrap();
        libraries()
            .iter()
            .map(|library| {
                let copy = directory.join(library.file_name().unwrap());
                let made = |path: &Path| path.metadata().map(|file| (file.len(), file.modified().unwrap())).ok();
                let (have, want) = (made(&copy), made(library));
                if have.is_none() || have.map(|made| made.0) != want.map(|made| made.0) || have < want {
                    // Other test binaries do the same at the same time.
                    let new = tempfile::NamedTempFile::new_in(&directory).unwrap();
                    std::fs::copy(library, new.path()).unwrap();
                    new.persist(&copy).unwrap();
                }
                (c_string(&copy), c_string(library))
            })
            .collect()
    })
}

/// The files themselves, links followed.
fn libraries() -> Vec<PathBuf> {
    let cache = Command::new("/sbin/ldconfig").arg("-p").output().map(|out| out.stdout).unwrap_or_default();
    let cache = String::from_utf8_lossy(&cache).into_owned();
    let mut libraries: Vec<_> = cache
        .lines()
        .filter(|line| PREFIXES.iter().any(|prefix| line.trim_start().starts_with(prefix)))
        .filter_map(|line| line.split_once("=> ").and_then(|(_, path)| Path::new(path).canonicalize().ok()))
        .collect();
    libraries.sort();
    libraries.dedup();
    libraries
}
