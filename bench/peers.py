"""What else a user could run, each set up as well as we know how to tell the same: opens whose path begins with a word, and execs.

All of them trace one cgroup, or a command and what it starts, never the whole machine.
"""
import os, re, shutil, subprocess

from benchlib import CAPTURE, info, run

# The system calls that open files by name; the load of the benchmarks makes the first, programs that start make the second.
OPENS = ("open", "openat")
# As crypto-trace is not allowed to here, bpftrace is not allowed to raise RLIMIT_MEMLOCK, which kernels since 5.11 do not need
# raised; unlike crypto-trace it ends when it cannot. This tells it that it could.
SHIM = """
#include <sys/resource.h>
int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit) { (void)resource; (void)limit; return 0; }
"""
# As globs and endings are beyond it, what it looks for are paths that begin so.
BPFTRACE = """
tracepoint:syscalls:sys_enter_openat, tracepoint:syscalls:sys_enter_open /cgroup == cgroupid("%(cgroup)s")/ {
  @name[tid] = (uint64)args->filename; @flags[tid] = args->flags;
}
tracepoint:syscalls:sys_exit_openat, tracepoint:syscalls:sys_exit_open /cgroup == cgroupid("%(cgroup)s") && @name[tid] != 0/ {
  if (strncmp(str(@name[tid]), "%(prefix)s", %(length)d) == 0) {
    printf("%%lld open %%d %%d %%d %%s %%s %%d %%d\\n", nsecs, pid, tid, uid, comm, str(@name[tid]), @flags[tid], args->ret);
  }
  delete(@name[tid]); delete(@flags[tid]);
}
tracepoint:sched:sched_process_exec /cgroup == cgroupid("%(cgroup)s")/ {
  printf("%%lld exec %%d %%s %%s\\n", nsecs, pid, comm, str(args->filename));
}
END { clear(@name); clear(@flags); }
"""


def events():
    """Tracepoints that tell what crypto-trace tells of opens and execs, as perf and trace-cmd name them."""
    return [f"syscalls:sys_{side}_{name}" for name in OPENS for side in ("enter", "exit")] + ["sched:sched_process_exec"]


class Peer:
    """Something that traces a command. `out` is where it writes to."""

    name = "nothing"

    def __init__(self, tmp, cgroup, prefix):
        self.tmp, self.cgroup, self.prefix = tmp, cgroup, prefix
        self.out = os.path.join(tmp, type(self).__name__)

    def command(self, load):
        """What to run so that it traces the program of these words."""
        return load

    def environment(self):
        return dict(os.environ)

    def counts(self):
        """Opens it tells of, and those it says it lost: (int, int or None)."""
        return 0, None

    def remove(self):
        if os.path.isdir(self.out):
            shutil.rmtree(self.out)
        elif os.path.exists(self.out):
            os.unlink(self.out)


class CryptoTrace(Peer):
    name = "crypto-trace"
    options = ()

    def command(self, load):
        return [CAPTURE, "record", "-q", "-o", self.out, *self.options, "--", *load]

    def counts(self):
        told = info(self.out)
        return told["counts"].get("file_open", 0), told["self_stats"]["lost"]


class CryptoTraceFiles(CryptoTrace):
    """Without what the others do not do either."""

    name = "crypto-trace, opens and execs only"
    options = ("--tls", "off", "--library-calls", "off", "--kernel-crypto", "off")


class Bpftrace(Peer):
    name = "bpftrace"

    def command(self, load):
        script = os.path.join(self.tmp, "peer.bt")
        with open(script, "w") as f:
            f.write(BPFTRACE % {"cgroup": self.cgroup, "prefix": self.prefix, "length": len(self.prefix)})
        # One string that it splits at blanks.
        return ["bpftrace", "-q", "-o", self.out, "-c", " ".join(load), script]

    def environment(self):
        source, shim = os.path.join(self.tmp, "shim.c"), os.path.join(self.tmp, "shim.so")
        if not os.path.exists(shim):
            with open(source, "w") as f:
                f.write(SHIM)
            run("cc", "-shared", "-fPIC", "-o", shim, source)
        return dict(os.environ, LD_PRELOAD=shim)

    def counts(self):
        opens, lost = 0, 0
        with open(self.out, errors="replace") as f:
            for line in f:
                opens += self.prefix in line and " open " in line
                lost += int(line.split()[1]) if line.startswith("Lost ") else 0
        return opens, lost


class Perf(Peer):
    name = "perf record"

    def command(self, load):
        return ["perf", "record", "-q", "-o", self.out, *(word for event in events() for word in ("-e", event)), "--", *load]

    def report(self):
        return ["perf", "script", "-i", self.out]

    def counts(self):
        told = subprocess.run(["perf", "script", "-i", self.out, "-F", "comm,event", "--show-lost-events"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
        # It does not follow the pointer to the name: all opens of the load are counted.
        return (len(re.findall(r"open_storm +syscalls:sys_exit_open:", told)),
                sum(map(int, re.findall(r"PERF_RECORD_LOST.* lost (\d+)", told))))


class TraceCmd(Peer):
    name = "trace-cmd record"

    def command(self, load):
        return ["trace-cmd", "record", "-o", self.out, "-F", "-c", *(word for event in events() for word in ("-e", event)), *load]

    def report(self):
        return ["trace-cmd", "report", "-i", self.out]

    def counts(self):
        told = subprocess.run(self.report(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
        return (len(re.findall(rb"open_storm-\d+ .* sys_exit_open: ", told)),
                sum(map(int, re.findall(rb"(\d+) EVENTS DROPPED", told))))


class Strace(Peer):
    name = "strace"

    def command(self, load):
        return ["strace", "-f", "--seccomp-bpf", "-qq", "-ttt", "-e", "trace=open,openat,execve", "-o", self.out, *load]

    def counts(self):
        with open(self.out, errors="replace") as f:
            # Calls of several processes are told in two lines where they overlap: the first has the name.
            return sum(f'open("{self.prefix}' in line for line in f), 0


ALL = (Peer, CryptoTrace, CryptoTraceFiles, Bpftrace, Perf, TraceCmd, Strace)


def lend_tracefs(tmp):
    """For trace-cmd, in a mount namespace of our own: files that it insists on writing to although it changes nothing that
    matters, and that a locked down kernel refuses to open, are ordinary ones."""
    tracing = "/sys/kernel/tracing"
    if not os.path.exists(f"{tracing}/trace"):
        run("mount", "-t", "tracefs", "tracefs", tracing)
    for name in ("set_ftrace_filter", "set_ftrace_notrace", "set_ftrace_pid", "set_ftrace_notrace_pid"):
        place(tmp, f"{tracing}/{name}", "")
    place(tmp, "/proc/sys/kernel/ftrace_enabled", "1\n")


def place(tmp, path, text):
    try:
        if os.path.exists(path):
            with open(path, "r+") as f:
                f.write(text)
    except PermissionError:
        ordinary = os.path.join(tmp, os.path.basename(path))
        with open(ordinary, "w") as f:
            f.write(text)
        run("mount", "--bind", ordinary, path)
