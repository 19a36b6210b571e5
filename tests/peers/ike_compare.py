"""Compares ike_handshake events with what tshark dissects and with what the daemons say: strongSwan 6, libreswan 5."""

import collections
import json
import re
import subprocess
import tomllib

import compare
import install
from wire import flat

NAMES = tomllib.loads((install.ROOT / "crates/analyze/data/ike.toml").read_text())
# Notifications of RFC 7296 (3.10.1), RFC 7383, RFC 9242.
INVALID_KE, NAT_SOURCE, NAT_DESTINATION, COOKIE, FRAGMENTATION, INTERMEDIATE = 17, 16388, 16389, 16390, 16430, 16438
IKE_SA_INIT, VENDOR_ID = "34", "isakmp.vid_bytes"
TRANSFORMS = {"isakmp.tf.id.encr": "encryption", "isakmp.tf.id.prf": "prf", "isakmp.tf.id.integ": "integrity", "isakmp.tf.id.dh": "key_exchange"}

# How the daemons write what has a name of IANA.
STRONGSWAN = {"AES_CBC": "ENCR_AES_CBC", "AES_CTR": "ENCR_AES_CTR", "AES_GCM_16": "ENCR_AES_GCM_16", "CHACHA20_POLY1305": "ENCR_CHACHA20_POLY1305",
    "ECP_256": 19, "ECP_384": 20, "ECP_521": 21, "CURVE_25519": 31, "MODP_2048": 14, "MODP_3072": 15, "MODP_4096": 16}
LIBRESWAN = {"AES_CBC": "ENCR_AES_CBC", "AES_CTR": "ENCR_AES_CTR", "AES_GCM_16": "ENCR_AES_GCM_16", "CHACHA20_POLY1305": "ENCR_CHACHA20_POLY1305"}
LIBRESWAN_GROUPS = {"MODP2048": 14, "MODP3072": 15, "MODP4096": 16, "MODP8192": 18}


def name_of(kind, number):
    return NAMES[kind].get(str(number), str(number))


class Message:
    """One IKE_SA_INIT, as tshark shows it."""

    def __init__(self, pairs):
        self.proposals, self.notified, self.vendors, self.group = [], {}, [], None
        self.spis = ["", ""]
        notified = None
        for name, value in flat(pairs):
            if name == "isakmp.ispi" and not self.spis[0]:
                self.spis[0] = value.replace(":", "")
            elif name == "isakmp.rspi" and not self.spis[1]:
                self.spis[1] = value.replace(":", "")
            elif name == "isakmp.flag_r":
                self.is_answer = value == "1"
            elif name == "isakmp.prop.number":
                self.proposals.append({"number": int(value), **{of: [] for of in TRANSFORMS.values()}, "additional_key_exchanges": []})
            elif name in TRANSFORMS:
                self.proposals[-1][TRANSFORMS[name]].append(name_of(TRANSFORMS[name], value))
            elif name == "isakmp.ike2.attr.key_length":
                self.proposals[-1]["encryption"][-1] += f"-{value}"
            elif name == "isakmp.key_exchange.dh_group":
                self.group = value
            elif name == "isakmp.notify.msgtype":
                notified = int(value)
                self.notified[notified] = ""
            elif name == "isakmp.notify.data":
                self.notified[notified] = value
            elif name == VENDOR_ID:
                self.vendors.append(value.replace(":", ""))


def messages(packets, tshark):
    command = [*tshark, "-r", packets, "-Y", f"isakmp.exchangetype == {IKE_SA_INIT}", "-T", "json", "-J", "isakmp ip udp"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for frame in json.loads(text, object_pairs_hook=list):
        layers = dict(dict(frame)["_source"])["layers"]
        for name, value in layers:
            # An ICMP message has what it is about in it.
            if name == "isakmp" and "icmp" not in dict(layers):
                yield Message(value)


def expected(of):
    """Members of the event, of the messages of one exchange in order."""
    asked = [one for one in of if not one.is_answer]
    answered = [one for one in of if one.is_answer]
    last, answer = asked[-1], answered[-1] if answered else None
    told = {"initiator_spi": last.spis[0], "version": "2.0", "proposed": last.proposals, "initiator_vendor_ids": last.vendors or None,
        "cookie": any(COOKIE in one.notified for one in answered), "retried": len({(one.group, COOKIE in one.notified) for one in asked}) > 1}
    wanted = [name_of("key_exchange", int(one.notified[INVALID_KE].replace(":", ""), 16)) for one in answered if INVALID_KE in one.notified]
    told["wanted_key_exchange"] = wanted[-1] if wanted else None
    if answer is None:
        return told | {"outcome": "none"}
    chosen = answer.proposals[0] if answer.proposals else None
    errors = [kind for kind in answer.notified if kind < 16384]
    # One that asks for another request is not how it ended.
    told["outcome"] = "agreed" if chosen else "failed" if set(errors) - {INVALID_KE} else "none"
    told["error"] = name_of("error", errors[0]) if errors else None
    both = lambda kind: kind in last.notified and kind in answer.notified
    told |= {"nat_detection": both(NAT_SOURCE) and both(NAT_DESTINATION), "fragmentation": both(FRAGMENTATION),
        "intermediate_supported": both(INTERMEDIATE), "responder_vendor_ids": answer.vendors or None}
    if chosen:
        cipher, _, bits = chosen["encryption"][0].partition("-")
        first = lambda of: (chosen[of] or [None])[0]
        told |= {"encryption": cipher, "encryption_key_bits": int(bits) if bits else None, "prf": first("prf"),
            "integrity": first("integrity") if first("integrity") != "NONE" else None, "key_exchange": first("key_exchange"),
            "responder_spi": answer.spis[1], "post_quantum": False}
    return told


def cipher(word, table):
    """AES_GCM_16_256: what it is, and the bits of its key."""
    found = re.fullmatch(r"(.*?)(?:_(128|192|256))?", word)
    return {"encryption": table.get(found[1], found[1]), "encryption_key_bits": int(found[2]) if found[2] else None}


def integrity(word):
    """HMAC_SHA2_256_128, or without the bits that are left of it."""
    known = {name.removeprefix("AUTH_"): name for name in NAMES["integrity"].values()}
    return next((name for short, name in known.items() if short == word or short.rpartition("_")[0] == word), word)


def strongswan(text):
    found = re.findall(r"selected proposal: IKE:(\S+)", text)
    if not found:
        return {}
    # The last: before it may be somebody else's.
    parts = found[-1].split("/")
    told = cipher(parts[0], STRONGSWAN) | {"key_exchange": name_of("key_exchange", STRONGSWAN.get(parts[-1], parts[-1])), "integrity": None}
    for part in parts[1:-1]:
        told |= {"prf": part} if part.startswith("PRF_") else {"integrity": integrity(part)}
    return told


def libreswan(text):
    found = re.search(r"IKE_SA_INIT response .*\{cipher=(\S+) integ=(\S+) prf=(\S+) group=(\S+)\}", text)
    if not found:
        return {}
    group = LIBRESWAN_GROUPS.get(found[4], found[4].removeprefix("DH"))
    return cipher(found[1], LIBRESWAN) | {"integrity": None if found[2] == "n/a" else integrity(found[2]), "prf": f"PRF_{found[3]}",
        "key_exchange": name_of("key_exchange", group)}


SAYS = {"strongSwan": strongswan, "libreswan": libreswan}


def ike(work, recording, analyze, tsharks):
    report = compare.Report()
    by_spi = collections.defaultdict(dict)
    for event in compare.events(analyze, recording, "ike_handshake"):
        by_spi[event["initiator_spi"]][event["role"]] = event
    rows = json.loads((work / "exchanges.json").read_text())
    for row in rows:
        pair = f"{row['initiator']} to {row['responder']}"
        directory = work / str(row["number"])
        if row["wrong"]:
            report.missing(pair, row["wrong"])
            continue
        text = {who: "".join((directory / who / name).read_text(errors="replace") for name in ("log", "status")) for who in ("initiator", "responder")}
        text["initiator"] += (directory / "initiated").read_text()
        seen = False
        for version, tshark, packets in tsharks(directory / "packets.pcap"):
            exchanges = collections.defaultdict(list)
            for message in messages(packets, tshark):
                exchanges[message.spis[0]].append(message)
            for spi, of in exchanges.items():
                report.connections[f"{pair}: {row['label']}"] += not seen
                told = expected(of)
                for role in ("client", "server"):
                    event = by_spi.get(spi, {}).get(role)
                    if event is None:
                        report.missing(pair, f"{row['name']}: no event of the {role} of {spi}")
                        continue
                    for name, theirs in told.items():
                        report.add(f"{pair}: {row['label']}", f"tshark {version}", name, event.get(name), theirs, told)
                    for who in ("initiator", "responder") if event["outcome"] == "agreed" and not seen and 1500 not in (event["local_port"], event["remote_port"]) else ():
                        for name, theirs in SAYS[row[who]](text[who]).items():
                            report.add(f"{pair}: {row['label']}", row[who], name, event.get(name), theirs, told)
            seen = True
            if not exchanges:
                report.missing(pair, f"{row['name']}: no packets")
        if row["cookie"] and not any(COOKIE in one.notified for one in sum(exchanges.values(), [])):
            report.missing(pair, f"{row['name']}: no cookie was wanted")
        if "INVALID_KE" in row["label"] and not any(INVALID_KE in one.notified for one in sum(exchanges.values(), [])):
            report.missing(pair, f"{row['name']}: no other method was wanted")
    report.versions = {pair: "" for pair in report.connections}
    return report
