"""Has IKE daemons set up IKE_SAs with each other, each in a network namespace of its own: ike_inside.py DIRECTORY [WORD...]

Run by `unshare -nmpf --mount-proc` while crypto-trace-capture records it; dumpcap writes the packets of each exchange. What the daemons
said is left in DIRECTORY for ike_compare.py.
"""

import json
import pathlib
import subprocess
import sys
import time

from ike_pairs import EXCHANGES
from install import PEERS, run

WORK = pathlib.Path(sys.argv[1])
WORDS = sys.argv[2:]
# Seconds for a daemon to be there, and for an exchange.
PATIENCE = 15
SECRET = "made for a test"


# A request of somebody who never goes on: ENCR_AES_CBC with 128 bits, PRF_HMAC_SHA2_256, AUTH_HMAC_SHA2_256_128 and Curve25519 (RFC 7296,
# section 3). charon wants cookies as soon as so many have been begun.
HALF_OPEN = """
import os, socket, struct
end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end.bind(("10.9.0.1", 1500))
transforms = [(1, 12, b"\\x80\\x0e\\x00\\x80"), (2, 5, b""), (3, 12, b""), (4, 31, b"")]
body = b"".join(struct.pack("!BBHBBH", 3 if i < 3 else 0, 0, 8 + len(c), t, 0, n) + c for i, (t, n, c) in enumerate(transforms))
sa = struct.pack("!BBHBBBB", 0, 0, 8 + len(body), 1, 1, 0, 4) + body
payloads = struct.pack("!BBH", 34, 0, 4 + len(sa)) + sa + struct.pack("!BBHHH", 40, 0, 40, 31, 0) + os.urandom(32)
payloads += struct.pack("!BBH", 0, 0, 36) + os.urandom(32)
end.sendto(os.urandom(8) + bytes(8) + struct.pack("!BBBBII", 33, 0x20, 34, 8, 0, 28 + len(payloads)) + payloads, ("10.9.0.2", 500))
end.settimeout(5)
end.recv(2048)
"""


class Space:
    """Namespaces of one daemon, which a process that does nothing holds open."""

    def __init__(self, who, root, directory):
        self.who, self.root, self.directory = who, root, directory
        directory.mkdir()
        self.holder = subprocess.Popen(["unshare", "-nm", "sleep", "300"], stdin=subprocess.DEVNULL)
        mine = pathlib.Path("/proc/self/ns/net").readlink()
        while pathlib.Path(f"/proc/{self.holder.pid}/ns/net").readlink() == mine:
            time.sleep(0.01)
        self.started = []
        self.run("mount", "--make-rprivate", "/")
        for what, where in (("/dev", "dev"), ("/proc", "proc")):
            self.run("mount", "--rbind", what, root / where)
        for where in ("run", "tmp", "var/run"):
            self.run("mount", "-t", "tmpfs", "none", root / where)
        self.run("mount", "--bind", directory, root / "peers")
        self.run("ip", "link", "set", "lo", "up")

    def words(self, *command):
        return ["nsenter", "-t", str(self.holder.pid), "-n", "-m", *map(str, command)]

    def run(self, *command):
        return run(*self.words(*command))

    def say(self, *command):
        """Runs what may fail, and keeps what it says."""
        done = subprocess.run(self.words("chroot", self.root, *command), capture_output=True, text=True, timeout=60, errors="replace")
        return done.stdout + done.stderr

    def start(self, log, *command):
        process = subprocess.Popen(self.words(*command), stdout=log.open("wb"), stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        self.started.append(process)
        return process

    def close(self):
        for process in reversed(self.started):
            process.terminate()
        for process in self.started:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.holder.kill()
        self.holder.wait()


def until(condition, process):
    begun = time.monotonic()
    while not condition():
        assert process.poll() is None and time.monotonic() - begun < PATIENCE, "a daemon is not there"
        time.sleep(0.02)


class Libreswan:
    root = PEERS / "debian-libreswan"

    def __init__(self, space, local, remote, proposals, options):
        self.space = space
        directory = space.directory
        (directory / "nss").mkdir()
        space.say("/usr/bin/certutil", "-N", "-d", "sql:/peers/nss", "--empty-password")
        setup = "".join(f"\t{line}\n" for line in options)
        (directory / "ipsec.conf").write_text(f"config setup\n\tlogtime=no\n{setup}conn there\n\tleft={local}\n\tright={remote}\n\tauthby=secret\n"
            f"\tkeyexchange=ikev2\n\tretransmit-timeout=3s\n" + (f"\tike={proposals}\n" if proposals else ""))
        (directory / "secrets").write_text(f': PSK "{SECRET}"\n')
        space.run("mkdir", self.root / "run/pluto")
        pluto = space.start(directory / "log", "chroot", self.root, "/usr/libexec/ipsec/pluto", "--nofork", "--config", "/peers/ipsec.conf",
            "--nssdir", "/peers/nss", "--secretsfile", "/peers/secrets", "--stderrlog", "--rundir", "/run/pluto")
        until(lambda: "pluto_version" in self.status(), pluto)
        said = space.say("/usr/libexec/ipsec/addconn", "--config", "/peers/ipsec.conf", "--ctlsocket", "/run/pluto/pluto.ctl", "there")
        (directory / "loaded").write_text(said)

    def initiate(self):
        """Not longer than until it is said how it ended: where the kernel lacks ESP's algorithms, nothing more comes of it."""
        said = self.space.say("/usr/libexec/ipsec/whack", "--rundir", "/run/pluto", "--name", "there", "--initiate", "--asynchronous")
        begun = time.monotonic()
        while time.monotonic() - begun < PATIENCE / 3:
            log = (self.space.directory / "log").read_text(errors="replace")
            if "established IKE SA" in log or "NO_PROPOSAL_CHOSEN" in log:
                break
            time.sleep(0.05)
        return said

    def status(self):
        return self.space.say("/usr/libexec/ipsec/whack", "--rundir", "/run/pluto", "--status")


class StrongSwan:
    root = PEERS / "debian"

    def __init__(self, space, local, remote, proposals, options):
        self.space = space
        directory = space.directory
        more = "\n".join(options)
        (directory / "strongswan.conf").write_text("charon {\n"
            "load = random nonce openssl x509 pem pkcs1 pubkey hmac sha1 sha2 md5 aes gcm chapoly curve25519 kdf socket-default vici kernel-netlink\n"
            "install_routes = no\nthreads = 8\nplugins { vici { socket = unix:///peers/vici } }\n"
            f"filelog {{ all {{ path = /peers/charon.log\ndefault = 1\nflush_line = yes }} }}\n{more}\n}}\n")
        (directory / "swanctl.conf").write_text(f"connections {{ there {{\nversion = 2\nlocal_addrs = {local}\nremote_addrs = {remote}\n"
            + (f"proposals = {proposals}\n" if proposals else "") +
            f"local {{ auth = psk\nid = {local} }}\nremote {{ auth = psk }}\nchildren {{ all {{ esp_proposals = aes128gcm16 }} }}\n}} }}\n"
            f'secrets {{ ike {{ secret = "{SECRET}" }} }}\n')
        charon = space.start(directory / "log", "env", "STRONGSWAN_CONF=/peers/strongswan.conf", "chroot", self.root, "/usr/lib/ipsec/charon")
        charons = directory / "charon.log"
        until(lambda: charons.exists() and "spawning" in charons.read_text(), charon)
        (directory / "loaded").write_text(self.control("--load-all", "--file", "/peers/swanctl.conf"))

    def control(self, *words):
        return self.space.say("/usr/sbin/swanctl", *words, "--uri", "unix:///peers/vici")

    def initiate(self):
        return self.control("--initiate", "--ike", "there", "--timeout", "10")

    def status(self):
        return self.control("--list-sas") + (self.space.directory / "charon.log").read_text(errors="replace")


DAEMONS = {"libreswan": Libreswan, "strongSwan": StrongSwan}


def exchange(number, of):
    directory = WORK / str(number)
    directory.mkdir()
    spaces = []
    try:
        for who, stack in (("initiator", of.initiator), ("responder", of.responder)):
            spaces.append(Space(who, DAEMONS[stack].root, directory / who))
        run("ip", "link", "add", "v0", "netns", spaces[0].holder.pid, "type", "veth", "peer", "name", "v1", "netns", spaces[1].holder.pid)
        for space, link, address in ((spaces[0], "v0", "10.9.0.1"), (spaces[1], "v1", "10.9.0.2")):
            space.run("ip", "addr", "add", f"{address}/24", "dev", link)
            space.run("ip", "link", "set", link, "up")
        packets, log = directory / "packets.pcap", directory / "dumpcap.log"
        dumpcap = spaces[0].start(log, "dumpcap", "-q", "-P", "-i", "v0", "-s", "0", "-f", "udp", "-w", packets)
        until(lambda: b"File:" in log.read_bytes(), dumpcap)
        responder = DAEMONS[of.responder](spaces[1], "10.9.0.2", "10.9.0.1", of.responders_proposals, of.responders_options)
        initiator = DAEMONS[of.initiator](spaces[0], "10.9.0.1", "10.9.0.2", of.proposals, of.options)
        if of.half_open:
            spaces[0].run(sys.executable, "-c", HALF_OPEN)
        (directory / "initiated").write_text(initiator.initiate())
        time.sleep(0.3)
        for who, daemon in (("initiator", initiator), ("responder", responder)):
            (directory / who / "status").write_text(daemon.status())
    finally:
        for space in reversed(spaces):
            space.close()


def main():
    told = []
    for number, of in enumerate(EXCHANGES):
        if WORDS and not any(word.lower() in of.name.lower() for word in WORDS):
            continue
        wrong = ""
        try:
            exchange(number, of)
        except AssertionError as error:
            wrong = str(error)
        told.append({"number": number, "name": of.name, "initiator": of.initiator, "responder": of.responder, "wrong": wrong,
            "label": of.label or of.proposals or "defaults", "cookie": "cookie" in of.label})
        print(f"{of.name}{': ' + wrong if wrong else ''}", flush=True)
    (WORK / "exchanges.json").write_text(json.dumps(told))


main()
