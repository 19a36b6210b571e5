#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""QUIC and DTLS by real stacks, against tshark and against what they say themselves: tests/peers/quic.py [--keep DIR] [--whole] [WORD...]

Each case of quic_stacks.py and dtls_stacks.py has a stack connect on loopback, in a network namespace of its own, while
crypto-trace-capture records and dumpcap writes the packets; then every field that both know is compared. Only cases whose name has
one of the WORDs are run. What is missing is installed into target/peers, from PyPI, crates.io and Debian. Exit code 1 for a
difference that EXPLAINED does not have, or a case that did not run.

--whole: datagrams that the kernel is given, or gives, as one packet (GSO, GRO) stay one. Then the file has them as one, which tshark
cannot divide, and only what programs tell is compared. --keep: recordings and packets are kept in DIR.

Needs root, dumpcap, mmdebstrap, Rust, and the debug build (cargo build -p crypto-trace-capture -p crypto-trace-analyze --bins).
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import dtls_stacks
import quic_stacks
from quic_compare import Comparison, compare, told
from quic_tshark import flows

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PEERS = ROOT / "target/peers"
CAPTURE = ROOT / "target/debug/crypto-trace-capture"
ANALYZE = ROOT / "target/debug/crypto-trace-analyze"

# Seconds that a case may take.
PATIENCE = 240

# Differences that are no fault of ours: case, field, whose, why.
EXPLAINED = [*quic_stacks.EXPLAINED, *dtls_stacks.EXPLAINED]

PRELUDE = r"""
set -eu
exec </dev/null
export HOME=$PWD PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$PEERS/wheels
ip link set lo up
[ -n "$WHOLE" ] || chroot $SID ethtool -K lo tx-udp-segmentation off
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=test CA" -keyout ca.key -out ca.pem 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=server.test -keyout key.pem -out csr.pem 2>/dev/null
echo subjectAltName=DNS:server.test,DNS:localhost,IP:127.0.0.1 > names
openssl x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out crt.pem 2>/dev/null
chmod 644 key.pem
touch dumpcap.log
dumpcap -q -i lo -s 0 -B 64 -f 'udp' -w packets.pcap 2>dumpcap.log &
dumpcap=$!
servers=""
trap 'for s in $servers $dumpcap; do kill $s 2>/dev/null || true; done; wait' EXIT
until grep -q '^File:' dumpcap.log; do kill -0 $dumpcap; sleep 0.02; done
# serve NAME PORT COMMAND…: starts it in the background, and waits until it listens
serve() {
	name=$1 port=$2; shift 2
	"$@" >$name.log 2>&1 &
	server=$!
	servers="$servers $server"
	tries=0
	until ss -Hlun "sport = :$port" | grep -q .; do
		tries=$((tries + 1)); [ $tries -lt 400 ] && kill -0 $server || { tail -n 20 $name.log >&2; exit 1; }; sleep 0.05
	done
}
# stop: ends the last server, so that the next may have its port
stop() { kill $server 2>/dev/null || true; wait $server 2>/dev/null || true; }
# asks NAME COMMAND…: a client, which has to come to an end well
asks() { name=$1; shift; timeout -k 1 60 "$@" >$name.log 2>&1 || { echo "$name failed" >&2; tail -n 20 $name.log >&2; exit 1; }; }
# In Debian's suites this directory is /tmp/case.
for suite in sid trixie; do [ ! -e $PEERS/debian-$suite ] || { mkdir -p $PEERS/debian-$suite/tmp/case; mount --bind . $PEERS/debian-$suite/tmp/case; }; done
IN_SID="env HOME=/tmp/case chroot $PEERS/debian-sid" IN_TRIXIE="env HOME=/tmp/case chroot $PEERS/debian-trixie"
told() { sed -n "$1" $2; }
"""

# The last packet, so that it is known when all were captured.
EPILOGUE = r"""
python3 -c 'import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b"the last of the packets", ("127.0.0.1", 9))'
tries=0
until grep -q 'the last of the packets' packets.pcap; do tries=$((tries + 1)); [ $tries -lt 250 ]; sleep 0.02; done
kill -INT $dumpcap
wait $dumpcap || true
# In the order in which they were begun.
cat $(ls -tr --time=birth *.log) | grep '^told ' || true
"""


def run(case, keep, whole):
    """Runs a case, and compares."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="crypto-trace-peers-"))
    directory.chmod(0o755)
    try:
        paths = f"WHOLE={'1' if whole else ''} PEERS='{PEERS}' SID='{PEERS}/debian-sid' HERE='{pathlib.Path(__file__).parent}'\n"
        (directory / "script").write_text(paths + PRELUDE + case.script + EPILOGUE)
        done = subprocess.run(["timeout", "-k", "5", str(PATIENCE), CAPTURE, "record", "-o", directory / "out", "--wire", "quic,dtls", "--",
            "unshare", "-mn", "sh", "script"], cwd=directory, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"exit code {done.returncode}: {done.stdout[-500:]} {done.stderr[-1500:]}")
        log = (directory / "dumpcap.log").read_text()
        if not re.search(r": \d+/0 ", log):
            raise RuntimeError(f"packets are missing: {log[-300:]}")
        shown = subprocess.run([ANALYZE, "events", "--type", "tls_handshake", directory / "out"], capture_output=True, text=True, check=True)
        events = [json.loads(line) for line in shown.stdout.splitlines()]
        if whole:
            result = Comparison()
            result.connections = sum(event["role"] == "client" for event in events)
        else:
            shutil.copy(directory / "packets.pcap", PEERS / "debian-sid/tmp/packets.pcap")
            result = compare(events, flows(["chroot", PEERS / "debian-sid", "tshark"], "/tmp/packets.pcap", case.ports))
        told(result, events, done.stdout.splitlines())
        return result
    finally:
        if keep:
            kept = keep / case.name.replace("/", "-").replace(" ", "-")
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(directory, kept)
        shutil.rmtree(directory)


def explained(case, name, difference):
    return any(re.search(of, case) and re.search(field, name) and re.search(what, difference) for of, field, what, _ in EXPLAINED)


def main():
    words = sys.argv[1:]
    keep = None
    if "--keep" in words:
        at = words.index("--keep")
        keep = pathlib.Path(words[at + 1]).resolve()
        del words[at:at + 2]
    whole = "--whole" in words
    words = [word for word in words if word != "--whole"]
    cases = [case for case in [*quic_stacks.cases(PEERS), *dtls_stacks.cases(PEERS)] if not words or any(word.lower() in case.name.lower() for word in words)]
    rows, failed, counted = [], [], 0
    for case in cases:
        try:
            case.install()
            result = run(case, keep, whole)
            if result.connections < case.least:
                raise RuntimeError(f"{result.connections} connections of {case.least}")
        except Exception as error:  # Whatever went wrong with one, the others are run.
            said = getattr(error, "stderr", None) or ""
            print(f"{case.name}: did not run: {error} {said[-1500:]}", flush=True)
            failed.append(case.name)
            continue
        bad = [(name, what) for name, what in result.differing if not explained(case.name, name, what)]
        known = len(result.differing) - len(bad)
        total = result.compared + result.told
        counted += total
        rows.append((case.name, case.version(), result.connections, result.compared, result.told, total - len(result.differing), known, len(bad)))
        print("{}: {} connections, {} fields of tshark, {} told; {} agree, {} explained, {} differ".format(rows[-1][0], *rows[-1][2:]), flush=True)
        for name, what in bad:
            print(f"    {name}: {what}", flush=True)
        if bad:
            failed.append(case.name)
    head = ("case", "versions", "connections", "fields of tshark", "told", "agree", "explained", "differ")
    widths = [max(len(str(row[column])) for row in [head, *rows]) for column in range(len(head))]
    print()
    for row in [head, *rows]:
        print("  ".join(str(value).ljust(width) if at < 2 else str(value).rjust(width) for at, (value, width) in enumerate(zip(row, widths))))
    print(f"\n{len(rows)} cases, {sum(row[2] for row in rows)} connections, {counted} fields compared with tshark {tshark_version()} and with what programs tell")
    if failed:
        sys.exit(f"not as expected: {', '.join(dict.fromkeys(failed))}")


def tshark_version():
    said = subprocess.run(["chroot", PEERS / "debian-sid", "tshark", "--version"], capture_output=True, text=True).stdout
    found = re.search(r"\d+(\.\d+)+", said)
    return found.group() if found else "of no version"


main()
