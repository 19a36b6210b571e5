"""Many TLS connections of Python's ssl, which is the OpenSSL of this machine, one after the other and each of another kind. What
kind is drawn by a seed: the same every time.

    crowd.py COUNT SEED                 to servers of its own, in the same process
    crowd.py COUNT SEED PORT[,WORD]...  to these; a WORD says what the server wants or is able to do, see `Client`

In the working directory are ca.crt, other.crt and, for clients that show one, client.crt with its key; for servers of its own
server.crt, ec.crt and big.crt with their keys. Connections that fail are meant to.
"""

import collections
import random
import socket
import ssl
import struct
import sys
import threading

TCP_FASTOPEN, TCP_DEFER_ACCEPT, TCP_QUICKACK = 23, 9, 12
PROXY_V2 = bytes.fromhex("0d0a0d0a000d0a515549540a") + b"\x21\x11\x00\x0c" + bytes([127, 0, 0, 1] * 2) + struct.pack("!HH", 1, 2)
PROXY_V1 = b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n"


class Wire:
    """A TLS connection whose bytes go through here, to be sent in another form."""

    def __init__(self, sock, context, draw, record=0, cuts=(), prefix=b"", fast_open=None, **options):
        self.sock, self.record, self.cuts, self.prefix, self.fast_open = sock, record, list(cuts), prefix, fast_open
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, **options)
        self.encrypted = False

    def reframed(self, data):
        """The same handshake messages in records of `record` bytes; what is encrypted stays as it is."""
        out = b""
        while data:
            kind, length = data[0], struct.unpack("!H", data[3:5])[0]
            head, body, data = data[:3], data[5:5 + length], data[5 + length:]
            if kind != 22 or self.encrypted or not self.record:
                self.encrypted = self.encrypted or kind in (20, 23)
                out += head + struct.pack("!H", length) + body
                continue
            for at in range(0, length, self.record):
                part = body[at:at + self.record]
                out += head + struct.pack("!H", len(part)) + part
        return out

    def flush(self):
        data = self.outgoing.read()
        if not data:
            return
        data, self.prefix = self.prefix + self.reframed(data), b""
        if self.fast_open:
            self.sock.sendto(data, socket.MSG_FASTOPEN, self.fast_open)
            self.fast_open = None
            return
        for cut in self.cuts:
            self.sock.sendall(data[:cut])
            data = data[cut:]
        self.cuts = []
        self.sock.sendall(data)

    def do(self, step):
        while True:
            try:
                result = step()
                self.flush()
                return result
            except ssl.SSLWantReadError:
                self.flush()
                data = self.sock.recv(65536)
                if not data:
                    raise EOFError
                self.incoming.write(data)
            except ssl.SSLError:
                # With the alert.
                self.flush()
                raise


def line(sock):
    text = b""
    while not text.endswith(b"\n"):
        byte = sock.recv(1)
        if not byte:
            raise EOFError
        text += byte
    return text


class Server(threading.Thread):
    """One port. Words: those of `Client`, and `tls1.2`, `retry`, `no-tickets`, `ec`, `big`, `dh`, `deferred`, `alpn`."""

    def __init__(self, words, draw):
        super().__init__(daemon=True)
        self.words, self.draw = words, draw
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        name = "ec" if "ec" in words else "big" if "big" in words else "server"
        self.context.load_cert_chain(name + ".crt", name + ".key")
        self.context.set_ciphers("ALL:@SECLEVEL=0")
        if "tls1.2" in words:
            self.context.maximum_version = ssl.TLSVersion.TLSv1_2
        if "retry" in words:
            self.context.set_ecdh_curve("secp384r1")
        if "no-tickets" in words:
            self.context.options |= ssl.OP_NO_TICKET
        if "dh" in words:
            self.context.load_dh_params("dh.pem")
        if "certificate" in words:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations("ca.crt")
        if "alpn" in words:
            self.context.set_alpn_protocols(["http/1.1", "h2"])
        family = socket.AF_INET6 if "ipv6" in words else socket.AF_INET
        self.listener = socket.create_server(("::1" if "ipv6" in words else "127.0.0.1", self.port()), family=family)
        if "deferred" in words:
            self.listener.setsockopt(socket.IPPROTO_TCP, TCP_DEFER_ACCEPT, 5)
        if "fast-open" in words:
            self.listener.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN, 64)

    # Fixed, in a network namespace of the test's own; those who look at the traffic know them by their ranges.
    ports = {"smtp": iter(range(21000, 21100)), "connect": iter(range(22000, 22100)), "": iter(range(20000, 20100))}

    def port(self):
        return next(next(ports for word, ports in self.ports.items() if word in self.words or not word))

    def run(self):
        while True:
            peer, _ = self.listener.accept()
            with peer:
                try:
                    self.answer(peer)
                except (ssl.SSLError, OSError, EOFError):
                    pass

    def answer(self, peer):
        peer.settimeout(5)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if "proxy" in self.words:
            first = peer.recv(1)
            if first == b"P":
                line(peer)
            else:
                peer.recv(len(PROXY_V2) - 1, socket.MSG_WAITALL)
        if "smtp" in self.words:
            peer.sendall(b"220 mail.test ESMTP\r\n")
            line(peer)
            peer.sendall(b"250-mail.test\r\n250 STARTTLS\r\n")
            line(peer)
            peer.sendall(b"220 go ahead\r\n")
        if "connect" in self.words:
            while line(peer) != b"\r\n":
                pass
            peer.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        record = self.draw.choice([64, 200, 512, 1000]) if "records" in self.words else 0
        wire = Wire(peer, self.context, self.draw, record, server_side=True)
        wire.do(wire.tls.do_handshake)
        wire.do(lambda: wire.tls.read(4096))
        wire.do(lambda: wire.tls.write(b"ok\n"))
        # Sessions that are not closed cannot be resumed.
        wire.do(wire.tls.unwrap)


CIPHERS = [
    "ECDHE+AESGCM", "ECDHE+CHACHA20", "AES128-SHA:AES256-SHA", "ECDHE+AES:AES256-GCM-SHA384", "DHE+AESGCM:ECDHE+AES", "DEFAULT",
    "AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA256",
]
NAMES = ["server.test", "localhost", "a-much-longer-name-that-is-in-no-certificate." + "x" * 60 + ".test", None]
PROTOCOLS = [[], ["h2", "http/1.1"], ["http/1.1"], ["acme-tls/1"], ["%02d-protocol" % at for at in range(40)]]


class Client:
    """Connections to one port. Words: `proxy` (it must be told by a PROXY header who connects), `smtp`, `connect` (the hello comes
    after a dialogue), `certificate` (it asks for one), `ipv6`, `fast-open` (it is able to), `whole` (it does not
    understand a hello in several records)."""

    def __init__(self, port, words, draw, foreign):
        self.port, self.words, self.draw, self.foreign = port, words, draw, foreign
        self.session = None
        self.new_context()

    def new_context(self):
        draw, self.context = self.draw, ssl.create_default_context(cafile="ca.crt")
        self.session = None
        self.context.check_hostname = False
        version = draw.choice(["1.2", "1.3", "both", "both"])
        if "tls1.2" in self.words and draw.random() < 0.8:
            version = "both"
        if version != "both":
            exact = ssl.TLSVersion.TLSv1_2 if version == "1.2" else ssl.TLSVersion.TLSv1_3
            self.context.minimum_version = self.context.maximum_version = exact
        self.context.set_ciphers(draw.choice(CIPHERS))
        self.context.set_alpn_protocols(draw.choice(PROTOCOLS))
        if "certificate" not in self.words and draw.random() < 0.3:
            self.context.set_ecdh_curve(draw.choice(["prime256v1", "secp384r1", "X448", "secp521r1"]))
        if draw.random() < 0.1:
            self.context.options |= ssl.OP_NO_TICKET
        if "certificate" in self.words and draw.random() < 0.85:
            self.context.load_cert_chain("client.crt", "client.key")
        if draw.random() < 0.06:
            self.context = ssl.create_default_context(cafile="other.crt")

    def open(self, fast_open):
        address = ("::1", self.port) if "ipv6" in self.words else ("127.0.0.1", self.port)
        sock = socket.socket(socket.AF_INET6 if "ipv6" in self.words else socket.AF_INET)
        sock.settimeout(5)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.draw.random() < 0.15:
            # What it sends first completes the TCP handshake.
            sock.setsockopt(socket.IPPROTO_TCP, TCP_QUICKACK, 0)
        if not fast_open:
            sock.connect(address)
        return sock, address if fast_open else None

    def connect(self):
        draw = self.draw
        if draw.random() < 0.5:
            self.new_context()
        dialogue = any(word in self.words for word in ("smtp", "connect"))
        sock, address = self.open("fast-open" in self.words and draw.random() < 0.7)
        with sock:
            options = {"server_hostname": draw.choice(NAMES), "session": self.session}
            if self.context.check_hostname:
                options["server_hostname"] = "server.test"
            if draw.random() < 0.2 and "whole" not in self.words:
                options["record"] = draw.choice([4, 16, 64, 200])
            if draw.random() < 0.15 and not address and "proxy" not in self.words:
                options["cuts"] = [draw.choice([1, 2, 3, 5, 6, 40, 100]) for _ in range(draw.randrange(1, 4))]
            if "proxy" in self.words:
                options["prefix"] = draw.choice([PROXY_V1, PROXY_V2])
                if draw.random() < 0.3:
                    sock.sendall(options.pop("prefix"))
            if dialogue:
                self.speak(sock)
            wire = Wire(sock, self.context, draw, fast_open=address, **options)
            wire.do(wire.tls.do_handshake)
            # With it come the tickets of TLS 1.3.
            wire.do(lambda: wire.tls.write(b"GET / HTTP/1.0\r\nHost: server.test\r\n\r\n"))
            wire.do(lambda: wire.tls.read(16))
            self.session = wire.tls.session
            if not self.foreign:
                wire.do(wire.tls.unwrap)

    def speak(self, sock):
        if "smtp" in self.words:
            line(sock)
            sock.sendall(b"EHLO test\r\n")
            line(sock), line(sock)
            sock.sendall(b"STARTTLS\r\n")
            line(sock)
        else:
            sock.sendall(b"CONNECT server.test:443 HTTP/1.1\r\nHost: server.test\r\n\r\n")
            line(sock), line(sock)


OWN = [
    "alpn", "alpn", "tls1.2,alpn", "retry", "retry,alpn", "no-tickets,tls1.2", "ec", "ec,tls1.2", "big,tls1.2", "big", "dh,tls1.2",
    "certificate,tls1.2", "certificate", "records,tls1.2", "records", "proxy", "proxy,tls1.2", "fast-open", "fast-open,tls1.2",
    "deferred,tls1.2", "deferred", "smtp", "smtp,tls1.2", "connect", "ipv6", "ipv6,tls1.2",
]


def main():
    count, draw = int(sys.argv[1]), random.Random(int(sys.argv[2]))
    ports = [tuple(word.split(",")) for word in sys.argv[3:]]
    foreign = bool(ports)
    if not foreign:
        for words in (own.split(",") for own in OWN):
            server = Server(words, random.Random(draw.random()))
            server.start()
            ports.append((server.listener.getsockname()[1], *words))
            if "deferred" in words:
                print("deferred", ports[-1][0], flush=True)
    clients = [Client(int(port), words, random.Random(draw.random()), foreign) for port, *words in ports]
    failed = collections.Counter()
    for at in range(count):
        try:
            clients[at % len(clients)].connect()
        except (ssl.SSLError, OSError, EOFError) as error:
            failed[getattr(error, "reason", None) or repr(error)] += 1
    print("connections", count, "failed", dict(failed), flush=True)
    assert failed.total() < count / 2, "nearly nothing works"


main()
