#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# tshark 4.0.17 (Debian 12): what follows a PROXY protocol header of version 2 in the same packet is not dissected, neither by
# the heuristics nor with "Decode As"; after a header of version 1 it is. A ClientHello that a load balancer sends together
# with the header is missing from what tshark says of the connection.
#
# Seen: client hellos found: v1 1, v2 0, v2 in a packet of its own 1
set -eu
version=4.0.17-0+deb12u3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
for package in tshark libwireshark16 libwiretap13 libwsutil14; do apt-get download -qq "$package=$version" >/dev/null; done
apt-get download -qq libwireshark-data="$version" libsmi2ldbl liblua5.2-0 libc-ares2 libpcap0.8 libsnappy1v5 libnghttp2-14 libspeexdsp1 \
	>/dev/null
for deb in *.deb; do dpkg-deb -x "$deb" tree; done
cat > make.py <<'END'
"""One TCP connection, whose first data is a PROXY header and a ClientHello made by OpenSSL; as a capture file."""
import ssl
import struct
import sys

outgoing = ssl.MemoryBIO()
try:
    ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="proxied.test").do_handshake()
except ssl.SSLWantReadError:
    pass
hello = outgoing.read()
v1 = b"PROXY TCP4 192.0.2.1 192.0.2.2 4444 443\r\n"
v2 = b"\r\n\r\n\0\r\nQUIT\n" + b"\x21\x11" + struct.pack(">H", 12) + bytes([192, 0, 2, 1, 192, 0, 2, 2]) + struct.pack(">HH", 4444, 443)
client, server, isn = (b"\x7f\0\0\1", 40000), (b"\x7f\0\0\1", 443), 1000


def packet(source, dest, seq, ack, flags, data=b""):
    tcp = struct.pack(">HHIIBBHHH", source[1], dest[1], seq, ack, 5 << 4, flags, 65535, 0, 0) + data
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0, source[0], dest[0])
    frame = bytes(12) + b"\x08\0" + ip + tcp
    return struct.pack("<IIII", 1, 0, len(frame), len(frame)) + frame


segments = {"v1": [v1 + hello], "v2": [v2 + hello], "v2-own": [v2, hello]}[sys.argv[1]]
out = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
out += packet(client, server, isn, 0, 2) + packet(server, client, 5000, isn + 1, 0x12) + packet(client, server, isn + 1, 5001, 0x10)
at = isn + 1
for data in segments:
    out += packet(client, server, at, 5001, 0x18, data)
    at += len(data)
open(sys.argv[1] + ".pcap", "wb").write(out)
END
hellos() {
	python3 make.py "$1"
	LD_LIBRARY_PATH=$(dirname "$(find tree -name 'libwireshark.so.16' | head -n 1)") WIRESHARK_DATA_DIR=$dir/tree/usr/share/wireshark HOME=$dir \
		tree/usr/bin/tshark -n -r "$1.pcap" -d tcp.port==443,tls -Y tls.handshake.type==1 2>/dev/null | wc -l
}
seen="client hellos found: v1 $(hellos v1), v2 $(hellos v2), v2 in a packet of its own $(hellos v2-own)"
echo "$seen"
[ "$seen" = "client hellos found: v1 1, v2 0, v2 in a packet of its own 1" ]
