"""Documentation: every command line that a page shows exists, with the options that it names."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from lifecycle.cli.app import root

REPOSITORY = Path(__file__).parents[2]
PAGES = sorted(
    page
    for page in [REPOSITORY / "README.md", REPOSITORY / "SECURITY.md", *(REPOSITORY / "docs").rglob("*.md")]
    if "adr" not in page.parts
)
# In a code block a line that begins with the command; in running text what stands between backquotes.
LINE = re.compile(r"^(?:\$ )?(?:lifecycle(?:-ctl)?) ([a-z-].*)$", re.MULTILINE)
INLINE = re.compile(r"`lifecycle(?:-ctl)? ([a-z-][^`\n]*)`")
DIRECTORY = {"--dir", "--json", "--quiet", "-q", "--no-color", "--help", "-h", "--version", "-V"}


def commands() -> list[tuple[str, str]]:
    """Return (page, command line) of everything that looks like one of ours."""
    found = []
    for page in PAGES:
        text = page.read_text()
        lines = (match[1].split(" #")[0].strip() for match in [*LINE.finditer(text), *INLINE.finditer(text)])
        found.extend((str(page.relative_to(REPOSITORY)), line) for line in lines)
    return sorted(set(found))


def words_of(line: str) -> list[str]:
    """Return the words of a command line, the global options left out."""
    words = shlex.split(line.replace("…", " ").replace("'", ""))
    while words and words[0] in DIRECTORY:
        words = words[2:] if words[0] == "--dir" else words[1:]
    return words


@pytest.mark.parametrize(("page", "line"), commands(), ids=lambda value: value)
def test_each_command_that_is_shown_exists(page, line):
    """What a page tells an operator to type is understood by this version."""
    words = words_of(line)
    context = click.Context(root)
    command: click.Command = root
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        name = words.pop(0)
        for one in name.split("/"):
            found = command.get_command(context, one)
            assert found is not None, f"{page}: there is no `lifecycle {line}`"
        command = found
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    shown = {word.split("=")[0].rstrip(",.;:)") for word in words if word.startswith("-") and word != "-"}
    assert shown <= known | DIRECTORY, f"{page}: {line}"


def test_there_are_such_commands():
    """The search finds something: a check that finds nothing checks nothing."""
    assert len(commands()) > 50
