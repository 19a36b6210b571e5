//! Which system calls a recording may still make once everything is attached: those it makes, and no others (seccomp(2)).
//!
//! A call that is refused fails with EPERM, is counted, and is said: the recording goes on as well as it can without.
//! No program can be run, no socket but a local one opened, nothing mounted or traced.
#![allow(unsafe_code, reason = "a signal handler that gives a system call its result has no safe form")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use anyhow::Context as _;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use crate::say;

/// Set to `off`: no filter, for a C library that makes calls which are not known here.
const SWITCH: &str = "CRYPTO_TRACE_SECCOMP";

/// What any program of ours makes whatever it does: memory, threads, signals, and who it is.
const RUNTIME_CALLS: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_membarrier,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_tgkill,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_prctl,
    libc::SYS_prlimit64,
];

/// Calls that are made with any arguments.
const CALLS: &[i64] = &[
    // Files: /proc, libraries, segments, metrics.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_fcntl,
    libc::SYS_flock,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_ftruncate,
    libc::SYS_fchmod,
    libc::SYS_mkdirat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_unlinkat,
    libc::SYS_getcwd,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_pipe2,
    libc::SYS_eventfd2,
    // Memory and threads.
    libc::SYS_get_robust_list,
    // Who we are, and giving up more of it.
    libc::SYS_getppid,
    libc::SYS_capget,
    libc::SYS_capset,
    libc::SYS_getpriority,
    libc::SYS_setpriority,
    libc::SYS_getrusage,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    // Waiting, and time.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_ppoll,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    // The command and the analyzer.
    libc::SYS_kill,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    // Counts and rings; probes on libraries that turn up.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    // The service manager.
    libc::SYS_connect,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_recvfrom,
    libc::SYS_getsockopt,
];

/// Older forms of the same, which only this architecture has.
#[cfg(target_arch = "x86_64")]
const OLD_CALLS: &[i64] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_link,
    libc::SYS_unlink,
    libc::SYS_mkdir,
    libc::SYS_poll,
    libc::SYS_epoll_wait,
    libc::SYS_dup2,
    libc::SYS_time,
    libc::SYS_arch_prctl,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_CALLS: &[i64] = &[];

/// ioctl(2): of probes (include/uapi/linux/perf_event.h), of descriptors (asm-generic/ioctls.h), and whether one is a terminal.
const PERF_EVENT_IOC_ENABLE: u64 = 0x2400;
const PERF_EVENT_IOC_DISABLE: u64 = 0x2401;
const PERF_EVENT_IOC_SET_BPF: u64 = 0x4004_2408;
const TCGETS: u64 = 0x5401;
const FIONREAD: u64 = 0x541B;
const FIONBIO: u64 = 0x5421;
const FIOCLEX: u64 = 0x5451;
const IOCTLS: &[u64] =
    &[PERF_EVENT_IOC_ENABLE, PERF_EVENT_IOC_DISABLE, PERF_EVENT_IOC_SET_BPF, TCGETS, FIONREAD, FIONBIO, FIOCLEX];

/// The same of the analyzer, with the size of a terminal.
const TIOCGWINSZ: u64 = 0x5413;
const TERMINAL_IOCTLS: &[u64] = &[TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX];

/// Calls that were refused, and the last of them.
static REFUSED: AtomicU64 = AtomicU64::new(0);
static LAST_REFUSED: AtomicI64 = AtomicI64::new(-1);

/// Calls that the analyzer makes: it computes, reads its standard input and writes what it has open.
const ANALYZER_CALLS: &[i64] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_fcntl,
    libc::SYS_fsync,
    libc::SYS_dup3,
    libc::SYS_getrusage,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_ppoll,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    // Before it runs: its user, and what std does between fork and exec.
    libc::SYS_socketpair,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setgroups,
    libc::SYS_setpgid,
    libc::SYS_execve,
    // What its signal handlers and rayon may use.
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
];

/// Older forms of the same.
#[cfg(target_arch = "x86_64")]
const ANALYZER_OLD_CALLS: &[i64] = &[
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_poll,
    libc::SYS_dup2,
    libc::SYS_arch_prctl,
];
#[cfg(not(target_arch = "x86_64"))]
const ANALYZER_OLD_CALLS: &[i64] = &[];

/// From now on this thread, and the analyzer that it becomes, opens files for reading only, and no sockets, and traces, ends and runs
/// nothing else of this host.
///
/// # Errors
/// When the kernel refuses it.
pub fn apply_to_analyzer() -> anyhow::Result<()> {
    /// Flags with which a file may change or come to be: `O_ACCMODE`, `O_CREAT`, `O_TRUNC`, `O_APPEND`, `O_TMPFILE` without
    /// `O_DIRECTORY`.
    const WRITES: u64 = 0o3 | 0o100 | 0o1000 | 0o2000 | 0o20_000_000;
    if is_off() {
        return Ok(());
    }
    let reads = |flags: u8| -> anyhow::Result<Vec<SeccompRule>> {
        let only = SeccompCondition::new(flags, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(WRITES), 0)?;
        Ok(vec![SeccompRule::new(vec![only])?])
    };
    let mut rules = with_any_arguments(ANALYZER_CALLS, ANALYZER_OLD_CALLS);
    rules.insert(libc::SYS_openat, reads(2)?);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_open, reads(1)?);
    rules.insert(libc::SYS_ioctl, ioctls(TERMINAL_IOCTLS)?);
    // It has no handler of ours: what is refused is an error where it was called.
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    Ok(seccompiler::apply_filter(&compile(rules, refuse)?)?)
}

fn is_off() -> bool {
    std::env::var_os(SWITCH).is_some_and(|value| value == "off")
}

/// From now on no thread of this process makes any other call.
///
/// # Errors
/// When the kernel refuses it.
pub fn apply() -> anyhow::Result<()> {
    if is_off() {
        return Ok(());
    }
    let program = program().context("cannot build a filter of system calls")?;
    install_handler().context("cannot handle SIGSYS")?;
    Ok(seccompiler::apply_filter_all_threads(&program)?)
}

/// Says which calls were refused since the last time.
pub fn tell_refused() {
    let count = REFUSED.swap(0, Ordering::Relaxed);
    if count > 0 {
        let last = LAST_REFUSED.load(Ordering::Relaxed);
        say::warning(&format!(
            "{count} system calls, the last with number {last}, were refused by this program's own filter: please \
             report it; {SWITCH}=off turns the filter off"
        ));
    }
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn program() -> anyhow::Result<BpfProgram> {
    let mut rules = with_any_arguments(CALLS, OLD_CALLS);
    rules.insert(libc::SYS_socket, vec![is(0, u64::from(libc::AF_UNIX.unsigned_abs()))?]);
    rules.insert(libc::SYS_ioctl, ioctls(IOCTLS)?);
    compile(rules, SeccompAction::Trap)
}

fn with_any_arguments(calls: &[i64], old: &[i64]) -> Rules {
    RUNTIME_CALLS.iter().chain(calls).chain(old).map(|call| (*call, Vec::new())).collect()
}

fn ioctls(requests: &[u64]) -> anyhow::Result<Vec<SeccompRule>> {
    requests.iter().map(|request| is(1, *request)).collect()
}

fn is(argument: u8, value: u64) -> anyhow::Result<SeccompRule> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)?;
    Ok(SeccompRule::new(vec![condition])?)
}

fn compile(rules: Rules, otherwise: SeccompAction) -> anyhow::Result<BpfProgram> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter = SeccompFilter::new(rules, otherwise, SeccompAction::Allow, arch)?;
    Ok(BpfProgram::try_from(filter)?)
}

fn install_handler() -> std::io::Result<()> {
    // SAFETY: zeros are a valid structure, and `refused` does only what a handler may.
    let done = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = refused as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut())
    };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// The kernel has not made a call, and has left its number where its result goes: SECCOMP_RET_TRAP, seccomp(2).
extern "C" fn refused(_signal: i32, _info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: with SA_SIGINFO it is the context of the thread that made the call, which goes on with what is in it.
    let number = unsafe { give_result(&mut *context, -i64::from(libc::EPERM)) };
    LAST_REFUSED.store(number, Ordering::Relaxed);
    REFUSED.fetch_add(1, Ordering::Relaxed);
}

/// Gives a system call its result; returns its number.
#[cfg(target_arch = "x86_64")]
fn give_result(context: &mut libc::ucontext_t, result: i64) -> i64 {
    const RAX: usize = libc::REG_RAX as usize;
    std::mem::replace(&mut context.uc_mcontext.gregs[RAX], result)
}

/// Gives a system call its result; returns its number.
#[cfg(target_arch = "aarch64")]
fn give_result(context: &mut libc::ucontext_t, result: i64) -> i64 {
    context.uc_mcontext.regs[0] = result.cast_unsigned();
    context.uc_mcontext.regs[8].cast_signed()
}

/// Elsewhere there is no filter: no architecture has its name.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn give_result(_context: &mut libc::ucontext_t, _result: i64) -> i64 {
    -1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is not on the list fails, is counted, and ends nothing; what is goes on. In a thread of its own, which ends with it.
    #[test]
    fn a_call_that_is_refused_fails_and_is_counted() {
        let program = program().expect("can be made");
        let thread = std::thread::spawn(move || {
            install_handler().expect("may be");
            rustix::thread::set_no_new_privs(true).expect("may be");
            seccompiler::apply_filter(&program).expect("may be applied");
            let chroot = rustix::process::chroot("/").map_err(|error| error.raw_os_error());
            let socket = std::net::TcpListener::bind("127.0.0.1:0").map_err(|error| error.raw_os_error());
            (chroot, socket.map(drop), std::fs::read("/proc/self/comm").is_ok())
        });
        let (chroot, socket, read) = thread.join().expect("it went on");
        assert_eq!(chroot, Err(libc::EPERM));
        assert_eq!(socket, Err(Some(libc::EPERM)));
        assert!(read);
        assert_eq!((REFUSED.load(Ordering::Relaxed), LAST_REFUSED.load(Ordering::Relaxed)), (2, libc::SYS_socket));
    }
}
