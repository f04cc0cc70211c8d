"""The stage: headings, plain words, and command lines that are really run, through the same root as anybody's.

The only thing that differs from a terminal is `Session.options`: the clock is a simulated one.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from datetime import date
from io import StringIO
from typing import Any

from lifecycle.cli.app import root
from lifecycle.cli.page import Page, render
from lifecycle.cli.session import Session, write
from lifecycle.wiring.deployment import Options

WIDTH = 100
VERIFIER = ("-m", "lifecycle.evidence")


class Broken(Exception):
    """A command line did not end as the story needs it: there is no use in going on."""


@dataclass(slots=True)
class Recorded(Session):
    """A session that keeps the document of the last result, so that the story can go on from it."""

    document: Mapping[str, Any] = field(default_factory=dict, init=False)

    def show(self, document: Mapping[str, Any], page: Page) -> None:
        """Keep the document and show the result as every session does."""
        self.document = document
        Session.show(self, document, page)


@dataclass(frozen=True, slots=True)
class Result:
    """How a command line ended: its exit code, and the document that `--json` would have printed."""

    code: int
    document: Mapping[str, Any]


@dataclass(slots=True)
class Stage:
    """Where the story is told. Counts what was claimed; the demo succeeds only if every claim holds."""

    outer: Session
    options: Options
    claims: int = 0
    broken: list[str] = field(default_factory=list)
    gap: bool = field(default=True, init=False)
    fresh: bool = field(default=False, init=False)

    @property
    def quiet(self) -> bool:
        """Return whether nothing is told: with --quiet, and with --json until the end."""
        return self.outer.quiet or self.outer.json

    def scene(self, title: str, day: date) -> None:
        """Begin a scene."""
        rule = "─" * max(3, WIDTH - len(title) - len(day.isoformat()) - 2)
        self.show(Page().line().line(f"{title} {rule} {day.isoformat()}", "head"))
        self.fresh = True

    def say(self, *parts: str) -> None:
        """Say something in plain words, wrapped; the parts are one paragraph."""
        page = Page() if self.fresh else Page().line()
        self.show(page.lines(textwrap.wrap(" ".join(parts), WIDTH, break_on_hyphens=False)))

    def run(self, line: str, *, expect: int = 0, silent: bool = False) -> Result:
        """Run a command line, show it with its output (or alone), and claim its exit code. Raises Broken on another."""
        self._typed(f"lifecycle {line}", close=silent)
        session = Recorded(no_color=self.outer.no_color, quiet=self.quiet or silent, options=self.options)
        # What is refused belongs to the story: it is told where everything else is told.
        with redirect_stderr(StringIO() if self.quiet else sys.stdout):
            code = _code_of(shlex.split(line), session)
        self._ended(line, code, expect)
        return Result(code, session.document)

    def verify(self, bundle: str, trust: str, *, expect: int, lines: int | None = None) -> None:
        """Let the verifier judge a bundle in a process of its own; show all of its report, or its first lines.

        Raises Broken on another verdict than the expected one.
        """
        arguments = [*VERIFIER, bundle, "--trust", trust]
        self._typed(shlex.join(["python", *arguments]))
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
        report = (done.stdout + done.stderr).splitlines()
        self.show(Page().lines(report[:lines]))
        self._ended(f"the verifier on {bundle}", done.returncode, expect)

    def claim(self, what: str, *, holds: bool) -> None:
        """Say what was checked with the demo's own eyes, and whether it holds."""
        self.claims += 1
        if not holds:
            self.broken.append(what)
        self.show(Page().line(f"{'✔' if holds else '✘ NOT SO:'} {what}", "good" if holds else "bad"))

    def show(self, page: Page) -> None:
        """Show a page as a verb would."""
        self.gap, self.fresh = True, False
        if not self.quiet:
            write(render(page, terminal=sys.stdout.isatty(), no_color=self.outer.no_color))

    def _typed(self, line: str, *, close: bool = False) -> None:
        """Show what was typed, a line below what came before; silent ones stand close together."""
        page = Page().line() if self.gap else Page()
        self.show(page.line(f"$ {line}", "warn"))
        self.gap = not close

    def _ended(self, what: str, code: int, expect: int) -> None:
        if code:
            self.show(Page().line(f"(exit {code})", "dim"))
        self.claims += 1
        if code != expect:
            self.broken.append(f"{what}: exit {code}, not {expect}")
            self.show(Page().line(f"✘ NOT SO: exit {expect} was expected", "bad"))
            raise Broken


def _code_of(arguments: list[str], session: Session) -> int:
    """Run the root as the program does: it ends by leaving, with a code."""
    try:
        root.main(arguments, prog_name="lifecycle", obj=session)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0
