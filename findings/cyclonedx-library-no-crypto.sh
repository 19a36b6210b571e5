#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# @cyclonedx/cyclonedx-library 10.3.0 (npm): it knows the component type `cryptographic-asset` and writes CycloneDX 1.7, but has no model
# of cryptoProperties: given some, from JavaScript, it writes the component without them and without an error, and its validator
# accepts the result. No CBOM can be made with it, only a list of names.
#
# Seen: models of cryptography 0, cryptoProperties written false, valid null, component cryptographic-asset AES-128-GCM
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @cyclonedx/cyclonedx-library@10.3.0 ajv@8.17.1 ajv-formats@3.0.1 \
	ajv-formats-draft2019@1.6.1 >/dev/null
cat > drive.js <<'END_JS'
// Makes a BOM of one cryptographic asset and prints what the library writes of it.
const { Enums, Models, Serialize, Spec, Validation } = require("@cyclonedx/cyclonedx-library");

const cryptoProperties = { assetType: "algorithm", algorithmProperties: { primitive: "ae", parameterSetIdentifier: "128" } };
const component = new Models.Component(Enums.ComponentType.CryptographicAsset, "AES-128-GCM", { cryptoProperties });
component.cryptoProperties = cryptoProperties;
const bom = new Models.Bom();
bom.components.add(component);
const text = new Serialize.JsonSerializer(new Serialize.JSON.Normalize.Factory(Spec.Spec1dot7)).serialize(bom);
const models = Object.keys(Models).filter((name) => /crypto|algorithm|certificate|protocol/i.test(name)).length;
new Validation.JsonStrictValidator(Spec.Version.v1dot7).validate(text).then((error) => {
  const { type, name, cryptoProperties: written } = JSON.parse(text).components[0];
  const state = `models of cryptography ${models}, cryptoProperties written ${written !== undefined}, valid ${error}`;
  console.log(`${state}, component ${type} ${name}`);
});
END_JS
seen=$(node drive.js)
echo "$seen"
[ "$seen" = "models of cryptography 0, cryptoProperties written false, valid null, component cryptographic-asset AES-128-GCM" ]
