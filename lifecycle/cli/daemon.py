"""`lifecycle daemon`: run for ever."""

from __future__ import annotations

import sys

import click

from lifecycle.cli.session import Session, pass_session, verb


@verb("daemon", example="daemon\n--dir /etc/lifecycle daemon")
@pass_session
def command(session: Session) -> None:
    """Run as a service: take each rule's turn when its slot comes; log to standard output, metrics over HTTP.

    SIGTERM ends it after the batch, SIGHUP reads the documents again between runs, SIGUSR1 is `lifecycle stop`.
    Several replicas on one PostgreSQL state: one leads, the others stand by.
    """
    from lifecycle.daemon import serve
    from lifecycle.wiring.deployment import Options

    session.emitted = True
    code = serve(session.path, sys.stdout, session.options or Options())
    raise click.exceptions.Exit(code)
