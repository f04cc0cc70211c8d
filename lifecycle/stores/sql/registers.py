"""The mirrors of our registers in a target, and the fence that orders them against batches.

Every change takes the fence row first: a batch holds it FOR SHARE, so a hold or a tenant is either there before the
batch looks, or waits until it has ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lifecycle.core.errors import Refused
from lifecycle.ports.store import Fence, HoldRow, Register, TenantRow
from lifecycle.stores.sql import tables
from lifecycle.stores.sql.tables import OurTables

_PART = 500


def _lock(connection: Connection, ours: OurTables) -> Fence:
    fence = tables.read_fence(connection, ours, lock="update")
    if fence is None:
        raise Refused("the target has no fence", guard="not-prepared")
    return fence


def advance_epoch(connection: Connection, ours: OurTables, deployment: str, epoch: int) -> None:
    """Raise the epoch. Refused (guards `not-prepared`, `deployment`, `stale-epoch`)."""
    fence = _lock(connection, ours)
    if fence.deployment != deployment:
        raise Refused("the target belongs to another deployment", guard="deployment")
    if fence.epoch > epoch:
        raise Refused("a later leader has been here", guard="stale-epoch")
    connection.execute(sa.update(ours.fence).where(ours.fence.c.id == 1).values(epoch=epoch))


def set_stop(connection: Connection, ours: OurTables, *, stopped: bool) -> None:
    """Write the stop bit."""
    connection.execute(sa.update(ours.fence).where(ours.fence.c.id == 1).values(stopped=stopped))


def mirrored(connection: Connection, ours: OurTables) -> Register:
    """Return what the mirrors hold."""
    tenants = connection.execute(sa.select(ours.tenant.c.id, ours.tenant.c.grp).order_by(ours.tenant.c.id))
    holds = connection.execute(sa.select(ours.hold.c.hold, ours.hold.c.tenant, ours.hold.c.dataset))
    return Register([TenantRow(row.id, row.grp) for row in tenants], [HoldRow(*row) for row in holds])


def mirror_tenants(connection: Connection, ours: OurTables, rows: Sequence[TenantRow]) -> bool:
    """Make the mirror equal to the rows and tell whether it changed. Refused (`empty-register`) without rows (I5)."""
    if not rows:
        raise Refused("an empty register would make every tenant unknown", guard="empty-register")
    wanted = {row.id: row.group for row in rows}
    if len(wanted) != len(rows) or not all(wanted):
        raise Refused("a tenant is twice in the register, or has no id", guard="register")
    _lock(connection, ours)
    there = {row.id: row.grp for row in connection.execute(sa.select(ours.tenant))}
    mirror = ours.tenant
    gone = [{"was": name} for name in there if name not in wanted]
    moved = [{"was": name, "now": group} for name, group in wanted.items() if there.get(name, group) != group]
    new = [
        {"id": name, "number": tables.as_number(name), "grp": group}
        for name, group in wanted.items()
        if name not in there
    ]
    was = mirror.c.id == sa.bindparam("was")
    _each(connection, sa.delete(mirror).where(was), gone)
    _each(connection, sa.update(mirror).where(was).values(grp=sa.bindparam("now")), moved)
    _each(connection, sa.insert(mirror), new)
    return bool(gone or moved or new)


def mirror_holds(connection: Connection, ours: OurTables, rows: Sequence[HoldRow]) -> tuple[int, bool]:
    """Make the mirror equal to the rows; return the hold version, one higher when anything changed, and whether."""
    if not all(row.tenant for row in rows):
        raise Refused("a hold names a tenant", guard="register")
    fence = _lock(connection, ours)
    mirror = ours.hold
    wanted = {(row.hold, row.tenant, row.dataset) for row in rows}
    there = {(row.hold, row.tenant, row.dataset) for row in connection.execute(sa.select(mirror))}
    if wanted == there:
        return fence.hold_version, False
    same = sa.and_(mirror.c.hold == sa.bindparam("h"), mirror.c.tenant == sa.bindparam("t"))
    gone = [{"h": hold, "t": tenant, "d": dataset} for hold, tenant, dataset in there - wanted]
    named = [values for values in gone if values["d"] is not None]
    every = [{"h": values["h"], "t": values["t"]} for values in gone if values["d"] is None]
    _each(connection, sa.delete(mirror).where(same, mirror.c.dataset == sa.bindparam("d")), named)
    _each(connection, sa.delete(mirror).where(same, mirror.c.dataset.is_(None)), every)
    new = [
        {"hold": hold, "tenant": tenant, "number": tables.as_number(tenant), "dataset": dataset}
        for hold, tenant, dataset in wanted - there
    ]
    _each(connection, sa.insert(mirror), new)
    connection.execute(sa.update(ours.fence).where(ours.fence.c.id == 1).values(hold_version=fence.hold_version + 1))
    return fence.hold_version + 1, True


def _each(connection: Connection, statement: sa.Executable, values: Sequence[Mapping[str, str | int | None]]) -> None:
    for start in range(0, len(values), _PART):
        connection.execute(statement, [dict(value) for value in values[start : start + _PART]])
