# SPDX-License-Identifier: MIT OR Apache-2.0
"""The cases of QUIC: which stacks connect, how they are installed, and what they tell."""

import os
import pathlib
import re
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
PORT = 4433

WHEELS = ("aioquic==1.7.2", "qh3==2.1.0", "aiortc==1.16.0", "python-mbedtls==2.10.1")

# What of Debian is unpacked, with all it depends on, into roots of their own for chroot: as its suites have it on the day.
SUITES = {
    "sid": ("curl", "caddy", "firefox-esr", "nginx", "haproxy", "openssl", "gnutls-bin", "tshark", "libmbedtls-dev", "libwolfssl-dev",
        "ethtool"),
    "trixie": ("curl", "ngtcp2-client", "ngtcp2-server", "openssl"),
}

EXPLAINED = []


def command(*words, **options):
    return subprocess.run(words, check=True, capture_output=True, text=True, **options).stdout


def wheels(peers):
    target = peers / "wheels"
    if not target.exists():
        command("python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--only-binary", ":all:",
            "--target", f"{target}.new", *WHEELS, env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore"})
        shutil.move(f"{target}.new", target)


def debian(suite):
    def install(peers):
        root = peers / f"debian-{suite}"
        if not root.exists():
            new = peers / f"debian-{suite}.new"
            shutil.rmtree(new, ignore_errors=True)
            command("mmdebstrap", "--variant=extract", "--mode=root", "--skip=output/dev", '--aptopt=Acquire::Check-Valid-Until "false"',
                '--aptopt=APT::Install-Recommends "false"', f"--include={','.join(SUITES[suite])}", suite, str(new))
            new.rename(root)
        # What configuring the packages would have made.
        for name in ("bin", "sbin", "lib", "lib64"):
            if not (root / name).exists():
                (root / name).symlink_to(f"usr/{name}")
        for name in ("dev/shm", "etc/ssl/certs", "proc", "root", "tmp", "run", "var/lib/haproxy", "var/lib/nginx", "var/log/nginx"):
            (root / name).mkdir(parents=True, exist_ok=True)
        for name, major, minor in (("null", 1, 3), ("zero", 1, 5), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)):
            if not (root / "dev" / name).exists():
                os.mknod(root / "dev" / name, 0o20666, os.makedev(major, minor))
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")
        (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
        (root / "etc/hosts").write_text("127.0.0.1 localhost server.test\n")
    return install


def crate(package, *features):
    def install(peers):
        # What is in C is built by CMake.
        cmake = peers / "cmake"
        if not cmake.exists():
            command("python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--target", f"{cmake}.new",
                "cmake==3.31.6", env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore"})
            shutil.move(f"{cmake}.new", cmake)
        place = peers / "bin" / "-".join((package, *features))
        source = HERE / "rust" / package.removesuffix("-peer") / "src/main.rs"
        if place.exists() and place.stat().st_mtime > source.stat().st_mtime:
            return
        place.parent.mkdir(exist_ok=True)
        target = peers / "rust"
        # No cargo of tests is to lead here, nor its flags.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CARGO_")}
        command("cargo", "build", "--quiet", "--locked", "-p", package, "--target-dir", str(target), *(["--features", ",".join(features)] if features else []),
            cwd=HERE / "rust", env={**kept, "PATH": f"{cmake}/cmake/data/bin:{os.environ['PATH']}"})
        shutil.copy(target / "debug" / package, place)
    return install


class Case:
    """Some connections, of which everything is compared."""

    def __init__(self, peers, name, script, least, needs, versions, ports=None):
        self.peers, self.name, self.script, self.least, self.needs, self.versions = peers, name, script, least, needs, versions
        self.ports = ports or {PORT: "quic"}

    def install(self):
        self.peers.mkdir(parents=True, exist_ok=True)
        for need in (debian("sid"), wheels, *self.needs):
            need(self.peers)

    def version(self):
        """Of each stack: what is pinned, or the first number with a point in what a command says."""
        found = []
        for name, told in self.versions.items():
            if " " in told:
                said = subprocess.run(["sh", "-c", told.replace("$PEERS", str(self.peers))], capture_output=True, text=True)
                told = re.search(r"\d+(\.\d+)+[a-z]?\d*", said.stdout + said.stderr)
                told = told.group() if told else "?"
            found.append(f"{name} {told}")
        return ", ".join(found)


AIOQUIC = {"aioquic": "1.7.2"}
AIO_SERVER = "serve aioquic 4433 python3 $HERE/quic/aio.py server 4433 crt.pem key.pem"


def cases(peers):
    yield Case(peers, "aioquic", f"""
for options in "" retry v2; do
	{AIO_SERVER} $options
	mv aioquic.log aioquic-$options.log 2>/dev/null || true
	asks client-$options python3 $HERE/quic/aio.py client 4433 $(echo $options | grep -v retry || true)
	stop
done
""", 6, (), AIOQUIC)

    for provider in ("aws-lc-rs", "ring"):
        peer = f"$PEERS/bin/quinn-peer-{provider}"
        yield Case(peers, f"quinn, rustls with {provider}", f"""
{AIO_SERVER}
asks to-aioquic {peer} client 4433
stop
serve quinn 4433 {peer} server 4433 crt.pem key.pem
asks from-aioquic python3 $HERE/quic/aio.py client 4433
asks to-itself {peer} client 4433
stop
serve quinn-retry 4433 {peer} server 4433 crt.pem key.pem retry
asks to-retry {peer} client 4433
""", 8, (crate("quinn-peer", provider),), {"quinn": "0.11.12", "rustls": "0.23.46", **AIOQUIC})

    peer = "$PEERS/bin/quiche-peer"
    yield Case(peers, "quiche", f"""
{AIO_SERVER}
asks to-aioquic {peer} client 4433
asks negotiated {peer} client 4433 negotiate
stop
{AIO_SERVER} retry
asks to-retry {peer} client 4433
stop
serve quiche 4433 {peer} server 4433 crt.pem key.pem
asks from-aioquic python3 $HERE/quic/aio.py client 4433
asks to-itself {peer} client 4433
""", 8, (crate("quiche-peer"),), {"quiche": "0.30.0", **AIOQUIC})

    peer = "$PEERS/bin/s2n-peer"
    yield Case(peers, "s2n-quic", f"""
{AIO_SERVER}
asks to-aioquic {peer} client 4433 ca.pem
stop
serve s2n 4433 {peer} server 4433 crt.pem key.pem
asks from-aioquic python3 $HERE/quic/aio.py client 4433
asks to-itself {peer} client 4433 ca.pem
stop
serve s2n-retry 4433 {peer} server 4433 crt.pem key.pem retry
asks to-retry {peer} client 4433 ca.pem
""", 4, (crate("s2n-peer"),), {"s2n-quic": "1.91.0", **AIOQUIC})

    for suite, how in (("sid", "ngtcp2"), ("trixie", "OpenSSL's own QUIC")):
        yield Case(peers, f"curl, {how}", f"""
ask() {{
	asks $1 $IN_{suite.upper()} curl -vks --http3-only https://localhost:4433/
	told 's,.*SSL connection using TLSv1.3 / \\(TLS_[^ ]*\\) / \\([^ ]*\\) .*,told client cipher_suite \\1\\ntold client group \\2,p' $1.log >$1-told.log
}}
{AIO_SERVER}
ask one
stop
{AIO_SERVER} retry
ask two
""", 2, (debian(suite),), {"curl": f"chroot $PEERS/debian-{suite} curl --version", **AIOQUIC})

    client = "$IN_TRIXIE gtlsclient --no-quic-dump --no-http-dump --exit-on-all-streams-close"
    server = "$IN_TRIXIE gtlsserver --no-quic-dump --no-http-dump"
    yield Case(peers, "ngtcp2, GnuTLS", f"""
{AIO_SERVER}
asks to-aioquic {client} localhost 4433 https://localhost:4433/
stop
{AIO_SERVER} v2
asks v2 {client} --version v2 localhost 4433 https://localhost:4433/
asks to-v2 {client} --available-versions v2,v1 localhost 4433 https://localhost:4433/
stop
serve ngtcp2 4433 {server} 127.0.0.1 4433 /tmp/case/key.pem /tmp/case/crt.pem
asks from-aioquic python3 $HERE/quic/aio.py client 4433 h3
for number in 1 2; do asks itself-$number {client} --session-file /tmp/case/session --tp-file /tmp/case/tp localhost 4433 https://localhost:4433/; done
asks negotiated {client} --version 0x1a2a3a4a --preferred-versions v1 localhost 4433 https://localhost:4433/
stop
serve ngtcp2-retry 4433 {server} -V --preferred-versions v2 --available-versions v2,v1 127.0.0.1 4433 /tmp/case/key.pem /tmp/case/crt.pem
asks to-retry {client} --available-versions v2,v1 localhost 4433 https://localhost:4433/
""", 8, (debian("trixie"),), {"ngtcp2": "zcat $PEERS/debian-trixie/usr/share/doc/ngtcp2-client/changelog.Debian.gz | head -1", **AIOQUIC})

    yield Case(peers, "qh3", f"""
{AIO_SERVER}
asks to-aioquic python3 $HERE/quic/qh3_client.py 4433
""", 1, (), {"qh3": "2.1.0", **AIOQUIC})

    yield Case(peers, "caddy, quic-go", """
cat > Caddyfile <<C
{
	admin off
	auto_https off
	storage file_system /tmp/case/caddy
	log {
		output stderr
		format json
	}
}
https://localhost:4433 {
	tls /tmp/case/crt.pem /tmp/case/key.pem
	respond "hello"
	log
}
https://localhost:4434 {
	tls /tmp/case/crt.pem /tmp/case/key.pem
	reverse_proxy https://localhost:4433 {
		transport http {
			versions 3
			tls_insecure_skip_verify
		}
	}
}
C
serve caddy 4433 $IN_SID caddy run --config /tmp/case/Caddyfile
asks curl $IN_SID curl -4ks --http3-only https://localhost:4433/
asks from-aioquic python3 $HERE/quic/aio.py client 4433 h3
# Its own client, between itself and itself; the one that asks speaks TCP.
asks proxied $IN_SID curl -ks https://localhost:4434/
# It logs names of suites by their code points: 4865 is 0x1301.
jq -r 'select(.request.tls?) | "told server cipher_suite 0x\\(.request.tls.cipher_suite)"' caddy.log >caddy-told.txt || true
""", 4, (), {"caddy": "chroot $PEERS/debian-sid caddy version", **AIOQUIC})

    yield Case(peers, "nginx", """
cat > nginx.conf <<C
daemon off;
master_process off;
user root root;
error_log stderr info;
pid /tmp/case/nginx.pid;
events {}
http {
	log_format told 'told server cipher_suite $ssl_cipher
told server group $ssl_curve
told server server_name $ssl_server_name
told server resumed $ssl_session_reused';
	access_log /tmp/case/nginx-access.log told;
	client_body_temp_path /tmp/case/body; proxy_temp_path /tmp/case/proxy; fastcgi_temp_path /tmp/case/fastcgi;
	uwsgi_temp_path /tmp/case/uwsgi; scgi_temp_path /tmp/case/scgi;
	ssl_certificate /tmp/case/crt.pem;
	ssl_certificate_key /tmp/case/key.pem;
	server { listen 4433 quic; quic_retry RETRY; location / { return 200 hello; } }
}
C
for retry in off on; do
	sed "s/RETRY/$retry/" nginx.conf >nginx-$retry.conf
	serve nginx-$retry 4433 $IN_SID nginx -c /tmp/case/nginx-$retry.conf
	asks curl-$retry $IN_SID curl -4ks --http3-only https://localhost:4433/
	# It speaks version 1 alone, and says so.
	asks negotiated-$retry $IN_TRIXIE gtlsclient --quiet --exit-on-all-streams-close --version v2 --preferred-versions v2,v1 localhost 4433 https://localhost:4433/
	stop
done
""".replace("told server resumed $ssl_session_reused", "").replace("$ssl", "\\$ssl"), 6, (debian("trixie"),), {"nginx": "chroot $PEERS/debian-sid nginx -v", "curl": "chroot $PEERS/debian-sid curl --version"})

    yield Case(peers, "haproxy", """
cat crt.pem key.pem > both.pem
cat > haproxy.cfg <<C
defaults
	mode http
	timeout client 5s
	timeout server 5s
	timeout connect 5s
frontend f
	bind quic4@127.0.0.1:4433 ssl crt /tmp/case/both.pem alpn h3
	http-request return status 200 content-type text/plain string hello
C
serve haproxy 4433 $IN_SID haproxy -db -f /tmp/case/haproxy.cfg
asks curl $IN_SID curl -4ks --http3-only https://localhost:4433/
asks from-aioquic python3 $HERE/quic/aio.py client 4433 h3
""", 3, (), {"haproxy": "chroot $PEERS/debian-sid haproxy -v", "curl": "chroot $PEERS/debian-sid curl --version", **AIOQUIC})

    yield Case(peers, "openssl s_client -quic", f"""
{AIO_SERVER}
(sleep 1; echo Q) | $IN_SID openssl s_client -quic -alpn demo -connect 127.0.0.1:4433 -servername server.test >client.log 2>&1 || true
told 's/^New, TLSv1.3, Cipher is \\(.*\\)/told client cipher_suite \\1/p' client.log >told.log
""", 1, (), {"OpenSSL": "chroot $PEERS/debian-sid openssl version", **AIOQUIC})

    yield Case(peers, "Chromium", f"""
{AIO_SERVER}
spki=$(openssl x509 -in crt.pem -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64)
for number in 1 2; do
	timeout -k 1 30 chromium --headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --no-first-run \\
		--disable-sync --disable-extensions --user-data-dir=profile-$number --enable-quic --origin-to-force-quic-on=localhost:4433 \\
		--ignore-certificate-errors-spki-list=$spki --dump-dom https://localhost:4433/ >chromium-$number.log 2>&1
	grep -q hello chromium-$number.log || {{ tail -n 20 chromium-$number.log >&2; exit 1; }}
done
""", 2, (), {"Chromium": "chromium --version", **AIOQUIC})

    yield Case(peers, "Firefox", f"""
{AIO_SERVER}
mkdir profile
certutil -N -d sql:profile --empty-password
certutil -A -d sql:profile -n ca -t C,, -i ca.pem
cat > profile/user.js <<C
user_pref("network.http.http3.alt-svc-mapping-for-testing", "localhost;h3=:4433");
user_pref("network.http.http3.disable_when_third_party_roots_found", false);
user_pref("network.http.http3.force-use-alt-svc-mapping-for-testing", true);
user_pref("network.dns.disableIPv6", true);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("app.update.disabledForTesting", true);
C
mount -t proc proc $SID/proc
mount -t tmpfs tmpfs $SID/dev/shm
env MOZ_DISABLE_CONTENT_SANDBOX=1 $IN_SID /usr/lib/firefox-esr/firefox-esr --headless --profile /tmp/case/profile \\
	--no-remote https://localhost:4433/ >firefox.log 2>&1 &
firefox=$!
servers="$servers $firefox"
tries=0
until grep -q 'told server cipher_suite' aioquic.log; do
	tries=$((tries + 1)); [ $tries -lt 300 ] || {{ tail -n 20 firefox.log >&2; exit 1; }}; sleep 0.1
done
sleep 1
""", 1, (), {"Firefox": "grep -h ^Version= $PEERS/debian-sid/usr/lib/firefox-esr/application.ini", **AIOQUIC})
