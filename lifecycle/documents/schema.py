"""JSON Schema, draft 7, of each kind: what editors (yaml-language-server) complete, explain and check."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from lifecycle.documents.kinds import MODELS, Kind, header
from lifecycle.documents.tree import Path

DRAFT = "http://json-schema.org/draft-07/schema#"
_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_DROPPED = frozenset({"title", "discriminator"})
_BORROWED = {
    "kind": "Which condition it is.",
    "how": "What becomes of the column.",
    "column": "The column.",
    "values": "The values that it may equal, byte for byte.",
    "inner": "The condition or conditions inside.",
    "lifecycle": "Kind and version of this document.",
    "state": "Where the deployment's own state lies.",
    "limits": "Bounds of every run.",
}
"""Descriptions of fields whose models are not written for authors alone, such as the conditions of a selection."""


@cache
def _schema(kind: Kind) -> dict[str, Any]:
    raw = MODELS[kind].model_json_schema(by_alias=True, mode="validation")
    definitions = {name: _convert(body) for name, body in sorted(raw.pop("$defs", {}).items())}
    body = _convert(raw)
    return {
        "$schema": DRAFT,
        "title": f"lifecycle {header(kind)}",
        **body,
        "definitions": definitions,
    }


def schema_text(kind: Kind) -> str:
    """Return the schema as the text that `policies/schema/` holds for editors."""
    return json.dumps(_schema(kind), indent=2, ensure_ascii=False) + "\n"


def schema(kind: Kind) -> dict[str, Any]:
    """Return the JSON Schema of a kind, draft 7. A fresh copy: the caller may change it."""
    copied: dict[str, Any] = _copied(_schema(kind))
    return copied


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value


def _convert(node: Any) -> Any:
    """Turn pydantic's draft 2020-12 into draft 7. What a document may not write (null) is left out."""
    if isinstance(node, list):
        return [_convert(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    out: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties":
            out[key] = {name: _property(name, body) for name, body in value.items()}
        elif key == "patternProperties":
            out[key] = {pattern: _convert(body) for pattern, body in value.items()}
        elif key == "$ref":
            out[key] = value.replace("#/$defs/", "#/definitions/")
        elif key == "prefixItems":
            out["items"] = _convert(value)
        elif key == "default":
            out |= {key: _given(value)} if value is not None else {}
        elif key not in _DROPPED or not isinstance(value, str | dict):
            out[key] = value if key in {"examples", "enum", "const", "required"} else _convert(value)
    return _dated(_reference(_without_null(out)))


def _given(value: Any) -> Any:
    """Return a default without the keys that nobody would write."""
    return {key: inner for key, inner in value.items() if inner is not None} if isinstance(value, dict) else value


def _property(name: str, body: dict[str, Any]) -> dict[str, Any]:
    """Convert one field; a field named `title` or `default` is a field, not a keyword."""
    converted: dict[str, Any] = _convert(body)
    if "description" not in converted and name in _BORROWED:
        converted = {**converted, "description": _BORROWED[name]}
    return converted


def _without_null(node: dict[str, Any]) -> dict[str, Any]:
    """Take null out of a union; a union of one is that one."""
    union = node.get("anyOf")
    if not isinstance(union, list) or {"type": "null"} not in union:
        return node
    left = [inner for inner in union if inner != {"type": "null"}]
    rest = {key: value for key, value in node.items() if key != "anyOf"}
    return {**left[0], **rest} if len(left) == 1 else {**rest, "anyOf": left}


def _reference(node: dict[str, Any]) -> dict[str, Any]:
    """Wrap a reference that has neighbours: draft 7 ignores everything beside `$ref`."""
    if "$ref" in node and len(node) > 1:
        rest = {key: value for key, value in node.items() if key != "$ref"}
        return {"allOf": [{"$ref": node["$ref"]}], **rest}
    return node


def _dated(node: dict[str, Any]) -> dict[str, Any]:
    """Give dates a pattern: `format` alone is a remark to most validators."""
    return {**node, "pattern": _DAY} if node.get("format") == "date" else node


def keys_at(kind: Kind, path: Path) -> tuple[str, ...]:
    """Return the keys that may stand in the mapping at `path`, in every form that the mapping may have."""
    root = _schema(kind)
    places = [root]
    for step in path:
        places = [deeper for place in places for deeper in _step(_forms(place, root), step, root)]
    keys = [key for place in places for form in _forms(place, root) for key in form.get("properties", {})]
    return tuple(dict.fromkeys(keys))


def _forms(place: dict[str, Any], root: dict[str, Any]) -> list[dict[str, Any]]:
    """Resolve references and unions to the plain schemas behind them."""
    if "$ref" in place:
        return _forms(root["definitions"][place["$ref"].rsplit("/", 1)[-1]], root)
    inner = [
        form
        for word in ("anyOf", "oneOf", "allOf")
        for branch in place.get(word, ())
        if "$ref" in branch or "type" in branch or "oneOf" in branch
        for form in _forms(branch, root)
    ]
    return [place, *inner]


def _step(forms: list[dict[str, Any]], step: str | int, root: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what may stand below, under a key or at an index."""
    found: list[dict[str, Any]] = []
    for form in forms:
        if isinstance(step, int):
            below = form.get("items")
        else:
            below = form.get("properties", {}).get(step) or next(iter(form.get("patternProperties", {}).values()), None)
            below = below or form.get("additionalProperties")
        if isinstance(below, dict):
            found.append(below)
    return [form for place in found for form in _forms(place, root)]
