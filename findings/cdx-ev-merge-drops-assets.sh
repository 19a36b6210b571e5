#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# cyclonedx-editor-validator 1.0.3 (PyPI): `cdx-ev merge` holds two cryptographic assets of one name for one component, whatever their
# cryptoProperties: of the CBOMs of two hosts, TLS 1.3 on the one and TLS 1.0 on the other, the merged one has TLS 1.3 alone. It exits 0,
# and its warning has no word of what differed. The order of the files decides which is kept.
#
# Seen: 1.3 first: TLS 1.3, exit 0, warned of a duplicate 1; 1.0 first: TLS 1.0, exit 0, warned of a duplicate 1
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check cyclonedx-editor-validator==1.0.3
cbom() {
	cat <<END_JSON
{"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": "urn:uuid:6c361972-23c3-4d4b-9721-a47fa266184$2", "version": 1,
"metadata": {"timestamp": "2026-01-01T00:00:00Z", "component": {"type": "device", "name": "host-$2", "bom-ref": "host-$2"}},
"components": [{"type": "cryptographic-asset", "bom-ref": "host-$2/TLS", "name": "TLS", "cryptoProperties":
{"assetType": "protocol", "protocolProperties": {"type": "tls", "version": "$1"}}}], "dependencies": []}
END_JSON
}
cbom 1.3 a > new.json
cbom 1.0 b > old.json
merge() {
	status=0
	env/bin/cdx-ev merge "$1.json" "$2.json" -o merged.json > log 2>&1 || status=$?
	versions=$(python3 -c 'import json
print(*[c["cryptoProperties"]["protocolProperties"]["version"] for c in json.load(open("merged.json"))["components"] if "cryptoProperties" in c])')
	echo "TLS $versions, exit $status, warned of a duplicate $(grep -c 'duplicate component' log || true)"
}
seen="1.3 first: $(merge new old); 1.0 first: $(merge old new)"
echo "$seen"
[ "$seen" = "1.3 first: TLS 1.3, exit 0, warned of a duplicate 1; 1.0 first: TLS 1.0, exit 0, warned of a duplicate 1" ]
