#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# ssldump 1.5 (Debian 12) and pyja3 1.0.0 (PyPI): a ClientHello in two TCP segments is not found; pyja3 has no reassembly, and ssldump
# loses the client's stream where its first message is incomplete. One with the key share of X25519MLKEM768, as OpenSSL sends by default
# since 3.5, is longer than a segment on Ethernet: an inventory of clients made with these lacks just the post-quantum ones.
#
# Seen: X25519MLKEM768 offered; client hellos found: ssldump in one segment 1, in two 0; ja3 in one segment 1, in two 0
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq ssldump=1.5-1 libnet1=1.1.6+dfsg-3.2 libjson-c5=0.16-2 libpcap0.8=1.10.3-1 >/dev/null 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" tree; done
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check pyja3==1.0.0 dpkt==1.9.8 pyOpenSSL==26.4.0 cryptography==50.0.2
cat > make.py <<'END_PY'
"""The ClientHello of OpenSSL's defaults, answered with an alert: in one segment of TCP, and in two as on Ethernet."""
import struct

from OpenSSL import SSL

CLIENT, SERVER = (b"\x7f\0\0\1", 40000), (b"\x7f\0\0\1", 443)

connection = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
connection.set_tlsext_host_name(b"client.test")
connection.set_connect_state()
try:
    connection.do_handshake()
except SSL.WantReadError:
    pass
hello = connection.bio_read(65536)
alert = b"\x15\3\3\0\2\2\x28"


def packet(number, source, dest, seq, ack, flags, data=b""):
    tcp = struct.pack(">HHIIBBHHH", source[1], dest[1], seq, ack, 5 << 4, flags, 65535, 0, 0) + data
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0, source[0], dest[0])
    frame = bytes(12) + b"\x08\0" + ip + tcp
    return struct.pack("<IIII", number, 0, len(frame), len(frame)) + frame


def write(path, segments):
    packets = [(CLIENT, SERVER, 1000, 0, 0x02), (SERVER, CLIENT, 5000, 1001, 0x12), (CLIENT, SERVER, 1001, 5001, 0x10)]
    at = 1001
    for data in segments:
        packets.append((CLIENT, SERVER, at, 5001, 0x18, data))
        at += len(data)
        packets.append((SERVER, CLIENT, 5001, at, 0x10))
    packets.append((SERVER, CLIENT, 5001, at, 0x18, alert))
    packets.append((CLIENT, SERVER, at, 5001 + len(alert), 0x10))
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number, fields in enumerate(packets):
            file.write(packet(number, *fields))


write("one.pcap", [hello])
write("two.pcap", [hello[:1448], hello[1448:]])
print("X25519MLKEM768 offered" if len(hello) > 1448 and b"\x11\xec" in hello else "X25519MLKEM768 not offered")
END_PY
offered=$(env/bin/python make.py)
lib=$dir/tree/usr/lib/$(uname -m)-linux-gnu
ssldump() { LD_LIBRARY_PATH=$lib tree/usr/sbin/ssldump -n -r "$1.pcap" 2>/dev/null | grep -c ClientHello || true; }
ja3() { env/bin/ja3 "$1.pcap" 2>/dev/null | grep -c '"ja3"' || true; }
seen="$offered; client hellos found: ssldump in one segment $(ssldump one), in two $(ssldump two)"
seen="$seen; ja3 in one segment $(ja3 one), in two $(ja3 two)"
echo "$seen"
[ "$seen" = "X25519MLKEM768 offered; client hellos found: ssldump in one segment 1, in two 0; ja3 in one segment 1, in two 0" ]
