#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# sslyze 6.3.1 (PyPI) and sslscan 2.0.7 (Debian 12): of a server whose one group is X25519MLKEM768 (Node.js 24.21.0) they state that it
# has no TLS 1.3 ("rejected", "disabled"), as they cannot offer the group; of one that prefers it and takes X25519 too they list X25519
# alone. Neither says that there are groups which it did not try, so what they say of a post-quantum server is that it is old.
#
# Seen: Node.js X25519MLKEM768; hybrid alone: sslyze finds TLS 1.3 suites 0, sslscan TLSv1.3 disabled;
# both: 3 and TLSv1.3 enabled, hybrid shown 0
set -eu
dir=$(mktemp -d)
server=
finish() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	rm -rf "$dir"
}
trap finish EXIT
cd "$dir"
apt-get download -qq sslscan=2.0.7-1+b1 libssl3=3.0.22-1~deb12u2 >/dev/null 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" tree; done
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check sslyze==6.3.1
npm init -y >/dev/null
npm install --silent --no-audit --no-fund node@24.21.0 >/dev/null
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=server.test 2>/dev/null
cat > serve.js <<'END_JS'
// Two servers on loopback for at most five minutes; prints what Node.js negotiates with the first, then their ports.
const tls = require("node:tls");
const { readFileSync } = require("node:fs");

const files = { key: readFileSync("key.pem"), cert: readFileSync("cert.pem") };
const serve = (ecdhCurve) =>
  new Promise((resolve) => {
    const server = tls.createServer({ ...files, ecdhCurve }, (socket) => socket.on("error", () => {}).end());
    server.on("tlsClientError", () => {});
    server.listen(0, "127.0.0.1", () => resolve(server.address().port));
  });
setTimeout(() => process.exit(0), 300_000);
Promise.all([serve("X25519MLKEM768"), serve("X25519MLKEM768:X25519")]).then(([alone, both]) => {
  const socket = tls.connect({ host: "127.0.0.1", port: alone, rejectUnauthorized: false }, () => {
    console.log(socket.getEphemeralKeyInfo().name, alone, both);
    socket.end();
  });
});
END_JS
node_modules/.bin/node serve.js > ports &
server=$!
for _ in $(seq 100); do
	[ -s ports ] && break
	sleep 0.1
done
read -r group alone both < ports
for port in "$alone" "$both"; do
	timeout 120 env/bin/sslyze --tlsv1_3 --elliptic_curves --mozilla_config disable "127.0.0.1:$port" > "sslyze-$port" 2>&1 || true
	LD_LIBRARY_PATH=$dir/tree/usr/lib/$(uname -m)-linux-gnu timeout 120 tree/usr/bin/sslscan --no-colour "127.0.0.1:$port" > "sslscan-$port" 2>&1 || true
done
suites() { grep -c 'TLS_[A-Z0-9_]* *\(128\|256\) ' "sslyze-$1" || true; }
enabled() { grep -E '^TLSv1.3 +(en|dis)abled' "sslscan-$1" | tr -s ' '; }
seen="Node.js $group; hybrid alone: sslyze finds TLS 1.3 suites $(suites "$alone"), sslscan $(enabled "$alone"); both: $(suites "$both")"
seen="$seen and $(enabled "$both"), hybrid shown $(cat "sslyze-$both" "sslscan-$both" | grep -c -i mlkem || true)"
echo "$seen"
[ "$seen" = "Node.js X25519MLKEM768; hybrid alone: sslyze finds TLS 1.3 suites 0, sslscan TLSv1.3 disabled; \
both: 3 and TLSv1.3 enabled, hybrid shown 0" ]
