"""Intents at rest: which batch of which step is about to change a store, and where the step's walk stands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lifecycle.core.events import BatchReceipt, Event
from lifecycle.core.value import Alias, Identifier, Value
from lifecycle.evidence import canonical
from lifecycle.flow import sealed
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.sealed import Listing
from lifecycle.ports.state import State, Transaction
from lifecycle.ports.store import Json, Receipt


class Intent(Value):
    """An announced batch with its bounds; removed once the log has its receipt. `planned`: the step's frozen count.

    `listing`: what it may touch, in a store without transactions.
    """

    batch: Identifier
    job: Identifier
    step: Identifier
    store: Identifier
    tenant: Alias | None
    number: int
    limit: int
    planned: int
    walk: int
    after: Any
    upto: Any
    listing: Listing | None = None

    def move_cursor(self, tx: Transaction) -> None:
        """Put the step's cursor behind this batch."""
        tx.put("job", cursor_name(self.job, self.step), canonical.encode({"walk": self.walk, "after": self.upto}))

    def keep_list(self, deployment: Deployment, tx: Transaction, receipt: Receipt) -> None:
        """Keep the sealed list of what went, where no table of the store keeps it."""
        if self.listing is not None:
            sealed.keep(deployment, tx, (self.batch, self.job, self.step, self.store), receipt)


def cursor_name(job: str, step: str) -> str:
    """Return the register name of a step's cursor."""
    return f"{job}/{step}"


def cursor(state: State, job: str, step: str) -> tuple[int, Json]:
    """Return (walk, after): which pass over the dataset it is, counted from 0, and where it stands."""
    body = state.get("job", cursor_name(job, step))
    if body is None:
        return 0, None
    found: Mapping[str, Any] = json.loads(body)
    return int(found["walk"]), found["after"]


def receipt_events(intent: Intent, receipt: Receipt, done_before: int) -> list[Event]:
    """Return the log's form of a receipt; what exceeds the planned count was inserted since, and is late."""
    late = max(0, done_before + receipt.deleted - intent.planned) - max(0, done_before - intent.planned)
    return [
        BatchReceipt(
            job=intent.job,
            step=intent.step,
            batch=intent.batch,
            deleted=receipt.deleted,
            kept=sum(receipt.kept.values()),
            late=late,
            digest=receipt.digest or "",
            tenant=intent.tenant,
        )
    ]
