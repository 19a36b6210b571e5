# SPDX-License-Identifier: MIT OR Apache-2.0
"""Code points of names, from the registries of IANA that the analyzer has its names from too, and what programs call them."""

import csv
import functools
import pathlib
import re

IANA = pathlib.Path(__file__).resolve().parent.parent.parent / "crates/analyze/data/iana"

FILES = {"suite": "tls-parameters-4.csv", "group": "tls-parameters-8.csv", "alert": "tls-parameters-6.csv", "scheme": "tls-signaturescheme.csv"}

# Of programs that have names of their own for groups.
GROUPS = {"p-256": 23, "prime256v1": 23, "p-384": 24, "p-521": 25}

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


def plain(suite):
    """A suite's name as programs have in common, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 and ECDHE-ECDSA-AES256-GCM-SHA384."""
    return re.sub("^(tls13|tls)|_|-|with", "", suite.lower())


def of_program(kind, name):
    """The number of a name that a program tells, which may be its own."""
    if kind == "group":
        known = {group.lower(): number for group, number in registry("group").items()} | GROUPS
        return known.get(name.lower(), name)
    if kind == "suite":
        return {plain(suite): number for suite, number in registry("suite").items()}.get(plain(name), name)
    return code(kind, name)


def is_grease(number):
    """Whether it means nothing (RFC 8701): events leave it out."""
    return number & 0x0f0f == 0x0a0a and number >> 8 == number & 0xff
