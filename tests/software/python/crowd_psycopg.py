"""Many connections to postgres.py with psycopg2, each of another kind; which, is drawn by a seed: the same every time.

    crowd_psycopg.py PORT COUNT SEED
"""

import random
import sys

import psycopg2

port, count, draw, failed = sys.argv[1], int(sys.argv[2]), random.Random(int(sys.argv[3])), 0
for _ in range(count):
    options = {"sslmode": "verify-full", "sslrootcert": "other.crt" if draw.random() < 0.1 else "ca.crt"}
    if draw.random() < 0.4:
        options["ssl_max_protocol_version"] = "TLSv1.2"
    elif draw.random() < 0.3:
        options["ssl_min_protocol_version"] = "TLSv1.3"
    if draw.random() < 0.3:
        options["sslsni"] = "0"
    try:
        psycopg2.connect(
            host=draw.choice(["localhost", "server.test"]), hostaddr="127.0.0.1", port=port, user="u", dbname="d",
            gssencmode="disable", **options).close()
    except psycopg2.OperationalError:
        failed += 1
print("connections", count, "failed", failed, flush=True)
assert failed < count / 2, "nearly nothing works"
