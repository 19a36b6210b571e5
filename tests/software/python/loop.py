"""TLS connections to itself, one after the other, until standard input ends; the first that fails ends it with an error. How
many there were is in the file `count`.

It forbids itself the system calls by which kernels return from probed functions, as sandboxes do that allow only what they
know: a probe that would make it use them kills it.

    loop.py CERT KEY CA
"""

import ctypes
import os
import platform
import socket
import ssl
import struct
import sys
import threading

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
KILL, ALLOW = 0x80000000, 0x7FFF0000
URETPROBE, UPROBE = 335, 336


def forbid_probes():
    if platform.machine() != "x86_64":
        return
    # struct sock_filter, of linux/filter.h: code, jump if true, jump if false, value.
    program = [
        (LOAD, 0, 0, 0),
        (JUMP_IF_EQUAL, 1, 0, URETPROBE),
        (JUMP_IF_EQUAL, 0, 1, UPROBE),
        (RETURN, 0, 0, KILL),
        (RETURN, 0, 0, ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0):
        if libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def serve(listener, context):
    while True:
        peer, _ = listener.accept()
        try:
            with context.wrap_socket(peer, server_side=True) as tls:
                tls.sendall(b"ok\n")
                tls.recv(1)
        except BaseException as error:
            print("server:", repr(error), file=sys.stderr, flush=True)
            os._exit(1)


cert, key, ca = sys.argv[1:]
forbid_probes()
server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
server.load_cert_chain(cert, key)
listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=serve, args=(listener, server), daemon=True).start()
stopped = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()
client = ssl.create_default_context(cafile=ca)
done = 0
while not stopped.is_set():
    with client.wrap_socket(socket.create_connection(listener.getsockname()), server_hostname="server.test") as tls:
        assert tls.recv(16) == b"ok\n"
    done += 1
    with open("count.new", "w") as file:
        file.write(str(done))
    os.rename("count.new", "count")
