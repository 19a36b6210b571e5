//! A process that takes more room in /proc than any other: what a recorder that reads /proc must bear. Does the steps its arguments
//! name, says `ready` on standard error, and waits for the end of its standard input. It harms nobody: its memory is untouched, its
//! files are the test's own.
#![allow(unsafe_code, reason = "raw system calls are what this program is for; it runs in tests only")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a wrong step ends the test")]

use std::ffi::{OsStr, OsString, c_void};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// `struct prctl_mm_map`, include/uapi/linux/prctl.h: it needs no capability.
#[repr(C)]
struct MemoryMap {
    start_code: u64,
    end_code: u64,
    start_data: u64,
    end_data: u64,
    start_brk: u64,
    brk: u64,
    start_stack: u64,
    arg_start: u64,
    arg_end: u64,
    env_start: u64,
    env_end: u64,
    auxv: u64,
    auxv_size: u32,
    exe_fd: u32,
}

const PAGE: usize = 4096;

fn main() {
    let mut steps = std::env::args_os().skip(1);
    let mut next = |what: &str| steps.next().unwrap_or_else(|| panic!("{what} is missing"));
    let number = |word: OsString| word.to_str().unwrap().parse::<usize>().unwrap();
    loop {
        let step = next("ready");
        match step.to_str().unwrap() {
            // BYTES of memory that is untouched are its arguments.
            "claim" => claim(number(next("a size"))),
            // It is called by these bytes.
            "name" => name(next("a name").as_bytes()),
            // Mappings of code of one FILE.
            "map" => map(number(next("a count")), Path::new(&next("a file"))),
            // A file of this NAME, below directories in DIR whose path has so many BYTES, is the FILE of the next step; its path.
            "map-deep" => {
                let (count, bytes) = (number(next("a count")), number(next("bytes")));
                let (dir, name) = (next("a directory"), next("a name"));
                map(count, &deep(Path::new(&dir), bytes, &name));
            }
            // So many descriptors of one FILE.
            "open" => open(number(next("a count")), Path::new(&next("a file"))),
            "ready" => break,
            step => panic!("no such step: {step}"),
        }
    }
    eprintln!("ready");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn must(result: libc::c_int, what: &str) {
    assert!(result >= 0, "{what}: {}", std::io::Error::last_os_error());
}

/// Where a line of /proc/self/stat has this field, counted as in proc_pid_stat(5).
fn stat(field: usize) -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_whitespace().nth(field - 3).unwrap().parse().unwrap()
}

fn memory(length: usize, protection: i32, flags: i32, fd: i32) -> *mut c_void {
    // SAFETY: a new mapping at a place that the kernel chooses.
    let memory = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, fd, 0) };
    assert_ne!(memory, libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
    memory
}

fn claim(bytes: usize) {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let begin = memory(bytes, libc::PROT_READ, flags, -1) as u64;
    // SAFETY: asks where the program break is.
    let brk = unsafe { libc::sbrk(0) } as u64;
    let map = MemoryMap {
        start_code: stat(26),
        end_code: stat(27),
        start_data: stat(45),
        end_data: stat(46),
        start_brk: stat(47),
        brk,
        start_stack: stat(28),
        arg_start: begin,
        arg_end: begin + bytes as u64,
        env_start: stat(50),
        env_end: stat(51),
        auxv: 0,
        auxv_size: 0,
        exe_fd: u32::MAX,
    };
    // SAFETY: the kernel reads the structure, which lives until the call returns.
    let set =
        unsafe { libc::prctl(libc::PR_SET_MM, libc::PR_SET_MM_MAP, &raw const map, size_of::<MemoryMap>(), 0_usize) };
    must(set, "prctl(PR_SET_MM_MAP)");
}

fn name(bytes: &[u8]) {
    let name = std::ffi::CString::new(bytes).unwrap();
    // SAFETY: the kernel reads a text that ends.
    must(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) }, "prctl(PR_SET_NAME)");
}

fn map(count: usize, file: &Path) {
    let file = open_in_steps(file);
    for _ in 0..count {
        // Each of the same page, so that none is joined to the one before.
        memory(PAGE, libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE, file.as_raw_fd());
    }
}

/// Goes down a path that may be too long for one call.
fn open_in_steps(path: &Path) -> File {
    let before = std::env::current_dir().unwrap();
    for part in path.parent().unwrap() {
        std::env::set_current_dir(part).unwrap();
    }
    let file = File::open(path.file_name().unwrap()).unwrap();
    std::env::set_current_dir(before).unwrap();
    file
}

fn deep(dir: &Path, bytes: usize, name: &OsStr) -> PathBuf {
    let before = std::env::current_dir().unwrap();
    std::env::set_current_dir(dir).unwrap();
    let mut path = dir.to_path_buf();
    while path.as_os_str().len() + name.len() + 202 < bytes {
        let part = OsString::from_vec(vec![b'd'; 200]);
        std::fs::create_dir_all(&part).unwrap();
        std::env::set_current_dir(&part).unwrap();
        path.push(part);
    }
    std::fs::write(name, vec![0; PAGE]).unwrap();
    std::env::set_current_dir(before).unwrap();
    path.join(name)
}

fn open(count: usize, file: &Path) {
    let limit = libc::rlimit { rlim_cur: count as u64 + 64, rlim_max: count as u64 + 64 };
    // SAFETY: the kernel reads the structure, which lives until the call returns.
    must(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, "setrlimit(RLIMIT_NOFILE)");
    for _ in 0..count {
        // It ends with the process.
        std::mem::forget(File::open(file).unwrap());
    }
}
