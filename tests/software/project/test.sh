#!/bin/sh
# The tests of a sample project, as its CI job records them: a server and a client of TLS, a key of its own, a digest. What is
# named on the command line is what somebody changed: `tls1.1`, `key`, `md5`.
set -eu
version=-tls1_2 digest=sha256 key=server.key
case "${1:-}" in
tls1.1) version=-tls1_1 ;;
key) key=copy.key && cp server.key "$key" ;;
md5) digest=md5 ;;
esac
openssl s_server -accept 127.0.0.1:0 -cert server.crt -key "$key" -naccept 1 -quiet -cipher ALL:@SECLEVEL=0 >server.log 2>&1 &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
# -quiet says no port: the kernel does.
until port=$(ss -tlnpH | sed -n "s/.*127.0.0.1:\([0-9]*\) .*pid=$server,.*/\1/p") && [ -n "$port" ]; do sleep 0.05; done
echo hello | openssl s_client -connect "127.0.0.1:$port" "$version" -cipher ALL:@SECLEVEL=0 >client.log 2>&1 || true
echo hello | openssl dgst "-$digest" >/dev/null
wait $server || true
