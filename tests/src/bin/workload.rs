//! What the live tests have traced: does exactly the steps its arguments name, and prints what the kernel answered.
//!
//! Each step is a word and its arguments, see [`Workload::step`]. An open prints `open RESULT DEV INO`; a failed one has
//! -errno and zeros. System calls are made raw where the C library would choose another one.
//! It knows nothing of crypto-trace.
#![allow(unsafe_code, reason = "raw system calls are what this program is for; it runs in tests only")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a wrong step ends the test")]

use std::ffi::{CString, OsString};
use std::io::{BufRead as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;

/// include/uapi/linux/personality.h.
const READ_IMPLIES_EXEC: libc::c_ulong = 0x0040_0000;

/// Steps still to do, and the directory that `open` is relative to.
#[derive(Clone)]
struct Workload {
    steps: std::collections::VecDeque<CString>,
    dfd: libc::c_int,
    repeat: u64,
    resolve: u64,
    quiet: bool,
    complain: bool,
}

/// `struct open_how`, include/uapi/linux/openat2.h.
#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

fn main() {
    let steps = std::env::args_os().skip(1).map(|step: OsString| CString::new(step.into_vec()).unwrap()).collect();
    Workload { steps, dfd: libc::AT_FDCWD, repeat: 1, resolve: 0, quiet: false, complain: false }.run();
}

/// Panics with errno when a call that must work did not.
fn must(result: libc::c_int, what: &str) -> libc::c_int {
    assert!(result >= 0, "{what}: {}", std::io::Error::last_os_error());
    result
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// Says it on standard error, where the harness waits for lines.
#[allow(clippy::print_stderr, reason = "asked for")]
fn complain(line: &str) {
    eprintln!("{line}");
}

impl Workload {
    fn run(mut self) {
        while let Some(step) = self.steps.pop_front() {
            let step = step.into_string().unwrap();
            self.step(&step);
        }
    }

    fn next(&mut self) -> CString {
        self.steps.pop_front().expect("an argument is missing")
    }

    fn number(&mut self) -> i64 {
        let word = self.next().into_string().unwrap();
        match word.strip_prefix("0o") {
            Some(octal) => i64::from_str_radix(octal, 8).unwrap(),
            None => word.parse().unwrap(),
        }
    }

    /// Takes the rest of the steps, which somebody else will do.
    fn rest(&mut self) -> Self {
        let rest = self.clone();
        self.steps.clear();
        rest
    }

    fn step(&mut self, step: &str) {
        match step {
            "open" | "openat" | "openat2" | "creat" | "open32" => self.open(step),
            "repeat" => self.repeat = self.number().unsigned_abs(),
            "resolve" => self.resolve = self.number().unsigned_abs(),
            "quiet" => self.quiet = true,
            "at" => {
                let path = self.next();
                // SAFETY: the string lives until the call returns.
                self.dfd = must(unsafe { libc::open(path.as_ptr(), libc::O_PATH) }, "at");
            }
            // SAFETY: the string lives until the call returns.
            "cd" => must_zero(|path| unsafe { libc::chdir(path) }, &self.next()),
            // SAFETY: the string lives until the call returns.
            "chroot" => must_zero(|path| unsafe { libc::chroot(path) }, &self.next()),
            // SAFETY: the string lives until the call returns.
            "rm" => must_zero(|path| unsafe { libc::unlink(path) }, &self.next()),
            // SAFETY: the string lives until the call returns.
            "umount" => must_zero(|path| unsafe { libc::umount2(path, libc::MNT_DETACH) }, &self.next()),
            // SAFETY: the string lives until the call returns, which reads 15 bytes of it.
            "comm" => must_zero(|name| unsafe { libc::prctl(libc::PR_SET_NAME, name) }, &self.next()),
            "bind" => self.bind(),
            "setuid" => self.setuid(),
            "ready" if self.complain => complain("ready"),
            "ready" => say("ready"),
            "complain" => self.complain = true,
            "wait" => {
                let mut line = String::new();
                std::io::stdin().lock().read_line(&mut line).unwrap();
            }
            "badpath" => self.bad_path(),
            "dlopen" => self.dlopen(),
            "uring" => self.uring(),
            "map" => self.map(false),
            "protect" => self.map(true),
            // SAFETY: changes nothing but how memory is mapped from now on.
            "reads-execute" => drop(must(unsafe { libc::personality(READ_IMPLIES_EXEC) }, "personality")),
            "exec" => self.exec(),
            "spawn" => self.spawn(),
            "child" => self.children(1),
            "procs" => {
                let count = self.number();
                self.children(count);
            }
            "daemon" => self.daemon(),
            "thread" => self.threads(1),
            "threads" => {
                let count = self.number();
                self.threads(count);
            }
            "getrandom" => self.getrandom(),
            "socketcall32" | "keyctl32" => self.call32(step),
            "sys" | "sys32" => self.system_call(step),
            "pause" => {
                let milliseconds = self.number().unsigned_abs();
                std::thread::sleep(std::time::Duration::from_millis(milliseconds));
            }
            "leave" => self.leave(),
            "reborn" => self.reborn(),
            "longname" => self.long_name(),
            "kill" => {
                let signal = i32::try_from(self.number()).unwrap();
                // SAFETY: no memory is involved.
                unsafe { libc::kill(libc::getpid(), signal) };
            }
            "exit" => {
                let code = i32::try_from(self.number()).unwrap();
                // SAFETY: ends the process; from a thread this is what exit_group(2) is for.
                unsafe { libc::_exit(code) }
            }
            _ => panic!("unknown step {step}"),
        }
    }

    /// `open|openat|openat2|creat|open32 FLAGS MODE PATH`, as often as `repeat` said.
    fn open(&mut self, call: &str) {
        let (flags, mode, path) = (self.number(), self.number(), self.next());
        let how = OpenHow { flags: flags.unsigned_abs(), mode: mode.unsigned_abs(), resolve: self.resolve };
        for _ in 0..self.repeat {
            // SAFETY: `path` and `how` live until the calls return, and the kernel only reads them.
            let result = unsafe {
                match call {
                    "open" => libc::syscall(libc::SYS_open, path.as_ptr(), flags, mode),
                    "creat" => libc::syscall(libc::SYS_creat, path.as_ptr(), mode),
                    "openat2" => {
                        libc::syscall(libc::SYS_openat2, self.dfd, path.as_ptr(), &raw const how, size_of::<OpenHow>())
                    }
                    "open32" => open32(&path, flags, mode),
                    _ => libc::syscall(libc::SYS_openat, self.dfd, path.as_ptr(), flags, mode),
                }
            };
            let errno = if call == "open32" { -result } else { i64::from(errno()) };
            if result < 0 {
                self.tell_open(-errno, 0, 0);
                continue;
            }
            let fd = i32::try_from(result).unwrap();
            // SAFETY: a zeroed stat is valid, fstat fills it, and the descriptor is ours to close.
            let stat = unsafe {
                let mut stat: libc::stat = std::mem::zeroed();
                must(libc::fstat(fd, &raw mut stat), "fstat");
                libc::close(fd);
                stat
            };
            let dev = u64::from(libc::major(stat.st_dev)) << 20 | u64::from(libc::minor(stat.st_dev));
            self.tell_open(result, dev, stat.st_ino);
        }
    }

    fn tell_open(&self, result: i64, dev: u64, ino: u64) {
        if !self.quiet {
            say(&format!("open {result} {dev} {ino}"));
        }
    }

    /// `getrandom BYTES FLAGS`, as often as `repeat` said; at most 256 bytes, which are never fewer than asked for.
    fn getrandom(&mut self) {
        let (bytes, flags) = (usize::try_from(self.number()).unwrap(), self.number());
        let mut buffer = [0_u8; 256];
        for _ in 0..self.repeat {
            // SAFETY: the kernel writes at most as many bytes as the buffer has.
            let result =
                unsafe { libc::syscall(libc::SYS_getrandom, buffer.as_mut_ptr(), bytes.min(buffer.len()), flags) };
            if !self.quiet {
                say(&format!("getrandom {}", if result < 0 { -i64::from(errno()) } else { result }));
            }
        }
    }

    /// `socketcall32 CALL A B C` or `keyctl32 A B C`, through the 32-bit system call table.
    fn call32(&mut self, call: &str) {
        let (number, first) = if call == "keyctl32" { (288, 0) } else { (102, self.number()) };
        let words = [self.number(), self.number(), self.number()];
        let result = if call == "keyctl32" {
            int80(number, words)
        } else {
            let bytes: Vec<u8> = words.iter().flat_map(|word| i32::try_from(*word).unwrap().to_ne_bytes()).collect();
            int80(number, [first, low_copy(&bytes), 0])
        };
        say(&format!("{call} {result}"));
    }

    /// `sys NUMBER COUNT ARGS…`, or `sys32` through the 32-bit table with at most three: any system call. Arguments are numbers,
    /// or strings where they are none. Prints `sys RESULT`.
    fn system_call(&mut self, table: &str) {
        let (number, count) = (self.number(), usize::try_from(self.number()).unwrap());
        let words: Vec<CString> = (0..count).map(|_| self.next()).collect();
        let mut arguments = [0_i64; 5];
        for (argument, word) in arguments.iter_mut().zip(&words) {
            let text = word.to_str().unwrap();
            let parsed = match text.strip_prefix("0o") {
                Some(octal) => i64::from_str_radix(octal, 8).ok(),
                None => text.parse().ok(),
            };
            let address = || match table {
                "sys32" => low_copy(word.as_bytes_with_nul()),
                _ => i64::try_from(word.as_ptr().expose_provenance()).unwrap(),
            };
            *argument = parsed.unwrap_or_else(address);
        }
        let [first, second, third, fourth, fifth] = arguments;
        let result = if table == "sys32" {
            int80(number, [first, second, third])
        } else {
            // SAFETY: strings live until the call returns; the tests name calls that only read them.
            let result = unsafe { libc::syscall(number, first, second, third, fourth, fifth) };
            if result < 0 { -i64::from(errno()) } else { result }
        };
        say(&format!("sys {result}"));
    }

    /// An open whose path the kernel cannot read.
    fn bad_path(&mut self) {
        // SAFETY: the kernel checks the address and refuses it.
        let result = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, 16, 0, 0) };
        self.tell_open(if result < 0 { -i64::from(errno()) } else { result }, 0, 0);
    }

    /// `bind FROM ONTO`, in a mount namespace of its own.
    fn bind(&mut self) {
        let (from, onto) = (self.next(), self.next());
        // SAFETY: all strings live until the calls return; null is allowed where it is given.
        unsafe {
            must(libc::unshare(libc::CLONE_NEWNS), "unshare");
            let private = libc::MS_REC | libc::MS_PRIVATE;
            let (root, none) = (c"/".as_ptr(), std::ptr::null());
            must(libc::mount(none, root, none, private, none.cast()), "make private");
            must(libc::mount(from.as_ptr(), onto.as_ptr(), none, libc::MS_BIND, none.cast()), "bind");
        }
    }

    /// `setuid UID`: real, effective, saved, and no capabilities with them.
    fn setuid(&mut self) {
        let uid = libc::uid_t::try_from(self.number()).unwrap();
        // SAFETY: no memory but the empty group list, which is not read.
        unsafe {
            must(libc::setgroups(0, std::ptr::null()), "setgroups");
            must(libc::setresgid(uid, uid, uid), "setresgid");
            must(libc::setresuid(uid, uid, uid), "setresuid");
        }
    }

    /// `dlopen LIBRARY`.
    fn dlopen(&mut self) {
        let library = self.next();
        // SAFETY: the libraries the tests name have no surprising constructors.
        let handle = unsafe { libc::dlopen(library.as_ptr(), libc::RTLD_NOW) };
        assert!(!handle.is_null(), "cannot dlopen {library:?}");
    }

    /// `uring openat|openat2|worker FLAGS PATH`: an open that io_uring does, by a worker of the kernel's where asked for.
    fn uring(&mut self) {
        use io_uring::{IoUring, opcode, squeue, types};
        let (how, flags, path) = (self.next(), self.number(), self.next());
        let mut ring = match IoUring::new(2) {
            Ok(ring) => ring,
            Err(error) => return say(&format!("no io_uring: {error}")),
        };
        let fd = types::Fd(self.dfd);
        let open_how = types::OpenHow::new().flags(flags.unsigned_abs());
        let flags = i32::try_from(flags).unwrap();
        let entry = match how.to_str().unwrap() {
            "openat2" => opcode::OpenAt2::new(fd, path.as_ptr(), &raw const open_how).build(),
            "worker" => opcode::OpenAt::new(fd, path.as_ptr()).flags(flags).build().flags(squeue::Flags::ASYNC),
            _ => opcode::OpenAt::new(fd, path.as_ptr()).flags(flags).build(),
        };
        // SAFETY: `path` and `open_how` live until the request is completed, which is waited for.
        unsafe { ring.submission().push(&entry) }.unwrap();
        ring.submit_and_wait(1).unwrap();
        let result = ring.completion().next().unwrap().result();
        say(&format!("uring {result}"));
    }

    /// `map FILE`: its first page, to be read; `protect FILE`: and to be executed afterwards.
    fn map(&mut self, protect: bool) {
        let file = std::fs::File::open(std::path::Path::new(self.next().to_str().unwrap())).unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
        // SAFETY: a new mapping of a file, which nobody reads or executes.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ, libc::MAP_PRIVATE, fd, 0) };
        assert_ne!(page, libc::MAP_FAILED);
        if protect {
            // SAFETY: the mapping is ours, and is not used.
            must(unsafe { libc::mprotect(page, 4096, libc::PROT_READ | libc::PROT_EXEC) }, "mprotect");
        }
        say("mapped");
    }

    /// `exec PROGRAM ARGS…`: the rest is a program.
    fn exec(&mut self) {
        let args: Vec<_> = self.steps.drain(..).collect();
        let mut pointers: Vec<_> = args.iter().map(|arg| arg.as_ptr()).collect();
        pointers.push(std::ptr::null());
        // SAFETY: the array ends in null and its strings live in `args`.
        unsafe { libc::execvp(pointers[0], pointers.as_ptr()) };
        panic!("cannot execute {:?}: {}", args[0], std::io::Error::last_os_error());
    }

    /// `spawn COUNT PROGRAM`: starts the program that often, one after the other.
    fn spawn(&mut self) {
        let (count, program) = (self.number(), self.next().into_string().unwrap());
        for _ in 0..count {
            let status = std::process::Command::new(&program).status().unwrap();
            assert!(status.success());
        }
    }

    /// `reborn PATH…`: for each path a child that opens it, one after the other, all with the same process id. Each child is
    /// this program anew, so that the path is in its arguments.
    fn reborn(&mut self) {
        let mut wanted: libc::pid_t = 0;
        for path in std::mem::take(&mut self.steps) {
            // The arguments of clone3(2) as of Linux 5.5: exit_signal at 4, set_tid at 8, set_tid_size at 9.
            let mut args = [0_u64; 10];
            args[4] = libc::SIGCHLD.unsigned_abs().into();
            if wanted > 0 {
                args[8] = (&raw const wanted).expose_provenance() as u64;
                args[9] = 1;
            }
            // SAFETY: as fork(2), in a process with one thread; the kernel only reads `args` and `wanted`.
            let pid = unsafe { libc::syscall(libc::SYS_clone3, args.as_ptr(), size_of_val(&args)) };
            if pid == 0 {
                let own = c"/proc/self/exe".to_owned();
                self.steps = [own, c"openat".to_owned(), c"0".to_owned(), c"0".to_owned(), path].into();
                self.exec();
            }
            wanted = must(i32::try_from(pid).unwrap(), "clone3");
            // SAFETY: null is allowed.
            must(unsafe { libc::waitpid(wanted, std::ptr::null_mut(), 0) }, "waitpid");
        }
    }

    /// `longname DEPTH COMPONENT NAME`: makes DEPTH directories of that name, one in the other from the working directory on,
    /// enters the deepest, and makes and opens a file there.
    fn long_name(&mut self) {
        let (depth, component, name) = (self.number(), self.next(), self.next());
        for _ in 0..depth {
            // SAFETY: the strings live until the calls return.
            must(unsafe { libc::mkdir(component.as_ptr(), 0o755) }, "mkdir");
            // SAFETY: as above.
            must_zero(|path| unsafe { libc::chdir(path) }, &component);
        }
        self.steps = ["creat", "0", "0o600"].into_iter().map(|word| CString::new(word).unwrap()).collect();
        self.steps.push_back(name);
    }

    /// Forks `count` children that do the rest; waits for all.
    fn children(&mut self, count: i64) {
        let rest = self.rest();
        let mut pids = Vec::new();
        for _ in 0..count {
            // SAFETY: this process has one thread.
            match must(unsafe { libc::fork() }, "fork") {
                0 => {
                    rest.run();
                    std::process::exit(0);
                }
                pid => pids.push(pid),
            }
        }
        for pid in pids {
            let mut status = 0;
            // SAFETY: `status` is ours.
            must(unsafe { libc::waitpid(pid, &raw mut status, 0) }, "waitpid");
        }
    }

    /// A daemon, forked twice, does the rest; this process waits until it is gone.
    fn daemon(&mut self) {
        let rest = self.rest();
        let mut ends = [0; 2];
        // SAFETY: this process has one thread; descriptors and buffers are ours.
        unsafe {
            must(libc::pipe(ends.as_mut_ptr()), "pipe");
            if must(libc::fork(), "fork") == 0 {
                libc::setsid();
                if must(libc::fork(), "fork") == 0 {
                    libc::close(ends[0]);
                    rest.run();
                    std::process::exit(0);
                }
                libc::_exit(0);
            }
            libc::wait(std::ptr::null_mut());
            libc::close(ends[1]);
            let mut byte = 0_u8;
            // Ends when the last holder of the other end does.
            libc::read(ends[0], (&raw mut byte).cast(), 1);
        }
    }

    /// `count` threads do the rest; waits for all.
    fn threads(&mut self, count: i64) {
        let rest = self.rest();
        let threads: Vec<_> = (0..count)
            .map(|_| {
                let rest = rest.clone();
                std::thread::spawn(move || rest.run())
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    }

    /// The main thread leaves alone; another one does the rest afterwards.
    fn leave(&mut self) {
        let rest = self.rest();
        std::thread::spawn(move || {
            // The leader is a zombie once it has left: only then go on.
            while !std::fs::read_to_string("/proc/self/stat").unwrap().contains(") Z ") {
                std::thread::yield_now();
            }
            rest.run();
            // SAFETY: ends the process.
            unsafe { libc::_exit(0) }
        });
        // SAFETY: exit(2), which ends this thread only; nothing of it is used by the other one.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
}

fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

fn must_zero(call: impl Fn(*const libc::c_char) -> libc::c_int, path: &CString) {
    must(call(path.as_ptr()), &format!("{path:?}"));
}

/// open(2) through the 32-bit system call table, number 5.
fn open32(path: &CString, flags: i64, mode: i64) -> i64 {
    int80(5, [low_copy(path.as_bytes_with_nul()), flags, mode])
}

/// The address of a copy of some bytes where 32 bits reach.
#[cfg(target_arch = "x86_64")]
fn low_copy(bytes: &[u8]) -> i64 {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT;
    // SAFETY: a new mapping, longer than the bytes.
    unsafe {
        let len = bytes.len() + 4096;
        let low = libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        assert!(low != libc::MAP_FAILED, "no memory below 4 GiB");
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), low.cast(), bytes.len());
        i64::try_from(low.expose_provenance()).unwrap()
    }
}

/// A call through the 32-bit system call table; addresses among its arguments are of [`low_copy`].
#[cfg(target_arch = "x86_64")]
fn int80(number: i64, [first, second, third]: [i64; 3]) -> i64 {
    // SAFETY: the interrupt clobbers r8 to r11 at most and writes only eax.
    unsafe {
        let result: i64;
        std::arch::asm!(
            "xchg rbx, {first}",
            "int 0x80",
            "xchg rbx, {first}",
            first = inout(reg) first => _,
            inlateout("rax") number => result,
            in("rcx") second,
            in("rdx") third,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
        #[allow(clippy::cast_possible_truncation, reason = "the 32-bit call sets eax alone")]
        let result = result as i32;
        i64::from(result)
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn low_copy(_: &[u8]) -> i64 {
    0
}

#[cfg(not(target_arch = "x86_64"))]
fn int80(_: i64, _: [i64; 3]) -> i64 {
    -i64::from(libc::ENOSYS)
}
