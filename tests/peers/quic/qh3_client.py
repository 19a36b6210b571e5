# SPDX-License-Identifier: MIT OR Apache-2.0
"""A connection by qh3: qh3_client.py PORT"""
import asyncio, ssl, sys

from qh3.asyncio.client import connect
from qh3.quic.configuration import QuicConfiguration


async def main(port):
    configuration = QuicConfiguration(is_client=True, alpn_protocols=["demo"], server_name="server.test", verify_mode=ssl.CERT_NONE)
    async with connect("127.0.0.1", port, configuration=configuration) as client:
        await client.ping()
        print("told client original_connection_id", client._quic.original_destination_connection_id.hex(), flush=True)


asyncio.run(asyncio.wait_for(main(int(sys.argv[1])), 20))
