"""What forbids or endangers a plan over folders, and what lies there that nobody declared."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from lifecycle.core.fileset import Logs
from lifecycle.core.inventory import Dataset
from lifecycle.ports.store import Column, Finding, Table
from lifecycle.stores.files import private
from lifecycle.stores.files.layout import Layout
from lifecycle.stores.files.mounts import full, mounts
from lifecycle.stores.files.places import (
    OWN,
    ElsewhereError,
    Path,
    Root,
    folder_of,
    is_file,
    is_folder,
    names_in_order,
    names_of,
    open_below,
    quoted,
    status_of,
)
from lifecycle.stores.files.select import walk

_WORDS: Mapping[str, tuple[str, str]] = {
    "linked": (
        "files have further names (hard links): their content would survive; they are due and stay",
        "Remove the other names, or declare why they exist and let the application delete the file.",
    ),
    "symbolic-link": (
        "symbolic links are neither followed nor deleted",
        "Replace them by what they name, or remove them by hand.",
    ),
    "special-file": (
        "pipes, sockets or devices lie among the files, and are never deleted",
        "Move them out of the dataset's folder.",
    ),
    "world-writable": (
        "folders may be written by everybody: names can be exchanged",
        "Take the right to write from others, or set the sticky bit.",
    ),
    "unwritable": (
        "our role may not delete from folders",
        "Give it write and search permission on these folders.",
    ),
    "mount": (
        "another file system is mounted below the folder: it is not entered",
        "Make it a store of its own.",
    ),
    "not-a-log": (
        "files fit neither the active nor the rotated names: nothing deletes them",
        "Complete the patterns, or move the files.",
    ),
    "never-rotated": (
        "a log is written and none was ever rotated: what it holds grows past its ceiling",
        "Set up its rotation (logrotate, or the application's own).",
    ),
}


def findings(store: str, root: Root, datasets: Sequence[Dataset]) -> list[Finding]:
    """Return the findings of these datasets and of the root."""
    found = list(_of_root(store, root))
    for dataset in datasets:
        found.extend(_of_dataset(store, root, dataset))
    return found


def _of_root(store: str, root: Root) -> Iterator[Finding]:
    yield from _of_system(store, root)
    with root.opened() as descriptor:
        status = status_of(descriptor, OWN)
        if status is not None and status.st_dev != os.fstat(descriptor).st_dev:
            fix = "Let our folder lie on the file system of the files: a rename is what binds them to their batch."
            yield Finding("trash-elsewhere", store, None, "our folder lies on another file system", fix, fatal=True)
        mirrored = status_of(descriptor, OWN.upper())
        if status is not None and mirrored is not None and mirrored.st_ino == status.st_ino:
            fix = "Use a file system that tells upper from lower case: two tenants' folders could be one."
            yield Finding("case-blind", store, None, "the file system ignores case", fix, fatal=True)
        if status is None:
            return
    with private.Private(root).opened() as own, private.inside(own, private.STRANDED) as folder:
        stranded = sum(not name.endswith(b".path") for name in names_of(folder))
    if stranded:
        fix = "Beside each, a .path file says where it lay: put it back, or delete it."
        what = f"{stranded} files could not be given their names back: somebody took them meanwhile"
        yield Finding("stranded", store, None, what, fix, fatal=False)


def _of_system(store: str, root: Root) -> Iterator[Finding]:
    around = mounts(root.path)
    if around.below:
        what, fix = _WORDS["mount"]
        yield Finding("mount", store, None, f"{what} ({around.below})", fix, fatal=False)
    if around.remote:
        fix = "Let the service run on the host whose disk it is; elsewhere, see that its locks reach every host."
        what = f"the folder lies on another host's file system ({around.kind}): a lock is as good as that host's"
        yield Finding("network", store, None, what, fix, fatal=False)
    with root.opened() as descriptor:
        if full(os.fstatvfs(descriptor)):
            fix = "Make room: our receipts lie on the same file system; moving files aside needs none."
            yield Finding("no-space", store, None, "there is no room for our own files", fix, fatal=True)


def _of_dataset(store: str, root: Root, dataset: Dataset) -> Iterator[Finding]:
    layout = Layout(dataset)
    try:
        with root.folder(layout.folder):
            pass
    except ElsewhereError:
        what, fix = _WORDS["mount"]
        yield Finding("mount", store, dataset.id, what, fix, fatal=True)
        return
    except OSError:
        fix = "Create the folder, correct the inventory, or let our role enter it."
        yield Finding("missing-table", store, dataset.id, "the folder does not exist, or is closed to us", fix, True)
        return
    counts = _folders(root, layout)
    counts.update(_entries(root, layout))
    for code, number in sorted(counts.items()):
        what, fix = _WORDS[code]
        yield Finding(code, store, dataset.id, f"{what} ({number})", fix, fatal=False)


def _entries(root: Root, layout: Layout) -> Counter[str]:
    counts: Counter[str] = Counter()
    active = rotated = 0
    for seen in walk(root, layout, ()):
        mode = seen.status.st_mode
        if stat.S_ISLNK(mode):
            counts["symbolic-link"] += 1
        elif not is_file(seen.status):
            counts["special-file"] += 1
        elif seen.status.st_nlink > 1:
            counts["linked"] += 1
        if isinstance(layout.files, Logs) and is_file(seen.status):
            is_active, is_rotated = layout.active(seen.name), layout.rotated(seen.name)
            active, rotated = active + is_active, rotated + is_rotated
            counts["not-a-log"] += not is_active and not is_rotated
    counts["never-rotated"] += bool(active and not rotated)
    return +counts


def _folders(root: Root, layout: Layout) -> Counter[str]:
    counts: Counter[str] = Counter()
    with root.folder(layout.folder) as top:
        waiting: list[Path] = [()]
        device = os.fstat(top).st_dev
    while waiting:
        path = waiting.pop()
        with suppress(FileNotFoundError, NotADirectoryError), root.folder(layout.folder + path) as here:
            mode = os.fstat(here).st_mode
            counts["world-writable"] += bool(mode & stat.S_IWOTH and not mode & stat.S_ISVTX)
            counts["unwritable"] += not os.access(b".", os.W_OK | os.X_OK, dir_fd=here)
            for name in names_of(here):
                status = status_of(here, name)
                if status is not None and is_folder(status) and not (name == OWN and not layout.folder + path):
                    counts["mount"] += status.st_dev != device
                    waiting += [(*path, name)] if status.st_dev == device else []
    return +counts


def tables(root: Root, datasets: Sequence[Dataset]) -> Iterator[Table]:
    """Yield the declared folders that are there, and the folders and files beside them that nobody declared.

    A folder on the way to a declared one is looked into; any other is named whole.
    """
    declared = {folder_of(dataset.table): dataset for dataset in datasets}
    with root.opened() as top:
        if () in declared:
            yield _table(".", declared[()])
            return
        yield from _beside(top, (), declared)


def _beside(folder: int, path: Path, declared: Mapping[Path, Dataset]) -> Iterator[Table]:
    loose = False
    for name in names_in_order(folder):
        here = (*path, name)
        status = status_of(folder, name)
        if status is None or here == (OWN,):
            continue
        if not is_folder(status):
            loose = True
        elif here in declared:
            yield _table(declared[here].table, declared[here])
        elif any(known[: len(here)] == here for known in declared):
            try:
                below = open_below(folder, name, os.fstat(folder).st_dev)
            except OSError:
                yield _table(quoted(here), None)
                continue
            try:
                yield from _beside(below, here, declared)
            finally:
                os.close(below)
        else:
            yield _table(quoted(here), None)
    if loose:
        yield _table(quoted(path) if path else ".", None)


def _table(name: str, dataset: Dataset | None) -> Table:
    columns = (Column("name", "path", nullable=False), Column("modified_at", "time", nullable=False))
    key = ("name",) if dataset is not None else ()
    return Table(None, name, "folder", columns, key, (), (), "none", 0)
