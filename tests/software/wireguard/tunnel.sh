#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# A tunnel between two ends of wireguard-go, each in a network namespace of its own:
#
#   tunnel.sh WIREGUARD-GO [psk|busy|absent]
#
# Wants namespaces of its own for network, mounts and processes (unshare -nmpf). Both ends have a preshared key with `psk`; the
# other end is not there with `absent`. Says what wg tells of each end: its name, the port, and when its last handshake was.
set -eu
program=$1
what=${2:-}
dir=$PWD
mount -t tmpfs none /run
umask 077

ip netns add left
ip netns add right
ip link add wire netns left type veth peer name wire netns right
[ "$what" != psk ] || wg genpsk > "$dir/psk"
for end in left right; do
	wg genkey > "$dir/$end.key"
	wg pubkey < "$dir/$end.key" > "$dir/$end.pub"
done
# One end: set_up NAME OUTER INNER OTHER OTHERS-OUTER
set_up() {
	ip -n "$1" addr add "$2/24" dev wire
	ip -n "$1" link set wire up
	ip -n "$1" link set lo up
	[ "$what$1" != absentright ] || return 0
	ip netns exec "$1" "$program" -f "$1" > "$dir/$1.log" 2>&1 &
	until [ -S "/run/wireguard/$1.sock" ]; do sleep 0.05; done
	ip netns exec "$1" wg set "$1" listen-port 51820 private-key "$dir/$1.key" peer "$(cat "$dir/$4.pub")" \
		allowed-ips 10.9.0.0/24 endpoint "$5:51820" $([ ! -f "$dir/psk" ] || echo preshared-key "$dir/psk")
	ip -n "$1" addr add "$3/24" dev "$1"
	ip -n "$1" link set "$1" up
}
set_up right 192.0.2.2 10.9.0.2 left 192.0.2.1
set_up left 192.0.2.1 10.9.0.1 right 192.0.2.2
# A datagram into the tunnel opens it.
tries=0
while [ $tries -lt 100 ]; do
	ip netns exec left python3 -c 'import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("10.9.0.2", 9))'
	[ "$(ip netns exec left wg show left latest-handshakes | cut -f2)" = 0 ] || break
	[ "$what" != absent ] || [ $tries -lt 3 ] || break
	tries=$((tries + 1))
	sleep 0.1
done
for end in left right; do
	[ "$what$end" = absentright ] || ip netns exec "$end" wg show "$end" latest-handshakes | sed "s/^.*	/handshake $end /"
done
