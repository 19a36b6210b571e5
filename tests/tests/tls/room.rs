//! Libraries as an unfriendly neighbour maps them: gone in a moment, too many, rewritten, on file systems that do not answer. What the
//! recorder has for them is bounded and comes back, and others' libraries are probed all the same.

use std::process::{Command, Stdio};

use crypto_trace_format::record::ProbeState;
use crypto_trace_tests::{Capture, Library, Process, Trace, capture_binary, live, skip};
use rustix::process::Signal;

use crate::support::trace_with;

/// `own(NAME)`: a copy of libssl of its own. `Ssl(path)`: loads it; `trust(name)`: has it load that file, which is not there, so that
/// its name is recorded.
const PYTHON: &str = r#"
cat > ssl_of_its_own.py <<'END'
import ctypes, ctypes.util, mmap, os, shutil, sys, time
def system():
    ctypes.CDLL("libssl.so.3")
    return next(line.split()[5] for line in open("/proc/self/maps") if "libssl.so.3" in line)
SYSTEM = system()
def own(name):
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    shutil.copyfile(SYSTEM, name)
    return os.path.abspath(name)
class Ssl:
    def __init__(self, path):
        self.library = ctypes.CDLL(path)
        for name in ["TLS_method", "SSL_CTX_new"]:
            getattr(self.library, name).restype = ctypes.c_void_p
        self.library.SSL_CTX_new.argtypes = [ctypes.c_void_p]
        self.library.SSL_CTX_load_verify_locations.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]
        self.context = self.library.SSL_CTX_new(self.library.TLS_method())
    def trust(self, name):
        self.library.SSL_CTX_load_verify_locations(self.context, name.encode(), None)
    def trust_for(self, name, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.trust(name)
            time.sleep(0.02)
def map_once(path):
    fd = os.open(path, os.O_RDONLY)
    mapped = mmap.mmap(fd, 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC)
    os.close(fd)
    return mapped
END
python() { printf 'from ssl_of_its_own import *\n%s' "$1" | python3 -; }
"#;

fn run(script: &str) -> (Trace, String) {
    let run = trace_with(&["--library-calls", "on", "--tls", "off"], &format!("{PYTHON}{script}"));
    (run.done.trace(), run.done.stderr.clone())
}

/// The library called itself.
const INTERNAL: u16 = 8;

/// How often the program told this name.
fn told(trace: &Trace, name: &str) -> usize {
    trace.calls().iter().filter(|(_, call)| call.text == name && call.fixed.state & INTERNAL == 0).count()
}

fn of<'a>(trace: &'a Trace, part: &str) -> Vec<&'a Library> {
    trace.libraries().into_iter().map(|(_, library)| library).filter(|library| library.path.contains(part)).collect()
}

/// A library was looked at up to a second after it was mapped, so nothing was seen of who ended by then.
#[test]
fn a_library_is_looked_at_when_it_is_mapped_not_at_the_next_flush() {
    let Some(_permit) = live() else { return };
    let (trace, stderr) = run("python 'Ssl(own(\"one/libssl.so.3\")).trust_for(\"soon.crt\", 0.6)'");
    assert!(told(&trace, "soon.crt") > 0, "{stderr}");
}

/// Who is gone is gone, but a child has what its parent had mapped, and no load tells of that.
#[test]
fn a_child_that_goes_on_with_its_parents_library_keeps_its_probes() {
    let Some(_permit) = live() else { return };
    let script = r#"
python '
library = Ssl(own("parent/libssl.so.3"))
os.unlink("parent/libssl.so.3")
library.trust_for("parent.crt", 1)
if os.fork() == 0:
    if os.fork() == 0:
        time.sleep(4)
        library.trust("child.crt")
        open("done", "w")
    os._exit(0)
'
until [ -e done ]; do sleep 0.1; done
"#;
    let (trace, stderr) = run(script);
    assert!(told(&trace, "parent.crt") > 0, "{stderr}");
    assert_eq!(told(&trace, "child.crt"), 1, "{stderr}");
}

/// Probes held the file system of a container that had ended: "target is busy".
#[test]
fn a_file_system_can_be_unmounted_when_nobody_maps_its_library() {
    let Some(_permit) = live() else { return };
    let script = r#"
mkdir volume
unshare -m sh -euc '
	mount -t tmpfs volume volume
	printf "from ssl_of_its_own import *\nSsl(own(\"volume/libssl.so.3\")).trust_for(\"volume.crt\", 1)" | python3 -
	tries=0
	until umount volume; do
		tries=$((tries + 1)); [ $tries -lt 300 ] || exit 1; sleep 0.1
	done'
"#;
    let (trace, stderr) = run(script);
    assert!(told(&trace, "volume.crt") > 0, "{stderr}");
    assert!(stderr.contains("volume/libssl.so.3: no process has it mapped any more"), "{stderr}");
}

/// 1,024 copies that one user mapped ended the probing of everything until the recorder was started again.
#[test]
fn copies_without_end_take_nobody_elses_probes() {
    let Some(_permit) = live() else { return };
    let script = r#"
mkdir copies
chmod 755 .
chown 65534 copies
printf 'from ssl_of_its_own import *
# Where Python may be it may not read any more.
os.setgroups([]); os.setgid(65534); os.setuid(65534)
kept = []
for i in range(1100):
    path = own(f"copies/libssl.so.{i}")
    mapped = map_once(path)
    os.unlink(path)
    # A third of them stays mapped.
    if i in range(0, 1100, 3):
        kept.append(mapped)
    time.sleep(0.002)
open("copies/done", "w")
time.sleep(100)
' > copies.py
python3 copies.py &
copier=$!
until [ -e copies/done ]; do kill -0 $copier; sleep 0.1; done
python 'Ssl(own("genuine/libssl.so.3")).trust_for("genuine.crt", 5)'
kill $copier
"#;
    let (trace, stderr) = run(script);
    assert!(told(&trace, "genuine.crt") > 0, "{stderr}");
    let copies = of(&trace, "copies/libssl.so");
    assert!(copies.len() > 256, "{}", copies.len());
    // Others were gone before anybody could look at them.
    let is_full = |library: &&&Library| library.message.contains("already has 256 probed libraries, its share");
    assert_eq!(copies.iter().find(is_full).map(|library| library.fixed.state), Some(ProbeState::FAILED.0), "{stderr}");
}

/// Junk was mapped, then the library written into the same inode: it was remembered as junk for ever.
#[test]
fn a_file_that_is_rewritten_after_it_was_looked_at_is_looked_at_again() {
    let Some(_permit) = live() else { return };
    let script = r#"
mkdir poison
python '
size = os.path.getsize(SYSTEM)
open("poison/libssl.so.3", "wb").write(b"junk" * (size // 4) + b"x" * (size % 4))
map_once("poison/libssl.so.3")
time.sleep(0.5)
was = os.stat("poison/libssl.so.3")
with open("poison/libssl.so.3", "r+b") as file:
    file.write(open(SYSTEM, "rb").read())
os.utime("poison/libssl.so.3", ns=(was.st_atime_ns, was.st_mtime_ns))
now = os.stat("poison/libssl.so.3")
assert (was.st_ino, was.st_size, was.st_mtime_ns) == (now.st_ino, now.st_size, now.st_mtime_ns)
Ssl(os.path.abspath("poison/libssl.so.3")).trust_for("poison.crt", 5)
'
"#;
    let (trace, stderr) = run(script);
    let states: Vec<_> = of(&trace, "poison/libssl.so.3").iter().map(|library| library.fixed.state).collect();
    assert_eq!(states, [ProbeState::FAILED.0, ProbeState::ATTACHED.0], "{stderr}");
    assert!(told(&trace, "poison.crt") > 0, "{stderr}");
}

/// A file system of our own, which answers everything but the recorder's opens.
const FUSE: &str = r#"
import ctypes, os, struct, sys
library, where = open(sys.argv[1], "rb").read(), sys.argv[2]
fd = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
if ctypes.CDLL(None, use_errno=True).mount(b"silent", where.encode(), b"fuse", 0, options) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
open("mounted", "w")
def attributes(node):
    mode, size = (0o40755, 0) if node == 1 else (0o100755, len(library))
    return struct.pack("<6Q10I", node, size, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)
while True:
    request = os.read(fd, 1 << 20)
    _, call, unique, node, _, _, pid, _ = struct.unpack_from("<2I2Q4I", request)
    error, answer = 0, b""
    if call == 26:  # INIT
        answer = struct.pack("<4I2H2I2H8I", 7, 31, 0, 0, 0, 0, 1 << 16, 1, 0, 0, *[0] * 8)
    elif call == 1:  # LOOKUP
        if request[40:].rstrip(b"\0") == b"libssl.so.3":
            answer = struct.pack("<4Q2I", 2, 0, 9, 9, 0, 0) + attributes(2)
        else:
            error = -2
    elif call == 3:  # GETATTR
        answer = struct.pack("<Q2I", 9, 0, 0) + attributes(node)
    elif call in (14, 27):  # OPEN, OPENDIR
        if open(f"/proc/{pid}/comm").read().startswith("ct-"):
            open("asked", "w")
            continue
        answer = struct.pack("<Q2I", 1, 0, 0)
    elif call == 15:  # READ
        _, offset, size = struct.unpack_from("<2QI", request, 40)
        answer = library[offset:offset + size]
    elif call in (18, 25, 29):  # RELEASE, FLUSH, RELEASEDIR
        pass
    elif call in (2, 36, 42):  # FORGET, INTERRUPT, BATCH_FORGET
        continue
    else:
        error = -38
    os.write(fd, struct.pack("<IiQ", 16 + len(answer), error, unique) + answer)
"#;

/// A file system that did not answer held the only finder for good: nobody's library was probed any more.
#[test]
fn a_file_system_that_does_not_answer_is_given_up_and_others_are_probed() {
    let Some(_permit) = live() else { return };
    if !std::path::Path::new("/dev/fuse").exists() {
        return skip("this machine has no FUSE");
    }
    let script = format!(
        r#"
cat > silent.py <<'END'
{FUSE}
END
mkdir silent
unshare -m sh -euc '
	library=$(python3 -c "from ssl_of_its_own import *; print(SYSTEM)")
	python3 silent.py $library $PWD/silent &
	server=$!
	until [ -e mounted ]; do kill -0 $server; sleep 0.02; done
	printf "from ssl_of_its_own import *\nmapped = map_once(\"silent/libssl.so.3\")\ntime.sleep(100)" | python3 - &
	reader=$!
	until [ -e asked ]; do kill -0 $server $reader; sleep 0.02; done
	printf "from ssl_of_its_own import *\nSsl(own(\"other/libssl.so.3\")).trust_for(\"other.crt\", 8)" | python3 -
	kill $reader
	umount -l silent
	kill $server'
"#
    );
    let (trace, stderr) = run(&script);
    assert!(told(&trace, "other.crt") > 0, "{stderr}");
    let silent = of(&trace, "silent/libssl.so.3");
    let expected = (ProbeState::FAILED.0, rustix::io::Errno::TIMEDOUT.raw_os_error());
    assert_eq!(silent.iter().map(|one| (one.fixed.state, one.fixed.errno)).collect::<Vec<_>>(), [expected], "{stderr}");
    assert!(silent[0].message.contains("its file system did not answer: given up after"), "{}", silent[0].message);
}

/// 322 libraries were all the descriptors of a shell's limit, and later segments had no processes, without a word.
#[test]
fn libraries_leave_descriptors_for_what_else_is_done() {
    let Some(_permit) = live() else { return };
    let dir = tempfile::Builder::new().prefix("crypto-trace-test-").tempdir().unwrap();
    let script = format!(
        r#"set -eu
{PYTHON}
printf 'from ssl_of_its_own import *
kept = [map_once(own(f"many/libssl.so.{{i}}")) for i in range(120)]
open("mapped", "w")
sys.stdin.read()
' > many.py
exec python3 many.py"#
    );
    std::fs::write(dir.path().join("script"), script).unwrap();
    let mut command = Command::new("prlimit");
    command.arg("--nofile=256:256").arg(capture_binary()).args([
        "record",
        "-v",
        "-o",
        "capture",
        "--library-calls",
        "on",
    ]);
    command.args(["--tls", "off", "--", "sh", "script"]).current_dir(dir.path()).stdin(Stdio::piped());
    let capture = Process::spawn(&mut command);
    capture.wait_for("no descriptors are left for probes on libraries");
    crypto_trace_tests::until("the copies", || dir.path().join("mapped").exists());
    capture.signal(Signal::HUP);
    let segments = || {
        let all = std::fs::read_dir(dir.path().join("capture")).unwrap();
        let mut all: Vec<_> = all.map(|entry| entry.unwrap().path()).collect();
        all.sort();
        all
    };
    crypto_trace_tests::until("a second segment", || segments().len() == 2);
    let done = capture.finish();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let trace = Trace::read(&segments()[1..]);
    assert!(trace.infos().iter().any(|(_, info)| info.exe.windows(6).any(|part| part == b"python")), "{}", done.stderr);
    let full = of(&trace, "many/libssl.so");
    let full = full.iter().filter(|one| one.fixed.errno == rustix::io::Errno::MFILE.raw_os_error());
    assert!(full.count() > 0, "{}", done.stderr);
}

/// What we need many descriptors for is no reason that a program has others than it would have.
#[test]
fn a_command_has_the_limit_of_descriptors_that_it_was_started_with() {
    let Some(_permit) = live() else { return };
    let mut command = Command::new("prlimit");
    command.args(["--nofile=123:4567"]).arg(capture_binary()).args(["record", "-o", "-", "--", "sh", "-c"]);
    command.arg("ulimit -Sn >&2; ulimit -Hn >&2");
    let done = crypto_trace_tests::run(&mut command);
    assert!(done.stderr.starts_with("123\n4567\n"), "{}", done.stderr);
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn; ulimit -Hn"]);
    let plain = crypto_trace_tests::run(&mut command).text();
    let done = Capture::new().command(["sh", "-c", "ulimit -Sn; ulimit -Hn"]).run();
    assert_eq!(done.text(), plain);
}

/// With -v a path came out as it was, and set the title of the terminal of who reads it.
#[test]
fn a_path_with_codes_for_terminals_is_said_as_text() {
    let Some(_permit) = live() else { return };
    let script = r#"
python 'Ssl(own("\x1b]0;title\x07\nWARNING: forged/libssl.so.3")).trust_for("codes.crt", 1)'
"#;
    let (trace, stderr) = run(script);
    assert!(told(&trace, "codes.crt") > 0, "{stderr}");
    assert!(stderr.contains(r"\u{1b}]0;title\u{7}\nWARNING: forged/libssl.so.3 (openssl"), "{stderr}");
    assert!(!stderr.lines().any(|line| line.starts_with("WARNING: forged")), "{stderr}");
    assert!(!stderr.chars().any(|byte| byte.is_control() && byte != '\n'), "{stderr:?}");
}
