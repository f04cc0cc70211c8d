"""Scene 1: the company's application, and the deployment beside it."""

from __future__ import annotations

from pathlib import Path

from lifecycle.cli.demo import documents
from lifecycle.cli.demo.names import AUTHOR, DEPLOYMENT, FIRM, FIRST, LEAVER, ORIGIN, PORTALS, SECOND
from lifecycle.cli.demo.story import TRUST, Story

KEYS = "operator-keys"
EXPORTS = "exports"


def company(story: Story) -> None:
    """Let the application make its database."""
    stage = story.stage
    stage.scene("1  A company and its promises", story.today)
    rows = story.application.create()
    story.first_day = story.facts.neighbours(LEAVER, without=("access_log", "mail_log"))
    stage.say(
        f"{FIRM} (invented, like everybody here) runs customer portals for {len(PORTALS)} firms.",
        f"Its application has written {rows:,} rows into {documents.DATABASE}: people, tickets, documents, logs,",
        "invoices. What it promised its customers stands in the ClientPort agreement that comes with the product.",
        "Three operators have a key pair each: nobody else can approve a deletion.",
    )


def deployment(story: Story) -> None:
    """Make the deployment as an operator would, and check that nothing in the database is unclassified."""
    stage = story.stage
    stage.run(f"init . --deployment {DEPLOYMENT} --origin {ORIGIN} --agreement {documents.AGREEMENT}", silent=True)
    documents.write(Path(), story.days)
    for name in (KEYS, EXPORTS, str(Path(TRUST).parent)):
        Path(name).mkdir(mode=0o700)
    stage.run("validate .", silent=True)
    for operator in (AUTHOR, FIRST, SECOND):
        stage.run(f"operator new {operator} --key {key_of(operator)}", silent=True)
    stage.run("tenant import tenants.yaml", silent=True)
    stage.run(f"store prepare {documents.STORE} --run")
    stage.run("coverage")
    stage.run("doctor")
    stage.say("The customers receive the trust file on the first day: public keys and the log's first checkpoint.")
    stage.run(f"evidence trust -o {TRUST}")


def key_of(operator: str) -> str:
    """Return the file of an operator's private key. In real life each lies with its owner."""
    return f"{KEYS}/{operator}.pem"
