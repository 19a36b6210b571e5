# SPDX-License-Identifier: MIT OR Apache-2.0
"""Events against what tshark makes of the same packets, and against what programs tell, field by field."""

import hashlib

from quic_codes import code, is_grease, of_program
from quic_tshark import EXTENSIONS


class Comparison:
    """Of one case: how many fields were compared and agree, and each that does not."""

    def __init__(self):
        self.connections, self.compared, self.told, self.differing = 0, 0, 0, []

    def add(self, name, ours, theirs, whose="tshark"):
        if whose == "tshark":
            self.compared += 1
        else:
            self.told += 1
        if ours != theirs:
            self.differing.append((name, f"ours {ours!r}, {whose} {theirs!r}"))


def ends(event):
    return (event["local_address"].removeprefix("::ffff:"), event["local_port"]), (event["remote_address"].removeprefix("::ffff:"), event["remote_port"])


def compare(events, flows):
    """Both ends of each connection; events are those of one recording, in order of time."""
    result = Comparison()
    left = list(events)
    for flow in flows:
        if not flow.hellos and not flow.server_versions:
            continue
        result.connections += 1
        for role, own, other in (("client", flow.client, flow.server), ("server", flow.server, flow.client)):
            event = next((one for one in left if one["role"] == role and ends(one) == (own, other)), None)
            if event is None:
                result.add(f"{role}: an event", None, (own, other))
                continue
            left.remove(event)
            for name, ours, theirs in fields(flow, event):
                result.add(f"{role}: {name}", ours, theirs)
    for event in left:
        result.add("a connection", (event["role"], *ends(event)), None)
    return result


def fields(flow, event):
    if flow.kind == "quic":
        yield from quic(flow, event)
    else:
        yield from dtls(flow, event)
    yield from hello(flow, event)
    yield from answer(flow, event)


def quic_version(version):
    return {"1": 1, "2": 0x6b3343cf}.get(version) or (version and int(version, 16))


def quic(flow, event):
    said = event["quic"]
    yield "transport", event["transport"], "quic"
    yield "quic.version", quic_version(said["version"]), flow.versions[0]
    later = flow.versions[-1] if len(flow.versions) > 1 else None
    yield "quic.version_later", quic_version(said.get("version_later")), later
    yield "quic.server_versions", [quic_version(version) for version in said.get("server_versions", [])], flow.server_versions
    for name in ("original", "client", "server"):
        yield f"quic.{name}_connection_id", said[f"{name}_connection_id"], flow.ids[name]
    yield "quic.retry", said["retry"], flow.retry
    yield "quic.token", said["token"], bool(flow.token)
    yield "quic.unread", said.get("unread"), None
    first = flow.hellos[0] if flow.hellos else {"parameters": []}
    tsharks = [one for one in first["parameters"] if one[1] < 27 or (one[1] - 27) % 31]
    yield "quic.parameters", [one["name"] for one in said["parameters"]], [parameter_name(name, kind) for name, kind, *_ in tsharks]
    for ours, (name, kind, length, value) in zip(said["parameters"], tsharks):
        yield f"quic.parameters.{ours['name']}", ours.get("value", ours.get("length")), value if "value" in ours else length


# What tshark calls parameters that no registry had when it was made, or that IANA calls otherwise.
PARAMETERS = {0x11: "version_information", 0x2ab2: "grease_quic_bit", 0x20: "max_datagram_frame_size", 0x0173: "discard"}


def parameter_name(name, kind):
    if kind in PARAMETERS:
        return PARAMETERS[kind]
    return name if kind < 0x20 else f"{kind:#x}"


def dtls(flow, event):
    yield "transport", event["transport"], "udp"
    certificates = [certificate["sha256"] for certificate in event.get("certificates", [])]
    yield "certificates", certificates, [hashlib.sha256(bytes.fromhex(one)).hexdigest() for one in flow.certificates]


def hello(flow, event):
    if not flow.hellos:
        return
    first = flow.hellos[0]
    # A hello that is sent again with a cookie is the one that counts.
    if flow.kind == "dtls" and flow.cookie:
        first = next((one for one in flow.hellos if one["cookie"]), first)
    offered = event.get("offered", {})
    listed = lambda name, kind: [code(kind, one) for one in offered.get(name, [])]
    without = lambda numbers: [number for number in numbers if not is_grease(number)]
    yield "server_name", event["server_name"], first["server_name"]
    yield "offered.versions", listed("versions", "version"), without(first["versions"] or [first["version"]])
    yield "offered.cipher_suites", listed("cipher_suites", "suite"), without(first["suites"])
    yield "offered.groups", listed("groups", "group"), without(first["groups"])
    yield "offered.key_shares", listed("key_shares", "group"), without(first["key_shares"])
    yield "offered.signature_schemes", listed("signature_schemes", "scheme"), without(first["schemes"])
    yield "offered.alpn", offered.get("alpn"), [name for name in first["alpn"] if name.isascii()]
    for name, extension in EXTENSIONS.items():
        yield f"offered.{name}", offered.get(name), extension in first["extensions"]
    grease = any(is_grease(one) for name in ("suites", "extensions", "groups", "versions") for one in first[name])
    yield "offered.grease", offered.get("grease"), grease
    if first["ja4"]:
        yield "ja4", event["ja4"], first["ja4"]


def answer(flow, event):
    answer = flow.answers[0] if flow.answers else None
    modern = answer and answer["version"] in (0x0304, 0xfefc)
    yield "outcome", event["outcome"], "alert" if flow.alert else "server_hello" if answer else "none"
    yield "version", code("version", event["version"]), answer and answer["version"]
    yield "cipher_suite", code("suite", event["cipher_suite"]), answer and answer["suite"]
    yield "group", code("group", event["group"]), answer and (answer["group"] if modern else flow.curve)
    if modern:
        yield "resumption", event["resumption"], "psk" if answer["psk"] else "no"
    yield "retried", "retried" in event.get("hello_notes", []), flow.retried
    yield "retry.requested_group", code("group", event.get("retry", {}).get("requested_group")), flow.retry_request
    missing = [note for note in event.get("hello_notes", []) if note != "retried"]
    yield "what is missing", missing, [] if answer or flow.alert else ["server_hello_not_seen"]


def told_of(event, name):
    """What an event has of what a program tells: its members have the same names, but for codes and parameters."""
    if name.startswith("parameter."):
        values = [one.get("value") for one in event["quic"]["parameters"] if one["name"] == name.removeprefix("parameter.")]
        return str(values[0]) if values else None
    if name.endswith("_connection_id"):
        return event["quic"][name]
    if name == "quic_version":
        return event["quic"].get("version_later", event["quic"]["version"])
    if name == "resumed":
        return str(event["resumption"] == "psk")
    kinds = {"cipher_suite": "suite", "group": "group", "version": "version"}
    if name in kinds:
        return code(kinds[name], event[name])
    if name.startswith("offered."):
        values = event["offered"][name.removeprefix("offered.")]
        kind = {"cipher_suites": "suite", "groups": "group", "key_shares": "group", "signature_schemes": "scheme"}.get(name.removeprefix("offered."))
        return ",".join(f"0x{code(kind, one):04x}" for one in values) if kind else ",".join(values)
    return event.get(name)


def without_grease(name, text):
    kind = {"cipher_suite": "suite", "group": "group", "version": "version"}.get(name)
    if kind:
        return of_program(kind, text)
    if name in ("offered.cipher_suites", "offered.groups", "offered.key_shares", "offered.signature_schemes"):
        return ",".join(one for one in text.split(",") if not is_grease(int(one, 16)))
    return text


def told(result, events, lines):
    """Lines `told ROLE NAME VALUE` of a case: the first of a name is of the first event of that role, and so on."""
    said = {}
    for line in lines:
        words = line.split(" ", 3)
        if len(words) == 4 and words[0] == "told":
            said.setdefault((words[1], words[2]), []).append(words[3].strip())
    for (role, name), values in said.items():
        if name == "openssl_suite":
            continue
        of_role = [event for event in events if event["role"] == role]
        ours = [told_of(event, name) for event in of_role]
        values = [without_grease(name, value) for value in values]
        if len(values) == len(ours):
            for one, theirs in zip(ours, values):
                result.add(f"{role}: {name}", one, theirs, "the program")
        else:
            # It tells of some connections alone, or of one twice.
            for theirs in values:
                result.add(f"{role}: {name}", theirs if theirs in ours else ours, theirs, "the program")
