"""The document as a tree with positions, built from the parser's events: no recursion, no constructor, no aliases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StringMark, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from lifecycle.core.errors import Problem
from lifecycle.core.value import Fault
from lifecycle.documents import scalars

MOST_DEPTH = 64
Position = tuple[int, int]
Path = tuple[str | int, ...]


@dataclass(slots=True)
class Node:
    """One value and where it stands. `poisoned`: a problem was already reported for it; `value` is then None."""

    at: Position
    value: scalars.Scalar | None = None
    items: list[Node] | None = None
    entries: dict[str, Node] | None = None
    keys: dict[str, Position] = field(default_factory=dict)
    poisoned: bool = False

    def child(self, step: str | int) -> Node | None:
        """Return the value under a key or at an index, if it is there."""
        if isinstance(step, int):
            return self.items[step] if self.items is not None and step < len(self.items) else None
        return self.entries.get(step) if self.entries is not None else None

    def bare(self) -> Any:
        """Return the value without positions, as JSON knows it."""
        if self.entries is not None:
            return {key: node.bare() for key, node in self.entries.items()}
        if self.items is not None:
            return [node.bare() for node in self.items]
        return self.value

    def has_poison(self) -> bool:
        """Tell whether a problem was already reported for this value or for one inside it."""
        inside = [*(self.items or ()), *(self.entries or {}).values()]
        return self.poisoned or any(node.has_poison() for node in inside)

    def find(self, path: Path) -> Node:
        """Return the node at `path`, or the deepest one on the way to it."""
        node = self
        for step in path:
            deeper = node.child(step)
            if deeper is None:
                return node
            node = deeper
        return node


def parse(text: str, file: str) -> tuple[Node | None, list[Problem]]:
    """Return the document's tree and the problems of its structure; no tree when it cannot be parsed at all."""
    builder = _Builder(file, text)
    try:
        for event in _events(text):
            if not builder.take(event):
                return None, builder.problems
    except MarkedYAMLError as error:
        builder.problems.append(_syntax(error, file))
        return None, builder.problems
    except (YAMLError, ValueError, OverflowError, IndexError):
        # Escapes of impossible characters and the like fail inside the parser, without a position of their own.
        builder.report(builder.last, "the text from here on is not YAML", "correct the line, or put the text in quotes")
        return None, builder.problems
    if builder.root is None:
        builder.report((1, 1), "the document is empty", "write the document, or remove the file")
    return builder.root, builder.problems


def _events(text: str) -> Iterator[Event]:
    """Yield the parser's events one by one: the depth is known before the next level is read."""
    yaml = YAML(typ="safe", pure=True)
    yield from yaml.parse(StringIO(text))


def _syntax(error: MarkedYAMLError, file: str) -> Problem:
    """Say in our words where the text stops being YAML."""
    mark = error.problem_mark or error.context_mark
    line, column = _at(mark) if mark is not None else (1, 1)
    what = re.sub(r"\s+", " ", str(error.problem or error.context or "the text is not YAML"))
    what = re.sub(r"'[^'<]{2,}'", "a word of the document", what)  # it may identify someone (I23)
    return Problem(
        file, line, column, f"not YAML: {what}", "check indentation, quotes, brackets and colons of this line"
    )


def _at(mark: StringMark) -> Position:
    """Return line and column, both counted from 1."""
    return mark.line + 1, mark.column + 1


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet, and the key that waits for its value."""

    node: Node
    key: str | None = None
    waits: bool = False


class _Builder:
    """Takes events in order and builds the tree."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self._text = text
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self.last: Position = (1, 1)
        self._open: list[_Open] = []
        self._documents = 0

    def report(self, at: Position, what: str, fix: str) -> None:
        """Keep a problem at a position."""
        self.problems.append(Problem(self.file, *at, what, fix))

    def take(self, event: Event) -> bool:
        """Take one event; False when nothing after it is worth reading."""
        self.last = at = _at(event.start_mark)
        if isinstance(event, DocumentStartEvent):
            return self._document(event, at)
        if isinstance(event, MappingEndEvent | SequenceEndEvent):
            self._open.pop()
            return True
        if isinstance(event, AliasEvent):
            self.report(at, "an alias repeats another part of the document", "write the value itself")
            self._place(Node(at, poisoned=True), None)
            return True
        if isinstance(event, MappingStartEvent | SequenceStartEvent | ScalarEvent):
            self._marks(event, at)
            return self._scalar(event, at) if isinstance(event, ScalarEvent) else self._collection(event, at)
        return True

    def _document(self, event: DocumentStartEvent, at: Position) -> bool:
        self._documents += 1
        if self._documents > 1:
            self.report(at, "a second document begins here", "keep one document in a file")
            return False
        if event.version is not None or event.tags:
            found = re.search(r"^%", self._text, re.MULTILINE)
            at = (self._text.count("\n", 0, found.start()) + 1, 1) if found else at
            self.report(at, "a directive stands before the document", "remove the lines that begin with %")
        return True

    def _marks(self, event: MappingStartEvent | SequenceStartEvent | ScalarEvent, at: Position) -> None:
        """Refuse anchors and tags."""
        if event.anchor is not None:
            self.report(at, "an anchor (&) names this value for repetition", "remove it and write each value out")
        if event.ctag is not None:
            self.report(at, "a tag (!) gives this value a type", "remove it: the key decides the type")

    def _collection(self, event: MappingStartEvent | SequenceStartEvent, at: Position) -> bool:
        if len(self._open) >= MOST_DEPTH:
            self.report(at, f"the document is nested deeper than {MOST_DEPTH} levels", "write it flatter")
            return False
        node = Node(at, entries={}) if isinstance(event, MappingStartEvent) else Node(at, items=[])
        self._place(node, None)
        self._open.append(_Open(node))
        return True

    def _scalar(self, event: ScalarEvent, at: Position) -> bool:
        is_plain = event.style in {None, ""}
        meaning = scalars.plain(event.value) if is_plain else scalars.quoted(event.value)
        if is_plain and not event.value and not self._open:
            self.report((1, 1), "the document is empty", "write the document, or remove the file")
            self._place(Node(at, poisoned=True), None)
        elif isinstance(meaning, Fault):
            at = self._key_that_waits(at) if is_plain and not event.value else at
            self.report(at, meaning.what, meaning.fix)
            self._place(Node(at, poisoned=True), None)
        else:
            self._place(Node(at, value=meaning), meaning, merge=is_plain and meaning == "<<")
        return True

    def _key_that_waits(self, at: Position) -> Position:
        """Return where the key of an empty value stands: the parser puts the value wherever the next thing begins."""
        top = self._open[-1] if self._open else None
        known = top is not None and top.waits and top.key is not None
        return top.node.keys[top.key] if top is not None and top.key is not None and known else at

    def _place(self, node: Node, meaning: scalars.Scalar | None, *, merge: bool = False) -> None:
        """Put a node where it belongs: the root, the next item, a key, or the value of the key that waits."""
        if not self._open:
            self.root = node
            return
        top = self._open[-1]
        if top.node.items is not None:
            top.node.items.append(node)
        elif not top.waits:
            top.key, top.waits = self._key(top.node, node, meaning, merge=merge), True
        else:
            if top.key is not None and top.node.entries is not None:
                top.node.entries[top.key] = node
            top.waits = False

    def _key(self, mapping: Node, node: Node, meaning: scalars.Scalar | None, *, merge: bool) -> str | None:
        """Return the key, or None for one that was reported; its value is then read and left out."""
        if merge:
            self.report(node.at, "a merge key (<<) pulls in another part of the document", "write the keys out")
        elif node.poisoned:
            pass  # reported where it was read
        elif not isinstance(meaning, str):
            self.report(node.at, "a key is not text", "write the key as a word, in quotes if it looks like a number")
        elif meaning in mapping.keys:
            line, column = mapping.keys[meaning]
            self.report(node.at, f"the key stands twice, first at {line}:{column}", "keep one of the two")
        else:
            mapping.keys[meaning] = node.at
            return meaning
        return None
