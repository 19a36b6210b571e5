"""Has each pair of ends speak SSH on loopback, in namespaces of its own: inside.py DIRECTORY [WORD...]

Run by `unshare -mn` while crypto-trace-capture records it; dumpcap writes the packets. One pair after another, each with a server and a
port of its own. What the ends printed is left in DIRECTORY for compare.py.
"""

import dataclasses
import json
import os
import pathlib
import shlex
import signal
import socket
import subprocess
import sys
import time

from install import PEERS, run
from pairs import all_pairs

WORK = pathlib.Path(sys.argv[1])
WORDS = sys.argv[2:]
FIRST_PORT = 20000
# Seconds that a client may take, and a server to listen.
PATIENCE = 40

KEYS = {"ed25519": ("ed25519", None), "rsa": ("rsa", 3072), "rsa2048": ("rsa", 2048), "ecdsa256": ("ecdsa", 256), "ecdsa384": ("ecdsa", 384),
    "ecdsa521": ("ecdsa", 521)}


def namespaces():
    """Loopback, and the root of Debian's programs with a home and keys of its own; all of it is gone with the namespaces."""
    root = PEERS / "debian"
    run("ip", "link", "set", "lo", "up")
    run("mount", "--make-rprivate", "/")
    run("mount", "--rbind", "/dev", root / "dev")
    run("mount", "--rbind", "/proc", root / "proc")
    run("mount", "-t", "tmpfs", "none", root / "run")
    (root / "run/sshd").mkdir(mode=0o755)
    run("mount", "--bind", WORK, root / "peers")
    run("mount", "-t", "tmpfs", "-o", "mode=700", "none", root / "root")


def keys():
    """Keys of the hosts, one of the client in every format, an authority and its certificates; gives what ssh-keygen -l tells."""
    told = {}
    for name, (kind, bits) in KEYS.items():
        run("ssh-keygen", "-q", "-t", kind, *(["-b", bits] if bits else []), "-N", "", "-f", WORK / name)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", WORK / "authority")
    for serial, name in enumerate(("ed25519", "rsa", "ecdsa256"), 7):
        run("ssh-keygen", "-q", "-s", WORK / "authority", "-I", f"host {name}", "-h", "-n", "127.0.0.1,localhost", "-z", serial, "-V", "-1d:+1d",
            WORK / f"{name}.pub")
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", WORK / "id")
    debian = ["chroot", PEERS / "debian"]
    run(*debian, "puttygen", "/peers/id", "-O", "private", "-o", "/peers/id.ppk")
    run(*debian, "dropbearconvert", "openssh", "dropbear", "/peers/id", "/peers/id.dropbear")
    said = run(*debian, "dropbearkey", "-t", "ed25519", "-f", "/peers/dropbear")
    (WORK / "dropbear.pub").write_text(next(line for line in said.splitlines() if line.startswith("ssh-ed25519 ")))
    run(*debian, "tinysshd-makekey", "-q", "/peers/tinyssh")
    (WORK / "tinyssh.pub").write_text(run(*debian, "tinysshd-printkey", "/peers/tinyssh"))
    home = PEERS / "debian" / "root" / ".ssh"
    home.mkdir(mode=0o700)
    (home / "authorized_keys").write_text((WORK / "id.pub").read_text())
    erlang = WORK / "erlang"
    erlang.mkdir()
    for name, of in (("id_ed25519", "id"), ("ssh_host_ed25519_key", "ed25519")):
        (erlang / name).write_bytes((WORK / of).read_bytes())
        (erlang / name).chmod(0o600)
    (erlang / "authorized_keys").write_text((WORK / "id.pub").read_text())
    (WORK / "sshd_config").write_text("ListenAddress 127.0.0.1\nPidFile none\nUsePAM no\nUseDNS no\nStrictModes no\nPermitRootLogin yes\n"
        "PasswordAuthentication no\nPerSourcePenalties no\n")
    for name in (*KEYS, "dropbear", "tinyssh"):
        bits, print, *_, kind = run("ssh-keygen", "-lf", WORK / f"{name}.pub").split()
        told[name] = {"host_key.key_bits": int(bits), "host_key.fingerprint": print,
            "host_key.key_type": (WORK / f"{name}.pub").read_text().split(" ")[0]}
    return told


def listening(port):
    """Whether somebody listens; nobody is asked by a connection, which would be recorded."""
    wanted = f":{port:04X}"
    for line in pathlib.Path("/proc/self/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        if local.endswith(wanted) and state == "0A":
            return True
    return False


def words(end, port, told):
    text = end.words(port, WORK / end.key).replace("{fingerprint}", told["host_key.fingerprint"])
    inside = text.startswith("chroot") or " chroot " in text
    return shlex.split(text.replace("@/", "/peers/" if inside else f"{WORK}/"))


def end_of(process):
    """Ends what was started, with all that it started itself."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(3)
    except ProcessLookupError:
        pass
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def speak(pair, port, told):
    """One pair; gives what went wrong, or nothing."""
    logs = [WORK / f"{port}.{side}.log" for side in ("client", "server")]
    server = subprocess.Popen(words(pair.server, port, told), stdout=logs[1].open("wb"), stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        start_new_session=True, cwd=WORK)
    try:
        begun = time.monotonic()
        while not listening(port):
            if server.poll() is not None or time.monotonic() - begun > PATIENCE:
                return "the server does not listen"
            time.sleep(0.02)
        client = subprocess.Popen(words(dataclasses.replace(pair.client, key="id"), port, told), stdout=logs[0].open("wb"), stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, start_new_session=True, cwd=WORK)
        try:
            begun, said = time.monotonic(), pair.client.done.encode()
            while client.poll() is None and time.monotonic() - begun < PATIENCE * (4 if pair.client.parser == "audit" else 1):
                if said and said in logs[0].read_bytes():
                    time.sleep(0.1)
                    break
                time.sleep(0.02)
            return "" if client.poll() is not None or said else "the client does not end"
        finally:
            end_of(client)
    finally:
        end_of(server)


def main():
    namespaces()
    told = keys()
    packets = WORK / "packets.pcap"
    log = (WORK / "dumpcap.log").open("wb")
    dumpcap = subprocess.Popen(["dumpcap", "-q", "-P", "-i", "lo", "-s", "0", "-B", "64", "-f", "tcp or udp port 9", "-w", str(packets)], stderr=log,
        stdin=subprocess.DEVNULL)
    while b"File:" not in (WORK / "dumpcap.log").read_bytes():
        assert dumpcap.poll() is None
        time.sleep(0.02)
    spoken = []
    try:
        for pair in all_pairs():
            if WORDS and not any(word.lower() in pair.name.lower() for word in WORDS):
                continue
            port = FIRST_PORT + len(spoken)
            wrong = speak(pair, port, told[pair.server.key])
            spoken.append({"name": pair.name, "port": port, "wrong": wrong, "client": [pair.client.stack, pair.client.parser],
                "server": [pair.server.stack, pair.server.parser], "key": told[pair.server.key]})
            print(f"{pair.name}{': ' + wrong if wrong else ''}", flush=True)
    finally:
        # The last packet, so that it is known when all were captured.
        socket.socket(type=socket.SOCK_DGRAM).sendto(b"the last of the packets", ("127.0.0.1", 9))
        begun = time.monotonic()
        while b"the last of the packets" not in packets.read_bytes() and time.monotonic() - begun < 5:
            time.sleep(0.05)
        dumpcap.send_signal(signal.SIGINT)
        dumpcap.wait()
    (WORK / "pairs.json").write_text(json.dumps(spoken))


main()
