#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# hyparquet 1.31.5 (npm): a column of nanoseconds is read as JavaScript's Date, which has milliseconds, and the rest is dropped without a
# word: three events of one millisecond have one time, and their order is lost to a sort by it. DuckDB 2.0.1 keeps the nanoseconds of the
# same file. A parser given for nanoseconds gets them whole.
#
# Seen: distinct times of 3: hyparquet 1, hyparquet with a parser 3, DuckDB 3
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check pyarrow==26.0.1 duckdb==2.0.1
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts hyparquet@1.31.5 >/dev/null
cat > make.py <<'END_PY'
"""Writes the events, and prints how many times DuckDB sees."""
import duckdb
import pyarrow
import pyarrow.parquet

times = pyarrow.array([1760000000123456700 + step for step in range(3)], pyarrow.timestamp("ns", "UTC"))
pyarrow.parquet.write_table(pyarrow.table({"time": times}), "events.parquet")
print(duckdb.sql("select count(distinct time) from 'events.parquet'").fetchall()[0][0])
END_PY
duckdb=$(env/bin/python make.py)
cat > read.mjs <<'END_JS'
// Prints how many times hyparquet sees, as it is and with a parser of nanoseconds.
import { readFileSync } from "node:fs";
import { parquetReadObjects } from "hyparquet";

const bytes = readFileSync("events.parquet");
const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
const distinct = (rows) => new Set(rows.map((row) => row.time.valueOf())).size;
const plain = distinct(await parquetReadObjects({ file }));
const parsers = { timestampFromNanoseconds: (nanoseconds) => nanoseconds };
console.log(`hyparquet ${plain}, hyparquet with a parser ${distinct(await parquetReadObjects({ file, parsers }))}`);
END_JS
seen="distinct times of 3: $(node read.mjs), DuckDB $duckdb"
echo "$seen"
[ "$seen" = "distinct times of 3: hyparquet 1, hyparquet with a parser 3, DuckDB 3" ]
