"""Hashes a text: hash.py NAME"""

import hashlib
import sys

assert hashlib.new(sys.argv[1], b"a text").hexdigest()
