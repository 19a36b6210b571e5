# SPDX-License-Identifier: MIT OR Apache-2.0
"""Holds the families and curves of data/cyclonedx.toml, its argument, to the registry that comes with cyclonedx-python-lib."""

import json
import pathlib
import sys
import tomllib

import cyclonedx.schema

schemas = pathlib.Path(cyclonedx.schema.__file__).parent / "_res"
registry = json.loads((schemas / "cryptography-defs.SNAPSHOT.schema.json").read_text())["definitions"]
bom = json.loads((schemas / "bom-1.6.SNAPSHOT.schema.json").read_text())["definitions"]["cryptoProperties"]
algorithm = bom["properties"]["algorithmProperties"]["properties"]
allowed = {
    "family": registry["algorithmFamiliesEnum"]["enum"],
    "curve": registry["ellipticCurvesEnum"]["enum"],
    # 1.7 adds key-wrap, which is written as other in 1.6.
    "primitive": [*algorithm["primitive"]["enum"], "key-wrap"],
    "mode": algorithm["mode"]["enum"],
    "padding": algorithm["padding"]["enum"],
}
rows = tomllib.loads(pathlib.Path(sys.argv[1]).read_text())
bad = [
    f"{name}: {member} {row[member]!r} is not in the schema"
    for name, row in rows.items()
    for member, values in allowed.items()
    if member in row and row[member] not in values
]
print("\n".join(bad))
sys.exit(1 if bad or len(rows) < 250 else 0)
