"""Captures for the benchmarks of the analysis: a real recording of a mixture of work, and long ones made of it."""
import json, os, shutil, subprocess, time
from datetime import datetime

from benchlib import ANALYZE, CAPTURE, REPEAT, ROOT, STORM, info, run, size, table

# What the mixture does besides TLS and compiling: processes that open files of several kinds, some of which are not there.
OPENS = """
import os, sys
directory, opens = sys.argv[1], int(sys.argv[2])
kinds = [("server", "key"), ("chain", "pem"), ("ca", "crt"), ("store", "p12"), ("keys", "jks")]
names = [f"{directory}/{name}{i}.{end}" for i in range(8) for name, end in kinds]
for i in range(opens):
    try:
        os.close(os.open(names[i * 7 % len(names)], os.O_RDONLY))
    except FileNotFoundError:
        pass
"""
MIXTURE = """set -eu
"$1/scripts/tls-workload"
cd "$2"
for i in 1 2 3 4; do cc -c unit$i.c; done
python3 opens.py "$2" 5000 & one=$!
python3 opens.py "$2" 5000 & two=$!
wait $one; wait $two
"$3" 4 10000 0 "$2/server1.key"
"""


def record_mixture(tmp):
    """A recording of TLS, a small compile and opens of keys and certificates, by some hundred processes."""
    work, out = os.path.join(tmp, "mixture"), os.path.join(tmp, "source")
    os.mkdir(work)
    for name, text in {"opens.py": OPENS, "mixture.sh": MIXTURE}.items():
        with open(os.path.join(work, name), "w") as f:
            f.write(text)
    for i in range(1, 5):
        with open(os.path.join(work, f"unit{i}.c"), "w") as f:
            f.write(f"#include <openssl/ssl.h>\nint f{i}(SSL *s) {{ return !s; }}\n")
    for i in range(8):
        for name in ("server%d.key", "chain%d.pem", "ca%d.crt", "store%d.p12"):
            # Of each kind one is missing, and of the fifth all.
            if i:
                open(os.path.join(work, name % i), "w").close()
    run(CAPTURE, "record", "-q", "-o", out, "--", "sh", os.path.join(work, "mixture.sh"), ROOT, work, STORM)
    return out


def record_opens(tmp):
    """A recording of one process that was there before it and opens one key: nothing starts, nothing ends."""
    key, out = os.path.join(tmp, "server.key"), os.path.join(tmp, "opens")
    open(key, "w").close()
    load = subprocess.Popen([STORM, "1", "100000", "10000", key], stdout=subprocess.DEVNULL)
    time.sleep(0.1)
    run(CAPTURE, "record", "-q", "-o", out, "-p", str(load.pid), "-d", "2")
    load.terminate()
    load.wait()
    return out


def repeated(source, tmp, events, segments=1, hosts=1):
    """A capture of so many events in all, made of a recording; `segments` of each host."""
    out = os.path.join(tmp, f"{os.path.basename(source)}-{events}-{segments}-{hosts}")
    if not os.path.exists(out):
        run(REPEAT, source, out, str(events), str(segments), str(hosts))
    return out


def narrow(capture):
    """One per cent of the time in the middle of a capture, and the last process that began before: (since, until, pid)."""
    begin, end = (datetime.fromisoformat(info(capture)[name]) for name in ("start", "end"))
    text = lambda share: (begin + (end - begin) * share).astimezone().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    since, until = text(0.5), text(0.51)
    started = run(ANALYZE, "events", "-q", "--since", text(0), "--until", until, "--type", "process_exec", capture).splitlines()
    return since, until, json.loads(started[-1])["pid"]


def remove(path):
    shutil.rmtree(path)


def calibration(source, made):
    """How a made capture compares with the recording it is made of: lines of text."""
    told = [info(path) for path in (source, made)]
    events = [sum(each["counts"].values()) for each in told]
    kinds = sorted(kind for kind in told[1]["counts"] if any(each["counts"].get(kind, 0) / all_ > 0.0001 for each, all_ in zip(told, events)))
    rows = [[kind, *(f"{100 * each['counts'].get(kind, 0) / all_:.2f} %" for each, all_ in zip(told, events))] for kind in kinds]
    rows += [["records", *(f"{all_:,}" for all_ in events)],
             ["bytes a record, before compression", *(f"{each['raw_bytes'] / all_:.1f}" for each, all_ in zip(told, events))],
             ["bytes a record on disk", *(f"{size(path) / all_:.1f}" for path, all_ in zip((source, made), events))],
             ["records a block", *(f"{all_ / each['blocks']:,.0f}" for each, all_ in zip(told, events))],
             ["records a second", *(f"{all_ / each['duration_ns'] * 1e9:,.0f}" for each, all_ in zip(told, events))]]
    return table(["", "recorded", "made of it"], rows)
