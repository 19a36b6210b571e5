"""A hello with all that OpenSSL has as default, or without versions before TLS 1.2: pyopenssl.py PORT [12]"""

import socket
import sys

from OpenSSL import SSL

method = getattr(SSL, "TLS_CLIENT_METHOD", SSL.SSLv23_METHOD)
context = SSL.Context(method)
if sys.argv[2:]:
    context.set_options(SSL.OP_NO_TLSv1 | SSL.OP_NO_TLSv1_1 | SSL.OP_NO_SSLv3)
connection = SSL.Connection(context, socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
connection.set_tlsext_host_name(b"server.test")
connection.set_connect_state()
connection.do_handshake()
