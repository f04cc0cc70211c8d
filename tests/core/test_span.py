"""A span is an exact length of machine time with one spelling; it is no calendar period."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lifecycle.core.hours import Hours
from lifecycle.core.period import Period
from lifecycle.core.span import IsoText, Span
from lifecycle.core.value import Value

MOST = 31 * 24 * 3600


class Entry(Value):
    span: Span


@given(st.integers(1, MOST))
def test_a_span_is_written_as_it_was_read(seconds: int) -> None:
    """Each length from a second to 31 days has one text, which reads back as the same length."""
    text = str(Span(seconds))
    assert Span.parse(text).seconds == seconds
    assert Span.parse(text).length() == timedelta(seconds=seconds)
    assert re.search(Span.PATTERN, text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("PT1S", 1), ("PT30S", 30), ("PT15M", 900), ("PT1H30M", 5400), ("PT24H", 86400), ("PT744H", MOST)],
)
def test_a_span_counts_seconds(text: str, seconds: int) -> None:
    """Hours, minutes and seconds add up."""
    assert Span.parse(text) == Span(seconds)


@pytest.mark.parametrize("text", ["PT0S", "PT0H", "PT745H", "PT744H1S", "PT9999999H"])
def test_a_span_has_bounds(text: str) -> None:
    """No time at all, and more than 31 days, are errors that say so."""
    with pytest.raises(ValueError, match="between one second and 31 days"):
        Span.parse(text)


@pytest.mark.parametrize(
    ("text", "better"),
    [("PT90S", "PT1M30S"), ("PT60M", "PT1H"), ("PT01H", "PT1H"), ("PT1H0M", "PT1H"), ("PT3600S", "PT1H")],
)
def test_a_span_has_one_spelling(text: str, better: str) -> None:
    """Another spelling of a length is refused with the one that is meant."""
    with pytest.raises(ValueError, match=f"write {better}$"):
        Span.parse(text)
    assert not re.search(Span.PATTERN, text)


@pytest.mark.parametrize(
    "text", ["", "PT", "P1D", "P1M", "P1DT1H", "PT1.5H", "1h", "PT-1H", "pt1h", "PT1H ", "PT١H", "PT12345678S"]
)
def test_what_is_no_span_is_an_error(text: str) -> None:
    """Days, fractions, signs and other digits are no lengths of machine time."""
    with pytest.raises(ValueError, match="not a length of time"):
        Span.parse(text)


def test_spans_stand_in_documents_as_text() -> None:
    """A document holds the ISO text in JSON and in Python; a number of seconds is none."""
    entry = Entry.model_validate_json('{"span": "PT15M"}')
    assert entry == Entry.model_validate({"span": "PT15M"}) == Entry(span=Span(900))
    assert entry.model_dump_json() == '{"span":"PT15M"}'
    for wrong in (900, "900"):
        with pytest.raises(ValidationError):
            Entry.model_validate({"span": wrong})
    assert Span(1) < Span(2)


@pytest.mark.parametrize("kind", [Span, Hours, Period])
def test_editors_are_told_what_is_accepted(kind: type[IsoText]) -> None:
    """The examples of each kind of text read, are written back alike, and match the pattern in the schema."""
    for text in kind.EXAMPLES:
        assert str(kind.parse(text)) == text
        assert re.search(kind.PATTERN, text)
    assert Entry.model_json_schema()["properties"]["span"]["examples"] == list(Span.EXAMPLES)
