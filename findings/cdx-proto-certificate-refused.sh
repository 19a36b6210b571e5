#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# @appthreat/cdx-proto 2.0.1 (npm): its documentation has it that canonical CycloneDX JSON is accepted; a certificate of 1.7 with its
# state, its extensions or what it is related to is refused, and with it the whole document, as the protobuf schema of these members is
# another than the JSON schema. By the JSON schema, of @cyclonedx/cyclonedx-library 10.3.0, each is valid.
#
# Seen: plain valid/read, certificateState valid/refused, certificateExtensions valid/refused, relatedCryptographicAssets valid/refused
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @appthreat/cdx-proto@2.0.1 @cyclonedx/cyclonedx-library@10.3.0 ajv@8.17.1 \
	ajv-formats@3.0.1 ajv-formats-draft2019@1.6.1 >/dev/null
cat > drive.mjs <<'END_JS'
// Validates and reads a CBOM of one certificate, with one member more each time.
import { parseBomJson } from "@appthreat/cdx-proto";
import { Spec, Validation } from "@cyclonedx/cyclonedx-library";

const members = {
  plain: undefined,
  certificateState: [{ state: "active" }],
  certificateExtensions: [{ commonExtensionName: "keyUsage", commonExtensionValue: "digitalSignature" }],
  relatedCryptographicAssets: [{ type: "publicKey", ref: "certificate" }],
};
const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot7);
const seen = [];
for (const [name, value] of Object.entries(members)) {
  const certificateProperties = { subjectName: "CN=a", ...(value && { [name]: value }) };
  const cryptoProperties = { assetType: "certificate", certificateProperties };
  const component = { type: "cryptographic-asset", "bom-ref": "certificate", name: "certificate", cryptoProperties };
  const bom = { bomFormat: "CycloneDX", specVersion: "1.7", version: 1, components: [component] };
  const valid = (await validator.validate(JSON.stringify(bom))) === null ? "valid" : "invalid";
  let read = "read";
  try {
    parseBomJson(bom);
  } catch (error) {
    read = "refused";
    console.error(`${name}: ${error.message}`);
  }
  seen.push(`${name} ${valid}/${read}`);
}
console.log(seen.join(", "));
END_JS
seen=$(node drive.mjs)
echo "$seen"
[ "$seen" = "plain valid/read, certificateState valid/refused, certificateExtensions valid/refused, \
relatedCryptographicAssets valid/refused" ]
