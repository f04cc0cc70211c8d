"""Selections as data: which items of one dataset, for whom, and since when.

A selection never holds a tenant's id, a row key or a value of a person: tenants appear as aliases or groups. Stores
compile it against reflected columns; the same value decides what a plan shows and what a batch changes.

Two-valued on purpose: an undatable time (NULL, sentinel, infinite, future, unparsable) satisfies no `Before` (I9), and
`Before` cannot be negated.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field

from lifecycle.core.transform import Transform, describe_transform
from lifecycle.core.value import Alias, Column, Identifier, Value


class TenantScope(Value):
    """The rows of one tenant, by alias."""

    kind: Literal["tenant"] = "tenant"
    tenant: Alias


class GroupScope(Value):
    """The rows of every tenant that the register mirrors under one of these groups."""

    kind: Literal["groups"] = "groups"
    groups: tuple[Identifier, ...] = Field(min_length=1)


class WholeScope(Value):
    """All rows of a dataset whose tenancy is `none`."""

    kind: Literal["whole"] = "whole"


Scope = Annotated[TenantScope | GroupScope | WholeScope, Field(discriminator="kind")]


class Before(Value):
    """The start time's local date in `zone` is on or before `day`, and the time is datable.

    `time` names an entry of the dataset's `times`; `not_before` and `not_after` bound what counts as datable.
    """

    kind: Literal["before"] = "before"
    time: Identifier
    day: date
    zone: str
    not_before: date
    not_after: date


class OneOf(Value):
    """The column equals one of the values, byte-exact. NULL equals nothing."""

    kind: Literal["one-of"] = "one-of"
    column: Column
    values: tuple[str | int | bool, ...] = Field(min_length=1)


class IsNull(Value):
    """The column is NULL."""

    kind: Literal["null"] = "null"
    column: Column


class Not(Value):
    """The inner condition does not hold; NULL makes an inner comparison false, so `Not` of it is true."""

    kind: Literal["not"] = "not"
    inner: Condition


class AllOf(Value):
    """Every inner condition holds."""

    kind: Literal["all"] = "all"
    inner: tuple[Condition, ...] = Field(min_length=1)


class AnyOf(Value):
    """At least one inner condition holds."""

    kind: Literal["any"] = "any"
    inner: tuple[Condition, ...] = Field(min_length=1)


Condition = Annotated[OneOf | IsNull | Not | AllOf | AnyOf, Field(discriminator="kind")]


class Selection(Value):
    """What is selected of `dataset`: in scope, every `due` true, every `only` true, nothing held, something not done.

    `undone`: transforms, of which at least one is not done on the row; empty for every action but anonymising.
    `unreferenced_by`: datasets whose remaining rows keep a row of this dataset alive (a parent that carries the path
    of a retained or held child stays).
    `linked_by`: another dataset; then scope, times and conditions are those of its rows, and what is selected are the
    objects of `dataset` that the selected rows reference, and no row that stays.
    `respect_holds` is always true for changes; `False` is accepted only by `count`, to show how many rows a hold keeps.
    """

    dataset: Identifier
    scope: Scope
    due: tuple[Before, ...] = ()
    only: tuple[Condition, ...] = ()
    unreferenced_by: tuple[Identifier, ...] = ()
    undone: tuple[Transform, ...] = ()
    linked_by: Identifier | None = None
    respect_holds: bool = True


@dataclass(frozen=True, slots=True)
class Bound:
    """A selection with its tenant alias resolved; `tenant` is the register's id, and None for other scopes.

    Lives in memory only: never logged, never stored, never shown in an error.
    """

    selection: Selection
    tenant: str | None = None

    def __repr__(self) -> str:
        """Show the selection without the tenant's id."""
        return f"Bound({self.selection!r})"


def describe(selection: Selection) -> str:
    """Return the selection in words for plans and logs: no ids of tenants, no values but those of the inventory."""
    parts = [f"{selection.dataset} of {_scope_text(selection.scope)}"]
    if selection.linked_by is not None:
        parts.append(f"referenced by the selected rows of {selection.linked_by}, and by no other row")
    parts += [f"{before.time} on or before {before.day} ({before.zone})" for before in selection.due]
    parts += [_condition_text(condition) for condition in selection.only]
    if selection.unreferenced_by:
        parts.append(f"no row left in {', '.join(selection.unreferenced_by)}")
    if selection.undone:
        parts.append(f"not yet anonymised: {', '.join(describe_transform(one) for one in selection.undone)}")
    if not selection.respect_holds:
        parts.append("held ones included")
    return "; ".join(parts)


def template(selection: Selection) -> dict[str, Any]:
    """Return what a mandate compares: the selection without cutoffs, groups and tenant. JSON values only."""
    full = selection.model_dump(mode="json")
    if not selection.undone:
        # As it was before there was anonymising: the mandates of deletions stand.
        del full["undone"]
    if selection.linked_by is None:
        del full["linked_by"]
    due = [{name: part for name, part in before.items() if name not in {"day", "not_after"}} for before in full["due"]]
    return {**full, "scope": {"kind": selection.scope.kind}, "due": sorted(due, key=lambda b: str(b["time"]))}


def _scope_text(scope: Scope) -> str:
    if isinstance(scope, WholeScope):
        return "no tenant, all rows"
    if isinstance(scope, TenantScope):
        return "one tenant"
    return "one group of tenants" if len(scope.groups) == 1 else f"{len(scope.groups)} groups of tenants"


def _condition_text(condition: Condition) -> str:
    if isinstance(condition, OneOf):
        return f"{condition.column} in {', '.join(repr(value) for value in condition.values)}"
    if isinstance(condition, IsNull):
        return f"{condition.column} is null"
    if isinstance(condition, Not):
        return f"not ({_condition_text(condition.inner)})"
    word = " and " if isinstance(condition, AllOf) else " or "
    return "(" + word.join(_condition_text(inner) for inner in condition.inner) + ")"


for _model in (Not, AllOf, AnyOf, Selection):
    _model.model_rebuild()
