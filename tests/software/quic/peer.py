# SPDX-License-Identifier: MIT OR Apache-2.0
"""Both ends of QUIC connections on loopback, by aioquic, or with a client of qh3: peer.py CERTIFICATE KEY [retry] [v2] [long] [twice] [qh3]
[sockets]: the server goes on with each client by a socket that is connected to it, as HAProxy does.

Says what its client's TLS and QUIC agreed on, one line for each connection.
"""
import asyncio, socket, ssl, sys

from aioquic.asyncio import connect, serve
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.packet import QuicProtocolVersion

VERSIONS = {1: QuicProtocolVersion.VERSION_1, 2: QuicProtocolVersion.VERSION_2}


async def ask(port, options):
    configuration = QuicConfiguration(is_client=True, alpn_protocols=["demo"], server_name="secret.example", verify_mode=ssl.CERT_NONE)
    if "long" in options:
        configuration.alpn_protocols = [f"demo-{number:03}" for number in range(120)] + ["demo"]
    if "v2" in options:
        configuration.original_version = VERSIONS[2]
        configuration.supported_versions = [VERSIONS[2], VERSIONS[1]]
    async with connect("127.0.0.1", port, configuration=configuration) as client:
        await client.ping()
        quic, tls = client._quic, client._quic.tls
        print("agreed", tls.key_schedule.cipher_suite.name, tls.alpn_negotiated, hex(quic._version), flush=True)


async def ask_by_qh3(port):
    from qh3.asyncio.client import connect
    from qh3.quic.configuration import QuicConfiguration
    configuration = QuicConfiguration(is_client=True, alpn_protocols=["demo"], server_name="secret.example", verify_mode=ssl.CERT_NONE)
    async with connect("127.0.0.1", port, configuration=configuration) as client:
        await client.ping()
        print("agreed", flush=True)


class Sockets:
    """What a server sends by: a socket of its own for each client."""

    def __init__(self, server):
        self.server, self.first, self.of = server, server._transport, {}
        self.first.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    def sendto(self, data, address):
        if address not in self.of:
            one = self.of[address] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(self.first.get_extra_info("sockname"))
            one.connect(address)
            asyncio.get_running_loop().add_reader(one, lambda: self.server.datagram_received(one.recv(65536), address))
        self.of[address].send(data)

    def __getattr__(self, name):
        return getattr(self.first, name)


async def main(certificate, key, *options):
    configuration = QuicConfiguration(is_client=False, alpn_protocols=["demo"])
    configuration.load_cert_chain(certificate, key)
    if "v2" in options:
        configuration.supported_versions = [VERSIONS[2], VERSIONS[1]]
    server = await serve("127.0.0.1", 0, configuration=configuration, retry="retry" in options)
    if "sockets" in options:
        server._transport = Sockets(server)
    port = server._transport.get_extra_info("sockname")[1]
    for _ in range(2 if "twice" in options else 1):
        await asyncio.wait_for(ask_by_qh3(port) if "qh3" in options else ask(port, options), 20)
    server.close()


asyncio.run(main(*sys.argv[1:]))
