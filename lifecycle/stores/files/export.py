"""Exports: a tenant's files, each with its content as a stream."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from lifecycle.core.errors import LifecycleError, Refused
from lifecycle.core.selection import Bound, TenantScope
from lifecycle.ports.store import Content, Rows
from lifecycle.stores.files.layout import Layout, Seen, modified
from lifecycle.stores.files.places import Root, quoted, translated
from lifecycle.stores.files.select import walk

COLUMNS = ("name", "modified_at", "size", "content", "lifecycle_tenant")


@contextmanager
def files(root: Root, layout: Layout, bound: Bound) -> Iterator[Rows]:
    """Stream the files of the scope, in order. Links and special files have no content that could be returned."""
    if not isinstance(bound.selection.scope, TenantScope) or not bound.tenant or not layout.tenanted:
        raise Refused("only a tenant's files are exported", guard="scope")
    prefix = layout.prefix(bound.tenant)
    problem: LifecycleError | None = None
    try:
        yield Rows(COLUMNS, len(COLUMNS) - 1, _rows(root, layout, prefix), contents=COLUMNS.index("content"))
    except OSError as error:
        problem = translated(error)
    if problem is not None:
        raise problem


def _rows(root: Root, layout: Layout, prefix: tuple[bytes, ...]) -> Iterator[Sequence[object]]:
    for seen in walk(root, layout, prefix, ordered=True):
        if stat.S_ISREG(seen.status.st_mode):
            yield row_of(seen, layout.tenant_of(seen.path))


def row_of(seen: Seen, tenant: str | None) -> Sequence[object]:
    """Return one file as a row, current while its folder is open."""
    return (quoted(seen.path), modified(seen.status), seen.status.st_size, _content(seen), tenant)


def _content(seen: Seen) -> Content:
    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        descriptor = os.open(seen.path[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=seen.parent)
        with os.fdopen(descriptor, "rb") as file:
            yield file

    return Content(seen.path[-1], opened)
