#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# sslyze 6.3.1 (PyPI): of a TLS 1.2 server whose one group is X25519 it lists none of the ECDHE suites with AES, which the server does
# negotiate: it tries them with its older OpenSSL, which has no X25519. It lists ECDHE with ChaCha20, tried with the newer one, and then
# RSA key exchange with AES, so that what is missing reads as a choice of the server. Where the server takes P-256 too, it lists them.
#
# Seen: negotiated ECDHE-RSA-AES128-GCM-SHA256; listed ECDHE with AES: X25519 alone 0, with P-256 6; with ChaCha20: 1 and 1
set -eu
dir=$(mktemp -d)
servers=
finish() {
	for server in $servers; do kill "$server" 2>/dev/null || true; done
	rm -rf "$dir"
}
trap finish EXIT
cd "$dir"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check sslyze==6.3.1
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=server.test 2>/dev/null
# Serves with the groups named on a port of the kernel's choice, and sets `port`.
serve() {
	timeout 300 openssl s_server -accept 127.0.0.1:0 -cert cert.pem -key key.pem -groups "$1" -www > "log-$2" 2>&1 &
	servers="$servers $!"
	for _ in $(seq 100); do
		port=$(sed -n 's/^ACCEPT .*:\([0-9][0-9]*\).*/\1/p' "log-$2")
		[ -n "$port" ] && return
		sleep 0.1
	done
}
scan() {
	timeout 120 env/bin/sslyze --tlsv1_2 --mozilla_config disable "127.0.0.1:$port" > "$1" 2>&1 || true
}
count() { grep -c "$2" "$1" || true; }
serve X25519 one
negotiated=$(openssl s_client -connect "127.0.0.1:$port" -tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256 -brief < /dev/null 2>&1 | sed -n 's/^Ciphersuite: //p')
scan alone
serve X25519:P-256 two
scan both
seen="negotiated $negotiated; listed ECDHE with AES: X25519 alone $(count alone ECDHE_RSA_WITH_AES), with P-256 $(count both ECDHE_RSA_WITH_AES)"
seen="$seen; with ChaCha20: $(count alone ECDHE_RSA_WITH_CHACHA20) and $(count both ECDHE_RSA_WITH_CHACHA20)"
echo "$seen"
[ "$seen" = "negotiated ECDHE-RSA-AES128-GCM-SHA256; listed ECDHE with AES: X25519 alone 0, with P-256 6; with ChaCha20: 1 and 1" ]
