"""An end of libssh, the one in the wheel ssh-python, called as C programs call it: libssh_end.py client|server PORT KEY [OPTIONS]"""

import ctypes
import pathlib

import ssh.session  # Loads the library, and what it needs.
from said import arguments, fingerprint, ready, said, software

LIBRARY = next((pathlib.Path(ssh.__file__).parent.parent / "ssh_python.libs").glob("libssh-*.so*"))
C = ctypes.CDLL(str(LIBRARY))
for name in ("ssh_new", "ssh_bind_new"):
    getattr(C, name).restype = ctypes.c_void_p
for name in ("ssh_get_kex_algo", "ssh_get_cipher_in", "ssh_get_cipher_out", "ssh_get_hmac_in", "ssh_get_hmac_out", "ssh_get_serverbanner",
        "ssh_get_clientbanner", "ssh_get_error"):
    getattr(C, name).restype = ctypes.c_char_p

# enum ssh_options_e and enum ssh_bind_options_e of libssh.h and server.h.
OPTIONS = {"ciphers_c2s": 15, "ciphers_s2c": 16, "compression_c2s": 17, "compression_s2c": 18, "kex": 24, "host_keys": 25, "macs_c2s": 29,
    "macs_s2c": 30}
HOST, PORT, USER = 0, 1, 4
BIND_ADDRESS, BIND_PORT, BIND_HOST_KEY = 0, 1, 3


def check(code, session, what):
    if code != 0:
        raise SystemExit(f"{what}: {code} {C.ssh_get_error(session)}")


def tell(session, side):
    there = "client_to_server" if side == "client" else "server_to_client"
    back = "server_to_client" if side == "client" else "client_to_server"
    cipher = {there: C.ssh_get_cipher_out(session).decode(), back: C.ssh_get_cipher_in(session).decode()}
    hmac = {there: C.ssh_get_hmac_out(session).decode(), back: C.ssh_get_hmac_in(session).decode()}
    # These come with the cipher.
    hmac = {way: None if name.startswith("aead-") else name for way, name in hmac.items()}
    members = {f"cipher_{way}": name for way, name in cipher.items()} | {f"mac_{way}": name for way, name in hmac.items()}
    if side == "client":
        key, digest, length = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_size_t()
        check(C.ssh_get_server_publickey(session, ctypes.byref(key)), session, "no key")
        # SSH_PUBLICKEY_HASH_SHA256
        C.ssh_get_publickey_hash(key, 2, ctypes.byref(digest), ctypes.byref(length))
        C.ssh_get_fingerprint_hash.restype = ctypes.c_char_p
        members["host_key.fingerprint"] = C.ssh_get_fingerprint_hash(2, digest, length)
        members["server_software"] = software(C.ssh_get_serverbanner(session))
        members["kex"] = C.ssh_get_kex_algo(session)
    else:
        members["client_software"] = software(C.ssh_get_clientbanner(session))
    said(**members)


def main():
    side, port, key, options = arguments()
    number = ctypes.c_int(port)
    if side == "client":
        session = ctypes.c_void_p(C.ssh_new())
        C.ssh_options_set(session, HOST, b"127.0.0.1")
        C.ssh_options_set(session, PORT, ctypes.byref(number))
        C.ssh_options_set(session, USER, b"root")
        for name, value in options.items():
            check(C.ssh_options_set(session, OPTIONS[name], ",".join(value).encode()), session, name)
        check(C.ssh_connect(session), session, "not connected")
        private = ctypes.c_void_p()
        check(C.ssh_pki_import_privkey_file(key.encode(), None, None, None, ctypes.byref(private)), session, "no private key")
        check(C.ssh_userauth_publickey(session, None, private), session, "not let in")
        tell(session, side)
        C.ssh_disconnect(session)
        return
    listener = ctypes.c_void_p(C.ssh_bind_new())
    C.ssh_bind_options_set(listener, BIND_ADDRESS, b"127.0.0.1")
    C.ssh_bind_options_set(listener, BIND_PORT, ctypes.byref(number))
    C.ssh_bind_options_set(listener, BIND_HOST_KEY, key.encode())
    check(C.ssh_bind_listen(listener), listener, "not listening")
    ready()
    while True:
        session = ctypes.c_void_p(C.ssh_new())
        check(C.ssh_bind_accept(listener, session), listener, "not accepted")
        if C.ssh_handle_key_exchange(session) == 0:
            tell(session, side)
        C.ssh_disconnect(session)
        C.ssh_free(session)


main()
