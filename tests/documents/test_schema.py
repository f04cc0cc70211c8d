"""JSON Schemas, draft 7: what editors complete, explain and check."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from ruamel.yaml import YAML

from lifecycle.documents import KINDS, schema
from lifecycle.documents.schema import _convert, schema_text
from tests.documents.bad_numbers import NUMBERS
from tests.documents.bad_semantics import SEMANTICS
from tests.documents.bad_structure import STRUCTURE
from tests.documents.bases import BASES

POLICIES = Path(__file__).parents[2] / "policies"


def _plain(text: str) -> Any:
    """Read YAML as an editor does: days stay text."""
    yaml = YAML(typ="safe", pure=True)
    return json.loads(json.dumps(yaml.load(text), default=str))


def _places(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        yield path, node
        for key, inner in node.items():
            yield from _places(inner, f"{path}/{key}")
    elif isinstance(node, list):
        for index, inner in enumerate(node):
            yield from _places(inner, f"{path}/{index}")


@pytest.mark.parametrize("kind", KINDS)
def test_the_schema_is_draft_7_through_and_through(kind: str):
    """Editors read draft 7: no keyword of a later draft, and nothing beside a reference."""
    found = schema(kind)
    Draft7Validator.check_schema(found)
    assert found["$schema"] == "http://json-schema.org/draft-07/schema#"
    for path, node in _places(found):
        later = {"$defs", "prefixItems", "discriminator", "unevaluatedProperties", "dependentRequired"} & node.keys()
        assert not later or path.endswith("/properties"), path
        assert "$ref" not in node or len(node) == 1, path
        assert node.get("type") != "null", path


@pytest.mark.parametrize("kind", KINDS)
def test_each_field_is_described(kind: str):
    """An editor shows a description for every key that an author can write."""
    bare = [
        f"{path}/{name}"
        for path, node in _places(schema(kind))
        if isinstance(node.get("properties"), dict) and node.get("type") == "object"
        for name, body in node["properties"].items()
        if "description" not in body
    ]
    assert bare == []


@pytest.mark.parametrize("kind", KINDS)
def test_each_mapping_is_closed(kind: str):
    """An unknown key is an error in the editor already."""
    open_ones = [
        path
        for path, node in _places(schema(kind))
        if node.get("type") == "object" and "properties" in node and node.get("additionalProperties") is not False
    ]
    assert open_ones == []


@pytest.mark.parametrize("kind", BASES)
def test_the_schema_files_are_current(kind: str):
    """`policies/schema/` holds what the models say now."""
    assert (POLICIES / "schema" / f"{kind}.json").read_text() == schema_text(kind)


@pytest.mark.parametrize("path", sorted(POLICIES.rglob("*.yaml")), ids=lambda path: path.stem)
def test_each_policy_is_valid_under_its_schema(path: Path):
    """A second implementation agrees that our policies are valid."""
    document = _plain(path.read_text())
    kind = document["lifecycle"].split("/")[0]
    assert [error.message for error in Draft7Validator(schema(kind)).iter_errors(document)] == []


@pytest.mark.parametrize("kind", BASES)
def test_the_small_documents_are_valid_under_their_schema(kind: str):
    """The documents that the bad ones come from are valid in the editor too."""
    assert [e.message for e in Draft7Validator(schema(kind)).iter_errors(_plain(BASES[kind]))] == []


def test_an_editor_finds_most_of_the_bad_documents_too():
    """The schema refuses what a schema can refuse: all but structure of the text, references and contradictions."""
    caught, passed = [], []
    validators = {kind: Draft7Validator(schema(kind)) for kind in BASES}
    for case in (*NUMBERS, *STRUCTURE, *SEMANTICS):
        try:
            document = _plain(case.content.decode("utf-8", "surrogatepass"))
        except Exception:  # noqa: BLE001 - whatever a common reader says about bad YAML
            continue
        kind = str(document.get("lifecycle")).split("/")[0] if isinstance(document, dict) else ""
        if kind not in BASES:
            continue
        (passed if validators[kind].is_valid(document) else caught).append(case.name)
    assert len(caught) >= 120
    assert len(passed) <= len(caught)


def test_changing_a_schema_changes_no_other_copy():
    """Each caller gets a copy of its own."""
    schema("agreement").clear()
    assert schema("agreement")["title"] == "lifecycle agreement/v1"


def test_later_drafts_words_are_said_in_the_words_of_draft_7():
    """What a model may come to use is translated: fixed lists, references with neighbours, absent values."""
    later = {
        "type": "array",
        "prefixItems": [
            {"$ref": "#/$defs/A", "description": "First."},
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
        ],
        "default": None,
        "title": "List",
    }
    assert _convert(later) == {
        "type": "array",
        "items": [{"allOf": [{"$ref": "#/definitions/A"}], "description": "First."}, {"type": "string"}],
    }
