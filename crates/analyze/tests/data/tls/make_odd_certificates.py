#!/usr/bin/env python3
"""Makes odd/: certificates of kinds that hardly anyone sees, each by the real openssl, and what openssl prints of them.

Usage: make_odd_certificates.py DIRECTORY. Needs OpenSSL 3.0 or later. Keys are thrown away.

    NAME.der    the certificate
    odd.json    of each: subject and issuer (-nameopt RFC2253), serial, dates, key size, curve, signature algorithm
"""
import json, os, re, subprocess, sys, tempfile

OUT = sys.argv[1]
CONFIG = """
[req]
distinguished_name = dn
x509_extensions = ext
prompt = no
string_mask = {mask}
utf8 = yes
{oids}
[dn]
{dn}
[ext]
basicConstraints = critical,CA:false
{ext}
"""
PLAIN = "C = DE\nO = Odd certificates\nCN = {name}.example.org"


def run(*command):
    done = subprocess.run(command, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode()}")
    return done.stdout.decode()


def make(name, key, digest=(), dn=None, mask="utf8only", ext="", extra=(), oids="", key_extra=()):
    with tempfile.TemporaryDirectory() as work:
        path = lambda file: os.path.join(work, file)
        with open(path("config"), "w") as file:
            file.write(CONFIG.format(mask=mask, dn=dn or PLAIN.format(name=name), ext=ext, oids=oids))
        if key[0] == "dsa":
            run("openssl", "genpkey", "-genparam", "-algorithm", "DSA", *key[1:], "-out", path("parameters"))
            run("openssl", "genpkey", "-paramfile", path("parameters"), "-out", path("key"))
        else:
            run("openssl", "genpkey", "-algorithm", *key, "-out", path("key"))
        run("openssl", "req", "-new", "-x509", "-config", path("config"), "-key", path("key"), "-days", "9000", *digest, *extra,
            "-outform", "DER", "-out", f"{OUT}/{name}.der")


def printed(name):
    file = f"{OUT}/{name}.der"
    text = run("openssl", "x509", "-inform", "DER", "-in", file, "-noout", "-text", "-nameopt", "RFC2253")
    found = lambda pattern: (m := re.search(pattern, text, re.M)) and m.group(1)
    lines = run("openssl", "x509", "-inform", "DER", "-in", file, "-noout", "-subject", "-issuer", "-serial", "-dates",
                "-nameopt", "RFC2253", "-dateopt", "iso_8601").splitlines()
    said = dict(line.split("=", 1) for line in lines)
    return {**said, "bits": found(r"Public-Key: \((\d+) bit"), "oid": found(r"ASN1 OID: (\S+)"),
            "field": found(r"Field Type: (\S+)"), "key": found(r"Public Key Algorithm: (.*)"),
            "signature": found(r"Signature Algorithm: (.*)")}


EC = lambda curve, *more: ("EC", "-pkeyopt", f"ec_paramgen_curve:{curve}", *more)
RSA = lambda bits: ("RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}")
KINDS = {
    "rsa2047": dict(key=RSA(2047)),
    "rsa_pss": dict(key=("RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2050")),
    "rsa_sha3": dict(key=RSA(1024), digest=["-sha3-256"]),
    "rsa_sha512_256": dict(key=RSA(1024), digest=["-sha512-256"]),
    "dsa": dict(key=("dsa", "-pkeyopt", "dsa_paramgen_bits:2048", "-pkeyopt", "dsa_paramgen_q_bits:256")),
    "dsa_sha3": dict(key=("dsa", "-pkeyopt", "dsa_paramgen_bits:1024", "-pkeyopt", "dsa_paramgen_q_bits:160"), digest=["-sha3-224"]),
    "ec_explicit": dict(key=EC("P-256", "-pkeyopt", "ec_param_enc:explicit")),
    "ec_explicit_binary": dict(key=EC("sect233r1", "-pkeyopt", "ec_param_enc:explicit")),
    "ec_sha3": dict(key=EC("P-256"), digest=["-sha3-384"]),
    "brainpool320": dict(key=EC("brainpoolP320r1")),
    "brainpool256t1": dict(key=EC("brainpoolP256t1")),
    "secp224k1": dict(key=EC("secp224k1")),
    "sm2": dict(key=("SM2",), digest=["-sm3"]),
    "ed448": dict(key=("ED448",)),
    "names_t61": dict(key=EC("P-256"), mask="MASK:0x0004", dn="C = DE\nO = M\u00fcller, S\u00f6hne + Co\nCN = names"),
    "names_bmp": dict(key=EC("P-256"), mask="MASK:0x0800", dn="O = \u041c\u043e\u0441\u043a\u0432\u0430\nCN = names"),
    "names_universal": dict(key=EC("P-256"), mask="MASK:0x0100", dn="O = \U0001f512 lock\nCN = names"),
    "names_escaped": dict(key=EC("P-256"), dn='O = "#a;b<c>d, O=Forged \\"e\\" \\\\ f "\nCN = a+b'),
    "names_many": dict(key=EC("P-256"), dn="C = DE\nST = Hessen\nL = Ort\nstreet = Weg 1\npostalCode = 12345\nSN = Muster\n"
                       "GN = Erika\ntitle = Dr\nserialNumber = HRB 1\nbusinessCategory = Private Organization\n"
                       "jurisdictionC = DE\norganizationIdentifier = VATDE-123\nUID = e\nDC = org\nemailAddress = e@example.org\nCN = many"),
    "serial_negative": dict(key=EC("P-256"), extra=["-set_serial", "-2930"]),
    "serial_zero": dict(key=EC("P-256"), extra=["-set_serial", "0"]),
    "serial_long": dict(key=EC("P-256"), extra=["-set_serial", "0x" + "f1" * 25]),
    "alternative_names": dict(key=EC("P-256"), ext="subjectAltName = @names\n[names]\notherName = 1.3.6.1.4.1.311.20.2.3;UTF8:u@example.org\n"
                              "dirName = dir\nRID = 1.2.3.4\nURI = https://example.org/\nIP = 2001:db8::1\nemail = a@example.org\n[dir]\nO = a, b\nCN = c"),
}


def main():
    os.makedirs(OUT, exist_ok=True)
    said = {}
    for name, kind in KINDS.items():
        make(name, **kind)
        said[name] = printed(name)
    with open(f"{OUT}/odd.json", "w") as file:
        json.dump(said, file, indent=1, ensure_ascii=True)


main()
