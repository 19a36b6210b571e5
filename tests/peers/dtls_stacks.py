# SPDX-License-Identifier: MIT OR Apache-2.0
"""The cases of DTLS: which stacks connect, how they are installed, and what they tell."""

from quic_stacks import HERE, Case, command, crate

# No port that tshark knows as one of something else.
PORTS = {port: "dtls" for port in [*range(4440, 4460), 4412, 4413]}

# Differences that are no fault of ours: case, field, whose, why.
EXPLAINED = [
    ("dimpl", "ja4", r"ours 'dd3(\w+)', tshark 'dd2\1'", "tshark 4.6.9 takes the largest number for the highest version, which in DTLS is the lowest"),
]

OPENSSL = {"OpenSSL": "openssl version"}

# What s_client tells; `openssl ciphers` has the names of the registry for its own.
PRELUDE = r"""
openssl ciphers -stdname ALL:COMPLEMENTOFALL:@SECLEVEL=0 >names-of-suites
registered() { awk -v "name=$1" '$3 == name { print $1 }' names-of-suites; }
serve_openssl() { port=$1; shift; serve openssl-$port $port openssl s_server -accept 127.0.0.1:$port -cert crt.pem -key key.pem -quiet "$@"; }
ask_openssl() {
	name=$1 port=$2; shift 2
	asks $name openssl s_client -connect 127.0.0.1:$port -servername server.test "$@"
	echo "told client cipher_suite $(registered "$(sed -n 's/^ *Cipher *: //p' $name.log | head -1)")" >$name-told.log
	sed -n 's/^Server Temp Key: \([^,]*\).*/told client group \1/p' $name.log | head -1 >>$name-told.log
	sed -n 's/^ *Protocol *: DTLSv/told client version DTLS /p' $name.log | sed 's/ 1$/ 1.0/' | head -1 >>$name-told.log
}
"""


LIBRARIES = {"wolfssl": ("wolfssl",), "mbedtls": ("mbedtls", "mbedx509", "mbedcrypto")}


def library(name):
    """A program of c/, linked with a library of sid: with its headers and with it, but with nothing else of there."""
    def install(peers):
        root, sdk = peers / "debian-sid", peers / "sdk"
        program = root / "usr/local/bin" / f"{name}-peer"
        source = HERE / "c" / f"{name}.c"
        if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
            return
        for directory in ("include", "lib"):
            (sdk / directory).mkdir(parents=True, exist_ok=True)
        links = {f"include/{one}": root / "usr/include" / one for one in ("wolfssl", "mbedtls", "psa")}
        links |= {f"lib/lib{one}.so": (root / f"usr/lib/x86_64-linux-gnu/lib{one}.so").resolve() for one in LIBRARIES[name]}
        for link, target in links.items():
            (sdk / link).unlink(missing_ok=True)
            (sdk / link).symlink_to(target)
        program.parent.mkdir(parents=True, exist_ok=True)
        command("gcc", "-O1", f"-I{sdk}/include", f"-L{sdk}/lib", "-Wl,--allow-shlib-undefined", "-o", str(program), str(source),
            *(f"-l{one}" for one in LIBRARIES[name]))
    return install


def cases(peers):
    def case(name, script, least, needs, versions):
        return Case(peers, f"DTLS: {name}", PRELUDE + script, least, needs, versions, PORTS)

    yield case("OpenSSL", """
serve_openssl 4440 -dtls1_2
ask_openssl one 4440 -dtls1_2
serve_openssl 4441 -dtls1_2 -listen -mtu 300
ask_openssl cookie 4441 -dtls1_2 -mtu 300
serve_openssl 4442 -dtls1 -cipher DEFAULT@SECLEVEL=0
ask_openssl old 4442 -dtls1 -cipher DEFAULT@SECLEVEL=0
serve_openssl 4443 -dtls -cipher AES128-SHA:ECDHE-ECDSA-AES128-SHA
ask_openssl any 4443 -dtls -sess_out session
ask_openssl again 4443 -dtls -sess_in session
serve_openssl 4444 -dtls1_2 -cipher ECDHE-ECDSA-AES128-SHA
openssl s_client -connect 127.0.0.1:4444 -dtls1_2 -cipher AES256-SHA >refused.log 2>&1 || true
""", 6, (), OPENSSL)

    yield case("GnuTLS", """
serve gnutls 4440 chroot $SID gnutls-serv --udp -p 4440 --echo --x509keyfile /tmp/case/key.pem --x509certfile /tmp/case/crt.pem
ask() {
	timeout 10 chroot $SID gnutls-cli --udp -p 4440 --insecure --sni-hostname server.test "$@" 127.0.0.1 >$name.log 2>&1 || true
	sed -n 's/^- Description: (DTLS\\([0-9.]*\\)-X.509)-(ECDHE-\\([A-Z0-9]*\\)).*/told client version DTLS \\1\\ntold client group \\2/p' $name.log >$name-told.log
}
name=one; ask
name=two; ask --mtu 300
name=three; ask --priority NORMAL:-VERS-ALL:+VERS-DTLS1.0:%COMPAT:-CIPHER-ALL:+AES-128-CBC
""", 2, (), {"GnuTLS": "chroot $PEERS/debian-sid gnutls-cli --version"})

    peer = "$PEERS/bin/dimpl-peer"
    yield case("dimpl", f"""
port=4440
for version in 12 13 ""; do
	serve dimpl-$port $port {peer} server $port $version
	asks dimpl-$port-client {peer} client $port $version
	port=$((port + 1))
done
serve dimpl-$port $port {peer} server $port
asks dimpl-$port-client {peer} client $port 12
serve_openssl 4450 -dtls1_2
asks to-openssl {peer} client 4450
""", 5, (crate("dimpl-peer"),), {"dimpl": "0.9.0", **OPENSSL})

    yield case("mbed TLS", """
python3 $HERE/quic/mbedtls_ends.py 4440 crt.pem key.pem
""", 1, (), {"python-mbedtls": "2.10.1"})

    yield case("mbed TLS 3", """
serve mbedtls 4440 chroot $SID /usr/local/bin/mbedtls-peer server 4440 /tmp/case/crt.pem /tmp/case/key.pem
asks client chroot $SID /usr/local/bin/mbedtls-peer client 4440
serve_openssl 4441 -dtls1_2
asks to-openssl chroot $SID /usr/local/bin/mbedtls-peer client 4441
serve mbedtls-2 4442 chroot $SID /usr/local/bin/mbedtls-peer server 4442 /tmp/case/crt.pem /tmp/case/key.pem
ask_openssl from-openssl 4442 -dtls1_2
""", 3, (library("mbedtls"),), {"mbed TLS": "basename $PEERS/debian-sid/usr/lib/x86_64-linux-gnu/libmbedtls.so.3.* | sed 's/.*so.//'", **OPENSSL})

    yield case("wolfSSL", """
for version in 12 13; do
	serve wolfssl-$version 44$version chroot $SID /usr/local/bin/wolfssl-peer server 44$version $version /tmp/case/crt.pem /tmp/case/key.pem
	asks client-$version chroot $SID /usr/local/bin/wolfssl-peer client 44$version $version
done
serve_openssl 4441 -dtls1_2
asks to-openssl chroot $SID /usr/local/bin/wolfssl-peer client 4441 12
""", 3, (library("wolfssl"),), {"wolfSSL": "grep -h LIBWOLFSSL_VERSION_STRING $PEERS/debian-sid/usr/include/wolfssl/version.h", **OPENSSL})

    yield case("aiortc", """
ip link add v0 type veth peer name v1
ip addr add 10.8.0.1/24 dev v0
ip link set v0 up
ip link set v1 up
asks call python3 $HERE/quic/aiortc_call.py
while read -r said role name suite; do
	[ "$name" != openssl_suite ] || echo "told $role cipher_suite $(registered $suite)"
done <call.log >call-told.log
""", 1, (), {"aiortc": "1.16.0"})
