"""Which ends speak SSH with which: the table of tests/peers, as data.

An end is a command, told as text: {port} is the port, {key} the path of the host's or the client's private key, {options} what it is to
prefer, as JSON; @/ the directory of keys and logs. `parser` is what reads its log, see logs.py; `ready` is what a server prints when it listens, where it does.
"""

import dataclasses
import json

from install import HERE, PEERS

ENDS = HERE / "ends"
PYTHON = f"env PYTHONPATH={PEERS}/py:{ENDS} python3 {ENDS}"
NODE = f"env NODE_PATH={PEERS}/node/node_modules node {ENDS}/ssh2_end.js"
CHROOT = f"chroot {PEERS}/debian"
ERLANG = "/usr/lib/erlang"
JARS = ":".join(str(PEERS / "debian/usr/share/java" / jar) for jar in ("jsch.jar", "bcprov.jar", "jzlib.jar")) + f":{PEERS}/jsch"


@dataclasses.dataclass
class End:
    stack: str
    command: str
    parser: str = "said"
    options: dict = dataclasses.field(default_factory=dict)
    # A key of the host, by its name in inside.py.
    key: str = "ed25519"
    # What of its log shows that the client was let in; it ends by itself where there is none.
    done: str = ""

    def words(self, port, key):
        return self.command.format(port=port, key=key, options="'" + json.dumps(self.options) + "'")


@dataclasses.dataclass
class Pair:
    client: End
    server: End

    @property
    def name(self):
        return f"{self.client.stack} to {self.server.stack}"


def sshd(says="", key="ed25519", **more):
    """OpenSSH's server; what it says of itself is read from its log."""
    option = "".join(f" -o {one}" for one in says.split())
    command = f"{CHROOT} /usr/sbin/sshd -D -e -f @/sshd_config -o LogLevel=DEBUG3 -o Port={{port}} -o HostKey=@/{key}{option}"
    return End("OpenSSH sshd" + (f" ({key} {says})".replace(" )", ")") if says or key != "ed25519" else ""), command, "openssh", key=key, **more)


def ssh(says=""):
    option = "".join(f" -o {one}" for one in says.split())
    command = (f"{CHROOT} ssh -vvv -F none -p {{port}} -i @/id -o BatchMode=yes -o StrictHostKeyChecking=accept-new"
        f" -o UserKnownHostsFile=@/known_hosts_{{port}}{option} root@127.0.0.1 true")
    return End("OpenSSH ssh" + (f" ({says})" if says else ""), command, "openssh", done="Authenticated to ")


def python(stack, file, side, key="ed25519", **options):
    label = ", ".join(f"{name} {value[0] if isinstance(value, list) else value}" for name, value in options.items())
    command = f"{PYTHON}/{file}_end.py {side} {{port}} {{key}} {{options}}"
    return End(stack + (f" ({label})" if label else "") + (" server" if side == "server" else ""), command, options=options, key=key)


def node(side, key="ed25519", **options):
    label = f" ({', '.join(options)})" if options else ""
    return End(f"ssh2 of Node{label}" + (" server" if side == "server" else ""), f"{NODE} {side} {{port}} {{key}} {{options}}", options=options, key=key)


def erlang(side):
    found = sorted((PEERS / "debian/usr/lib/erlang").glob("erts-*"))
    bindir = f"{ERLANG}/{found[-1].name}/bin" if found else ERLANG
    command = (f"env ROOTDIR={ERLANG} BINDIR={bindir} EMU=beam PROGNAME=erl HOME=/root {CHROOT} {bindir}/erlexec -boot no_dot_erlang"
        f" -noshell -run escript start -extra /tmp/end.escript {side} {{port}} @/erlang")
    return End("Erlang ssh" + (" server" if side == "server" else ""), command, "erlang")


def plink(more="", label=""):
    command = f"{CHROOT} plink -batch -v -P {{port}} -hostkey {{fingerprint}} -i @/id.ppk {more} root@127.0.0.1 true"
    return End(f"PuTTY plink{label}", command.replace("{fingerprint}", "{{fingerprint}}"), "plink", done="Access granted")


DBCLIENT = End("dropbear dbclient", f"{CHROOT} dbclient -y -p {{port}} -i @/id.dropbear root@127.0.0.1 true", "dropbear")
JSCH = End("JSch", f"java -Xshare:auto -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp {JARS} Jsch client {{port}} {{key}}", "jsch")
GO_CLIENT = End("Go x/crypto", f"{PEERS}/go-end client {{port}} {{key}}")
RUSSH = f"{PEERS}/russh/debug/russh-end"
RUSSH_CLIENT = End("russh", f"{RUSSH} client {{port}} {{key}}")
AUDIT = End("ssh-audit", f"{PYTHON}/../../../target/peers/py/bin/ssh-audit -jj -t 3 -p {{port}} 127.0.0.1", "audit")

SERVERS = [
    End("dropbear server", f"{CHROOT} dropbear -F -E -r @/dropbear -p 127.0.0.1:{{port}}", "none", key="dropbear"),
    End("TinySSH server", f"{CHROOT} tcpserver -HRDl0 127.0.0.1 {{port}} /usr/sbin/tinysshd -vv @/tinyssh", "tinyssh", key="tinyssh"),
    python("paramiko", "paramiko", "server"),
    python("AsyncSSH", "asyncssh", "server"),
    python("libssh", "libssh", "server"),
    python("libssh", "libssh", "server", key="rsa"),
    python("Twisted Conch", "conch", "server"),
    node("server"),
    node("server", key="ecdsa521"),
    End("russh server", f"{RUSSH} server {{port}} {{key}}"),
    End("Go x/crypto server", f"{PEERS}/go-end server {{port}} {{key}}", key="rsa"),
    erlang("server"),
]

CLIENTS = [
    ssh(), plink(), DBCLIENT, JSCH, GO_CLIENT, RUSSH_CLIENT, node("client"), erlang("client"),
    python("paramiko", "paramiko", "client"), python("AsyncSSH", "asyncssh", "client"), python("libssh", "libssh", "client"),
    python("libssh2", "libssh2", "client"), python("Twisted Conch", "conch", "client"),
]

OLD = "KexAlgorithms=+diffie-hellman-group14-sha1,diffie-hellman-group1-sha1 Ciphers=+aes128-cbc,3des-cbc MACs=+hmac-sha1,hmac-md5"
CERTIFIED = "HostCertificate=@/{key}-cert.pub"


def all_pairs():
    # Each client with OpenSSH's server, and OpenSSH's client with each server; a second opinion of each server.
    for client in CLIENTS:
        yield Pair(client, sshd())
    for server in SERVERS:
        yield Pair(ssh(), server)
        yield Pair(AUDIT, server)
    yield Pair(AUDIT, sshd("HostKey=@/rsa HostKey=@/ecdsa256"))
    # dropbear guesses, and guesses right only where the server wants the same first.
    yield Pair(DBCLIENT, SERVERS[0])
    yield Pair(DBCLIENT, sshd("KexAlgorithms=sntrup761x25519-sha512"))
    yield Pair(DBCLIENT, SERVERS[1])
    # Groups that the server chooses.
    gex = "KexAlgorithms=diffie-hellman-group-exchange-sha256"
    for client in (ssh(), plink(), node("client"), python("paramiko", "paramiko", "client"), python("AsyncSSH", "asyncssh", "client"),
            python("libssh", "libssh", "client"), python("libssh2", "libssh2", "client"), RUSSH_CLIENT, JSCH):
        yield Pair(client, sshd(gex))
    # Certificates as host keys.
    for key in ("ed25519", "rsa", "ecdsa256"):
        yield Pair(ssh(), sshd(CERTIFIED.format(key=key), key))
        yield Pair(GO_CLIENT, sshd(CERTIFIED.format(key=key), key))
        yield Pair(python("AsyncSSH", "asyncssh", "client", authority="@/authority.pub"), sshd(CERTIFIED.format(key=key), key))
        yield Pair(dataclasses.replace(RUSSH_CLIENT, command=RUSSH_CLIENT.command + " certificates"), sshd(CERTIFIED.format(key=key), key))
    yield Pair(ssh(), python("AsyncSSH", "asyncssh", "server", certificate="@/ed25519-cert.pub"))
    yield Pair(ssh(), End("russh server (certificate)", f"{RUSSH} server {{port}} {{key}} @/ed25519-cert.pub"))
    # Keys of every kind.
    for key in ("rsa", "rsa2048", "ecdsa256", "ecdsa384", "ecdsa521"):
        yield Pair(ssh(), sshd(key=key))
        yield Pair(plink(), sshd(key=key))
        yield Pair(python("libssh2", "libssh2", "client"), sshd(key=key))
    # Each direction its own.
    two = dict(cipher_client_to_server=["aes256-ctr"], cipher_server_to_client=["aes128-ctr"], mac_client_to_server=["hmac-sha2-512"],
        mac_server_to_client=["hmac-sha1"])
    yield Pair(python("libssh2", "libssh2", "client", **two), sshd(OLD))
    two = dict(cipher_client_to_server=["aes256-gcm@openssh.com"], cipher_server_to_client=["aes192-ctr"], mac_server_to_client=["hmac-sha2-256"])
    yield Pair(python("libssh2", "libssh2", "client", **two), sshd())
    two = dict(ciphers_c2s=["chacha20-poly1305@openssh.com"], ciphers_s2c=["aes128-cbc"], macs_s2c=["hmac-sha1"], compression_c2s=["zlib@openssh.com"],
        compression_s2c=["none"])
    yield Pair(python("libssh", "libssh", "client", **two), sshd(OLD))
    # What is old, and what is new.
    for method in ("diffie-hellman-group1-sha1", "diffie-hellman-group14-sha1", "diffie-hellman-group18-sha512", "ecdh-sha2-nistp384",
            "sntrup761x25519-sha512", "mlkem768x25519-sha256", "curve25519-sha256@libssh.org"):
        yield Pair(ssh(f"KexAlgorithms={method}"), sshd(OLD))
    yield Pair(ssh("Ciphers=3des-cbc MACs=hmac-md5 Compression=yes"), sshd(OLD))
    yield Pair(python("paramiko", "paramiko", "client", kex=["curve25519-sha256@libssh.org"], ciphers=["aes128-ctr"], compression=["zlib@openssh.com"]), sshd())
    yield Pair(python("AsyncSSH", "asyncssh", "client", kex=["ecdh-sha2-nistp521"], ciphers=["aes128-cbc"], macs=["hmac-md5", "hmac-sha1"]), sshd(OLD))
    yield Pair(python("AsyncSSH", "asyncssh", "client", kex=["mlkem768nistp256-sha256", "mlkem1024nistp384-sha384"]), python("AsyncSSH", "asyncssh", "server"))
    # Methods that vendors named.
    for method in ("ecdh-sha2-1.3.132.0.10", "diffie-hellman-group14-sha256@ssh.com", "curve448-sha512", "diffie-hellman-group-exchange-sha512@ssh.com"):
        yield Pair(python("AsyncSSH", "asyncssh", "client", kex=[method]), python("AsyncSSH", "asyncssh", "server", kex=[method]))
    yield Pair(node("client", kex=["diffie-hellman-group14-sha256"], cipher=["aes256-cbc"], hmac=["hmac-sha2-512"], compress=["zlib"]), node("server"))
    # Nothing in common.
    yield Pair(ssh("KexAlgorithms=diffie-hellman-group1-sha1"), python("Twisted Conch", "conch", "server"))
    yield Pair(ssh("Ciphers=aes128-cbc"), SERVERS[1])
