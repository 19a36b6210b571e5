#!/usr/bin/env python3
"""Asks the tables of an export with DuckDB: ask.py TABLES QUESTION, where QUESTION is a file of fleet/sql without its .sql.

Owns how the views are made and how the answer is written. What is asked is in fleet/sql.
"""

import argparse
import datetime
import json
import os
import sys
from pathlib import Path

import duckdb

SQL = Path(__file__).resolve().parent.parent / "sql"


def table_of(question):
    """What a question is asked of: the first word of its name tells the protocol, and TLS where it tells none."""
    return {"ssh": "ssh_handshake", "ike": "ike_handshake"}.get(question.split("_")[0], "tls_handshake")


def statements(path):
    """Statements of a file, without comments: none of ours has a semicolon in a text."""
    lines = (line for line in path.read_text().splitlines() if not line.lstrip().startswith("--"))
    return [one.strip() for one in "\n".join(lines).split(";") if one.strip()]


def day(text):
    """A day of the command line."""
    return datetime.date.fromisoformat(text)


def span(text):
    """Two days, or one."""
    first, _, last = text.partition("..")
    return day(first), day(last or first)


def asked(as_of, before, after):
    """The view that carries what was asked."""
    unix = int(datetime.datetime(as_of.year, as_of.month, as_of.day, tzinfo=datetime.timezone.utc).timestamp())
    days = [as_of, *before, *after]
    names = ["as_of", "before_from", "before_to", "after_from", "after_to"]
    columns = [f"DATE '{value}' AS {name}" for name, value in zip(names, days)]
    return f"CREATE OR REPLACE VIEW asked AS SELECT {', '.join(columns)}, {unix} AS as_of_unix"


def has(tables, table):
    """Whether there is a table."""
    return any(tables.glob(f"event_type={table}/*/*.parquet"))


def connect(tables):
    """Views of the tables that there are."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET VARIABLE tables = $1", [str(tables)])
    connection.execute("SET VARIABLE seeds = $1", [str(SQL / "seeds")])
    for statement in statements(Path(__file__).with_name("views.sql")):
        try:
            connection.execute(statement)
        except duckdb.IOException as error:
            # A type of which there was no event.
            if "No files found" not in str(error):
                raise
        except duckdb.CatalogException:
            # What takes a table apart that is not there.
            if has(tables, "tls_handshake"):
                raise
    return connection


def plain(value):
    """As JSON has it."""
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, datetime.date):
        return value.isoformat()
    return value


def cell(value):
    """As a table for people has it. Names of peers may hold anything: what does not print is escaped."""
    if value is None:
        return "-"
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in str(value))


def show(columns, rows):
    """A table without the columns that say nothing."""
    kept = [number for number in range(len(columns)) if any(row[number] not in (None, 0) for row in rows)]
    lines = [[columns[number] for number in kept], *([cell(row[number]) for number in kept] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())


def main():
    parser = argparse.ArgumentParser(description="Ask the tables of an export with DuckDB.")
    today = datetime.datetime.now(datetime.timezone.utc).date()
    questions = sorted(path.stem for path in SQL.glob("*.sql") if path.stem != "views")
    parser.add_argument("tables", type=Path, help="directory of `crypto-trace-analyze export`")
    parser.add_argument("question", choices=questions, help="what to ask")
    parser.add_argument("--as-of", type=day, default=today, metavar="DATE", help="judge as of this day (today)")
    parser.add_argument("--before", type=span, default="1970-01-01", metavar="DAY..DAY", help="of diff, the earlier days")
    parser.add_argument("--after", type=span, default="1970-01-01..9999-12-31", metavar="DAY..DAY", help="the later days")
    parser.add_argument("-f", "--format", choices=["text", "json"], default="text", help="a table, or a JSON row a line")
    args = parser.parse_args()
    if not args.tables.is_dir():
        sys.exit(f"{args.tables}: no such directory; name one that `crypto-trace-analyze export -o` wrote")
    table = table_of(args.question)
    if not has(args.tables, table):
        protocol = table.split("_")[0].upper()
        sys.exit(f"{args.tables}: no table {table}: the recordings have no {protocol} handshake, or --type left them out")
    connection = connect(args.tables)
    connection.execute(asked(args.as_of, args.before, args.after))
    if table == "tls_handshake":
        for statement in statements(SQL / "views.sql"):
            connection.execute(statement)
    answer = connection.sql((SQL / f"{args.question}.sql").read_text().rstrip().rstrip(";"))
    if args.format == "text":
        show(answer.columns, answer.fetchall())
        return
    for row in answer.fetchall():
        print(json.dumps(dict(zip(answer.columns, map(plain, row)))))


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        # Whoever reads has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
