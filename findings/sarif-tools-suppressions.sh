#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# sarif-tools 3.0.5 (PyPI): a result whose suppression is accepted counts as an open one, in `summary` and for the exit code of `--check`,
# and its CSV has no column that shows it. A finding that a waiver covers, written to SARIF as the standard has it (3.27.23), fails a
# build that is gated with it.
#
# Seen: open 1: exit 1, errors 1; suppressed 1: exit 1, errors 1; none: exit 0, errors 0; rows of csv 1, with the suppression 0
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check sarif-tools==3.0.5
log() {
	cat <<END_JSON
{"version": "2.1.0", "\$schema": "https://json.schemastore.org/sarif-2.1.0.json", "runs": [{"tool": {"driver": {"name": "check",
"rules": [{"id": "tls-1.0", "shortDescription": {"text": "TLS 1.0 is not used"}}]}}, "results": [$1]}]}
END_JSON
}
place='"locations": [{"physicalLocation": {"artifactLocation": {"uri": "etc/server.conf"}, "region": {"startLine": 1}}}]'
result="\"ruleId\": \"tls-1.0\", \"level\": \"error\", \"message\": {\"text\": \"TLS 1.0 was negotiated\"}, $place"
log "{$result}" > open.sarif
log "{$result, \"suppressions\": [{\"kind\": \"external\", \"status\": \"accepted\", \"justification\": \"until May\"}]}" > suppressed.sarif
log '' > none.sarif
check() {
	status=0
	env/bin/sarif --check error summary "$1.sarif" > "$1.out" 2>&1 || status=$?
	echo "exit $status, errors $(sed -n 's/^error: //p' "$1.out")"
}
env/bin/sarif csv -o suppressed.csv suppressed.sarif >/dev/null 2>&1
seen="open 1: $(check open); suppressed 1: $(check suppressed); none: $(check none)"
seen="$seen; rows of csv $(grep -c tls-1.0 suppressed.csv || true), with the suppression $(grep -c -i -e suppress -e 'until May' suppressed.csv || true)"
echo "$seen"
[ "$seen" = "open 1: exit 1, errors 1; suppressed 1: exit 1, errors 1; none: exit 0, errors 0; rows of csv 1, with the suppression 0" ]
