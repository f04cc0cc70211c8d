"""From an address on the command line to a draft inventory: opens the store for reading, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from lifecycle.core.agreement import Agreement
from lifecycle.core.drafting import Candidate, Draft
from lifecycle.core.errors import InvalidDocument
from lifecycle.core.inventory import Secret
from lifecycle.documents import load
from lifecycle.documents.drafts import write_draft
from lifecycle.flow import drafting
from lifecycle.ports.reach import Survey
from lifecycle.stores.sql.reach import survey
from lifecycle.wiring import secrets
from lifecycle.wiring.creation import example_policies
from lifecycle.wiring.deployment import read_settings
from lifecycle.wiring.outside import replace

STORE = "main"
_REFERENCE = re.compile(r"(env|file|credential):(.+)")
_ELSEWHERE = "Put the address into a variable or a file of mode 0600 and write --from env:NAME or file:PATH."


@dataclass(frozen=True, slots=True)
class Source:
    """Where a store's address is read from. `plain`: an address without a secret, to be kept in that file."""

    secret: Secret
    url: str = field(repr=False)
    plain: bool


def source_of(text: str, folder: Path) -> Source:
    """Read `env:NAME`, `file:PATH`, `credential:NAME`, or an address that holds no password.

    Raises:
        InvalidDocument: no address, or one with a password: a command line is no place for it.
    """
    if (match := _REFERENCE.fullmatch(text)) is not None:
        kind, name = match.groups()
        try:
            secret = Secret.model_validate({kind: str(Path(name).resolve()) if kind == "file" else name})
        except ValueError:
            msg = f"--from {kind}: is no name of that kind"
            raise InvalidDocument(msg, advice=_ELSEWHERE) from None
        return Source(secret, secrets.read(secret, folder, "--from"), plain=False)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise InvalidDocument("--from is no database address", advice=_ELSEWHERE) from None
    if url.password or any("pass" in name.lower() for name in url.query):
        raise InvalidDocument("--from holds a password, which every process list shows", advice=_ELSEWHERE)
    if url.get_backend_name() == "sqlite" and url.database:
        path = Path(url.database).resolve()
        if not path.is_file():
            raise InvalidDocument("--from names a file that is not there", advice="Nothing was made. Check the path.")
        url = url.set(database=str(path))
    return Source(Secret(file=f"{STORE}.address"), url.render_as_string(hide_password=False), plain=True)


def draft_of(source: Source, tenant: str | None, today: date) -> Draft:
    """Look at the store and draft its inventory. Raises what `flow.drafting.draft` raises."""
    with _looking(source) as seen:
        return drafting.draft(seen, STORE, tenant, today)


def candidates_of(source: Source) -> tuple[Candidate, ...]:
    """Return the tables of the store that may list the tenants, likeliest first."""
    with _looking(source) as seen:
        return drafting.propose(seen)


def render(draft: Draft, source: Source, deployment: str, agreements: tuple[str, ...], country: str) -> str:
    """Return the draft as an inventory document, with the categories of the agreements that come with the product.

    Raises:
        InvalidDocument: no such agreement, or the draft makes no valid document, such as too many tables for one.
    """
    folder = example_policies() / "agreements"
    served = [load(folder / f"{name}.yaml", "agreement").document for name in agreements]
    known = [document for document in served if isinstance(document, Agreement)]
    return write_draft(draft, id=deployment, address=source.secret, country=country, agreements=known)


def keep(text: str, source: Source, folder: Path) -> Path:
    """Write the document as the deployment's inventory and return its path; InvalidDocument when one is there."""
    path = folder / read_settings(folder).inventory
    if path.exists():
        raise InvalidDocument("the deployment has an inventory already", advice="Nothing is ever replaced.")
    if source.plain and source.secret.file is not None:
        replace(folder / source.secret.file, f"{source.url}\n".encode())
    replace(path, text.encode(), mode=0o644)
    return path


@contextmanager
def _looking(source: Source) -> Iterator[Survey]:
    with survey(source.url) as seen:
        yield seen
