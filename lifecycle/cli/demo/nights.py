"""Scenes 2 to 4: logs reach their ceiling, the nights pass, a hold is set."""

from __future__ import annotations

from datetime import timedelta

from lifecycle.cli.demo.beginning import key_of
from lifecycle.cli.demo.calendar import HOLD, NOTICE
from lifecycle.cli.demo.documents import LOGS
from lifecycle.cli.demo.names import FIRST, HELD
from lifecycle.cli.demo.story import CEILING_DAYS, Story
from lifecycle.cli.errors import BREACHED
from lifecycle.cli.words import short

MOST_A_NIGHT = 1_000
MARGIN_DAYS = 3
HOLD_REVIEW_DAYS = 90


def first_plan(story: Story) -> None:
    """Show what is overdue; let the rule observe; approve its first plan with a mandate; apply it."""
    stage = story.stage
    stage.scene("2  Logs reach their ceiling", story.today)
    stage.say(
        "The agreement names no period for server logs; the operator set one and says that it is its own: 90 days.",
        "Nobody has ever deleted a log here, and the oldest are past it. A breach is shown, not hidden (exit 5).",
    )
    stage.run("status", expect=BREACHED)
    stage.say("A new rule observes: the nightly run plans, counts and deletes nothing until somebody approves.")
    before = story.facts.rows()
    plan_hash = stage.run("run").document["turns"][0]["plan"]
    stage.claim("not a single row was deleted", holds=story.facts.rows() == before)
    digits = short(plan_hash)
    stage.run(f"plan show {digits}")
    stage.say(
        f"{FIRST} reads the plan and signs its hash, with a mandate:",
        f"the same rule may run each night, for at most {MOST_A_NIGHT:,} rows.",
    )
    stage.run(f"approve {digits} --by {FIRST} --key {key_of(FIRST)} --mandate --most {MOST_A_NIGHT}")
    stage.run(f"apply {digits} --yes {digits}")
    oldest = story.facts.oldest_log(HELD)
    age = 0 if oldest is None else (story.today - oldest).days
    stage.claim(f"the oldest log record is {age} days old now", holds=0 < age < CEILING_DAYS)
    stage.run("status")
    issued = stage.run(f"certificate issue {digits}", silent=True).document
    story.certificates.append(issued["number"])


def routine(story: Story) -> None:
    """Let the first nights pass."""
    stage = story.stage
    stage.scene("3  Nights", story.today)
    stage.say(
        "Now the mandate authorises each night's run. Due is what would reach",
        f"{CEILING_DAYS} days within {MARGIN_DAYS} days, so that a failed night is not a breach yet.",
        "The ages are read from the database after each night, by sqlite3 alone.",
    )
    story.nights(HOLD)


def hold(story: Story) -> None:
    """Set a hold on one customer's logs and show that they survive."""
    stage = story.stage
    stage.scene("4  A hold", story.today)
    stage.say(
        f"A court wants {HELD}'s logs kept. A hold outranks a ceiling; it has a basis, a reason and a day of review,",
        "and it is written into the store: each deletion's own transaction looks at it there.",
    )
    review = story.today + timedelta(days=HOLD_REVIEW_DAYS)
    datasets = " ".join(f"--dataset {name}" for name in LOGS)
    ground = f'--basis legal-order --reason "proceedings before a court" --reference "12 O 34/26" --review {review}'
    stage.run(f"hold set {HELD} {ground} {datasets} --by {FIRST}")
    due = story.days.day(NOTICE) - timedelta(days=CEILING_DAYS - MARGIN_DAYS)
    before = story.facts.logs_up_to(HELD, due)
    story.nights(NOTICE)
    after = story.facts.logs_up_to(HELD, due)
    stage.claim(
        f"{story.deleted[-1]} log records of the others went that night; all {before} due ones of {HELD} stayed",
        holds=before == after > 0 < story.deleted[-1],
    )
    stage.run(f"explain {HELD} {LOGS[0]} --start {due}")
