"""Objects on standard input against the schemas of several Kubernetes versions: `strict.py VERSION…`.

A process of its own: kubernetes-validate brings its own versions of packages that the tests use as well.
"""

from __future__ import annotations

import functools
import json
import sys

import kubernetes_validate
from kubernetes_validate import utils


def main(versions: list[str]) -> None:
    """Print a JSON list with one line for each fault."""
    # It reads its definitions, some megabytes, again for each object.
    utils.schema_contents = functools.cache(utils.schema_contents)
    utils.all_versions = functools.cache(utils.all_versions)
    found = []
    for thing in json.load(sys.stdin):
        name = f"{thing['kind']}/{thing['metadata']['name']}"
        for version in versions:
            try:
                kubernetes_validate.validate(thing, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                place = ".".join(str(part) for part in error.path)
                found.append(f"{version} {name} {place}: {error.message}")
            except kubernetes_validate.SchemaNotFoundError:
                found.append(f"{version} {name}: no such kind")
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
