#!/bin/sh
# What tests/kernels/matrix records on each kernel, and on the machine it runs on: opens of every kind, processes that end at
# once, a TLS handshake. What it does is the same everywhere, so what is recorded of it has to be.
set -e
# Nothing of what was recorded before.
rm -rf /tmp/crypto-trace-matrix
dir=/tmp/crypto-trace-matrix
mkdir -p $dir/sub && cd $dir
umask 022
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=matrix.test -keyout server.key -out server.crt -days 2 2> /dev/null
echo x > sub/id_ed25519
ln -sf ../server.key sub/link.pem
touch unlinked.pem plain.txt

# Every call, absolute and relative, through links, refused, not there, of directories.
$CRYPTO_TRACE_BIN_DIR/workload quiet \
	open 0 0 $dir/server.key openat 0 0 server.crt openat2 0 0 sub/id_ed25519 creat 0 420 created.p12 open32 0 0 server.crt \
	open 0 0 sub/link.pem openat 0 0 plain.txt openat 0 0 missing.key open 0 0 sub/../server.crt \
	openat 65536 0 sub openat 577 384 written.jks repeat 3 openat 0 0 server.key

# Names that come and go, modes and owners: 264 is renameat, 268 fchmodat, 260 fchownat, 266 symlinkat, 263 unlinkat; 38 is rename of
# 32-bit programs. -100: from here.
$CRYPTO_TRACE_BIN_DIR/workload quiet \
	sys 264 4 -100 plain.txt -100 born.key sys 268 3 -100 born.key 256 sys 260 5 -100 $dir/born.key 0 0 0 sys 264 4 -100 born.key -100 plain.txt \
	sys 266 3 ../server.key -100 sub/new.pem sys 263 3 -100 sub/new.pem 0 sys 263 3 -100 missing.key 0 sys32 38 2 plain.txt plain2.txt \
	sys32 38 2 plain2.txt born.pem > /dev/null

# Processes that live for a moment.
i=0
while [ $i -lt 50 ]; do
	cat server.crt > /dev/null
	i=$((i + 1))
done

openssl s_server -accept 127.0.0.1:4433 -key server.key -cert server.crt -naccept 1 -quiet > /dev/null 2>&1 &
server=$!
i=0
# Its listening socket, by address, port and state; to connect to it would be its only connection.
until [ $i -ge 300 ] || grep -q ' 0100007F:1151 00000000:0000 0A ' /proc/net/tcp; do
	sleep 0.1
	i=$((i + 1))
done
echo | openssl s_client -connect 127.0.0.1:4433 -servername matrix.test -tls1_3 > /dev/null 2>&1
wait $server || true
