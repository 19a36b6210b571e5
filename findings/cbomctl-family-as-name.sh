#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# cbomctl 0.1.4 (PyPI): a rule that names members of a family is applied to each algorithm whose family is stated as CycloneDX 1.7 has
# it (`algorithmFamily`: "SHA-2") or found in its name (AES): a family counts as a match of each name that contains it. The pack asd-au
# warns of SHA-384 and AES-256 by the rule that SHA-256 and AES-128 are not approved beyond 2030, and whose advice is to use SHA-384 and
# AES-256. The same SHA-384 without the family passes.
#
# Seen: asd-au by asd-sha256-aes128-2030: SHA-384 of family SHA-2 WARN, SHA-384 without family PASS, AES-256-GCM WARN
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check cbomctl==0.1.4
cat > cbom.json <<'END_JSON'
{"bomFormat": "CycloneDX", "specVersion": "1.7", "version": 1, "components": [
{"type": "cryptographic-asset", "bom-ref": "with", "name": "SHA-384", "cryptoProperties": {"assetType": "algorithm", "algorithmProperties":
{"primitive": "hash", "algorithmFamily": "SHA-2", "parameterSetIdentifier": "384", "cryptoFunctions": ["digest"]}}},
{"type": "cryptographic-asset", "bom-ref": "without", "name": "SHA-384", "cryptoProperties": {"assetType": "algorithm", "algorithmProperties":
{"primitive": "hash", "parameterSetIdentifier": "384", "cryptoFunctions": ["digest"]}}},
{"type": "cryptographic-asset", "bom-ref": "aes", "name": "AES-256-GCM", "cryptoProperties": {"assetType": "algorithm", "algorithmProperties":
{"primitive": "ae", "algorithmFamily": "AES", "parameterSetIdentifier": "256", "mode": "gcm", "cryptoFunctions": ["encrypt", "decrypt"]}}}]}
END_JSON
env/bin/cbomctl verdict cbom.json -j asd-au -f json > verdict.json
cat > seen.py <<'END_PY'
"""Prints the verdict of asd-au on each component, with the rules that gave it."""
import json

with open("verdict.json", encoding="utf-8") as file:
    rows = {row["bom_ref"]: row["cells"]["asd-au"] for row in json.load(file)["matrix"]}
rules = {rule["rule_id"] for cell in rows.values() for rule in cell["rules"]}
verdict = {ref: cell["verdict"] for ref, cell in rows.items()}
print(
    f"asd-au by {', '.join(sorted(rules))}: SHA-384 of family SHA-2 {verdict['with']}, "
    f"SHA-384 without family {verdict['without']}, AES-256-GCM {verdict['aes']}"
)
END_PY
seen=$(python3 seen.py)
echo "$seen"
[ "$seen" = "asd-au by asd-sha256-aes128-2030: SHA-384 of family SHA-2 WARN, SHA-384 without family PASS, AES-256-GCM WARN" ]
