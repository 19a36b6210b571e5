# SPDX-License-Identifier: MIT OR Apache-2.0
"""Validates CycloneDX documents strictly by cyclonedx-python-lib: one line for each that is not valid. Exits 1 if any is not."""

import json
import pathlib
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

bad = 0
for path in sys.argv[1:]:
    text = pathlib.Path(path).read_text()
    version = SchemaVersion.from_version(json.loads(text)["specVersion"])
    error = JsonStrictValidator(version).validate_str(text)
    if error is not None:
        bad += 1
        print(f"{path}: {str(error)[:500]}")
sys.exit(1 if bad else 0)
