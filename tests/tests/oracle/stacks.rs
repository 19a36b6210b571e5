//! The TLS stacks that make handshakes, each in a network namespace of its own in which nothing else happens.

use std::path::PathBuf;
use std::process::Command;

use crypto_trace_tests::software::{Tool, apache, directory, gnutls, go, java, nginx, nss, rustls, wheels};
use crypto_trace_tests::{Capture, Done};

/// Names a directory in which packets and captures are kept, for who looks for a fault.
const KEEP: &str = "CRYPTO_TRACE_ORACLE_KEEP";

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
export PYTHONDONTWRITEBYTECODE=1
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

dumpcap -q -P -i lo -s 0 -B 64 -f 'tcp or udp port 9' -w packets.pcap 2>dumpcap.log &
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
until grep -q 'the last of the packets' packets.pcap; do tries=$((tries + 1)); [ $tries -lt 250 ]; sleep 0.02; done
kill -INT $dumpcap
wait $dumpcap || true
grep 'received/dropped' dumpcap.log
"#;

pub const STACKS: &[Stack] = &[
    Stack { name: "Python's ssl", tools: &[], least: 450, script: "python3 $SOFTWARE/python/crowd.py 520 1" },
    Stack {
        name: "OpenSSL's tools",
        tools: &[],
        least: 40,
        script: r#"
serve one openssl s_server -accept 127.0.0.1:20700 -cert server.crt -key server.key -www -max_send_frag 512 -num_tickets 1
serve two openssl s_server -accept 127.0.0.1:20701 -cert big.crt -key big.key -www -tls1_2 -max_send_frag 1024
serve three openssl s_server -accept 127.0.0.1:20702 -cert ec.crt -key ec.key -www -groups P-384 -Verify 1 -CAfile ca.crt
listening 20700 20701 20702
client() { printf 'GET / HTTP/1.0\r\n\r\n' | timeout 10 openssl s_client -quiet -ign_eof -CAfile ca.crt "$@" >/dev/null 2>&1 || true; }
names=$(seq -f 'protocol-%03g' -s , 60)
for options in "" "-tls1_2" "-tls1_3" "-max_send_frag 512 -alpn $names" "-maxfraglen 512" "-maxfraglen 1024 -tls1_2" "-no_ticket" \
	"-groups X25519:P-384" "-servername server.test -alpn h2,http/1.1" "-cert client.crt -key client.key" \
	"-cert client.crt -key client.key -tls1_2" "-verify_return_error -CAfile other.crt" "-cipher ECDHE-RSA-AES128-SHA256 -tls1_2"; do
	for port in 20700 20701 20702; do client -connect 127.0.0.1:$port $options; done
done
for version in tls1_2 tls1_3; do
	client -connect 127.0.0.1:20700 -$version -sess_out session
	client -connect 127.0.0.1:20700 -$version -sess_in session
done
"#,
    },
    Stack { name: "GnuTLS", tools: &[gnutls], least: 200, script: "python3 $SOFTWARE/python/crowd_gnutls.py 225 1" },
    Stack { name: "Go", tools: &[go], least: 350, script: "$GO crowd 360 1" },
    Stack { name: "rustls", tools: &[rustls], least: 300, script: "$RUSTLS crowd 320 1" },
    Stack {
        name: "Java",
        tools: &[java],
        least: 140,
        script: r#"
openssl pkcs12 -export -in client.crt -inkey client.key -name client -passout pass:secret -out client.p12
serve retry openssl s_server -accept 127.0.0.1:20700 -cert server.crt -key server.key -www -groups P-384
listening 20700
$JAVA Crowd 154 1 20700
"#,
    },
    Stack {
        name: "nginx",
        tools: &[nginx, go],
        least: 180,
        script: r#"
sed "s/GROUP/$(id -gn nobody)/" $SOFTWARE/nginx/oracle.conf > nginx.conf
chmod 755 .
serve nginx $NGINX -e stderr -p $PWD -c nginx.conf
listening 20500 20501 20502 20503
echo deferred 20501
python3 $SOFTWARE/python/crowd.py 160 2 20500,fast-open 20501 20502,proxy 20503,certificate
$GO crowd 40 2 20500 20501
"#,
    },
    Stack {
        name: "Apache",
        tools: &[apache],
        least: 140,
        script: r#"
sed "s,MODULES,$MODULES," $SOFTWARE/apache/httpd.conf > httpd.conf
serve apache $APACHE -X -d $PWD -f httpd.conf
listening 20600 20601 20602
printf 'deferred %s\n' 20600 20601 20602
python3 $SOFTWARE/python/crowd.py 150 3 20600 20601 20602,certificate
"#,
    },
    Stack {
        name: "NSS",
        tools: &[nss],
        least: 70,
        script: r#"
certutil -N -d sql:. --empty-password
pk12util -i server.p12 -d sql:. -W secret >/dev/null
certutil -A -d sql:. -n ca -t C,, -i ca.crt
serve nss selfserv -d sql:. -n server -p 20800 -V tls1.2:tls1.3 -H 1 -t 4 -u
listening 20800
client() { timeout 10 tstclnt -Q -O -d sql:. -h 127.0.0.1 -p 20800 "$@" >/dev/null 2>&1 || true; }
for version in tls1.2:tls1.2 tls1.3:tls1.3 tls1.2:tls1.3; do
	for options in "-a server.test" "-a server.test -I P384" "-I P521,P256" "-a server.test -I FF2048 -i 32" "-c :1303:C02F" "-c :009C:1302" \
		"-a other.test"; do
		client -V $version $options
	done
done
python3 $SOFTWARE/python/crowd.py 60 4 20800,whole
"#,
    },
    Stack {
        name: "OpenSSL of wheels",
        tools: &[wheels],
        least: 90,
        script: r#"
serve postgres python3 $SOFTWARE/python/postgres.py server.crt server.key 23000
listening 23000
python3 $SOFTWARE/python/crowd_psycopg.py 23000 100 1
"#,
    },
    Stack {
        name: "BoringSSL",
        tools: &[wheels, go],
        least: 60,
        script: r#"
serve rsa openssl s_server -accept 127.0.0.1:20700 -cert server.crt -key server.key -www
serve retry openssl s_server -accept 127.0.0.1:20701 -cert server.crt -key server.key -www -groups P-384
serve old openssl s_server -accept 127.0.0.1:20702 -cert server.crt -key server.key -www -tls1_2
listening 20700 20701 20702
python3 $SOFTWARE/python/crowd_chrome.py 45 20700 20701 20702
"#,
    },
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
        std::fs::write(dir.path().join("script"), text + self.script + "\n" + EPILOGUE).unwrap();
        let capture = Capture::new().options(["--tls", "on"]).current_dir(dir.path());
        let done = capture.command(["timeout", "-k", "1", "50", "unshare", "-n", "sh", "script"]).run();
        assert_eq!(done.code(), 0, "{}: {}\n{}", self.name, done.text(), done.stderr);
        // Packets received/dropped on interface 'Loopback: lo': 1826/0 (pcap:0/dumpcap:0/flushed:0/ps_ifdrop:0) (100.0%)
        assert!(done.text().contains("/0 (pcap:0/dumpcap:0/"), "{}: packets are missing: {}", self.name, done.text());
        let text = done.text();
        let deferred = text.lines().filter_map(|line| line.strip_prefix("deferred ")?.parse().ok()).collect();
        let packets = dir.path().join("packets.pcap");
        if let Some(keep) = std::env::var_os(KEEP) {
            let keep = PathBuf::from(keep);
            std::fs::create_dir_all(&keep).unwrap();
            std::fs::copy(&packets, keep.join(self.name).with_extension("pcap")).unwrap();
            let copied = Command::new("cp").arg("-r").arg(&done.output).arg(keep.join(self.name)).status().unwrap();
            assert!(copied.success());
        }
        Some(Run { packets, done, deferred, _directory: dir })
    }
}
