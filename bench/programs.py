"""What BPF programs cost, as the kernel counts it; and one that returns at once, to compare them with."""
import ctypes, os, platform, struct, subprocess, time

LIBC = ctypes.CDLL(None, use_errno=True)
SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
PROG_LOAD, PROG_ATTACH, PROG_DETACH, PROG_GET_NEXT_ID, PROG_GET_FD_BY_ID, OBJ_GET_INFO_BY_FD, ENABLE_STATS = 5, 8, 9, 11, 13, 15, 32
CGROUP_SKB = 8
# The kernel's numbers of both directions: BPF_CGROUP_INET_INGRESS, BPF_CGROUP_INET_EGRESS.
DIRECTIONS = (0, 1)
ALLOW_MULTI = 2
# struct bpf_prog_info, include/uapi/linux/bpf.h
INFO_LEN, NAME_AT, RUN_TIME_AT = 232, 64, 192
AT_ONCE = "at_once"


def bpf(command, *words):
    """Result of the system call, and its structure afterwards."""
    attr = ctypes.create_string_buffer(b"".join(words), 120)
    return LIBC.syscall(SYS_BPF, command, attr, 120), attr.raw


class ProgramStats:
    """Run time of BPF programs by name, as the kernel counts it (BPF_ENABLE_STATS), clock reads included."""

    def __enter__(self):
        self.fd, _ = bpf(ENABLE_STATS, struct.pack("<I", 0))
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def read(self, names):
        """{number: (run time in ns, runs)} of the programs of these names."""
        found, number = {}, 0
        while True:
            result, attr = bpf(PROG_GET_NEXT_ID, struct.pack("<I", number))
            if result < 0:
                return found
            number = struct.unpack_from("<I", attr, 4)[0]
            fd, _ = bpf(PROG_GET_FD_BY_ID, struct.pack("<I", number))
            if fd < 0:
                continue
            info = ctypes.create_string_buffer(INFO_LEN)
            bpf(OBJ_GET_INFO_BY_FD, struct.pack("<IIQ", fd, INFO_LEN, ctypes.addressof(info)))
            os.close(fd)
            name = info.raw[NAME_AT:NAME_AT + 16].rstrip(b"\0").decode()
            if name in names:
                found[number] = struct.unpack_from("<QQ", info.raw, RUN_TIME_AT)


def run_ns(names, command, others=(), **options):
    """Nanoseconds that the programs of these names ran each time while a command did, all of them together, but for those that
    were there before."""
    with ProgramStats() as stats:
        others = others or set(stats.read(names))
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, **options)
        last = {}
        while process.poll() is None:
            last |= stats.read(names)
            time.sleep(0.05)
    assert process.returncode == 0, (command, process.returncode)
    ours = [counts for number, counts in last.items() if number not in others]
    return sum(time for time, _ in ours) / sum(runs for _, runs in ours)


class ReturnsAtOnce:
    """A program on the packets of a cgroup, in both directions, that lets all pass and does nothing else."""

    def __init__(self, cgroup):
        self.cgroup = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY)

    def __enter__(self):
        # r0 = 1; exit
        program = ctypes.create_string_buffer(struct.pack("<BBhi", 0xb7, 0, 0, 1) + struct.pack("<BBhi", 0x95, 0, 0, 0))
        licence = ctypes.create_string_buffer(b"GPL")
        at = ctypes.addressof
        self.program, _ = bpf(PROG_LOAD, struct.pack("<IIQQIIQII16s", CGROUP_SKB, 2, at(program), at(licence), 0, 0, 0, 0, 0, AT_ONCE.encode()))
        if self.program < 0:
            raise OSError(ctypes.get_errno(), "the program that returns at once was refused")
        for direction in DIRECTIONS:
            result, _ = bpf(PROG_ATTACH, struct.pack("<IIII", self.cgroup, self.program, direction, ALLOW_MULTI))
            if result < 0:
                raise OSError(ctypes.get_errno(), "the program that returns at once was not attached")
        return self

    def __exit__(self, *_):
        for direction in DIRECTIONS:
            bpf(PROG_DETACH, struct.pack("<III", self.cgroup, self.program, direction))
        os.close(self.program)
        os.close(self.cgroup)
