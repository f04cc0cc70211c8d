"""Bugs that somebody could write into the executor or its query builder, each planted by replacing one function.

A bug changes what counts, walks and deletes; the verifier's own query builder is never touched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa

from lifecycle.core.selection import AnyOf, Bound, GroupScope, OneOf
from lifecycle.flow import execute
from lifecycle.stores.sql import apply, select, walk
from lifecycle.stores.sql.compile import Compiler
from lifecycle.stores.sql.dialects import Changed, Typed
from lifecycle.stores.sql.select import Selected
from lifecycle.stores.sql.store import SqlStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest import MonkeyPatch  # noqa: PT013 - a type

EVERYTHING = 10**9


@dataclass(frozen=True)
class Bug:
    """One bug: its name, the plan it spoils, how it is planted, and which effect shows that it was really there.

    `effect`: too much is gone, too little is gone, both, or the bug lies about a right deletion.
    """

    name: str
    plan: Literal["rule", "leave"]
    plant: Callable[[MonkeyPatch], None]
    effect: Literal["more", "less", "both", "lie"]


def _before(wrong: Callable[[Compiler, Any, Any], Any]) -> Callable[[MonkeyPatch], None]:
    right = Compiler.before

    def plant(patch: MonkeyPatch) -> None:
        patch.setattr(Compiler, "before", lambda self, before: wrong(self, before, right))

    return plant


def _where(wrong: Callable[[Selected, list[Any]], list[Any]]) -> Callable[[MonkeyPatch], None]:
    right = Selected.where

    def plant(patch: MonkeyPatch) -> None:
        def where(self: Selected, *, respect_holds: bool = True) -> list[Any]:
            return wrong(self, right(self, respect_holds=respect_holds))

        patch.setattr(Selected, "where", where)

    return plant


def _compiler(name: str, wrong: Callable[..., Any]) -> Callable[[MonkeyPatch], None]:
    return lambda patch: patch.setattr(Compiler, name, wrong)


def _holding(wrong: Any) -> Callable[[MonkeyPatch], None]:
    """Answer wrongly whether a hold keeps a row, or a group's tenant."""

    def plant(patch: MonkeyPatch) -> None:
        for name in ("held", "kept"):
            patch.setattr(Compiler, name, lambda self: wrong)

    return plant


def _everybody(self: Compiler, bound: Bound, *, free: bool = False) -> Any:
    """Leave the scope out, not the holds."""
    del bound
    return sa.not_(self.held()) if free else sa.true()


def _tenant(wrong: Callable[..., Any]) -> Callable[[MonkeyPatch], None]:
    """Compare the tenant column in another way, for one tenant and for groups."""

    def of_scope(self: Compiler, bound: Bound, column: Typed, *, free: bool = False) -> Any:
        if isinstance(bound.selection.scope, GroupScope):
            return self._mirrored(column, bound.selection.scope.groups, free=free)
        return wrong(self, column, bound.tenant)

    return lambda patch: patch.setattr(Compiler, "of_scope", of_scope)


def _only_in_the_change(wrong: Callable[[Selected, list[Any], list[Any]], list[Any]]) -> Callable[[MonkeyPatch], None]:
    """What is counted and walked is right; the statement that deletes is not. Gets the predicate and the bounds."""

    def truths(dialect: Any, selected: Selected, batch: Any) -> list[Any]:
        after = None if batch.after is None else walk.read_cursor(batch.after)
        upto = walk.read_cursor(batch.upto)
        return wrong(selected, selected.changing(), walk.bounds(dialect, selected, after, upto))

    return lambda patch: patch.setattr(apply, "_truths", truths)


def _carried_out(wrong: Callable[..., Any]) -> Callable[[MonkeyPatch], None]:
    right = apply.carry_out

    def plant(patch: MonkeyPatch) -> None:
        patch.setattr(apply, "carry_out", lambda *args: wrong(right, *args))

    return plant


def _changed(wrong: Callable[..., Changed]) -> Callable[[MonkeyPatch], None]:
    """Replace what the database is asked to do, or what is believed about it."""

    def plant(patch: MonkeyPatch) -> None:
        right = apply._change
        patch.setattr(apply, "_change", lambda *args: wrong(right, *args))

    return plant


def _undone(right: Callable[..., Changed], connection: Any, *rest: Any) -> Changed:
    nested = connection.begin_nested()
    changed = right(connection, *rest)
    nested.rollback()
    return changed


def _unnoticed(right: Callable[..., Changed], *args: Any) -> Changed:
    return replace(right(*args), count=0, tenants={})


def _twice(right: Callable[..., Changed], connection: Any, dialect: Any, selected: Any, truths: Any, batch: Any) -> Any:
    """The same delete again without its bounds and scope; the first answer is reported."""
    changed = right(connection, dialect, selected, truths, batch)
    wide = sa.delete(selected.table).where(*(selected.compiler.before(b) for b in batch.bound.selection.due))
    connection.execute(wide.where(sa.not_(selected.compiler.held())))
    return replace(changed, count=0, tenants={})


def _skipping(patch: MonkeyPatch) -> None:
    """The walk ends after its first piece, and the executor believes that nothing is left."""
    cut, count = SqlStore.cut, SqlStore.count
    begun: set[str] = set()

    def first_only(self: SqlStore, bound: Bound, after: Any, size: int) -> Any:
        name = bound.selection.dataset
        if name in begun:
            return None
        begun.add(name)
        return cut(self, bound, after, size)

    def nothing(self: SqlStore, bound: Bound) -> Any:
        found = count(self, bound)
        return replace(found, items=0) if begun else found

    patch.setattr(SqlStore, "cut", first_only)
    patch.setattr(SqlStore, "count", nothing)


def _upto_exclusive(patch: MonkeyPatch) -> None:
    right = walk.bounds

    def short(dialect: Any, selected: Selected, after: Any, upto: Any) -> list[Any]:
        truths = right(dialect, selected, after, upto)
        if upto is None or not upto.at:
            return truths
        found = walk.columns(selected, upto.by)
        return [*truths, sa.not_(sa.and_(*(dialect.as_cursor(c) == v for c, v in zip(found, upto.at, strict=False))))]

    patch.setattr(apply, "bounds", short)


def _swapped(patch: MonkeyPatch) -> None:
    right = apply.bounds
    patch.setattr(
        apply, "bounds", lambda d, s, after, upto: right(d, s, upto, None) if upto else right(d, s, after, upto)
    )


def _wrong_parent(self: Compiler) -> Any:
    """The comment's ticket is looked up by the ticket's parent."""
    sources, joins, last = _PATH(self)
    if self.shape.dataset.id != "comments":
        return sources, joins, last
    there = sources[0]
    return sources, [there.c["parent_id"] == self.source.c["ticket_id"]], last


_PATH = Compiler.path
_CONDITION = Compiler.condition
_RESULT_OF = Selected.scope


def _or_for_and(self: Selected, truths: list[Any]) -> list[Any]:
    due = len(self.bound.selection.due)
    scope = len(_RESULT_OF(self))
    if due < 2:
        return truths
    return [*truths[:scope], sa.or_(*truths[scope : scope + due]), *truths[scope + due :]]


def _without_only(self: Compiler, condition: Any) -> Any:
    return sa.true() if isinstance(condition, OneOf) else _CONDITION(self, condition)


def _negated_only(self: Compiler, condition: Any) -> Any:
    right = _CONDITION(self, condition)
    return sa.not_(right) if isinstance(condition, OneOf | AnyOf) else right


def _half(self: Selected, truths: list[Any]) -> list[Any]:
    return [*truths, sa.cast(self.keys()[0].expression, sa.Text()).like("%0")]


def _unlimited(right: Any, connection: Any, dialect: Any, world: Any, batch: Any, failpoint: Any) -> Any:
    return right(connection, dialect, world, replace(batch, remaining=EVERYTHING), failpoint)


def _other_tenant(right: Any, connection: Any, dialect: Any, world: Any, batch: Any, failpoint: Any) -> Any:
    bound = replace(batch.bound, tenant="acme2") if batch.bound.tenant else batch.bound
    return right(connection, dialect, world, replace(batch, bound=bound), failpoint)


def _lost_scope(patch: MonkeyPatch) -> None:
    """No limit in the transaction and no scope in the statement: the walk is right, the deletion is everybody's."""
    _only_in_the_change(lambda s, truths, bounds: [*truths[1:], *bounds])(patch)
    _carried_out(_unlimited)(patch)


def _lost_predicate(patch: MonkeyPatch) -> None:
    _only_in_the_change(lambda s, truths, bounds: bounds)(patch)
    _carried_out(_unlimited)(patch)


def _blind_allowance(patch: MonkeyPatch) -> None:
    """Neither the executor nor the transaction counts, and the first statement takes all that is old enough."""
    patch.setattr(execute, "_check_counts", lambda run: None)
    patch.setattr(execute, "_allowed", lambda run, step: EVERYTHING)
    _before(lambda s, b, right: right(s, b.model_copy(update={"day": b.day + timedelta(days=30)})))(patch)


def _moved(days: int) -> Callable[[Compiler, Any, Any], Any]:
    return lambda self, before, right: right(self, before.model_copy(update={"day": before.day + timedelta(days=days)}))


def _believing_anything(self: Compiler, before: Any, right: Any) -> Any:
    return right(self, before.model_copy(update={"not_before": date(1900, 1, 1)}))


def _null_is_old(self: Compiler, before: Any, right: Any) -> Any:
    return sa.or_(right(self, before), self.time(before.time)[0].expression.is_(None))


def _inverted(self: Compiler, before: Any, right: Any) -> Any:
    return sa.and_(self.datable(before), sa.not_(right(self, before)))


def _one_floor(self: Compiler, before: Any, right: Any) -> Any:
    return sa.true() if before.time == "closing" else right(self, before)


def _by_text(self: Compiler, column: Typed, tenant: str) -> Any:
    return sa.cast(column.expression, sa.Text()), tenant


def _folded(self: Compiler, column: Typed, tenant: str) -> Any:
    text, name = _by_text(self, column, tenant)
    return sa.func.lower(text) == name.lower()


def _prefixed(self: Compiler, column: Typed, tenant: str) -> Any:
    text, name = _by_text(self, column, tenant)
    return text.like(f"{name}%")


def _others(self: Compiler, column: Typed, tenant: str) -> Any:
    text, name = _by_text(self, column, tenant)
    return text != name


COMPILER_BUGS = (
    Bug("the predicate is inverted", "rule", _before(_inverted), "both"),
    Bug("the cutoff is a day late", "rule", _before(_moved(1)), "more"),
    Bug("the cutoff is a day early", "rule", _before(_moved(-1)), "less"),
    Bug("the cutoff is ignored", "rule", _before(lambda s, b, right: s.datable(b)), "more"),
    Bug("the due condition is dropped", "rule", _before(lambda s, b, right: sa.true()), "more"),
    Bug("times before all records count", "rule", _before(_believing_anything), "more"),
    Bug("no time counts as old", "rule", _before(_null_is_old), "more"),
    Bug("holds are ignored", "rule", _holding(sa.false()), "more"),
    Bug("everything is held", "rule", _holding(sa.true()), "less"),
    Bug("the groups are dropped", "rule", _compiler("scope", _everybody), "more"),
    Bug("every other row is forgotten", "rule", _where(_half), "less"),
    Bug("the tenant is dropped", "leave", _compiler("scope", _everybody), "more"),
    Bug("the tenant is folded to lower case", "leave", _tenant(_folded), "more"),
    Bug("the tenant is a prefix", "leave", _tenant(_prefixed), "more"),
    Bug("everybody but the tenant", "leave", _tenant(_others), "both"),
    Bug("one of two floors is dropped", "leave", _before(_one_floor), "more"),
    Bug("one floor or the other", "leave", _where(_or_for_and), "more"),
    Bug("the dataset's own restriction is dropped", "leave", _compiler("condition", _without_only), "more"),
    Bug("the dataset's own restriction is negated", "leave", _compiler("condition", _negated_only), "both"),
    Bug("the path joins the wrong parent", "leave", _compiler("path", _wrong_parent), "both"),
    Bug(
        "parents of kept rows are not spared",
        "leave",
        _compiler("referenced_by", lambda s, n, stays=None: sa.false()),
        "more",
    ),
)
"""Bugs of the one query builder that counts, walks and deletes."""

EXECUTOR_BUGS = (
    Bug("the statement drops the groups", "rule", _lost_scope, "more"),
    Bug("the statement drops the tenant", "leave", _lost_scope, "more"),
    Bug("the statement deletes by its bounds alone", "rule", _lost_predicate, "more"),
    Bug("the batch is bound to another tenant", "leave", _carried_out(_other_tenant), "both"),
    Bug("nobody counts, and the cutoff is a month late", "rule", _blind_allowance, "more"),
    Bug("the upper bound is exclusive", "rule", _upto_exclusive, "less"),
    Bug("the bounds are swapped", "rule", _swapped, "less"),
    Bug("batches after the first are dropped", "rule", _skipping, "less"),
    Bug("batches after the first are dropped at the end", "leave", _skipping, "less"),
    Bug("the change is rolled back and receipted", "rule", _changed(_undone), "less"),
    Bug("the change is rolled back at the end", "leave", _changed(_undone), "less"),
    Bug("the change is not seen", "rule", _changed(_unnoticed), "lie"),
    Bug("a second statement follows unseen", "rule", _changed(_twice), "lie"),
    Bug(
        "a path's orphans are left",
        "leave",
        lambda patch: patch.setattr(
            select.Selected, "changing", lambda s: [*s.where(), sa.false()] if s.dataset.id == "comments" else s.where()
        ),
        "less",
    ),
)
"""Bugs of the walk, the transaction and what is believed about it."""
