"""What the service was started from: whether it changed since, without reading it all again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from lifecycle.core.settings import Settings
from lifecycle.wiring.deployment import SETTINGS_FILE

Signature = tuple[tuple[str, int, int, int], ...]


def signature(folder: Path, settings: Settings) -> Signature:
    """Return names, inodes, sizes and times of everything a deployment is read from; what is missing is left out."""
    found = (_signed(path) for path in sorted(set(_paths(folder, settings))))
    return tuple(one for one in found if one is not None)


def _paths(folder: Path, settings: Settings) -> Iterator[Path]:
    yield folder / SETTINGS_FILE
    yield folder / settings.inventory
    yield folder / settings.operators
    if settings.tenants is not None:
        yield folder / settings.tenants
    for place, _, names in os.walk(folder / settings.policies):
        for name in names:
            yield Path(place) / name


def _signed(path: Path) -> tuple[str, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        # Being replaced, or not ours to read: what it is, a reload says in words.
        return None
    return str(path), found.st_ino, found.st_size, found.st_mtime_ns


def needs_restart(old: Settings, new: Settings) -> list[str]:
    """Return the settings that a running service cannot take over: it must be started anew for them."""
    fixed = ("deployment", "origin", "state", "leader_url", "keys", "checkpoint", "http", "daemon")
    found = [name for name in fixed if getattr(old, name) != getattr(new, name)]
    if (old.schedule.tick, old.schedule.look) != (new.schedule.tick, new.schedule.look):
        found.append("schedule.tick, schedule.look")
    return found
