"""Files by their keys, for rows that reference them: a key is a path below the dataset's folder, as text."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from lifecycle.core.errors import LifecycleError, Refused
from lifecycle.ports.links import Object
from lifecycle.ports.store import Cut, Rows
from lifecycle.stores.files import lists
from lifecycle.stores.files.export import COLUMNS, row_of
from lifecycle.stores.files.layout import Layout, Seen
from lifecycle.stores.files.lists import Item, Listing
from lifecycle.stores.files.places import OWN, Identity, Path, Root, is_file, is_folder, quoted, status_of, translated
from lifecycle.stores.files.select import Judge, parent_of, walk


def path_of(layout: Layout, key: str) -> Path | None:
    """Return the path of a key; None for one that no file below the dataset's folder can have."""
    try:
        path = tuple(part.encode(errors="surrogateescape") for part in key.split("/"))
    except UnicodeEncodeError:
        return None
    strays = any(part in {b"", b".", b".."} or b"\0" in part or len(part) > 255 for part in path)
    return None if strays or (not layout.folder and path[0] == OWN) else path


def _seen(root: Root, layout: Layout, keys: Iterable[str]) -> Iterator[tuple[str, Seen]]:
    for key in keys:
        path = path_of(layout, key)
        if path is None:
            continue
        with parent_of(root, layout.folder, path) as parent:
            status = None if parent is None else status_of(parent, path[-1])
            if parent is not None and status is not None and not is_folder(status):
                yield key, Seen(path, status, parent)


def there(root: Root, layout: Layout, keys: Collection[str]) -> frozenset[str]:
    """Return the keys under which anything but a folder lies. Raises where the dataset's folder is not there."""
    with root.folder(layout.folder):
        return frozenset(key for key, _ in _seen(root, layout, keys))


def pick(root: Root, judge: Judge, keys: Sequence[str]) -> Cut | None:
    """List those files that the selection takes and that can be deleted."""
    if len(keys) > lists.MOST_ITEMS:
        raise Refused(f"a batch of files has at most {lists.MOST_ITEMS} items", guard="limit")
    layout = judge.layout
    with root.folder(layout.folder):
        items = [
            Item(seen.path, Identity.of(seen.status), layout.tenant_of(seen.path))
            for _, seen in _seen(root, layout, keys)
            if judge.selected(seen) and judge.obstacle(seen) is None
        ]
    if not items:
        return None
    listed = lists.write(Listing(layout.dataset.id, layout.folder, items))
    return Cut(None, [quoted(max(item.path for item in items))], len(items), listed)


def objects(root: Root, layout: Layout) -> Iterator[Object]:
    """Yield every file with its key; names that are no UTF-8 keep their bytes as surrogates."""
    for seen in walk(root, layout, ()):
        if is_file(seen.status):
            key = os.fsdecode(b"/".join(seen.path))
            yield Object(key, datetime.fromtimestamp(seen.status.st_mtime_ns // 10**9, UTC))


@contextmanager
def export_keys(root: Root, layout: Layout, keys: Iterable[str], tenant: str) -> Iterator[Rows]:
    """Stream these files as rows of the tenant, each while its folder is open."""
    problem: LifecycleError | None = None
    try:
        rows = (row_of(seen, tenant) for _, seen in _seen(root, layout, keys) if is_file(seen.status))
        yield Rows(COLUMNS, len(COLUMNS) - 1, rows, contents=COLUMNS.index("content"))
    except OSError as error:
        problem = translated(error)
    if problem is not None:
        raise problem
