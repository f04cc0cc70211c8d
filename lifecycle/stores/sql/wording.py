"""How findings say sizes and lists."""

from __future__ import annotations

from collections.abc import Sequence

_SHOWN = 5
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def sized(count: int) -> str:
    """Return a number of bytes as people say it: `512 B`, `1.5 GiB`."""
    size, unit = float(count), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 or size >= 100 else f"{size:.1f} {_UNITS[unit]}"


def listed(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    shown = ", ".join(names[:_SHOWN])
    more = len(names) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def share(part: int, whole: int) -> str:
    """Return `12 of 4,000 sampled values (0.3 %)`."""
    percent = 100 * part / whole
    shown = f"{percent:.0f}" if percent >= 10 else f"{percent:.1f}"
    return f"{part:,} of {whole:,} sampled values ({'<0.1' if shown == '0.0' else shown} %)"
