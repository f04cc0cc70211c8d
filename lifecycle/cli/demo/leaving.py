"""Scenes 5 and 6: a customer leaves; its data can be fetched, and is deleted once the window has closed."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from lifecycle.cli.demo.beginning import EXPORTS, key_of
from lifecycle.cli.demo.calendar import CONTRACT_ENDS, DELETION, EXPORT
from lifecycle.cli.demo.names import AUTHOR, FIRST, LEAVER, SECOND
from lifecycle.cli.demo.story import Story
from lifecycle.cli.errors import REFUSED
from lifecycle.cli.words import short


def notice(story: Story) -> None:
    """Record the notice and let the contract end."""
    stage = story.stage
    stage.scene("5  A customer leaves", story.today)
    stage.say(
        f"{LEAVER} gives notice. The agreement has no export window (§ 5(5): delete after the end), but the Data Act",
        "gives thirty days to fetch the data. Both stand in the timeline, each with the place it comes from.",
    )
    stage.run(f"tenant notice {LEAVER} --received {story.today} --ends {story.days.day(CONTRACT_ENDS)}")
    story.nights(EXPORT)


def export(story: Story) -> None:
    """Deliver the export, and try to delete too early."""
    stage = story.stage
    stage.say("The contract has ended. Its data is fetched; deleting it now would take it from the customer too early.")
    there = story.facts.of(LEAVER)
    exported = stage.run(f"export {LEAVER} -o {EXPORTS}").document
    rows = sum(number for table, number in there.items() if table != "invoices")
    stage.claim(
        f"the package holds all {rows:,} rows of {LEAVER}, counted in the file itself",
        holds=rows == exported["rows"] == _rows_in(Path(exported["file"])),
    )
    stage.run(f"plan --tenant {LEAVER} --by {AUTHOR}", expect=REFUSED)
    story.nights(DELETION)


def deletion(story: Story) -> None:
    """Plan, approve with two keys, delete, certify."""
    stage, facts = story.stage, story.facts
    stage.scene("6  Deletion, with two keys", story.today)
    stage.say(
        "The window has closed. The plan says what goes in which order, and what stays: invoices are the company's own",
        "books, and tax law keeps them for eight years after the end of their year, whatever the agreement says.",
    )
    planned = stage.run(f"plan --tenant {LEAVER} --by {AUTHOR}").document["plans"][0]
    digits = short(planned["hash"])
    stage.say("Whoever wrote a plan cannot approve it, and one signature is not enough.")
    stage.run(f"approve {digits} --by {AUTHOR} --key {key_of(AUTHOR)}", expect=REFUSED)
    stage.run(f"approve {digits} --by {FIRST} --key {key_of(FIRST)}")
    stage.run(f"apply {digits} --yes {digits}", expect=REFUSED)
    stage.run(f"approve {digits} --by {SECOND} --key {key_of(SECOND)}")
    neighbours = facts.neighbours(LEAVER)
    stage.run(f"apply {digits} --yes {digits}")
    left = {table: number for table, number in facts.of(LEAVER).items() if number}
    stage.claim(f"of {LEAVER} only invoices are left: {left.get('invoices', 0)}", holds=set(left) == {"invoices"})
    stage.claim("every row of the others is what it was, byte for byte", holds=facts.neighbours(LEAVER) == neighbours)
    stage.claim("no row lost its parent", holds=facts.nobodys(LEAVER) == 0)
    issued = stage.run(f"certificate issue {digits}").document
    story.certificates.append(issued["number"])
    story.plan = digits


def _rows_in(package: Path) -> int:
    """Count the lines of the package's JSONL files."""
    with zipfile.ZipFile(package) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jsonl")]
        return sum(len([json.loads(line) for line in archive.read(name).splitlines()]) for name in names)
