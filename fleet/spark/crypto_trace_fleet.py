#!/usr/bin/env python3
"""Recordings of many hosts with Spark: exports them as tasks, and asks fleet/sql over the tables. For spark-submit.

Owns how work is cut into tasks, what becomes of their files, and the views of Spark. What is exported is the analyzer's
business (docs/events.md), what is asked is in fleet/sql.

A task is one directory of segments. It exports into a directory of its attempt, then renames file by file, the manifest last.
Files are named by the segments they are of: an attempt that is made again, on whatever host, writes the same names. What is read
is what manifests list, so that an attempt that died leaves nothing that is seen.
"""

import argparse
import csv
import datetime
import decimal
import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from pyspark import TaskContext
from pyspark.sql import SparkSession

SQL = Path(__file__).resolve().parent.parent / "sql"

# Columns of the seeds that are no texts.
KINDS = {"from_bits": "BIGINT", "below_bits": "BIGINT", "rule": "INT", "handshake_only": "BOOLEAN", "post_quantum": "BOOLEAN",
         "effective": "DATE", "until": "DATE", "published": "DATE"}

# What is being written, below the tables: no reader takes a name with _ for a table.
WORK = "_crypto-trace-fleet"


def day(text):
    """A day of the command line."""
    return datetime.date.fromisoformat(text)


def span(text):
    """Two days, or one."""
    first, _, last = text.partition("..")
    return day(first), day(last or first)


def tasks_of(roots):
    """Directories that hold segments, each with those that are there now: another attempt has to export the same ones."""
    tasks = []
    for root in roots:
        if not root.is_dir():
            sys.exit(f"{root}: no such directory; name one that holds segments, or directories of them")
        for directory, names, files in os.walk(root.resolve()):
            names.sort()
            segments = sorted(os.path.join(directory, name) for name in files if name.endswith(".ctseg"))
            if segments:
                tasks.append((directory, segments))
    return tasks


def manifests(tables):
    """Manifests of what is in the tables."""
    return sorted(Path(tables).glob("_export-*.json"))


def known(tables):
    """One manifest in the place of all: segments that are exported are left out, by whatever task. None: there are none."""
    all_of = [json.loads(manifest.read_text()) for manifest in manifests(tables)]
    if not all_of:
        return None
    segments = [segment for one in all_of for segment in one["segments"]]
    return json.dumps({**all_of[-1], "id": "known", "segments": segments, "tables": [], "missing": [], "files": []})


def export_one(analyzer, tables, options, earlier, task):
    """Runs where Spark puts it: exports one directory of segments. Returns what there is to say of it."""
    directory, segments = task
    context = TaskContext.get()
    work = Path(tables, WORK, f"task-{context.partitionId()}-attempt-{context.taskAttemptId()}")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        append = ["--append"] if earlier else []
        if earlier:
            (work / "_export-known.json").write_text(earlier)
        command = [analyzer, "export", "--quiet", "--threads", "1", *append, *options, "-o", str(work), "--", *segments]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
        said, rows = done.stderr.strip(), 0
        if done.returncode < 0:
            raise RuntimeError(f"{directory}: {analyzer} was ended by signal {-done.returncode}: {said}")
        if done.returncode > 0:
            # Another attempt would say the same.
            return {"directory": directory, "segments": 0, "rows": 0, "said": said, "failed": True}
        for manifest in manifests(work):
            if manifest.name == "_export-known.json":
                continue
            told = json.loads(manifest.read_text())
            rows += sum(table["rows"] for table in told["tables"])
            for name in told["files"]:
                Path(tables, name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(work / name, Path(tables, name))
            os.replace(manifest, Path(tables, manifest.name))
        return {"directory": directory, "segments": len(segments), "rows": rows, "said": said, "failed": False}
    finally:
        shutil.rmtree(work, ignore_errors=True)


def sweep(tables):
    """Takes away files that no manifest lists: of attempts that died, and whose task was never made again."""
    listed = {name for manifest in manifests(tables) for name in json.loads(manifest.read_text())["files"]}
    for path in Path(tables).glob("event_type=*/date=*/part-*.parquet"):
        if str(path.relative_to(tables)) not in listed:
            path.unlink()


def export(args):
    """Exports all directories, each as a task."""
    tables = args.tables.resolve()
    tables.mkdir(parents=True, exist_ok=True)
    foreign = [path.name for path in tables.iterdir() if not path.name.startswith(("_", "event_type="))]
    if foreign:
        sys.exit(f"{tables}: holds {foreign[0]}, which no export wrote; name an empty directory, or one of tables")
    tasks = tasks_of(args.captures)
    if not tasks:
        sys.exit("no segments (*.ctseg) in: " + ", ".join(map(str, args.captures)))
    with open(tables / f"{WORK}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"{tables}: another export is writing there")
        sweep(tables)
        earlier = known(tables)
        spark = session()
        analyzer, options, target = args.analyzer, list(args.option), str(tables)
        work = spark.sparkContext.parallelize(tasks, len(tasks))
        done = work.map(lambda task: export_one(analyzer, target, options, earlier, task)).collect()
        spark.stop()
        shutil.rmtree(tables / WORK, ignore_errors=True)
    for one in done:
        if one["said"]:
            print(f"{one['directory']}: {one['said']}", file=sys.stderr)
    segments, rows = sum(one["segments"] for one in done), sum(one["rows"] for one in done)
    failed = sum(one["failed"] for one in done)
    print(f"{tables}: {rows} new rows of {segments} segments in {len(done) - failed} directories", file=sys.stderr)
    if failed:
        sys.exit(f"{failed} of {len(done)} directories could not be exported (see above); mend them and run this again")


def session():
    """A session in which a quoted name is a column, as in the SQL of others, and times are UTC."""
    options = {"spark.sql.ansi.enabled": "true", "spark.sql.ansi.doubleQuotedIdentifiers": "true",
               "spark.sql.session.timeZone": "UTC"}
    builder = SparkSession.builder.appName("crypto-trace-fleet")
    for name, value in options.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def statements(path):
    """Statements of a file, without comments: none of ours has a semicolon in a text."""
    lines = (line for line in path.read_text().splitlines() if not line.lstrip().startswith("--"))
    return [one.strip() for one in "\n".join(lines).split(";") if one.strip()]


def table_of(question):
    """What a question is asked of: the first word of its name tells the protocol, and TLS where it tells none."""
    return {"ssh": "ssh_handshake", "ike": "ike_handshake"}.get(question.split("_")[0], "tls_handshake")


def seeds(spark):
    """What the catalog says: read here, so that no other host needs the files."""
    for path in sorted((SQL / "seeds").glob("*.csv")):
        with path.open(newline="") as file:
            names, *rows = csv.reader(file)
        texts = ", ".join(f"{name} STRING" for name in names)
        cells = [tuple(cell if cell else None for cell in row) for row in rows]
        casts = [f"CAST({name} AS {KINDS.get(name, 'STRING')}) AS {name}" for name in names]
        name = {"suites": "seed_suite", "groups": "seed_group", "algorithms": "seed_algorithm", "rules": "seed_rule"}[path.stem]
        spark.createDataFrame(cells, texts).selectExpr(*casts).createOrReplaceTempView(name)


def views(spark, tables, args):
    """Tables by the files that manifests list; then what stands on them."""
    files = {}
    for manifest in manifests(tables):
        for name in json.loads(manifest.read_text())["files"]:
            files.setdefault(name.split("/")[0].partition("=")[2], []).append(str(tables / name))
    for table in sorted({table_of(question) for question in args.questions}):
        if table not in files:
            protocol = table.split("_")[0].upper()
            sys.exit(f"{tables}: no table {table}: nothing was exported, or the recordings have no {protocol} handshake")
    for event_type, paths in files.items():
        read = spark.read.option("basePath", str(tables / f"event_type={event_type}"))
        read.parquet(*paths).createOrReplaceTempView(event_type)
    seeds(spark)
    unix = int(datetime.datetime.combine(args.as_of, datetime.time(), datetime.timezone.utc).timestamp())
    days = {"as_of": args.as_of, "before_from": args.before[0], "before_to": args.before[1], "after_from": args.after[0],
            "after_to": args.after[1]}
    columns = ", ".join(f"DATE '{value}' AS {name}" for name, value in days.items())
    spark.sql(f"SELECT {columns}, CAST({unix} AS BIGINT) AS as_of_unix").createOrReplaceTempView("asked")
    stand_on_tls = (Path(__file__).with_name("views.sql"), SQL / "views.sql") if "tls_handshake" in files else ()
    for path in stand_on_tls:
        for statement in statements(path):
            spark.sql(statement.replace("CREATE OR REPLACE VIEW", "CREATE OR REPLACE TEMPORARY VIEW", 1))


def plain(value):
    """As JSON has it."""
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, datetime.date):
        return value.isoformat()
    return int(value) if isinstance(value, decimal.Decimal) else value


def answer(args):
    """Asks questions."""
    tables = args.tables.resolve()
    if len(args.questions) > 1 and not args.output:
        sys.exit("several questions: name a directory for their answers with -o")
    if not tables.is_dir():
        sys.exit(f"{tables}: no such directory; name one that `export` wrote")
    spark = session()
    views(spark, tables, args)
    for question in args.questions:
        found = spark.sql(statements(SQL / f"{question}.sql")[0])
        if args.format == "text" and not args.output:
            found.show(n=1_000_000, truncate=False)
            continue
        lines = (json.dumps({name: plain(value) for name, value in row.asDict().items()}) + "\n" for row in found.collect())
        if args.output:
            args.output.mkdir(parents=True, exist_ok=True)
            (args.output / f"{question}.jsonl").write_text("".join(lines))
        else:
            sys.stdout.writelines(lines)
    spark.stop()


def main():
    parser = argparse.ArgumentParser(prog="crypto_trace_fleet.py", description="Recordings of many hosts with Spark.")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("export", help="export recordings into tables, each directory of segments as a task")
    one.add_argument("captures", nargs="+", type=Path, metavar="DIR", help="directories that hold segments, at any depth")
    one.add_argument("-o", "--tables", required=True, type=Path, metavar="DIR", help="the tables; those there are added to")
    one.add_argument("--analyzer", default="crypto-trace-analyze", metavar="PATH", help="the analyzer on the workers")
    one.add_argument("--option", action="append", default=[], metavar="OPTION",
                     help="an option for the analyzer's export: --option=--since=2026-11-01")
    one.set_defaults(run=export)
    one = commands.add_parser("answer", help="ask questions of fleet/sql")
    today = datetime.datetime.now(datetime.timezone.utc).date()
    one.add_argument("tables", type=Path, help="the tables")
    questions = sorted(path.stem for path in SQL.glob("*.sql") if path.stem != "views")
    one.add_argument("questions", nargs="+", choices=questions, help="what to ask")
    one.add_argument("-o", "--output", type=Path, metavar="DIR", help="write DIR/QUESTION.jsonl instead of to stdout")
    one.add_argument("--as-of", type=day, default=today, metavar="DATE", help="judge as of this day (today)")
    one.add_argument("--before", type=span, default="1970-01-01", metavar="DAY..DAY", help="of diff, the earlier days")
    one.add_argument("--after", type=span, default="1970-01-01..9999-12-31", metavar="DAY..DAY", help="the later days")
    one.add_argument("-f", "--format", choices=["text", "json"], default="text", help="a table, or a JSON row a line")
    one.set_defaults(run=answer)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
