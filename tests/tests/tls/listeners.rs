//! Listening sockets that others accept from: pre-fork servers, sockets that a manager opens and hands on.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crypto_trace_tests::{Capture, Faults, Process, capture_binary, live, run, until};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::handshakes;

/// Opens a socket; then a child of it accepts from it, and then it does itself. The clients are others.
const SERVER: &str = "
import os, socket, ssl, subprocess, sys
subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=n',
    '-keyout', 'k', '-out', 'c'], stderr=subprocess.DEVNULL, check=True)
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain('c', 'k')
listener = socket.create_server(('127.0.0.1', 0))
client = ssl.create_default_context(cafile='c')
# Until its parent's standard input ends: whoever would accept has not begun to.
begin, end = os.pipe()
def serve():
    context.wrap_socket(listener.accept()[0], server_side=True).close()
def connect(name):
    client.check_hostname = False
    client.wrap_socket(socket.create_connection(listener.getsockname()), server_hostname=name).close()
def child(what):
    pid = os.fork()
    if pid == 0:
        os.close(end)
        os.read(begin, 1)
        what()
        os._exit(0)
    return pid
worker = child(serve)
client_pid = child(lambda: connect('worker.test'))
print('worker', worker, file=sys.stderr, flush=True)
sys.stdin.readline()
os.close(end)
os.waitpid(worker, 0)
os.waitpid(client_pid, 0)
begin, end = os.pipe()
last = child(lambda: connect('own.test'))
os.close(end)
serve()
os.waitpid(last, 0)
";

/// Processes in a network namespace of their own, which has 2,000 listening sockets; one of them has 800, the others one each.
const CROWD: &str = "
import os, resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
def listen(count):
    return [socket.create_server(('', 0)) for _ in range(count)]
def child(count):
    if os.fork() == 0:
        sockets = listen(count)
        print('up', file=sys.stderr, flush=True)
        sys.stdin.readline()
        os._exit(0)
for count in [400, 400, 400, 1, 1]:
    child(count)
sockets = listen(798)
sys.stdin.readline()
";

struct Server {
    process: Process,
    worker: String,
    _directory: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("crypto-trace-test-").tempdir().unwrap();
        let mut command = Command::new("python3");
        command.args(["-c", SERVER]).current_dir(directory.path()).stdin(Stdio::piped());
        let process = Process::spawn(&mut command);
        process.wait_for("worker ");
        let children = format!("/proc/{0}/task/{0}/children", process.pid());
        let children = std::fs::read_to_string(children).unwrap();
        let worker = children.split_whitespace().next().unwrap().to_owned();
        Self { process, worker, _directory: directory }
    }

    fn go_on(self) {
        let done = self.process.finish();
        assert_eq!(done.code(), 0, "{}", done.stderr);
    }
}

fn of(event: &Value) -> [&Value; 4] {
    ["pid", "role", "server_name", "process_known_by"].map(|name| &event[name])
}

/// The connection was told as the listener's own, and as one that never got an answer.
#[test]
fn a_connection_that_another_process_accepted_is_not_the_listeners_own_unanswered() {
    let Some(_permit) = live() else { return };
    let server = Server::start();
    let pid = server.process.pid();
    let running = Capture::new().options(["--tls", "on", "-p", &pid.to_string()]).start();
    server.go_on();
    let done = running.stop(Signal::TERM);
    let events = handshakes(&done.output);
    let [event] = &events[..] else { panic!("one of them is its own: {events:#?}") };
    assert_eq!(of(event), [&json!(pid), &json!("server"), &json!("own.test"), &json!("sent")]);
    assert_eq!(event["version"], "TLS 1.3", "{event:#}");

    let tls = run(Command::new(crypto_trace_tests::analyze_binary()).args(["tls", "-f", "json"]).arg(&done.output));
    let tls: Value = serde_json::from_str(&tls.text()).unwrap();
    assert_eq!((&tls["handshakes"], &tls["answered"], &tls["unanswered"]), (&json!(1), &json!(1), &json!(0)));
}

#[test]
fn nor_is_it_where_events_are_shown_as_they_happen() {
    let Some(_permit) = live() else { return };
    let server = Server::start();
    let pid = server.process.pid();
    let mut command = Command::new(capture_binary());
    command.args(["monitor", "-v", "--type", "tls_handshake", "-p", &pid.to_string()]);
    let (capture, out) = Process::spawn_with_output(&mut command);
    capture.wait_for(crypto_trace_tests::ATTACHED);
    server.go_on();
    let text = std::io::read_to_string(out).unwrap();
    capture.finish().expect_success();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [event] = &events[..] else { panic!("one of them is its own: {events:#?}") };
    assert_eq!(of(event), [&json!(pid), &json!("server"), &json!("own.test"), &json!("sent")]);
}

/// It belongs to the process that accepted it, also where both are selected.
#[test]
fn it_belongs_to_the_process_that_accepted_it() {
    let Some(_permit) = live() else { return };
    let server = Server::start();
    let (pid, worker) = (server.process.pid().to_string(), server.worker.clone());
    let running = Capture::new().options(["--tls", "on", "-p", &pid, "-p", &worker]).start();
    server.go_on();
    let done = running.stop(Signal::TERM);
    let events = handshakes(&done.output);
    let told: Vec<_> = events.iter().map(|event| (event["pid"].to_string(), event["server_name"].clone())).collect();
    assert_eq!(told, [(worker, json!("worker.test")), (pid, json!("own.test"))], "{events:#?}");
    assert!(events.iter().all(|event| event["process_known_by"] == "sent" && event["version"] == "TLS 1.3"));
}

/// The sockets of a namespace were read for each process in it: 1.2 s each where there are 18,000.
#[test]
fn what_sockets_a_network_namespace_has_is_read_once() {
    let Some(_permit) = live() else { return };
    let mut command = Command::new("unshare");
    let crowd = Process::spawn(command.args(["--net", "python3", "-c", CROWD]).stdin(Stdio::piped()));
    // Each has its sockets when it says so, and the namespace's first process after all of them.
    let children = || {
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", crowd.pid())).unwrap_or_default();
        children.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    until("2,000 sockets", || {
        let tcp = std::fs::read_to_string(format!("/proc/{}/net/tcp", crowd.pid())).unwrap_or_default();
        tcp.lines().count() == 2001
    });
    let sleeper = Process::spawn(Command::new(crypto_trace_tests::workload()).arg("wait").stdin(Stdio::piped()));
    let mut options: Vec<String> = vec!["--tls".into(), "on".into()];
    for pid in children().into_iter().chain([crowd.pid().to_string(), sleeper.pid().to_string()]) {
        options.extend(["-p".into(), pid]);
    }
    let read = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&read);
    let faults = Faults::new([libc::SYS_openat], move |call| {
        if call.text(1).ends_with("net/tcp") {
            count.fetch_add(1, Ordering::Relaxed);
        }
        None
    });
    let running = Capture::new().options(options).faults(faults).start();
    let done = running.stop(Signal::TERM);
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert_eq!(read.load(Ordering::Relaxed), 1);
    let told = "listening sockets: 2000 of 6 processes, read of 1 network namespaces";
    assert!(done.stderr.contains(told), "{}", done.stderr);
    crowd.finish().expect_success();
}
