"""What programs tell of a connection, as members of its event: one function for each way of telling. `a.b` is member b of a."""

import base64
import json
import re

LISTS = {"KEX algorithms": "kex", "host key algorithms": "host_keys", "ciphers ctos": "ciphers_client_to_server",
    "ciphers stoc": "ciphers_server_to_client", "ciphers c2s": "ciphers_client_to_server", "ciphers s2c": "ciphers_server_to_client",
    "MACs ctos": "macs_client_to_server", "MACs stoc": "macs_server_to_client", "MACs c2s": "macs_client_to_server",
    "MACs s2c": "macs_server_to_client", "compression ctos": "compression_client_to_server", "compression stoc": "compression_server_to_client",
    "compression c2s": "compression_client_to_server", "compression s2c": "compression_server_to_client"}

WAYS = {"server->client": "server_to_client", "client->server": "client_to_server"}


def offered(side, name, names):
    """A list of an offer; names in the list of methods that are none announce something."""
    if name != "kex":
        return {f"{side}_offered.{name}": names}
    strict, ext = f"kex-strict-{side[0]}-v00@openssh.com", f"ext-info-{side[0]}"
    # The last is dropbear's: it guesses by the first method alone.
    announce = lambda name: name.startswith(("kex-strict-", "ext-info-", "kexguess2@"))
    return {f"{side}_offered.kex": [name for name in names if not announce(name)], f"{side}_offered.ext_info": ext in names,
        f"{side}_offered.strict_kex": strict in names}


def names(text):
    return [name for name in text.strip().split(",") if name]


def opening(side, line):
    """Software and comments of an opening line."""
    software, _, comments = line.strip().split("-", 2)[2].partition(" ")
    return {f"{side}_software": software, f"{side}_comments": comments or None}


def said(text, _):
    told = {}
    for line in text.splitlines():
        if line.startswith("SAID "):
            told |= json.loads(line[5:])
    return told


def agreed(line, told):
    """What OpenSSH and JSch say was chosen, in the same words."""
    if found := re.search(r"kex: algorithm: ([^(]\S+)", line):
        told["kex"] = found[1]
    elif found := re.search(r"kex: host key algorithm: (\S+)", line):
        told["host_key_algorithm"] = found[1]
    elif found := re.search(r"kex: (\S+->\S+) cipher: (\S+) MAC: (\S+) compression: (\S+)", line):
        way = WAYS[found[1]]
        told |= {f"cipher_{way}": found[2], f"mac_{way}": None if found[3] == "<implicit>" else found[3], f"compression_{way}": found[4]}


def openssh(text, side):
    """ssh -vvv, and sshd with DEBUG3."""
    told, offer, gex = {}, None, False
    other = "server" if side == "client" else "client"
    for line in text.splitlines():
        agreed(line, told)
        if found := re.search(r"(?:local|peer) (client|server) KEXINIT proposal", line):
            # The first exchange alone.
            offer = found[1] if f"{found[1]}_offered.kex" not in told else None
        elif offer and (found := re.match(r"debug2: (?P<what>[A-Za-z ]+): ?(?P<names>\S*)", line)) and found["what"] in LISTS:
            told |= offered(offer, LISTS[found["what"]], names(found["names"]))
        elif offer and (found := re.match(r"debug2: first_kex_follows (\d)", line)):
            told[f"{offer}_offered.first_kex_packet_follows"] = found[1] == "1"
            # What follows is not told by whose it is.
            offer = None
        elif found := re.search(r"Local version string (SSH-\S.*)", line):
            told |= opening(side, found[1].replace(" [preauth]", ""))
        elif found := re.search(r"[Rr]emote (?:protocol )?version [\d.]+, (?:remote )?software version (.*)", line):
            told |= opening(other, "SSH-2.0-" + found[1].replace(" [preauth]", ""))
        elif found := re.search(r"Server host key: (\S+) (SHA256:\S+)", line):
            told |= {"host_key.key_type": found[1], "host_key.fingerprint": found[2]}
        elif found := re.search(r'Server host certificate: (\S+) (SHA256:\S+), serial (\d+) ID "(.*)" CA (\S+) (SHA256:\S+) ', line):
            told |= {"host_key.key_type": found[1], "host_key.fingerprint": found[2], "host_key.certificate.serial": int(found[3]),
                "host_key.certificate.key_id": found[4], "host_key.certificate.ca_key_type": found[5], "host_key.certificate.ca_fingerprint": found[6]}
        elif "will use strict KEX ordering" in line:
            told["strict_kex"] = True
        elif "GEX_GROUP" in line:
            gex = True
        elif gex and (found := re.search(r"bits set: \d+/(\d+)", line)) and "dh_bits" not in told:
            told["dh_bits"] = int(found[1])
    return told


def jsch(text, _):
    told = {}
    for line in text.splitlines():
        agreed(line, told)
        if found := re.match(r"(client|server) proposal: ([A-Za-z0-9 ]+): ?(\S*)", line):
            if found[2] in LISTS and f"{found[1]}_offered.{LISTS[found[2]]}" not in told:
                told |= offered(found[1], LISTS[found[2]], names(found[3]))
        elif found := re.match(r"(Client|Server) version: (SSH-.*)", line):
            told |= opening(found[1].lower(), found[2])
        elif line == "Doing strict KEX":
            told["strict_kex"] = True
        elif line.startswith("Fingerprint: "):
            digest = base64.b64encode(bytes.fromhex(line.split(": ")[1].removeprefix("SHA256:").replace(":", ""))).decode()
            told["host_key.fingerprint"] = "SHA256:" + digest.rstrip("=")
    return told


# What PuTTY's event log calls what is named on the wire, where that is one thing.
PUTTY_CIPHERS = {"AES-256 SDCTR": "aes256-ctr", "ChaCha20": "chacha20-poly1305@openssh.com"}
PUTTY_MACS = {"HMAC-SHA-256": "hmac-sha2-256", "HMAC-SHA-512": "hmac-sha2-512", "Poly1305": None}


def plink(text, _):
    told = {}
    for line in text.splitlines():
        if line.startswith("Remote version: "):
            told |= opening("server", line.split(": ")[1])
        elif line.startswith("We claim version: "):
            told |= opening("client", line.split(": ")[1])
        elif line == "Enabling strict key exchange semantics":
            told["strict_kex"] = True
        elif found := re.match(r"(\S+) (\d+) (SHA256:\S+)$", line):
            told |= {"host_key.key_type": found[1], "host_key.key_bits": int(found[2]), "host_key.fingerprint": found[3]}
        elif found := re.match(r"Initialised ([A-Za-z0-9-]+(?: SDCTR)?) .*(outbound|inbound) (encryption|MAC algorithm)", line):
            way = "client_to_server" if found[2] == "outbound" else "server_to_client"
            table, member = (PUTTY_CIPHERS, "cipher") if found[3] == "encryption" else (PUTTY_MACS, "mac")
            if found[1] in table:
                told[f"{member}_{way}"] = table[found[1]]
    return told


def dropbear(text, _):
    found = re.search(r"\((\S+) fingerprint (SHA256:\S+)\)", text)
    return {"host_key.key_type": found[1], "host_key.fingerprint": found[2]} if found else {}


def erlang(text, side):
    found = re.search(r"^ERLANG (.*)$", text, re.M)
    if not found:
        return {}
    strip = lambda one: one.strip("'")
    # The versions may have comments; eight names are last.
    *versions, kex, key, encrypt, decrypt, send, receive, compress, decompress = found[1].split(" ")
    client, server = re.match(r"(SSH-.*) (SSH-.*)", " ".join(versions)).groups()
    told = opening("client", client) | opening("server", server)
    told |= {"kex": strip(kex), "host_key_algorithm": strip(key)}
    for way, cipher, mac, compression in (("client_to_server", encrypt, send, compress), ("server_to_client", decrypt, receive, decompress)):
        implicit = strip(mac).startswith("AEAD") or "gcm" in cipher or "poly1305" in cipher
        told |= {f"cipher_{way}": strip(cipher), f"mac_{way}": None if implicit else strip(mac), f"compression_{way}": strip(compression)}
    return told


def tinyssh(text, _):
    """tinysshd -vv: what it chose; the cipher and the MAC are the same in both directions, because it has one of each."""
    told = {}
    for line in text.splitlines():
        if found := re.search(r"hello: (client|server): (SSH-.*) \{", line):
            told |= opening(found[1], found[2])
        elif found := re.search(r"kex: (client|server): (kex|key) algorithms: (\S+)", line):
            told |= offered(found[1], "kex" if found[2] == "kex" else "host_keys", names(found[3]))
        elif found := re.search(r"kex: (kex|key|cipher) selected: (\S+)", line):
            members = {"kex": ["kex"], "key": ["host_key_algorithm"], "cipher": ["cipher_client_to_server", "cipher_server_to_client"]}
            told |= {member: found[2] for member in members[found[1]]}
    return told


def none(_text, _side):
    return {}


def audit(text):
    """ssh-audit's opinion of a server: what it offers to each of its connections."""
    begin = text.find("{")
    if begin < 0:
        return {}
    try:
        read = json.loads(text[begin:])
    except ValueError:
        return {}
    algorithms = lambda name: [one["algorithm"] for one in read.get(name, [])]
    told = {"server_software": read["banner"]["software"], "server_comments": read["banner"]["comments"]}
    told |= offered("server", "kex", algorithms("kex"))
    told |= offered("server", "host_keys", algorithms("key"))
    told |= {"server_offered.ciphers_server_to_client": algorithms("enc"), "server_offered.macs_server_to_client": algorithms("mac"),
        "server_offered.compression_server_to_client": read.get("compression", [])}
    return told | {"fingerprints": {"SHA256:" + one["hash"].rstrip("=") for one in read.get("fingerprints", []) if one["hash_alg"] == "SHA256"}}


PARSERS = {"said": said, "openssh": openssh, "jsch": jsch, "plink": plink, "dropbear": dropbear, "erlang": erlang, "tinyssh": tinyssh,
    "none": none, "audit": none}
