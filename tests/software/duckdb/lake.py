#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Reads a directory in the layout of Amazon Security Lake with DuckDB: lake.py DIRECTORY. Prints its rows as JSON lines.

Fails where a file is not of one class, of the day of its path, sorted by time and compressed with zstd.
"""
import datetime, json, re, sys
from pathlib import Path

import duckdb

LAYOUT = re.compile(r"ext/crypto-trace-(\d+)/region=eu-central-1/accountId=123456789012/eventDay=(\d{8})/part-[0-9a-f]+-\d{5}\.parquet")


def plain(value):
    """Without what is null: JSON leaves it out."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value


def main():
    root = Path(sys.argv[1])
    connection = duckdb.connect()
    for path in sorted(root.rglob("*.parquet")):
        layout = LAYOUT.fullmatch(str(path.relative_to(root)))
        if not layout:
            sys.exit(f"{path}: not where a source's objects are")
        class_uid, day = int(layout[1]), layout[2]
        found = connection.sql(f"SELECT * FROM read_parquet('{path}', hive_partitioning = false)")
        rows = [plain(dict(zip(found.columns, values))) for values in found.fetchall()]
        days = {datetime.datetime.fromtimestamp(row["time"] / 1000, datetime.timezone.utc).strftime("%Y%m%d") for row in rows}
        if {row["class_uid"] for row in rows} != {class_uid} or days != {day}:
            sys.exit(f"{path}: rows of another class or day: {days}")
        # Row groups are sorted each; here there is one.
        if [row["time"] for row in rows] != sorted(row["time"] for row in rows):
            sys.exit(f"{path}: not sorted by time")
        codecs = connection.sql(f"SELECT DISTINCT compression FROM parquet_metadata('{path}')").fetchall()
        if codecs != [("ZSTD",)]:
            sys.exit(f"{path}: {codecs}")
        for row in rows:
            row["unmapped"] = json.loads(row["unmapped"])
            print(json.dumps(row))


main()
