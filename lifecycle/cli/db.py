"""`lifecycle db`: the schema of our own state, its backup and restore, and whether it is whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lifecycle.cli.page import Page
from lifecycle.cli.parameters import FILE
from lifecycle.cli.session import Session, pass_session, verbs

if TYPE_CHECKING:
    from lifecycle.flow.deployment import Deployment
    from lifecycle.state import SqlState

PAGE = 500
BEHIND = "Restore a newer backup; what is still missing then is named by `lifecycle db check`."


@verbs("db", example="db backup /var/backups/lifecycle-2026-11-22\ndb check\ndb upgrade")
def command() -> None:
    """Back up, restore, check and upgrade the deployment's own state."""


@command.verb("current", example="db current")
@pass_session
def current(session: Session) -> None:
    """Show which schema the state has."""
    from lifecycle.state import current as revision

    found = revision(_url(session))
    session.show({"revision": found}, Page().line(found or "there is no state yet"))


@command.verb("upgrade", example="db upgrade")
@pass_session
def upgrade(session: Session) -> None:
    """Bring the state to this version's schema; back it up before. Repeating is safe, replicas may run meanwhile."""
    from lifecycle.state import upgrade as migrate

    revision = migrate(_url(session))
    session.show({"revision": revision}, Page().line(f"The state has schema {revision}.", "good"))


@command.verb("backup", example="db backup /var/backups/lifecycle-2026-11-22")
@click.argument("file", type=FILE, metavar="FILE")
@pass_session
def backup(session: Session, file: Path) -> None:
    """Write the whole state into a new file, checked, while everything goes on; it fits SQLite and PostgreSQL.

    Keep the folders of keys and documents and the checkpoint with it: without the keys it cannot be used.
    """
    from lifecycle.state import dump

    # Opening compares the log with the checkpoint outside: a state that lost its end is not worth keeping.
    with session.open(stores=False), _state(session) as state:
        done = dump.backup(state, file)
    page = Page().line(f"{file}: {done.size} entries and {done.records} registers, read back and whole.", "good")
    page.line("It names tenants: keep it as private as the state, and no longer than your backups may live.")
    session.show({"file": str(file), "size": done.size, "root": done.root.hex(), "records": done.records}, page)


@command.verb("restore", example="db restore /var/backups/lifecycle-2026-11-22")
@click.argument("file", type=FILE, metavar="FILE")
@pass_session
def restore(session: Session, file: Path) -> None:
    """Fill an empty state from a backup: all of it or nothing. Then `lifecycle db check`, before anything runs."""
    from lifecycle.state import dump

    with _state(session, create=True) as state:
        done = dump.restore(state, file)
    page = Page().line(f"Restored {done.size} entries and {done.records} registers.", "good")
    page.line("Before anything runs: lifecycle db check --raise-epoch")
    session.show({"size": done.size, "root": done.root.hex(), "records": done.records, "epoch": done.epoch}, page)


@command.verb("check", example="db check\ndb check --raise-epoch     after a restore")
@click.option(
    "--raise-epoch", is_flag=True, help="Let the next run's epoch be higher than every store's: only after a restore."
)
@pass_session
def check(session: Session, raise_epoch: bool) -> None:
    """Read the whole state and compare it with itself, its checkpoint outside, and the stores' fences and receipts."""
    from lifecycle.flow.journal import check_history
    from lifecycle.state.check import check as whole

    with session.open() as deployment, _state(session) as state:
        fences = [_fence(deployment, name) for name in sorted(deployment.stores)]
        for fence in fences:
            # The last checkpoint that acknowledged receipts there: a state restored with its own copy still lacks it.
            if fence.checkpoint is not None:
                check_history(deployment, fence.checkpoint)
        with state.snapshot() as reader:
            found = whole(reader, [receipt for fence in fences for receipt in fence.receipts])
        for fence in fences:
            _refuse_lost(fence, found.missing)
        highest = max((fence.epoch for fence in fences), default=0)
        epoch = deployment.state.raise_epoch(highest) if raise_epoch else _epoch(state)
    _refuse_behind(epoch, highest)
    page = Page().line(f"{found.size} entries and {found.records} registers are whole; the epoch is {epoch}.", "good")
    page.table(("store", "epoch", "receipts"), [(f.store, f.epoch, len(f.receipts)) for f in fences], empty="no stores")
    stores = [{"store": f.store, "epoch": f.epoch, "receipts": len(f.receipts)} for f in fences]
    document = {"size": found.size, "root": found.root.hex(), "records": found.records, "epoch": epoch}
    session.show({**document, "stores": stores}, page)


@dataclass(frozen=True, slots=True)
class _Fence:
    """What a target knows of us: the last writer's epoch, our last checkpoint, and the receipts after it."""

    store: str
    epoch: int
    checkpoint: str | None
    receipts: tuple[str, ...]


def _fence(deployment: Deployment, name: str) -> _Fence:
    store = deployment.stores[name]
    if not store.probe().prepared:
        return _Fence(name, 0, None, ())
    receipts: list[str] = []
    while page := store.receipts(receipts[-1] if receipts else None, PAGE):
        receipts += [receipt.batch for receipt in page]
    fence = store.fence()
    return _Fence(name, fence.epoch, fence.checkpoint, tuple(receipts))


def _refuse_lost(fence: _Fence, missing: frozenset[str]) -> None:
    from lifecycle.core.errors import Corrupt

    if lost := missing.intersection(fence.receipts):
        what = f"store {fence.store} has {len(lost)} receipt(s) of batches that the log does not know"
        raise Corrupt(f"{what}: the state is older than its stores", advice=BEHIND)


def _refuse_behind(epoch: int, highest: int) -> None:
    from lifecycle.core.errors import Refused

    if epoch < highest:
        raise Refused(
            f"a store has seen epoch {highest}, the state only {epoch}: every run would be taken for a stale one",
            guard="stale-epoch",
            advice="After a restore, with every replica stopped: lifecycle db check --raise-epoch",
        )


def _epoch(state: SqlState) -> int:
    return int(state.get("setting", "epoch") or b"0")


@contextmanager
def _state(session: Session, *, create: bool = False) -> Iterator[SqlState]:
    from lifecycle.state import open_state

    state = open_state(_url(session), create=create)
    try:
        yield state
    finally:
        state.close()


def _url(session: Session) -> str:
    from lifecycle.wiring.deployment import read_settings, state_url

    return state_url(read_settings(session.path), session.path)
