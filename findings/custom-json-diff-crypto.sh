#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# custom-json-diff 2.1.6 (PyPI): its comparison of CycloneDX BOMs (`preset-diff --type bom`) leaves cryptoProperties out: two CBOMs, one
# with TLS 1.3 and a key of 256 bits and the other with TLS 1.0 and 128 bits, show no difference. An asset that was added is shown; and
# the comparison without the preset shows all of it.
#
# Seen: preset: changed 0 assets of 2, added 1; no preset: shows 1.3 against 1.0 true
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check custom-json-diff==2.1.6
cat > make.py <<'END_PY'
"""Writes the CBOMs: `old`, `changed` (the same assets, weaker) and `added` (one asset more)."""
import json


def asset(ref, kind, **properties):
    crypto = {"assetType": kind, f"{kind}Properties": properties}
    return {"type": "cryptographic-asset", "bom-ref": ref, "name": ref, "cryptoProperties": crypto}


def write(name, version, bits, *more):
    components = [asset("TLS", "protocol", type="tls", version=version), asset("AES", "algorithm", primitive="ae", parameterSetIdentifier=bits)]
    bom = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": [*components, *more], "dependencies": []}
    with open(f"{name}.json", "w", encoding="utf-8") as file:
        json.dump(bom, file)


write("old", "1.3", "256")
write("changed", "1.0", "128")
write("added", "1.3", "256", asset("SHA-1", "algorithm", primitive="hash"))
END_PY
cat > count.py <<'END_PY'
"""Prints how many assets a comparison shows as different on the newer side."""
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    newer = json.load(file)["diff_summary"][sys.argv[2]]["components"]
print(sum(len(part) for part in newer.values()))
END_PY
python3 make.py
different() {
	env/bin/cjd -i old.json "$1.json" -o "$1.out" preset-diff --type bom >/dev/null 2>&1 || true
	python3 count.py "$1.out" "$1.json"
}
seen="preset: changed $(different changed) assets of 2, added $(different added)"
env/bin/cjd -i old.json changed.json -o plain.out >/dev/null 2>&1 || true
shows=false
if grep -q '"1.3"' plain.out && grep -q '"1.0"' plain.out; then shows=true; fi
seen="$seen; no preset: shows 1.3 against 1.0 $shows"
echo "$seen"
[ "$seen" = "preset: changed 0 assets of 2, added 1; no preset: shows 1.3 against 1.0 true" ]
