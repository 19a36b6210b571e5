#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Holds OCSF events, one a line on stdin, to the published schema of each version that is named.

Prints how many events of each class held; what did not, and why, on stderr, with exit code 1. With `--break` each event loses
its class first, to see that the schema says so.
"""
import json, sys
from collections import Counter

import jsonschema
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema


def main():
    versions = [argument for argument in sys.argv[1:] if argument != "--break"]
    lines = [json.loads(line) for line in sys.stdin]
    failed, held = [], Counter()
    for version in versions:
        schema, validators = OcsfJsonSchemaEmbedded(get_ocsf_schema(version)), {}
        for number, event in enumerate(lines):
            key = event["class_uid"], *event["metadata"]["profiles"]
            if key not in validators:
                name = schema.lookup_class_name_from_uid(key[0])
                made = schema.get_class_schema(name, list(key[1:]))
                validators[key] = jsonschema.Draft202012Validator(made)
            if "--break" in sys.argv:
                del event["category_uid"]
            errors = [f"{error.json_path}: {error.message}" for error in validators[key].iter_errors(event)]
            held[event["class_name"]] += not errors
            failed += [f"OCSF {version}: event {number} ({event['class_name']}): {error}" for error in errors]
            if "--break" in sys.argv:
                event["category_uid"] = 0
    for line in failed[:40]:
        print(line[:400], file=sys.stderr)
    print(json.dumps(held, sort_keys=True))
    sys.exit(1 if failed else 0)


main()
