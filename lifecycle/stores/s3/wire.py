"""One signed request and its answer. boto3 signs and knows the endpoints; reading answers is ours.

boto3's own listing is bound by its parser, and it answers 200 with an empty body, or an error inside a 200, as if
nothing had happened. Here an answer counts only when it is the document that was asked for, whole.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import boto3
import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from urllib3.exceptions import HTTPError

from lifecycle.core.errors import LifecycleError, Refused, Transient
from lifecycle.stores.s3.address import Address

EMPTY_SHA256: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
CONNECT_SECONDS, READ_SECONDS = 10.0, 60.0
MOST_BYTES: Final = 64 * 1024 * 1024
"""The longest answer that is read: a page of 1,000 keys of 1,024 bytes, escaped, is a tenth of it."""

SLOW: Final = frozenset({"SlowDown", "ServiceUnavailable", "RequestLimitExceeded", "Throttling", "TooManyRequests"})
DENIED: Final = frozenset({"AccessDenied", "AllAccessDisabled", "InvalidAccessKeyId", "SignatureDoesNotMatch"})


class Slow(Transient):
    """The server asks for fewer requests."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error of the server: HTTP status and its code; its message may quote keys and is dropped (I23)."""

    status: int
    code: str


class Wire:
    """Signed requests to one address, over connections that are kept open. Safe for use by several threads."""

    def __init__(self, address: Address) -> None:
        """Open nothing yet."""
        self.address = address
        session = boto3.session.Session(
            aws_access_key_id=address.key, aws_secret_access_key=address.secret, region_name=address.region
        )
        self.client: Any = session.client(
            "s3",
            endpoint_url=address.endpoint,
            config=Config(
                retries={"max_attempts": 0},
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                max_pool_connections=32,
                # Newer checksums in trailers are unknown to many servers.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"addressing_style": "path" if address.path_style else "virtual"},
            ),
        )
        self._credentials = session.get_credentials()
        self._pool = urllib3.PoolManager(
            maxsize=32, retries=False, timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
        )

    def get(self, bucket: str, query: Mapping[str, str]) -> ET.Element:
        """Return the root of the XML answer.

        Raises:
            Slow, Transient: no answer, or none that is whole. Refused: the server says no for good.
        """
        url = self._url(bucket) + "?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        headers = {"x-amz-content-sha256": EMPTY_SHA256}
        if self.address.owner is not None:
            headers["x-amz-expected-bucket-owner"] = self.address.owner
        if self._credentials is None:
            raise Refused("no credentials for the object store", guard="credentials", advice="Put them in its address.")
        request = AWSRequest("GET", url, headers=headers)
        S3SigV4Auth(self._credentials.get_frozen_credentials(), "s3", self.address.region).add_auth(request)
        try:
            prepared = request.prepare()
            answer = self._pool.request(
                "GET", prepared.url, headers=dict(prepared.headers.items()), redirect=False, preload_content=False
            )
            body = answer.read(MOST_BYTES + 1)
            answer.release_conn()
        except (HTTPError, OSError, BotoCoreError):
            raise Transient("the object store did not answer") from None
        return read(answer.status, body)

    def close(self) -> None:
        """Close what is open; safe to call twice."""
        self._pool.clear()
        self.client.close()

    def _url(self, bucket: str) -> str:
        endpoint = self.client.meta.endpoint_url
        if self.address.path_style:
            return f"{endpoint}/{bucket}"
        scheme, _, host = endpoint.partition("://")
        return f"{scheme}://{bucket}.{host}/"


def read(status: int, body: bytes) -> ET.Element:
    """Return the root of an answer that is whole. An error inside a 200, HTML and an empty body are none."""
    if len(body) > MOST_BYTES:
        raise Transient("an answer of the object store is longer than any page")
    try:
        root = ET.fromstring(body) if body else None  # noqa: S314 - no entities: expat refuses to expand them
    except ET.ParseError:
        root = None
    name = "" if root is None else local(root)
    if name == "Error" and root is not None:
        raise meaning(Failure(status, child(root, "Code") or "no code"))
    if status != 200 or root is None:
        raise meaning(Failure(status, "no document"))
    return root


def meaning(failure: Failure) -> LifecycleError:
    """Say what an error of the server is for us, with its code and nothing of its message."""
    what = f"(HTTP {failure.status}, {failure.code})"
    if failure.code in SLOW or failure.status in {429, 503}:
        return Slow(f"the object store asks for fewer requests {what}")
    if failure.code in DENIED or failure.status in {401, 403}:
        advice = "Give the role what deploy/s3 lists for it, and check the bucket's owner."
        return Refused(f"the object store denies this {what}", guard="privilege", advice=advice)
    if failure.code == "NoSuchBucket":
        return Refused(f"a bucket is not there {what}", guard="schema", advice="Correct the inventory.")
    if 300 <= failure.status < 400:
        return Refused(f"the bucket lies elsewhere {what}", guard="address", advice="Correct the store's region.")
    return Transient(f"the object store did not answer as it should {what}")


def local(element: ET.Element) -> str:
    """Return an element's name without its namespace: servers differ in it."""
    return element.tag.rpartition("}")[2]


def child(element: ET.Element, name: str) -> str | None:
    """Return the text of the first child of that name, "" for an empty one, None where there is none."""
    return next((found.text or "" for found in element if local(found) == name), None)
