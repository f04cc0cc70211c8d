"""Scene 8: the database asked once more, without the product; and what can be tried."""

from __future__ import annotations

import shutil
import sys
from datetime import date
from pathlib import Path

from lifecycle.cli.demo.beginning import EXPORTS, KEYS
from lifecycle.cli.demo.calendar import LAST
from lifecycle.cli.demo.documents import DATABASE
from lifecycle.cli.demo.names import HELD, LEAVER
from lifecycle.cli.demo.story import CEILING_DAYS, HERE, TRUST, Story
from lifecycle.cli.page import Page

INVOICE_YEARS = 8
"""§ 147(3) AO, § 14b(1) UStG; counted from the end of the invoice's year."""

LOG_TABLES = ("access_log", "mail_log")


def look(story: Story) -> None:
    """Check what the story claims against the database and the files themselves."""
    stage, facts = story.stage, story.facts
    stage.scene("8  What is left", story.today)
    rows = {table: number for table, number in facts.of(LEAVER).items() if number}
    kept = rows.pop("invoices", 0)
    stage.claim(f"{sum(rows.values())} rows of {LEAVER} are left beside its invoices", holds=not rows)
    found = facts.invoices(LEAVER)
    first, last = _free_from(found.oldest), _free_from(found.newest)
    stage.claim(
        f"{kept} invoices are kept; the first may go on {first}, the last on {last} (§ 147 AO, § 14b UStG)",
        holds=first is not None and kept == found.count and first > story.today,
    )
    stage.claim(
        "what the neighbours wrote is what it was on the first day; only due log records are gone",
        holds=facts.neighbours(LEAVER, without=LOG_TABLES) == story.first_day,
    )
    stage.claim(
        f"in {len(story.oldest)} nights no log record outside the hold grew older than {max(story.oldest)} days"
        f" (ceiling {CEILING_DAYS})",
        holds=len(story.oldest) == LAST and max(story.oldest) < CEILING_DAYS,
    )
    # The second half proves that the search finds what is there.
    gone, there = (_files_with(f"@{name}.example", but=Path(EXPORTS)) for name in (LEAVER, HELD))
    stage.claim(
        f"no file but the customer's own package holds an address of {LEAVER}'s people: not the database with its free"
        " pages, not registers, log, or certificates",
        holds=not gone and bool(there),
    )


def tour(story: Story, folder: Path) -> None:
    """Say what lies where, and what can be tried."""
    page = Page().line().line("The deployment is yours now, with the real clock:", "head").lines(_way(folder), indent=2)
    page.line().pairs([(f"lifecycle {line}", what) for line, what in _commands(story)], indent=2)
    page.line().pairs(
        [
            (DATABASE, "the application's database"),
            ("lifecycle.yaml, policies/", "settings; what was promised, and what the law says"),
            ("inventory.yaml, tenants.yaml", "what lies where; to whom it was promised"),
            ("state.db, checkpoint, keys/", "registers and log; the log's last checkpoint; the deployment's keys"),
            (f"{KEYS}/", "the operators' private keys; in real life each lies with its owner"),
            (f"{EXPORTS}/, {Path(TRUST).parent}/", "what the customer received"),
        ],
        indent=2,
    )
    story.stage.show(page)


def _commands(story: Story) -> list[tuple[str, str]]:
    number = story.certificates[-1]
    return [
        ("status", "are the promises kept today?"),
        (f"explain {LEAVER} invoices --start 2020-03-04", "why an invoice outlives the contract, and until when"),
        (f"explain {HELD} access-log", "a hold beside a ceiling"),
        ("plan --list", "every plan, who signed it, what became of it"),
        ("plan --tenant linde-sued --by ops-1", "refused: its contract has no end"),
        ("tenant end ulme --on DAY", "let another customer go; then plan, approve twice, apply"),
        ("hold list", f"then `hold release HOLD --by ops-2` and `run`: what {HELD} kept goes"),
        (f"certificate show {number}", "what was certified"),
        (f"verify {Path(TRUST).parent}/{number}.zip --trust {TRUST}", "the offline verifier"),
        (f"evidence log --tenant {LEAVER}", "every entry about one customer: counts, no values"),
    ]


def _way(folder: Path) -> list[str]:
    """Return what to type so that the commands work."""
    # Not sys.argv[0]: it may be relative, and the story has changed the folder since.
    program = Path(sys.executable).parent
    return [f"cd {folder}", *([] if shutil.which("lifecycle") else [f'export PATH="{program}:$PATH"'])]


def _free_from(issued: date | None) -> date | None:
    """Return the first day on which an invoice of that date may go."""
    return None if issued is None else date(issued.year + INVOICE_YEARS + 1, 1, 1)


def _files_with(text: str, *, but: Path) -> list[Path]:
    """Return the files that hold these bytes anywhere."""
    files = [path for path in HERE.rglob("*") if path.is_file() and but not in path.parents]
    return [path for path in files if text.encode() in path.read_bytes()]
