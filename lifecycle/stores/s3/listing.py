"""Listing: every version, every delete marker, every upload in flight under a prefix, page by page.

Keys come in the server's own order, which is not always that of their bytes; nothing here compares two keys but for
being the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal
from urllib.parse import unquote_plus
from xml.etree.ElementTree import Element

from lifecycle.core.errors import Transient
from lifecycle.stores.s3.wire import Silent, Wire, child, local

PAGE: Final = 1_000
NULL_VERSION: Final = "null"
"""The id of a version from before versioning, and of every object where a bucket has none: it can be overwritten."""

Kind = Literal["version", "marker", "upload"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One version, delete marker or upload in flight of one key.

    A marker has no content and no size; an upload's `modified` is when it began. `garbled`: the server could not show
    the key as it is, so nobody can name it in a request.
    """

    key: str = field(repr=False)
    kind: Kind
    id: str
    modified: datetime
    size: int = 0
    etag: str = ""
    latest: bool = False
    garbled: bool = False

    @property
    def name(self) -> tuple[str, str, str]:
        """Return what no other entry of its bucket has."""
        return self.key, self.kind, self.id

    def same(self, other: Entry) -> bool:
        """Tell whether the other is this very thing: an overwritten null version is not."""
        return (self.name, self.modified, self.size, self.etag) == (
            other.name,
            other.modified,
            other.size,
            other.etag,
        )


def versions(wire: Wire, bucket: str, prefix: str, after: str | None = None, page: int = PAGE) -> Iterator[Entry]:
    """Yield every version and delete marker under the prefix, in the server's order, behind all versions of `after`.

    Raises Transient where a page is not whole or goes nowhere: a listing that ends early would read as "gone".
    """
    mark = None if after is None else (after, "")
    while True:
        query = {"encoding-type": "url", "max-keys": str(page), "prefix": prefix, "versions": ""}
        if mark is not None:
            query |= {"key-marker": mark[0]} | ({"version-id-marker": mark[1]} if mark[1] else {})
        root = _expect(wire.get(bucket, query), "ListVersionsResult")
        encoded = child(root, "EncodingType") == "url"
        for found in root:
            if local(found) in {"Version", "DeleteMarker"}:
                yield _version(found, encoded=encoded)
        if not _truncated(root):
            return
        following = (_key(child(root, "NextKeyMarker") or "", encoded), child(root, "NextVersionIdMarker") or "")
        if following == mark or not following[0]:
            raise Transient("a page of the object store says that more follows, and not where")
        mark = following


def objects(wire: Wire, bucket: str, prefix: str, after: str | None = None, page: int = PAGE) -> Iterator[Entry]:
    """Yield every object of a bucket that never had versioning: several times faster than `versions`."""
    token: str | None = None
    while True:
        query = {"encoding-type": "url", "list-type": "2", "max-keys": str(page), "prefix": prefix}
        if token is not None:
            query |= {"continuation-token": token}
        elif after is not None:
            query |= {"start-after": after}
        root = _expect(wire.get(bucket, query), "ListBucketResult")
        encoded = child(root, "EncodingType") == "url"
        for found in root:
            if local(found) == "Contents":
                yield _version(found, encoded=encoded)
        if not _truncated(root):
            return
        more = child(root, "NextContinuationToken")
        if not more or more == token:
            raise Transient("a page of the object store says that more follows, and not where")
        token = more


def uploads(wire: Wire, bucket: str, prefix: str) -> Iterator[Entry]:
    """Yield every upload in flight under the prefix: parts that no listing of objects shows, and that are kept."""
    after: tuple[str, str] | None = None
    while True:
        query = {"encoding-type": "url", "max-uploads": str(PAGE), "prefix": prefix, "uploads": ""}
        if after is not None:
            query |= {"key-marker": after[0], "upload-id-marker": after[1]}
        root = _expect(wire.get(bucket, query), "ListMultipartUploadsResult")
        encoded = child(root, "EncodingType") == "url"
        for found in root:
            if local(found) == "Upload":
                key = _key(_text(found, "Key"), encoded)
                begun = _time(_text(found, "Initiated"))
                yield Entry(key, "upload", _text(found, "UploadId"), begun, garbled=_garbled(key, encoded))
        if not _truncated(root):
            return
        following = (_key(child(root, "NextKeyMarker") or "", encoded), child(root, "NextUploadIdMarker") or "")
        if following == after or not any(following):
            raise Transient("a page of the object store says that more follows, and not where")
        after = following


def versioned(wire: Wire, bucket: str) -> bool:
    """Tell whether a bucket has, or ever had, versioning."""
    root = _expect(wire.get(bucket, {"versioning": ""}), "VersioningConfiguration")
    return bool(child(root, "Status"))


def _expect(root: Element, name: str) -> Element:
    if local(root) != name:
        raise Silent(f"the object store answered with another document than {name}")
    return root


def _truncated(root: Element) -> bool:
    said = child(root, "IsTruncated")
    if said not in {"true", "false"}:
        raise Silent("a page of the object store does not say whether more follows")
    return said == "true"


def _key(text: str, encoded: bool) -> str:  # noqa: FBT001 - what the answer says of itself
    return unquote_plus(text) if encoded else text


def _garbled(key: str, encoded: bool) -> bool:  # noqa: FBT001 - what the answer says of itself
    # XML cannot hold most control characters: a server that does not encode keys puts this in their place.
    return not encoded and "\ufffd" in key


def _version(found: Element, *, encoded: bool) -> Entry:
    parts = {local(part): part.text or "" for part in found}
    marker = local(found) == "DeleteMarker"
    try:
        key = _key(parts["Key"], encoded)
        return Entry(
            key,
            "marker" if marker else "version",
            parts.get("VersionId") or NULL_VERSION,
            _time(parts["LastModified"]),
            int(parts.get("Size") or 0),
            parts.get("ETag", ""),
            parts.get("IsLatest", "true") == "true",
            _garbled(key, encoded),
        )
    except (KeyError, ValueError):
        raise Silent("a page of the object store has an entry without key, size or time") from None


def _text(element: Element, name: str) -> str:
    text = child(element, name)
    if text is None:
        raise Silent(f"an entry of the object store has no {name}")
    return text


def _time(text: str) -> datetime:
    """Read ISO 8601 as S3 writes it: always UTC, with a fraction or without."""
    return datetime.fromisoformat(text).astimezone(UTC)
