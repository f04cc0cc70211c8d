"""What every command shares: the deployment's folder, how to show results, and the `Verb` class of all commands."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli.page import Page, clean, render

if TYPE_CHECKING:
    from lifecycle.flow.deployment import Deployment
    from lifecycle.wiring.deployment import Options


@dataclass(slots=True)
class Session:
    """One command's surroundings. `options` replaces clock and failpoint in tests and in the demo."""

    folder: str | None = None
    json: bool = False
    no_color: bool = False
    quiet: bool = False
    options: Options | None = None
    emitted: bool = field(default=False, init=False)

    @property
    def path(self) -> Path:
        """Return the deployment's folder."""
        from lifecycle.wiring.deployment import folder_of

        return folder_of(self.folder)

    @contextmanager
    def open(self) -> Iterator[Deployment]:
        """Open the deployment for the length of the command."""
        from lifecycle.wiring.deployment import Options, open_deployment

        with open_deployment(self.path, self.options or Options()) as deployment:
            yield deployment

    def today(self) -> date:
        """Return the UTC day, where no agreement's zone decides."""
        from lifecycle.ports.clock import SystemClock

        clock = self.options.clock if self.options and self.options.clock else SystemClock()
        return clock.now().date()

    def show(self, document: Mapping[str, Any], page: Page) -> None:
        """Print the result: the document as JSON, or the page for people."""
        self.emitted = True
        if self.json:
            write(json.dumps(document, indent=2, allow_nan=False) + "\n")
        elif not self.quiet:
            write(render(page, terminal=sys.stdout.isatty(), no_color=self.no_color))

    def note(self, text: str) -> None:
        """Print a remark on standard error, unless quiet."""
        if not self.quiet:
            write(clean(text) + "\n", error=True)


pass_session = click.make_pass_decorator(Session, ensure=True)


def write(text: str, *, error: bool = False) -> None:
    """Write whatever the encoding is, and however early the reader leaves: the exit code stays the verb's own."""
    stream = sys.stderr if error else sys.stdout
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        _leave_pipe(stream)


def _leave_pipe(stream: Any) -> None:
    """Point a stream nobody reads any more at the void: Python would complain once more when it closes it."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def set_json(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Remember `--json`, before or after the verb."""
    del parameter
    if value:
        ctx.ensure_object(Session).json = True


def json_option() -> click.Option:
    """Return the `--json` option that every verb has."""
    return click.Option(
        ["--json", "as_json"], is_flag=True, expose_value=False, callback=set_json, help="Print one JSON document."
    )


class Verb(click.Command):
    """A command with `--json` and an example in its help."""

    def __init__(self, *args: Any, example: str, **extra: Any) -> None:
        """Take click's arguments, and the example: command lines without the program's name in front."""
        lines = "\n".join(f"  lifecycle {line}" for line in example.split("\n"))
        super().__init__(*args, epilog=f"\b\nExample:\n{lines}", **extra)
        self.params.append(json_option())


class Verbs(click.Group):
    """A group of verbs, with an example in its help."""

    command_class = Verb

    def __init__(self, *args: Any, example: str, **extra: Any) -> None:
        """Take click's arguments, and the example."""
        lines = "\n".join(f"  lifecycle {line}" for line in example.split("\n"))
        super().__init__(*args, epilog=f"\b\nExample:\n{lines}", **extra)


def verb(name: str, *, example: str) -> Any:
    """Make a function a verb of the root."""
    return click.command(name, cls=Verb, example=example)


def verbs(name: str, *, example: str) -> Any:
    """Make a function a group of verbs."""
    return click.group(name, cls=Verbs, example=example)
