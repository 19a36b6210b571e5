# SPDX-License-Identifier: MIT OR Apache-2.0
"""One end of QUIC by aioquic: aio.py server PORT CERTIFICATE KEY [retry] [v2], aio.py client PORT [v2] [h3] [NAME]

A server answers HTTP/3 with a word, and sends back what it hears of other protocols. It says of each connection what it read of the
client's hello and what was agreed on, one `told` line for each thing.
"""
import asyncio, ssl, sys

from aioquic import tls
from aioquic.asyncio import QuicConnectionProtocol, connect, serve
from aioquic.buffer import Buffer
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import HandshakeCompleted, ProtocolNegotiated, StreamDataReceived
from aioquic.quic.packet import QuicProtocolVersion, pull_quic_transport_parameters

V1, V2 = QuicProtocolVersion.VERSION_1, QuicProtocolVersion.VERSION_2
TRANSPORT_PARAMETERS = 57
# Seconds that a server waits to be ended, and a client to be answered.
PATIENCE = 200
NUMBERS = ("max_idle_timeout", "max_udp_payload_size", "initial_max_data", "initial_max_stream_data_bidi_local",
    "initial_max_stream_data_bidi_remote", "initial_max_stream_data_uni", "initial_max_streams_bidi", "initial_max_streams_uni",
    "ack_delay_exponent", "max_ack_delay", "active_connection_id_limit", "max_datagram_frame_size")


def tell(role, name, value):
    print("told", role, name, value, flush=True)


def codes(values):
    return ",".join(f"0x{int(value):04x}" for value in values)


pull_client_hello = tls.pull_client_hello


def pull_and_tell(buffer):
    hello = pull_client_hello(buffer)
    tell("server", "server_name", hello.server_name)
    tell("server", "offered.alpn", ",".join(hello.alpn_protocols or []))
    tell("server", "offered.cipher_suites", codes(hello.cipher_suites))
    tell("server", "offered.groups", codes(hello.supported_groups))
    tell("server", "offered.key_shares", codes(group for group, _ in hello.key_share))
    tell("server", "offered.signature_schemes", codes(hello.signature_algorithms))
    for kind, data in hello.other_extensions:
        if kind == TRANSPORT_PARAMETERS:
            said = pull_quic_transport_parameters(Buffer(data=data))
            for name in NUMBERS:
                if getattr(said, name) is not None:
                    tell("server", f"parameter.{name}", getattr(said, name))
            if said.initial_source_connection_id is not None:
                tell("server", "client_connection_id", said.initial_source_connection_id.hex())
    return hello


class Answers(QuicConnectionProtocol):
    """A server's end of one connection."""

    http = None

    def quic_event_received(self, event):
        quic = self._quic
        if isinstance(event, HandshakeCompleted):
            tell("server", "original_connection_id", quic.original_destination_connection_id.hex())
            tell("server", "cipher_suite", quic.tls.key_schedule.cipher_suite.name)
            tell("server", "resumed", quic.tls.session_resumed)
        if isinstance(event, ProtocolNegotiated) and event.alpn_protocol == "h3":
            self.http = H3Connection(quic)
        if self.http:
            for one in self.http.handle_event(event):
                if isinstance(one, HeadersReceived):
                    self.http.send_headers(one.stream_id, [(b":status", b"200"), (b"content-type", b"text/plain")])
                    self.http.send_data(one.stream_id, b"hello\n", end_stream=True)
        elif isinstance(event, StreamDataReceived) and event.end_stream and event.stream_id % 4 == 0:
            quic.send_stream_data(event.stream_id, b"hello", end_stream=True)
        self.transmit()


async def server(port, certificate, key, *options):
    tls.pull_client_hello = pull_and_tell
    configuration = QuicConfiguration(is_client=False, alpn_protocols=["h3", "demo"], max_datagram_frame_size=65536)
    configuration.load_cert_chain(certificate, key)
    if "v2" in options:
        configuration.supported_versions = [V2, V1]
    tickets = {}
    await serve("::", port, configuration=configuration, create_protocol=Answers, retry="retry" in options,
        session_ticket_fetcher=tickets.get, session_ticket_handler=lambda ticket: tickets.update({ticket.ticket: ticket}))
    await asyncio.sleep(PATIENCE)


async def client(port, *options):
    tickets = []
    for number in range(2):
        configuration = QuicConfiguration(is_client=True, alpn_protocols=["h3" if "h3" in options else "demo"], server_name="server.test",
            verify_mode=ssl.CERT_NONE, max_datagram_frame_size=65536)
        if "v2" in options:
            configuration.original_version = V2
            configuration.supported_versions = [V2, V1]
        if tickets:
            configuration.session_ticket = tickets[-1]
        async with connect("127.0.0.1", port, configuration=configuration, session_ticket_handler=tickets.append) as one:
            quic = one._quic
            tell("client", "cipher_suite", quic.tls.key_schedule.cipher_suite.name)
            tell("client", "original_connection_id", quic.original_destination_connection_id.hex())
            tell("client", "client_connection_id", quic._host_cids[0].cid.hex())
            await one.ping()
            # The ticket comes after the handshake.
            for _ in range(50):
                if tickets:
                    break
                await asyncio.sleep(0.01)


role, port, *rest = sys.argv[1:]
asyncio.run(asyncio.wait_for({"server": server, "client": client}[role](int(port), *rest), PATIENCE + 1))
