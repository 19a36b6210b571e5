"""A client of libssh2, the one in the wheel ssh2-python, called as C programs call it: libssh2_end.py client PORT KEY [OPTIONS]"""

import base64
import ctypes
import pathlib
import socket

import ssh2.session  # Loads the library, and what it needs.
from said import arguments, said, software

LIBRARY = next((pathlib.Path(ssh2.__file__).parent.parent / "ssh2_python.libs").glob("libssh2-*.so*"))
C = ctypes.CDLL(str(LIBRARY))
for name in ("libssh2_session_methods", "libssh2_session_banner_get"):
    getattr(C, name).restype = ctypes.c_char_p
for name in ("libssh2_session_init_ex", "libssh2_hostkey_hash"):
    getattr(C, name).restype = ctypes.c_void_p

# LIBSSH2_METHOD_* of libssh2.h.
METHODS = {"kex": 0, "host_key_algorithm": 1, "cipher_client_to_server": 2, "cipher_server_to_client": 3, "mac_client_to_server": 4,
    "mac_server_to_client": 5, "compression_client_to_server": 6, "compression_server_to_client": 7}
FLAG_COMPRESS, HASH_SHA256 = 2, 3


def main():
    _, port, key, options = arguments()
    session = ctypes.c_void_p(C.libssh2_session_init_ex(None, None, None, None))
    C.libssh2_session_flag(session, FLAG_COMPRESS, int("compression_client_to_server" in options))
    for name, value in options.items():
        assert C.libssh2_session_method_pref(session, METHODS[name], ",".join(value).encode()) == 0, name
    connection = socket.create_connection(("127.0.0.1", port))
    code = C.libssh2_session_handshake(session, connection.fileno())
    assert code == 0, f"no handshake: {code}"
    members = {name: C.libssh2_session_methods(session, number).decode() for name, number in METHODS.items()}
    for way in ("client_to_server", "server_to_client"):
        # The authenticator comes with the cipher.
        if any(word in members[f"cipher_{way}"] for word in ("gcm", "poly1305")):
            members[f"mac_{way}"] = None
    digest = ctypes.string_at(C.libssh2_hostkey_hash(session, HASH_SHA256), 32)
    members["host_key.fingerprint"] = "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
    members["server_software"] = software(C.libssh2_session_banner_get(session))
    code = C.libssh2_userauth_publickey_fromfile_ex(session, b"root", 4, None, key.encode(), None)
    assert code == 0, f"not let in: {code}"
    said(**members)
    C.libssh2_session_disconnect_ex(session, 11, b"done", b"")


main()
