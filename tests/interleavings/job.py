"""A job as the executor runs one: bound to a schema, batch by batch, looking anew at holds that changed."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from lifecycle.core.errors import Refused, Transient
from lifecycle.core.plan import Delete
from lifecycle.ports.store import Batch, Json
from tests.interleavings.arena import DEPLOYMENT, selection

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.stores.sql import SqlStore

SIZE, TRIES = 10, 50


def run(store: SqlStore, dataset: str, planned: str, name: str, step: Callable[[str], None]) -> str:
    """Carry the job out and say how it ended: `done`, or the guard that refused it."""
    step("binding")
    if store.used_schema([dataset]) != planned:
        return "schema-binding"
    bound, after, tries = selection(dataset), None, 0
    version = store.fence().hold_version
    for number in count():
        step("before-cut")
        try:
            piece = store.cut(bound, after, SIZE)
        except Refused as refusal:
            return refusal.guard
        if piece is None:
            return "done"
        step("cut")
        try:
            store.apply(_batch(f"{name}-{number}", bound, (piece.after, piece.upto), version))
        except (Refused, Transient) as problem:
            tries += 1
            if tries > TRIES:
                raise
            if isinstance(problem, Refused) and problem.guard not in {"holds-changed", "constraint"}:
                return problem.guard
            version = store.fence().hold_version
            continue
        after = piece.upto
    return "never"


def _batch(id: str, bound: object, piece: tuple[Json, Json], version: int) -> Batch:
    return Batch(
        id=id,
        job="j-1",
        step="s001",
        action=Delete(),
        bound=bound,
        after=piece[0],
        upto=piece[1],
        remaining=1_000,
        epoch=1,
        hold_version=version,
        deployment=DEPLOYMENT,
        sealing_key=bytes(32),
        commitment_key=bytes(range(32)),
    )
