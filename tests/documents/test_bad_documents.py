"""Every class of bad input is refused with its position, what is wrong, and what to do."""

from __future__ import annotations

import pytest

from lifecycle.core.errors import InvalidDocument
from lifecycle.documents import load
from tests.documents.bad_numbers import NUMBERS
from tests.documents.bad_semantics import SEMANTICS
from tests.documents.bad_structure import STRUCTURE
from tests.documents.bases import AGREEMENT, BASES, MARK, Bad

CASES = [*NUMBERS, *STRUCTURE, *SEMANTICS]
BYTES = [
    ("a byte order mark", b"\xef\xbb\xbf" + AGREEMENT.encode(), (1, 1), "byte order mark"),
    ("UTF-16, little end", AGREEMENT.encode("utf-16"), (1, 1), "byte order mark"),
    ("UTF-16, big end", b"\xfe\xff" + AGREEMENT.encode("utf-16-be"), (1, 1), "byte order mark"),
    ("UTF-16 without a mark", "a: b\n".encode("utf-16-le"), (1, 2), "U+0000"),
    ("UTF-32", AGREEMENT.encode("utf-32"), (1, 1), "byte order mark"),
    ("Latin-1", AGREEMENT.replace("A sample", "Größe").encode("latin-1"), (4, 10), "not UTF-8"),
    ("an overlong slash", b"title: \xc0\xaf\n", (1, 8), "not UTF-8"),
    ("a surrogate in UTF-8", b"title: \xed\xa0\x80\n", (1, 8), "not UTF-8"),
    ("a cut character", b"title: a\xc3", (1, 9), "not UTF-8"),
    ("1 MiB", b"# " + b"x" * 1024 * 1024, (1, 1), "more than 262144"),
    ("one byte too many", b"#" * (256 * 1024 + 1), (1, 1), "more than 262144"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_document_is_refused_with_position_and_advice(case: Bad):
    """A bad document is InvalidDocument: each problem at its exact position, said in words, with what to do."""
    with pytest.raises(InvalidDocument) as caught:
        load(case.content, file="policy.yaml")
    problems = caught.value.problems
    shown = "\n".join(str(problem) for problem in problems)
    assert case.position in [(problem.line, problem.column) for problem in problems], shown
    at_mark = [problem for problem in problems if (problem.line, problem.column) == case.position]
    assert any(case.word in problem.what for problem in at_mark), shown
    assert all(problem.fix and problem.file == "policy.yaml" for problem in problems), shown
    assert len(problems) == case.count, shown
    assert str(caught.value).startswith("policy.yaml:")


@pytest.mark.parametrize(("content", "position", "word"), [case[1:] for case in BYTES], ids=[case[0] for case in BYTES])
def test_bad_bytes_are_refused_before_anything_is_parsed(content: bytes, position: tuple[int, int], word: str):
    """Wrong size or encoding is said at the byte where it begins, and nothing is guessed."""
    with pytest.raises(InvalidDocument) as caught:
        load(content)
    problem = caught.value.problems[0]
    assert (problem.line, problem.column) == position
    assert word in problem.what
    assert problem.fix


@pytest.mark.parametrize("kind", BASES)
def test_the_documents_that_the_bad_ones_come_from_are_good(kind: str):
    """Each bad document differs from a valid one by one piece: the piece is what is refused."""
    assert MARK not in BASES[kind]
    assert load(BASES[kind].encode()).kind == kind


def test_there_are_more_than_a_hundred_and_thirty_bad_documents():
    """The table covers every class of bad input, and no two cases share a name."""
    assert len(CASES) + len(BYTES) >= 130
    assert len({case.name for case in CASES}) == len(CASES)


def test_all_problems_of_a_document_are_reported_at_once():
    """Structure that two readers read differently does not hide what else is wrong."""
    text = AGREEMENT.replace("gone_by: P90D", "gone_by: 030").replace("zone:", "zoen:").replace("[content]", "[contnt]")
    with pytest.raises(InvalidDocument) as caught:
        load(text.encode())
    whats = " ".join(problem.what for problem in caught.value.problems)
    assert "leading zero" in whats
    assert "zoen" in whats
    assert "the key zone is missing" in whats
    assert list(caught.value.problems) == sorted(caught.value.problems)


def test_a_secret_written_by_mistake_is_not_repeated():
    """An address or password in the place of a reference to one stays out of the message."""
    for written in ("geheim123", "{env: geheim123}", "{env: X, geheim123: y}", "{credential: geheim 123}"):
        with pytest.raises(InvalidDocument) as caught:
            load(BASES["inventory"].replace("{env: DB_URL}", written).encode())
        assert "geheim" not in str(caught.value) + repr(caught.value.problems)
