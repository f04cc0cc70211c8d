"""Scenes 1 to 4: a deployment is made, logs reach their ceiling, the nights pass, a hold is set."""

from __future__ import annotations

from datetime import timedelta

from lifecycle.cli.demo import documents, show
from lifecycle.cli.demo.calendar import HOLD, NOTICE
from lifecycle.cli.demo.names import AUTHOR, DEPLOYMENT, FIRM, FIRST, HELD, ORIGIN, PORTALS, SECOND
from lifecycle.cli.demo.story import CEILING_DAYS, EXPORTS, HANDED_OVER, OPERATOR_KEYS, Story
from lifecycle.cli.page import Page
from lifecycle.evidence.keys import SigningKey
from lifecycle.flow import approve, certify, coverage, cycle, execute, holding, offboard, preflight, reporting, trust
from lifecycle.wiring import creation

NIGHTLY_LIMIT = 1_000
HOLD_REVIEW_DAYS = 90


def beginning(story: Story) -> None:
    """Make the application's database and the deployment beside it."""
    stage, folder = story.stage, story.folder
    stage.scene("1  A portal company and its promises", story.today)
    rows = story.application.create()
    stage.say(
        f"{FIRM} (invented) runs customer portals for {len(PORTALS)} firms. Its application has written {rows:,} rows",
        "into portal.db. Its agreement is policies/agreements/clientport.yaml, its data map inventory.yaml:",
        "every table is classified, or declared not personal with a reason.",
    )
    creation.create(folder, deployment=DEPLOYMENT, origin=ORIGIN, agreements=(documents.AGREEMENT,))
    documents.write(folder, story.days)
    for name in (OPERATOR_KEYS, HANDED_OVER, EXPORTS):
        (folder / name).mkdir(mode=0o700)
    for operator in (AUTHOR, FIRST, SECOND):
        key = SigningKey.generate()
        key.save(folder / OPERATOR_KEYS / f"{operator}.pem")
        creation.add_operator(folder, operator, key.public, story.today)
    with story.open() as deployment:
        stage.typed(f"store prepare {documents.STORE}")
        deployment.stores[documents.STORE].prepare(deployment.id)
        stage.page(Page().line("prepared: fence, receipts, holds and tenants have their tables (lifecycle_…)", indent=2))
        stage.typed("coverage")
        gaps = coverage.gaps(deployment, documents.STORE)
        stage.claim(f"{len(gaps)} tables or columns are undeclared", holds=not gaps)
        stage.typed("doctor")
        findings = preflight.doctor(deployment)
        stage.page(Page().table(("code", "dataset", "what"), [(f.code, f.dataset, f.what) for f in findings]))
        stage.claim("nothing forbids a plan", holds=not any(finding.fatal for finding in findings))
        (folder / HANDED_OVER / "trust.json").write_bytes(trust.trust_document(deployment))
    stage.say(
        "The customers receive handed-over/trust.json today: the public keys and the log's first checkpoint.",
    )


def first_plan(story: Story) -> None:
    """Show what is overdue; let the rule observe; approve its first plan with a mandate; apply it."""
    stage = story.stage
    stage.scene("2  Logs reach their ceiling", story.today)
    stage.say(
        "The agreement names no period for server logs, so the operator set one and says so: 90 days. Nobody ever",
        "deleted logs here, and some are past it. The breach is shown. A new rule only observes: it plans.",
    )
    with story.open() as deployment:
        stage.typed("status")
        found = reporting.status(deployment)
        stage.page(show.status(found))
        stage.claim("what outlived its ceiling is reported", holds=bool(found.scanned and found.scanned.breached))
        stage.typed("run")
        turn = cycle.tick(deployment)[0]
        stage.claim("without an approval the tick plans and deletes nothing", holds=turn.result == "observing")
        planned = turn.plan
        assert planned is not None  # noqa: S101 - an observing turn has a plan
        stage.page(show.plan(planned))
        stage.say("", f"{FIRST} reads it, signs its hash, and grants a mandate: the same rule, at most 1,000 rows a night.")
        short = planned.hash.removeprefix("sha256:")[:12]
        stage.typed(f"approve {short} --by {FIRST} --key {OPERATOR_KEYS}/{FIRST}.pem --mandate --most {NIGHTLY_LIMIT}")
        approved = approve.approve(
            deployment, planned.hash, FIRST, story.key_of(FIRST), grant_mandate=True, most_items=NIGHTLY_LIMIT
        )
        expires = approved.mandate.expires_on if approved.mandate else None
        stage.page(Page().line(f"approved by {', '.join(approved.operators)}; mandate until {expires}", indent=2))
        stage.typed(f"apply {short}")
        ran = execute.apply(deployment, planned.hash)
        stage.page(Page().line(f"{ran.deleted:,} rows deleted", indent=2))
        stage.claim("looked at again with fresh eyes: nothing is left", holds=ran.clean)
        story.certificates.append(certify.issue(deployment, planned.hash))


def routine(story: Story) -> None:
    """Let the first nights pass."""
    stage = story.stage
    stage.scene("3  Nights", story.today)
    stage.say(
        "From now on the mandate authorises each night's run. A margin of three days keeps a failed night from",
        f"becoming a breach: no log record may ever reach {CEILING_DAYS} days between two runs.",
    )
    story.nights(HOLD)


def hold(story: Story) -> None:
    """Set a hold on one customer's logs and show that they survive."""
    stage = story.stage
    stage.scene("4  A hold", story.today)
    stage.say(
        f"A court asks that {HELD}'s logs be kept. A hold outranks a ceiling (Art. 17(3)(e) GDPR); it has a basis and",
        "a day of review, and it is written into the store, where each deletion's own transaction checks it.",
    )
    with story.open() as deployment:
        tenant = offboard.find(deployment, HELD)
        review = story.today + timedelta(days=HOLD_REVIEW_DAYS)
        ground = holding.Ground("legal-order", "proceedings before a court", "12 O 34/26", review)
        stage.typed(f"hold set {HELD} --basis legal-order --dataset access-log --dataset mail-log --by {FIRST} …")
        held = holding.set_hold(deployment, tenant, ground, operator=FIRST, datasets=documents.LOGS)
        stage.page(Page().line(f"hold {held.id}, active in {', '.join(held.mirrored_in)}, review {review}", indent=2))
    due = story.today - timedelta(days=CEILING_DAYS - 4)
    before = story.facts.logs_up_to(HELD, due)
    story.nights(NOTICE)
    after = story.facts.logs_up_to(HELD, due)
    with story.open() as deployment:
        findings = (reporting.status(deployment).scanned or reporting.scan(deployment)).findings
        kept = sum(finding.held for finding in findings)
    stage.claim(
        f"the night deleted {story.deleted[-1]} due log records of the others and none of {HELD}'s {before}",
        holds=before == after == kept and before > 0,
    )
