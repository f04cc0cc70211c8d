"""What people read: lines, pairs and tables. Plain and greppable into a pipe, with colours and rules on a terminal.

Everything is escaped on its way out: a value from a document or a catalogue never moves a cursor or turns a line round.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Style = Literal["plain", "head", "good", "bad", "warn", "dim"]
STYLES: dict[Style, str] = {
    "plain": "", "head": "bold", "good": "bold green", "bad": "bold red", "warn": "yellow", "dim": "dim",
}  # fmt: skip
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
GAP = "  "
NOTHING = frozenset({"", "-", "0"})
UNBROKEN = 22


@dataclass(frozen=True, slots=True)
class Line:
    """One line."""

    text: str
    style: Style = "plain"
    indent: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under headers."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(slots=True)
class Page:
    """Blocks in their order."""

    blocks: list[Line | Table] = field(default_factory=list)

    def line(self, text: str = "", style: Style = "plain", *, indent: int = 0) -> Page:
        """Add a line."""
        self.blocks.append(Line(text, style, indent))
        return self

    def lines(self, texts: Iterable[str], style: Style = "plain", *, indent: int = 0) -> Page:
        """Add lines."""
        for text in texts:
            self.line(text, style, indent=indent)
        return self

    def pairs(self, pairs: Iterable[tuple[str, object]], *, indent: int = 0) -> Page:
        """Add a name and a value on each line; None and empty ones are left out."""
        shown = [(name, str(value)) for name, value in pairs if value is not None and value != ""]
        width = max((len(name) for name, _ in shown), default=0)
        return self.lines((f"{name:<{width}}{GAP}{value}" for name, value in shown), indent=indent)

    def table(self, headers: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "none") -> Page:
        """Add a table, or a word when it has no rows."""
        cells = tuple(tuple("-" if cell is None else str(cell) for cell in row) for row in rows)
        if not cells:
            return self.line(empty, "dim")
        self.blocks.append(Table(tuple(headers), cells))
        return self


def clean(text: str) -> str:
    """Escape what nobody sees: controls, bidi and zero-width characters, surrogates, line separators."""
    return "".join(_escaped(c) if unicodedata.category(c) in UNSEEN else c for c in text)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def render(page: Page, *, terminal: bool, no_color: bool = False) -> str:
    """Return the page as text, for a terminal or for a pipe."""
    return _rich(page, no_color=no_color) if terminal else "".join(f"{line}\n" for line in _plain(page))


def _plain(page: Page) -> Iterator[str]:
    for block in page.blocks:
        if isinstance(block, Line):
            yield (" " * block.indent + clean(block.text)).rstrip()
            continue
        rows = [block.headers, *(tuple(clean(cell) for cell in row) for row in block.rows)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(block.headers))]
        for row in rows:
            yield GAP.join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


def _rich(page: Page, *, no_color: bool) -> str:
    # Imported here: a pipe and `--help` do without it, and it takes longer than all the rest.
    from rich.console import Console

    console = Console(no_color=no_color or None, highlight=False, markup=False, emoji=False, soft_wrap=False)
    with console.capture() as capture:
        for block in page.blocks:
            _print(console, block)
    return capture.get()


def _print(console: Console, block: Line | Table) -> None:
    from rich.padding import Padding
    from rich.text import Text

    shown: RenderableType
    if isinstance(block, Line):
        shown = Padding(Text(clean(block.text), style=STYLES[block.style]), (0, 0, 0, block.indent))
    else:
        shown = _rich_table(block)
    console.print(shown)


def _rich_table(block: Table) -> RenderableType:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    # On a screen, columns that say nothing make room; a day or a number is never broken. A pipe gets all of them.
    shown = [i for i in range(len(block.headers)) if any(row[i] not in NOTHING for row in block.rows)]
    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for i in shown:
        table.add_column(Text(block.headers[i]), no_wrap=all(len(row[i]) <= UNBROKEN for row in block.rows))
    for row in block.rows:
        table.add_row(*(Text(clean(row[i]), overflow="fold") for i in shown))
    return table
