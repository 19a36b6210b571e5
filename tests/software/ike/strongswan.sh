#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Both ends of an IKE_SA by strongSwan, each in a network namespace of its own:
#
#   strongswan.sh CHARON INITIATORS-PROPOSALS RESPONDERS-PROPOSALS [INITIATORS-LINES [RESPONDERS-LINES [RESPONDERS-OPTIONS]]]
#
# Wants namespaces of its own for network, mounts and processes (unshare -nmpf). Proposals are those of swanctl.conf, lines are of
# its connection, and options are of the section charon of strongswan.conf. Says what swanctl tells of the initiation, which names
# the proposal that was selected; ends with 0 also when the other end refuses.
set -eu
charon=$1
dir=$PWD
# Where charon keeps its process id, and swanctl finds it.
mount -t tmpfs none /run

# The configuration of one end: configure WHO LOCAL REMOTE PROPOSALS LINES OPTIONS
configure() {
	mkdir -p "$dir/$1"
	cat > "$dir/$1/strongswan.conf" <<-CONF
		charon {
			load = random nonce openssl x509 pem pkcs1 pubkey hmac sha1 sha2 md5 aes gcm curve25519 ml kdf socket-default vici kernel-netlink
			install_routes = no
			threads = 8
			plugins { vici { socket = unix://$dir/$1/vici } }
			filelog { all { path = $dir/$1/log
			default = 1
			flush_line = yes } }
			$6
		}
	CONF
	cat > "$dir/$1/swanctl.conf" <<-CONF
		connections { there {
			version = 2
			local_addrs = $2
			remote_addrs = $3
			proposals = $4
			local { auth = psk
			id = $1 }
			remote { auth = psk }
			$5
			children { all { esp_proposals = aes128gcm16 } }
		} }
		secrets { ike { secret = "made for a test" } }
	CONF
}

configure initiator 10.9.0.1 10.9.0.2 "$2" "${4-}" ""
configure responder 10.9.0.2 10.9.0.1 "$3" "${5-}" "${6-}"
ip link set lo up
cat > respond <<-'SCRIPT'
	mount -t tmpfs none /run
	ip link set lo up
	until ip link show v1 >/dev/null 2>&1; do sleep 0.02; done
	ip addr add 10.9.0.2/24 dev v1
	ip link set v1 up
	exec "$1"
SCRIPT
STRONGSWAN_CONF=$dir/responder/strongswan.conf unshare -nm sh respond "$charon" >responder/out 2>&1 &
responder=$!
# Until it has its namespace.
until theirs=$(readlink /proc/$responder/ns/net) && [ "$theirs" != "$(readlink /proc/self/ns/net)" ]; do
	kill -0 $responder
	sleep 0.02
done
ip link add v0 type veth peer name v1 netns $responder
ip addr add 10.9.0.1/24 dev v0
ip link set v0 up
STRONGSWAN_CONF=$dir/initiator/strongswan.conf "$charon" >initiator/out 2>&1 &
initiator=$!

# swanctl on one end: control WHO ARGUMENTS…
control() {
	who=$1
	shift
	STRONGSWAN_CONF=$dir/$who/strongswan.conf swanctl "$@" --uri "unix://$dir/$who/vici" 2>&1
}

for who in initiator responder; do
	until [ -S "$who/vici" ]; do kill -0 $initiator; kill -0 $responder; sleep 0.05; done
	control $who --load-all --file "$dir/$who/swanctl.conf" >"$who/loaded" || { cat "$who/loaded" "$who/log"; exit 1; }
done
control initiator --initiate --ike there --timeout 10 || true
kill $initiator $responder
wait || true
