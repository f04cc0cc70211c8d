"""`lifecycle store`: our tables in the operator's databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli.page import Page
from lifecycle.cli.parameters import NAME
from lifecycle.cli.session import Session, pass_session, verbs

if TYPE_CHECKING:
    from lifecycle.ports.store import Probe


@verbs("store", example="store list\nstore prepare main --run")
def command() -> None:
    """Show the stores of the inventory, and put our tables into them."""


@command.verb("list", example="store list")
@pass_session
def list_(session: Session) -> None:
    """Show each store's facts, read now."""
    with session.open() as deployment:
        probes = [(name, store.probe()) for name, store in sorted(deployment.stores.items())]
    headers = ("store", "kind", "version", "prepared", "read-only", "clock", "fingerprint")
    rows = [
        (
            name,
            p.kind,
            p.version,
            _yes(p.prepared),
            _yes(p.read_only),
            f"{p.clock:%Y-%m-%d %H:%M:%SZ}",
            p.fingerprint[:19],
        )
        for name, p in probes
    ]
    session.show({"stores": [_document(name, probe) for name, probe in probes]}, Page().table(headers, rows))


@command.verb("prepare", example="store prepare            prints the SQL\nstore prepare --run      runs it")
@click.argument("name", type=NAME, metavar="[STORE]", required=False)
@click.option("--run", is_flag=True, help="Run the statements; without it they are only printed.")
@pass_session
def prepare(session: Session, name: str | None, run: bool) -> None:
    """Print the SQL that creates our tables in a store (or in all), or run it. Repeating is safe."""
    with session.open() as deployment:
        if name is not None and name not in deployment.stores:
            raise click.UsageError("the inventory has no such store; `lifecycle store list` shows them")
        chosen = {key: store for key, store in sorted(deployment.stores.items()) if name in {None, key}}
        statements = {key: store.prepare_statements(deployment.id) for key, store in chosen.items()}
        for store in chosen.values() if run else ():
            store.prepare(deployment.id)
    page = Page()
    for key, lines in statements.items():
        if run:
            page.line(f"{key}: prepared for the deployment {deployment.id}.", "good")
        else:
            sql = [part for line in lines for part in f"{line};".expandtabs(2).split("\n")]
            page.line(f"-- store {key}", "dim").lines(sql)
    stores = [{"store": key, "statements": lines, "run": run} for key, lines in statements.items()]
    session.show({"stores": stores}, page)


def _document(name: str, probe: Probe) -> dict[str, Any]:
    return {
        "store": name,
        "kind": probe.kind,
        "version": probe.version,
        "prepared": probe.prepared,
        "read_only": probe.read_only,
        "clock": probe.clock.isoformat(),
        "fingerprint": probe.fingerprint,
        "facts": dict(probe.facts),
    }


def _yes(value: bool) -> str:
    return "yes" if value else "no"
