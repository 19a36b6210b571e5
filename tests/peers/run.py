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
import ike_compare
import install
import wire

CAPTURE = install.ROOT / "target/debug/crypto-trace-capture"
ANALYZE = install.ROOT / "target/debug/crypto-trace-analyze"
PORTS = "20000-20999"


def record(work, script, *arguments, spaces=("-mn",)):
    """Runs a script in namespaces of its own, and records it."""
    recording = work / "recording"
    command = [CAPTURE, "record", "-o", recording, "--", "unshare", *spaces, sys.executable, HERE / script, work, *arguments]
    done = subprocess.run([str(part) for part in command], env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, timeout=1800)
    if done.returncode:
        raise SystemExit(f"{script} ended with {done.returncode}")
    return recording


def dissected(work):
    """What both tsharks make of the packets: this machine's, and the one of Debian's suite."""
    return [(wire.flows(where, tshark, PORTS), version) for version, tshark, where in tsharks(work / "packets.pcap")]


def ssh(work, words):
    install.ssh()
    record(work, "inside.py", *words)
    return told(work, bool(words))


def tsharks(packets):
    """Both tsharks: version, how each is called, and where it finds the packets."""
    # A name of its own: two runs may compare at once.
    handle, name = tempfile.mkstemp(suffix=".pcap", dir=install.PEERS / "debian/tmp")
    os.close(handle)
    inside = pathlib.Path(name)
    shutil.copy(packets, inside)
    try:
        for tshark, where in ((["tshark"], packets), (["chroot", install.PEERS / "debian", "tshark"], f"/tmp/{inside.name}")):
            yield wire.version(tshark), tshark, where
    finally:
        inside.unlink()


def ike(work, words):
    install.ike()
    record(work, "ike_inside.py", *words, spaces=("-nmpf", "--mount-proc"))
    return told_of_ike(work, bool(words))


def told_of_ike(work, some):
    report = ike_compare.ike(work, work / "recording", ANALYZE, tsharks)
    if not some:
        report.enough((("exchanges", 24, sum(report.connections.values())), ("fields", 1500, sum(report.compared.values()))))
    report.print()
    return not report.wrong and report.connections


def told(work, some):
    """Compares and prints; gives whether all is well."""
    report = compare.ssh(work, work / "recording", ANALYZE, dissected(work))
    if not some:
        report.enough((("connections", 600, sum(report.connections.values())), ("fields", 45000, sum(report.compared.values())),
            ("pairs of stacks", 38, len(report.connections))))
    report.print()
    return not report.wrong and report.connections


def main():
    if sys.argv[1:2] == ["again"]:
        # What was kept of an earlier run, for who looks for a fault of the comparison.
        kept = pathlib.Path(sys.argv[2])
        sys.exit(not (told if (kept / "pairs.json").exists() else told_of_ike)(kept, True))
    words = sys.argv[1:]
    what = words.pop(0) if words and words[0] in ("ssh", "ike") else ""
    good = True
    for name, part in (("ssh", ssh), ("ike", ike)):
        if what not in ("", name):
            continue
        work = pathlib.Path(tempfile.mkdtemp(prefix="crypto-trace-peers-"))
        try:
            good &= bool(part(work, words))
        finally:
            if "PEERS_KEEP" in os.environ:
                # Sockets are no files.
                shutil.copytree(work, pathlib.Path(os.environ["PEERS_KEEP"]) / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("vici"))
            shutil.rmtree(work)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
