#!/usr/bin/env python3
"""Holds tables to events, field by field: compare.py ANALYZER TABLES SEGMENT…

Every row of every table has an event of `crypto-trace-analyze events` that says the same in each field, and the other way
round. What the tables have besides (`capture`, `event_id`, the partitions) is looked at apart: ids are there once.
Prints what was compared, and what differs; fails then.
"""

import datetime
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import duckdb

TYPES = ("process_exec,process_fork,process_exit,file_open,file_change,lib_load,process_info,loss,clock,probe_status,self_stats,"
         "tls_handshake,ssh_handshake,ike_handshake,wireguard_handshake,api_call,library_info,inventory,suppressed,certificate_file")
EXTRA = ("capture", "event_id", "date", "event_type")

analyzer, tables, *segments = sys.argv[1:]
fields = Counter()
numbers, names = {}, {}


def plain(value):
    """A value of a table as JSON has it. What is null is left out: a table does not tell it from what JSON leaves out."""
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value


def as_table(value, kind, member):
    """A value of JSON as a column of this type has it: numbers in hexadecimal are numbers there, and names of code points are
    beside their numbers."""
    if kind.id == "struct" and isinstance(value, str):
        return {"id": int(value, 16) if value.startswith("0x") else numbers.get((member, value)), "name": value}
    if kind.id == "struct" and isinstance(value, dict):
        kinds = dict(kind.children)
        return {name: as_table(one, kinds[name], name) for name, one in value.items() if one is not None}
    if kind.id == "list" and isinstance(value, list):
        return [as_table(one, kind.children[0][1], member) for one in value]
    if isinstance(value, str) and value.startswith("0x") and ("int" in kind.id):
        return int(value, 16)
    return value


def note_numbers(value, member):
    """Keeps the numbers that names of code points have in a member: each name has one, and each number one name."""
    if isinstance(value, dict) and set(value) == {"id", "name"}:
        name, number = value["name"], value["id"]
        if numbers.setdefault((member, name), number) != number or names.setdefault((member, number), name) != name:
            sys.exit(f"{member}: {name} is {number}, and not everywhere")
    elif isinstance(value, dict):
        for name, one in value.items():
            note_numbers(one, name)
    elif isinstance(value, list):
        for one in value:
            note_numbers(one, member)


def rows_of(connection, event_type):
    found = connection.sql(f"SELECT * FROM read_parquet('{tables}/event_type={event_type}/*/*.parquet', hive_partitioning = true)")
    kinds = dict(zip(found.columns, found.types))
    rows, ids = Counter(), Counter()
    for values in found.fetchall():
        row = dict(zip(found.columns, values))
        ids[row["capture"], row["event_id"]] += 1
        note_numbers(row, "")
        own = {name: plain(value) for name, value in row.items() if name not in EXTRA and value is not None}
        if row["timestamp"].astimezone(datetime.timezone.utc).date() != row["date"]:
            sys.exit(f"{event_type}: a row of {row['timestamp']} is in the part of {row['date']}")
        rows[json.dumps(own, sort_keys=True)] += 1
    twice = [one for one, count in ids.items() if count > 1]
    if twice:
        sys.exit(f"{event_type}: ids that stand twice: {twice[:5]}")
    return kinds, rows


def main():
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    command = [analyzer, "events", "-q", "--type", TYPES, *segments]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()
    events = {}
    for line in lines:
        event = json.loads(line)
        events.setdefault(event.pop("event_type"), []).append(event)
    present = {path.name.partition("=")[2] for path in Path(tables).glob("event_type=*")}
    differs = [f"no table {name}" for name in sorted(set(events) - present)]
    differs += [f"table {name}, and no such event" for name in sorted(present - set(events))]
    for name in sorted(set(events) & present):
        kinds, rows = rows_of(connection, name)
        expected = Counter()
        for event in events[name]:
            own = {field: as_table(value, kinds[field], field) for field, value in event.items() if value is not None}
            fields[name] += len(own)
            expected[json.dumps(own, sort_keys=True)] += 1
        missing, beyond = expected - rows, rows - expected
        differs += [f"{name}: no such row: {one}" for one in missing]
        differs += [f"{name}: no such event: {one}" for one in beyond]
    print(f"{len(lines)} events, {sum(fields.values())} fields, {len(fields)} types")
    for one in differs[:20]:
        print(one)
    sys.exit(bool(differs))


main()
