#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# pqblocks-agility 0.1.0 (PyPI): it takes algorithmProperties.primitive of a CycloneDX 1.6 CBOM, a kind such as `ae` or `signature`, for
# the name of the algorithm, and so refuses the whole CBOM, as of an algorithm that it has no grade for. The same component without the
# primitive is graded. A CBOM of 1.7 is refused, as its documentation states.
#
# Seen: with primitive: exit 2, grade cannot be derived from 'ae'; without: exit 0, CARS Score: 65.0; 1.7: exit 2
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check pqblocks-agility==0.1.0
cat > with.json <<'END_JSON'
{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": [
{"type": "cryptographic-asset", "bom-ref": "a", "name": "AES-256-GCM", "cryptoProperties": {"assetType": "algorithm", "algorithmProperties":
{"primitive": "ae", "parameterSetIdentifier": "256", "mode": "gcm", "cryptoFunctions": ["encrypt", "decrypt"]}}}]}
END_JSON
sed 's/"primitive": "ae", //' with.json > without.json
sed 's/"1.6"/"1.7"/' without.json > newer.json
evaluate() {
	status=0
	env/bin/pqblocks-agility evaluate --cbom "$1.json" > "$1.out" 2>&1 || status=$?
}
evaluate with
seen="with primitive: exit $status, $(grep -o "grade cannot be derived from 'ae'" with.out || cat with.out)"
evaluate without
seen="$seen; without: exit $status, $(grep -o 'CARS Score: [0-9.]*' without.out || cat without.out)"
evaluate newer
seen="$seen; 1.7: exit $status"
echo "$seen"
[ "$seen" = "with primitive: exit 2, grade cannot be derived from 'ae'; without: exit 0, CARS Score: 65.0; 1.7: exit 2" ]
