//! errno names, from Linux `include/uapi/asm-generic/errno-base.h` and `errno.h`.

/// Names by number, from 1; empty where there is no such number.
#[rustfmt::skip]
const NAMES: [&str; 133] = [
    "EPERM", "ENOENT", "ESRCH", "EINTR", "EIO", "ENXIO", "E2BIG", "ENOEXEC",
    "EBADF", "ECHILD", "EAGAIN", "ENOMEM", "EACCES", "EFAULT", "ENOTBLK", "EBUSY",
    "EEXIST", "EXDEV", "ENODEV", "ENOTDIR", "EISDIR", "EINVAL", "ENFILE", "EMFILE",
    "ENOTTY", "ETXTBSY", "EFBIG", "ENOSPC", "ESPIPE", "EROFS", "EMLINK", "EPIPE",
    "EDOM", "ERANGE", "EDEADLK", "ENAMETOOLONG", "ENOLCK", "ENOSYS", "ENOTEMPTY", "ELOOP",
    "", "ENOMSG", "EIDRM", "ECHRNG", "EL2NSYNC", "EL3HLT", "EL3RST", "ELNRNG",
    "EUNATCH", "ENOCSI", "EL2HLT", "EBADE", "EBADR", "EXFULL", "ENOANO", "EBADRQC",
    "EBADSLT", "", "EBFONT", "ENOSTR", "ENODATA", "ETIME", "ENOSR", "ENONET",
    "ENOPKG", "EREMOTE", "ENOLINK", "EADV", "ESRMNT", "ECOMM", "EPROTO", "EMULTIHOP",
    "EDOTDOT", "EBADMSG", "EOVERFLOW", "ENOTUNIQ", "EBADFD", "EREMCHG", "ELIBACC", "ELIBBAD",
    "ELIBSCN", "ELIBMAX", "ELIBEXEC", "EILSEQ", "ERESTART", "ESTRPIPE", "EUSERS", "ENOTSOCK",
    "EDESTADDRREQ", "EMSGSIZE", "EPROTOTYPE", "ENOPROTOOPT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "EOPNOTSUPP", "EPFNOSUPPORT",
    "EAFNOSUPPORT", "EADDRINUSE", "EADDRNOTAVAIL", "ENETDOWN", "ENETUNREACH", "ENETRESET", "ECONNABORTED", "ECONNRESET",
    "ENOBUFS", "EISCONN", "ENOTCONN", "ESHUTDOWN", "ETOOMANYREFS", "ETIMEDOUT", "ECONNREFUSED", "EHOSTDOWN",
    "EHOSTUNREACH", "EALREADY", "EINPROGRESS", "ESTALE", "EUCLEAN", "ENOTNAM", "ENAVAIL", "EISNAM",
    "EREMOTEIO", "EDQUOT", "ENOMEDIUM", "EMEDIUMTYPE", "ECANCELED", "ENOKEY", "EKEYEXPIRED", "EKEYREVOKED",
    "EKEYREJECTED", "EOWNERDEAD", "ENOTRECOVERABLE", "ERFKILL", "EHWPOISON",
];

/// Whether a result is one that stays inside the kernel (`include/linux/errno.h`: `ERESTARTSYS` 512, `ERESTARTNOINTR`,
/// `ERESTARTNOHAND`, `ENOIOCTLCMD`, `ERESTART_RESTARTBLOCK` 516), seen where a probe reads it before the signal code does. No
/// process ever saw it: the call was made again, which is another record, or ended with `EINTR`.
pub fn is_interrupted(result: i64) -> bool {
    (-516..=-512).contains(&result)
}

/// Name of a positive errno value.
pub fn errno_name(errno: u32) -> Option<&'static str> {
    let index = usize::try_from(errno).ok()?.checked_sub(1)?;
    NAMES.get(index).copied().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{errno_name, is_interrupted};

    #[test]
    fn names() {
        let check = |errno: u32, expected: Option<&str>| assert_eq!(errno_name(errno), expected, "{errno}");
        check(0, None);
        check(1, Some("EPERM"));
        check(2, Some("ENOENT"));
        check(13, Some("EACCES"));
        check(36, Some("ENAMETOOLONG"));
        check(40, Some("ELOOP"));
        check(41, None);
        check(133, Some("EHWPOISON"));
        check(134, None);
        check(512, None);
        check(u32::MAX, None);
    }

    #[test]
    fn results_of_the_kernel_alone_are_no_errors() {
        assert_eq!([-511, -512, -516, -517, 512, -4].map(is_interrupted), [false, true, true, false, false, false]);
    }
}
