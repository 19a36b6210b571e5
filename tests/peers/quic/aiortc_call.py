# SPDX-License-Identifier: MIT OR Apache-2.0
"""A call by aiortc, with itself: two peer connections, a data channel between them, DTLS beside STUN. Says what they agreed on."""
import asyncio

from aiortc import RTCConfiguration, RTCPeerConnection


async def main():
    one, other = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    heard = asyncio.get_running_loop().create_future()
    channel = one.createDataChannel("of a test")
    channel.on("open", lambda: channel.send("hello"))
    other.on("datachannel", lambda channel: channel.on("message", heard.set_result))
    await one.setLocalDescription(await one.createOffer())
    await other.setRemoteDescription(one.localDescription)
    await other.setLocalDescription(await other.createAnswer())
    await one.setRemoteDescription(other.localDescription)
    await heard
    for end in (one, other):
        transport = end.sctp.transport
        role = transport._role
        print("told", role, "version", transport._ssl.get_protocol_version_name().replace("DTLSv", "DTLS "), flush=True)
        print("told", role, "openssl_suite", transport._ssl.get_cipher_name(), flush=True)
    await one.close()
    await other.close()


asyncio.run(asyncio.wait_for(main(), 30))
