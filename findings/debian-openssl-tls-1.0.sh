#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# OpenSSL 3.0.22 (Debian 12), by CPython's ssl: with the defaults, at security level 2, each ClientHello offers TLS 1.1 and 1.0, and
# with a server that has RSA key exchange they are negotiated; with ECDHE the client ends the handshake, as that needs a SHA-1 signature.
# OpenSSL's notes have it so for 3.0 alone, and Debian's file of settings has no MinProtocol. That these versions are off "by default in
# OpenSSL 3" is no ground to leave them out of an inventory, and that they are offered none to state that they work.
#
# Seen: OpenSSL 3.0.22, level 2; offered 1.3 1.2 1.1 1.0; of a server of TLS 1.0: ECDHE refused, RSA key exchange TLSv1 AES256-SHA; of TLS 1.1: refused, TLSv1.1 AES256-SHA
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
for package in python3.11-minimal libpython3.11-minimal libpython3.11-stdlib; do
	apt-get download -qq "$package=3.11.2-6+deb12u9" >/dev/null 2>&1
done
apt-get download -qq libssl3=3.0.22-1~deb12u2 >/dev/null 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" tree; done
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=server.test 2>/dev/null
cat > drive.py <<'END_PY'
"""Prints what a client of the defaults offers, and what it negotiates in memory with servers of older versions."""
import ssl

NAMES = {4: "1.3", 3: "1.2", 2: "1.1", 1: "1.0"}


def hello(context):
    """The suites and the versions that a ClientHello of the context offers."""
    out = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="client.test").do_handshake()
    except ssl.SSLWantReadError:
        pass
    data = out.read()
    at = 43  # record header, message header, version and random
    at += 1 + data[at]
    end = at + 2 + int.from_bytes(data[at : at + 2], "big")
    suites = {int.from_bytes(data[place : place + 2], "big") for place in range(at + 2, end, 2)}
    at = end + 1 + data[end] + 2
    versions = []
    while at < len(data):
        kind, length = (int.from_bytes(data[at + part : at + part + 2], "big") for part in (0, 2))
        if kind == 43:
            versions = [data[place + 1] for place in range(at + 5, at + 4 + length, 2)]
        at += 4 + length
    return suites, versions


def negotiated(version, suites):
    client = ssl.create_default_context(cafile="cert.pem")
    client.check_hostname = False
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain("cert.pem", "key.pem")
    server.set_ciphers(f"{suites}:@SECLEVEL=0")
    server.minimum_version = server.maximum_version = version
    to_client, to_server, ends = ssl.MemoryBIO(), ssl.MemoryBIO(), []
    ends.append(client.wrap_bio(to_client, to_server))
    ends.append(server.wrap_bio(to_server, to_client, server_side=True))
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                return "refused"
    return f"{ends[0].version()} {ends[0].cipher()[0]}"


client = ssl.create_default_context()
offered = " ".join(NAMES[version] for version in hello(client)[1])
old, newer = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
ecdhe, rsa = "ECDHE-RSA-AES256-SHA", "AES256-SHA"
print(
    f"{' '.join(ssl.OPENSSL_VERSION.split()[:2])}, level {client.security_level}; offered {offered}; of a server of TLS 1.0: ECDHE {negotiated(old, ecdhe)}, "
    f"RSA key exchange {negotiated(old, rsa)}; of TLS 1.1: {negotiated(newer, ecdhe)}, {negotiated(newer, rsa)}"
)
END_PY
seen=$(LD_LIBRARY_PATH=$dir/tree/usr/lib/$(uname -m)-linux-gnu PYTHONHOME=$dir/tree/usr tree/usr/bin/python3.11 -S -W ignore drive.py)
echo "$seen"
[ "$seen" = "OpenSSL 3.0.22, level 2; offered 1.3 1.2 1.1 1.0; of a server of TLS 1.0: ECDHE refused, RSA key exchange TLSv1 AES256-SHA; \
of TLS 1.1: refused, TLSv1.1 AES256-SHA" ]
