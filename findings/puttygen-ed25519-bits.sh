#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The same Ed25519 key has two sizes: puttygen (putty-tools 0.78-2+deb12u2) says 255 bits, as of the field that the curve is over, and
# ssh-keygen (openssh-client 1:9.2p1-2+deb12u10) says 256, as of its encoding. The fingerprints are the same,
# and keys of ECDSA and RSA have the same size in both. Who joins inventories of keys by type and size, or wants 256 bits at least of a key
# of SSH, finds the same key twice, or finds it weak.
#
# Wants Debian 12 (bookworm), or its packages.
#
# Seen: puttygen: 255; ssh-keygen: 256; fingerprints: same; ecdsa: 256 and 256; rsa: 2048 and 2048
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq putty-tools=0.78-2+deb12u2 openssh-client=1:9.2p1-2+deb12u10 2>/dev/null
for package in ./*.deb; do dpkg -x "$package" root; done
# What a program says of a public key: the size and the fingerprint.
by_putty() { root/usr/bin/puttygen "$1.pub" -O fingerprint | cut -d' ' -f2,3; }
by_openssh() { root/usr/bin/ssh-keygen -lf "$1.pub" | cut -d' ' -f1,2; }
for kind in ed25519 ecdsa rsa; do
	root/usr/bin/ssh-keygen -q -t $kind $([ $kind != rsa ] || echo -b 2048) -N '' -f $kind
done
size() { echo "${1%% *}"; }
same=different
[ "$(by_putty ed25519 | cut -d' ' -f2)" != "$(by_openssh ed25519 | cut -d' ' -f2)" ] || same=same
seen="puttygen: $(size "$(by_putty ed25519)"); ssh-keygen: $(size "$(by_openssh ed25519)"); fingerprints: $same"
for kind in ecdsa rsa; do
	seen="$seen; $kind: $(size "$(by_putty $kind)") and $(size "$(by_openssh $kind)")"
done
echo "$seen"
[ "$seen" = "puttygen: 255; ssh-keygen: 256; fingerprints: same; ecdsa: 256 and 256; rsa: 2048 and 2048" ]
