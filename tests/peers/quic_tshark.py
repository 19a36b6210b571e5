# SPDX-License-Identifier: MIT OR Apache-2.0
"""What tshark makes of packets of QUIC and DTLS: flows, each with what its hellos and its packets say."""

import subprocess
import xml.etree.ElementTree

CLIENT_HELLO, SERVER_HELLO, CERTIFICATE, SERVER_KEY_EXCHANGE, HELLO_VERIFY_REQUEST = 1, 2, 11, 12, 3
# The random of a ServerHello that is a HelloRetryRequest (RFC 8446, section 4.1.3).
RETRY = "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"
INITIAL, RETRY_PACKET = "0", "3"
VERSION_2 = 0x6b3343cf
# Packets of others are not recorded, nor what a server answers to them.
VERSIONS = (1, VERSION_2)
EXTENSIONS = {"early_data": 42, "pre_shared_key": 41, "ech": 0xfe0d}


class Node:
    """A field of tshark's tree."""

    def __init__(self, element):
        self.element = element

    def all(self, name):
        return [Node(one) for one in self.element.iter() if one.get("name") == name]

    def show(self, name):
        found = self.all(name)
        return found[0].element.get("show") if found else None

    def shows(self, name):
        return [one.element.get("show") for one in self.all(name)]

    def numbers(self, name):
        return [number(value) for value in self.shows(name)]

    def number(self, name):
        found = self.numbers(name)
        return found[0] if found else None


def number(text):
    return int(text, 0)


def raw(text):
    """Bytes that tshark shows as `c0:8c`, as hexadecimal digits."""
    return (text or "").replace(":", "")


class Flow:
    """One connection."""

    def __init__(self, client, server, kind):
        self.client, self.server, self.kind = client, server, kind
        self.hellos, self.answers, self.retried, self.retry_request = [], [], False, None
        # Of QUIC; all connection ids that were seen.
        self.known = set()
        self.versions, self.server_versions = [], []
        self.ids = {"original": None, "client": None, "server": None}
        self.retry, self.token, self.parameters = False, None, None
        # Of DTLS.
        self.cookie, self.certificates, self.curve, self.alert = False, [], None, None


def parameters(hello):
    """Transport parameters: names, lengths and numbers, as tshark has them."""
    found = []
    for one in hello.element.iter():
        fields = {field.get("name"): field for field in one}
        kind = fields.get("tls.quic.parameter.type")
        if kind is None:
            continue
        name = kind.get("showname").removeprefix("Type: ").rsplit(" (", 1)[0]
        special = [field.get("show") for name_of, field in fields.items() if name_of.removeprefix("tls.quic.parameter.") not in ("type", "length", "value")]
        value = int(special[0]) if special and special[0].isdecimal() else None
        found.append((name, number(kind.get("show")), number(fields["tls.quic.parameter.length"].get("show")), value))
    return found


def client_hello(node, prefix):
    numbers = lambda name: node.numbers(f"{prefix}.handshake.{name}")
    schemes = []
    for extension in node.all(f"{prefix}.handshake.extension"):
        if extension.number(f"{prefix}.handshake.extension.type") == 13:
            schemes = extension.numbers(f"{prefix}.handshake.sig_hash_alg")
    return {
        "version": numbers("version")[0],
        "versions": numbers("extensions.supported_version"),
        "suites": numbers("ciphersuite"),
        "extensions": numbers("extension.type"),
        "groups": numbers("extensions_supported_group"),
        "key_shares": numbers("extensions_key_share_group"),
        "schemes": schemes,
        "alpn": node.shows(f"{prefix}.handshake.extensions_alpn_str"),
        "server_name": node.show(f"{prefix}.handshake.extensions_server_name"),
        "ja4": node.show(f"{prefix}.handshake.ja4"),
        "random": node.show(f"{prefix}.handshake.random"),
        "cookie": (node.number(f"{prefix}.handshake.cookie_length") or 0) > 0,
        "parameters": parameters(node),
    }


def server_hello(node, prefix):
    chosen = node.number(f"{prefix}.handshake.extensions.supported_version")
    return {
        "version": chosen or node.number(f"{prefix}.handshake.version"),
        "suite": node.number(f"{prefix}.handshake.ciphersuite"),
        "group": node.number(f"{prefix}.handshake.extensions_key_share_group"),
        "psk": node.show(f"{prefix}.handshake.extensions.psk.identity.selected") is not None,
        "alpn": node.show(f"{prefix}.handshake.extensions_alpn_str"),
    }


def take_messages(flow, proto, prefix, from_client):
    for message in proto.all(f"{prefix}.handshake"):
        kind = message.number(f"{prefix}.handshake.type")
        if kind == CLIENT_HELLO and from_client and message.show(f"{prefix}.handshake.version"):
            hello = client_hello(message, prefix)
            if hello not in flow.hellos:
                flow.hellos.append(hello)
        elif kind == SERVER_HELLO and not from_client and message.show(f"{prefix}.handshake.version"):
            if raw(message.show(f"{prefix}.handshake.random")) == RETRY:
                flow.retried = True
                flow.retry_request = message.number(f"{prefix}.handshake.extensions_key_share_selected_group")
            else:
                answer = server_hello(message, prefix)
                if answer not in flow.answers:
                    flow.answers.append(answer)
        elif kind == CERTIFICATE and not from_client:
            flow.certificates = flow.certificates or [raw(one) for one in message.shows(f"{prefix}.handshake.certificate")]
        elif kind == SERVER_KEY_EXCHANGE:
            flow.curve = flow.curve or message.number(f"{prefix}.handshake.server_named_curve")
        elif kind == HELLO_VERIFY_REQUEST:
            flow.cookie = True


def take_quic(flow, proto, from_client):
    version = proto.show("quic.version")
    if version is None:
        return
    dcid, scid, kind = raw(proto.show("quic.dcid")), raw(proto.show("quic.scid")), proto.show("quic.long.packet_type")
    version = number(version)
    if version == 0 and flow.versions:
        flow.server_versions = flow.server_versions or proto.numbers("quic.supported_version")
    if version not in VERSIONS:
        return
    kind = kind or proto.show("quic.long.packet_type_v2")
    # In version 2 types have other numbers (RFC 9369, section 3.2).
    if version == VERSION_2 and kind is not None:
        kind = str((int(kind) - 1) % 4)
    if from_client:
        if version not in flow.versions:
            flow.versions.append(version)
        if flow.ids["original"] is None:
            flow.ids["original"], flow.ids["client"] = dcid, scid
        if kind == INITIAL and flow.token is None:
            flow.token = (proto.number("quic.token_length") or 0) > 0
    elif kind == INITIAL:
        flow.ids["server"] = scid if flow.ids["server"] is None else flow.ids["server"]
    elif kind == RETRY_PACKET:
        flow.retry = True
    take_messages(flow, proto, "tls", from_client)


def take_dtls(flow, proto, from_client):
    take_messages(flow, proto, "dtls", from_client)
    description = proto.number("dtls.alert_message.desc")
    if description is not None and flow.alert is None:
        flow.alert = (description, from_client)


def flows(tshark, file, ports):
    """Flows in order of their first packets. `ports`: servers', and what they speak."""
    command = [*tshark, "-2", "-n", "-r", file, "-T", "pdml", "-Y", "quic.header_form == 1 || dtls"]
    for port, kind in ports.items():
        command += ["-d", f"udp.port=={port},{kind}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = {}
    for packet in xml.etree.ElementTree.fromstring(done.stdout):
        frame = Node(packet)
        ends = []
        for end in ("src", "dst"):
            address = frame.show(f"ip.{end}") or frame.show(f"ipv6.{end}")
            ends.append((address, frame.number(f"udp.{end}port")))
        for proto in packet:
            kind = proto.get("name")
            if kind not in ("quic", "dtls"):
                continue
            of = (dtls_connection if kind == "dtls" else quic_connection)(found, frame, ends)
            key = (kind, tuple(sorted(ends)), of)
            flow = found.setdefault(key, Flow(*ends, kind))
            (take_quic if kind == "quic" else take_dtls)(flow, Node(proto), ends[0] == flow.client)
    return list(found.values())


def quic_connection(found, frame, ends):
    """Which connection of these two ends. tshark's own number is another one after a Retry to a client without an id."""
    same = [key for key in found if key[0] == "quic" and key[1] == tuple(sorted(ends))]
    ids = {raw(one) for name in ("quic.dcid", "quic.scid") for one in frame.shows(name)[:1]} - {""}
    known = [key for key in same if found[key].known & ids]
    new = not same or not known and ends[0] == found[same[-1]].client
    of = str(len(same)) if new else (known or same)[-1][2]
    key = ("quic", tuple(sorted(ends)), of)
    found.setdefault(key, Flow(*ends, "quic")).known.update(ids)
    return of


def dtls_connection(found, frame, ends):
    """Which handshake of these two ends: the client's hellos of one have the same random."""
    same = [key for key in found if key[0] == "dtls" and key[1] == tuple(sorted(ends))]
    random = frame.show("dtls.handshake.random") if CLIENT_HELLO in frame.numbers("dtls.handshake.type") else None
    if random is None or not same:
        return same[-1][2] if same else "0"
    for key in same:
        if any(hello["random"] == random for hello in found[key].hellos) or not found[key].hellos:
            return key[2]
    return str(len(same))
