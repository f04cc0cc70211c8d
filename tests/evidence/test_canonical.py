"""Canonical JSON: one value, one sequence of bytes."""

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.evidence import canonical
from lifecycle.evidence.errors import EvidenceError, Malformed

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-canonical.MAX_INTEGER, canonical.MAX_INTEGER)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_whatever_is_encoded_is_decoded_to_the_same_value_and_the_same_bytes(value):
    """Encoding and decoding are inverse to each other."""
    data = canonical.encode(value)
    assert canonical.decode(data) == value
    assert canonical.encode(canonical.decode(data)) == data


@given(
    VALUES
    | st.recursive(st.text(st.characters(max_codepoint=127)), lambda i: st.dictionaries(st.text("aA~\x7f\x1f"), i))
)
def test_the_quick_way_for_ascii_writes_what_rfc_8785_writes(value):
    """Two serialisers, one form: control characters, DEL, quotes and the order of keys included."""
    assert canonical.encode(value) == rfc8785.dumps(value)


@given(st.binary(max_size=40))
def test_any_bytes_are_canonical_or_refused(data):
    """No sequence of bytes decodes to a value that other bytes stand for."""
    try:
        value = canonical.decode(data)
    except EvidenceError:
        return
    assert canonical.encode(value) == data


def test_keys_are_sorted_by_utf16_and_text_is_not_escaped():
    """RFC 8785 section 3.2.3: the order is that of UTF-16 code units, not of code points."""
    assert canonical.encode({"\ufb33": 1, "\U0001f600": 2, "ö": 3}) == '{"ö":3,"\U0001f600":2,"\ufb33":1}'.encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b'{"a":1}\n',
        b' {"a":1}',
        b"1.0",
        b"1e3",
        b"1.5",
        b"-0",
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"01",
        b"9007199254740992",
        b"-9007199254740992",
        b"9" * 5000,
        b'"\\u0061"',
        b'"\\ud800"',
        b'{"\\ud800":1}',
        b'"\xff"',
        b'\xef\xbb\xbf""',
        '"a"'.encode("utf-16"),
        b"[" * 25 + b"]" * 25,
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b"'a'",
        b"[1,]",
        b"nul",
        b'"\t"',
    ],
)
def test_what_is_not_canonical_is_refused(data):
    """Duplicates, other spacing, order or escapes, floats, huge numbers, depth and broken text are errors."""
    with pytest.raises(Malformed):
        canonical.decode(data)


@pytest.mark.parametrize(
    "value",
    [1.0, float("nan"), 2**53, -(2**53), "\ud800", {1: 2}, {"\udfff": 1}, b"", (1,), object(), {"a": [{1}]}],
)
def test_what_has_no_canonical_bytes_is_not_encoded(value):
    """Only objects with text keys, arrays, Unicode text, bounded integers, booleans and null have a form."""
    with pytest.raises(Malformed):
        canonical.encode(value)


def test_depth_is_allowed_to_the_limit():
    """24 levels pass, 25 do not."""
    value = []
    for _ in range(canonical.MAX_DEPTH - 1):
        value = [value]
    assert canonical.decode(canonical.encode(value)) == value
    with pytest.raises(Malformed, match="nested"):
        canonical.encode([value])


def test_more_bytes_than_allowed_are_refused():
    """The limit is checked before parsing."""
    assert canonical.decode(b"[1,2]", at_most=5) == [1, 2]
    with pytest.raises(Malformed, match="larger"):
        canonical.decode(b"[1,2]", at_most=4)


def test_files_that_people_edit_may_be_laid_out_freely_but_not_doubt_their_meaning():
    """Spacing and order are free; duplicate keys and floats are not."""
    assert canonical.parse(b'{ "b": 1,\n "a": [2] }\n') == {"a": [2], "b": 1}
    with pytest.raises(Malformed):
        canonical.parse(b'{ "b": 1, "b": 1 }')
    with pytest.raises(Malformed):
        canonical.parse(b'{ "b": 1.0 }')
    with pytest.raises(Malformed):
        canonical.parse(b'{ "b": "\\ud800" }')


def test_an_error_shows_no_value_and_says_what_to_do():
    """Evidence may hold what nobody should read in a log."""
    with pytest.raises(EvidenceError) as caught:
        canonical.decode(b'{"secret-name":"secret-name" }')
    assert "secret" not in str(caught.value)
    assert caught.value.advice()
    assert caught.value.__cause__ is None
