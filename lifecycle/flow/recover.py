"""Closing what a crash left open: every open intent gets its receipt or a void one. Nobody guesses (I16, I18)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from lifecycle.core.errors import LifecycleError, Refused, Transient
from lifecycle.core.events import BatchVoid, Event
from lifecycle.core.job import OpenBatch
from lifecycle.flow import registers, sealed, summaries
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.intents import Intent, receipt_events
from lifecycle.flow.journal import checkpoint, read_job, write
from lifecycle.ports.store import Closing, Receipt, Store


def recover(deployment: Deployment, epoch: int, stores: Collection[str] | None = None) -> int:
    """Close every open intent, of these stores only where they are named, and return how many there were.

    Safe to repeat; safe to be killed at any point. `epoch`: what `State.exclusive` gave. A process that is no longer
    the one writer closes nothing: the open intents may be its successor's (I20).

    Raises:
        Refused: another process has taken over. Transient: a store does not answer, or is not there any more; its
        intents stay open and block their certificates, the other stores' intents are closed first (I27).
    """
    closed, failed = 0, list[LifecycleError]()
    for intent in list(registers.every(deployment.state, "intent", Intent)):
        if stores is not None and intent.store not in stores:
            continue
        batch = read_job(deployment, intent.job).open.get(intent.batch)
        if batch is None:
            continue
        refuse_successor(deployment, epoch)
        try:
            deployment.failpoint("void.before")
            receipt = _store(deployment, intent).void(intent.batch, _closing(deployment, intent, epoch))
            sealed.refuse_unaccounted(intent.listing, receipt)
            deployment.failpoint("void.after")
        except LifecycleError as error:
            failed.append(error)
            continue
        close(deployment, intent, batch, receipt)
        closed += 1
    if closed:
        checkpoint(deployment)
    if failed:
        raise failed[0]
    return closed


def _closing(deployment: Deployment, intent: Intent, epoch: int) -> Closing | None:
    """Return what a store without transactions needs besides the batch's id: the list that the intent holds."""
    if intent.listing is None:
        return None
    return Closing(
        deployment=deployment.id,
        epoch=epoch,
        listed=sealed.opened(deployment, intent.batch, intent.listing),
        sealing_key=deployment.keys.sealing,
        commitment_key=deployment.keys.commitment,
    )


def _store(deployment: Deployment, intent: Intent) -> Store:
    store = deployment.stores.get(intent.store)
    if store is None:
        raise Transient(
            f"store {intent.store} has a batch of unknown outcome and is not among the stores of this deployment",
            advice="Put the store back into the inventory: only its receipt tells what the batch did.",
        )
    return store


def refuse_successor(deployment: Deployment, epoch: int) -> None:
    """Raise Refused when a later process has taken the writer's lock."""
    if int(deployment.state.get("setting", "epoch") or b"0") != epoch:
        raise Refused("another process has taken over", guard="stale-epoch", advice="Let it finish; then run again.")


def close(deployment: Deployment, intent: Intent, batch: OpenBatch, receipt: Receipt) -> None:
    """Copy a receipt, or its absence for ever, into the log, and move the step's cursor with it.

    Where a crash kept listed items from their turn, the cursor stays before them: they are looked at again.
    """
    tenants = deployment.stores[intent.store].breakdown(receipt, deployment.keys.sealing)
    with deployment.state.transaction() as tx:
        for event in _events(deployment, intent, batch, receipt):
            write(deployment, tx, event)
        tx.remove("intent", intent.batch)
        if receipt.state == "done":
            if not receipt.kept or intent.listing is None:
                intent.move_cursor(tx)
            summaries.keep(tx, intent, replace(receipt, by_tenant=tenants))
            intent.keep_list(deployment, tx, receipt)


def _events(deployment: Deployment, intent: Intent, batch: OpenBatch, receipt: Receipt) -> list[Event]:
    if receipt.state == "void":
        return [BatchVoid(job=intent.job, step=intent.step, batch=batch.batch, tenant=intent.tenant)]
    done = read_job(deployment, intent.job).progress(intent.step).done
    return receipt_events(intent, receipt, done)
