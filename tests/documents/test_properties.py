"""Whatever is read, the loader answers with a document or with problems: no other exception, and in bounded time."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lifecycle.core.errors import InvalidDocument
from lifecycle.documents import load
from lifecycle.documents.tree import parse
from tests.documents.bases import BASES

PIECES = st.sampled_from(
    [
        *"[]{}:,-?&*!|>'\"%@`#\n\t ~<=",
        "\\",
        "\\u",
        "---",
        "...",
        "<<: ",
        "? ",
        "- ",
        ": ",
        " #",
        "null",
        "030",
        "P1D",
        "\ufeff",
        "\x00",
    ]
)
DOCUMENTS = st.sampled_from(sorted(BASES))
QUICK = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _answers(content: bytes) -> bool:
    """Read a document; true when the answer is a document or problems that can be acted on."""
    try:
        loaded, problems = load(content), ()
    except InvalidDocument as error:
        loaded, problems = None, error.problems
    lines = content.decode("utf-8", "replace").replace("\r\n", "\n").count("\n") + 1
    told = all(problem.what and problem.fix for problem in problems)
    placed = all(1 <= problem.line <= lines + 1 and problem.column >= 1 for problem in problems)
    return told and placed and (bool(problems) or (loaded is not None and loaded.bytes == content))


@QUICK
@given(st.binary(max_size=400))
@example(b'"\\UFFFFFFFF"')
@example(b"? ? ?")
@example(b"\xc2\x85")
def test_arbitrary_bytes_are_answered(content: bytes):
    """Random bytes are refused with positions."""
    assert _answers(content)


@QUICK
@given(st.lists(PIECES, max_size=60).map("".join))
def test_arbitrary_yaml_is_answered(text: str):
    """Random combinations of YAML's signs are refused with positions."""
    assert _answers(b"lifecycle: statutes/v1\n" + text.encode())


@QUICK
@given(DOCUMENTS, st.data())
def test_mutated_documents_are_answered(kind: str, data: st.DataObject):
    """A valid document with pieces cut out and put in is read or refused; it is never half read."""
    text = BASES[kind]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 12))
        text = text[:at] + data.draw(st.one_of(PIECES, st.text(max_size=3))) + text[at + cut :]
    assert _answers(text.encode("utf-8", "surrogatepass"))


@QUICK
@given(DOCUMENTS, st.data())
def test_documents_cut_anywhere_are_answered(kind: str, data: st.DataObject):
    """A document that was cut off, at any byte, is read or refused."""
    content = BASES[kind].encode()
    assert _answers(content[: data.draw(st.integers(0, len(content)))])


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "{" * 100_000, "- " * 100_000, "&" * 200_000, "a: " * 80_000, "[a,[b," * 40_000],
    ids=["brackets", "braces", "dashes", "anchors", "colons", "nested lists"],
)
def test_bombs_are_answered_without_recursion_and_in_time(text: str):
    """What grows with its depth is stopped at level 64, however large the document is."""
    started = time.perf_counter()
    _tree, problems = parse(text, "bomb.yaml")
    assert problems
    assert time.perf_counter() - started < 20
