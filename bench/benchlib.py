"""What the benchmarks share: where things are, how numbers are told, and where they are written."""
import json, os, platform, re, signal, statistics, subprocess, sys, time
from typing import NamedTuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
RELEASE = os.path.join(ROOT, "target", "release")
# Python packages that only benchmarks need: scripts/setup --bench puts them there.
PACKAGES = os.path.join(ROOT, "target", "software", "bench")
CAPTURE = os.path.join(RELEASE, "crypto-trace-capture")
ANALYZE = os.path.join(RELEASE, "crypto-trace-analyze")
STORM = os.path.join(RELEASE, "examples", "open_storm")
REPEAT = os.path.join(RELEASE, "examples", "repeat_capture")
PAGE = os.path.join(ROOT, "docs", "performance.md")
# What each benchmark measured last, for bench/targets.
RESULTS = os.path.join(ROOT, "target", "bench")
# Who ends a benchmark early leaves nothing behind either.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


def prepare():
    """Builds what is measured. Ends the program where it cannot record."""
    if os.geteuid() != 0:
        sys.exit(f"{sys.argv[0]}: recording needs root (or CAP_BPF and CAP_PERFMON): run it with sudo")
    subprocess.run(["cargo", "build", "--locked", "--release", "--workspace", "--bins", "--examples"], cwd=ROOT, check=True)


def numbers(name, default):
    """Numbers that the environment may give, with commas between."""
    return [int(word) for word in os.environ.get(name, default).split(",")]


def machine(rounds=ROUNDS):
    return f"Measured on {os.cpu_count()} cores, kernel {platform.release()}, {rounds} rounds, median (range)."


def spread(values, digits=0):
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def table(head, rows):
    """Lines of a Markdown table."""
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(row)} |" for row in rows), ""]


def publish(name, lines, page=PAGE):
    """Puts lines into docs/performance.md, or another page, between the markers of that name, and shows them."""
    text = "\n".join(lines).strip()
    print(text)
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    with open(page) as f:
        before, rest = f.read().split(begin)
    with open(page, "w") as f:
        f.write(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}")


def keep(name, results):
    os.makedirs(RESULTS, exist_ok=True)
    with open(os.path.join(RESULTS, f"{name}.json"), "w") as f:
        json.dump(results, f, indent=1)


def kept(name, needed=True):
    """What keep() wrote last. When that benchmark has not run here: None, or the end of the program where it is needed."""
    try:
        with open(os.path.join(RESULTS, f"{name}.json")) as f:
            return json.load(f)
    except FileNotFoundError:
        if needed:
            sys.exit(f"{sys.argv[0]}: {name} has not been measured here yet: make bench, make bench-peers, make kernel-matrix")


def info(path):
    return json.loads(run(ANALYZE, "info", "--format", "json", path))


def size(path):
    """Bytes of a file, or of the files below a directory."""
    if not os.path.isdir(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(path) for name in names)


def seconds_of(command, **options):
    started = time.monotonic()
    subprocess.run(command, check=True, **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options})
    return time.monotonic() - started


class Cost(NamedTuple):
    """What a program took."""

    wall_s: float
    cpu_s: float
    # The most it had in memory, and of that what is no file's: pages of mapped files are the kernel's to take back.
    peak_kb: int
    anonymous_kb: int


def cost(command, out=os.devnull, env=None):
    """Runs a program to its end, alone. Its peak of memory is looked up while it runs: that of wait4(2) knows no value below
    what this process has."""
    files = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_OPEN, 1, out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
             (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]
    started = time.monotonic()
    pid = os.posix_spawnp(command[0], command, env or os.environ, file_actions=files)
    seen, ended = {"VmHWM": 0, "RssAnon": 0}, 0
    try:
        while not ended:
            with open(f"/proc/{pid}/status") as f:
                for name, kb in re.findall(r"(VmHWM|RssAnon):\s+(\d+)", f.read()):
                    seen[name] = max(seen[name], int(kb))
            ended, code, used = os.wait4(pid, os.WNOHANG)
            if not ended:
                time.sleep(0.001 if time.monotonic() - started < 0.1 else 0.005)
    finally:
        if not ended:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    wall = time.monotonic() - started
    if code != 0:
        sys.exit(f"{sys.argv[0]}: {' '.join(command)[:200]} failed: {os.waitstatus_to_exitcode(code)}")
    return Cost(wall, used.ru_utime + used.ru_stime, seen["VmHWM"], seen["RssAnon"])


class Cgroup:
    """A cgroup of the unified hierarchy: what runs in it can be told by its id, and its CPU time is counted."""

    def __init__(self, name):
        with open("/proc/self/mountinfo") as f:
            mount = next((line.split()[4] for line in f if " - cgroup2 " in line), None)
        if mount is None:
            sys.exit(f"{sys.argv[0]}: cgroup2 is mounted nowhere: mount it (mount -t cgroup2 cgroup2 DIRECTORY)")
        self.path = os.path.join(mount, f"crypto-trace-{name}-{os.getpid()}")

    def __enter__(self):
        os.mkdir(self.path)
        return self

    def __exit__(self, *_):
        deadline = time.monotonic() + 5
        while self.pids() and time.monotonic() < deadline:
            time.sleep(0.01)
        os.rmdir(self.path)

    def cpu_us(self):
        with open(os.path.join(self.path, "cpu.stat")) as f:
            return int(re.search(r"usage_usec (\d+)", f.read())[1])

    def pids(self):
        with open(os.path.join(self.path, "cgroup.procs")) as f:
            return f.read().split()
