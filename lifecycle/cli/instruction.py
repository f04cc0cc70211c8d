"""`lifecycle instruction`: the controllers' documented orders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli.page import Page
from lifecycle.cli.parameters import LINE, NAME, TENANT, by_option, tenant_argument
from lifecycle.cli.session import Session, pass_session, verbs

if TYPE_CHECKING:
    from lifecycle.core.instruction import Instruction
    from lifecycle.flow.deployment import Deployment

KINDS = ("delete-earlier", "return", "set-parameter", "restrict", "hold", "release-hold", "choice", "other")
CHANNELS = ("text", "written", "oral", "ticket", "portal")
STATES = ("accepted", "suspended", "confirmed", "replaced", "withdrawn", "executed", "rejected")


@verbs("instruction", example="instruction record acme --kind return --given-by office --channel text --by op-one")
def command() -> None:
    """Record the controllers' instructions (Weisungen): who, when, in which form."""


@command.verb("record", example="instruction record acme --kind return --given-by office --channel text --by op-one")
@tenant_argument
@click.option("--kind", type=click.Choice(KINDS), required=True, help="What it orders.")
@click.option("--given-by", type=NAME, required=True, help="The authorised person, by role or pseudonym.")
@click.option("--channel", type=click.Choice(CHANNELS), required=True, help="How it arrived.")
@click.option("--reference", type=LINE, help="Reference, for example a ticket's number.")
@click.option("--note", type=LINE, help="A remark, without names of persons.")
@by_option
@pass_session
def record(
    session: Session, tenant: str, kind: Any, given_by: str, channel: str, reference: str | None, note: str | None,
    by: str,
) -> None:  # fmt: skip
    """Record an instruction as it arrived; one of an unauthorised person is recorded and refused."""
    from lifecycle.flow import instructing, offboard

    with session.open(stores=False) as deployment:
        deployment.operator(by, session.today())
        given = instructing.Given(kind, given_by, channel, reference, note)
        known = offboard.find(deployment, tenant)
        document = _document(deployment, instructing.receive(deployment, known, given, recorded_by=by))
    session.show(document, Page().line(f"Instruction {document['id']} is {document['state']}.", "good"))


@command.verb("list", example="instruction list --tenant acme")
@click.option("--tenant", type=TENANT, help="Of this tenant only.")
@pass_session
def list_(session: Session, tenant: str | None) -> None:
    """Show the instructions; tenants by alias."""
    from lifecycle.core.instruction import Instruction
    from lifecycle.flow import offboard, registers

    with session.open(stores=False) as deployment:
        wanted = offboard.find(deployment, tenant).id if tenant else None
        found = registers.every(deployment.state, "instruction", Instruction)
        documents = [_document(deployment, one) for one in found if wanted in {None, one.tenant}]
    headers = ("instruction", "tenant", "kind", "state", "given by", "channel", "reference", "received", "recorded by")
    keys = ("id", "tenant", "kind", "state", "given_by", "channel", "reference", "received_on", "recorded_by")
    session.show({"instructions": documents}, Page().table(headers, [[d[key] for key in keys] for d in documents]))


@command.verb("decide", example="instruction decide i-0123456789ab accepted --by op-one")
@click.argument("name", type=NAME, metavar="INSTRUCTION")
@click.argument("state", type=click.Choice(STATES))
@by_option
@pass_session
def decide(session: Session, name: str, state: Any, by: str) -> None:
    """Move an instruction on: accept, suspend, confirm, reject it."""
    from lifecycle.core.instruction import Instruction
    from lifecycle.flow import instructing, offboard, registers

    with session.open(stores=False) as deployment:
        deployment.operator(by, session.today())
        known = offboard.find(deployment, registers.need(deployment, "instruction", Instruction, name).tenant)
        moved = instructing.decide(deployment, known, name, state, recorded_by=by)
        document = _document(deployment, moved)
    session.show(document, Page().line(f"Instruction {name} is {document['state']}.", "good"))


def _document(deployment: Deployment, instruction: Instruction) -> dict[str, Any]:
    return {**instruction.model_dump(mode="json"), "tenant": deployment.alias(instruction.tenant)}
