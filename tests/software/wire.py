#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""TLS byte by byte over loopback: what no TLS library can be made to send. Client and server in one process.

wire.py CASE…   makes one connection for each case; the server name of its hello is CASE.test.
"""
import os
import socket
import struct
import sys
import threading
import time

CLIENT_HELLO, SERVER_HELLO = 1, 2
RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


def u16(number):
    return struct.pack(">H", number)


def vec8(data):
    return bytes([len(data)]) + data


def vec16(data):
    return u16(len(data)) + data


def message(kind, body):
    return bytes([kind]) + struct.pack(">I", len(body))[1:] + body


def extension(kind, body):
    return u16(kind) + vec16(body)


def records(data, size=16000, kind=22):
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(bytes([kind, 3, 3]) + vec16(piece) for piece in pieces)


def client_hello(name, share=29, more=b""):
    extensions = extension(0, vec16(b"\0" + vec16(name.encode()))) + extension(10, vec16(u16(29) + u16(24)))
    extensions += extension(13, vec16(u16(0x0403))) + extension(43, vec8(u16(0x0304) + u16(0x0303)))
    extensions += extension(51, vec16(u16(share) + vec16(os.urandom(32)))) + more
    suites = u16(0x1301) + u16(0xC02F)
    return message(CLIENT_HELLO, u16(0x0303) + os.urandom(32) + vec8(b"s" * 32) + vec16(suites) + vec8(b"\0") + vec16(extensions))


def server_hello(version=0x0304, random=None, share=29):
    extensions = extension(43, u16(version))
    extensions += extension(51, u16(share) if random == RETRY else u16(share) + vec16(os.urandom(32)))
    suite = 0x1301 if version == 0x0304 else 0xC02F
    body = u16(0x0303) + (random or os.urandom(32)) + vec8(b"s" * 32) + u16(suite) + b"\0"
    return message(SERVER_HELLO, body + (vec16(extensions) if version == 0x0304 else b""))


CHANGE_CIPHER = records(b"\1", kind=20)
# An encrypted Finished of TLS 1.2 as long as AES-GCM makes it, whose first bytes are those of a hello. What is in it is looked
# for in what was recorded.
FINISHED = records(b"\1\0\0\x24\3\3" + b"CIPHERTEXT" * 3 + b"CIPH")


def steps(case):
    """What client and server say in turn: lists of segments."""
    name = case + ".test"
    hello = records(client_hello(name))
    answer = records(server_hello())
    kind, _, number = case.partition("-")
    number = int(number) if number.isdigit() else 0
    if kind == "cut":  # the first segment ends after some bytes
        return [[hello[:number], hello[number:]], [answer]]
    if kind == "drip":  # so many segments of one byte first
        return [[hello[at : at + 1] for at in range(number)] + [hello[number:]], [answer]]
    if kind == "records":  # records of some bytes, on both sides
        return [[records(client_hello(name), number)], [records(server_hello(), number)]]
    if kind == "proxy1":
        return [[b"PROXY TCP4 192.0.2.1 192.0.2.2 4444 443\r\n" + hello], [answer]]
    if kind == "proxy1cut":  # the segment ends inside of the head of the hello
        return [[b"PROXY TCP6 2001:db8::1 2001:db8::2 4444 443\r\n" + hello[:number], hello[number:]], [answer]]
    if kind == "proxy2":
        header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + u16(12 + number) + bytes([192, 0, 2, 1, 192, 0, 2, 2, 17, 92, 1, 187])
        return [[header + b"\x16" * number + hello], [answer]]
    if kind == "connect":
        return [[b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n" + hello], [b"HTTP/1.1 200 OK\r\n\r\n" + answer]]
    if kind == "sslrequest":  # MySQL: a packet of 32 bytes with a header of 4
        return [[b" \0\0\1" + struct.pack("<IIB", 0x00AEFE85, 1 << 24, 45) + bytes(23) + hello], [answer]]
    if kind == "greeting":
        return [[hello], [b"220 ready\r\n" + answer]]
    if kind == "warning":
        return [[hello], [records(b"\1\x70", kind=21) + records(server_hello(0x0303))]]
    if kind == "finished":
        return [[hello], [records(server_hello(0x0303)) + records(message(14, b""))], [CHANGE_CIPHER + FINISHED], [CHANGE_CIPHER + FINISHED]]
    if kind == "retry":
        first, second = client_hello(name), client_hello(name, 24, extension(44, vec16(b"cookie")))
        return [[records(first)], [records(server_hello(random=RETRY, share=24)) + CHANGE_CIPHER], [CHANGE_CIPHER + records(second)], [records(server_hello(share=24))]]
    if kind == "early":  # early data, then a retry
        data = records(b"DATA" * 100, kind=23)
        first, second = client_hello(name, more=extension(42, b"")), client_hello(name, 24)
        return [[records(first) + CHANGE_CIPHER + data], [records(server_hello(random=RETRY, share=24))], [data, records(second)], [records(server_hello(share=24))]]
    if kind == "retrysplit":  # a second hello in records of some bytes
        first, second = client_hello(name), client_hello(name, 24)
        return [[records(first)], [records(server_hello(random=RETRY, share=24)) + CHANGE_CIPHER], [CHANGE_CIPHER + records(second, number)], [records(server_hello(share=24), number)]]
    if kind == "twice":  # a second hello that nobody asked for
        return [[hello, records(client_hello("forged.test"))], [answer]]
    if kind == "half":
        return [[hello[:80]], []]
    if kind == "half_answer":
        return [[hello], [answer[:50]]]
    if kind == "sslv2":
        body = b"\1\3\3" + u16(6) + u16(0) + u16(16) + b"\0\xc0\x2f\0\0\x35" + os.urandom(16)
        return [[u16(0x8000 | len(body)) + body], [records(server_hello(0x0303))]]
    if kind == "dialogue":  # so many requests and answers in the clear
        return [turn for _ in range(number) for turn in ([b"NOOP\r\n"], [b"250\r\n"])] + [[hello], [answer]]
    if kind == "bulk":  # so many bytes in the clear
        return [[b"x" * number], [b"ok"], [hello], [answer]]
    if kind == "tds":
        wrap = lambda data: b"\x12\1" + u16(8 + len(data)) + b"\0\0\0\0" + data
        return [[wrap(hello)], [wrap(answer)]]
    if kind == "not_tls":
        return [[b"\x16", b"\x16\3", b"\x16\3\1\2", os.urandom(7) + b"SECRET\x16\3"], [b"\x16\3\3\0"], [b"SECRET" * 300], [b"ok"]]
    return [[hello], [answer]]


def say(sock, segments):
    for index, segment in enumerate(segments):
        if index:
            time.sleep(0.02)
        sock.sendall(segment)


def hear(sock, count):
    while count > 0:
        got = sock.recv(min(count, 65536))
        if not got:
            return
        count -= len(got)


def side(sock, turns, mine):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.settimeout(10)
    for index, segments in enumerate(turns):
        if index % 2 == mine:
            say(sock, segments)
        else:
            hear(sock, sum(map(len, segments)))
    time.sleep(0.02)


def connect(case):
    turns = steps(case)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with listener.accept()[0] as accepted:
                side(accepted, turns, 1)

        server = threading.Thread(target=serve)
        server.start()
        with socket.create_connection(listener.getsockname()) as client:
            side(client, turns, 0)
        server.join()


if __name__ == "__main__":
    for case in sys.argv[1:]:
        connect(case)
