"""Transforms are data with a word for done; a dataset that anonymises accounts for every column."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from lifecycle.core.inventory import Dataset
from lifecycle.core.mandate import template_of
from lifecycle.core.plan import Anonymise, Step
from lifecycle.core.selection import describe, template
from lifecycle.core.transform import (
    CoarseDate,
    CoarseNumber,
    Constant,
    Keep,
    SetNull,
    Token,
    Transform,
    Treatment,
    describe_transform,
    is_done,
    transformed,
)
from tests.core.plans import plan, selection, step

RANDOM = "0123456789abcdef" * 2
ALL: tuple[Transform, ...] = (
    SetNull(column="c"),
    Constant(column="c", value="gone"),
    Constant(column="c", value=7),
    Constant(column="c", value=False),
    CoarseDate(column="c", to="month"),
    CoarseDate(column="c", to="year"),
    CoarseNumber(column="c", step=100),
    Token(column="c"),
    Token(column="c", digits=16, suffix="@example.invalid"),
)
values = (
    st.none()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.booleans()
    | st.text(max_size=20)
    | st.binary(max_size=5)
    | st.dates()
    | st.datetimes()
    | st.dates().map(date.isoformat)
    | st.datetimes().map(datetime.isoformat)
    | st.from_regex(r"anon~[0-9a-f]{30,34}(@example\.invalid)?", fullmatch=True)
)


@given(values, st.sampled_from(ALL))
def test_what_was_transformed_is_done_and_stays_so(value: Any, transform: Transform) -> None:
    """Once is enough for every value, whatever it was; an absent one is done already."""
    after = transformed(value, transform, RANDOM)
    assert is_done(after, transform)
    assert is_done(None, transform)
    if is_done(value, transform) and not isinstance(transform, Token) and value is not None:
        assert after == value


@pytest.mark.parametrize(
    ("transform", "value", "after"),
    [
        (SetNull(column="c"), "x", None),
        (Constant(column="c", value="gone"), "x", "gone"),
        (CoarseDate(column="c", to="month"), date(2025, 3, 14), date(2025, 3, 1)),
        (CoarseDate(column="c", to="year"), date(2025, 3, 14), date(2025, 1, 1)),
        (
            CoarseDate(column="c", to="month"),
            datetime(2025, 3, 14, 9, 8, 7, tzinfo=UTC),
            datetime(2025, 3, 1, tzinfo=UTC),
        ),
        (CoarseDate(column="c", to="year"), datetime(2025, 3, 14, 9, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)),
        (CoarseDate(column="c", to="month"), "2025-03-14", "2025-03-01"),
        (CoarseDate(column="c", to="year"), "2025-03-14 09:08:07.5", "2025-01-01 00:00:00"),
        (CoarseDate(column="c", to="month"), "2025-03-14T09:08+02:00", "2025-03-01T00:00:00Z"),
        (CoarseDate(column="c", to="month"), "on Monday", None),
        (CoarseDate(column="c", to="month"), 20250314, None),
        (CoarseNumber(column="c", step=100), 1999, 1900),
        (CoarseNumber(column="c", step=100), -1999, -1900),
        (CoarseNumber(column="c", step=100), 0, 0),
        (CoarseNumber(column="c", step=2), 7.5, 6.0),
        (CoarseNumber(column="c", step=2), 1e300, None),
        (CoarseNumber(column="c", step=2), float("nan"), None),
        (CoarseNumber(column="c", step=2), "7", None),
        (CoarseNumber(column="c", step=2), True, None),
        (Token(column="c"), "x", "anon~" + RANDOM),
        (Token(column="c", digits=16, suffix="@e.invalid"), "x", "anon~0123456789abcdef@e.invalid"),
    ],
)
def test_a_value_becomes(transform: Transform, value: Any, after: Any) -> None:
    """Each transform leaves what it says."""
    made = transformed(value, transform, RANDOM)
    assert (made, type(made)) == (after, type(after))


@pytest.mark.parametrize(
    ("transform", "value"),
    [
        (SetNull(column="c"), ""),
        (Constant(column="c", value=1), True),
        (Constant(column="c", value="gone"), "Gone"),
        (CoarseDate(column="c", to="month"), "2025-03-14"),
        (CoarseDate(column="c", to="year"), "2025-03-01"),
        (CoarseDate(column="c", to="year"), "2025-01-01\n"),
        (CoarseNumber(column="c", step=100), 150),
        (CoarseNumber(column="c", step=100), "100"),
        (Token(column="c"), "anon~" + RANDOM.upper()),
        (Token(column="c"), "anon~" + RANDOM + "\n"),
        (Token(column="c"), "anon~" + RANDOM[:-1]),
        (Token(column="c"), 7),
    ],
)
def test_what_only_looks_alike_is_not_done(transform: Transform, value: Any) -> None:
    """Done is exact: case, type, length and line ends count."""
    assert not is_done(value, transform)


def test_a_tokens_length_is_known_beforehand() -> None:
    """A column must hold it: the plan is refused otherwise."""
    token = Token(column="c", digits=20, suffix="@x.invalid")
    assert token.length == len(transformed("x", token, RANDOM))


def test_transforms_are_told_in_words() -> None:
    """Plans and certificates name the column and what became of it, never a value."""
    words = [describe_transform(one) for one in ALL]
    assert len(set(words)) == 6
    assert words[0] == "c (removed)"
    assert "gone" not in " ".join(words)
    assert all(re.fullmatch(r"c \([a-z0-9 ]+\)", word) for word in words)


@pytest.mark.parametrize(
    "wrong",
    [
        {"how": "set-null"},
        {"how": "constant", "column": "c"},
        {"how": "constant", "column": "c", "value": 1.5},
        {"how": "constant", "column": "c", "value": None},
        {"how": "date", "column": "c", "to": "day"},
        {"how": "number", "column": "c", "step": 1},
        {"how": "number", "column": "c", "step": 0},
        {"how": "number", "column": "c", "step": -5},
        {"how": "token", "column": "c", "digits": 8},
        {"how": "token", "column": "c", "digits": 33},
        {"how": "token", "column": "c", "suffix": "%"},
        {"how": "token", "column": "c", "suffix": "x\n"},
        {"how": "token", "column": "c", "key": "secret"},
        {"how": "hash", "column": "c"},
        {"how": "keep", "column": "c"},
        {"how": "keep", "column": "c", "why": ""},
        {"column": "c"},
    ],
)
def test_what_is_no_transform_is_refused(wrong: dict[str, Any]) -> None:
    """No hashes, no keys, nothing without a reason; a step of one changes nothing."""
    with pytest.raises(ValidationError):
        TypeAdapter(Treatment).validate_python(wrong)


# ---- a dataset accounts for every column ----

KEPT = tuple(Keep(column=name, why="It names nobody") for name in ("id", "firm", "made", "kind"))
GOOD: dict[str, Any] = {
    "id": "visits",
    "store": "main",
    "table": "visits",
    "category": "log",
    "key": ("id",),
    "tenant": {"by": "column", "column": "firm"},
    "times": {"collection": {"column": "made", "encoding": "utc"}},
    "only": (
        {"kind": "not", "inner": {"kind": "null", "column": "kind"}},
        {"kind": "any", "inner": ({"kind": "one-of", "column": "kind", "values": ("a",)},)},
    ),
    "persons": ({"column": "email", "holds": "email"},),
    "columns": ("id", "firm", "made", "kind", "email", "ip"),
    "anonymise": (*KEPT, SetNull(column="ip"), Token(column="email")),
}


def test_a_dataset_says_what_becomes_of_its_columns() -> None:
    """What is kept is no transform; without declarations there is none."""
    assert Dataset.model_validate(GOOD).transforms == (SetNull(column="ip"), Token(column="email"))
    assert Dataset.model_validate({**GOOD, "anonymise": ()}).transforms == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"anonymise": KEPT}, "'email' is not accounted for"),
        ({"anonymise": KEPT, "persons": (), "columns": ()}, "nothing is changed"),
        ({"anonymise": (*KEPT, Token(column="email"))}, "'ip' is not accounted for"),
        ({"anonymise": GOOD["anonymise"][1:], "columns": ()}, "'id' is not accounted for"),
        ({"anonymise": (*GOOD["anonymise"], SetNull(column="ip"))}, "'ip' is treated twice"),
        ({"anonymise": (*GOOD["anonymise"], SetNull(column="other"))}, "'other' is none of this dataset's columns"),
        ({"anonymise": (*GOOD["anonymise"][1:], Token(column="id"))}, "'id' is the key"),
        ({"times": {"seen": {"column": "ip", "encoding": "utc"}}}, "'ip' is the start time seen"),
        ({"tenant": {"by": "column", "column": "ip"}}, "'ip' is the tenant"),
        (
            {"tenant": {"by": "path", "column": "x", "path": ({"column": "ip", "table": "t", "key": "id"},)}},
            "'ip' is the way to the tenant",
        ),
        (
            {"references": ({"column": "ip", "store": "main", "key_template": "{value}"},)},
            "'ip' is the way to an object",
        ),
        ({"only": ({"kind": "null", "column": "ip"},)}, "'ip' is what the dataset is restricted by"),
        ({"persons": ({"column": "kind", "holds": "other"},)}, "'kind' names a person, and would be left over"),
    ],
    ids=str,
)
def test_I05_a_column_that_nobody_decided_about_is_refused(change: dict[str, Any], words: str) -> None:
    """Forgotten, doubled, unknown columns, and those that something rests on, are named with what to do."""
    with pytest.raises(ValidationError, match=re.escape(words)):
        Dataset.model_validate({**GOOD, **change})


# ---- in plans and mandates ----

ACTION = Anonymise(transforms=(SetNull(column="ip"), Token(column="email")), granted_by="3.5")


def anonymising(**more: Any) -> Step:
    """A step that anonymises."""
    return step(action=ACTION, selection=selection(undone=ACTION.transforms), **more)


def test_a_step_selects_what_its_transforms_have_not_done() -> None:
    """I02: action and selection say the same, so that what is counted is what is changed."""
    assert anonymising().selection.undone == ACTION.transforms
    with pytest.raises(ValidationError, match="does not select"):
        step(action=ACTION)
    with pytest.raises(ValidationError, match="does not select"):
        step(selection=selection(undone=ACTION.transforms))
    with pytest.raises(ValidationError):
        Anonymise(transforms=(), granted_by="3.5")


def test_the_selection_tells_what_is_not_done() -> None:
    """In words for those who sign; in the template for mandates."""
    assert describe(anonymising().selection).endswith("not yet anonymised: ip (removed), email (random token)")
    assert template(anonymising().selection)["undone"][0] == {"how": "set-null", "column": "ip"}
    assert "undone" not in template(selection()), "the templates of deletions are what they always were"


def test_I02_a_mandate_compares_the_transforms() -> None:
    """Another transform, or the clause that grants it, is another template."""
    other = Anonymise(transforms=(SetNull(column="ip"), SetNull(column="email")), granted_by="3.5")
    mandated = template_of(plan(anonymising()), "digest", {})
    changed = step(action=other, selection=selection(undone=other.transforms))
    regranted = anonymising().model_copy(update={"action": ACTION.model_copy(update={"granted_by": "4"})})
    assert template_of(plan(anonymising(expected=3)), "digest", {}) == mandated
    assert template_of(plan(changed), "digest", {}) != mandated
    assert template_of(plan(regranted), "digest", {}) != mandated
