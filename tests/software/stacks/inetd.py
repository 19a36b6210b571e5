"""Gives a server of SSH one connection, as inetd does, and says nothing but an opening line to it: inetd.py COMMAND..."""

import socket
import subprocess
import sys

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
running = subprocess.Popen(sys.argv[1:], stdin=server, stdout=server, stderr=subprocess.DEVNULL)
server.close()
client.sendall(b"SSH-2.0-measured\r\n")
client.settimeout(3)
heard = b""
try:
    # Opening line and SSH_MSG_KEXINIT.
    while len(heard) < 700:
        more = client.recv(65536)
        heard += more
        if not more:
            break
except OSError:
    pass
client.close()
try:
    running.wait(3)
except subprocess.TimeoutExpired:
    running.kill()
