"""From what pydantic found to what the author of a document can act on: position, what, and what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from lifecycle.core.errors import Problem
from lifecycle.core.value import FAULTS, Fault
from lifecycle.documents.kinds import PRIVATE, Kind
from lifecycle.documents.schema import keys_at
from lifecycle.documents.tree import Node, Path, Position

_SHOWABLE = re.compile(r"[0-9A-Za-zÄÖÜäöüß ._+:%*§()-]{1,40}")
_OF_THE_WHOLE = frozenset({FAULTS, "union_tag_invalid", "union_tag_not_found"})
"""Errors about a mapping as a whole: they say nothing new where a value inside it was reported already."""
_SECRET = frozenset({"address", "state", "leader_url", "ping", "public_key"})
"""Keys under which a secret may be written by mistake."""
_MISSING_FIX = {
    "gone_by": "write the period the clause names",
    "version": 'write the version in quotes, for example "2026-01"',
}


def problems_of(errors: Sequence[ErrorDetails], tree: Node, kind: Kind, file: str, base: Path = ()) -> list[Problem]:
    """Translate the errors of one validation; those about values that were reported before are left out.

    `base` says where in a document of that kind the tree stands, when it is only a part of one.
    """
    found: list[Problem] = []
    for error in _without_other_branches(errors, tree):
        node, path, poisoned = _walk(tree, error["loc"])
        if poisoned or (error["type"] in _OF_THE_WHOLE and node.has_poison()):
            continue
        faults = error["ctx"]["faults"] if error["type"] == FAULTS else (_fault(error, node, (*base, *path), kind),)
        for fault in faults:
            line, column = position(tree, (*path, *fault.path), error)
            hidden = kind in PRIVATE or not _SECRET.isdisjoint(path)
            found.append(Problem(file, line, column, _told(fault.what, hidden=hidden), _told(fault.fix, hidden=hidden)))
    return found


def position(tree: Node, path: Path, error: Mapping[str, Any] | None = None) -> Position:
    """Return where the value at `path` stands; the key where the key itself is wrong, the parent where none is."""
    about_key = error is not None and (error["type"] == "extra_forbidden" or "[key]" in error["loc"])
    if about_key and path:
        parent = tree.find(path[:-1])
        return parent.keys.get(str(path[-1]), parent.at)
    return tree.find(path).at


def _walk(tree: Node, loc: Iterable[str | int]) -> tuple[Node, Path, bool]:
    """Follow an error's location; names of union branches are no steps. Returns node, path, poisoned on the way."""
    node, path, poisoned = tree, [], tree.poisoned
    for step in loc:
        deeper = node.child(step)
        if deeper is not None:
            node = deeper
            path.append(step)
            poisoned = poisoned or node.poisoned
    return node, tuple(path), poisoned


def _without_other_branches(errors: Sequence[ErrorDetails], tree: Node) -> list[ErrorDetails]:
    """Drop errors of the branch of a union that was not meant: list or word, told by what stands there."""
    kept: list[ErrorDetails] = []
    for error in errors:
        node, path, _ = _walk(tree, error["loc"])
        is_branch = len(path) < len(error["loc"]) and any(
            str(step).startswith(("tuple[", "literal[")) for step in error["loc"]
        )
        if is_branch and error["type"] == "literal_error" and node.items is not None:
            continue
        if is_branch and error["type"] == "tuple_type":
            continue
        if error["type"] == "too_short" and node.items:
            continue  # its items are wrong, and reported; it is not empty
        kept.append(error)
    return kept


def _told(text: str, *, hidden: bool) -> str:
    """Take quoted values out of what is said where they may identify someone or be a secret."""
    return re.sub(r"'[^']*'", "the value", text) if hidden else text


def _fault(error: ErrorDetails, node: Node, path: Path, kind: Kind) -> Fault:
    """Say one error in our words."""
    context: dict[str, Any] = error.get("ctx", {})
    name = str(error["loc"][-1]) if error["loc"] else ""
    match error["type"]:
        case "missing":
            return Fault((), f"the key {name} is missing", _MISSING_FIX.get(name, f"write {name} here"))
        case "extra_forbidden":
            return _unknown_key(name, keys_at(kind, path[:-1]), kind)
        case "literal_error" | "enum":
            return _not_one_of(node, str(context["expected"]), error["loc"])
        case "union_tag_invalid" | "union_tag_not_found":
            key = str(context["discriminator"]).strip("'")
            known = ", ".join(re.findall(r"'([^']*)'", str(context.get("expected_tags", ""))))
            return Fault((key,), f"the {key} is missing or unknown", f"write {key}: one of {known or 'the known ones'}")
        case _:
            return _value_fault(error, context, node, kind)


def _value_fault(error: ErrorDetails, context: dict[str, Any], node: Node, kind: Kind) -> Fault:
    """Say what is wrong with one value."""
    match error["type"]:
        case "string_type":
            return Fault((), f"{_shown(node)} is not text", _text_fix(node))
        case "string_pattern_mismatch":
            return Fault(
                (), f"{_shown(node)} does not have the form of this field", _pattern_fix(str(context["pattern"]))
            )
        case "string_too_short" | "too_short":
            return Fault((), "it is empty", "write at least one")
        case "string_too_long":
            return Fault((), f"the text is longer than {context['max_length']} characters", "shorten it")
        case "value_error":
            what, _, fix = str(context["error"]).partition("; ")
            return Fault((), what, fix or "correct the value")
        case "date_type" | "date_parsing" | "date_from_datetime_parsing":
            return Fault((), f"{_shown(node)} is not a day of the calendar", "write it as YYYY-MM-DD")
        case "greater_than_equal" | "less_than_equal":
            return Fault((), f"{_shown(node)} is out of bounds", error["msg"][0].lower() + error["msg"][1:])
        case kind_of_value if kind_of_value in _WANTED:
            return Fault(
                (), f"{_shown(node)} stands where {_WANTED[kind_of_value]} is needed", f"write {_WANTED[kind_of_value]}"
            )
        case _:
            return Fault((), error["msg"][0].lower() + error["msg"][1:], f"see `lifecycle schema {kind}`")


_WANTED = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
}


def _shown(node: Node) -> str:
    """Return the value where it is harmless to repeat: short, and no address, path or secret."""
    if node.entries is not None:
        return "a mapping"
    if node.items is not None:
        return "a list"
    if isinstance(node.value, bool):
        return str(node.value).lower()
    text = str(node.value)
    return repr(text) if _SHOWABLE.fullmatch(text) else "the value"


def _unknown_key(name: str, known: Sequence[str], kind: Kind) -> Fault:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    shown = repr(name) if kind not in PRIVATE and _SHOWABLE.fullmatch(name) else "this key"
    if close:
        return Fault((), f"the key {shown} is unknown", f"did you mean {close[0]}?")
    return Fault((), f"the key {shown} is unknown", f"remove it, or use one of: {', '.join(known) or 'none here'}")


def _not_one_of(node: Node, expected: str, loc: Sequence[str | int]) -> Fault:
    """Say which words are allowed; a field that also takes a list says so."""
    words = re.findall(r"'([^']*)'", expected)
    close = difflib.get_close_matches(str(node.value), words, n=1, cutoff=0.6)
    also = "a list in brackets, or " if any(str(step).startswith("literal[") for step in loc) else ""
    fix = f"did you mean {close[0]}?" if close else f"write {also}{' or '.join(words) or expected}"
    return Fault((), f"{_shown(node)} is not one of the words of this field", fix)


def _text_fix(node: Node) -> str:
    if isinstance(node.value, int):
        return f'write it in quotes: "{str(node.value).lower()}"'
    return "write one text"


def _pattern_fix(pattern: str) -> str:
    if pattern.startswith("^[a-z0-9]"):
        return "use lower-case letters, digits, dot, hyphen and underscore, beginning with a letter or digit"
    if pattern.startswith("^[A-Z]{2}$"):
        return "write the code of two capital letters"
    if "§" in pattern:
        return "write clause numbers only, separated by commas"
    if pattern.startswith("^[A-Z]["):
        return "write the name of an environment variable, in capitals"
    if ":[0-5][0-9]-" in pattern:
        return "write two times of day with two digits each, such as 22:00-05:30"
    if "{43}" in pattern:
        return "write the 44 characters of a base64 Ed25519 public key"
    return "write it without control characters, on one line"
