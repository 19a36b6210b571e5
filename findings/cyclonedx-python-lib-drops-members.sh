#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# cyclonedx-python-lib 11.12.0 (PyPI): a CBOM of CycloneDX 1.7 that its own strict validator accepts loses, read and written again as 1.7,
# what the library has no model of, with neither error nor warning: `compositions` (what says that an inventory is incomplete),
# `provides` (which library implements an algorithm) and what 1.7 added to cryptoProperties. What is written is valid, so a tool built
# on it passes on less than it was given.
#
# Seen: valid None, written valid None, warnings 0, lost: algorithmFamily ellipticCurve serialNumber certificateState fingerprint
# relatedCryptographicAssets tlsGroups tlsSignatureSchemes compositions provides
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check 'cyclonedx-python-lib[json-validation]==11.12.0'
cat > drive.py <<'END_PY'
"""Reads a CBOM with the library, writes it, and prints the members that are in the one and not in the other."""
import json
import warnings

from cyclonedx.model.bom import Bom
from cyclonedx.output.json import JsonV1Dot7
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

related = {"relatedCryptographicAssets": [{"type": "algorithm", "ref": "group"}]}


def asset(ref, kind, **properties):
    return {"type": "cryptographic-asset", "bom-ref": ref, "name": ref, "cryptoProperties": {"assetType": kind, **properties}}


cbom = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.7",
    "version": 1,
    "components": [
        {"type": "library", "bom-ref": "library", "name": "library"},
        asset(
            "group",
            "algorithm",
            algorithmProperties={"primitive": "key-agree", "algorithmFamily": "ECDH", "ellipticCurve": "other/Curve25519"},
        ),
        asset(
            "certificate",
            "certificate",
            certificateProperties={
                "serialNumber": "01",
                "certificateState": [{"state": "active"}],
                "fingerprint": {"alg": "SHA-256", "content": "ab" * 32},
                **related,
            },
        ),
        asset(
            "tls",
            "protocol",
            protocolProperties={
                "type": "tls",
                "version": "1.3",
                "cipherSuites": [
                    {"name": "TLS_AES_128_GCM_SHA256", "tlsGroups": ["x25519"], "tlsSignatureSchemes": ["ed25519"]},
                ],
            },
        ),
    ],
    "compositions": [{"aggregate": "incomplete", "assemblies": ["library"]}],
    "dependencies": [{"ref": "library", "provides": ["group"]}],
}


def members(value, known=None):
    """The names of members, to any depth; below one that `known` lacks none."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            if known is None or name in known:
                yield from members(inner, known)
    elif isinstance(value, list):
        for inner in value:
            yield from members(inner, known)


validator = JsonStrictValidator(SchemaVersion.V1_7)
text = json.dumps(cbom)
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    written = JsonV1Dot7(Bom.from_json(json.loads(text))).output_as_string()
# The BOM's own serialNumber, which the library adds, is no certificate's.
after = {name: inner for name, inner in json.loads(written).items() if name != "serialNumber"}
kept = set(members(after))
lost = dict.fromkeys(name for name in members(cbom, kept) if name not in kept)
state = f"valid {validator.validate_str(text)}, written valid {validator.validate_str(written)}, warnings {len(warned)}"
print(f"{state}, lost: {' '.join(lost)}")
END_PY
seen=$(env/bin/python drive.py)
echo "$seen"
[ "$seen" = "valid None, written valid None, warnings 0, lost: algorithmFamily ellipticCurve serialNumber certificateState fingerprint \
relatedCryptographicAssets tlsGroups tlsSignatureSchemes compositions provides" ]
