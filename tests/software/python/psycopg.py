"""Connects to postgres.py with psycopg2, whose wheel has libpq and libssl inside, and says what libpq knows of the connection.

    psycopg.py PORT CA [NAME=VALUE]...        as in a connection string
"""

import json
import os
import sys

import psycopg2

options = dict(option.split("=") for option in sys.argv[3:])
try:
    connection = psycopg2.connect(
        host="localhost", hostaddr="127.0.0.1", port=sys.argv[1], user="u", dbname="d", gssencmode="disable",
        sslmode="verify-full", sslrootcert=sys.argv[2], **options)
except psycopg2.OperationalError as error:
    print(json.dumps({"role": "client", "pid": os.getpid(), "remote_port": int(sys.argv[1]), "error": str(error)}))
    sys.exit(0)
info = connection.info
assert info.ssl_in_use
print(json.dumps({
    "role": "client", "pid": os.getpid(), "remote_port": int(sys.argv[1]),
    "version": info.ssl_attribute("protocol").replace("TLSv", "TLS "),
    "openssl_cipher": info.ssl_attribute("cipher"),
    # Encrypted in TLS 1.3, so only the client's own word for it.
    "negotiated_protocol": info.ssl_attribute("alpn"),
}))
connection.close()
