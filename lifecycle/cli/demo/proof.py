"""Scene 7: certificates that others can check."""

from __future__ import annotations

from pathlib import Path

from lifecycle.cli.demo.calendar import LAST
from lifecycle.cli.demo.documents import BACKUP_CYCLE
from lifecycle.cli.demo.story import TRUST, Story

VALID, INVALID = 0, 1
HANDED_OVER = Path(TRUST).parent
REPORT_LINES = 24


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


def _flip(source: Path, copy: Path) -> int:
    """Write a copy with one bit of its middle byte turned; return the byte's place."""
    content = bytearray(source.read_bytes())
    place = len(content) // 2
    content[place] ^= 1
    copy.write_bytes(content)
    return place
