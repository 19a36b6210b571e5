//! api_call and library_info: what TLS libraries were asked for and what they answered, against what the program itself reports.

use crypto_trace_format::record::{ApiLevel, ApiMeaning, ProbeState};
use crypto_trace_tests::{Call, Capture, Done, Event, Library, Trace, live, skip};

use crate::support::trace_with;

/// A server and a client in one process, by Python's ssl module: `once(**options)` does one handshake and says what it was.
const PYTHON: &str = r#"
cat > both.py <<'END'
import os, socket, ssl, sys, threading, time
def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\n").encode())
def serve(listener, context):
    try:
        with context.wrap_socket(listener.accept()[0], server_side=True) as end:
            say("server", end.version(), end.cipher()[0], end.fileno())
            end.recv(1)
    except (OSError, ssl.SSLError) as error:
        say("server failed", error)
def once(ca="ca.crt", name="server.test", ciphers=None):
    listener = socket.create_server(("127.0.0.1", 0))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("server.crt", "server.key")
    server = threading.Thread(target=serve, args=(listener, context))
    server.start()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca)
    if ciphers:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(ciphers)
    try:
        with context.wrap_socket(socket.create_connection(listener.getsockname()), server_hostname=name) as end:
            say("client", end.version(), end.cipher()[0], end.fileno())
    except (OSError, ssl.SSLError) as error:
        say("client failed", error)
    server.join()
    listener.close()
END
"#;

struct Run {
    done: Done,
    trace: Trace,
    text: String,
}

fn run(options: &[&str], script: &str) -> Run {
    let run = trace_with(options, &format!("{PYTHON}{script}"));
    Run { trace: run.done.trace(), done: run.done, text: run.text }
}

impl Run {
    fn of(&self, meaning: ApiMeaning) -> Vec<(&Event, &Call)> {
        let mut calls = self.trace.calls();
        calls.retain(|(_, call)| call.fixed.meaning == meaning.0 && call.fixed.state & INTERNAL == 0);
        calls
    }

    fn texts(&self, meaning: ApiMeaning) -> Vec<&str> {
        self.of(meaning).iter().map(|(_, call)| call.text.as_str()).collect()
    }

    /// Words of the lines that begin with `end`.
    fn said(&self, end: &str) -> Vec<Vec<&str>> {
        let lines = self.text.lines().filter(|line| line.starts_with(end));
        lines.map(|line| line.split_whitespace().collect()).collect()
    }

    /// What became of the library whose path contains `part`.
    fn library(&self, part: &str) -> &Library {
        let libraries = self.trace.libraries();
        let found = libraries.iter().find(|(_, library)| library.path.contains(part));
        found.unwrap_or_else(|| panic!("no library {part} in {libraries:#?}\n{}", self.done.stderr)).1
    }
}

const RESULT: u16 = 1;
const INTERNAL: u16 = 8;
/// Of `library_info`.
const EXECUTABLE: u16 = 8;

fn version(code: u16) -> &'static str {
    match code {
        0x303 => "TLSv1.2",
        0x304 => "TLSv1.3",
        _ => "another",
    }
}

#[test]
fn both_ends_of_a_handshake_are_told_by_their_library() {
    let Some(_permit) = live() else { return };
    let run = run(
        &["--library-calls", "on"],
        "python3 -c 'from both import *; once(); once(ciphers=\"ECDHE-RSA-AES128-GCM-SHA256\")'",
    );
    let handshakes = run.of(ApiMeaning::HANDSHAKE);
    assert_eq!(handshakes.len(), 4, "{handshakes:#?}\n{}", run.text);
    let library = run.library("libssl.so");
    assert_eq!((library.family.as_str(), library.fixed.state), ("openssl", ProbeState::ATTACHED.0));
    assert!(!library.build_id.is_empty() && library.fixed.functions > 15);
    assert!(run.library("libcrypto.so").version.starts_with(|first: char| first.is_ascii_digit()));
    let mut said = [run.said("server"), run.said("client")].concat();
    for (event, call) in &handshakes {
        let fixed = &call.fixed;
        assert_eq!((fixed.state, fixed.result, fixed.count), (RESULT, 1, 1));
        assert_eq!((fixed.dev, fixed.ino), (library.fixed.dev, library.fixed.ino));
        assert_eq!(call.function, "SSL_do_handshake");
        assert!(fixed.duration_ns > 1000 && fixed.calls >= 1 && fixed.object != 0);
        // The wire saw the same socket, in the same process.
        let mut hellos = run.trace.hellos();
        hellos.retain(|(hello, fixed)| fixed.cookie == call.fixed.cookie && hello.process() == event.process());
        assert!(!hellos.is_empty(), "{call:#?} {:#?}", run.trace.hellos());
        // The program itself said version and descriptor; the suite is that of the wire.
        let line = said.iter().position(|line| {
            line[1] == version(fixed.version) && line[3] == fixed.fd.to_string() && fixed.suite == suite(line[2])
        });
        said.remove(line.unwrap_or_else(|| panic!("{call:#?}\n{}", run.text)));
    }
    assert_eq!(run.texts(ApiMeaning::CERTIFICATE_FILE), ["server.crt"; 2]);
    assert_eq!(run.texts(ApiMeaning::PRIVATE_KEY_FILE), ["server.key"; 2]);
    assert_eq!(run.texts(ApiMeaning::TRUST_FILE), ["ca.crt"; 2]);
    assert_eq!(run.texts(ApiMeaning::SERVER_NAME), ["server.test"; 2]);
    assert!(run.texts(ApiMeaning::CIPHERS).contains(&"ECDHE-RSA-AES128-GCM-SHA256"));
    assert_eq!(run.of(ApiMeaning::CONTEXT).len(), 4);
    let lowered = run.of(ApiMeaning::MAX_VERSION);
    assert!(lowered.iter().any(|(_, call)| call.fixed.number == 0x303), "{lowered:#?}");
}

fn suite(name: &str) -> u16 {
    match name {
        "TLS_AES_256_GCM_SHA384" => 0x1302,
        "ECDHE-RSA-AES128-GCM-SHA256" => 0xc02f,
        _ => panic!("{name}"),
    }
}

#[test]
fn a_handshake_that_fails_is_told_with_its_result() {
    let Some(_permit) = live() else { return };
    let run = run(
        &["--library-calls", "on"],
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=other \
            -keyout other.key -out other.crt 2>/dev/null
         python3 -c 'from both import *; once(ca=\"other.crt\")'",
    );
    assert_eq!(run.said("client failed").len(), 1, "{}", run.text);
    let handshakes = run.of(ApiMeaning::HANDSHAKE);
    let failed: Vec<_> = handshakes.iter().filter(|(_, call)| call.fixed.result != 1).collect();
    // The server, whose peer ended it by an alert, would still wait by what its library says.
    assert!(failed.len() == 2 && failed.iter().all(|(_, call)| call.fixed.state == RESULT), "{handshakes:#?}");
    assert_eq!(run.texts(ApiMeaning::TRUST_FILE), ["other.crt"]);
}

#[test]
fn gnutls_is_told_as_well() {
    let Some(_permit) = live() else { return };
    let run = run(
        &["--library-calls", "on"],
        "serve s openssl s_server -accept 127.0.0.1:21401 -cert server.crt -key server.key
         gnutls-cli --x509cafile ca.crt --sni-hostname server.test --verify-hostname server.test --priority NORMAL:-VERS-TLS1.3 \
            -p 21401 127.0.0.1 </dev/null >gnutls.log 2>&1 || cat gnutls.log",
    );
    let handshakes = run.of(ApiMeaning::HANDSHAKE);
    let (event, call) = handshakes.iter().find(|(_, call)| call.function == "gnutls_handshake").expect("its handshake");
    assert_eq!((call.fixed.result, version(call.fixed.version)), (0, "TLSv1.2"));
    assert_eq!(event.comm(), b"gnutls-cli");
    assert!(call.fixed.fd > 2 && call.fixed.cookie != 0);
    assert!(run.library("libgnutls.so").version.starts_with("3."));
    assert!(run.texts(ApiMeaning::PRIORITY).contains(&"NORMAL:-VERS-TLS1.3"));
    assert!(run.texts(ApiMeaning::SERVER_NAME).contains(&"server.test"), "{:?}", run.trace.calls());
}

/// A library that is loaded while the capture runs, from where no cache knows it: as vendored copies in Python wheels are.
#[test]
fn a_library_that_turns_up_later_is_probed_within_a_second() {
    let Some(_permit) = live() else { return };
    let run = run(
        &["--library-calls", "on"],
        "mkdir vendored; cp $(ldconfig -p | sed -n 's/.*libssl.so.3 .*=> //p' | head -1) vendored/libssl.so.3
         LD_LIBRARY_PATH=$PWD/vendored python3 -c 'from both import *; time.sleep(1); once()'",
    );
    let library = run.library("/vendored/libssl.so.3");
    assert_eq!(
        (library.family.as_str(), library.fixed.state),
        ("openssl", ProbeState::ATTACHED.0),
        "{}",
        library.message
    );
    let handshakes = run.of(ApiMeaning::HANDSHAKE);
    assert_eq!(handshakes.len(), 2, "{}", run.done.stderr);
    assert!(handshakes.iter().all(|(_, call)| call.fixed.ino == library.fixed.ino));
}

/// By what it defines, not by its name.
#[test]
fn a_library_under_an_unknown_name_is_found_by_the_tls_of_its_process() {
    let Some(_permit) = live() else { return };
    let run = run(
        &["--library-calls", "on", "--flush-interval", "100ms"],
        "cp $(ldconfig -p | sed -n 's/.*libssl.so.3 .*=> //p' | head -1) _native.so
         LD_PRELOAD=$PWD/_native.so python3 -c 'from both import *; once(); time.sleep(1); once()'",
    );
    assert_eq!(run.said("client").len(), 2, "{}", run.text);
    let library = run.library("/_native.so");
    assert_eq!((library.family.as_str(), library.fixed.state), ("openssl", ProbeState::ATTACHED.0));
    // The first handshake is what it was found by.
    assert_eq!(run.of(ApiMeaning::HANDSHAKE).len(), 2);
}

#[test]
fn a_library_in_another_mount_namespace_is_probed() {
    let Some(_permit) = live() else { return };
    let run = run(
        &["--library-calls", "on"],
        "cat > inside <<'END'
mount -t tmpfs none /mnt
cp $(ldconfig -p | sed -n 's/.*libssl.so.3 .*=> //p' | head -1) /mnt/libssl.so.3
LD_LIBRARY_PATH=/mnt exec python3 -c 'from both import *; time.sleep(1); once()'
END
         unshare -m sh inside",
    );
    let library = run.library("/mnt/libssl.so.3");
    assert_eq!(library.fixed.state, ProbeState::ATTACHED.0, "{}", library.message);
    assert_eq!(run.of(ApiMeaning::HANDSHAKE).len(), 2);
}

/// Uretprobes of some kernels return through a system call that such a filter does not know.
#[test]
fn a_process_behind_a_seccomp_filter_is_not_harmed() {
    let Some(_permit) = live() else { return };
    let run = run(
        &["--library-calls", "on"],
        r#"cat > jail.py <<'END'
import ctypes, os, platform, struct
from both import *
libc = ctypes.CDLL(None, use_errno=True)
# Kills at the call for uretprobes, as filters do that were written before it.
assert platform.machine() == "x86_64"
code = [(0x20, 0, 0, 0), (0x15, 0, 1, 335), (6, 0, 0, 0x80000000), (6, 0, 0, 0x7fff0000)]
program = b"".join(struct.pack("HBBI", *line) for line in code)
buffer = ctypes.create_string_buffer(program)
fprog = struct.pack("HxxxxxxP", len(code), ctypes.addressof(buffer))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.create_string_buffer(fprog), 0, 0) == 0
once()
say("alive")
END
         python3 jail.py"#,
    );
    assert_eq!(run.said("alive").len(), 1, "{}\n{}", run.text, run.done.stderr);
    assert_eq!(run.of(ApiMeaning::HANDSHAKE).len(), 2);
}

/// One exclusive-or with a key stood between the numbers of objects and their addresses, the same for all processes: who knew one
/// address had all.
#[test]
fn numbers_of_objects_tell_no_addresses() {
    let Some(_permit) = live() else { return };
    let script = r#"
cat > contexts.py <<'END'
import ctypes, os, _ssl
ssl = ctypes.CDLL(next(line.split()[-1] for line in open("/proc/self/maps") if "libssl" in line))
ssl.TLS_method.restype = ssl.SSL_CTX_new.restype = ctypes.c_void_p
for _ in range(8):
    context = ctypes.c_void_p(ssl.SSL_CTX_new(ctypes.c_void_p(ssl.TLS_method())))
    ssl.SSL_CTX_set_cipher_list(context, b"HIGH")
    os.write(1, b"context %d %d\n" % (os.getpid(), context.value))
END
sleep 2
setarch -R python3 contexts.py; setarch -R python3 contexts.py
"#;
    let run = run(&[], script);
    // Each process in the order of its calls.
    let told: Vec<(u32, u64)> =
        run.of(ApiMeaning::CIPHERS).iter().map(|(event, call)| (event.header.tgid, call.fixed.object)).collect();
    let said: Vec<(u32, u64)> =
        run.said("context").iter().map(|words| (words[1].parse().unwrap(), words[2].parse().unwrap())).collect();
    assert_eq!(said.len(), 16, "{}", run.text);
    assert_eq!(told.len(), said.len(), "{told:x?}");
    let (first, second) = said.split_at(8);
    assert!(first.iter().zip(second).all(|(a, b)| a.1 == b.1 && a.0 != b.0), "this test tests nothing: {said:x?}");
    let numbers: std::collections::BTreeSet<u64> = told.iter().map(|(_, number)| *number).collect();
    assert_eq!(numbers.len(), 16, "the same address in two processes has two numbers: {told:x?}");
    for ((tgid, number), (pid, address)) in told.iter().zip(&said) {
        assert_eq!(tgid, pid);
        for ((_, other), (_, elsewhere)) in told.iter().zip(&said).filter(|((_, other), _)| other != number) {
            assert_ne!(number ^ other, address ^ elsewhere);
            assert_ne!(number.wrapping_sub(*other), address.wrapping_sub(*elsewhere));
        }
    }
}

#[test]
fn library_calls_can_be_left_out() {
    let Some(_permit) = live() else { return };
    let run = run(&["--library-calls", "off"], "python3 -c 'from both import *; once()'");
    let of_libraries = |call: &Call| call.fixed.level != ApiLevel::KERNEL.0;
    assert!(!run.trace.calls().iter().any(|(_, call)| of_libraries(call)) && run.trace.libraries().is_empty());
    assert!(!run.trace.hellos().is_empty());
}

/// Names and counts of what was counted, without what libraries do of themselves.
fn counted(run: &Run) -> std::collections::BTreeMap<(String, String), u64> {
    let mut all = std::collections::BTreeMap::new();
    for (_, call) in run.trace.calls() {
        if call.fixed.level == ApiLevel::ALGORITHM.0 && call.fixed.state & INTERNAL == 0 {
            *all.entry((call.function.clone(), call.text.clone())).or_default() += call.fixed.count;
        }
    }
    all
}

#[test]
fn algorithms_are_counted_exactly() {
    let Some(_permit) = live() else { return };
    let run = run(
        &["--api", "--api-budget", "100%"],
        "python3 -c '
import hashlib, hmac, time
# So that what the module tries out when it is loaded is told by itself.
before = hashlib.new(\"md5\", b\"\")
for i in range(4321): hashlib.sha1(b\"x\")
time.sleep(1.2)
for i in range(1234): hashlib.sha1(b\"x\")
for i in range(77): hmac.new(b\"key\", b\"text\", \"sha384\")
'
         openssl enc -aes-192-cbc -K 00 -iv 00 -in server.key -out /dev/null 2>/dev/null",
    );
    let counted = counted(&run);
    let of = |function: &str, name: &str| counted.get(&(function.to_owned(), name.to_owned())).copied().unwrap_or(0);
    // One more is tried by the module itself.
    let sha1 = of("EVP_DigestInit_ex", "SHA1");
    assert!((5555..=5556).contains(&sha1), "{counted:#?}");
    assert_eq!(of("HMAC_Init_ex", "SHA2-384"), 77, "{counted:#?}");
    assert!(of("EVP_CipherInit_ex", "AES-192-CBC") > 0, "{counted:#?}");
    // Over more than a second: what was counted comes in parts.
    let records = run.trace.calls().iter().filter(|(_, call)| call.text == "SHA1").count();
    assert!(records >= 2, "{records}");
}

/// Creating a context looks up dozens of algorithms, among them some that nobody should use.
#[test]
fn what_is_only_looked_up_is_not_counted() {
    let Some(_permit) = live() else { return };
    let run = run(&["--api", "--api-budget", "100%"], "python3 -c 'from both import *; once()'");
    assert_eq!(run.of(ApiMeaning::HANDSHAKE).len(), 2);
    let counted = counted(&run);
    assert!(!counted.is_empty());
    let weak =
        |name: &str| ["RC4", "DES", "MD4", "MD5", "GOST", "RC2", "IDEA", "SEED"].iter().any(|weak| name.contains(weak));
    // Python's hashlib is not loaded by ssl.
    assert!(!counted.keys().any(|(_, name)| weak(name)), "{counted:#?}");
    assert!(counted.keys().any(|(_, name)| name == "AES-256-GCM"), "{counted:#?}");
    // The library's own random numbers are told apart.
    let internal =
        |name: &str| run.trace.calls().iter().any(|(_, call)| call.text == name && call.fixed.state & INTERNAL != 0);
    assert!(internal("AES-256-CTR"), "{:#?}", run.trace.calls());
}

#[test]
fn probes_that_cost_too_much_are_detached_and_told() {
    let Some(_permit) = live() else { return };
    let run = run(
        &["--api", "--api-budget", "0.1%"],
        "python3 -c '
import hashlib, time
end = time.monotonic() + 3
while time.monotonic() < end: hashlib.sha256(b\"x\")
print(\"done\")'",
    );
    assert_eq!(run.said("done").len(), 1);
    let probes = run.trace.probes();
    let detached: Vec<_> = probes.iter().filter(|(_, probe)| probe.fixed.state == ProbeState::DETACHED.0).collect();
    let targets: Vec<_> = detached.iter().map(|(_, probe)| probe.target.rsplit(':').next().unwrap()).collect();
    assert!(targets.contains(&"EVP_DigestInit_ex") && !targets.contains(&"SSL_do_handshake"), "{targets:?}");
    // What was counted before is there.
    assert!(counted(&run).values().any(|count| *count > 1000));
    assert!(run.done.stderr.contains("--api-budget"));
}

/// It was switched off for everybody, for good, by a loop that was not even selected.
#[test]
fn a_loop_of_another_process_does_not_switch_a_function_off_for_good() {
    let Some(_permit) = live() else { return };
    // Until a probe is gone that costs more than the budget; longer than the first pause after that.
    let other = "import hashlib, time
end = time.monotonic() + 4
while time.monotonic() < end: hashlib.sha256(b'x')";
    let calls = "import hashlib, time
for i in range(70):
    hashlib.sha256(b'x')
    time.sleep(1)";
    let options = ["--api", "--api-budget", "0.1%"];
    let running = Capture::new().options(options).command(["python3", "-c", calls]).start();
    crypto_trace_tests::run(std::process::Command::new("python3").args(["-c", other])).expect_success();
    // Longer than the harness would wait.
    std::thread::sleep(std::time::Duration::from_secs(62));
    let done = running.finish();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let run = Run { trace: done.trace(), text: done.text(), done };
    let probes = run.trace.probes();
    let became = |state: ProbeState| {
        let of = probes.iter().filter(move |(_, probe)| probe.fixed.state == state.0);
        of.filter(|(_, probe)| probe.probe == "api_call" && probe.target.ends_with(":EVP_DigestInit_ex"))
            .collect::<Vec<_>>()
    };
    let (gone, back) = (became(ProbeState::DETACHED), became(ProbeState::ATTACHED));
    assert!(!gone.is_empty() && !back.is_empty(), "{gone:#?} {back:#?}");
    assert!(back[0].1.message.contains("not counted for 6"), "{back:#?}");
    // What was asked of it while it was gone is missing; what was before and after is there.
    let uses: u64 = counted(&run).iter().filter(|((_, name), _)| name == "SHA2-256").map(|(_, count)| count).sum();
    assert!((2..30).contains(&uses), "{:#?}", counted(&run));
}

/// Libraries that number their algorithms, or name them by their functions.
#[test]
fn algorithms_of_other_libraries_are_counted() {
    let Some(_permit) = live() else { return };
    let run = run(
        &["--api", "--api-budget", "100%"],
        "python3 -c '
import ctypes, ctypes.util
def load(name):
    try: return ctypes.CDLL(name)
    except OSError: return None
gcrypt, sodium, gnutls = load(\"libgcrypt.so.20\"), load(\"libsodium.so.23\"), load(\"libgnutls.so.30\")
out = ctypes.create_string_buffer(64)
if gcrypt:
    gcrypt.gcry_check_version(None)
    for i in range(5): gcrypt.gcry_md_hash_buffer(8, out, b\"x\", 1)
if sodium:
    sodium.sodium_init()
    for i in range(7): sodium.crypto_generichash(out, 32, b\"x\", ctypes.c_ulonglong(1), None, 0)
if gnutls:
    for i in range(9): gnutls.gnutls_hash_fast(6, b\"x\", 1, out)
print(\"there\", bool(gcrypt), bool(sodium), bool(gnutls))'",
    );
    let there = run.said("there");
    let of = |function: &str, number: u64| -> u64 {
        let calls = run.trace.calls();
        let calls = calls.iter().filter(|(_, call)| call.function == function && call.fixed.state & INTERNAL == 0);
        calls.filter(|(_, call)| call.fixed.number == number).map(|(_, call)| call.fixed.count).sum()
    };
    let expected = [("gcry_md_hash_buffer", 8, 5), ("crypto_generichash", 0, 7), ("gnutls_hash_fast", 6, 9)];
    let mut any = false;
    for ((function, number, count), there) in expected.into_iter().zip(&there[0][1..]) {
        if *there == "True" {
            any = true;
            assert_eq!(of(function, number), count, "{function}: {:#?}", run.trace.calls());
        }
    }
    assert!(any, "{}", run.text);
}

/// A program that holds the library, and lets its functions be seen.
#[test]
fn a_library_inside_of_a_program_is_probed() {
    let Some(_permit) = live() else { return };
    let run = run(
        &["--library-calls", "on", "--flush-interval", "100ms"],
        r#"cat > inside.c <<'END'
#include <openssl/ssl.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	for (int i = 0; i < 2; i++) {
		BIO *bio = BIO_new_ssl_connect(context);
		BIO_set_conn_hostname(bio, argv[1]);
		if (BIO_do_connect(bio) <= 0 || BIO_do_handshake(bio) <= 0)
			return 1;
		BIO_free_all(bio);
		sleep(1);
	}
	return 0;
}
END
         if cc -rdynamic -o inside inside.c -l:libssl.a -l:libcrypto.a -ldl -lpthread 2>cc.log; then
             serve s openssl s_server -accept 127.0.0.1:21402 -cert server.crt -key server.key
             ./inside 127.0.0.1:21402 && echo "connected twice"
         else
             echo "no static library"; cat cc.log >&2
         fi"#,
    );
    if run.text.contains("no static library") {
        return skip("there is no libssl.a (libssl-dev)");
    }
    assert!(run.text.contains("connected twice"), "{}", run.text);
    let library = run.library("/inside");
    assert_eq!(library.fixed.state, ProbeState::ATTACHED.0, "{}", library.message);
    assert!(library.fixed.features & EXECUTABLE != 0 && library.family.contains("openssl"));
    let handshakes = run.of(ApiMeaning::HANDSHAKE);
    let inside: Vec<_> = handshakes.iter().filter(|(_, call)| call.fixed.ino == library.fixed.ino).collect();
    assert!(!inside.is_empty() && inside.iter().all(|(_, call)| call.fixed.result == 1), "{handshakes:#?}");
}
