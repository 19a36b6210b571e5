#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# CPython 3.11.2 with OpenSSL 3.0.22 (Debian 12): SSLContext.get_ciphers() lists what no ClientHello of the context offers: the suites
# with pre-shared keys though the context has none, and those of TLS 1.3 though its maximum is TLS 1.2. An inventory by it, as audits of
# configuration make, has suites that cannot be used.
#
# Seen: listed and not offered: 30, of them with PSK or SRP 30; at most TLS 1.2: 33, of them of TLS 1.3 3
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
for package in python3.11-minimal libpython3.11-minimal libpython3.11-stdlib; do
	apt-get download -qq "$package=3.11.2-6+deb12u9" >/dev/null 2>&1
done
apt-get download -qq libssl3=3.0.22-1~deb12u2 >/dev/null 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" tree; done
cat > drive.py <<'END_PY'
"""Compares what contexts list with what their ClientHello offers."""
import ssl


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


def listed_alone(context):
    offered = hello(context)[0]
    return [suite for suite in context.get_ciphers() if suite["id"] & 0xFFFF not in offered]


plain, older = (ssl.create_default_context() for _ in range(2))
older.maximum_version = ssl.TLSVersion.TLSv1_2
more, most = listed_alone(plain), listed_alone(older)
keys = [suite for suite in more if "PSK" in suite["name"] or "SRP" in suite["name"]]
newer = [suite for suite in most if suite["protocol"] == "TLSv1.3"]
print(
    f"listed and not offered: {len(more)}, of them with PSK or SRP {len(keys)}; "
    f"at most TLS 1.2: {len(most)}, of them of TLS 1.3 {len(newer)}"
)
END_PY
seen=$(LD_LIBRARY_PATH=$dir/tree/usr/lib/$(uname -m)-linux-gnu PYTHONHOME=$dir/tree/usr tree/usr/bin/python3.11 -S -W ignore drive.py)
echo "$seen"
[ "$seen" = "listed and not offered: 30, of them with PSK or SRP 30; at most TLS 1.2: 33, of them of TLS 1.3 3" ]
