//! The TLS stacks that make handshakes, each in a network namespace of its own in which nothing else happens.

use std::path::PathBuf;

use crypto_trace_tests::software::{Tool, apache, directory, gnutls, go, java, nginx, nss, rustls, wheels};
use crypto_trace_tests::{Capture, Done};

/// A TLS stack and the script that has it make handshakes.
pub struct Stack {
    pub name: &'static str,
    tools: &'static [fn() -> Option<Tool>],
    script: &'static str,
    /// Handshakes that it makes at least.
    pub least: usize,
}

/// Where tshark is told that TLS is: ports of servers, by what comes before it.
pub const DECODE_AS: &[&str] = &[
    "tcp.port==20000-20999,tls",
    "tcp.port==21000-21099,smtp",
    "tcp.port==22000-22099,http",
    "tcp.port==23000-23099,pgsql",
];

/// Keys and certificates; a capture of the packets, from before the first one until after the last.
const PRELUDE: &str = r#"
set -eu
exec </dev/null
ip link set lo up
# Fast Open for whoever asks for it, with no cookie.
echo 1543 > /proc/sys/net/ipv4/tcp_fastopen
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=test CA" -keyout ca.key -out ca.crt 2>/dev/null
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=other" -keyout other.key -out other.crt 2>/dev/null
certificate() { # NAME SUBJECT NAMES KEY...
	name=$1 subject=$2 names=$3; shift 3
	openssl req -newkey "$@" -nodes -subj "$subject" -keyout $name.key -out $name.csr 2>/dev/null
	echo "subjectAltName=$names" > $name.cnf
	openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile $name.cnf -out $name.crt 2>/dev/null
}
certificate server "/C=DE/O=Test/CN=server.test" DNS:server.test,DNS:localhost,IP:127.0.0.1 rsa:2048
certificate ec "/CN=server.test" DNS:server.test,DNS:localhost,IP:127.0.0.1 ec -pkeyopt ec_paramgen_curve:P-384
certificate client "/O=Test/CN=client.test" DNS:client.test ec -pkeyopt ec_paramgen_curve:P-256
# Over 16 KiB.
long=of-a-host-with-a-name-that-is-as-long-as-a-label-may-be-$(seq -s '' 3)
certificate big "/CN=server.test" DNS:server.test,$(seq -f "DNS:name-%05g.$long.example.test" -s , 220) rsa:3072
cat ca.crt >> ec.crt
openssl genpkey -genparam -algorithm DH -pkeyopt group:ffdhe2048 -out dh.pem 2>/dev/null
openssl pkcs12 -export -in server.crt -inkey server.key -name server -passout pass:secret -out server.p12

dumpcap -q -i lo -s 0 -B 64 -f 'tcp or udp port 9' -w packets.pcapng 2>dumpcap.log &
dumpcap=$!
servers=""
trap 'for s in $servers $dumpcap; do kill $s 2>/dev/null || true; done; wait' EXIT
until grep -q '^File:' dumpcap.log; do kill -0 $dumpcap; sleep 0.02; done
# serve NAME COMMAND…: starts it in the background
serve() {
	name=$1; shift
	"$@" >$name.log 2>&1 &
	servers="$servers $!"
}
# listening PORT...: waits until they are listened on
listening() {
	for port; do
		tries=0
		until ss -Hltn "sport = :$port" | grep -q .; do
			tries=$((tries + 1)); [ $tries -lt 500 ] || { cat *.log >&2; exit 1; }; sleep 0.02
		done
	done
}
"#;

/// The last packet, so that it is known when all were captured.
const EPILOGUE: &str = r#"
python3 -c 'import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b"the last of the packets", ("127.0.0.1", 9))'
tries=0
until grep -q 'the last of the packets' packets.pcapng; do tries=$((tries + 1)); [ $tries -lt 250 ]; sleep 0.02; done
kill -INT $dumpcap
wait $dumpcap || true
grep 'received/dropped' dumpcap.log
"#;

pub const STACKS: &[Stack] = &[
    Stack { name: "python-openssl", tools: &[], least: 400, script: "python3 $SOFTWARE/python/crowd.py 400 1" },
];

/// What a stack left behind.
pub struct Run {
    pub done: Done,
    pub packets: PathBuf,
    /// Ports whose server puts off accepting until there is data.
    pub deferred: Vec<u16>,
    _directory: tempfile::TempDir,
}

impl Stack {
    /// Runs it, traced. `None`: something is missing here, which has been said.
    pub fn run(&self) -> Option<Run> {
        let mut text = format!("{PRELUDE}SOFTWARE='{}'\n", directory().display());
        for tool in self.tools {
            text = text + tool()?.line() + "\n";
        }
        let dir = tempfile::Builder::new().prefix("crypto-trace-test-").tempdir().unwrap();
        std::fs::write(dir.path().join("script"), text + self.script + EPILOGUE).unwrap();
        let capture = Capture::new().options(["--tls", "on"]).current_dir(dir.path());
        let done = capture.command(["timeout", "-k", "1", "50", "unshare", "-n", "sh", "script"]).run();
        assert_eq!(done.code(), 0, "{}: {}\n{}", self.name, done.text(), done.stderr);
        // Packets received/dropped on interface 'Loopback: lo': 1826/0 (pcap:0/dumpcap:0/flushed:0/ps_ifdrop:0) (100.0%)
        assert!(done.text().contains("/0 (pcap:0/dumpcap:0/"), "{}: packets are missing: {}", self.name, done.text());
        let text = done.text();
        let deferred = text.lines().filter_map(|line| line.strip_prefix("deferred ")?.parse().ok()).collect();
        if let Ok(keep) = std::env::var("ORACLE_KEEP") { std::fs::create_dir_all(&keep).unwrap(); std::fs::copy(dir.path().join("packets.pcapng"), format!("{keep}/{}.pcapng", self.name)).unwrap(); let _ = std::process::Command::new("cp").arg("-r").arg(&done.output).arg(format!("{keep}/{}.capture", self.name)).status(); }
        Some(Run { packets: dir.path().join("packets.pcapng"), done, deferred, _directory: dir })
    }
}
