"""The stage: headings, plain words, and the pages that the command line shows, one after the other and without pauses."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import date

from lifecycle.cli.page import Page, render
from lifecycle.cli.session import Session, write

WIDTH = 100


@dataclass(frozen=True, slots=True)
class Claim:
    """Something the demo says, and whether it turned out so."""

    what: str
    holds: bool


@dataclass(slots=True)
class Stage:
    """Where the story is told. Remembers every claim; the demo succeeds only if all of them hold."""

    session: Session
    claims: list[Claim] = field(default_factory=list)

    def scene(self, title: str, day: date) -> None:
        """Begin a scene."""
        rule = "─" * max(3, WIDTH - len(title) - len(day.isoformat()) - 4)
        self.page(Page().line().line(f"{title} {rule} {day.isoformat()}", "head"))

    def say(self, *lines: str) -> None:
        """Say something in plain words."""
        self.page(Page().lines(lines))

    def typed(self, command: str) -> None:
        """Show which command shows or does the same."""
        self.page(Page().line().line(f"$ lifecycle {command}", "warn", indent=2))

    def page(self, page: Page) -> None:
        """Show a page as the command line would."""
        if not self.session.quiet:
            write(render(page, terminal=sys.stdout.isatty(), no_color=self.session.no_color))

    def claim(self, what: str, *, holds: bool) -> None:
        """Say what was checked and whether it holds."""
        self.claims.append(Claim(what, holds))
        self.page(Page().line(f"{'✔' if holds else '✘ NOT SO:'} {what}", "good" if holds else "bad", indent=2))

    @property
    def held(self) -> bool:
        """Return whether there were claims and every one of them holds."""
        return bool(self.claims) and all(claim.holds for claim in self.claims)
