//! AF_ALG, kTLS and key rings: one record for each call, with what the kernel answered.

use crypto_trace_format::record::{ApiMeaning, ProbeState, flags};
use crypto_trace_tests::{Call, Capture, Event, live, skip};

use crate::support::{kernel_calls, trace};

/// Bits of `state`: the result is known, the text could not be read.
const RESULT: u16 = 1;
const UNREADABLE: u16 = 4;

const EFAULT: i64 = -14;
const EAFNOSUPPORT: i64 = -97;

/// What is the same in all of them.
fn check(calls: &[(&Event, &Call)], meaning: ApiMeaning) {
    for (event, call) in calls {
        let fixed = &call.fixed;
        assert_eq!((fixed.dev, fixed.ino, fixed.object, fixed.duration_ns, fixed.calls), (0, 0, 0, 0, 0));
        assert_eq!((fixed.count, fixed.suite, fixed.meaning), (1, 0, meaning.0));
        assert!(fixed.state & RESULT != 0 && event.header.flags & flags::COMPAT == 0);
    }
}

fn texts<'a>(calls: &[(&Event, &'a Call)]) -> Vec<&'a str> {
    calls.iter().map(|(_, call)| call.text.as_str()).collect()
}

fn results(calls: &[(&Event, &Call)]) -> Vec<i64> {
    calls.iter().map(|(_, call)| call.fixed.result).collect()
}

/// A socket that is refused is told; one that is given is told by its bind(2). Binds of other addresses are not.
#[test]
fn what_is_asked_of_af_alg_is_recorded_granted_or_not() {
    let Some(_permit) = live() else { return };
    let run = trace(
        &[],
        r#"
def address(kind, name):
    return struct.pack("<H14sII", 38, kind, 0, 0) + name
def ask(kind, name):
    try:
        s = socket.socket(38, socket.SOCK_SEQPACKET, 0)
        print("socket", 0, flush=True)
    except OSError as error:
        # An address like that, for a socket of another kind: the kernel is asked all the same.
        print("socket", -error.errno, flush=True)
        s = socket.socket()
    print("fd", s.fileno(), flush=True)
    where = address(kind, name)
    call("bind", s.fileno(), where, len(where))
ask(b"skcipher", b"cbc(aes)".ljust(64, b"\0"))
ask(b"hash", b"sha256\0")
ask(b"no such type", b"unterminated, and a hundred letters longer" + 90 * b"x")
plain = socket.socket()
plain.bind(("127.0.0.1", 0))
where = struct.pack("<H14s", 38, b"short")
libc.bind(plain.fileno(), where, len(where))
"#,
    );
    let binds = run.calls("bind");
    check(&binds, ApiMeaning::KERNEL_ALGORITHM);
    let cut = format!("no such type {:x<127}", "unterminated, and a hundred letters longer");
    assert_eq!(texts(&binds), ["skcipher cbc(aes)", "hash sha256", cut.as_str()]);
    assert_eq!(results(&binds), run.said("bind"));
    let fds: Vec<_> = binds.iter().map(|(_, call)| i64::from(call.fixed.fd)).collect();
    assert_eq!(fds, run.said("fd"));
    let truncated = |(event, _): &(&Event, &Call)| event.has(flags::TRUNCATED);
    assert_eq!(binds.iter().map(truncated).collect::<Vec<_>>(), [false, false, true]);

    let sockets = run.calls("socket");
    check(&sockets, ApiMeaning::KERNEL_ALGORITHM);
    let refused: Vec<_> = run.said("socket").into_iter().filter(|result| *result < 0).collect();
    assert_eq!(results(&sockets), refused);
    assert!(sockets.iter().all(|(_, call)| call.fixed.fd == -1 && call.text.is_empty()));
}

/// No records of AF_ALG must not read as nobody asked for it.
#[test]
fn what_the_kernel_lacks_is_told() {
    let Some(_permit) = live() else { return };
    let run = trace(
        &[],
        r#"
try:
    socket.socket(38, socket.SOCK_SEQPACKET, 0)
except OSError as error:
    print("socket", -error.errno)
"#,
    );
    let probes: Vec<_> = run.trace.probes().into_iter().filter(|(_, probe)| probe.probe == "kernel_crypto").collect();
    let state = |target: &str| {
        let probe = probes.iter().find(|(_, probe)| probe.target == target);
        probe.map(|(_, probe)| probe.fixed.state)
    };
    assert_eq!(state("tp_btf:sys_exit"), Some(ProbeState::ATTACHED.0));
    let lacks_af_alg = run.said("socket") == [EAFNOSUPPORT];
    assert_eq!(state("AF_ALG"), lacks_af_alg.then_some(ProbeState::SKIPPED.0));
}

/// Version and cipher, and the connection by its cookie. Where the kernel has no kTLS, that it was tried.
#[test]
fn ktls_is_recorded_with_version_cipher_and_connection() {
    let Some(_permit) = live() else { return };
    let run = trace(
        &[],
        r#"
listener = socket.create_server(("127.0.0.1", 0))
peer = socket.create_connection(listener.getsockname())
SO_COOKIE, SOL_TLS, TCP_ULP = 57, 282, 31
print("cookie", struct.unpack("Q", peer.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8))[0], flush=True)
print("fd", peer.fileno(), flush=True)
def setsockopt(level, option, value):
    call("setsockopt", peer.fileno(), level, option, value, len(value))
setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, struct.pack("i", 1))
setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"no such protocol")
setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls\0")
key = bytes(16) + 32 * b"k"
setsockopt(SOL_TLS, 1, struct.pack("<HH", 0x304, 52) + key)
setsockopt(SOL_TLS, 2, struct.pack("<HH", 0x303, 54) + key)
setsockopt(SOL_TLS, 1, struct.pack("<HH", 0x304, 60) + key)
setsockopt(SOL_TLS, 1, b"\x04")
setsockopt(SOL_TLS, 3, struct.pack("i", 1))
call("setsockopt", peer.fileno(), SOL_TLS, 1, None, 40)
call("setsockopt", 777, SOL_TLS, 1, struct.pack("<HH", 0x304, 51) + key, 40)
"#,
    );
    let said = run.said("setsockopt");
    let [_, _, ulp, .., nowhere, no_socket] = said[..] else { panic!("{said:?}") };
    let mut calls = run.calls("setsockopt");
    check(&calls, ApiMeaning::KERNEL_TLS);
    if ulp < 0 {
        let (_, refused) = calls.remove(0);
        assert_eq!((refused.fixed.result, refused.fixed.number, refused.text.as_str()), (ulp, 0, ""));
        assert_eq!(i64::try_from(refused.fixed.cookie).unwrap(), run.said("cookie")[0]);
    }
    let told: Vec<_> =
        calls.iter().map(|(_, call)| (call.fixed.number, call.fixed.version, call.text.as_str())).collect();
    let expected = [
        (1, 0x304, "AES_GCM_256"),
        (2, 0x303, "CHACHA20_POLY1305"),
        // A cipher that has no name yet keeps its number.
        (1, 0x304, "60"),
        (1, 0, ""),
        (1, 0, ""),
        (1, 0x304, "AES_GCM_128"),
    ];
    assert_eq!(told, expected);
    assert_eq!(results(&calls), [said[3], said[4], said[5], said[6], nowhere, no_socket]);
    let unreadable = |(_, call): &(&Event, &Call)| call.fixed.state & UNREADABLE != 0;
    assert_eq!(calls.iter().map(unreadable).collect::<Vec<_>>(), [false, false, false, true, true, false]);
    let (last, others) = calls.split_last().unwrap();
    assert_eq!((last.1.fixed.fd, last.1.fixed.cookie), (777, 0));
    for (_, call) in others {
        assert_eq!(i64::from(call.fixed.fd), run.said("fd")[0]);
        assert_eq!(i64::try_from(call.fixed.cookie).unwrap(), run.said("cookie")[0]);
    }
}

#[test]
fn calls_of_the_key_rings_are_recorded_with_the_type_of_key() {
    let Some(_permit) = live() else { return };
    let run = trace(
        &[],
        r#"
PROCESS_KEYRING, KEYCTL_GET_KEYRING_ID, KEYCTL_REVOKE = -2, 0, 3
key = call("add_key", b"user", b"crypto-trace-test", b"payload", 7, PROCESS_KEYRING)
call("add_key", b"no such type", b"crypto-trace-test", b"payload", 7, PROCESS_KEYRING)
call("add_key", 16, b"crypto-trace-test", b"payload", 7, PROCESS_KEYRING)
call("request_key", b"user", b"crypto-trace-test", None, 0)
call("keyctl", KEYCTL_GET_KEYRING_ID, PROCESS_KEYRING, 0)
call("keyctl", KEYCTL_REVOKE, key)
"#,
    );
    let (add, request, control) = (run.calls("add_key"), run.calls("request_key"), run.calls("keyctl"));
    for calls in [&add, &request, &control] {
        check(calls, ApiMeaning::KERNEL_KEY);
        assert!(calls.iter().all(|(_, call)| call.fixed.fd == -1 && call.fixed.cookie == 0));
    }
    assert_eq!(texts(&add), ["user", "no such type", ""]);
    assert_eq!(results(&add), run.said("add_key"));
    assert_eq!((results(&add)[2], add[2].1.fixed.state), (EFAULT, RESULT | UNREADABLE));
    assert_eq!((texts(&request), results(&request)), (vec!["user"], run.said("request_key")));
    let operations: Vec<_> = control.iter().map(|(_, call)| call.fixed.number).collect();
    assert_eq!((operations, results(&control)), (vec![0, 3], run.said("keyctl")));
}

/// 32-bit programs have system call numbers of their own, and one call for all that is about sockets.
#[test]
fn calls_through_the_32_bit_table_are_recorded() {
    let Some(_permit) = live() else { return };
    // socket(AF_ALG, SOCK_SEQPACKET, 0), a socket of another kind, and KEYCTL_GET_KEYRING_ID.
    let steps = "socketcall32 1 38 5 0 socketcall32 1 2 1 0 keyctl32 0 -2 0";
    let done = Capture::new().workload(steps.split(' ')).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let said: Vec<i64> = done.text().lines().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    let [socket, _, keyctl] = said[..] else { panic!("{said:?}") };
    if keyctl == -38 {
        return skip("this kernel runs no 32-bit system calls");
    }
    let trace = done.trace();
    let sockets = kernel_calls(&trace, "socket");
    let refused: Vec<_> = Some(socket).into_iter().filter(|result| *result < 0).collect();
    assert_eq!(results(&sockets), refused);
    let controls = kernel_calls(&trace, "keyctl");
    assert_eq!(results(&controls), [keyctl]);
    assert!(sockets.iter().chain(&controls).all(|(event, _)| event.has(flags::COMPAT)));
}

/// As for TLS: who asks for files or libraries gets these.
#[test]
fn it_is_recorded_by_default_unless_files_or_libraries_are_asked_for() {
    let Some(_permit) = live() else { return };
    let script = r#"call("keyctl", 0, -2, 0)"#;
    for (options, expected) in [
        (&[][..], 1),
        (&["--kernel-crypto", "off"], 0),
        (&["-F", "*.pem"], 0),
        (&["-l", "ssl"], 0),
        (&["-F", "*.pem", "--kernel-crypto", "on"], 1),
    ] {
        let run = trace(options, script);
        assert_eq!(run.calls("keyctl").len(), expected, "{options:?}");
        assert_eq!(!kernel_calls(&run.trace, "getrandom").is_empty(), expected > 0, "{options:?}");
    }
}
