# SPDX-License-Identifier: MIT OR Apache-2.0
"""Both ends of DTLS by mbed TLS, in two processes: mbedtls_ends.py PORT CERTIFICATE KEY. The server wants a cookie."""
import os, socket, sys, time

from mbedtls import tls, version
from mbedtls.pk import ECC
from mbedtls.x509 import CRT

port, certificate, key = int(sys.argv[1]), *sys.argv[2:]


def server():
    chain = ((CRT.from_PEM(open(certificate).read()),), ECC.from_PEM(open(key).read())) if hasattr(ECC, "from_PEM") else None
    configuration = tls.DTLSConfiguration(certificate_chain=chain, validate_certificates=False)
    listening = tls.ServerContext(configuration).wrap_socket(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    print("ready", version.version, flush=True)
    connection, address = listening.accept()
    connection.setcookieparam(address[0].encode())
    try:
        connection.do_handshake()
    except tls.HelloVerifyRequest:
        connection, address = connection.accept()
        connection.setcookieparam(address[0].encode())
        connection.do_handshake()
    print("told server cipher_suite", connection.cipher().replace("-", "_"), flush=True)
    connection.send(connection.recv(100))
    time.sleep(0.2)


def client():
    configuration = tls.DTLSConfiguration(validate_certificates=False)
    asking = tls.ClientContext(configuration).wrap_socket(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), server_hostname="server.test")
    asking.connect(("127.0.0.1", port))
    asking.do_handshake()
    print("told client cipher_suite", asking.cipher().replace("-", "_"), flush=True)
    print("told client version", asking.negotiated_tls_version().name.replace("DTLSv1_", "DTLS 1."), flush=True)
    asking.send(b"hello")
    asking.recv(100)


child = os.fork()
if not child:
    server()
    sys.stdout.flush()
    os._exit(0)
while not any(f":{port:04X} " in line for line in open("/proc/net/udp")):
    time.sleep(0.02)
client()
os.waitpid(child, 0)
