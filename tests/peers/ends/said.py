"""What an end of a connection tells of it, in the words of events: lines that begin with SAID, for tests/peers."""

import base64
import hashlib
import json
import sys


def said(**members):
    """Tells members of an event; bytes are text, and what is not known is left out."""
    text = {name: value.decode() if isinstance(value, bytes) else value for name, value in members.items()}
    print("SAID " + json.dumps({name: value for name, value in text.items() if value is not None}), flush=True)


def ready():
    """Tells that the server listens."""
    print("READY", flush=True)


def fingerprint(blob):
    """The fingerprint of a public key, as ssh-keygen -l prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def software(line):
    """What an opening line says of the software; comments are apart."""
    line = line.decode() if isinstance(line, bytes) else line
    return line.split("-", 2)[2].strip().split(" ")[0]


def arguments():
    """The side, its port, its key and its options."""
    return sys.argv[1], int(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4] if len(sys.argv) > 4 else "{}")
