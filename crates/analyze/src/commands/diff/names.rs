//! Names without what differs from run to run. docs/reports.md lists these rules.
//!
//! A part of a name that is taken out becomes a `*`, so that a reader sees that it was; what the name was is kept beside it.

use std::net::{IpAddr, SocketAddr};

/// Directories in which names are made up for the occasion.
const TEMPORARY: [&[u8]; 4] = [b"/tmp/", b"/var/tmp/", b"/dev/shm/", b"/run/user/"];

/// The first of the ports that the kernel hands out, as Linux has it by default (`ip_local_port_range`).
const FIRST_EPHEMERAL: u16 = 32_768;

/// Hexadecimal digits that make a hash, wherever they are.
const HASH: usize = 16;

/// What takes the place of what differs.
const ANY: u8 = b'*';

/// A path, or the name of a thread where a program's path is not known. None: there is nothing to take out.
pub(super) fn path(given: &[u8]) -> Option<Vec<u8>> {
    let same = match given.first() {
        Some(b'/') => of_path(given),
        _ => of_thread(given),
    };
    (same != given).then_some(same)
}

/// A library's path: also without its version, which is an attribute, and without the hash of a wheel's.
pub(super) fn library(given: &[u8]) -> Vec<u8> {
    let path = of_path(given);
    let (directory, file) = path.split_at(path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1));
    // `libssl.so.3`, `libssl-8bd944e8.so.3`, `libnss3.so`
    let Some(so) = memchr::memmem::find(file, b".so") else { return path };
    let is_end = matches!(file.get(so + 3), None | Some(b'.'));
    let stem = file.get(..so).filter(|_| is_end).unwrap_or(file);
    let dash = stem.iter().rposition(|byte| *byte == b'-').map(|dash| stem.split_at(dash + 1));
    let stem = match dash {
        Some((name, hash)) if hash.len() >= 8 && hash.iter().all(u8::is_ascii_hexdigit) => [name, &[ANY]].concat(),
        Some((name, number)) if number.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') => {
            [name, &[ANY]].concat()
        }
        _ => stem.to_vec(),
    };
    [directory, &stem, if is_end { b".so" } else { b"" }].concat()
}

/// An address, and the port where that stands for a service.
pub(super) fn address(ip: IpAddr, port: Option<u16>) -> String {
    match port {
        None => ip.to_string(),
        Some(port) if port < FIRST_EPHEMERAL => SocketAddr::new(ip, port).to_string(),
        Some(_) => match ip {
            IpAddr::V4(ip) => format!("{ip}:*"),
            IpAddr::V6(ip) => format!("[{ip}]:*"),
        },
    }
}

/// `worker-12`, `tokio-runtime-w`: threads are numbered.
fn of_thread(given: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(given.len());
    for byte in given {
        match byte {
            b'0'..=b'9' if out.last() == Some(&ANY) => {}
            b'0'..=b'9' => out.push(ANY),
            byte => out.push(*byte),
        }
    }
    out
}

fn of_path(given: &[u8]) -> Vec<u8> {
    let is_temporary = TEMPORARY.iter().any(|directory| given.starts_with(directory));
    let is_proc = given.starts_with(b"/proc/");
    let in_store = given.starts_with(b"/nix/store/") || given.starts_with(b"/gnu/store/");
    let mut out = Vec::with_capacity(given.len());
    for (number, component) in given.split(|byte| *byte == b'/').enumerate() {
        if number > 0 {
            out.push(b'/');
        }
        let is_number = component.iter().all(u8::is_ascii_digit) && !component.is_empty();
        match component {
            _ if is_proc && is_number => out.push(ANY),
            [hash @ .., b'-'] | hash if in_store && number == 3 && hash.len() > 33 && hash.get(32) == Some(&b'-') => {
                out.push(ANY);
                out.extend_from_slice(hash.get(32..).unwrap_or_default());
            }
            component => of_component(component, is_temporary, &mut out),
        }
    }
    out
}

/// A component part by part: parts are separated by dots, dashes and underscores.
fn of_component(component: &[u8], is_temporary: bool, out: &mut Vec<u8>) {
    if is_uuid(component) {
        out.push(ANY);
        return;
    }
    if let Some((before, number)) = made_by_a_program(component) {
        out.extend_from_slice(before);
        out.push(ANY);
        out.extend_from_slice(number);
        return;
    }
    let is_separator = |byte: &u8| b"._-".contains(byte);
    let mut rest = component;
    let mut first = true;
    loop {
        let end = rest.iter().position(is_separator).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        if is_hash(part) || is_temporary && (is_random(part, first) || is_long_number(part)) {
            out.push(ANY);
        } else if let Some(letters) = Some(trailing_number(part)).filter(|_| is_temporary).flatten() {
            // `go-build1234567890`
            out.extend_from_slice(letters);
            out.push(ANY);
        } else {
            out.extend_from_slice(part);
        }
        let Some((separator, after)) = after.split_first() else { return };
        out.push(*separator);
        (rest, first) = (after, false);
    }
}

/// `tmpab3_9xqz`, which Python makes, and `tmp.Ab3dE9xQzK`, which mktemp(1) does, wherever they are: what is before and after.
fn made_by_a_program(component: &[u8]) -> Option<(&[u8], &[u8])> {
    let after = component.strip_prefix(b"tmp")?;
    if let Some(random) = after.strip_prefix(b".") {
        return (random.len() == 10 && random.iter().all(u8::is_ascii_alphanumeric)).then_some((b"tmp.", b""));
    }
    let (random, rest) = after.split_at_checked(8)?;
    let is_of_python = random.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    (is_of_python && matches!(rest.first(), None | Some(b'.'))).then_some((b"tmp", rest))
}

fn is_uuid(part: &[u8]) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let mut parts = part.split(|byte| *byte == b'-');
    lengths
        .into_iter()
        .all(|length| parts.next().is_some_and(|part| part.len() == length && part.iter().all(u8::is_ascii_hexdigit)))
        && parts.next().is_none()
}

fn is_hash(part: &[u8]) -> bool {
    part.len() >= HASH && part.iter().all(u8::is_ascii_hexdigit) && part.iter().any(u8::is_ascii_digit)
}

fn is_long_number(part: &[u8]) -> bool {
    part.len() >= 3 && part.iter().all(u8::is_ascii_digit)
}

/// What is before six digits or more.
fn trailing_number(part: &[u8]) -> Option<&[u8]> {
    let letters = part.iter().rposition(|byte| !byte.is_ascii_digit())? + 1;
    (part.len() - letters >= 6).then(|| part.get(..letters)).flatten()
}

/// As mkstemp(3) makes them: six letters and digits or more that are no words. What stands first has to change its sort more often.
fn is_random(part: &[u8], is_first: bool) -> bool {
    let sort = |byte: &u8| match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        _ => 2,
    };
    let changes = part.windows(2).filter(|pair| pair.first().map(sort) != pair.last().map(sort)).count();
    let is_named = !part.iter().all(u8::is_ascii_alphanumeric) || are_words(part);
    (6..=16).contains(&part.len()) && !is_named && (!is_first || changes >= 3)
}

/// `server`, `Server1`, `KEY2`, `ServerKey`: words of three letters or more, and a number behind them.
fn are_words(part: &[u8]) -> bool {
    let end = part.iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |at| at + 1);
    let mut letters = part.get(..end).unwrap_or_default();
    if letters.iter().all(u8::is_ascii_uppercase) {
        return true;
    }
    while let Some((_, rest)) = letters.split_first() {
        let lower = rest.iter().take_while(|byte| byte.is_ascii_lowercase()).count();
        if lower < 2 || letters.first().is_some_and(u8::is_ascii_digit) {
            return false;
        }
        letters = rest.get(lower..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: &str, expected: &str) {
        let same = path(given.as_bytes()).unwrap_or_else(|| given.as_bytes().to_vec());
        assert_eq!(String::from_utf8_lossy(&same), expected);
        assert_eq!(path(&same), None, "{given}: what is done is done");
    }

    #[test]
    fn names_that_are_made_up_for_a_run_are_all_the_same() {
        check("/tmp/tmp.k3QzR81xYb/server.key", "/tmp/tmp.*/server.key");
        check("/srv/ci/tmp.k3QzR81xYb/server.key", "/srv/ci/tmp.*/server.key");
        check("/tmp/tmpab3_9xqz/server.key", "/tmp/tmp*/server.key");
        check("/home/ci/tmpab3_9xqz.pem", "/home/ci/tmp*.pem");
        check("/tmp/cert-a8Xk2P.pem", "/tmp/cert-*.pem");
        check("/tmp/go-build3141592653/b001/exe/main", "/tmp/go-build*/b001/exe/main");
        check("/tmp/pytest-of-ci/pytest-1234/key.pem", "/tmp/pytest-of-ci/pytest-*/key.pem");
        check("/tmp/aB3dE9/x.pem", "/tmp/*/x.pem");
        check("/tmp/cert-abcdEf.pem", "/tmp/cert-*.pem");
        check("/proc/4711/cwd/etc/ssl/a.pem", "/proc/*/cwd/etc/ssl/a.pem");
        check("/build/target/debug/deps/api-0123456789abcdef", "/build/target/debug/deps/api-*");
        check("/data/3f0a1b2c-9d8e-4f70-8a61-b2c3d4e5f607/tls.key", "/data/*/tls.key");
        check("/nix/store/0c6r3gv0r8bvpc9zxjmgv1ahwqp2gh0d-openssl-3.0.14/lib/a", "/nix/store/*-openssl-3.0.14/lib/a");
        check("worker-12", "worker-*");
        check("kworker/0:1", "kworker/*:*");
    }

    #[test]
    fn names_that_mean_something_stay() {
        for name in [
            "/etc/ssl/certs/5f7b2c1a.0",
            "/etc/ssl/private/server1.key",
            "/tmp/server1/key.pem",
            "/tmp/ServerKey.pem",
            "/tmp/app-Server1/node01.key",
            "/tmp/test_client_key2.pem",
            "/tmp/staging/tls.key",
            "/usr/bin/python3.11",
            "/opt/app-1.2.3/bin/app",
            "/home/alice/tmpfiles/a.pem",
            "/srv/template/key.pem",
            "/usr/lib/jvm/java-17-openjdk-amd64/lib/security/cacerts",
            "nginx",
        ] {
            check(name, name);
        }
    }

    #[test]
    fn libraries_are_known_without_their_versions() {
        for (given, expected) in [
            ("/usr/lib/libssl.so.3", "/usr/lib/libssl.so"),
            ("/usr/lib/libssl.so.1.1", "/usr/lib/libssl.so"),
            ("/v/cryptography.libs/libssl-8bd944e8.so.3", "/v/cryptography.libs/libssl-*.so"),
            ("/usr/lib/libbotan-3.so.2", "/usr/lib/libbotan-*.so"),
            ("/usr/lib/libnss3.so", "/usr/lib/libnss3.so"),
            ("/usr/bin/app.sock", "/usr/bin/app.sock"),
            ("/usr/bin/app", "/usr/bin/app"),
        ] {
            assert_eq!(String::from_utf8_lossy(&library(given.as_bytes())), expected);
        }
    }

    #[test]
    fn ports_that_the_kernel_hands_out_do_not_count() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert_eq!(address(ip("10.0.0.1"), Some(443)), "10.0.0.1:443");
        assert_eq!(address(ip("10.0.0.1"), Some(40_123)), "10.0.0.1:*");
        assert_eq!(address(ip("::1"), Some(40_123)), "[::1]:*");
        assert_eq!(address(ip("::1"), None), "::1");
    }
}
