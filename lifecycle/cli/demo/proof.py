"""Scenes 7 and 8: certificates that others can check, and what is left to try."""

from __future__ import annotations

from pathlib import Path

from lifecycle.cli.demo.beginning import EXPORTS, KEYS
from lifecycle.cli.demo.calendar import LAST
from lifecycle.cli.demo.documents import BACKUP_CYCLE, DATABASE
from lifecycle.cli.demo.names import HELD, LEAVER
from lifecycle.cli.demo.story import CEILING_DAYS, TRUST, Story
from lifecycle.cli.page import Page

VALID, INVALID = 0, 1
HANDED_OVER = Path(TRUST).parent
REPORT_LINES = 24

TRY = (
    ("status", "are the promises kept today?"),
    (f"explain {LEAVER} invoices --start 2020-03-04", "why an invoice outlives the contract, and until when"),
    (f"explain {HELD} access-log", "a hold beside a ceiling"),
    ("plan --list", "every plan, who signed it, what became of it"),
    ("hold list", f"release it with --by ops-2, and `lifecycle run` deletes what {HELD} kept"),
    ("run", "tonight's turn, now"),
    ("tenant notice ulme --received DAY --ends DAY", "let another customer go"),
    ("plan --tenant linde-sued --by ops-1", "refused: its contract has no end"),
    ("certificate list", "all certificates"),
    ("stop", "and everything refuses until `lifecycle resume`"),
)


def certificates(story: Story) -> None:
    """Wait for the backups, issue the final certificate, verify all of them elsewhere, and reject a forged one."""
    stage = story.stage
    stage.scene("7  Proof", story.today)
    stage.say(
        f"The certificate is provisional: the nightly backups hold the rows for another {BACKUP_CYCLE[1:-1]} days.",
        "Time passes once more, up to the real present day; then the final certificate takes its place.",
    )
    story.nights(LAST)
    story.certificates.append(stage.run(f"certificate issue {story.plan}", silent=True).document["number"])
    stage.say(
        "A bundle holds certificate, plan, log entries and proofs. The verifier is another program: no database, no",
        f"network, no settings, only the trust file of the first day ({TRUST}).",
    )
    bundles = [HANDED_OVER / f"{number}.zip" for number in story.certificates]
    for number, bundle in zip(story.certificates, bundles, strict=True):
        stage.run(f"certificate bundle {number} -o {bundle}", silent=True)
    for bundle in bundles[:-1]:
        stage.verify(str(bundle), TRUST, expect=VALID, lines=1)
    stage.verify(str(bundles[-1]), TRUST, expect=VALID, lines=REPORT_LINES)
    forged = HANDED_OVER / "forged.zip"
    place = _flip(bundles[-1], forged)
    stage.say(f"One byte of a copy is flipped (byte {place:,}):")
    stage.verify(str(forged), TRUST, expect=INVALID, lines=2)


def left(story: Story, folder: Path) -> None:
    """Ask the database once more, without the product, and say what can be tried."""
    stage, facts = story.stage, story.facts
    stage.scene("8  What is left", story.today)
    rows = {table: number for table, number in facts.of(LEAVER).items() if number}
    kept = facts.invoices(LEAVER)
    oldest, newest = kept.oldest, kept.newest
    last = "never" if newest is None else f"{newest.year + 9}-01-01"
    first = "never" if oldest is None else f"{oldest.year + 9}-01-01"
    stage.claim(
        f"{sum(rows.values()) - kept.count} rows of {LEAVER} are left but its invoices", holds=set(rows) == {"invoices"}
    )
    stage.claim(
        f"{kept.count} invoices are kept; the first may go on {first}, the last on {last} (§ 147 AO, § 14b UStG)",
        holds=oldest is not None and oldest.year + 9 > story.today.year and kept.count > 0,
    )
    stage.claim(
        "what the neighbours wrote is what it was on the first day; only due logs are gone",
        holds=facts.neighbours(LEAVER, without=("access_log", "mail_log")) == story.first_day,
    )
    stage.claim(
        f"in {len(story.oldest)} nights no log record outside the hold grew older than {max(story.oldest)} days"
        f" (ceiling {CEILING_DAYS})",
        holds=len(story.oldest) == LAST and max(story.oldest) < CEILING_DAYS,
    )
    stage.show(Page().line().line(f"The deployment is yours now, with the real clock:  cd {folder}", "head"))
    stage.show(Page().pairs([(f"lifecycle {line}", what) for line, what in TRY], indent=2))
    stage.show(
        Page()
        .line()
        .pairs(
            [
                (DATABASE, "the application's database"),
                (
                    "lifecycle.yaml, policies/, inventory.yaml, tenants.yaml",
                    "what was promised, what lies where, to whom",
                ),
                ("state.db, checkpoint, keys/", "registers and log; the log's last checkpoint; the deployment's keys"),
                (f"{KEYS}/", "the operators' private keys; in real life each lies with its owner"),
                (f"{EXPORTS}/, {HANDED_OVER}/", "what the customer received"),
            ],
            indent=2,
        )
    )


def _flip(source: Path, copy: Path) -> int:
    """Write a copy with one bit of its middle byte turned; return the byte's place."""
    content = bytearray(source.read_bytes())
    place = len(content) // 2
    content[place] ^= 1
    copy.write_bytes(content)
    return place
