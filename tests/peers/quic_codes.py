# SPDX-License-Identifier: MIT OR Apache-2.0
"""Code points of names, from the registries of IANA that the analyzer has its names from too, and what programs call them."""

import csv
import functools
import pathlib

IANA = pathlib.Path(__file__).resolve().parent.parent.parent / "crates/analyze/data/iana"

FILES = {"suite": "tls-parameters-4.csv", "group": "tls-parameters-8.csv", "alert": "tls-parameters-6.csv", "scheme": "tls-signaturescheme.csv"}

# Of programs that have names of their own for groups.
GROUPS = {"p-256": 23, "prime256v1": 23, "secp256r1": 23, "p-384": 24, "p-521": 25, "x25519": 29, "ecdhe-x25519": 29, "x25519mlkem768": 4588}

VERSIONS = {"TLS 1.0": 0x0301, "TLS 1.1": 0x0302, "TLS 1.2": 0x0303, "TLS 1.3": 0x0304, "DTLS 1.0": 0xfeff, "DTLS 1.2": 0xfefd, "DTLS 1.3": 0xfefc}

# Hash and signature of TLS 1.2 that have no name as one (RFC 5246, section 7.4.1.4.1).
HASHES = ("none", "md5", "sha1", "sha224", "sha256", "sha384", "sha512")
SIGNATURES = ("anonymous", "rsa", "dsa", "ecdsa")


@functools.cache
def registry(kind):
    found = {}
    with open(IANA / FILES[kind], newline="") as file:
        for row in csv.reader(file):
            value, name = row[0], row[1]
            try:
                if "," in value:
                    high, low = (int(part, 16) for part in value.split(","))
                    found[name] = high << 8 | low
                else:
                    found[name] = int(value, 0)
            except ValueError:
                continue
    return found


def code(kind, name):
    """The number of a name that an event shows; a name of no code point stays what it is."""
    if name is None:
        return None
    if kind == "version" and name in VERSIONS:
        return VERSIONS[name]
    if kind != "version" and name in registry(kind):
        return registry(kind)[name]
    if name.startswith("0x"):
        return int(name, 16)
    words = name.split("_")
    if kind == "scheme" and len(words) == 2:
        for one, other in (words, reversed(words)):
            if one in HASHES and other in SIGNATURES:
                return HASHES.index(one) << 8 | SIGNATURES.index(other)
    return name


def of_program(kind, name):
    """The number of a name that a program tells, which may be its own."""
    if kind == "group" and name.lower() in GROUPS:
        return GROUPS[name.lower()]
    if kind == "suite":
        known = {suite.removeprefix("TLS_").replace("_", "").lower(): number for suite, number in registry("suite").items()}
        return known.get(name.removeprefix("TLS_").replace("_", "").replace("-", "").lower(), name)
    return code(kind, name)


def is_grease(number):
    """Whether it means nothing (RFC 8701): events leave it out."""
    return number & 0x0f0f == 0x0a0a and number >> 8 == number & 0xff
