"""`lifecycle hold`: what keeps data, on which ground, until when."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli.page import Page
from lifecycle.cli.parameters import A_DAY, LINE, NAME, by_option, tenant_argument
from lifecycle.cli.session import Session, pass_session, verbs

if TYPE_CHECKING:
    from lifecycle.core.hold import Hold
    from lifecycle.flow.deployment import Deployment

BASES = ("controller-instruction", "legal-order", "own-data", "person-restriction")


@verbs("hold", example='hold set acme --basis legal-order --reason "order of a court" --by op-one\nhold list')
def command() -> None:
    """Suspend deletion (Aussetzung der Löschung), and release it again."""


@command.verb("set", example='hold set acme --basis legal-order --reason "order of a court" --by op-one')
@tenant_argument
@click.option("--basis", type=click.Choice(BASES), required=True, help="What the hold rests on.")
@click.option("--reason", type=LINE, required=True, help="Why, without names of persons.")
@click.option("--reference", type=LINE, help="Reference of the order or instruction.")
@click.option("--review", type=A_DAY, help="When it is looked at again.")
@click.option("--dataset", "datasets", type=NAME, multiple=True, help="Only this dataset; without one, all of them.")
@by_option
@pass_session
def set_(
    session: Session, tenant: str, basis: Any, reason: str, reference: str | None, review: date | None,
    datasets: tuple[str, ...], by: str,
) -> None:  # fmt: skip
    """Keep a tenant's rows, all or those of some datasets, until the hold is released."""
    from lifecycle.flow import holding, offboard

    with session.open() as deployment:
        deployment.operator(by, session.today())
        ground = holding.Ground(basis, reason, reference, review)
        known = offboard.find(deployment, tenant)
        hold = holding.set_hold(deployment, known, ground, operator=by, datasets=datasets)
        document = _document(deployment, hold)
    page = Page().line(f"Hold {hold.id} is active in {', '.join(hold.mirrored_in) or 'no store'}.", "good")
    session.show(document, page)


@command.verb("list", example="hold list")
@click.option("--all", "everything", is_flag=True, help="Released ones, too.")
@pass_session
def list_(session: Session, everything: bool) -> None:
    """Show the holds; tenants by alias."""
    from lifecycle.core.hold import Hold
    from lifecycle.flow import registers

    with session.open(stores=False) as deployment:
        found = registers.every(deployment.state, "hold", Hold)
        documents = [_document(deployment, hold) for hold in found if everything or hold.released_on is None]
    headers = ("hold", "tenant", "datasets", "basis", "reason", "since", "by", "review", "released")
    rows = [
        (d["id"], d["tenant"], ", ".join(d["datasets"]) or "all", d["basis"], d["reason"], d["set_on"], d["set_by"],
         d["review_on"], d["released_on"])
        for d in documents
    ]  # fmt: skip
    session.show({"holds": documents}, Page().table(headers, rows))


@command.verb("release", example="hold release h-0123456789ab --by op-one")
@click.argument("name", type=NAME, metavar="HOLD")
@by_option
@pass_session
def release(session: Session, name: str, by: str) -> None:
    """End a hold: what it kept is due again."""
    from lifecycle.flow import holding

    with session.open() as deployment:
        deployment.operator(by, session.today())
        document = _document(deployment, holding.release(deployment, name, operator=by))
    session.show(document, Page().line(f"Hold {name} is released; what it kept is due again.", "good"))


def _document(deployment: Deployment, hold: Hold) -> dict[str, Any]:
    return {**hold.model_dump(mode="json"), "tenant": deployment.alias(hold.tenant)}
