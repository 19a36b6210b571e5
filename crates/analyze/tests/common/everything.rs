//! Records of every kind and of all sorts, as tests of what is shown of them need them.

use super::*;
use crypto_trace_analyze::event::EVENT_TYPES;
use crypto_trace_format::record::ChangeCall;
use std::path::{Path, PathBuf};

/// Id of a container.
pub const CONTAINER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// One of everything.
pub fn one_of_everything() -> Vec<Vec<u8>> {
    let nginx = |at| header(500, "nginx", at);
    let child = |at| header(501, "sh", at);
    let mut given = Vec::new();
    crypto_trace_format::record::FileOpen {
        fixed: crypto_trace_format::record::FileOpenFixed {
            result: 5,
            flags: 0,
            call: 3,
            resolve: 8,
            tier: 5,
            dev: 1,
            ino: 2,
            ..Default::default()
        },
        path: b"/home/bob/keys/tls.key",
        given: b"../bob/keys/tls.key",
        ..Default::default()
    }
    .encode(nginx(6_000), &mut given);
    vec![
        clock(0, WALL_NS),
        probe(10, b"file_open", 1, 0, b""),
        probe(11, b"api_call", 2, 13, b"no\nuprobes"),
        info(header(1, "systemd", 20), b"/usr/lib/systemd/systemd", b"/sbin/init\0", b"/init.scope", 0),
        info(header(400, "dockerd", 21), b"/usr/bin/dockerd", b"", format!("/docker/{CONTAINER}").as_bytes(), 1),
        exec(nginx(1_000), b"/usr/sbin/nginx", b"nginx\0-c\0/home/alice/nginx.conf\0", 1),
        // It has its parent's name still.
        fork(header(501, "nginx", 2_000), 500),
        load(nginx(3_000), b"/usr/lib/x86_64-linux-gnu/libssl.so.3"),
        load(nginx(3_500), b"/opt/unknown/libfoo.so"),
        open(nginx(4_000), b"/etc/ssl/certs/server.crt", 3),
        open(child(4_500), b"/root/.ssh/id_ed25519", -13),
        failed_relative(nginx(5_000), b"missing.key", b"/home/alice/tls"),
        given,
        change(
            nginx(6_100),
            FileChangeFixed { call: ChangeCall::RENAMEAT2.0, flags: 1, ..FileChangeFixed::default() },
            [(b"tls.tmp", b"/home/alice"), (b"../alice/tls.key", b"/home/alice")],
        ),
        change(
            nginx(6_200),
            FileChangeFixed { call: ChangeCall::SYMLINK.0, result: -17, ..FileChangeFixed::default() },
            [(b"../archive/cert1.pem", b""), (b"/etc/letsencrypt/live/cert.pem", b"")],
        ),
        change(
            child(6_300),
            FileChangeFixed {
                call: ChangeCall::FCHMOD.0,
                mode: 0o600,
                dev: 1,
                ino: 2,
                inode_mode: 0o100_600,
                ..FileChangeFixed::default()
            },
            [(b"/home/alice/tls.key", b""), (b"", b"")],
        ),
        change(
            child(6_400),
            FileChangeFixed { call: ChangeCall::CHOWN.0, uid: 33, gid: 34, ..FileChangeFixed::default() },
            [(b"/home/alice/tls.key", b""), (b"", b"")],
        ),
        loss(7_000, Kind(4), 1, 12),
        self_stats(7_500),
        inventory(7_600),
        certificate_file(
            nginx(7_610),
            b"/etc/ssl/site.crt",
            CertificateFileState::READ,
            &recorded_certificate("openssl12"),
        ),
        certificate_file(about_capture(7_620), b"/home/alice/missing.crt", CertificateFileState::NOT_READ, b""),
        suppressed(child(7_700), Kind(4), 1, 9_000),
        exit(child(8_000), 9 | 0x80),
        exit(nginx(9_000), 3 << 8),
    ]
}

/// TLS of all sorts: both ends of one connection, a failed one, one with certificates, one of which nothing is known but
/// that it is there.
pub fn tls_of_all_sorts() -> Vec<Vec<u8>> {
    let nginx = |at| header(500, "nginx", at);
    let (near, far) = ("127.0.0.1:40000", "127.0.0.1:443");
    let mut records = vec![exec(nginx(1_000), b"/usr/sbin/nginx", b"nginx\0", 1)];
    records.extend(handshake(header(600, "curl", 20_000), "openssl13_retry", 1, (near, far), true));
    records.extend(handshake(nginx(21_000), "openssl13_retry", 2, (far, near), false));
    records.extend(handshake(nginx(30_000), "openssl12_dhe", 3, ("10.0.0.1:443", "10.0.0.2:5000"), false));
    records.extend(handshake(nginx(35_000), "openssl12", 8, ("10.0.0.1:443", "10.0.0.2:5003"), false));
    records.extend(handshake(nginx(40_000), "openssl_no_shared_cipher", 4, ("10.0.0.1:443", "10.0.0.2:5001"), false));
    records.extend(handshake(nginx(42_000), "openssl12_mutual", 10, ("10.0.0.1:443", "10.0.0.2:5005"), false));
    let nobody = crypto_trace_format::record::TlsHelloFixed {
        offset: 39,
        state: 4 | 2,
        ..socket(5, "[2001:db8::1]:5002", "[2001:db8::2]:25", true)
    };
    records.push(hello(about_capture(50_000), nobody, &recorded_tls("chrome_mlkem", "client")));
    let (ours, theirs) = ("10.0.0.1:5004", "10.0.0.2:443");
    records.push(hello(nginx(45_000), socket(9, ours, theirs, true), &recorded_tls("openssl12", "client")));
    records.push(hello(nginx(45_500), socket(9, ours, theirs, false), &server_with(&vec![vec![5, 0]; 40])));
    let lost = crypto_trace_format::record::TlsHelloFixed { offset: 700, state: 1, ..socket(6, near, far, false) };
    records.push(hello(about_capture(60_000), lost, b"rest of something"));
    records
}

/// SSH of all sorts: with a certificate, with a group that the server chose, with nothing in common, with a wrong guess, and one of
/// which little was seen.
pub fn ssh_of_all_sorts() -> Vec<Vec<u8>> {
    let sshd = |at| header(700, "sshd", at);
    let mut records = vec![exec(sshd(1_500), b"/usr/sbin/sshd", b"sshd\0", 1)];
    let names = ["openssh_certificate", "openssh_gex", "openssh_nothing_in_common", "dropbear_client"];
    for (number, name) in (0u64..).zip(names) {
        let (at, remote) = (70_000 + 1_000 * number, format!("10.0.0.2:{}", 6_000 + number));
        let fixed = |sent| crypto_trace_format::record::TlsHelloFixed {
            owner: SENDER,
            protocol: 1,
            ..socket(20 + number, "10.0.0.1:22", &remote, sent)
        };
        records.push(hello(sshd(at), fixed(true), &recorded_ssh(name, "server")));
        records.push(hello(sshd(at + 100), fixed(false), &recorded_ssh(name, "client")));
    }
    let late = crypto_trace_format::record::TlsHelloFixed {
        protocol: 1,
        offset: 70,
        state: 4 | 16,
        ..socket(30, "10.0.0.1:7000", "10.0.0.2:22", false)
    };
    let gone = [&b"SSH-1.99-x\n"[..], &[0, 0, 0, 12, 4, 1, 0, 0, 0, 77, 0, 0, 0, 0, 0, 0]].concat();
    records.push(hello(about_capture(80_000), late, &gone));
    records
}

/// An IKE message of the first exchange: one proposal with AES-GCM-256, HMAC-SHA-512, X25519 and ML-KEM-768 besides, and a key.
fn ike_message(responder: u8, flags: u8) -> Vec<u8> {
    let transforms: [&[u8]; 4] = [
        &[3, 0, 0, 12, 1, 0, 0, 20, 0x80, 14, 1, 0],
        &[3, 0, 0, 8, 2, 0, 0, 7],
        &[3, 0, 0, 8, 4, 0, 0, 31],
        &[0, 0, 0, 8, 6, 0, 0, 36],
    ];
    let proposal = [&[0, 0, 0, 44, 1, 1, 0, 4][..], &transforms.concat()].concat();
    let payloads = [&[34, 0, 0, 48][..], &proposal, &[0, 0, 0, 40, 0, 31, 0, 0], &[7; 32]].concat();
    let len = u8::try_from(28 + payloads.len()).unwrap();
    let spi = [[1; 8], [responder; 8]].concat();
    [&spi[..], &[33, 0x20, 34, flags, 0, 0, 0, 0, 0, 0, 0, len], &payloads].concat()
}

/// IKE: an exchange that was answered, and one that was not.
pub fn ike_of_all_sorts() -> Vec<Vec<u8>> {
    let charon = |at| header(800, "charon", at);
    let fixed = |port, sent| crypto_trace_format::record::TlsHelloFixed {
        owner: SENDER,
        protocol: 4,
        ..socket(40, "10.0.0.1:500", port, sent)
    };
    vec![
        exec(charon(1_600), b"/usr/lib/ipsec/charon", b"charon\0", 1),
        hello(charon(90_000), fixed("10.0.0.2:500", true), &ike_message(0, 8)),
        hello(charon(90_100), fixed("10.0.0.2:500", false), &ike_message(9, 0x20)),
        hello(charon(91_000), fixed("10.0.0.3:500", true), &ike_message(0, 8)),
    ]
}

/// WireGuard: a handshake that was answered, and one that was not.
pub fn wireguard_of_all_sorts() -> Vec<Vec<u8>> {
    let program = |at| header(810, "wireguard-go", at);
    let fixed = |port, sent| crypto_trace_format::record::TlsHelloFixed {
        owner: SENDER,
        protocol: 5,
        ..socket(41, "10.0.0.1:51820", port, sent)
    };
    vec![
        exec(program(1_700), b"/usr/bin/wireguard-go", b"wireguard-go\0wg0\0", 1),
        hello(program(92_000), fixed("10.0.0.2:51820", true), &[1, 0, 0, 0, 1, 2, 3, 4]),
        hello(program(92_100), fixed("10.0.0.2:51820", false), &[2, 0, 0, 0, 9, 9, 9, 9, 1, 2, 3, 4]),
        hello(program(93_000), fixed("10.0.0.3:51820", true), &[1, 0, 0, 0, 5, 6, 7, 8]),
    ]
}

/// Libraries and calls of all sorts, two of them of handshakes in [`tls_of_all_sorts`].
pub fn calls_of_all_sorts() -> Vec<Vec<u8>> {
    let nginx = |at| header(500, "nginx", at);
    let fixed = ApiCallFixed { count: 41, fd: -1, number: 1, state: 2 | 4 | 8, level: 2, ..ApiCallFixed::default() };
    let meaning = |meaning: ApiMeaning| ApiCallFixed { meaning: meaning.0, ..fixed };
    let agreed = ApiCallFixed {
        dev: LIBRARY.0,
        ino: LIBRARY.1,
        cookie: 4,
        result: -1,
        count: 1,
        calls: 2,
        fd: 9,
        version: 0x304,
        suite: 0x1301,
        meaning: ApiMeaning::HANDSHAKE.0,
        state: 1,
        level: 1,
        ..ApiCallFixed::default()
    };
    let refused = ApiCallFixed { result: -2, state: 1, level: 3, ..meaning(ApiMeaning::KERNEL_TLS) };
    vec![
        library(nginx(3_100), LIBRARY, b"/usr/lib/x86_64-linux-gnu/libssl.so.3", 1, b""),
        library(about_capture(3_200), (1, 2), b"/home/alice/libssl-8bd944e8.so.3", 2, b"no\nuprobes"),
        call(header(600, "curl", 20_500), b"SSL_do_handshake", ApiMeaning::HANDSHAKE, b"", 1, 1),
        api_call(nginx(40_500), agreed, b"SSL_do_handshake", b""),
        call(nginx(41_000), b"SSL_CTX_use_PrivateKey_file", ApiMeaning::PRIVATE_KEY_FILE, b"/home/alice/a.key", 1, 0),
        call(nginx(41_100), b"SSL_CTX_use_certificate_file", ApiMeaning::CERTIFICATE_FILE, b"a.crt", 0, 0),
        api_call(
            nginx(42_000),
            ApiCallFixed { number: 0x303, ..meaning(ApiMeaning::MIN_VERSION) },
            b"SSL_CTX_ctrl",
            b"",
        ),
        api_call(nginx(42_100), meaning(ApiMeaning::CIPHER), b"EVP_CipherInit_ex", b"AES-\xff"),
        api_call(nginx(42_200), refused, b"setsockopt", b""),
        api_call(nginx(42_300), meaning(ApiMeaning::MECHANISM), b"C_SignInit", b""),
    ]
}

/// A segment with events of every type.
pub fn every_type_in(dir: &Path) -> PathBuf {
    let path = dir.join("all.ctseg");
    let records = [
        one_of_everything(),
        tls_of_all_sorts(),
        ssh_of_all_sorts(),
        ike_of_all_sorts(),
        wireguard_of_all_sorts(),
        calls_of_all_sorts(),
    ]
    .concat();
    write_segment(&path, &meta("web1", 1, 0), &records, 7);
    path
}

/// The types, as `--type` has them.
pub fn all_types() -> String {
    EVENT_TYPES.iter().map(|ty| ty.name).collect::<Vec<_>>().join(",")
}
