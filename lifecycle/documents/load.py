"""Read one document, strictly: all its problems at once, or the document with its exact bytes and their digest."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lifecycle.core.errors import InvalidDocument, Problem
from lifecycle.documents.checks import faults_of, warnings_of
from lifecycle.documents.explain import position, problems_of
from lifecycle.documents.kinds import KINDS, MODELS, Document, Kind, header
from lifecycle.documents.text import MOST_BYTES, read_text
from lifecycle.documents.tree import Node, parse

UNNAMED = "<document>"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid document: the model, its kind, its exact bytes and their `sha256:` digest, and where it was read."""

    document: Document
    kind: Kind
    digest: str
    bytes: bytes = field(repr=False)
    path: Path | None
    file: str
    warnings: tuple[Problem, ...] = ()
    tree: Node = field(repr=False, kw_only=True)

    def problem(self, path: tuple[str | int, ...], what: str, fix: str) -> Problem:
        """Return a problem at the position of a value of this document, or of the nearest mapping around it."""
        return Problem(self.file, *position(self.tree, path), what, fix)

    @property
    def id(self) -> str:
        """Return the document's id; documents without one go by their kind."""
        return str(getattr(self.document, "id", self.kind))

    @property
    def version(self) -> str:
        """Return the document's version, or nothing."""
        return str(getattr(self.document, "version", ""))


def load(source: Path | str | bytes, kind: Kind | None = None, *, file: str | None = None) -> Loaded:
    """Read a document from a file or from bytes.

    Args:
        source: a path, or the document's bytes.
        kind: what it must be; without it, its `lifecycle` key says.
        file: the name that problems carry; the path as given, if there is one.

    Raises:
        InvalidDocument: with every problem of the document, each with file, line and column. Structure is checked
            before meaning: a document that cannot be parsed has only problems of structure.
    """
    if isinstance(source, bytes):
        return _load(source, kind, file or UNNAMED, None)
    path = Path(source)
    name = file or str(path)
    return _load(read_bytes(path, name), kind, name, path)


def read_bytes(path: Path, file: str, most: int = MOST_BYTES) -> bytes:
    """Return the bytes of a regular file, at most one more than allowed. Raises InvalidDocument."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the name is not a file name"
        raise refusal(
            [Problem(file, 1, 1, f"cannot be read: {reason}", "name a file that this user may read")]
        ) from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise refusal([Problem(file, 1, 1, "is not a regular file", "name a YAML file")])
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return stream.read(most + 1)
    finally:
        os.close(descriptor)


def refusal(problems: list[Problem]) -> InvalidDocument:
    """Return the error of one or several problems, in the order of their positions."""
    ordered = tuple(sorted(set(problems)))
    rest = f" (and {len(ordered) - 1} more)" if len(ordered) > 1 else ""
    return InvalidDocument(f"{ordered[0]}{rest}", problems=ordered)


def _load(content: bytes, kind: Kind | None, file: str, path: Path | None) -> Loaded:
    text, problems = read_text(content, file)
    if problems:
        raise refusal(problems)
    tree, problems = parse(text, file)
    if tree is None:
        raise refusal(problems)
    known = _kind(tree, kind, file, problems)
    if known is None:
        raise refusal(problems)
    try:
        document = MODELS[known].model_validate_json(json.dumps(tree.bare()))
    except ValidationError as error:
        problems += problems_of(error.errors(include_url=False), tree, known, file)
        raise refusal(problems) from None
    if not problems:
        problems += [_at(tree, file, *fault) for fault in faults_of(document)]
        problems += _odd_readings(tree, document, file)
    if problems:
        raise refusal(problems)
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    warnings = tuple(sorted(_at(tree, file, *warning) for warning in warnings_of(document)))
    return Loaded(document, known, digest, content, path, file, warnings, tree=tree)


def _at(tree: Node, file: str, path: tuple[str | int, ...], what: str, fix: str) -> Problem:
    return Problem(file, *position(tree, path), what, fix)


def _kind(tree: Node, wanted: Kind | None, file: str, problems: list[Problem]) -> Kind | None:
    """Return the kind that the document says it is; None, with a problem, when it does not say or says another."""
    if tree.entries is None:
        if not tree.poisoned:
            problems.append(
                Problem(file, *tree.at, "a document is a mapping of keys to values", "begin with lifecycle: KIND/v1")
            )
        return None
    said = tree.child("lifecycle")
    allowed = [header(kind) for kind in ([wanted] if wanted else KINDS)]
    if said is None:
        fix = f"write lifecycle: {' or '.join(allowed)}"
        problems.append(Problem(file, *tree.at, "the document does not say what it is", fix))
        return None
    if said.value in allowed:
        kind: Kind = next(kind for kind in KINDS if header(kind) == said.value)
        return kind
    if not said.poisoned:
        problems.append(
            Problem(file, *said.at, "this kind of document is not known here", f"write {' or '.join(allowed)}")
        )
    return None


def _odd_readings(tree: Node, document: Document, file: str) -> list[Problem]:
    """Return a problem for each value that would be written back differently: `P01D`, a day as seconds since 1970."""
    written = json.loads(document.model_dump_json(by_alias=True, exclude_unset=True))
    found: list[Problem] = []
    _compare(tree, written, file, found)
    return found


def _compare(node: Node, written: Any, file: str, found: list[Problem]) -> None:
    if node.entries is not None:
        for key, inner in node.entries.items():
            _compare(inner, written[key], file, found)
    elif node.items is not None:
        for inner, value in zip(node.items, written, strict=True):
            _compare(inner, value, file, found)
    elif node.value != written:
        found.append(Problem(file, *node.at, "the value is written in an unusual way", f"write {written}"))
