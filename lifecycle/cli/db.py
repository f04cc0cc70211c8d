"""`lifecycle db`: the schema of our own state."""

from __future__ import annotations

from lifecycle.cli.page import Page
from lifecycle.cli.session import Session, pass_session, verbs


@verbs("db", example="db current\ndb upgrade")
def command() -> None:
    """Show and upgrade the schema of the deployment's own state."""


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
    """Bring the state to this version's schema; back it up before. Repeating is safe."""
    from lifecycle.state import upgrade as migrate

    revision = migrate(_url(session))
    session.show({"revision": revision}, Page().line(f"The state has schema {revision}.", "good"))


def _url(session: Session) -> str:
    from lifecycle.wiring.deployment import read_settings, state_url

    return state_url(read_settings(session.path), session.path)
