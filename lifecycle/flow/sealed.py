"""Lists of stores without transactions: what a batch is going to touch, and what it took, sealed in our own state.

Such a store has no table beside its data that changes with them. So what a batch may touch, item by item, is durable
with its intent, and what it took is kept here, in the transaction that logs its receipt (I16). Each list opens with the
sealing key, for its own batch and purpose only.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, date, timedelta

from lifecycle.core.errors import Corrupt, Unknown
from lifecycle.core.value import Identifier, Line, Value
from lifecycle.evidence.errors import SealBroken
from lifecycle.evidence.seal import open_sealed, seal
from lifecycle.flow import registers
from lifecycle.flow.deployment import Deployment
from lifecycle.ports.state import Transaction
from lifecycle.ports.store import Receipt

KEEP_DAYS = 1_461
"""How long the lists are kept: three years from a year's end (§§ 195, 199 BGB), so at most four of them."""


class Listing(Value):
    """The items that a batch may touch: how many, and the store's own list of them, sealed (base64)."""

    items: int
    sealed: str


class Taken(Value):
    """What a batch took: the store's sealed list of it (base64), and how many items it kept for which reason."""

    day: date
    batch: Identifier
    job: Identifier
    step: Identifier
    store: Identifier
    deleted: int
    kept: dict[str, int]
    digest: Line | None
    sealed: str

    def body(self) -> bytes:
        """Return the sealed list; it opens under the sealing key with the batch's id."""
        return base64.b64decode(self.sealed)


def listing(deployment: Deployment, batch: str, listed: bytes, items: int) -> Listing:
    """Seal what a batch is going to touch."""
    sealed = seal(deployment.keys.sealing, listed, _planned(batch))
    return Listing(items=items, sealed=base64.b64encode(sealed).decode())


def opened(deployment: Deployment, batch: str, planned: Listing) -> bytes:
    """Open what a batch was going to touch. Raises Corrupt when the deployment's key does not open it."""
    try:
        return open_sealed(deployment.keys.sealing, base64.b64decode(planned.sealed), _planned(batch))
    except SealBroken as error:
        raise Corrupt(f"the list of a batch that is open cannot be read: {error}") from None


def _planned(batch: str) -> bytes:
    # Another purpose than the list of what went: one can never be shown in place of the other.
    return f"planned/{batch}".encode()


def refuse_unaccounted(planned: Listing | None, receipt: Receipt) -> None:
    """Raise Unknown unless the answer says of every listed item what became of it (I18)."""
    if planned is None or receipt.state == "void":
        return
    told = receipt.deleted + sum(receipt.kept.values())
    if told != planned.items:
        raise Unknown(f"a batch listed {planned.items} items, and its answer tells of {told}")


def keep(deployment: Deployment, tx: Transaction, batch: tuple[str, str, str, str], receipt: Receipt) -> None:
    """Keep what a batch (its id, job, step and store) took, in the transaction that logs its receipt."""
    if receipt.state == "void" or receipt.sealed is None:
        return
    name, job, step, store = batch
    taken = Taken(
        day=deployment.clock.now().astimezone(UTC).date(),
        batch=name,
        job=job,
        step=step,
        store=store,
        deleted=receipt.deleted,
        kept=dict(receipt.kept),
        digest=receipt.digest,
        sealed=base64.b64encode(receipt.sealed).decode(),
    )
    registers.put(tx, "sealed", f"{taken.day.isoformat()}/{name}", taken)


def every(deployment: Deployment) -> Iterator[Taken]:
    """Yield every list that is still kept, oldest first."""
    return registers.every(deployment.state, "sealed", Taken)


def forget(deployment: Deployment, tx: Transaction) -> None:
    """Remove the lists whose dispute window has passed."""
    first_kept = (deployment.clock.now().astimezone(UTC).date() - timedelta(days=KEEP_DAYS)).isoformat()
    for name, _ in deployment.state.items("sealed"):
        if name >= first_kept:
            return
        tx.remove("sealed", name)
