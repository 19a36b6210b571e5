#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# cbomscanner 0.2.0 (PyPI): `validate`, which is documented to check against the CycloneDX 1.7 schema, checks against classes of its own:
# it accepts a level beside algorithmProperties, which the schema forbids, and refuses ML-KEM, as the schema's `kem` is no primitive
# to it, and a CBOM without metadata.
#
# Seen: by the schema / by cbomscanner: hash valid/VALID, level misplaced invalid/VALID, kem valid/INVALID, no metadata valid/INVALID
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
for package in cbomscanner==0.2.0 'cyclonedx-python-lib[json-validation]==11.12.0'; do
	env=${package%%[=[]*}
	python3 -m venv "$env"
	"$env/bin/pip" install -q --disable-pip-version-check "$package"
done
cat > make.py <<'END_PY'
"""Writes the CBOMs, and prints whether each holds to the schema."""
import json

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def cbom(primitive, **more):
    crypto = {"assetType": "algorithm", "algorithmProperties": {"primitive": primitive, "parameterSetIdentifier": "768"}, **more}
    component = {"type": "cryptographic-asset", "bom-ref": "asset", "name": "asset", "cryptoProperties": crypto}
    metadata = {"timestamp": "2026-01-01T00:00:00Z"}
    return {"bomFormat": "CycloneDX", "specVersion": "1.7", "version": 1, "metadata": metadata, "components": [component]}


made = {"hash": cbom("hash"), "level": cbom("hash", nistQuantumSecurityLevel=0), "kem": cbom("kem"), "bare": cbom("hash")}
del made["bare"]["metadata"]
for name, content in made.items():
    text = json.dumps(content)
    with open(f"{name}.json", "w", encoding="utf-8") as file:
        file.write(text)
    error = JsonStrictValidator(SchemaVersion.V1_7).validate_str(text)
    with open(f"{name}.schema", "w", encoding="utf-8") as file:
        file.write("invalid" if error else "valid")
END_PY
cyclonedx-python-lib/bin/python make.py
verdicts() {
	cbomscanner/bin/cbomscanner validate "$1.json" > "$1.out" 2>&1 || true
	echo "$(cat "$1.schema")/$(grep -o -m 1 -E '\b(IN)?VALID\b' "$1.out" | head -n 1)"
}
seen="by the schema / by cbomscanner: hash $(verdicts hash), level misplaced $(verdicts level), kem $(verdicts kem)"
seen="$seen, no metadata $(verdicts bare)"
echo "$seen"
[ "$seen" = "by the schema / by cbomscanner: hash valid/VALID, level misplaced invalid/VALID, kem valid/INVALID, no metadata valid/INVALID" ]
