"""A first hello of a Python module with its defaults: client.py MODULE PORT, where curl_cffi is followed by whom it imitates"""

import asyncio
import socket
import sys

module, port = sys.argv[1], int(sys.argv[2])


def paramiko():
    import paramiko

    transport = paramiko.Transport(socket.create_connection(("127.0.0.1", port)))
    transport.start_client(timeout=3)


def libssh():
    from ssh import options
    from ssh.session import Session

    session = Session()
    session.options_set(options.HOST, "127.0.0.1")
    session.options_set(options.USER, "nobody")
    session.options_set_port(port)
    session.connect()


def asyncssh():
    import asyncssh

    connecting = asyncssh.connect("127.0.0.1", port, known_hosts=None, username="nobody", password="none", config=None)
    asyncio.run(asyncio.wait_for(connecting, 3))


def aioquic():
    from aioquic.asyncio.client import connect
    from aioquic.quic.configuration import QuicConfiguration

    quic(connect, QuicConfiguration(is_client=True, alpn_protocols=["h3"], server_name="server.test"))


def qh3():
    from qh3.asyncio.client import connect
    from qh3.quic.configuration import QuicConfiguration

    quic(connect, QuicConfiguration(is_client=True, alpn_protocols=["h3"], server_name="server.test"))


def quic(connect, configuration):
    async def client():
        async with connect("127.0.0.1", port, configuration=configuration):
            pass

    asyncio.run(asyncio.wait_for(client(), 1))


def curl_cffi(whom):
    from curl_cffi import requests

    requests.get(f"https://localhost:{port}/", impersonate=whom, verify=False, timeout=3)


if module.startswith("curl_cffi:"):
    curl_cffi(module.removeprefix("curl_cffi:"))
else:
    {"paramiko": paramiko, "libssh": libssh, "asyncssh": asyncssh, "aioquic": aioquic, "qh3": qh3}[module]()
