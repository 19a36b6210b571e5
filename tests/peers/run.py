#!/usr/bin/env python3
"""Holds what is recorded of SSH and IKE against what tshark and the programs themselves tell: tests/peers/run.py [ssh|ike] [WORD...]

Installs many stacks into target/peers (see install.py), has each pair of pairs.py speak in a network namespace of its own while that is
recorded, and compares field by field. Only pairs whose name has one of the WORDs are run. Prints a table; ends with 1 where something
differs that explained.py has no reason for. Needs root, dumpcap, mmdebstrap, javac, npm, cargo, and the debug build
(cargo build -p crypto-trace-capture -p crypto-trace-analyze --bins). With PEERS_KEEP=DIRECTORY what was recorded is left there.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

import compare
import install
import wire

CAPTURE = install.ROOT / "target/debug/crypto-trace-capture"
ANALYZE = install.ROOT / "target/debug/crypto-trace-analyze"
# The newer of the two: tshark of Debian's stable, which knows what is newer than this machine's.
TSHARK = ["tshark"]
PORTS = "20000-20999"


def record(work, script, *arguments):
    """Runs a script in namespaces of its own, and records it."""
    recording = work / "recording"
    command = [CAPTURE, "record", "-o", recording, "--", "unshare", "-mn", sys.executable, HERE / script, work, *arguments]
    done = subprocess.run([str(part) for part in command], env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, timeout=1800)
    if done.returncode:
        raise SystemExit(f"{script} ended with {done.returncode}")
    return recording


def ssh(work, words):
    install.ssh()
    recording = record(work, "inside.py", *words)
    flows, version = wire.flows(work / "packets.pcap", TSHARK, PORTS)
    report = compare.ssh(work, recording, ANALYZE, flows, version)
    report.print()
    return not report.wrong and report.connections


def again(kept):
    """Compares what was kept of an earlier run, for who looks for a fault of the comparison."""
    flows, version = wire.flows(kept / "packets.pcap", TSHARK, PORTS)
    report = compare.ssh(kept, kept / "recording", ANALYZE, flows, version)
    report.print()


def main():
    if sys.argv[1:2] == ["again"]:
        return again(pathlib.Path(sys.argv[2]))
    words = sys.argv[1:]
    what = words.pop(0) if words and words[0] in ("ssh", "ike") else ""
    work = pathlib.Path(tempfile.mkdtemp(prefix="crypto-trace-peers-"))
    try:
        good = True
        if what in ("", "ssh"):
            good &= bool(ssh(work, words))
    finally:
        keep = os.environ.get("PEERS_KEEP")
        if keep:
            shutil.copytree(work, keep, dirs_exist_ok=True)
        shutil.rmtree(work)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
