"""What tests/kernels/matrix and tests/kernels/costs share: Debian's kernels, a small userland for them, and qemu without KVM.

Kernels are fetched once, into target/kernels.
"""
import glob, os, re, shutil, subprocess, sys, tarfile, time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KERNELS = os.path.join(ROOT, "target", "kernels")
TARGET = "x86_64-unknown-linux-gnu"
STATIC = os.path.join(ROOT, "target", "static", TARGET, "release")
PAGE = os.path.join(ROOT, "docs", "kernels.md")
# Kernel, and the Debian release that has it.
SUITES = {"5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie"}
TIERS = ("fentry", "kprobe", "tracepoint")
BOOT_LIMIT_S = 2100


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


def debian_site():
    """Where this machine gets Debian's packages from."""
    for update in (False, True):
        if update:
            # Before that a machine may not know whose packages a source has.
            run("apt-get", "update", "-qq")
        targets = run("apt-get", "indextargets", "--format", "$(SITE)|$(ORIGIN)|$(LABEL)|$(COMPONENT)").splitlines()
        sites = [line.split("|")[0] for line in targets if line.endswith("|Debian|Debian|main")]
        if sites:
            return sites[0]
    sys.exit("kernels: none of this machine's package sources is Debian's: put kernels into target/kernels/SUITE/boot")


def fetch(suite):
    """The kernel of a Debian release: its vmlinuz, fetched by an apt with its own sources, lists and cache."""
    place = os.path.join(KERNELS, suite)
    have = glob.glob(os.path.join(place, "boot", "vmlinuz-*"))
    if have:
        return have[0]
    print(f"kernels: fetching the kernel of Debian {suite}", flush=True)
    site = debian_site()
    apt = os.path.join(place, "apt")
    for directory in ("lists/partial", "cache/archives/partial", "state"):
        os.makedirs(os.path.join(apt, directory), exist_ok=True)
    with open(os.path.join(apt, "sources.list"), "w") as f:
        f.write(f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {site} {suite} main\n")
    open(os.path.join(apt, "status"), "w").close()
    settings = {
        "Dir::Etc::sourcelist": f"{apt}/sources.list", "Dir::Etc::sourceparts": "/dev/null", "Dir::State": f"{apt}/state",
        "Dir::State::Lists": f"{apt}/lists", "Dir::Cache": f"{apt}/cache", "Dir::State::status": f"{apt}/status",
        "Acquire::Languages": "none", "APT::Sandbox::User": "root",
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    run("apt-get", *options, "update", "-qq")
    depends = run("apt-cache", *options, "depends", "linux-image-amd64")
    package = re.search(r"Depends: (\S+)", depends).group(1)
    run("apt-get", *options, "download", "-qq", package, cwd=apt)
    (deb,) = glob.glob(os.path.join(apt, "*.deb"))
    run("dpkg", "-x", deb, place)
    shutil.rmtree(apt)
    # Modules are not needed: what the tests use is built in.
    shutil.rmtree(os.path.join(place, "lib"), ignore_errors=True)
    return glob.glob(os.path.join(place, "boot", "vmlinuz-*"))[0]


def build(*options):
    """The static programs, into STATIC."""
    subprocess.run(["cargo", "xtask", "static", *options], check=True, cwd=ROOT)


def libraries(program):
    """Shared libraries of a program, by ldd."""
    return re.findall(r"(/\S+) \(0x", run("ldd", program))


def root_tree(place, init, static=(), dynamic=(), scripts=(), more_libraries=()):
    """The file system of a virtual machine, without a kernel: busybox, our programs in /opt/crypto-trace, scripts in /.

    `init` and `scripts` are names in tests/kernels, `static` and `dynamic` paths of programs. Dynamic ones come with the
    libraries they name; with `more_libraries`, too, which they open by name.
    """
    for directory in ("bin", "usr/bin", "usr/lib", "proc", "sys", "dev", "tmp", "root", "etc", "opt/crypto-trace", "lib64", "var/tmp"):
        os.makedirs(os.path.join(place, directory))
    busybox = shutil.which("busybox")
    shutil.copy(busybox, os.path.join(place, "bin/busybox"))
    for applet in set(run(busybox, "--list").split()) - {"busybox"}:
        os.symlink("busybox", os.path.join(place, "bin", applet))
    binaries = os.path.join(place, "opt/crypto-trace")
    for program in static:
        shutil.copy(program, binaries)
    needed = {library for program in dynamic for library in libraries(program)} | set(more_libraries)
    needed |= {more for library in list(needed) for more in libraries(library)}
    for program in dynamic:
        shutil.copy(program, binaries)
    for library in needed:
        to = os.path.join(place, library.lstrip("/"))
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy(os.path.realpath(library), to)
    for name in ("passwd", "group"):
        with open(os.path.join(place, "etc", name), "w") as f:
            f.write("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n" if name == "passwd" else "root:x:0:\nnogroup:x:65534:\n")
    for script in (init, "machine.sh", *scripts):
        shutil.copy(os.path.join(ROOT, "tests", "kernels", script), os.path.join(place, "init" if script == init else script))
    run("ldconfig", "-r", place)


def pack(place, to):
    """The tree as an initramfs."""
    names = run("find", ".", "-print0", cwd=place)
    with open(to, "wb") as f:
        cpio = subprocess.Popen(["cpio", "--null", "-o", "--quiet", "-H", "newc"], cwd=place, stdin=subprocess.PIPE, stdout=f)
        cpio.communicate(names.encode())
    assert cpio.returncode == 0, "cpio failed"


def boot(kernel, initramfs, place, version, machine, parameters):
    """Runs a virtual machine to its end; {name: bytes} of what it sent, and how long it took.

    `machine` is what it is made of, in options of qemu; `parameters` go to its kernel.
    """
    console, sent = os.path.join(place, f"console-{version}"), os.path.join(place, f"sent-{version}")
    started = time.monotonic()
    qemu = subprocess.Popen([
        "qemu-system-x86_64", *machine, "-m", "2048", "-nographic", "-nodefaults", "-no-reboot",
        "-kernel", kernel, "-initrd", initramfs, "-append", f"console=ttyS0 panic=-1 quiet mitigations=off {parameters}".strip(),
        "-serial", f"file:{console}", "-serial", f"file:{sent}",
    ])
    try:
        qemu.wait(BOOT_LIMIT_S)
    except subprocess.TimeoutExpired:
        qemu.kill()
        qemu.wait()
    seconds = time.monotonic() - started
    try:
        with tarfile.open(sent, "r:gz") as tar:
            files = {os.path.basename(member.name): tar.extractfile(member).read() for member in tar if member.isfile()}
    except (OSError, tarfile.TarError, EOFError) as error:
        tail = open(console, errors="replace").read()[-4000:]
        sys.exit(f"kernels: nothing came out of the virtual machine of {version} ({error}); its console:\n{tail}")
    return files, seconds


def complaints(version, files):
    """Lines of its log in which a kernel complains: what we load must not make it."""
    lines = re.findall(rb"^.*(?:WARNING: CPU|BUG:|Oops|Call Trace).*$", files.get("dmesg", b"no dmesg: BUG:"), re.M)
    return [f"{version}: the kernel log has: {line.decode(errors='replace')}" for line in lines]


def publish(name, lines):
    """Puts lines into docs/kernels.md between the markers of that name."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    with open(PAGE) as f:
        before, rest = f.read().split(begin)
    with open(PAGE, "w") as f:
        f.write(f"{before}{begin}\n{chr(10).join(lines)}\n{end}{rest.split(end)[1]}")
