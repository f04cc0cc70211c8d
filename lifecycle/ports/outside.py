"""What lives outside the databases: the checkpoint's second copy and the kill switch's file."""

from __future__ import annotations

from typing import Protocol


class OutsideCheckpoint(Protocol):
    """The last checkpoint, kept where whoever rewrites the state's history cannot reach it."""

    def read(self) -> str | None:
        """Return the signed note, or None when none was ever written. Raises Corrupt when it cannot be read."""

    def write(self, note: str) -> None:
        """Replace it durably: after the return it survives a power cut. Raises Transient when it cannot."""


class KillSwitch(Protocol):
    """Stops everything before the next batch, survives a restart; unreadable means stop (I28)."""

    def stopped(self) -> str | None:
        """Return why everything is stopped (`file`, `unreadable`), or None."""

    def stop(self) -> None:
        """Switch on, durably."""

    def resume(self) -> None:
        """Switch off, durably."""
