"""A hello with all that OpenSSL has as default: pyopenssl.py PORT"""

import socket
import sys

from OpenSSL import SSL

method = getattr(SSL, "TLS_CLIENT_METHOD", SSL.SSLv23_METHOD)
connection = SSL.Connection(SSL.Context(method), socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
connection.set_tlsext_host_name(b"server.test")
connection.set_connect_state()
connection.do_handshake()
