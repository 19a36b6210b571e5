"""Many TLS connections of GnuTLS, both ends, one after the other and each of another kind; which, is drawn by a seed: the same
every time.

    crowd_gnutls.py COUNT SEED

In the working directory are server.crt, ec.crt, big.crt, client.crt with their keys, ca.crt and other.crt. Connections that fail
are meant to. The numbers are those of gnutls/gnutls.h.
"""

import ctypes
import ctypes.util
import random
import socket
import sys
import threading

SERVER, CLIENT = 1, 2
CERTIFICATE, PEM, REQUIRE, NAME_DNS = 1, 1, 2, 1
AGAIN, INTERRUPTED = -28, -52

gnutls = ctypes.CDLL(ctypes.util.find_library("gnutls"))
gnutls.gnutls_record_send.restype = gnutls.gnutls_record_recv.restype = ctypes.c_ssize_t
gnutls.gnutls_record_set_max_size.restype = ctypes.c_ssize_t


class Datum(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_uint)]


class Refused(Exception):
    pass


def done(result):
    if result < 0:
        raise Refused(result)
    return result


def credentials(name, trusted):
    held = ctypes.c_void_p()
    done(gnutls.gnutls_certificate_allocate_credentials(ctypes.byref(held)))
    if name:
        files = (name + ".crt").encode(), (name + ".key").encode()
        done(gnutls.gnutls_certificate_set_x509_key_file(held, *files, PEM))
    done(gnutls.gnutls_certificate_set_x509_trust_file(held, trusted.encode(), PEM))
    return held


class Session:
    def __init__(self, role, sock, held, priority, alpn=()):
        self.of, self.sock = ctypes.c_void_p(), sock
        done(gnutls.gnutls_init(ctypes.byref(self.of), role))
        done(gnutls.gnutls_priority_set_direct(self.of, priority.encode(), None))
        done(gnutls.gnutls_credentials_set(self.of, CERTIFICATE, held))
        if alpn:
            self.names = [name.encode() for name in alpn]
            data = (Datum * len(alpn))(*(Datum(ctypes.cast(name, ctypes.c_void_p), len(name)) for name in self.names))
            done(gnutls.gnutls_alpn_set_protocols(self.of, data, len(alpn), 0))
        gnutls.gnutls_transport_set_int2(self.of, sock.fileno(), sock.fileno())
        gnutls.gnutls_handshake_set_timeout(self.of, 5000)

    def handshake(self):
        while True:
            result = gnutls.gnutls_handshake(self.of)
            if result >= 0:
                return
            if gnutls.gnutls_error_is_fatal(result):
                # With the alert that the error stands for; a peer's own is not answered.
                gnutls.gnutls_alert_send_appropriate(self.of, result)
                raise Refused(result)

    def receive(self):
        data = ctypes.create_string_buffer(256)
        while True:
            result = gnutls.gnutls_record_recv(self.of, data, len(data))
            if result not in (AGAIN, INTERRUPTED):
                return done(result)

    def send(self, data):
        done(gnutls.gnutls_record_send(self.of, data, len(data)))

    def close(self):
        gnutls.gnutls_bye(self.of, 1)
        gnutls.gnutls_deinit(self.of)


# Certificate, priority, whether a certificate is asked for, largest record.
SERVERS = [
    ("server", "NORMAL", False, 0),
    ("server", "NORMAL:-VERS-ALL:+VERS-TLS1.2", False, 0),
    ("server", "NORMAL:-GROUP-ALL:+GROUP-SECP384R1", False, 0),
    ("ec", "NORMAL", False, 512),
    ("ec", "NORMAL:-VERS-ALL:+VERS-TLS1.2", False, 512),
    ("big", "NORMAL:-VERS-ALL:+VERS-TLS1.2", False, 0),
    ("server", "NORMAL:-VERS-ALL:+VERS-TLS1.2", True, 0),
    ("server", "NORMAL", True, 0),
    ("server", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+DHE-RSA", False, 1024),
]
PRIORITIES = [
    "NORMAL", "NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3", "NORMAL:%NO_EXTENSIONS:-VERS-TLS1.3",
    "NORMAL:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP384R1", "SECURE256", "NORMAL:-CIPHER-ALL:+CHACHA20-POLY1305", "PERFORMANCE:%NO_TICKETS",
    "NORMAL:-CIPHER-ALL:+AES-128-GCM:+AES-128-CBC:+SHA1", "NORMAL:-VERS-ALL:+VERS-TLS1.2:%NO_SESSION_HASH:%COMPAT",
    "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+DHE-RSA:+RSA",
]
PROTOCOLS = [(), ("h2", "http/1.1"), ("http/1.1",), ("nothing-of-this",)]
NAMES = ["server.test", "localhost", "of.another.test", None]


def serve(listener, name, priority, asks, largest, key):
    held = credentials(name, "ca.crt")
    while True:
        peer, _ = listener.accept()
        with peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                session = Session(SERVER, peer, held, priority, ("h2", "http/1.1"))
                done(gnutls.gnutls_session_ticket_enable_server(session.of, ctypes.byref(key)))
                if asks:
                    gnutls.gnutls_certificate_server_set_request(session.of, REQUIRE)
                if largest:
                    done(gnutls.gnutls_record_set_max_size(session.of, largest))
                session.handshake()
                session.receive()
                session.send(b"ok\n")
                session.close()
            except Refused:
                pass


def connect(port, asks, draw, kept):
    held = credentials("client" if asks and draw.random() < 0.8 else None, "other.crt" if draw.random() < 0.08 else "ca.crt")
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        session = Session(CLIENT, sock, held, draw.choice(PRIORITIES), draw.choice(PROTOCOLS))
        name = draw.choice(NAMES)
        if name:
            done(gnutls.gnutls_server_name_set(session.of, NAME_DNS, name.encode(), len(name)))
        if draw.random() < 0.7:
            gnutls.gnutls_session_set_verify_cert(session.of, b"server.test", 0)
        if draw.random() < 0.3:
            # max_fragment_length, or record_size_limit with more.
            done(gnutls.gnutls_record_set_max_size(session.of, draw.choice([512, 1024, 2048])))
        if port in kept and draw.random() < 0.6:
            gnutls.gnutls_session_set_data(session.of, ctypes.c_void_p(kept[port].data), ctypes.c_size_t(kept[port].size))
        session.handshake()
        session.send(b"GET / HTTP/1.0\r\n\r\n")
        # With it come the tickets of TLS 1.3.
        session.receive()
        data = Datum()
        if gnutls.gnutls_session_get_data2(session.of, ctypes.byref(data)) >= 0:
            kept[port] = data
        session.close()


def main():
    count, draw, kept, failed = int(sys.argv[1]), random.Random(int(sys.argv[2])), {}, 0
    key = Datum()
    done(gnutls.gnutls_session_ticket_key_generate(ctypes.byref(key)))
    for at, (name, priority, asks, largest) in enumerate(SERVERS):
        listener = socket.create_server(("127.0.0.1", 20300 + at))
        threading.Thread(target=serve, args=(listener, name, priority, asks, largest, key), daemon=True).start()
    for at in range(count):
        at %= len(SERVERS)
        try:
            connect(20300 + at, SERVERS[at][2], draw, kept)
        except (Refused, OSError):
            failed += 1
    print("connections", count, "failed", failed, flush=True)
    assert failed < count / 2, "nearly nothing works"


main()
