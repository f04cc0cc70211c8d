"""Files outside the databases: the checkpoint's copy and the kill switch, both durable when a call returns."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from lifecycle.core.errors import Corrupt, Transient
from lifecycle.ports.outside import KillSwitch

MOST_BYTES = 64 * 1024


class CheckpointFile:
    """The last checkpoint as a signed note in a file; meant to lie on another disk than the state."""

    def __init__(self, path: Path) -> None:
        """Use this path; it need not exist yet."""
        self._path = path

    def read(self) -> str | None:
        """Return the note, or None when there is no file."""
        try:
            with self._path.open("rb") as stream:
                return stream.read(MOST_BYTES).decode()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError):
            raise Corrupt("the checkpoint's copy outside the database cannot be read") from None

    def write(self, note: str) -> None:
        """Replace the note durably."""
        replace(self._path, note.encode())


class StopFile:
    """Stopped while the file exists, and while nobody can tell (I28)."""

    def __init__(self, path: Path) -> None:
        """Use this path."""
        self._path = path

    def stopped(self) -> str | None:
        """Return `file`, `unreadable`, or None."""
        try:
            os.lstat(self._path)
        except FileNotFoundError:
            return None
        except OSError:
            return "unreadable"
        return "file"

    def stop(self) -> None:
        """Write the file. Raises Transient when it cannot be."""
        if self.stopped() != "file":
            replace(self._path, b"stopped\n")

    def resume(self) -> None:
        """Remove the file."""
        try:
            self._path.unlink(missing_ok=True)
            _sync_folder(self._path)
        except OSError as error:
            msg = f"the stop file cannot be removed: {error.strerror}"
            raise Transient(msg) from None


class UntilAsked:
    """A kill switch that is also on while this process was asked something: to end, or to stop.

    `switch`: the wrapped one, which says what holds for everybody.
    """

    def __init__(self, switch: KillSwitch, asked: Callable[[], bool]) -> None:
        """Wrap a switch."""
        self.switch = switch
        self._asked = asked

    def stopped(self) -> str | None:
        """Return `signal` while asked, else what the switch says."""
        return "signal" if self._asked() else self.switch.stopped()

    def stop(self) -> None:
        """Switch the wrapped one on."""
        self.switch.stop()

    def resume(self) -> None:
        """Switch the wrapped one off."""
        self.switch.resume()


def for_everybody(switch: KillSwitch) -> KillSwitch:
    """Return the switch without what only this process was asked."""
    return for_everybody(switch.switch) if isinstance(switch, UntilAsked) else switch


def replace(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file under another name, sync it, and put it in place. Raises Transient; then the old file stands."""
    # Several hosts may share the volume, and every container counts its processes from 1.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
        temporary.replace(path)
        _sync_folder(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        msg = f"{path.name} cannot be written: {error.strerror}"
        raise Transient(msg) from None


def _sync_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
