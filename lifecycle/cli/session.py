"""What every command shares: the deployment's folder, how to show results, and the `Verb` class of all commands."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lifecycle.cli.page import Page, render

if TYPE_CHECKING:
    from lifecycle.flow.deployment import Deployment
    from lifecycle.wiring.deployment import Options

C = TypeVar("C", bound=click.Command)
Decorator = Callable[[Callable[..., Any]], C]


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
    def open(self, *, stores: bool = True) -> Iterator[Deployment]:
        """Open the deployment for the length of the command; without stores, their credentials are not needed."""
        from lifecycle.wiring.deployment import Options, open_deployment

        options = self.options or Options()
        with open_deployment(self.path, options if stores else replace(options, stores=())) as deployment:
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

    def ask(self, page: Page) -> None:
        """Print what a question is about on standard error, so that standard output stays the result's."""
        write(render(page, terminal=sys.stderr.isatty(), no_color=self.no_color), error=True)


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


class Exemplified(click.Command):
    """A command with an example in its help, and the first clause of its purpose in lists."""

    def __init__(self, name: str | None, *, example: str, **extra: Any) -> None:
        """Take click's arguments, and the example: command lines without the program's name in front."""
        lines = "\n".join(f"  lifecycle {line}" for line in example.split("\n"))
        super().__init__(name, **{**extra, "epilog": f"\b\nExample:\n{lines}"})

    def get_short_help_str(self, limit: int = 45) -> str:
        """Return the purpose up to its first colon or semicolon, never cut in the middle."""
        del limit
        purpose = " ".join((self.help or "").split("\n\n")[0].split())
        return re.split(r"[;:]", purpose, maxsplit=1)[0].rstrip(".") + "."


class Verb(Exemplified):
    """A command with `--json`."""

    def __init__(self, name: str | None, **extra: Any) -> None:
        """Take click's arguments and the example, and add the option."""
        super().__init__(name, **extra)
        self.params.append(json_option())


class Verbs(Exemplified, click.Group):
    """A group of verbs."""

    def verb(self, name: str, *, example: str) -> Decorator[Verb]:
        """Make a function a verb of this group."""

        def made(function: Callable[..., Any]) -> Verb:
            command = click.command(name, cls=Verb, example=example)(function)
            self.add_command(command)
            return command

        return made


def verb(name: str, *, example: str) -> Decorator[Verb]:
    """Make a function a verb of the root."""
    return click.command(name, cls=Verb, example=example)


def verbs(name: str, *, example: str) -> Decorator[Verbs]:
    """Make a function a group of verbs."""
    return click.command(name, cls=Verbs, example=example)
