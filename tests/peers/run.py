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
PORTS = "20000-20999"


def record(work, script, *arguments):
    """Runs a script in namespaces of its own, and records it."""
    recording = work / "recording"
    command = [CAPTURE, "record", "-o", recording, "--", "unshare", "-mn", sys.executable, HERE / script, work, *arguments]
    done = subprocess.run([str(part) for part in command], env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, timeout=1800)
    if done.returncode:
        raise SystemExit(f"{script} ended with {done.returncode}")
    return recording


def dissected(work):
    """What both tsharks make of the packets: this machine's, and the one of Debian's suite."""
    yield wire.flows(work / "packets.pcap", ["tshark"], PORTS)
    inside = install.PEERS / "debian/tmp/packets.pcap"
    shutil.copy(work / "packets.pcap", inside)
    try:
        yield wire.flows("/tmp/packets.pcap", ["chroot", install.PEERS / "debian", "tshark"], PORTS)
    finally:
        inside.unlink()


def ssh(work, words):
    install.ssh()
    record(work, "inside.py", *words)
    return told(work, bool(words))


def told(work, some):
    """Compares and prints; gives whether all is well."""
    report = compare.ssh(work, work / "recording", ANALYZE, list(dissected(work)))
    if not some:
        report.enough()
    report.print()
    return not report.wrong and report.connections


def main():
    if sys.argv[1:2] == ["again"]:
        # What was kept of an earlier run, for who looks for a fault of the comparison.
        sys.exit(not told(pathlib.Path(sys.argv[2]), False))
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
