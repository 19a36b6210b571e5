"""What tshark dissects of a capture file, as members of events: one dictionary for each TCP connection with SSH."""

import base64
import collections
import hashlib
import json
import re
import struct
import subprocess

from logs import names, offered, opening

ALGORITHMS = {"ssh.kex_algorithms": "kex", "ssh.server_host_key_algorithms": "host_keys",
    "ssh.encryption_algorithms_client_to_server": "ciphers_client_to_server", "ssh.encryption_algorithms_server_to_client": "ciphers_server_to_client",
    "ssh.mac_algorithms_client_to_server": "macs_client_to_server", "ssh.mac_algorithms_server_to_client": "macs_server_to_client",
    "ssh.compression_algorithms_client_to_server": "compression_client_to_server",
    "ssh.compression_algorithms_server_to_client": "compression_server_to_client"}


def flat(pairs):
    """All members of a tree with their names, in order; several may have one name."""
    for name, value in pairs:
        yield name, value
        if isinstance(value, list) and value and isinstance(value[0], tuple):
            yield from flat(value)


def string(data):
    return struct.pack("!I", len(data)) + data


def octets(text):
    return bytes.fromhex(text.replace(":", ""))


def blob(key):
    """A public key as it is on the wire, of what tshark shows of it: RFC 4253 section 6.6, RFC 5656 section 3.1, RFC 8709 section 4."""
    out = string(key["ssh.host_key.type"].encode())
    parts = {"ssh.host_key.rsa.n": ("ssh.host_key.rsa.e", "ssh.host_key.rsa.n"), "ssh.host_key.eddsa.key": ("ssh.host_key.eddsa.key",),
        "ssh.host_key.ecdsa.q": ("ssh.host_key.ecdsa.q",)}
    for known, wanted in parts.items():
        if known in key:
            curve = string(key["ssh.host_key.ecdsa.id"].encode()) if "ssh.host_key.ecdsa.id" in key else b""
            return out + curve + b"".join(string(octets(key[name])) for name in wanted)
    return out + octets(key["ssh.host_key.data"]) if "ssh.host_key.data" in key else None


def bits(key):
    if "ssh.host_key.rsa.n" in key:
        return int.from_bytes(octets(key["ssh.host_key.rsa.n"]), "big").bit_length()
    curve = key.get("ssh.host_key.ecdsa.id", "")
    return int(curve.removeprefix("nistp")) if curve.startswith("nistp") else None


class Flow:
    """One connection: its ends, and what tshark made of it."""

    def __init__(self, client, server):
        self.client, self.server = client, server
        self.told = {}
        self.offers = {}
        self.newkeys = set()
        # Sides that have closed, and what came to them since: they did not get it.
        self.closed = set()
        self.late = {"client": set(), "server": set()}

    def frame(self, side, pairs):
        known = set(self.told)
        self.dissect(side, pairs)
        other = "server" if side == "client" else "client"
        if other in self.closed:
            self.late[other] |= set(self.told) - known

    def dissect(self, side, pairs):
        key = {}
        for name, value in flat(pairs):
            self.field(side, name, value, key)
        if "ssh.host_key.type" in key:
            self.told["host_key.key_type"] = key["ssh.host_key.type"]
            data = blob(key)
            if data and "-cert-" not in key["ssh.host_key.type"]:
                digest = base64.b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
                self.told["host_key.fingerprint"] = f"SHA256:{digest}"
            if bits(key):
                self.told["host_key.key_bits"] = bits(key)

    def field(self, side, name, value, key):
        told = self.told
        if name == "ssh.protocol" and f"{side}_software" not in told:
            told |= opening(side, value)
        elif name in ALGORITHMS and f"{side}_offered.{ALGORITHMS[name]}" not in told:
            told |= offered(side, ALGORITHMS[name], names(value))
        elif name == "ssh.first_kex_packet_follows":
            told.setdefault(f"{side}_offered.first_kex_packet_follows", value != "0")
        elif name in ("ssh.kex.hassh", "ssh.kex.hasshserver"):
            told.setdefault("hassh" if name.endswith("hassh") else "hassh_server", value)
        elif found := re.match(r"Key Exchange \(method:(.*)\)$", name):
            told.setdefault("kex", found[1])
        elif name.startswith("ssh.host_key."):
            key.setdefault(name, value)
        elif name == "ssh.host_sig.type":
            # What the server signed with is what was agreed on, but for the name of a certificate.
            told["signature"] = value
        elif name == "ssh.dh_gex.p":
            told["dh_bits"] = int.from_bytes(octets(value), "big").bit_length()
        elif name == "ssh.message_code" and value == "21":
            self.newkeys.add(side)
        elif found := re.match(r"SSH Version 2 \(encryption:(\S+) mac:(\S+) compression:(\S+)\)$", name):
            if self.newkeys == {"client", "server"}:
                way = "client_to_server" if side == "client" else "server_to_client"
                mac = None if found[2] == "<implicit>" else found[2]
                for member, value in (("cipher", found[1]), ("mac", mac), ("compression", found[3])):
                    told.setdefault(f"{member}_{way}", value)

    def done(self):
        """What follows from what tshark shows of both sides."""
        told = self.told
        both = [told.get(f"{side}_offered.strict_kex") for side in ("client", "server")]
        if None not in both:
            told["strict_kex"] = all(both)
        first = lambda side, name: (told.get(f"{side}_offered.{name}") or [None])[0]
        if told.get("client_offered.first_kex_packet_follows") and None not in both:
            right = all(first("client", name) == first("server", name) for name in ("kex", "host_keys"))
            told["guess"] = "guessed_right" if right else "guessed_wrong"
        return self


def version(tshark):
    return subprocess.run([*tshark, "--version"], capture_output=True, text=True).stdout.split()[2].rstrip(".")


def flows(packets, tshark, ports):
    """Connections by (port of the client, port of the server, which of those between the two it is): a port is used again."""
    command = [*tshark, "-r", packets, "-d", f"tcp.port=={ports},ssh", "-Y", "ssh || tcp.flags.fin == 1 || tcp.flags.reset == 1", "-T", "json", "-J", "tcp ssh"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {}
    for frame in json.loads(text, object_pairs_hook=list):
        layers = dict(dict(dict(frame)["_source"])["layers"])
        tcp = dict(layers["tcp"])
        source, destination = int(tcp["tcp.srcport"]), int(tcp["tcp.dstport"])
        first, last = (int(part) for part in ports.split("-"))
        side = "server" if first <= source <= last and not first <= destination <= last else "client"
        client, server = (destination, source) if side == "server" else (source, destination)
        if not first <= server <= last:
            continue
        flow = found.setdefault(int(tcp["tcp.stream"]), Flow(client, server))
        flags = dict(tcp["tcp.flags_tree"])
        if flags["tcp.flags.fin"] in ("1", "True") or flags["tcp.flags.reset"] in ("1", "True"):
            flow.closed.add(side)
        # A packet may have several layers of SSH.
        for name, value in dict(dict(frame)["_source"])["layers"]:
            if name == "ssh" and isinstance(value, list):
                flow.frame(side, value)
    by_ends, before = {}, collections.Counter()
    for _, flow in sorted(found.items()):
        ends = (flow.client, flow.server)
        # One in which nothing of SSH was seen is none.
        if flow.told:
            by_ends[(*ends, before[ends])] = flow.done()
            before[ends] += 1
    return by_ends
