"""Asks a database through the libpq and libssl inside of the psycopg2 wheel: query.py CONNECTION"""

import sys

import psycopg2

with psycopg2.connect(sys.argv[1]) as connection, connection.cursor() as cursor:
    cursor.execute("select 1")
