#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# qstriage 1.4.1 (PyPI): what it imports of an algorithm of a CycloneDX 1.6 CBOM is named by its parameterSetIdentifier alone: AES-128-GCM
# becomes `128` and RSA-2048 `2048`, algorithms that its own policy then finds unknown. Without the identifier, or with the
# algorithmFamily that CycloneDX has from 1.7 on, the name is kept. A CBOM of 1.6 for it leaves parameterSetIdentifier out.
#
# Seen: AES-128-GCM is 128, RSA-2048 is 2048; without the identifier: AES-128-GCM is AES-128-GCM, RSA-2048 is RSA-2048
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check qstriage==1.4.1
cat > with.json <<'END_JSON'
{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": [
{"type": "cryptographic-asset", "bom-ref": "a", "name": "AES-128-GCM", "cryptoProperties": {"assetType": "algorithm", "algorithmProperties":
{"primitive": "ae", "parameterSetIdentifier": "128", "mode": "gcm", "cryptoFunctions": ["encrypt", "decrypt"]}}},
{"type": "cryptographic-asset", "bom-ref": "b", "name": "RSA-2048", "cryptoProperties": {"assetType": "algorithm", "algorithmProperties":
{"primitive": "signature", "parameterSetIdentifier": "2048", "cryptoFunctions": ["sign"]}}}]}
END_JSON
sed 's/"parameterSetIdentifier": "[0-9]*", //' with.json > without.json
names() {
	env/bin/qstriage import cbom "$1.json" -o "$1.yaml" >/dev/null
	sed -n "s/^  name: //p; s/^  algorithm: //p" "$1.yaml" | tr -d "'" | paste -s -d '=,' | sed 's/=/ is /g; s/,/, /g'
}
seen="$(names with); without the identifier: $(names without)"
echo "$seen"
[ "$seen" = "AES-128-GCM is 128, RSA-2048 is 2048; without the identifier: AES-128-GCM is AES-128-GCM, RSA-2048 is RSA-2048" ]
