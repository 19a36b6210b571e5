"""A server that speaks PostgreSQL just far enough for a client to be connected: SSLRequest, then TLS with the OpenSSL inside of
the `cryptography` wheel. It says of each connection what that OpenSSL knows of it, as the other peers do.

    postgres.py CERT KEY [PORT]
"""

import json
import os
import socket
import struct
import sys

from OpenSSL import SSL

context = SSL.Context(SSL.TLS_SERVER_METHOD)
context.use_certificate_chain_file(sys.argv[1])
context.use_privatekey_file(sys.argv[2])
context.set_alpn_select_callback(lambda _, names: names[0])
listener = socket.create_server(("127.0.0.1", int(sys.argv[3]) if sys.argv[3:] else 0))
print("ACCEPT 127.0.0.1:%d" % listener.getsockname()[1], flush=True)
while True:
    peer, remote = listener.accept()
    local = peer.getsockname()
    assert struct.unpack("!II", peer.recv(8)) == (8, 80877103), "SSLRequest"
    peer.sendall(b"S")
    tls = SSL.Connection(context, peer)
    tls.set_accept_state()
    try:
        tls.do_handshake()
    except SSL.Error as error:
        said = {"error": str(error)}
    else:
        said = {
            "version": tls.get_protocol_version_name().replace("TLSv", "TLS "),
            "openssl_cipher": tls.get_cipher_name(),
            "openssl_group": tls.get_group_name(),
            "server_name": (tls.get_servername() or b"").decode() or None,
            "negotiated_protocol": tls.get_alpn_proto_negotiated().decode(),
        }
    said |= {"role": "server", "pid": os.getpid(), "local_address": local[0], "local_port": local[1]}
    said |= {"remote_address": remote[0], "remote_port": remote[1]}
    print(json.dumps(said), flush=True)
    if "error" in said:
        peer.close()
        continue
    tls.recv(4096)
    # AuthenticationOk, ParameterStatus, ReadyForQuery: with no less, psycopg2 does not believe that it is connected.
    parameters = ("client_encoding", "UTF8"), ("DateStyle", "ISO, MDY"), ("standard_conforming_strings", "on")
    texts = [("\0".join(parameter) + "\0").encode() for parameter in parameters]
    status = b"".join(b"S" + struct.pack("!I", len(text) + 4) + text for text in texts)
    tls.sendall(b"R\0\0\0\x08\0\0\0\0" + status + b"Z\0\0\0\5I")
    try:
        while tls.recv(4096):
            pass
    except SSL.Error:
        pass
    tls.close()
