//! What several of the live tests need: directories, files, and what the workload said.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A directory of the test's own, which any user may enter, without symbolic links in its path.
pub fn directory() -> (TempDir, PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::Builder::new().prefix("crypto-trace-test-").tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = directory.path().canonicalize().unwrap();
    (directory, path)
}

/// A small file; its directories are made as needed.
pub fn touch(path: &Path) -> PathBuf {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, "not a key\n").unwrap();
    path.to_path_buf()
}

/// One open as the workload saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// Descriptor or -errno.
    pub result: i32,
    /// Device as records have it.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
}

/// What the workload printed of its opens, in order.
pub fn said(stdout: &[u8]) -> Vec<Said> {
    let line = |line: &str| {
        let numbers: Vec<i64> = line.strip_prefix("open ")?.split(' ').map(|word| word.parse().unwrap()).collect();
        let [result, dev, ino] = numbers[..] else { panic!("not an answer: {line}") };
        let result = i32::try_from(result).unwrap();
        Some(Said { result, dev: dev.try_into().unwrap(), ino: ino.try_into().unwrap() })
    };
    String::from_utf8_lossy(stdout).lines().filter_map(line).collect()
}

/// Words of different types as one list of arguments.
#[macro_export]
macro_rules! words {
    ($($word:expr),* $(,)?) => { [$( std::ffi::OsString::from(&$word) ),*] };
}
