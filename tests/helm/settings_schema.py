"""The part of values.schema.json that the product's own schema of its settings decides.

`python -m tests.helm.settings_schema` writes it into the chart after the settings have changed.
"""

from __future__ import annotations

import json
from typing import Any

from tests.helm.tools import CHART, ROOT

PRODUCT = ROOT / "policies" / "schema" / "settings.json"
VALUES = CHART / "values.schema.json"
HANDED_ON = ("schedule", "guards", "clocks", "limits", "dead_man")
"""What a deployment decides. Everything else of lifecycle.yaml is a place, and places are the chart's."""


def derived(product: dict[str, Any]) -> dict[str, Any]:
    """Return the definitions of the settings that values may hold, by the name they have in the chart's schema."""
    known = product["definitions"]
    wanted = [_name(product["properties"][key]) for key in HANDED_ON]
    found: dict[str, Any] = {}
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = _in_go(known[name])
            wanted += _names(found[name])
    # Where the file of the dead man's switch lies is the chart's decision.
    found["DeadManSettings"]["properties"].pop("file")
    return found


def _in_go(node: Any) -> Any:
    """The same schema without look-aheads: helm's regular expressions have none, and the program checks again."""
    if isinstance(node, dict):
        # The product's schema leaves keys of another shape to its models; here nothing is left open.
        closed = {"additionalProperties": False} if "patternProperties" in node else {}
        return {key: _in_go(value) for key, value in node.items()} | closed
    if isinstance(node, list):
        return [_in_go(value) for value in node]
    return node.replace("(?=[0-9])", "") if isinstance(node, str) else node


def _name(reference: dict[str, Any]) -> str:
    return str(reference["allOf"][0]["$ref"]).removeprefix("#/definitions/")


def _names(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"].removeprefix("#/definitions/")] if "$ref" in node else []
        return own + [name for value in node.values() for name in _names(value)]
    return [name for value in node for name in _names(value)] if isinstance(node, list) else []


def main() -> None:
    """Write the derived definitions into the chart's schema."""
    product = json.loads(PRODUCT.read_text(encoding="utf-8"))
    schema = json.loads(VALUES.read_text(encoding="utf-8"))
    kept = {key: value for key, value in schema["definitions"].items() if not key[0].isupper()}
    for key in HANDED_ON:
        name = _name(product["properties"][key])
        kept["settings"]["properties"][key] = {"$ref": f"#/definitions/{name}"}
    schema["definitions"] = kept | derived(product)
    VALUES.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
