"""What the benchmarks share: where things are, how numbers are told, and where they are written."""
import json, os, platform, re, statistics, subprocess, sys, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
RELEASE = os.path.join(ROOT, "target", "release")
CAPTURE = os.path.join(RELEASE, "crypto-trace-capture")
ANALYZE = os.path.join(RELEASE, "crypto-trace-analyze")
STORM = os.path.join(RELEASE, "examples", "open_storm")
PAGE = os.path.join(ROOT, "docs", "performance.md")
# What each benchmark measured last, for scripts/bench-targets.
RESULTS = os.path.join(ROOT, "target", "bench")


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


def prepare():
    """Builds what is measured. Ends the program where it cannot record."""
    if os.geteuid() != 0:
        sys.exit(f"{sys.argv[0]}: recording needs root (or CAP_BPF and CAP_PERFMON): run it with sudo")
    subprocess.run(["cargo", "build", "--locked", "--release", "--workspace", "--bins", "--examples"], cwd=ROOT, check=True)


def machine(rounds=ROUNDS):
    return f"Measured on {os.cpu_count()} cores, kernel {platform.release()}, {rounds} rounds, median (range)."


def spread(values, digits=0):
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def table(head, rows):
    """Lines of a Markdown table."""
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(row)} |" for row in rows), ""]


def publish(name, lines):
    """Puts lines into docs/performance.md between the markers of that name, and shows them."""
    text = "\n".join(lines).strip()
    print(text)
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    with open(PAGE) as f:
        before, rest = f.read().split(begin)
    with open(PAGE, "w") as f:
        f.write(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}")


def keep(name, results):
    os.makedirs(RESULTS, exist_ok=True)
    with open(os.path.join(RESULTS, f"{name}.json"), "w") as f:
        json.dump(results, f, indent=1)


def kept(name):
    """What keep() wrote last; ends the program when that benchmark has not run here."""
    try:
        with open(os.path.join(RESULTS, f"{name}.json")) as f:
            return json.load(f)
    except FileNotFoundError:
        sys.exit(f"{sys.argv[0]}: scripts/bench{'-' + name if name != 'capture' else ''} has not run here yet")


def info(path):
    return json.loads(run(ANALYZE, "info", "--format", "json", path))


def size(path):
    """Bytes of a file, or of the files in a directory."""
    files = [os.path.join(path, name) for name in os.listdir(path)] if os.path.isdir(path) else [path]
    return sum(map(os.path.getsize, files))


def seconds_of(command, **options):
    started = time.monotonic()
    subprocess.run(command, check=True, **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options})
    return time.monotonic() - started
