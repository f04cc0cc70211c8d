"""Writing and reading the log: events in, entries out, checkpoints after each run, and the check at the start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lifecycle.core.errors import Corrupt
from lifecycle.core.events import (
    DeploymentCreated,
    DocumentsAccepted,
    Event,
    OperatorAdded,
    OperatorRemoved,
    RunSummary,
    fields_of,
)
from lifecycle.core.guard import EARLIEST
from lifecycle.core.job import Job, fold
from lifecycle.evidence import merkle
from lifecycle.evidence.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from lifecycle.evidence.entry import decode_entry
from lifecycle.evidence.errors import EvidenceError
from lifecycle.flow.deployment import Deployment, instant
from lifecycle.ports.state import Transaction

_TAIL = (
    "Change nothing yet. After a restore of our own state: the backup is older than the checkpoint; restore one that "
    "holds {size} entries or more, or the database's own copy up to its end. What is left when there is none stands in "
    "docs/operations/restore.md. If nobody restored it, somebody cut the log: keep state and checkpoint, find out who."
)


def write(deployment: Deployment, tx: Transaction, event: Event) -> int:
    """Append an event within a transaction and return its index; durable once the transaction ends.

    It is dated by our clock; one that is lost and shows 1970 must not keep a refusal, or a stop, out of the log.
    """
    return tx.append({**fields_of(event), "at": instant(max(deployment.clock.now(), EARLIEST))})


def record(deployment: Deployment, *events: Event) -> list[int]:
    """Append events in a transaction of their own; durable on return."""
    with deployment.state.transaction() as tx:
        return [write(deployment, tx, event) for event in events]


def read_job(deployment: Deployment, job: str) -> Job:
    """Fold what the log knows of one job."""
    return fold(job, decoded(deployment.state.of_job(job, without=RunSummary.type)))


def decoded(entries: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Decode entries. Raises Corrupt on one that is not what was written."""
    for index, body in entries:
        try:
            yield index, decode_entry(body)
        except EvidenceError as error:
            msg = f"log entry {index} cannot be read: {error}"
            raise Corrupt(msg) from None


def checkpoint(deployment: Deployment) -> str:
    """Sign the log's present state, keep the note inside and outside the database, and return it."""
    size = deployment.state.size()
    note = sign_checkpoint(Checkpoint(deployment.origin, size, deployment.state.root(size)), deployment.keys.log)
    with deployment.state.transaction() as tx:
        tx.put("checkpoint", "last", note.encode())
    deployment.outside.write(note)
    return note


def open_log(deployment: Deployment) -> None:
    """Check our history against the checkpoint kept outside, and begin the log of a new deployment.

    Raises:
        Corrupt: the log is shorter than the outside checkpoint or another history; nothing may run.
    """
    note = deployment.outside.read()
    size = deployment.state.size()
    if note is None and size:
        raise Corrupt(
            "the log has entries, but the checkpoint outside the database is missing",
            advice="Put the checkpoint file back from its copy; without it a rewritten history cannot be told apart.",
        )
    if note is not None:
        check_history(deployment, note)
    if size == 0:
        # Of the empty log first: a start that is killed between the first entry and its checkpoint can be repeated.
        checkpoint(deployment)
        created = DeploymentCreated(deployment=deployment.id, tool_version=deployment.tool_version)
        with deployment.state.transaction() as tx:
            # Again while nobody else can write: replicas may all be started at once.
            if deployment.state.size() == 0:
                write(deployment, tx, created)
        checkpoint(deployment)


def check_history(deployment: Deployment, note: str) -> Checkpoint:
    """Raise Corrupt unless the log still contains the history of this signed checkpoint."""
    try:
        known = open_checkpoint(note, [deployment.log_key])
    except EvidenceError as error:
        msg = f"the checkpoint outside the database does not hold: {error}"
        raise Corrupt(msg) from None
    size = deployment.state.size()
    if size < known.size:
        msg = f"the log has {size} entries, its checkpoint outside the database {known.size}: the tail is missing"
        raise Corrupt(msg, advice=_TAIL.format(size=known.size))
    proof = merkle.consistency_proof(known.size, size, deployment.state.node)
    root = deployment.state.root(size)
    if not merkle.verify_consistency(known.size, known.root, size, root, proof):
        msg = "the log is not a continuation of its checkpoint outside the database"
        raise Corrupt(msg)
    return known


def accept_operators(deployment: Deployment) -> None:
    """Log every operator's key that was added to or removed from the operators file since the last look."""
    known = {name: body.decode() for name, body in deployment.state.items("operator")}
    current = {o.id: o.public_key for o in deployment.operators.operators if o.removed_on is None}
    changes: list[Event] = [
        OperatorRemoved(operator=name, public_key=key) for name, key in known.items() if current.get(name) != key
    ]
    changes += [OperatorAdded(operator=name, public_key=key) for name, key in current.items() if known.get(name) != key]
    if not changes:
        return
    with deployment.state.transaction() as tx:
        for name in known.keys() - current.keys():
            tx.remove("operator", name)
        for name, key in current.items():
            tx.put("operator", name, key.encode())
        for change in changes:
            write(deployment, tx, change)
    checkpoint(deployment)


def accept_documents(deployment: Deployment) -> None:
    """Log the documents in force when they differ from the last accepted ones; their bytes are kept by hash."""
    last = deployment.state.get("setting", "policy")
    if last == deployment.policy.digest.encode():
        return
    with deployment.state.transaction() as tx:
        write(
            deployment,
            tx,
            DocumentsAccepted(policy_hash=deployment.policy.digest, documents=deployment.documents),
        )
        for digest, body in deployment.exact.items():
            tx.put("document", digest, body)
        tx.put("setting", "policy", deployment.policy.digest.encode())
