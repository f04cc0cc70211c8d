"""Files that their batch has set aside: in a private folder of the batch, each under its number in the list.

Undecided, they get their names back; decided, they are unlinked. Nothing here removes what was not put here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from lifecycle.ports.failpoint import Failpoint, no_failpoint
from lifecycle.ports.store import Receipt
from lifecycle.stores.files import private
from lifecycle.stores.files.lists import Item, Listing
from lifecycle.stores.files.places import Path, Root, move_back, names_of, quoted, status_of
from lifecycle.stores.files.select import parent_of

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def finished(own: int, batch: str) -> Receipt | None:
    """Return a batch's receipt, after finishing what it decided; None when it has none."""
    receipt = private.receipt_of(own, batch)
    if receipt is not None and receipt.state == "done" and left_over(own, batch):
        with opened(own, batch) as trash:
            unlink(trash, no_failpoint)
        remove(own, batch)
    return receipt


def left_over(own: int, batch: str) -> bool:
    """Tell whether a batch's folder is there: its process ended before it was done."""
    with private.inside(own, private.TRASH) as folder:
        return status_of(folder, private.trash_name(batch)) is not None


def give_back(root: Root, own: int, batch: str, listing: Listing) -> None:
    """Give every file of an undecided batch its name back, and remove its folder."""
    if not left_over(own, batch):
        return
    with opened(own, batch) as trash:
        for number in sorted(int(name) for name in names_of(trash) if name.isdigit()):
            put_back(root, own, (trash, batch), (number, listing.folder, listing.items[number]))
    remove(own, batch)


def put_back(root: Root, own: int, trash: tuple[int, str], what: tuple[int, Path, Item]) -> None:
    """Give one file its name back; where somebody has taken that, keep it with a note of where it lay."""
    descriptor, batch = trash
    number, folder, item = what
    with parent_of(root, folder, item.path) as parent:
        if parent is not None:
            if move_back(descriptor, number_of(number), parent, item.path[-1]):
                os.fsync(parent)
                return
            if _same(descriptor, number_of(number), parent, item.path[-1]):
                os.unlink(number_of(number), dir_fd=descriptor)
                return
    _strand(own, descriptor, f"{batch}-{number}".encode(), folder + item.path, number_of(number))


def _same(one: int, name: bytes, other: int, wanted: bytes) -> bool:
    """Tell whether a name was given back already, by a process that ended between its two steps."""
    here, there = status_of(one, name), status_of(other, wanted)
    return here is not None and there is not None and (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def _strand(own: int, trash: int, name: bytes, path: Path, number: bytes) -> None:
    """Keep a file whose name is taken, with a note of where it lay: never lost, and a finding until somebody looks."""
    note = quoted(path).encode()
    with private.inside(own, private.STRANDED) as stranded:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(name + b".path", flags, 0o600, dir_fd=stranded), "wb") as file:
            file.write(note)
            file.flush()
            os.fsync(file.fileno())
        os.rename(number, name, src_dir_fd=trash, dst_dir_fd=stranded)
        os.fsync(stranded)


def number_of(number: int) -> bytes:
    """Return the name of a file in its batch's folder."""
    return b"%d" % number


@contextmanager
def opened(own: int, batch: str) -> Iterator[int]:
    """Open a batch's folder, and make it where it is not there."""
    with private.inside(own, private.TRASH) as folder:
        name = private.trash_name(batch)
        if status_of(folder, name) is None:
            os.mkdir(name, 0o700, dir_fd=folder)
            os.fsync(folder)
        descriptor = os.open(name, _FOLDER, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def unlink(trash: int, failpoint: Failpoint) -> None:
    """Delete what lies in a decided batch's folder: regular files only, each by its name in that folder."""
    for name in list(names_of(trash)):
        status = status_of(trash, name)
        if status is not None and stat.S_ISREG(status.st_mode):
            os.unlink(name, dir_fd=trash)
            failpoint("item.gone")
    os.fsync(trash)


def remove(own: int, batch: str) -> None:
    """Remove a batch's empty folder."""
    with private.inside(own, private.TRASH) as folder:
        os.rmdir(private.trash_name(batch), dir_fd=folder)
        os.fsync(folder)
