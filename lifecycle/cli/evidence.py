"""`lifecycle evidence`: the log, its checkpoints, and the trust file for those who check us."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lifecycle.cli.page import Page
from lifecycle.cli.parameters import FILE, NAME, TENANT
from lifecycle.cli.session import Session, pass_session, verbs

SHOWN = 50
DIGITS = 20
"""So much of a digest or signature is shown; JSON has all of it."""


@verbs("evidence", example="evidence trust\nevidence log --last 20\nevidence verify-log")
def command() -> None:
    """Show and check the deployment's log, and write the trust file."""


@command.verb("trust", example="evidence trust -o trust.yaml")
@click.option(
    "-o", "--output", type=FILE, metavar="FILE", help="Where to write it. [default: trust.yaml of the deployment]"
)
@pass_session
def trust(session: Session, output: Path | None) -> None:
    """Write the trust file: keys and anchors, to be handed out by another way than the certificates."""
    import json

    from lifecycle.flow.trust import trust_document
    from lifecycle.wiring.outside import replace

    file = output or session.path / "trust.yaml"
    with session.open(stores=False) as deployment:
        content = trust_document(deployment)
    replace(file, content, mode=0o644)
    anchors = [anchor["size"] for anchor in json.loads(content)["anchors"]]
    page = Page().line(f"{file}: the log at {', '.join(map(str, anchors))} entries", "good")
    session.show(
        {"file": str(file), "anchors": anchors}, page.line("Hand it to controllers by another way than bundles.")
    )


@command.verb("checkpoint", example="evidence checkpoint")
@pass_session
def checkpoint(session: Session) -> None:
    """Sign the log's present state and show the note; its copy outside the database is renewed."""
    from lifecycle.flow.journal import checkpoint

    with session.open(stores=False) as deployment:
        note = checkpoint(deployment)
        size, key = deployment.state.size(), deployment.log_key.text
    session.show({"size": size, "checkpoint": note, "log_key": key}, Page().lines(note.rstrip("\n").split("\n")))


@command.verb("log", example="evidence log --last 20\nevidence log --tenant acme")
@click.option("--tenant", type=TENANT, help="Entries of this tenant only.")
@click.option("--job", type=NAME, help="Entries of this job only.")
@click.option("--last", type=click.IntRange(min=1), default=SHOWN, show_default=True, help="How many, from the end.")
@pass_session
def log(session: Session, tenant: str | None, job: str | None, last: int) -> None:
    """Show entries of the log; they hold aliases and counts, never values."""
    from collections import deque

    from lifecycle.flow import offboard
    from lifecycle.flow.journal import decoded

    if tenant and job:
        raise click.UsageError("name a tenant or a job, not both")
    with session.open(stores=False) as deployment:
        state = deployment.state
        if tenant:
            found = state.of_tenant(deployment.alias(offboard.find(deployment, tenant).id))
        else:
            found = state.of_job(job) if job else state.entries(max(0, state.size() - last))
        entries = list(deque(decoded(found), maxlen=last))
    page = Page().table(("entry", "at", "type", "tenant", "what"), [_row(index, entry) for index, entry in entries])
    session.show({"entries": [{"index": index, **entry} for index, entry in entries]}, page)


@command.verb("verify-log", example="evidence verify-log")
@pass_session
def verify_log(session: Session) -> None:
    """Compute the whole tree again from the entries and compare it with the checkpoint outside the database."""
    from lifecycle.core.errors import Corrupt
    from lifecycle.evidence import merkle
    from lifecycle.flow.journal import check_history, decoded

    with session.open(stores=False) as deployment:
        state, note = deployment.state, deployment.outside.read()
        size = state.size()
        root = merkle.root_of(merkle.leaf_hash(body) for _, body in state.entries(0, size))
        readable = sum(1 for _ in decoded(state.entries(0, size)))
        if note is None or root != state.root(size) or readable != size:
            raise Corrupt("the log's entries do not give its root")
        known = check_history(deployment, note)
    page = Page().line(f"{size} entries give the root; the outside checkpoint of {known.size} is part of them.", "good")
    session.show({"valid": True, "size": size, "root": root.hex(), "checkpoint_size": known.size}, page)


def _row(index: int, entry: dict[str, Any]) -> tuple[object, ...]:
    frame = {"v", "seq", "prev", "at", "type", "tenant"}
    shown = {name: value[:DIGITS] + "…" if _long(value) else value for name, value in entry.items()}
    what = ", ".join(
        f"{k}={v}" for k, v in shown.items() if k not in frame and isinstance(v, str | int) and v is not None
    )
    return index, entry["at"], entry["type"], entry["tenant"], what


def _long(value: object) -> bool:
    return isinstance(value, str) and len(value) > 2 * DIGITS
