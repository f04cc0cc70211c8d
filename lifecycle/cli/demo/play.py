"""The demo from its first scene to its last word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lifecycle.cli.demo import beginning, leaving, left, nights, proof
from lifecycle.cli.demo.application import Application
from lifecycle.cli.demo.calendar import Days
from lifecycle.cli.demo.documents import DATABASE
from lifecycle.cli.demo.facts import Facts
from lifecycle.cli.demo.stage import Broken, Stage
from lifecycle.cli.demo.story import Story
from lifecycle.cli.page import Page
from lifecycle.cli.session import Session
from lifecycle.ports.clock import SimulatedClock, SystemClock
from lifecycle.wiring.deployment import Options

SCENES = (
    beginning.company,
    beginning.deployment,
    nights.first_plan,
    nights.routine,
    nights.hold,
    leaving.notice,
    leaving.export,
    leaving.deletion,
    proof.certificates,
    left.look,
)


def play(session: Session, folder: Path) -> tuple[dict[str, Any], bool]:
    """Tell the story in the working directory; return what it came to, and whether every claim held.

    `folder` is how the reader knows the directory.
    """
    days = Days(SystemClock().now())
    clock = SimulatedClock(days.moment(0))
    stage = Stage(session, Options(clock=clock))
    database = Path(DATABASE)
    story = Story(days, stage, clock, Application(database, days), Facts(database))
    try:
        for scene in SCENES:
            scene(story)
        left.tour(story, folder)
    except Broken:
        stage.say("The demo ends here.")
    held = bool(stage.claims) and not stage.broken
    verdict = f"{stage.claims} checks, all as claimed." if held else f"NOT AS CLAIMED: {'; '.join(stage.broken)}"
    stage.show(Page().line().line(verdict, "good" if held else "bad"))
    return {"folder": str(folder), "checks": stage.claims, "broken": stage.broken}, held
