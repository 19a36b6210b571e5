//! Libraries where device, inode number and path do not tell which file it is: containers of one image, subvolumes, files that were
//! replaced or deleted, roots within roots. Each test makes its own mounts, in a mount namespace of its own.

use crypto_trace_format::record::{ApiMeaning, ProbeState, flags};
use crypto_trace_tests::{Capture, Done, Running, Trace, live, skip};

/// A handshake with itself, by Python and the libraries of a directory, when standard input ends. What it was is on standard output.
const PYTHON: &str = r#"
cat > pair.py <<'END'
import os, socket, ssl, sys, threading
server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server.load_cert_chain("server.crt", "server.key")
sys.stdin.read()
listener = socket.create_server(("127.0.0.1", 0))
def serve():
    with server.wrap_socket(listener.accept()[0], server_side=True) as end:
        end.recv(1)
thread = threading.Thread(target=serve)
thread.start()
client = ssl.create_default_context(cafile="server.crt")
client.check_hostname = False
with client.wrap_socket(socket.create_connection(listener.getsockname())) as end:
    os.write(1, f"{end.version()} of {os.environ['LD_LIBRARY_PATH']}\n".encode())
thread.join()
END
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=image.test \
	-keyout server.key -out server.crt 2>/dev/null
libraries() {
	mkdir -p $1
	for name in libssl.so.3 libcrypto.so.3; do
		cp $(ldconfig -p | sed -n "s/.*$name .*x86-64.* => //p; s/.*$name .*AArch64.* => //p" | head -n 1) $1/$name
	done
}
exec 3<&0
# containers COUNT [CHANGE]: of one image, in `root`; each is number $i and may change something of it first
containers() {
	libraries layer
	mkdir root
	i=0
	while [ $i -lt $1 ]; do
		i=$((i + 1))
		mkdir $i.up $i.work
		i=$i change=${2:-} unshare -m sh -euc '
			mount -t overlay overlay -o lowerdir=$PWD/layer,upperdir=$PWD/$i.up,workdir=$PWD/$i.work root
			eval "$change"
			LD_LIBRARY_PATH=$PWD/root exec python3 pair.py' <&3 &
	done
	wait
}
"#;

/// Starts a script in a directory of its own, below `/dev/shm`, which no overlay is: overlays do not lie over each other.
fn start(options: &[&str], script: &str) -> (Running, tempfile::TempDir) {
    let dir = tempfile::Builder::new().prefix("crypto-trace-test-").tempdir_in("/dev/shm").unwrap();
    std::fs::write(dir.path().join("script"), format!("set -eu\n{PYTHON}{script}")).unwrap();
    let capture = Capture::new().options(["--library-calls", "on"]).options(options).current_dir(dir.path());
    (capture.command(["timeout", "-k", "1", "50", "sh", "script"]).start(), dir)
}

/// Waits for that many libraries whose path has this in it, and lets the script go on.
fn finish(running: Running, part: &str, count: usize) -> (Done, Trace) {
    let probed = |trace: &Trace| {
        let libraries = trace.libraries();
        let is_one = |path: &str, state| path.contains(part) && state == ProbeState::ATTACHED.0;
        libraries.iter().filter(|(_, library)| is_one(&library.path, library.fixed.state)).count() >= count
    };
    running.wait_until("the libraries", probed);
    let done = running.finish();
    assert_eq!(done.code(), 0, "{}\n{}", done.text(), done.stderr);
    let trace = done.trace();
    (done, trace)
}

fn handshakes(trace: &Trace) -> usize {
    trace.calls().iter().filter(|(_, call)| call.fixed.meaning == ApiMeaning::HANDSHAKE.0).count()
}

/// The kernel puts probes on the file of the layer, which all containers of an image share: 4, 16, 36 calls were told of 4, 8, 12
/// handshakes.
#[test]
fn containers_of_one_image_count_a_handshake_once() {
    let Some(_permit) = live() else { return };
    let (running, _dir) = start(&[], "containers 4");
    let (done, trace) = finish(running, "root/libssl.so", 4);
    assert_eq!(done.text().lines().count(), 4, "{}\n{}", done.text(), done.stderr);
    assert_eq!(handshakes(&trace), 8, "{}", done.stderr);
}

/// What a container changes is another file, though the overlay gives it the number of the one below.
#[test]
fn a_library_that_a_container_changed_is_another_file() {
    let Some(_permit) = live() else { return };
    let (running, _dir) = start(&[], "containers 2 '[ $i = 1 ] || touch root/libssl.so.3'");
    let (done, trace) = finish(running, "root/libssl.so", 2);
    assert_eq!(done.text().lines().count(), 2, "{}\n{}", done.text(), done.stderr);
    assert_eq!(handshakes(&trace), 4, "{}", done.stderr);
}

/// Files of two subvolumes have the same device and inode number in /proc/PID/maps; only the first was probed.
#[test]
fn the_same_numbers_in_two_subvolumes_of_btrfs_are_two_files() {
    let Some(_permit) = live() else { return };
    let kernel = std::fs::read_to_string("/proc/filesystems").unwrap();
    if !kernel.contains("btrfs") {
        return skip("this kernel has no btrfs");
    }
    let script = "
truncate -s 120M disk
mkfs.btrfs -q disk >mkfs.log
mkdir mnt
unshare -m sh -c '
	set -eu
	mount -o loop disk mnt
	btrfs subvolume create mnt/a >subvolumes.log
	cp own/libssl.so.3 own/libcrypto.so.3 mnt/a
	btrfs subvolume snapshot mnt/a mnt/b >>subvolumes.log
	[ $(stat -c %i mnt/a/libssl.so.3) = $(stat -c %i mnt/b/libssl.so.3) ]
	LD_LIBRARY_PATH=$PWD/mnt/a python3 pair.py <&3 &
	LD_LIBRARY_PATH=$PWD/mnt/b python3 pair.py <&3 &
	wait' <&3
";
    let (running, _dir) = start(&[], &format!("libraries own\n{script}"));
    let (done, trace) = finish(running, "/mnt/", 2);
    assert_eq!(done.text().lines().count(), 2, "{}\n{}", done.text(), done.stderr);
    let libraries = trace.libraries();
    let of = |part: &str| libraries.iter().find(|(_, library)| library.path.contains(part)).unwrap().1.fixed;
    let (a, b) = (of("mnt/a/libssl"), of("mnt/b/libssl"));
    assert_eq!((a.dev, a.ino, a.state), (b.dev, b.ino, b.state), "{libraries:#?}");
    assert_eq!(handshakes(&trace), 4, "{}", done.stderr);
}

/// An upgrade replaces the file; who runs has the old one, which has no path any more.
#[test]
fn a_library_that_was_replaced_before_the_capture_is_probed() {
    let Some(_permit) = live() else { return };
    let script = "
libraries own
cp own/libssl.so.3 new
LD_LIBRARY_PATH=$PWD/own python3 pair.py <&3 &
until grep -q libssl.so.3 /proc/$!/maps; do sleep 0.02; done
mv new own/libssl.so.3
wait
";
    let (running, _dir) = start(&[], script);
    let (done, trace) = finish(running, "own/libssl.so", 1);
    assert_eq!(done.text().lines().count(), 1, "{}\n{}", done.text(), done.stderr);
    assert_eq!(handshakes(&trace), 2, "{}", done.stderr);
}

/// The path of a library is told from the root of the mount namespace, /proc/PID/root is that of the process.
#[test]
fn a_root_within_another_mount_namespace_is_followed() {
    let Some(_permit) = live() else { return };
    let script = "
libraries own
mkdir -p inner/lib
unshare -m sh -c '
	set -eu
	mount --rbind / inner
	mkdir $PWD/only
	mount -t tmpfs only inner$PWD/only
	cp own/* inner$PWD/only
	LD_LIBRARY_PATH=$PWD/only exec chroot inner sh -c \"cd $PWD; exec python3 pair.py\"' <&3 &
wait
";
    let (running, _dir) = start(&[], script);
    let (done, trace) = finish(running, "only/libssl.so", 1);
    assert_eq!(done.text().lines().count(), 1, "{}\n{}", done.text(), done.stderr);
    assert_eq!(handshakes(&trace), 2, "{}", done.stderr);
}

/// Of a process whose executable, or one of whose files is gone, all its files were told as unlinked.
#[test]
fn unlinked_is_said_of_the_file_that_is() {
    let Some(_permit) = live() else { return };
    let dir = tempfile::tempdir().unwrap();
    let name = |name: &str| dir.path().join(name);
    std::fs::copy("/bin/sleep", name("mine")).unwrap();
    std::fs::write(name("gone.pem"), "").unwrap();
    std::fs::write(name("there.pem"), "").unwrap();
    let script = "exec 4<gone.pem 5<there.pem; rm gone.pem; echo ready; exec ./mine 60";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script]).current_dir(dir.path()).stdout(std::process::Stdio::piped());
    let (process, stdout) = crypto_trace_tests::Process::spawn_with_output(&mut command);
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
    let exe = format!("/proc/{}/exe", process.pid());
    crypto_trace_tests::until("its exec", || std::fs::read_link(&exe).unwrap().ends_with("mine"));
    std::fs::remove_file(name("mine")).unwrap();
    let running = Capture::new().options(["-p".to_owned(), process.pid().to_string()]).start();
    let done = running.stop(rustix::process::Signal::INT);
    process.signal(rustix::process::Signal::TERM);
    let trace = done.trace();
    let ends = |path: &[u8], end: &str| path.ends_with(end.as_bytes());
    let unlinked = |end: &str| {
        let opens = trace.opens();
        opens.iter().find(|(_, open)| ends(&open.path, end)).map(|(event, _)| event.has(flags::UNLINKED))
    };
    assert_eq!((unlinked("/gone.pem"), unlinked("/there.pem")), (Some(true), Some(false)));
    let infos = trace.infos();
    assert_eq!(infos.len(), 1);
    assert!(ends(&infos[0].1.exe, "/mine") && infos[0].0.has(flags::UNLINKED));
    assert!(!String::from_utf8_lossy(&trace.raw).contains(" (deleted)"));
}

/// A program that has no file to be looked at afterwards is what somebody may want to know of.
#[test]
fn an_exec_of_a_deleted_file_or_a_memfd_is_told_as_such() {
    let Some(_permit) = live() else { return };
    let script = r#"
import os
def run(fd):
    if os.fork() == 0:
        os.execve(fd, ["mine"], {})
    os.wait()
memory = os.memfd_create("secret", 0)
os.write(memory, open("/bin/true", "rb").read())
run(memory)
open("mine", "wb").write(open("/bin/true", "rb").read())
os.chmod("mine", 0o755)
file = os.open("mine", os.O_RDONLY)
run(file)
os.unlink("mine")
run(file)
"#;
    let dir = tempfile::tempdir().unwrap();
    let done = Capture::new().current_dir(dir.path()).command(["python3", "-c", script]).run();
    let trace = done.trace();
    let execs = trace.execs();
    let told: Vec<_> = execs
        .iter()
        .filter(|(_, exec)| exec.args() == [b"mine"])
        .map(|(event, exec)| {
            let name = exec.exe.rsplit(|byte| *byte == b'/').next().unwrap();
            (String::from_utf8_lossy(name).into_owned(), event.has(flags::UNLINKED))
        })
        .collect();
    let expected = [("memfd:secret", true), ("mine", false), ("mine", true)];
    assert_eq!(told, expected.map(|(name, unlinked)| (name.to_owned(), unlinked)));
}
