#!/usr/bin/env python3
"""`make test-fleet`: a cluster of Spark's own on loopback, a master and two workers. One worker is killed in the middle of an
export; the tables have the rows of an export on one machine, and questions the answers of DuckDB.

test_cluster.py ANALYZER. Starts and ends its own processes, by their ids. Waits for events, never for a time.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SOFTWARE = ROOT / "target/software"
SPARK = SOFTWARE / "spark"
APPLICATION = Path(__file__).with_name("crypto_trace_fleet.py")
CAPTURES = ["tls-go", "tls-nginx", "tls-rustls", "tls-wheels", "tls-libraries", "python-https", "answers", "burst"]
QUESTIONS = ["handshakes", "readiness", "certificates", "findings", "diff"]
ASKED = ["--as-of", "2026-11-29", "--before", "2026-11-23", "--after", "2026-11-24..2026-11-30"]
# What this test can wait for at most, in seconds.
PATIENCE = 240

# The analyzer as a task runs it: says which worker it is of, and goes on when the worker has been killed.
GATED = """#!/bin/sh
echo "$SPARK_TEST_WORKER" > {directory}/begun.$$.new && mv {directory}/begun.$$.new {directory}/begun.$$
until [ -e {directory}/gate ]; do sleep 0.05; done
exec {analyzer} "$@"
"""


def wait_until(what, holds, process=None):
    """Waits for something that other processes do."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if process is not None and process.poll() is not None:
            raise AssertionError(f"it ended with {process.returncode} before {what}")
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {PATIENCE} s")
        time.sleep(0.05)


class Cluster:
    """A master and workers, each a process group of its own."""

    def __init__(self, directory):
        self.directory = directory
        self.processes = {}
        self.environment = {**os.environ, "PYTHONPATH": str(SPARK), "SPARK_HOME": str(SPARK / "pyspark"),
                            "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable, "PYTHONDONTWRITEBYTECODE": "1",
                            "SPARK_LOCAL_DIRS": str(directory / "spark"), "SPARK_DAEMON_MEMORY": "256m"}

    def start(self, name, class_name, *args):
        log = open(self.directory / f"{name}.log", "wb")
        command = [str(SPARK / "pyspark/bin/spark-class"), f"org.apache.spark.deploy.{class_name}", "--host", "127.0.0.1", *args]
        environment = {**self.environment, "SPARK_TEST_WORKER": name, "SPARK_WORKER_DIR": str(self.directory / f"work-{name}")}
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                                   start_new_session=True)
        self.processes[name] = process
        return process

    def log(self, name):
        return (self.directory / f"{name}.log").read_text(errors="replace")

    def begin(self):
        self.start("master", "master.Master", "--port", "0", "--webui-port", "0")
        mark = "Starting Spark master at "
        wait_until("the master", lambda: mark in self.log("master"), self.processes["master"])
        self.url = self.log("master").split(mark)[1].split()[0]
        for name in ("one", "two"):
            self.start(name, "worker.Worker", "--port", "0", "--webui-port", "0", "--cores", "1", "--memory", "1g", self.url)
        for name in ("one", "two"):
            wait_until("a worker", lambda: "Successfully registered with master" in self.log(name), self.processes[name])

    def kill(self, name):
        """With all that it started: executors are of its group, and what they started ends as their pipes do."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def submit(self, *args):
        options = {"spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1",
                   "spark.executor.memory": "512m", "spark.executor.cores": "1", "spark.sql.shuffle.partitions": "4",
                   "spark.executorEnv.PYTHONPATH": str(SPARK)}
        command = [str(SPARK / "pyspark/bin/spark-submit"), "--master", self.url]
        for name, value in options.items():
            command += ["--conf", f"{name}={value}"]
        self.submitted = open(self.directory / "submit.log", "wb")
        return subprocess.Popen([*command, str(APPLICATION), *map(str, args)], stdin=subprocess.DEVNULL,
                                stdout=self.submitted, stderr=self.submitted, env=self.environment)

    def finish(self, process, code=0):
        try:
            process.wait(timeout=PATIENCE)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        said = (self.directory / "submit.log").read_text(errors="replace")
        assert process.returncode == code, said[-6000:]
        return said

    def end(self):
        for name in list(self.processes):
            self.kill(name)


def rows_of(tables):
    """All rows of all tables, with their ids, sorted."""
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    found = {}
    for table in sorted(Path(tables).glob("event_type=*")):
        rows = connection.sql(f"SELECT * FROM read_parquet('{table}/*/*.parquet', hive_partitioning = true) ORDER BY capture, event_id")
        found[table.name] = [str(row) for row in rows.fetchall()]
    return found


def answers(tables):
    """What DuckDB answers."""
    environment = {**os.environ, "PYTHONPATH": str(SOFTWARE / "duckdb"), "PYTHONDONTWRITEBYTECODE": "1"}
    found = {}
    for question in QUESTIONS:
        command = [sys.executable, str(ROOT / "fleet/duckdb/ask.py"), str(tables), question, "-f", "json", *ASKED]
        found[question] = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return found


def lines(text):
    """Rows in one order: where nulls come differs."""
    return sorted(json.dumps(json.loads(line), sort_keys=True) for line in text.splitlines())


def main():
    analyzer = Path(sys.argv[1]).resolve()
    for what in (SPARK / "pyspark", SOFTWARE / "duckdb/duckdb"):
        if not what.is_dir():
            sys.exit(f"{what.name} is missing: scripts/setup --fleet installs it")
    sys.path.insert(0, str(SOFTWARE / "duckdb"))
    with tempfile.TemporaryDirectory(prefix="crypto-trace-fleet.") as name:
        directory = Path(name)
        captures = directory / "captures"
        for one in CAPTURES:
            (captures / one).mkdir(parents=True)
            shutil.copy(ROOT / f"testdata/{one}/capture.ctseg", captures / one)
        gated = directory / "gated-analyzer"
        gated.write_text(GATED.format(directory=directory, analyzer=analyzer))
        gated.chmod(0o755)
        alone = directory / "alone"
        subprocess.run([analyzer, "export", "-q", "-r", captures, "-o", alone], check=True)
        expected = rows_of(alone)
        cluster = Cluster(directory)
        tables = directory / "tables"
        try:
            cluster.begin()
            begun = time.monotonic()
            export = cluster.submit("export", captures, "-o", tables, "--analyzer", gated)
            workers = lambda: {path.read_text().strip() for path in directory.glob("begun.*") if path.suffix != ".new"}
            try:
                wait_until("tasks on both workers", lambda: workers() == {"one", "two"}, export)
                cluster.kill("two")
                print("killed a worker with a task of its own")
            finally:
                (directory / "gate").touch()
            cluster.finish(export)
            print(f"exported, {time.monotonic() - begun:.0f} s after it was submitted")
            attempts = len(list(directory.glob("begun.*")))
            assert attempts > len(CAPTURES), f"{attempts} attempts: no task was made again"
            assert rows_of(tables) == expected, "the rows are not those of one machine"
            assert not list(tables.glob("_crypto-trace-fleet/*")), "work was left behind"
            print(f"{sum(map(len, expected.values()))} rows as on one machine, in {attempts} attempts for {len(CAPTURES)} tasks")
            before = sorted(tables.rglob("*"))
            (captures / "broken").mkdir()
            (captures / "broken/broken.ctseg").write_bytes(b"not a segment")
            said = cluster.finish(cluster.submit("export", captures, "-o", tables, "--analyzer", analyzer), code=1)
            assert "broken.ctseg: " in said and "1 of 9 directories could not be exported" in said, said[-6000:]
            assert sorted(tables.rglob("*")) == before, "exported again, it is not the same"
            print("exported again, nothing is new, and a file that is no segment is named")
            cluster.finish(cluster.submit("answer", tables, *QUESTIONS, *ASKED, "-o", directory / "answers"))
            for question, text in answers(alone).items():
                found = lines((directory / f"answers/{question}.jsonl").read_text())
                assert found and found == lines(text), f"{question}: the answer is another one"
                print(f"{question}: {len(found)} rows, as DuckDB has them")
        finally:
            cluster.end()


if __name__ == "__main__":
    main()
