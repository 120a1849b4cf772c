#!/usr/bin/env python3
"""Writes the software bill of materials of a build as CycloneDX 1.6 JSON, from the locked dependencies.

    scripts/sbom.py TARGET [--program FILE] > rungate.cdx.json

It lists what is compiled into the program for TARGET, and what its build runs (scope `excluded`). The same lock file
and SOURCE_DATE_EPOCH give the same bytes.
"""

import argparse
import datetime
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import uuid

import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://github.com/rungate/rungate")


def cargo_metadata(target):
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", target]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def reached(nodes, start, kinds):
    """Ids of the packages that `start` depends on, by dependencies of these kinds."""
    found, left = set(), [start]
    while left:
        for dependency in nodes[left.pop()]["deps"]:
            of_kind = any(kind["kind"] in kinds for kind in dependency["dep_kinds"])
            if of_kind and dependency["pkg"] not in found:
                found.add(dependency["pkg"])
                left.append(dependency["pkg"])
    return found


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, checksums, shipped):
    entry = {
        "type": "library",
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        "scope": "required" if shipped else "excluded",
        "purl": purl(package),
    }
    if package["description"]:
        entry["description"] = " ".join(package["description"].split())
    checksum = checksums.get((package["name"], package["version"]))
    if checksum:
        entry["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if package["license"]:
        # Cargo once separated licences by a slash.
        entry["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if package["repository"]:
        entry["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return entry


def bill(target, program):
    metadata = cargo_metadata(target)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    locked = tomllib.loads((ROOT / "Cargo.lock").read_text())
    checksums = {
        (package["name"], package["version"]): package["checksum"]
        for package in locked["package"]
        if "checksum" in package
    }
    shipped = reached(nodes, root, {None})
    every = reached(nodes, root, {None, "build"})
    components = [component(packages[found], checksums, found in shipped) for found in every]
    components.sort(key=lambda entry: entry["bom-ref"])
    dependencies = [
        {
            "ref": purl(packages[package]),
            "dependsOn": sorted(
                {
                    purl(packages[dependency["pkg"]])
                    for dependency in nodes[package]["deps"]
                    if dependency["pkg"] in every
                    and any(kind["kind"] in {None, "build"} for kind in dependency["dep_kinds"])
                }
            ),
        }
        for package in sorted(every | {root}, key=lambda package: purl(packages[package]))
    ]
    own = packages[root]
    subject = {
        "type": "application",
        "bom-ref": purl(own),
        "name": own["name"],
        "version": own["version"],
        "description": own["description"],
        "licenses": [{"expression": own["license"]}],
        "purl": purl(own),
        "externalReferences": [{"type": "vcs", "url": own["repository"]}],
        "properties": [{"name": "cargo:target", "value": target}],
    }
    if program:
        digest = hashlib.sha256(program.read_bytes()).hexdigest()
        subject["hashes"] = [{"alg": "SHA-256", "content": digest}]
    moment = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "lifecycles": [{"phase": "build"}],
            "component": subject,
        },
        "components": components,
        "dependencies": dependencies,
    }
    serial = uuid.uuid5(NAMESPACE, json.dumps(document, sort_keys=True))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "serialNumber": f"urn:uuid:{serial}",
        **document,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", metavar="TARGET")
    parser.add_argument("--program", metavar="FILE", type=pathlib.Path, help="the built program, whose digest is noted")
    arguments = parser.parse_args()
    if "SOURCE_DATE_EPOCH" not in os.environ:
        parser.error("SOURCE_DATE_EPOCH is not set: the bill would differ from one call to the next")
    json.dump(bill(arguments.target, arguments.program), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
