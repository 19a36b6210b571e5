// SPDX-License-Identifier: MIT OR Apache-2.0
// Validates CycloneDX documents strictly by @cyclonedx/cyclonedx-library, whose directory is the first argument: one line for
// each that is not valid. Exits 1 if any is not.
import fs from "node:fs";
import { createRequire } from "node:module";

const [directory, ...paths] = process.argv.slice(2);
const { Validation } = createRequire(`${directory}/package.json`)("@cyclonedx/cyclonedx-library");
let bad = 0;
for (const path of paths) {
  const text = fs.readFileSync(path, "utf8");
  const error = await new Validation.JsonStrictValidator(JSON.parse(text).specVersion).validate(text);
  if (error !== null) {
    bad += 1;
    console.log(`${path}: ${JSON.stringify(error).slice(0, 500)}`);
  }
}
process.exit(bad > 0 ? 1 : 0);
