//! Synthetic segments for tests and benchmarks, written by the real segment writer.
#![allow(dead_code, clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

use crypto_trace_format::record::{
    ApiCall, ApiCallFixed, ApiMeaning, CertificateFile, CertificateFileFixed, CertificateFileState, Clock, ClockFixed,
    Comm, FileChange, FileChangeFixed, FileOpen, FileOpenFixed, Header, Inventory, InventoryFixed, Kind, LibLoad,
    LibLoadFixed, LibraryInfo, LibraryInfoFixed, Loss, LossFixed, ProbeStatus, ProbeStatusFixed, ProcessExec,
    ProcessExecFixed, ProcessExit, ProcessExitFixed, ProcessFork, ProcessForkFixed, ProcessInfo, ProcessInfoFixed,
    Record, SelfStats, SelfStatsFixed, Suppressed, SuppressedFixed, TlsHello, TlsHelloFixed, flags,
};
use crypto_trace_format::segment::{BlockBuilder, BlockType, ClockAnchor, SegmentMeta, SegmentWriter, Selected};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

pub mod everything;

/// Boot time at which synthetic captures begin, and UTC then: 2026-11-22T10:30:00Z.
pub const BOOT_NS: u64 = 1_000_000_000_000;
pub const WALL_NS: i64 = 1_795_343_400_000_000_000;

pub fn comm(name: &[u8]) -> Comm {
    let mut comm = [0; 16];
    comm.iter_mut().zip(name.iter().take(15)).for_each(|(to, from)| *to = *from);
    comm
}

pub fn meta(host: &str, id: u8, sequence: u64) -> SegmentMeta {
    SegmentMeta {
        capture_id: [id; 16],
        sequence,
        host: host.to_owned(),
        boot_id: "0b571594-e954-4d4e-9ba5-1d6898f8c781".to_owned(),
        kernel: "6.1.0-test".to_owned(),
        arch: "x86_64".to_owned(),
        tool: "crypto-trace-capture 0.1.0".to_owned(),
        clock: ClockAnchor { boottime_ns: BOOT_NS, realtime_ns: WALL_NS },
        ..SegmentMeta::default()
    }
}

/// A recording made with these options.
pub fn with_options(filters: Vec<String>, meta: SegmentMeta) -> SegmentMeta {
    SegmentMeta { selected: Box::new(Selected::from_options(&filters)), filters, ..meta }
}

/// A header `offset_ns` after the capture's beginning.
pub fn header(tgid: u32, name: &str, offset_ns: u64) -> Header {
    Header {
        time_ns: BOOT_NS + offset_ns,
        tid: tgid,
        tgid,
        uid: 1000,
        gid: 1000,
        start_ns: BOOT_NS - 1_000 + u64::from(tgid),
        comm: comm(name.as_bytes()),
        ..Header::default()
    }
}

pub fn exec(header: Header, exe: &[u8], argv: &[u8], ppid: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let fixed = ProcessExecFixed {
        ppid,
        ns_pid: header.tgid,
        parent_start_ns: BOOT_NS - 1_000 + u64::from(ppid),
        exe_dev: 8 << 20 | 1,
        exe_ino: 77,
        pid_ns: 4_026_531_836,
        argv_full_len: argv.len() as u32,
        ..Default::default()
    };
    ProcessExec { fixed, exe, argv, cwd: b"/home/alice/work", cgroup: b"/user.slice", ..Default::default() }
        .encode(header, &mut out);
    out
}

pub fn open(header: Header, path: &[u8], result: i32) -> Vec<u8> {
    let mut out = Vec::new();
    let found = u64::from(result >= 0);
    let fixed = FileOpenFixed {
        result,
        flags: 0o2000000,
        dfd: -100,
        dev: found * (8 << 20 | 1),
        ino: found * 4_711,
        inode_mode: (found as u32) * 0o100640,
        call: 2,
        tier: 3,
        ..Default::default()
    };
    FileOpen { fixed, path, ..Default::default() }.encode(header, &mut out);
    out
}

pub fn failed_relative(header: Header, path: &[u8], dir: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let header = Header { flags: flags::PATH_AS_PASSED, ..header };
    let fixed =
        FileOpenFixed { result: -2, flags: 0o101, mode: 0o600, dfd: -100, call: 2, tier: 2, ..Default::default() };
    FileOpen { fixed, path, dir, ..Default::default() }.encode(header, &mut out);
    out
}

/// Both paths of a change, each with the directory that it is relative to.
pub fn change(header: Header, fixed: FileChangeFixed, [(path, dir), (new, new_dir)]: [(&[u8], &[u8]); 2]) -> Vec<u8> {
    let mut out = Vec::new();
    let header = Header { flags: flags::PATH_AS_PASSED, ..header };
    FileChange { fixed: FileChangeFixed { tier: 5, ..fixed }, path, dir, new, new_dir, ..FileChange::default() }
        .encode(header, &mut out);
    out
}

pub fn load(header: Header, path: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let fixed = LibLoadFixed {
        dev: 8 << 20 | 1,
        ino: 99,
        address: 0x7f00_0000_0000,
        size: 688_160,
        tier: 3,
        ..Default::default()
    };
    LibLoad { fixed, path, ..Default::default() }.encode(header, &mut out);
    out
}

pub fn exit(header: Header, status: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let fixed = ProcessExitFixed { status, duration_ns: 18_847_800, ..Default::default() };
    ProcessExit { fixed, ..Default::default() }.encode(header, &mut out);
    out
}

pub fn fork(header: Header, ppid: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let fixed = ProcessForkFixed { ppid, ns_pid: header.tgid, parent_start_ns: BOOT_NS - 1_000 + u64::from(ppid) };
    ProcessFork { fixed, ..Default::default() }.encode(header, &mut out);
    out
}

pub fn info(header: Header, exe: &[u8], argv: &[u8], cgroup: &[u8], ppid: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let header = Header { flags: flags::FROM_PROC, ..header };
    let fixed = ProcessInfoFixed { ppid, ns_pid: header.tgid, argv_full_len: argv.len() as u32, ..Default::default() };
    ProcessInfo { fixed, exe, argv, cwd: b"/", cgroup, ..Default::default() }.encode(header, &mut out);
    out
}

pub fn about_capture(offset_ns: u64) -> Header {
    Header { time_ns: BOOT_NS + offset_ns, ..Header::default() }
}

pub fn loss(offset_ns: u64, kind: Kind, cause: u16, count: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let fixed = LossFixed {
        from_ns: BOOT_NS + offset_ns - 500,
        to_ns: BOOT_NS + offset_ns,
        count,
        lost_kind: kind.0,
        cause,
        reserved: 0,
    };
    Loss { fixed, ..Default::default() }.encode(about_capture(offset_ns), &mut out);
    out
}

/// Withheld of the process in the header, for this reason.
pub fn suppressed(header: Header, kind: Kind, reason: u16, count: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let to_ns = header.time_ns;
    let fixed = SuppressedFixed {
        from_ns: to_ns - 500,
        to_ns,
        count,
        bytes: count * 100,
        suppressed_kind: kind.0,
        reason,
        reserved: 0,
    };
    Suppressed { fixed, ..Default::default() }.encode(header, &mut out);
    out
}

/// What a snapshot read in a file: a certificate, or none. `header`: who has it open, or [`about_capture`].
pub fn certificate_file(header: Header, path: &[u8], state: CertificateFileState, certificate: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let (is_there, missing) = (u32::from(!certificate.is_empty()), state == CertificateFileState::NOT_READ);
    let fixed = CertificateFileFixed {
        size: 1_000,
        modified_ns: 1_700_000_000_000_000_000,
        mode: 0o100_644,
        number: is_there,
        count: is_there,
        errno: if missing { 2 } else { 0 },
        state: state.0,
        ..Default::default()
    };
    CertificateFile { fixed, path, certificate, ..Default::default() }.encode(header, &mut out);
    out
}

/// The first certificate that the server of a recorded handshake of TLS 1.2 sent, in DER.
pub fn recorded_certificate(name: &str) -> Vec<u8> {
    let bytes = recorded_tls(name, "server");
    let number = |at: usize| bytes[at..at + 3].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    let begins = |at: &usize| {
        let at = *at;
        bytes[at] == 11
            && number(at + 1) == number(at + 4) + 3
            && number(at + 7) < number(at + 4)
            && bytes[at + 10] == 0x30
    };
    let at = (0..bytes.len() - 11).find(begins).expect("a certificate message");
    bytes[at + 10..at + 10 + number(at + 7)].to_vec()
}

pub fn clock(offset_ns: u64, realtime_ns: i64) -> Vec<u8> {
    let mut out = Vec::new();
    let fixed = ClockFixed { boottime_ns: BOOT_NS + offset_ns, realtime_ns, reason: 3, error_ns: 120 };
    Clock { fixed, ..Default::default() }.encode(about_capture(offset_ns), &mut out);
    out
}

pub fn probe(offset_ns: u64, name: &[u8], state: u32, errno: i32, message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let fixed = ProbeStatusFixed { state, errno, tier: 3, ..Default::default() };
    ProbeStatus { fixed, probe: name, target: b"raw_tp:sys_exit", message, ..Default::default() }
        .encode(about_capture(offset_ns), &mut out);
    out
}

/// A look at /proc that was not allowed to see everything.
pub fn inventory(offset_ns: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let fixed = InventoryFixed {
        began_ns: BOOT_NS,
        processes: 40,
        maps_denied: 3,
        files_denied: 4,
        vanished: 1,
        denied_tgid: 77,
        cut: 2,
        cut_tgid: 78,
        reserved: 0,
    };
    Inventory { fixed, ..Default::default() }.encode(about_capture(offset_ns), &mut out);
    out
}

pub fn self_stats(offset_ns: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let fixed = SelfStatsFixed { cpu_user_ns: 5, rss_peak_bytes: 14 << 20, produced: 10, ..Default::default() };
    SelfStats { fixed, ..Default::default() }.encode(about_capture(offset_ns), &mut out);
    out
}

/// `owner` of a tls_hello: its process sent the packet.
pub const SENDER: u16 = 1;

/// The fixed part of a tls_hello: a socket of this end, and what one of its packets is.
pub fn socket(cookie: u64, local: &str, remote: &str, sent: bool) -> TlsHelloFixed {
    let [local, remote]: [SocketAddr; 2] = [local, remote].map(|end| end.parse().unwrap());
    let address = |ip| {
        let mut bytes = [0; 16];
        match ip {
            IpAddr::V4(v4) => bytes[..4].copy_from_slice(&v4.octets()),
            IpAddr::V6(v6) => bytes = v6.octets(),
        }
        bytes
    };
    TlsHelloFixed {
        cookie,
        net_ns: 4_026_531_840,
        local_addr: address(local.ip()),
        remote_addr: address(remote.ip()),
        local_port: local.port(),
        remote_port: remote.port(),
        family: if local.is_ipv4() { 2 } else { 10 },
        direction: if sent { 1 } else { 2 },
        ..TlsHelloFixed::default()
    }
}

pub fn hello(header: Header, fixed: TlsHelloFixed, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    TlsHello { fixed, data, ..Default::default() }.encode(header, &mut out);
    out
}

/// The file that [`load`] loads.
pub const LIBRARY: (u64, u64) = (8 << 20 | 1, 99);

/// A library of OpenSSL's kind, and what became of its probes.
pub fn library(header: Header, (dev, ino): (u64, u64), path: &[u8], state: u32, message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let probed = state == 1;
    let fixed = LibraryInfoFixed {
        dev,
        ino,
        size: 688_160,
        state,
        errno: if state == 2 { 13 } else { 0 },
        functions: if probed { 24 } else { 0 },
        features: if probed { 7 } else { 0 },
        ..Default::default()
    };
    let (version, build_id): (&[u8], &[u8]) = if probed { (b"3.0.17", &[0xab, 0x01]) } else { (b"", b"") };
    LibraryInfo { fixed, path, family: b"openssl", version, build_id, message, ..Default::default() }
        .encode(header, &mut out);
    out
}

/// A call of a function of [`LIBRARY`] that is over.
pub fn call(header: Header, function: &[u8], meaning: ApiMeaning, text: &[u8], result: i64, cookie: u64) -> Vec<u8> {
    let fixed = ApiCallFixed {
        dev: LIBRARY.0,
        ino: LIBRARY.1,
        object: 0x1234,
        cookie,
        duration_ns: 2_000_000,
        result,
        count: 1,
        fd: if cookie == 0 { -1 } else { 7 },
        meaning: meaning.0,
        state: 1,
        level: 1,
        ..Default::default()
    };
    api_call(header, fixed, function, text)
}

/// Any api_call.
pub fn api_call(header: Header, fixed: ApiCallFixed, function: &[u8], text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    ApiCall { fixed, function, text, ..Default::default() }.encode(header, &mut out);
    out
}

/// What real software sent, see `data/tls/README.md`.
pub fn recorded_tls(name: &str, side: &str) -> Vec<u8> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls");
    std::fs::read(dir.join(format!("{name}.{side}.bin"))).unwrap()
}

/// What real software sent, see `data/ssh/README.md`.
pub fn recorded_ssh(name: &str, side: &str) -> Vec<u8> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ssh");
    std::fs::read(dir.join(format!("{name}.{side}.bin"))).unwrap()
}

/// A handshake message, or a list in one, with its length before it.
fn with_length(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[1..], bytes].concat()
}

/// What a TLS 1.2 server sends: the hello of a recording, and a chain of its own.
pub fn server_with(chain: &[Vec<u8>]) -> Vec<u8> {
    let recorded = recorded_tls("openssl12", "server");
    let hello_len = 5 + usize::from(u16::from_be_bytes([recorded[3], recorded[4]]));
    let list: Vec<u8> = chain.iter().flat_map(|der| with_length(der)).collect();
    let message = [&[11][..], &with_length(&with_length(&list))].concat();
    let record = [&[22, 3, 3][..], &u16::try_from(message.len()).unwrap().to_be_bytes(), &message].concat();
    [&recorded[..hello_len], &record].concat()
}

/// A recorded handshake as one end saw it, 1 ms for the exchange. `client`: which end that is.
pub fn handshake(header: Header, name: &str, cookie: u64, ends: (&str, &str), client: bool) -> Vec<Vec<u8>> {
    let fixed = |sent| TlsHelloFixed { owner: SENDER, ..socket(cookie, ends.0, ends.1, sent) };
    let later = Header { time_ns: header.time_ns + 1_000_000, ..header };
    let mut records = vec![hello(header, fixed(client), &recorded_tls(name, "client"))];
    let answer = recorded_tls(name, "server");
    if !answer.is_empty() {
        records.push(hello(later, fixed(!client), &answer));
    }
    records
}

/// One segment as bytes: records go into lifecycle and event blocks, each closed after `per_block` records.
pub fn segment(meta: &SegmentMeta, records: &[Vec<u8>], per_block: u32) -> Vec<u8> {
    let mut writer = SegmentWriter::create(Vec::new(), meta, 1).unwrap();
    let mut builders =
        [BlockBuilder::new(BlockType::Lifecycle, 1 << 18), BlockBuilder::new(BlockType::Events, 1 << 18)];
    for bytes in records {
        let header = Record::parse(bytes).unwrap().header;
        let builder = &mut builders[usize::from(!Kind(header.kind).is_lifecycle())];
        builder.push(&header, bytes);
        if builder.record_count() >= per_block || builder.len_bytes() > 250_000 {
            writer.write_block(builder, 0, 0, false).unwrap();
            builder.clear();
        }
    }
    let [lifecycle, events] = &builders;
    writer.write_block(lifecycle, 0, 0, events.is_empty()).unwrap();
    writer.write_block(events, 0, 0, true).unwrap();
    writer.finish().unwrap().0
}

pub fn write_segment(path: &Path, meta: &SegmentMeta, records: &[Vec<u8>], per_block: u32) {
    std::fs::write(path, segment(meta, records, per_block)).unwrap();
}

/// A busy host, made by a fixed recipe: `processes` processes, each exec'd at the beginning; then opens of `paths` distinct
/// files (skewed: half of all opens go to a sixteenth of them), every 20th failing with ENOENT, every 50th event a
/// library load; one event per microsecond.
pub fn busy_host(events: usize, processes: u32, paths: usize) -> Vec<Vec<u8>> {
    let mut records = vec![clock(0, WALL_NS), probe(0, b"file_open", 1, 0, b"")];
    let names = ["nginx", "openssl", "python3", "java", "curl", "sshd", "postgres", "envoy"];
    for process in 0..processes {
        let name = names[process as usize % names.len()];
        let argv = format!("{name}\0--config\0/etc/{name}/{name}.conf\0--worker\0{process}\0");
        let header = header(1_000 + process, name, u64::from(process));
        records.push(exec(header, format!("/usr/bin/{name}").as_bytes(), argv.as_bytes(), 1));
    }
    let files: Vec<String> = (0..paths)
        .map(|i| {
            let suffix = ["crt", "pem", "key", "p12"][i % 4];
            format!("/etc/ssl/{}/site-{i:05}.example.com.{suffix}", ["certs", "private", "app/tls"][i % 3])
        })
        .collect();
    let libraries = ["/usr/lib/x86_64-linux-gnu/libssl.so.3", "/usr/lib/x86_64-linux-gnu/libcrypto.so.3"];
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for event in 0..events {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let process = (state >> 40) as u32 % processes;
        let name = names[process as usize % names.len()];
        let mut header = header(1_000 + process, name, 10_000 + event as u64 * 1_000);
        header.start_ns = BOOT_NS - 1_000 + u64::from(1_000 + process);
        let range = if state & 1 == 0 { paths } else { paths.div_ceil(16) };
        let path = &files[(state >> 8) as usize % range];
        records.push(match event {
            e if e % 50 == 0 => load(header, libraries[e / 50 % 2].as_bytes()),
            e if e % 20 == 0 => open(header, path.as_bytes(), -2),
            _ => open(header, path.as_bytes(), 7),
        });
    }
    records
}
