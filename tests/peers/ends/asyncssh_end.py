"""An end of AsyncSSH: asyncssh_end.py client|server PORT KEY [OPTIONS]"""

import asyncio

import asyncssh
from said import arguments, fingerprint, ready, said, software

WORDS = {"kex": "kex_algs", "ciphers": "encryption_algs", "macs": "mac_algs", "compression": "compression_algs",
    "signatures": "signature_algs", "host_keys": "server_host_key_algs"}


def tell(connection, side):
    there = "client_to_server" if side == "client" else "server_to_client"
    back = "server_to_client" if side == "client" else "client_to_server"
    info = connection.get_extra_info
    mac = lambda way: None if info(f"{way}_cipher").startswith(("aes128-gcm", "aes256-gcm", "chacha20")) else info(f"{way}_mac")
    members = {
        "client_software": software(info("client_version")), "server_software": software(info("server_version")),
        f"cipher_{there}": info("send_cipher"), f"cipher_{back}": info("recv_cipher"),
        f"mac_{there}": mac("send"), f"mac_{back}": mac("recv"),
        f"compression_{there}": info("send_compression"), f"compression_{back}": info("recv_compression"),
    }
    key = connection.get_server_host_key() if side == "client" else None
    if key:
        members["host_key.fingerprint"] = key.get_fingerprint()
    said(**members)


class Server(asyncssh.SSHServer):
    def connection_made(self, connection):
        self.connection = connection

    def begin_auth(self, username):
        return True

    def public_key_auth_supported(self):
        return True

    def validate_public_key(self, username, key):
        tell(self.connection, "server")
        return True


async def main():
    side, port, key, options = arguments()
    chosen = {WORDS[name]: value for name, value in options.items() if name in WORDS}
    if side == "client":
        # known_hosts as a function: it takes every key, certificates too where their authority is named.
        trusted = ([], [asyncssh.read_public_key(options["authority"])], []) if "authority" in options else None
        async with asyncssh.connect("127.0.0.1", port, username="root", client_keys=[key], known_hosts=trusted, config=None, **chosen) as connection:
            tell(connection, side)
        return
    keys = [(key, options["certificate"])] if "certificate" in options else [key]
    await asyncssh.create_server(Server, "127.0.0.1", port, server_host_keys=keys, config=None, **chosen)
    ready()
    await asyncio.Event().wait()


asyncio.run(main())
