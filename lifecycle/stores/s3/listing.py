"""Listing: every version, every delete marker, every upload in flight under a prefix, page by page, in key order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import unquote_plus
from xml.etree.ElementTree import Element

from lifecycle.core.errors import Transient
from lifecycle.stores.s3.wire import Wire, child, local

PAGE: Final = 1_000
NULL_VERSION: Final = "null"
"""The id of a version from before versioning, and of every object where a bucket has none."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one key. `marker`: a delete marker, which has no content and no size."""

    key: str
    id: str
    modified: datetime
    size: int
    marker: bool
    latest: bool


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload in flight: parts that no listing of objects shows, and that are paid and kept."""

    key: str
    id: str
    begun: datetime


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a listing of versions goes on: behind this version of this key."""

    key: str
    version: str


def versions(wire: Wire, bucket: str, prefix: str, after: Mark | None = None, page: int = PAGE) -> Iterator[Version]:
    """Yield every version and delete marker under the prefix, in the server's order: by key, the newest first.

    Raises Transient where a page is not whole or goes nowhere: a listing that ends early would read as "gone".
    """
    while True:
        query = {"encoding-type": "url", "max-keys": str(page), "prefix": prefix, "versions": ""}
        if after is not None:
            query |= {"key-marker": after.key} | ({"version-id-marker": after.version} if after.version else {})
        root = _expect(wire.get(bucket, query), "ListVersionsResult")
        yield from (_version(found) for found in root if local(found) in {"Version", "DeleteMarker"})
        if not _truncated(root):
            return
        mark = Mark(unquote_plus(child(root, "NextKeyMarker") or ""), child(root, "NextVersionIdMarker") or "")
        if mark == after or not mark.key:
            raise Transient("a page of the object store says that more follows, and not where")
        after = mark


def objects(wire: Wire, bucket: str, prefix: str, after: str | None = None, page: int = PAGE) -> Iterator[Version]:
    """Yield every object of a bucket that never had versioning, in key order: several times faster than `versions`."""
    token: str | None = None
    while True:
        query = {"encoding-type": "url", "list-type": "2", "max-keys": str(page), "prefix": prefix}
        if token is not None:
            query |= {"continuation-token": token}
        elif after is not None:
            query |= {"start-after": after}
        root = _expect(wire.get(bucket, query), "ListBucketResult")
        yield from (_object(found) for found in root if local(found) == "Contents")
        if not _truncated(root):
            return
        more = child(root, "NextContinuationToken")
        if not more or more == token:
            raise Transient("a page of the object store says that more follows, and not where")
        token = more


def uploads(wire: Wire, bucket: str, prefix: str) -> Iterator[Upload]:
    """Yield every upload in flight under the prefix."""
    after: tuple[str, str] | None = None
    while True:
        query = {"encoding-type": "url", "max-uploads": str(PAGE), "prefix": prefix, "uploads": ""}
        if after is not None:
            query |= {"key-marker": after[0], "upload-id-marker": after[1]}
        root = _expect(wire.get(bucket, query), "ListMultipartUploadsResult")
        encoded = child(root, "EncodingType") == "url"
        for found in root:
            if local(found) == "Upload":
                key = _text(found, "Key")
                yield Upload(
                    unquote_plus(key) if encoded else key, _text(found, "UploadId"), _time(_text(found, "Initiated"))
                )
        if not _truncated(root):
            return
        following = (unquote_plus(child(root, "NextKeyMarker") or ""), child(root, "NextUploadIdMarker") or "")
        if following == after or not any(following):
            raise Transient("a page of the object store says that more follows, and not where")
        after = following


def _expect(root: Element, name: str) -> Element:
    if local(root) != name:
        raise Transient(f"the object store answered with another document than {name}")
    return root


def _truncated(root: Element) -> bool:
    said = child(root, "IsTruncated")
    if said not in {"true", "false"}:
        raise Transient("a page of the object store does not say whether more follows")
    return said == "true"


def _version(found: Element) -> Version:
    parts = {local(part): part.text or "" for part in found}
    try:
        return Version(
            unquote_plus(parts["Key"]),
            parts.get("VersionId") or NULL_VERSION,
            _time(parts["LastModified"]),
            int(parts.get("Size") or 0),
            local(found) == "DeleteMarker",
            parts.get("IsLatest") == "true",
        )
    except (KeyError, ValueError):
        raise Transient("a page of the object store has an entry without key, size or time") from None


def _object(found: Element) -> Version:
    parts = {local(part): part.text or "" for part in found}
    try:
        modified = _time(parts["LastModified"])
        return Version(unquote_plus(parts["Key"]), NULL_VERSION, modified, int(parts.get("Size") or 0), False, True)
    except (KeyError, ValueError):
        raise Transient("a page of the object store has an entry without key, size or time") from None


def _text(element: Element, name: str) -> str:
    text = child(element, name)
    if text is None:
        raise Transient(f"an entry of the object store has no {name}")
    return text


def _time(text: str) -> datetime:
    """Read ISO 8601 as S3 writes it: always UTC, with a fraction or without."""
    return datetime.fromisoformat(text).astimezone(UTC)
