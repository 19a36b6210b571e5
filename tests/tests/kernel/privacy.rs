//! What is never recorded of the kernel's crypto: keys.

use std::process::Command;

use crypto_trace_tests::{live, run};

use crate::support::trace;

/// The capture is searched as anyone would, by `zstd -dc`.
#[test]
fn neither_keys_of_ktls_nor_payloads_and_descriptions_of_keys_are_recorded() {
    let Some(_permit) = live() else { return };
    let traced = trace(
        &[],
        r#"
listener = socket.create_server(("127.0.0.1", 0))
peer = socket.create_connection(listener.getsockname())
for name in b"tls\0", b"tls-SECRET-name":
    call("setsockopt", peer.fileno(), socket.IPPROTO_TCP, 31, name, len(name))
# Structures of the two versions, with known bytes from the fifth on.
for version, cipher in (0x303, 51), (0x304, 52), (0x304, 54), (0x304, 99):
    info = struct.pack("<HH", version, cipher) + b"SECRETktls" + 30 * b"K"
    for direction in 1, 2:
        call("setsockopt", peer.fileno(), 282, direction, info, len(info))
call("add_key", b"user", b"SECRETdescription", b"SECRETpayload", 13, -2)
call("add_key", b"logon", b"test:SECRETdescription", b"SECRETpayload", 13, -2)
call("request_key", b"user", b"SECRETdescription", b"SECRETcallout", 0)
key = call("add_key", b"user", b"other", b"x", 1, -2)
call("keyctl", 2, key, b"SECRETupdate", 12)
where = struct.pack("<H14sII", 38, b"skcipher", 0, 0) + b"cbc(aes)\0SECRETafter"
call("bind", peer.fileno(), where, len(where))
peer.close()
"#,
    );
    assert_eq!(traced.calls("bind").len(), 1);
    assert!(traced.calls("setsockopt").len() >= 8);
    assert_eq!(traced.calls("add_key").len(), 3);
    let text = run(Command::new("zstd").arg("-dc").args(traced.done.segments()));
    assert_eq!(text.code(), 0, "{}", text.stderr);
    let found = |part: &[u8]| text.stdout.windows(part.len()).any(|window| window == part);
    assert!(found(b"setsockopt") && found(b"skcipher cbc(aes)") && found(b"logon"), "the search finds what is there");
    assert!(!found(b"SECRET") && !found(b"KKKK"));
}
