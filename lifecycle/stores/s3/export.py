"""Exports: a tenant's objects as they are now, each with its content as a stream. Older versions are not returned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, cast

from botocore.exceptions import BotoCoreError, ClientError

from lifecycle.core.errors import Refused, Transient
from lifecycle.core.selection import Bound, TenantScope
from lifecycle.ports.store import Content, Rows
from lifecycle.stores.s3.layout import Layout
from lifecycle.stores.s3.listing import NULL_VERSION, Entry
from lifecycle.stores.s3.select import objects_or_versions
from lifecycle.stores.s3.wire import Wire

COLUMNS = ("key", "last_modified", "size", "content", "lifecycle_tenant")


@contextmanager
def objects(wire: Wire, layout: Layout, bound: Bound) -> Iterator[Rows]:
    """Stream the latest version of each object of the scope."""
    if not isinstance(bound.selection.scope, TenantScope) or not bound.tenant or not layout.tenanted:
        raise Refused("only a tenant's objects are exported", guard="scope")
    prefix = layout.prefix(bound.tenant)
    yield Rows(COLUMNS, len(COLUMNS) - 1, _rows(wire, layout, prefix), contents=COLUMNS.index("content"))


def _rows(wire: Wire, layout: Layout, prefix: str) -> Iterator[Sequence[object]]:
    for entry in objects_or_versions(wire, layout.bucket, prefix):
        if entry.kind == "version" and entry.latest:
            content = _content(wire, layout.bucket, entry)
            yield (entry.key, entry.modified, entry.size, content, layout.tenant_of(entry.key))


def _content(wire: Wire, bucket: str, entry: Entry) -> Content:
    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        asked: dict[str, Any] = {"Bucket": bucket, "Key": entry.key}
        if entry.id != NULL_VERSION:
            asked["VersionId"] = entry.id
        elif entry.etag:
            asked["IfMatch"] = entry.etag
        if wire.address.owner is not None:
            asked["ExpectedBucketOwner"] = wire.address.owner
        try:
            body = wire.client.get_object(**asked)["Body"]
        except (ClientError, BotoCoreError):
            raise Transient("an object could not be read for its return", advice="Export again.") from None
        try:
            yield cast("IO[bytes]", body)
        finally:
            body.close()

    return Content(entry.key.rpartition("/")[2].encode(), opened)
