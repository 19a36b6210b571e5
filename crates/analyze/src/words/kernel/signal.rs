//! Signal names, from signal(7), for the architectures of `asm-generic/signal.h`.

use std::borrow::Cow;

#[rustfmt::skip]
const NAMES: [&str; 31] = [
    "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE",
    "SIGKILL", "SIGUSR1", "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT",
    "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU",
    "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS",
];

/// The C library's `SIGRTMIN`: it keeps the kernel's first two real-time signals for itself (nptl(7), signal(7)).
const SIGRTMIN: u32 = 34;

/// Name of a signal, as `kill -l` and the C library name it. Real-time signals are counted from the C library's first; the
/// two before it have no name there and are reported by their number.
pub fn signal_name(signal: u32) -> Cow<'static, str> {
    let known = usize::try_from(signal).ok().and_then(|number| NAMES.get(number.checked_sub(1)?));
    match known {
        Some(name) => Cow::Borrowed(name),
        None if signal == SIGRTMIN => Cow::Borrowed("SIGRTMIN"),
        None if (SIGRTMIN..=64).contains(&signal) => Cow::Owned(format!("SIGRTMIN+{}", signal - SIGRTMIN)),
        None => Cow::Owned(format!("signal {signal}")),
    }
}

#[cfg(test)]
mod tests {
    use super::signal_name;

    #[test]
    fn names() {
        assert_eq!(signal_name(9), "SIGKILL");
        assert_eq!(signal_name(31), "SIGSYS");
        assert_eq!(signal_name(0), "signal 0");
        assert_eq!(signal_name(127), "signal 127");
    }

    #[test]
    fn real_time_signals_have_the_c_librarys_names() {
        assert_eq!(signal_name(32), "signal 32");
        assert_eq!(signal_name(33), "signal 33");
        assert_eq!(signal_name(34), "SIGRTMIN");
        assert_eq!(signal_name(35), "SIGRTMIN+1");
        assert_eq!(signal_name(64), "SIGRTMIN+30");
        assert_eq!(signal_name(65), "signal 65");
    }
}
