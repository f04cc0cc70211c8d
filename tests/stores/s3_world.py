"""The contract suite's world in buckets: each row is an object below its firm's prefix, on a real server."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from lifecycle.core.inventory import Dataset, TimeColumn
from lifecycle.core.objectset import ObjectSet
from lifecycle.ports.failpoint import Failpoint, no_failpoint
from lifecycle.stores.s3 import ObjectStore, open_keys
from lifecycle.testing import store_world as w
from tests.object_proxy import Proxy, proxy
from tests.object_servers import s3_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

TIMES = {
    "made": TimeColumn(column="last_modified", encoding="utc"),
    "day": TimeColumn(column="key", encoding="date"),
}
DATED = "{any}.{year}-{month}-{day}.dat"


@dataclass
class Server:
    """A running server, the proxy before it, and a client of the application that goes past the proxy."""

    url: str
    proxy: Proxy
    client: Any

    def address(self, own: str) -> str:
        """Return the store's address through the proxy."""
        parts = urlsplit(self.url)
        return f"s3+http://{parts.username}:{parts.password}@127.0.0.1:{self.proxy.port}/?own={own}"

    def bucket(self, name: str, *, versioned: bool = False, locks: bool = False) -> None:
        """Make a bucket, or empty the one that is there."""
        if name not in {bucket["Name"] for bucket in self.client.list_buckets()["Buckets"]}:
            self.client.create_bucket(Bucket=name, **({"ObjectLockEnabledForBucket": True} if locks else {}))
            if versioned and not locks:
                self.client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        self.empty(name)

    def empty(self, name: str) -> None:
        """Remove everything, uploads too."""
        for key, version in self.everything(name):
            self.client.delete_object(Bucket=name, Key=key, VersionId=version)
        for upload in self.client.list_multipart_uploads(Bucket=name).get("Uploads", ()):
            self.client.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])

    def everything(self, name: str) -> list[tuple[str, str]]:
        """Return key and id of every version and marker."""
        return [
            (one["Key"], one["VersionId"])
            for page in self.client.get_paginator("list_object_versions").paginate(Bucket=name)
            for one in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
        ]

    def put(self, bucket: str, key: str, made: datetime | None = None, body: bytes = b"x", **more: Any) -> str:
        """Write an object as the application does, shown as of a moment; return its version."""
        version: str = self.client.put_object(Bucket=bucket, Key=key, Body=body, **more).get("VersionId") or "null"
        self.proxy.times.pop((bucket, key, version), None)
        if made is not None:
            self.proxy.times[bucket, key, version] = made
        return version


@contextmanager
def running() -> Iterator[Server]:
    """A server of our own, or the given one, with a proxy before it."""
    with s3_server() as server:
        parts = urlsplit(server.url)
        assert parts.hostname is not None
        assert parts.port is not None
        client = boto3.client(
            "s3",
            endpoint_url=f"http://{parts.hostname}:{parts.port}",
            aws_access_key_id=parts.username,
            aws_secret_access_key=parts.password,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
        )
        with proxy(parts.hostname, parts.port) as between:
            yield Server(server.url, between, client)
        client.close()


class S3World:
    """Buckets, written as the application would."""

    def __init__(self, server: Server, *, versioned: bool) -> None:
        """Make the datasets' buckets and ours, all of them empty."""
        self.server, self.versioned = server, versioned
        server.proxy.reset()
        self.own = self.bucket("own")
        server.bucket(self.own)
        self.datasets = tuple(self._dataset(one) for one in w.DATASETS)
        for dataset in self.datasets:
            server.bucket(dataset.table, versioned=versioned)

    def bucket(self, table: str) -> str:
        """Return the bucket's name of a table."""
        return table.replace("_", "-") + ("-versioned" if self.versioned else "-plain")

    def _dataset(self, one: Dataset) -> Dataset:
        return Dataset(
            id=one.id,
            store=w.STORE,
            table=self.bucket(one.table),
            category=one.category,
            key=("key",),
            tenant=w.ITEMS[one.id],
            times=TIMES,
            objects=ObjectSet(dated=DATED),
        )

    def store(self, failpoint: Failpoint = no_failpoint) -> ObjectStore:
        """Return a new handle."""
        address = self.server.address(self.own)
        return ObjectStore(w.STORE, address, self.datasets, deployment=w.DEPLOYMENT, failpoint=failpoint)

    def insert(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        """Write objects, each as of when its row was made; without that, as of the beginning of all clocks."""
        for row in rows:
            made = row.get("made") if "made" in row else None
            body = str(row.get("title", "x")).encode()
            self.server.put(self.bucket(table), _key(row), made or w.at(w.date(1970, 1, 1)), body)

    def change(self, table: str, key: dict[str, Any], values: dict[str, Any]) -> None:
        """Write the object of that id again, or move it; the old version goes."""
        bucket = self.bucket(table)
        ((old, version),) = (one for one in self.server.everything(bucket) if _id(one[0]) == key["id"])
        name = f"{values['firm']}/{old.rpartition('/')[2]}" if "firm" in values else old
        made = values.get("made") or self.server.proxy.times.get((bucket, old, version))
        if name != old or self.versioned:
            self.server.client.delete_object(Bucket=bucket, Key=old, VersionId=version)
        self.server.put(bucket, name, made)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return what is there."""
        return [
            {"id": _id(key), "firm": key.rpartition("/")[0]} for key, _ in self.server.everything(self.bucket(table))
        ]

    def open_keys(self, sealed: bytes, key: bytes, batch_id: str) -> list[tuple[Any, ...]]:
        """Open a list."""
        return [(_id(name),) for name, _, _ in open_keys(sealed, key, batch_id)]


def _key(row: dict[str, Any]) -> str:
    name = f"{row['id']}.{row.get('day')}.dat"
    return f"{row['firm']}/{name}" if row.get("firm") else name


def _id(key: str) -> int:
    return int(key.rpartition("/")[2].split(".", maxsplit=1)[0])
