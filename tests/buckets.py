"""A portal company that keeps its data in buckets: versioned letters by tenant, access records with a day in the key.

What must go is computed here by plain Python from the keys as they were written; nothing of the product is imported.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import boto3
from botocore.config import Config

INVENTORY = """\
lifecycle: inventory/v1
id: portal
stores:
  - id: main
    kind: s3
    address: {file: main.url}
    place: {country: DE, region: Frankfurt}
datasets:
  - id: letters
    store: main
    table: PREFIX-customers
    category: documents
    key: [key]
    tenant: {by: prefix, pattern: "{tenant}/letters/"}
  - id: access
    store: main
    table: PREFIX-access
    category: technical-data
    key: [key]
    tenant: {by: prefix, pattern: "{tenant}/"}
    times: {collection: {column: key, encoding: date}}
    objects: {dated: "{any}/{year}-{month}-{day}-{number}"}
"""
TENANTS = ("acme", "acme2", "Acme", "zebra")
TABLES = {"letters": "customers", "access": "access"}
ZONE = ZoneInfo("Europe/Berlin")
LOG_DAYS, MARGIN_DAYS = 90, 3

Key = tuple[str, str, str, str]
"""Dataset, key, kind and id."""


def client(url: str) -> Any:
    """Return a client of the application."""
    parts = urlsplit(url)
    return boto3.client(
        "s3",
        endpoint_url=f"http://{parts.hostname}:{parts.port}",
        aws_access_key_id=parts.username,
        aws_secret_access_key=parts.password,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
    )


def address(url: str, prefix: str) -> str:
    """Return the store's address."""
    return url.replace("http://", "s3+http://") + f"/?own={prefix}-own"


def create(s3: Any, prefix: str, now: datetime, *, records: int = 16) -> None:
    """Write the application's objects: letters in several versions and behind markers, records, an upload."""
    there = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    for bucket in (*TABLES.values(), "own"):
        if f"{prefix}-{bucket}" not in there:
            s3.create_bucket(Bucket=f"{prefix}-{bucket}")
    letters, access = f"{prefix}-customers", f"{prefix}-access"
    s3.put_bucket_versioning(Bucket=letters, VersioningConfiguration={"Status": "Enabled"})
    for tenant in TENANTS:
        for number in range(5):
            for _ in range(1 + number % 3):
                s3.put_object(Bucket=letters, Key=f"{tenant}/letters/letter {number}.pdf", Body=b"letter" * 9)
        s3.delete_object(Bucket=letters, Key=f"{tenant}/letters/letter 2.pdf")
        s3.create_multipart_upload(Bucket=letters, Key=f"{tenant}/letters/big.pdf")
        for number in range(records):
            day = (now - timedelta(days=number * 200 / records)).astimezone(ZONE).date()
            s3.put_object(Bucket=access, Key=f"{tenant}/{day}-{number}", Body=b"192.0.2.1")


def remove(s3: Any, prefix: str) -> None:
    """Remove the buckets with what is left in them, locked versions too: only a test may."""
    for bucket in (*TABLES.values(), "own"):
        name = f"{prefix}-{bucket}"
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
            for one in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                s3.delete_object(
                    Bucket=name, Key=one["Key"], VersionId=one["VersionId"], BypassGovernanceRetention=True
                )
        for one in s3.list_multipart_uploads(Bucket=name).get("Uploads", ()):
            s3.abort_multipart_upload(Bucket=name, Key=one["Key"], UploadId=one["UploadId"])
        s3.delete_bucket(Bucket=name)


def read(s3: Any, prefix: str) -> set[Key]:
    """Read every version, marker and upload of the datasets."""
    found: set[Key] = set()
    for dataset, table in TABLES.items():
        bucket = f"{prefix}-{table}"
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            found |= {(dataset, one["Key"], "version", one["VersionId"]) for one in page.get("Versions", ())}
            found |= {(dataset, one["Key"], "marker", one["VersionId"]) for one in page.get("DeleteMarkers", ())}
        for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
            found |= {(dataset, one["Key"], "upload", one["UploadId"]) for one in page.get("Uploads", ())}
    return found


def expected(before: set[Key], leaver: str, now: datetime) -> set[Key]:
    """Return what must go: records whose ninety days end within the margin, and everything of the leaver."""
    last = now.astimezone(ZONE).date() + timedelta(days=MARGIN_DAYS - LOG_DAYS)
    return {key for key in before if key[1].split("/")[0] == leaver or (key[0] == "access" and _day(key[1]) <= last)}


def _day(key: str) -> date:
    return date.fromisoformat(key.rpartition("/")[2][:10])


@dataclass(frozen=True)
class Verdict:
    """Counts of what must not be: each 0 in a good run. `deleted`: what is gone."""

    deleted: int
    over_deleted: int
    left: int
    outside_receipts: int
    doubled: int
    named_but_there: int

    @property
    def good(self) -> bool:
        """Tell whether nothing is wrong."""
        return not (self.over_deleted or self.left or self.outside_receipts or self.doubled or self.named_but_there)


def judge(before: set[Key], after: set[Key], must_go: set[Key], sealed: list[Key]) -> Verdict:
    """Compare the buckets with the model and with the opened sealed lists."""
    gone, named = before - after, Counter(sealed)
    return Verdict(
        deleted=len(gone),
        over_deleted=len(gone - must_go) + len(after - before),
        left=len(must_go & after),
        outside_receipts=len(gone - set(named)),
        doubled=sum(count - 1 for count in named.values()),
        named_but_there=len(set(named) & after),
    )
