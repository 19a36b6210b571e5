#!/usr/bin/env python3
"""Makes the fixtures of this directory: real software talks TLS over loopback, through a proxy that keeps what each side
sends first. Run in an empty directory; needs openssl, gnutls-bin and the Python packages pyOpenSSL and curl_cffi.

    NAME.client.bin  NAME.server.bin   the first bytes of each direction
    NAME.report                        what the software itself says was negotiated, as key=value lines
"""
import json, os, re, socket, subprocess, sys, threading, time

KEEP = 6144
OUT = sys.argv[1] if len(sys.argv) > 1 else "."


class Proxy:
    """One connection through it, kept."""

    def __init__(self, target):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.target, self.kept = target, {"client": b"", "server": b""}
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        near, _ = self.listener.accept()
        far = socket.create_connection(("127.0.0.1", self.target))
        threads = [threading.Thread(target=self.pump, args=a) for a in ((near, far, "client"), (far, near, "server"))]
        [t.start() for t in threads]
        [t.join() for t in threads]

    def pump(self, source, sink, who):
        try:
            while data := source.recv(65536):
                self.kept[who] += data
                sink.sendall(data)
        except OSError:
            pass
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def save(self, name, report):
        self.thread.join(10)
        for who, data in self.kept.items():
            with open(f"{OUT}/{name}.{who}.bin", "wb") as file:
                file.write(data[:KEEP])
        with open(f"{OUT}/{name}.report", "w") as file:
            file.writelines(f"{key}={value}\n" for key, value in report.items() if value is not None)
        print(name, report)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def wait_for(port):
    """Until something listens; looks at the kernel's table, as a connection would count as the server's first."""
    for _ in range(200):
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            rows = [line.split() for line in open(table)]
            if any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows):
                return
        time.sleep(0.02)
    raise RuntimeError("no server")


def run(*command, **kwargs):
    return subprocess.run(command, capture_output=True, text=True, timeout=20, **kwargs)


def keys():
    """A CA, and a server and a client certificate of it, RSA and EC."""
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "3650",
        "-subj", "/C=DE/O=crypto-trace test/CN=test CA")
    for name, algorithm in (("rsa", ["rsa:2048"]), ("ec", ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]), ("client", ["ed25519"])):
        run("openssl", "req", "-newkey", *algorithm, "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
            "-subj", f"/O=crypto-trace test/CN={name}.example.org")
        with open("ext", "w") as file:
            file.write("subjectAltName=DNS:example.org,DNS:*.example.org,IP:127.0.0.1,IP:::1,email:a@example.org\n")
        run("openssl", "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "825", "-sha256", "-extfile", "ext", "-out", f"{name}.pem")


def iana(openssl_name):
    for line in run("openssl", "ciphers", "-stdname", "-V", "ALL:COMPLEMENTOFALL:@SECLEVEL=0").stdout.splitlines():
        fields = line.split()
        if openssl_name in fields:
            return next(f for f in fields if f.startswith("TLS_"))
    return openssl_name


def s_client_report(text):
    found = lambda pattern: (m := re.search(pattern, text, re.M)) and m.group(1)
    suite = found(r"Cipher is (\S+)")
    negotiated = suite not in (None, "(NONE)")
    return {
        "version": (found(r"Protocol *: (TLSv\S+)") or found(r"^(?:New|Reused), (TLSv[\d.]+)")) if negotiated else None,
        "suite": iana(suite) if negotiated else None,
        "key": found(r"Server Temp Key: (.*)"),
        "resumed": {"Reused": "yes", "New": "no"}.get(found(r"^(New|Reused), ")) if negotiated else None,
        "alpn": found(r"ALPN protocol: (\S+)"),
        "alert": found(r"SSL alert number (\d+)"),
    }


def openssl(name, server, client, connections=1, certificate="rsa", request=b"", resume=False):
    """s_server and s_client; the last of the connections is kept."""
    port = free_port()
    listener = subprocess.Popen(
        ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", f"{certificate}.pem", "-key", f"{certificate}.key",
         "-cert_chain", "ca.pem", *server], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wait_for(port)
    for attempt in range(connections):
        proxy = Proxy(port)
        session = (["-sess_out", "session"] if attempt == 0 else ["-sess_in", "session"]) if connections > 1 else []
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port}", "-CAfile", "ca.pem", *client, *session]
        if attempt > 0 and "-early_data" in server:
            open("early", "w").write("early")
            command += ["-early_data", "early"]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        time.sleep(0.7)
        try:
            text = child.communicate(b"Q\n", timeout=10)[0].decode(errors="replace")
        finally:
            child.kill()
        proxy.thread.join(5)
    listener.stdin.close()
    listener.kill()
    proxy.save(name, s_client_report(text))


def gnutls(name, priority):
    port = free_port()
    server = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", "ec.pem", "-key", "ec.key",
                               "-quiet", "-alpn", "http/1.1"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    wait_for(port)
    proxy = Proxy(port)
    text = run("gnutls-cli", "--x509cafile", "ca.pem", "--sni-hostname", "www.example.org", "--alpn", "http/1.1", "--verify-hostname",
               "www.example.org", "--priority", priority, "-p", str(proxy.port), "127.0.0.1", input="").stdout
    server.kill()
    description = re.search(r"Description: (.*)", text).group(1)
    proxy.save(name, {"gnutls": description, "sni": "www.example.org"})


def python_ssl(name):
    import ssl
    port = free_port()
    server = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", "rsa.pem", "-key", "rsa.key",
                               "-quiet"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    wait_for(port)
    proxy = Proxy(port)
    context = ssl.create_default_context(cafile="ca.pem")
    context.set_alpn_protocols(["h2", "http/1.1"])
    with context.wrap_socket(socket.create_connection(("127.0.0.1", proxy.port)), server_hostname="a.example.org") as tls:
        suite, version, _ = tls.cipher()
        report = {"version": tls.version(), "suite": iana(suite), "sni": "a.example.org", "resumed": "yes" if tls.session_reused else "no"}
    server.kill()
    proxy.save(name, report)


def pyopenssl_server(port, ready, seen, groups):
    from OpenSSL import SSL
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_certificate_file("ec.pem")
    context.use_privatekey_file("ec.key")
    listener = socket.create_server(("127.0.0.1", port))
    ready.set()
    raw, _ = listener.accept()
    connection = SSL.Connection(context, raw)
    connection.set_accept_state()
    try:
        connection.do_handshake()
        seen.update(version=connection.get_protocol_version_name(), suite=connection.get_cipher_name(), group=connection.get_group_name())
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        connection.shutdown()
    except SSL.Error as error:
        seen["error"] = str(error)
    raw.close()


def with_pyopenssl(name, client):
    port, ready, seen = free_port(), threading.Event(), {}
    thread = threading.Thread(target=pyopenssl_server, args=(port, ready, seen, None))
    thread.start()
    ready.wait()
    proxy = Proxy(port)
    report = client(proxy.port) or {}
    thread.join(10)
    proxy.save(name, {**seen, **report})


def chrome(port):
    from curl_cffi import requests
    try:
        requests.get(f"https://www.example.org:{port}/", impersonate="chrome131", verify=False, timeout=5,
                     curl_options={10203: [f"www.example.org:{port}:127.0.0.1".encode()]})
    except Exception as error:
        print("curl_cffi:", error)
    return {"sni": "www.example.org"}


def pyopenssl_client(port):
    from OpenSSL import SSL
    connection = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), socket.create_connection(("127.0.0.1", port)))
    connection.set_tlsext_host_name(b"pq.example.org")
    connection.set_connect_state()
    connection.do_handshake()
    connection.close()
    return {"sni": "pq.example.org"}


def main():
    keys()
    low = ["-cipher", "ALL:@SECLEVEL=0"]
    sni = ["-servername", "www.example.org"]
    openssl("openssl13", ["-alpn", "h2"], [*sni, "-alpn", "h2,http/1.1"])
    openssl("openssl13_retry", ["-groups", "P-384"], [*sni, "-groups", "X25519:P-384"])
    openssl("openssl13_resumed", ["-early_data"], [*sni], connections=2)
    openssl("openssl12", ["-tls1_2", "-alpn", "h2"], [*sni, "-alpn", "h2,http/1.1"])
    openssl("openssl12_ec", ["-tls1_2", "-groups", "P-256"], [*sni], certificate="ec")
    openssl("openssl12_dhe", ["-tls1_2", "-cipher", "DHE-RSA-AES256-GCM-SHA384"], [])
    openssl("openssl12_rsa", ["-tls1_2", "-cipher", "AES128-SHA"], [])
    openssl("openssl12_mutual", ["-tls1_2", "-CAfile", "ca.pem", "-Verify", "2"], ["-cert", "client.pem", "-key", "client.key"])
    openssl("openssl12_ticket", ["-tls1_2"], [*sni, "-tls1_2"], connections=2)
    openssl("openssl12_session_id", ["-tls1_2", "-no_ticket"], ["-tls1_2", "-no_ticket"], connections=2)
    openssl("openssl10", [*low, "-tls1"], [*low, "-tls1"])
    openssl("openssl_no_shared_cipher", ["-tls1_2", "-cipher", "AES256-SHA256"], ["-tls1_2", "-cipher", "AES128-SHA256"])
    openssl("openssl_protocol_version", ["-tls1_3"], ["-tls1_2"])
    gnutls("gnutls13", "NORMAL")
    gnutls("gnutls12", "NORMAL:-VERS-TLS1.3")
    python_ssl("python_ssl")
    with_pyopenssl("openssl4_mlkem", pyopenssl_client)
    with_pyopenssl("chrome_mlkem", chrome)
    certificates = {}
    for name in ("rsa", "ec", "client", "ca"):
        certificates[name] = run("openssl", "x509", "-in", f"{name}.pem", "-noout", "-serial", "-subject", "-issuer", "-dates",
                                 "-fingerprint", "-sha256", "-dateopt", "iso_8601").stdout.splitlines()
    with open(f"{OUT}/certificates.json", "w") as file:
        json.dump(certificates, file, indent=1)


main()
