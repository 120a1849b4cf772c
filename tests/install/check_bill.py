#!/usr/bin/env python3
"""Checks a bill of materials by CycloneDX's own schema, and that it names what is known to be in the program."""

import json
import pathlib
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

text = pathlib.Path(sys.argv[1]).read_text()
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
if error is not None:
    sys.exit(f"{sys.argv[1]}: {error}")
scopes = {entry["name"]: entry["scope"] for entry in json.loads(text)["components"]}
expected = {"clap": "required", "landlock": "required", "aws-lc-sys": "required", "cc": "excluded"}
found = {name: scopes.get(name) for name in expected}
if found != expected or "insta" in scopes:
    sys.exit(f"{sys.argv[1]}: {found}, and not {expected}; tests are no part of it")
print(f"{len(scopes)} components")
