//! Every record kind, declared once. Numbers are append-only; fields are only ever added at the end of a fixed part.
//!
//! What a user sees of these fields is told in `docs/events.md`.

use super::layout::{Comm, layout, record};

layout! {
    /// The 64 bytes that open every record.
    pub struct Header {
        /// Length of the whole record in bytes, header and padding included; a multiple of 8.
        len: u32,
        /// Record kind, see [`Kind`](super::Kind).
        kind: u16,
        /// Length of the fixed part that follows this header; the strings begin after it.
        fixed_len: u16,
        /// When it happened: `CLOCK_BOOTTIME` in ns.
        time_ns: u64,
        /// CPU it was seen on; 0 in records made by user space.
        cpu: u16,
        /// See [`flags`](super::flags).
        flags: u16,
        /// Thread id in the initial PID namespace.
        tid: u32,
        /// Process (thread group) id in the initial PID namespace; 0 in records about the capture itself.
        tgid: u32,
        /// Real user id in the initial user namespace.
        uid: u32,
        /// Start of the thread-group leader, `CLOCK_BOOTTIME` in ns. `(tgid, start_ns)` is the process identity.
        start_ns: u64,
        /// Real group id in the initial user namespace.
        gid: u32,
        /// Zero.
        reserved: u32,
        /// Name of the thread, NUL padded.
        comm: Comm,
    }
}

record! {
    /// A process image was replaced by execve(2). The header is the process after it.
    kind 1 "process_exec" as ProcessExec, fixed ProcessExecFixed = "ct_process_exec" {
        /// Parent process id (`real_parent`), initial PID namespace.
        ppid: u32,
        /// The process's id inside its own PID namespace.
        ns_pid: u32,
        /// Start of the parent, `CLOCK_BOOTTIME` ns.
        parent_start_ns: u64,
        /// cgroup v2 id (inode number of its directory).
        cgroup_id: u64,
        /// Device of the executable, `st_dev` in the kernel's `MAJOR << 20 | MINOR` form.
        exe_dev: u64,
        /// Inode number of the executable.
        exe_ino: u64,
        /// Inode number of the PID namespace.
        pid_ns: u32,
        /// Inode number of the mount namespace.
        mnt_ns: u32,
        /// Inode number of the network namespace.
        net_ns: u32,
        /// Inode number of the user namespace.
        user_ns: u32,
        /// Bytes of argv in the process, also when only part of it was recorded.
        argv_full_len: u32,
        /// Length of `exe`.
        exe_len: u16,
        /// Length of `argv`.
        argv_len: u16,
        /// Length of `cwd`.
        cwd_len: u16,
        /// Length of `cgroup`.
        cgroup_len: u16,
        /// Zero.
        reserved: u32,
    }
    strings {
        /// Absolute path of the executable.
        exe [exe_len],
        /// Arguments, each ended by NUL (the last may be cut).
        argv [argv_len],
        /// Working directory.
        cwd [cwd_len],
        /// Path of the cgroup v2 directory below the cgroup root.
        cgroup [cgroup_len],
    }
}

record! {
    /// A process (not a thread) was created. The header is the *child*; `comm` and ids are those it inherited.
    kind 2 "process_fork" as ProcessFork, fixed ProcessForkFixed = "ct_process_fork" {
        /// Parent process id, initial PID namespace.
        ppid: u32,
        /// The child's id inside its own PID namespace.
        ns_pid: u32,
        /// Start of the parent, `CLOCK_BOOTTIME` ns.
        parent_start_ns: u64,
    }
    strings {}
}

record! {
    /// A process ended: its last thread is gone.
    kind 3 "process_exit" as ProcessExit, fixed ProcessExitFixed = "ct_process_exit" {
        /// Wait status as wait(2) gives it: signal in bits 0-6, core dump in bit 7, exit code in bits 8-15.
        status: u32,
        /// Zero.
        reserved: u32,
        /// Lifetime in ns, from fork to exit.
        duration_ns: u64,
    }
    strings {}
}

record! {
    /// An open(2), openat(2), openat2(2), creat(2) or open_by_handle_at(2) that ended, well or not.
    kind 4 "file_open" as FileOpen, fixed FileOpenFixed = "ct_file_open" {
        /// File descriptor, or -errno.
        result: i32,
        /// Flags as passed (`O_*`); for creat(2) `O_CREAT|O_WRONLY|O_TRUNC`.
        flags: u32,
        /// Mode as passed; only meaningful with `O_CREAT` or `O_TMPFILE`.
        mode: u32,
        /// Directory descriptor as passed; `AT_FDCWD` (-100) for the working directory.
        dfd: i32,
        /// Device of the file in the kernel's `MAJOR << 20 | MINOR` form; 0 when the open failed.
        dev: u64,
        /// Inode number; 0 when the open failed.
        ino: u64,
        /// `st_mode` of the file: type and permissions; 0 when the open failed.
        inode_mode: u32,
        /// Which call, see [`OpenCall`](super::OpenCall).
        call: u16,
        /// Attach tier that saw it, see [`Tier`](super::Tier).
        tier: u16,
        /// `openat2` resolve flags (`RESOLVE_*`), else 0.
        resolve: u64,
        /// Length of `path`.
        path_len: u16,
        /// Length of `given`.
        given_len: u16,
        /// Length of `dir`.
        dir_len: u16,
        /// Zero.
        reserved: u16,
        /// Upper half of the flags of openat2(2), which are 64 bits wide.
        flags_high: u32,
        /// Zero.
        reserved2: u32,
    }
    strings {
        /// The absolute path the kernel resolved; for a failed open, the path as passed.
        path [path_len],
        /// The path as passed, where it differs from `path`.
        given [given_len],
        /// For a failed open of a relative path: the absolute path of the directory it was relative to.
        dir [dir_len],
    }
}

record! {
    /// A crypto library was mapped executable.
    kind 5 "lib_load" as LibLoad, fixed LibLoadFixed = "ct_lib_load" {
        /// Device of the file in the kernel's `MAJOR << 20 | MINOR` form.
        dev: u64,
        /// Inode number.
        ino: u64,
        /// Address it was mapped at.
        address: u64,
        /// Offset in the file of what was mapped.
        offset: u64,
        /// Size of the file in bytes; 0 when unknown.
        size: u64,
        /// Length of `path`.
        path_len: u16,
        /// Attach tier that saw it, see [`Tier`](super::Tier).
        tier: u16,
        /// A number for the file that is really mapped, which `dev` and `ino` do not identify below an overlay or in a
        /// subvolume: two different numbers are two files, or one that was read again. 0: not known.
        file: u32,
    }
    strings {
        /// Absolute path of the library.
        path [path_len],
    }
}

record! {
    /// Plaintext TLS handshake bytes of one packet: hellos, before TLS 1.3 the server's certificates and key exchange
    /// parameters, and unencrypted alerts. Never application data. The header is the process that owns the socket, all
    /// zero when it is not known (`owner`).
    kind 6 "tls_hello" as TlsHello, fixed TlsHelloFixed = "ct_tls_hello" {
        /// Socket cookie (`SO_COOKIE`): the same for all packets of one socket, never reused while the system runs.
        cookie: u64,
        /// Where `data` begins in this direction's byte stream; 0 is the first byte of the connection or, for one older
        /// than the capture (`state`), of the first packet seen.
        offset: u32,
        /// Inode number of the socket's network namespace.
        net_ns: u32,
        /// Address of this end; IPv4 in the first four bytes, the rest zero.
        local_addr: Comm,
        /// Address of the other end.
        remote_addr: Comm,
        /// Port of this end.
        local_port: u16,
        /// Port of the other end.
        remote_port: u16,
        /// Family of the addresses: 2 IPv4 (`AF_INET`), 10 IPv6 (`AF_INET6`).
        family: u16,
        /// Which way the packet went, see [`Direction`](super::Direction).
        direction: u16,
        /// How the process is known, see [`SocketOwner`](super::SocketOwner).
        owner: u16,
        /// What is to be known of these bytes, see [`hello_state`](super::hello_state).
        state: u16,
        /// Length of `data`.
        data_len: u16,
        /// What it is a hello of, see [`Protocol`](super::Protocol). Recordings from before this field have 0, TLS, and nothing
        /// else.
        protocol: u16,
    }
    strings {
        /// Whole or partial TLS records, in the order of the stream.
        data [data_len],
    }
}

record! {
    /// A call into a crypto library, or of the kernel's own crypto: one call, or several counted together. The header is the
    /// thread that called; of calls counted together, the process.
    kind 7 "api_call" as ApiCall, fixed ApiCallFixed = "ct_api_call" {
        /// Device of the library's file in the kernel's `MAJOR << 20 | MINOR` form; 0 for the kernel.
        dev: u64,
        /// Its inode number; 0 for the kernel.
        ino: u64,
        /// Stands for the connection or context the call is about: the same number is the same object of that process, as
        /// long as the object lives. Not an address. 0: none.
        object: u64,
        /// Cookie of the connection's socket, as in `tls_hello`; 0 when not known.
        cookie: u64,
        /// From the first call of a handshake to the end of its last one; of any other call from its beginning to its end;
        /// of calls counted together from the first to the last; ns; 0 when not known.
        duration_ns: u64,
        /// What the call returned, of a system call -errno when it failed; of calls counted together, the last one. Means
        /// something only with the bit `result` of `state`.
        result: i64,
        /// How many calls were counted; 1 for one call.
        count: u64,
        /// A number that the call was given, by `meaning`; 0 for none.
        number: u64,
        /// Descriptor of the connection or socket; -1 when not known.
        fd: i32,
        /// Calls that a handshake took.
        calls: u32,
        /// TLS version of the connection by its code point; 0 when not known.
        version: u16,
        /// Cipher suite of the connection by its code point; 0 when not known.
        suite: u16,
        /// What the call is for, see [`ApiMeaning`](super::ApiMeaning).
        meaning: u16,
        /// What is known of the call, see [`api_state`](super::api_state).
        state: u16,
        /// See [`ApiLevel`](super::ApiLevel).
        level: u16,
        /// Length of `function`.
        function_len: u16,
        /// Length of `text`.
        text_len: u16,
        /// Zero.
        reserved: u16,
    }
    strings {
        /// Name of the function or system call.
        function [function_len],
        /// A text that the call was given, by `meaning`: a path, a server name, a list of ciphers, an algorithm.
        text [text_len],
    }
}

record! {
    /// A name, mode or owner of a file was added, changed or removed, or an attempt failed: rename(2), link(2), symlink(2),
    /// unlink(2), chmod(2), chown(2) or a variant ended.
    kind 8 "file_change" as FileChange, fixed FileChangeFixed = "ct_file_change" {
        /// 0, or -errno.
        result: i32,
        /// Flags as passed: `RENAME_*` to renameat2(2), else `AT_*`; 0 of calls that have none.
        flags: u32,
        /// Requested mode, for chmod(2) and its variants; otherwise 0.
        mode: u32,
        /// Requested user, for chown(2) and its variants; all bits set: unchanged.
        uid: u32,
        /// Group that was asked for.
        gid: u32,
        /// Directory descriptor that `path` is relative to, `AT_FDCWD` (-100) for the working directory; of calls on a descriptor,
        /// that.
        dfd: i32,
        /// The same for `new`.
        new_dfd: i32,
        /// `st_mode` of the file, of calls on a descriptor; else 0.
        inode_mode: u32,
        /// Device of the file in the kernel's `MAJOR << 20 | MINOR` form, of calls on a descriptor; else 0.
        dev: u64,
        /// Inode number, of calls on a descriptor; else 0.
        ino: u64,
        /// The system call, see [`ChangeCall`](super::ChangeCall).
        call: u16,
        /// Attach tier that saw it, see [`Tier`](super::Tier).
        tier: u16,
        /// Length of `path`.
        path_len: u16,
        /// Length of `dir`.
        dir_len: u16,
        /// Length of `new`.
        new_len: u16,
        /// Length of `new_dir`.
        new_dir_len: u16,
        /// Zero.
        reserved: u32,
    }
    strings {
        /// Path as passed; for calls on a descriptor, the absolute path of its file. For a symbolic link, what it points
        /// to.
        path [path_len],
        /// For a relative path: the absolute path of the directory it is relative to.
        dir [dir_len],
        /// The other path as passed: where it is renamed to, or the new link.
        new [new_len],
        /// The directory that `new` is relative to.
        new_dir [new_dir_len],
    }
}

record! {
    /// A process that was already running when the segment began, as /proc described it. The header is the process.
    kind 16 "process_info" as ProcessInfo, fixed ProcessInfoFixed = "ct_process_info" {
        /// Parent process id.
        ppid: u32,
        /// The process's id inside its own PID namespace.
        ns_pid: u32,
        /// cgroup v2 id; 0 when unknown.
        cgroup_id: u64,
        /// Inode number of the PID namespace; 0 when unreadable, as the next three.
        pid_ns: u32,
        /// Inode number of the mount namespace.
        mnt_ns: u32,
        /// Inode number of the network namespace.
        net_ns: u32,
        /// Inode number of the user namespace.
        user_ns: u32,
        /// Bytes of argv in the process.
        argv_full_len: u32,
        /// Length of `exe`.
        exe_len: u16,
        /// Length of `argv`.
        argv_len: u16,
        /// Length of `cwd`.
        cwd_len: u16,
        /// Length of `cgroup`.
        cgroup_len: u16,
        /// Zero.
        reserved: u32,
    }
    strings {
        /// Absolute path of the executable; empty for a kernel thread or when unreadable.
        exe [exe_len],
        /// Arguments, each ended by NUL.
        argv [argv_len],
        /// Working directory.
        cwd [cwd_len],
        /// Path of the cgroup v2 directory below the cgroup root.
        cgroup [cgroup_len],
    }
}
