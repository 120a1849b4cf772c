#!/usr/bin/env python3
"""Cut GitHub's official OpenAPI description down to the requests that rungate makes.

What stays are the schemas of requests and parameters, and one answer that allows everything: the answers of an emulator
are never complete, and it is our requests that are judged. Prose is left out. The package is MIT licensed, and so are
the extracts.

    npm pack @octokit/openapi@23.0.2 && tar xf octokit-openapi-23.0.2.tgz
    tests/peers/extract_openapi.py package/generated tests/schemas/github
"""

import json
import sys
from pathlib import Path

HOSTS = ("api.github.com", "ghes-3.19")

OPERATIONS = (
    ("get", "/app"),
    ("get", "/app/installations"),
    ("get", "/app/installations/{installation_id}"),
    ("post", "/app/installations/{installation_id}/access_tokens"),
    ("get", "/installation/repositories"),
    ("delete", "/installation/token"),
    ("get", "/rate_limit"),
    ("get", "/repos/{owner}/{repo}"),
    ("get", "/repos/{owner}/{repo}/branches"),
    ("post", "/repos/{owner}/{repo}/check-runs"),
    ("get", "/repos/{owner}/{repo}/check-runs/{check_run_id}"),
    ("patch", "/repos/{owner}/{repo}/check-runs/{check_run_id}"),
    ("get", "/repos/{owner}/{repo}/check-runs/{check_run_id}/annotations"),
    ("post", "/repos/{owner}/{repo}/check-runs/{check_run_id}/rerequest"),
    ("get", "/repos/{owner}/{repo}/check-suites/{check_suite_id}/check-runs"),
    ("post", "/repos/{owner}/{repo}/code-scanning/sarifs"),
    ("get", "/repos/{owner}/{repo}/code-scanning/sarifs/{sarif_id}"),
    ("get", "/repos/{owner}/{repo}/commits/{ref}/check-runs"),
    ("get", "/repos/{owner}/{repo}/commits/{ref}/statuses"),
    ("get", "/repos/{owner}/{repo}/installation"),
    ("get", "/repos/{owner}/{repo}/pulls"),
    ("post", "/repos/{owner}/{repo}/statuses/{sha}"),
)

PROSE = ("description", "summary", "example", "examples", "externalDocs", "x-github", "x-octokit", "tags")
ANSWER = {"description": "anything"}
MEDIA_TYPES = ("application/json", "application/vnd.github+json")


def without_prose(node, names=False):
    """The same schema without prose. Below `properties` keys are names, so that a property `description` stays."""
    if isinstance(node, dict):
        kept = node if names else {key: value for key, value in node.items() if key not in PROSE}
        return {key: without_prose(value, names=not names and key == "properties") for key, value in kept.items()}
    if isinstance(node, list):
        return [without_prose(item) for item in node]
    return node


def references(node):
    """Every `$ref` in a node."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def looked_up(document, reference):
    node = document
    for part in reference.removeprefix("#/").split("/"):
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return node


def operation(source):
    """The request of an operation, and the answer that allows everything."""
    kept = {key: source[key] for key in ("operationId", "parameters", "requestBody") if key in source}
    kept = without_prose(kept)
    body = kept.get("requestBody")
    if body:
        schema = body["content"].get("application/json")
        body["content"] = dict.fromkeys(MEDIA_TYPES, schema)
    # Prism wants prose here; the rest of the world wants none.
    kept["responses"] = {"default": ANSWER}
    return kept


def extract(document):
    """The part of a description that is about OPERATIONS."""
    paths = {}
    for method, path in OPERATIONS:
        paths.setdefault(path, {})[method] = operation(document["paths"][path][method])
    components = {}
    waiting = set(references(paths))
    while waiting:
        reference = waiting.pop()
        _, _, kind, name = reference.split("/")
        if name not in components.setdefault(kind, {}):
            components[kind][name] = without_prose(looked_up(document, reference))
            waiting.update(references(components[kind][name]))
    return {
        "openapi": document["openapi"],
        "info": {
            "title": document["info"]["title"],
            "version": document["info"]["version"],
            "license": {"name": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": components,
    }


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, target = map(Path, sys.argv[1:])
    for host in HOSTS:
        document = json.loads((source / f"{host}.json").read_text(encoding="utf-8"))
        text = json.dumps(extract(document), indent=1, sort_keys=True, ensure_ascii=False)
        (target / f"{host}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
