"""An end of paramiko: paramiko_end.py client|server PORT KEY [OPTIONS]"""

import socket
import threading

import paramiko
from said import arguments, fingerprint, ready, said, software


def tell(transport, side):
    """What paramiko knows; its `local` is what it sends with."""
    there = "client_to_server" if side == "client" else "server_to_client"
    back = "server_to_client" if side == "client" else "client_to_server"
    own, others = ("client", "server") if side == "client" else ("server", "client")
    key = transport.get_remote_server_key() if side == "client" else transport.get_server_key()
    members = {
        f"{own}_software": software(transport.local_version), f"{others}_software": software(transport.remote_version),
        "host_key_algorithm": transport.host_key_type,
        f"cipher_{there}": transport.local_cipher, f"cipher_{back}": transport.remote_cipher,
        f"compression_{there}": transport.local_compression, f"compression_{back}": transport.remote_compression,
        f"mac_{there}": None if "gcm" in transport.local_cipher else transport.local_mac,
        f"mac_{back}": None if "gcm" in transport.remote_cipher else transport.remote_mac,
        "strict_kex": transport.agreed_on_strict_kex,
        "host_key.fingerprint": fingerprint(key.asbytes()), "host_key.key_type": key.get_name(), "host_key.key_bits": key.get_bits(),
    }
    said(**members)


class Open(paramiko.ServerInterface):
    def check_auth_publickey(self, username, key):
        return paramiko.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username):
        return "publickey"


class Told(paramiko.Transport):
    """The name of the method is gone once it is over."""

    def _parse_kex_init(self, m):
        super()._parse_kex_init(m)
        methods = {value: name for name, value in self._kex_info.items()}
        said(kex=methods.get(type(self.kex_engine)) if list(self._kex_info.values()).count(type(self.kex_engine)) == 1 else None)


def limit(transport, options):
    offered = transport.get_security_options()
    for name in ("kex", "ciphers", "digests", "key_types", "compression"):
        if name in options:
            setattr(offered, name, options[name])


def main():
    side, port, key, options = arguments()
    key = paramiko.PKey.from_path(key)
    if side == "client":
        transport = Told(socket.create_connection(("127.0.0.1", port)), disabled_algorithms=options.get("disabled"))
        limit(transport, options)
        transport.connect(username="root", pkey=key)
        tell(transport, side)
        transport.close()
        return
    listener = socket.create_server(("127.0.0.1", port))
    ready()
    while True:
        connection, _ = listener.accept()
        transport = Told(connection, disabled_algorithms=options.get("disabled"))
        transport.add_server_key(key)
        limit(transport, options)
        begun = threading.Event()
        try:
            transport.start_server(event=begun, server=Open())
            begun.wait(5)
            if transport.is_active():
                tell(transport, side)
        except (paramiko.SSHException, EOFError, OSError):
            pass


main()
