"""`lifecycle operator`: whose keys approve."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli.page import Page
from lifecycle.cli.parameters import FILE, LINE, NAME
from lifecycle.cli.session import Session, pass_session, verbs

if TYPE_CHECKING:
    from lifecycle.core.operator import OperatorKey


@verbs("operator", example="operator new op-one --key ~/op-one.pem\noperator list")
def command() -> None:
    """List operators and add or remove their keys: an operator is an Ed25519 key under a role or pseudonym."""


@command.verb("list", example="operator list")
@pass_session
def list_(session: Session) -> None:
    """Show the operators, removed ones included."""
    from lifecycle.documents import load_operators
    from lifecycle.wiring.deployment import read_settings

    known = load_operators(session.path / read_settings(session.path).operators).operators
    page = Page().table(
        ("operator", "since", "until", "public key"), [(o.id, o.added_on, o.removed_on, o.public_key) for o in known]
    )
    session.show({"operators": [_document(operator) for operator in known]}, page)


@command.verb("new", example="operator new op-one --key ~/op-one.pem")
@click.argument("name", type=NAME, metavar="ID")
@click.option("--key", type=FILE, metavar="FILE", required=True, help="Where to write the private key, mode 0600.")
@pass_session
def new(session: Session, name: str, key: Path) -> None:
    """Make a key pair: the private half into FILE, the public half into the operators file."""
    from lifecycle.core.errors import InvalidDocument
    from lifecycle.evidence.errors import EvidenceError
    from lifecycle.evidence.keys import SigningKey
    from lifecycle.wiring.creation import add_operator

    pair = SigningKey.generate()
    try:
        pair.save(key)
    except EvidenceError as error:
        raise InvalidDocument(
            str(error), advice="Name a file that is not there yet; keys are never replaced."
        ) from None
    try:
        added = add_operator(session.path, name, pair.public, session.today())
    except BaseException:
        # The key was made a moment ago and signs for nobody.
        key.unlink()
        raise
    page = Page().line(f"{name} may approve from today on. The private key is in {key}: give it to nobody.", "good")
    session.show({**_document(added), "key_file": str(key)}, page)


@command.verb("add", example="operator add op-two --public-key BASE64")
@click.argument("name", type=NAME, metavar="ID")
@click.option(
    "--public-key", type=LINE, metavar="BASE64", required=True, help="Ed25519 public key, 32 bytes in base64."
)
@pass_session
def add(session: Session, name: str, public_key: str) -> None:
    """Add somebody's public key; the private half stays with them."""
    from lifecycle.core.errors import InvalidDocument
    from lifecycle.evidence.errors import EvidenceError
    from lifecycle.evidence.keys import VerifyKey
    from lifecycle.wiring.creation import add_operator

    try:
        public = VerifyKey.parse(public_key)
    except EvidenceError as error:
        msg = f"that is no public key: {error}"
        raise InvalidDocument(msg, advice="Write the 32 bytes of an Ed25519 public key in base64.") from None
    added = add_operator(session.path, name, public, session.today())
    session.show(_document(added), Page().line(f"{name} may approve from today on.", "good"))


@command.verb("remove", example="operator remove op-two")
@click.argument("name", type=NAME, metavar="ID")
@pass_session
def remove(session: Session, name: str) -> None:
    """End an operator's key today; it stays in the file so that old approvals can be checked."""
    from lifecycle.wiring.creation import remove_operator

    ended = remove_operator(session.path, name, session.today())
    session.show(_document(ended), Page().line(f"{name} may not approve any more.", "good"))


def _document(operator: OperatorKey) -> dict[str, Any]:
    return operator.model_dump(mode="json")
