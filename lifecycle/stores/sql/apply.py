"""The one place that changes data: a batch, in one transaction, receipt first (architecture.md, "How a batch …").

Whatever goes wrong before COMMIT is rolled back and the connection is discarded; nothing is tried again in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lifecycle.core.errors import Refused, Transient
from lifecycle.core.plan import Anonymise, Delete, Detach
from lifecycle.core.selection import GroupScope, TenantScope
from lifecycle.ports.failpoint import Failpoint
from lifecycle.ports.store import Batch, Receipt
from lifecycle.stores.sql import anonymising, contested, links, members, tables
from lifecycle.stores.sql.catalogue import Shape, World, word_of
from lifecycle.stores.sql.dialects import RENEWED, Changed, Dialect, Truth, Typed
from lifecycle.stores.sql.keys import close_keys, frame
from lifecycle.stores.sql.select import Selected, cascades
from lifecycle.stores.sql.walk import bounds, nearer, read_cursor


class SchemaMoved(Exception):
    """The table's definition is not the one that was read: the caller reads it again and compares."""


class AlreadyThere(Exception):
    """The batch's receipt exists: this is a second delivery, and nothing is changed."""


def carry_out(connection: Connection, dialect: Dialect, world: World, batch: Batch, failpoint: Failpoint) -> Receipt:
    """Do everything but COMMIT.

    Raises AlreadyThere, SchemaMoved, Refused or the driver's error; the caller rolls back.
    """
    if world.family(batch.bound.selection.dataset) is not None:
        world, begin, end = members.narrowed(world, batch.bound, batch.after, batch.upto)
        batch = replace(batch, after=begin, upto=end)
    after = None if batch.after is None else read_cursor(batch.after)
    selected = Selected(dialect, world, nearer(world, batch.bound, after))
    truths = _truths(dialect, selected, batch)
    dialect.begin(connection, lock_timeout_ms=batch.lock_timeout_ms, statement_timeout_ms=batch.statement_timeout_ms)
    mark = world.stamp(selected.shape.table)
    if dialect.keep_schema(connection, selected.shape.table) != mark:
        raise SchemaMoved
    failpoint("batch.begun")
    _check_fence(connection, dialect, batch)
    failpoint("batch.fenced")
    _open_receipt(connection, dialect, batch)
    failpoint("batch.receipt-open")
    _know_tenant(connection, dialect, batch)
    _lock_path(connection, dialect, world, batch)
    taken = _cascades(connection, dialect, world, selected, truths, batch)
    known = links.check_released(connection, dialect, selected, truths, batch)
    before = anonymising.standing(connection, selected, _range(dialect, selected, batch), batch)
    changed = _change(connection, dialect, selected, truths, batch)
    if changed.count > (batch.remaining if known is None else min(known, batch.remaining)):
        raise Refused("more items match than the plan has left", guard="limit")
    if not dialect.schema_kept(connection, selected.shape.table, mark):
        raise SchemaMoved
    anonymising.prove(connection, selected, truths, _range(dialect, selected, batch), batch, before)
    failpoint("batch.changed")
    receipt = _close_receipt(connection, dialect, batch, (selected.shape, changed), taken)
    failpoint("batch.receipt-sealed")
    return receipt


def _truths(dialect: Dialect, selected: Selected, batch: Batch) -> list[Truth]:
    if batch.upto is None:
        raise Refused("a batch without an upper bound is not a batch", guard="bounds")
    if batch.remaining < 0:
        raise Refused("the plan has less than nothing left", guard="limit")
    after = None if batch.after is None else read_cursor(batch.after)
    upto = read_cursor(batch.upto)
    if not upto.at:
        raise Refused("a batch without an upper bound is not a batch", guard="bounds")
    return [*selected.changing(), *bounds(dialect, selected, after, upto)]


def _check_fence(connection: Connection, dialect: Dialect, batch: Batch) -> None:
    fence = tables.read_fence(connection, dialect.ours, lock="share")
    if fence is None:
        raise Refused("the target has no fence", guard="not-prepared")
    if fence.deployment != batch.deployment:
        raise Refused("the target belongs to another deployment", guard="deployment")
    if fence.stopped:
        raise Refused("the target is stopped", guard="stopped")
    if fence.epoch != batch.epoch:
        raise Refused("another leader has taken over, or this one was never announced here", guard="stale-epoch")
    if fence.hold_version != batch.hold_version:
        raise Refused("holds have changed since the batch was made", guard="holds-changed")


def _open_receipt(connection: Connection, dialect: Dialect, batch: Batch) -> None:
    if not tables.insert_receipt(connection, dialect.ours, batch.id, "open"):
        raise AlreadyThere


def _know_tenant(connection: Connection, dialect: Dialect, batch: Batch) -> None:
    """A tenant that the register does not know is unattributed: its rows are nobody's to delete."""
    if not isinstance(batch.bound.selection.scope, TenantScope):
        return
    mirror = dialect.ours.tenant
    known = sa.select(sa.func.count()).select_from(mirror).where(mirror.c.id == batch.bound.tenant)
    if connection.execute(known).scalar_one() != 1:
        raise Refused("the tenant is not in the mirror of the register", guard="unknown-tenant")


def _lock_path(connection: Connection, dialect: Dialect, world: World, batch: Batch) -> None:
    selected = Selected(dialect, world, batch.bound, alias="candidate")
    if not selected.dataset.tenant.path:
        return
    sources, joins, last = selected.compiler.path()
    due = [selected.compiler.before(before) for before in batch.bound.selection.due]
    tenant = selected.compiler.of_scope(batch.bound, last)
    near = [joins[0], *due, *_range(dialect, selected, batch)]
    # The first join ties the path to the candidate rows; the others tie its tables together.
    hangs = sa.exists(sa.select(sa.literal(1)).select_from(selected.source).where(*near).correlate(*sources))
    dialect.lock_parents(connection, sa.select(sa.literal(1)).select_from(*sources).where(*joins[1:], tenant, hangs))


def _range(dialect: Dialect, selected: Selected, batch: Batch) -> list[Truth]:
    after = None if batch.after is None else read_cursor(batch.after)
    return bounds(dialect, selected, after, read_cursor(batch.upto))


def _cascades(
    connection: Connection, dialect: Dialect, world: World, selected: Selected, truths: list[Truth], batch: Batch
) -> Mapping[str, int]:
    if not isinstance(batch.action, Delete) or not selected.dataset.cascades:
        return {}
    # Nobody may hang a new row onto these any more: it would go with them, whosever it is and whether due or not.
    dialect.lock_rows(connection, sa.select(sa.literal(1)).select_from(selected.source).where(*truths))
    parent = Selected(dialect, world, batch.bound, alias="parent")
    taken = cascades(connection, world, parent, [*parent.changing(), *_range(dialect, parent, batch)])
    if any(taken.values()) and contested.taken(connection, dialect, world, selected, truths):
        raise Refused("rows of another tenant would go with rows of this one", guard="contested")
    return taken


def _change(connection: Connection, dialect: Dialect, selected: Selected, truths: list[Truth], batch: Batch) -> Changed:
    if not truths:
        raise Refused("a change without a predicate is none of ours", guard="predicate")
    tenant: Typed | None = None
    if isinstance(batch.bound.selection.scope, GroupScope) and selected.shape.tenant is None:
        tenant = selected.compiler.tenant()
    match batch.action:
        case Delete():
            statement: sa.Delete | sa.Update = sa.delete(selected.table).where(*truths)
        case Detach():
            names = batch.action.columns
            if not set(names) <= set(selected.dataset.detach):
                raise Refused("only columns that the inventory declares are detached", guard="detach")
            for name in names:
                word_of(selected.shape.table, name)
            attached = sa.or_(*(selected.table.c[name].is_not(None) for name in names))
            # A time that renews itself would make the row young again: it is written back as it is.
            kept = {c.name: selected.table.c[c.name] for c in selected.shape.table.columns if c.type.endswith(RENEWED)}
            values = {**kept, **dict.fromkeys(names, sa.null())}
            statement = sa.update(selected.table).values(values).where(*truths, attached)
        case Anonymise():
            statement = anonymising.statement(dialect, selected, batch.action, truths)
        case _:
            assert_never(batch.action)
    return dialect.change(connection, statement, selected.keys(), tenant)


def _close_receipt(
    connection: Connection, dialect: Dialect, batch: Batch, done: tuple[Shape, Changed], taken: Mapping[str, int]
) -> Receipt:
    shape, changed = done
    tenants = changed.tenants
    if changed.count and (shape.tenant is not None or isinstance(batch.bound.selection.scope, TenantScope)):
        tenants = {shape.tenant or batch.bound.tenant or "": changed.count}
    member = None if shape.tenant is None else (shape.table.schema, shape.table.name)
    plaintext = frame(dialect.name, Changed(changed.count, changed.keys, tenants), member)
    sealed, digest = close_keys(plaintext, batch.sealing_key, batch.commitment_key, batch.id)
    receipt = dialect.ours.receipt
    update = (
        sa.update(receipt)
        .where(receipt.c.batch_id == batch.id, receipt.c.state == "open")
        .values(
            state="done",
            deleted=changed.count,
            cascaded=json.dumps(dict(taken), sort_keys=True),
            digest=digest,
            sealed=sealed,
        )
    )
    if connection.execute(update).rowcount != 1:
        raise Transient("the receipt of this batch is gone from its own transaction")
    return Receipt(
        batch.id, "done", changed.count, digest=digest, sealed=sealed, by_tenant=tenants, cascaded=dict(taken)
    )
