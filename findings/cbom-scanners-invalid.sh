#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# cbomscanner 0.2.0, qtrust-inspector 2.2.0 and cryptoagility 0.1.3 (PyPI): the CBOM of a source file with MD5, RSA and ECDSA does not
# hold to the schema of the CycloneDX version that it states: nistQuantumSecurityLevel beside algorithmProperties, an assetType
# `library`, modes that are empty. A reader that validates refuses them, and one that does not finds no level. pqcpilot 0.1.0 and
# cryptoscan-pqc 0.1.1 write valid ones of the same file.
#
# Seen: cbomscanner 1.7 invalid, qtrust-inspector 1.7 invalid, cryptoagility 1.6 invalid, pqcpilot 1.6 valid, cryptoscan-pqc 1.6 valid
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
for package in cbomscanner==0.2.0 qtrust-inspector==2.2.0 cryptoagility==0.1.3 pqcpilot==0.1.0 cryptoscan-pqc==0.1.1 \
	'cyclonedx-python-lib[json-validation]==11.12.0'; do
	env=${package%%[=[]*}
	python3 -m venv "$env"
	"$env/bin/pip" install -q --disable-pip-version-check "$package"
done
mkdir source
cat > source/app.py <<'END_PY'
import hashlib

from cryptography.hazmat.primitives.asymmetric import ec, rsa


def digest(data):
    return hashlib.md5(data).hexdigest()


def keys():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048), ec.generate_private_key(ec.SECP256R1())
END_PY
# Some exit non-zero because of what they find; the CBOM is what counts.
{
	cbomscanner/bin/cbomscanner scan source -o cbomscanner.json
	qtrust-inspector/bin/crypto-inspector directory source -o scan.json --cyclonedx qtrust-inspector.json
	cryptoagility/bin/cryptoagility source --cbom cryptoagility.json
	pqcpilot/bin/pqcpilot scan source --format cbom -o pqcpilot.json
	cryptoscan-pqc/bin/pqscan scan source -o cryptoscan-pqc.json
} >/dev/null 2>&1 || true
cat > validate.py <<'END_PY'
"""Prints of each file the version that it states and whether it holds to that version's schema, and on stderr what is wrong first."""
import json
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

states = []
for name in sys.argv[1:]:
    with open(f"{name}.json", encoding="utf-8") as file:
        text = file.read()
    cbom = json.loads(text)
    version = cbom["specVersion"]
    assert any("cryptoProperties" in component for component in cbom["components"]), f"{name} found nothing"
    error = JsonStrictValidator(SchemaVersion.from_version(version)).validate_str(text)
    if error:
        print(f"{name}: {error.data.message}", file=sys.stderr)
    states.append(f"{name} {version} {'invalid' if error else 'valid'}")
print(", ".join(states))
END_PY
seen=$(cyclonedx-python-lib/bin/python validate.py cbomscanner qtrust-inspector cryptoagility pqcpilot cryptoscan-pqc)
echo "$seen"
[ "$seen" = "cbomscanner 1.7 invalid, qtrust-inspector 1.7 invalid, cryptoagility 1.6 invalid, pqcpilot 1.6 valid, cryptoscan-pqc 1.6 valid" ]
