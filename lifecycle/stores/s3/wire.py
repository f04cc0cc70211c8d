"""One signed request and its answer. boto3 signs and knows the endpoints; reading answers is ours.

boto3's own listing is bound by its parser, and it answers 200 with an empty body, or an error inside a 200, as if
nothing had happened. Here an answer counts only when it is the document that was asked for, whole.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError
from urllib3.exceptions import HTTPError

from lifecycle.core.errors import LifecycleError, Refused, Transient
from lifecycle.stores.s3 import clients
from lifecycle.stores.s3.address import Address

if TYPE_CHECKING:
    from datetime import datetime

MOST_BYTES: Final = 64 * 1024 * 1024
"""The longest answer that is read: a page of 1,000 keys of 1,024 bytes, escaped, is a tenth of it."""

SLOW: Final = frozenset(
    {"SlowDown", "ServiceUnavailable", "RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequests"}
)
DENIED: Final = frozenset(
    {"AccessDenied", "AllAccessDisabled", "InvalidAccessKeyId", "SignatureDoesNotMatch", "MethodNotAllowed"}
)


class Slow(Transient):
    """The server asks for fewer requests."""


class Silent(Transient):
    """No answer, or none that can be read: what was asked may have taken effect, or may still."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came; `body` may hold keys and is never shown."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def code(self) -> str:
        """Return the code of an error; its message may quote keys and is dropped (I23)."""
        root = _document(self.body)
        return "no code" if root is None or local(root) != "Error" else child(root, "Code") or "no code"

    def failed(self) -> LifecycleError:
        """Say what an answer that is no success means."""
        return meaning(self.status, self.code)


class Wire:
    """Signed requests to one address, over connections that are kept open. Safe for use by several threads."""

    def __init__(self, address: Address) -> None:
        """Open nothing yet."""
        self.address = address
        self._credentials = clients.session(address).get_credentials()
        self._pool = urllib3.PoolManager(
            maxsize=clients.CONNECTIONS,
            retries=False,
            timeout=urllib3.Timeout(connect=clients.CONNECT_SECONDS, read=clients.READ_SECONDS),
        )

    @cached_property
    def client(self) -> Any:
        """Return boto3's client, made at the first need: it takes longer than most requests."""
        return clients.client(self.address)

    def get(self, bucket: str, query: Mapping[str, str], key: str | None = None) -> ET.Element:
        """Return the root of the XML answer.

        Raises:
            Slow, Silent, Transient: no answer, or none that is whole. Refused: the server says no for good.
        """
        return read(self.request("GET", bucket, key, query=query))

    def request(
        self,
        method: str,
        bucket: str | None,
        key: str | None = None,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request and return its answer, whatever it says.

        Raises:
            Silent: nothing came back. Refused: there are no credentials, or the key cannot stand in a URL.
        """
        if key is not None and not addressable(key):
            raise Refused("a key with . or .. as a segment cannot be asked for by itself", guard="address")
        sent = dict(headers or {})
        if self.address.owner is not None and bucket is not None:
            sent.setdefault("x-amz-expected-bucket-owner", self.address.owner)
        if self._credentials is None:
            raise Refused("no credentials for the object store", guard="privilege", advice="Put them in its address.")
        request = AWSRequest(method, self._url(bucket, key, query or {}), data=body, headers=sent)
        S3SigV4Auth(self._credentials.get_frozen_credentials(), "s3", self.address.region).add_auth(request)
        try:
            prepared = request.prepare()
            answer = self._pool.request(
                method,
                prepared.url,
                body=body,
                headers=dict(prepared.headers.items()),
                redirect=False,
                preload_content=False,
            )
            content = answer.read(MOST_BYTES + 1)
            answer.release_conn()
        except (HTTPError, OSError, BotoCoreError):
            raise Silent("the object store did not answer") from None
        if len(content) > MOST_BYTES:
            raise Silent("an answer of the object store is longer than any page")
        return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, content)

    def clock(self) -> datetime:
        """Return the server's clock, as its answers show it. Raises Transient where they show none."""
        answer = self.request("GET", self.address.own, query={"list-type": "2", "max-keys": "1"})
        try:
            return parsedate_to_datetime(answer.headers["date"])
        except (KeyError, ValueError):
            raise Transient("the object store does not say what time it is") from None

    def close(self) -> None:
        """Close what is open; safe to call twice."""
        self._pool.clear()
        if "client" in self.__dict__:
            self.client.close()

    def _url(self, bucket: str | None, key: str | None, query: Mapping[str, str]) -> str:
        # Where AWS itself is, boto3 knows.
        base = (self.address.endpoint or str(self.client.meta.endpoint_url)).rstrip("/")
        if bucket is not None and not self.address.path_style:
            scheme, _, host = base.partition("://")
            base = f"{scheme}://{bucket}.{host}"
        elif bucket is not None:
            base = f"{base}/{bucket}"
        path = "" if key is None else quote(key, safe="/~")
        asked = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        slash = "/" if key is not None or bucket is None or not self.address.path_style else ""
        return f"{base}{slash}{path}" + (f"?{asked}" if asked else "")


def addressable(key: str) -> bool:
    """Tell whether a key can stand in a URL: clients and servers take . and .. for ways."""
    return not {".", ".."} & set(key.split("/"))


def _document(body: bytes) -> ET.Element | None:
    try:
        return ET.fromstring(body) if body else None  # noqa: S314 - no entities: expat refuses to expand them
    except ET.ParseError:
        return None


def read(answer: Answer) -> ET.Element:
    """Return the root of an answer that is whole. An error inside a 200, HTML and an empty body are none."""
    root = _document(answer.body)
    if root is not None and local(root) == "Error":
        raise answer.failed()
    if answer.status == 200 and root is None:
        raise Silent("the object store answered 200 without a document")
    if answer.status != 200 or root is None:
        raise answer.failed()
    return root


def meaning(status: int, code: str) -> LifecycleError:
    """Say what an error of the server is for us, with its code and nothing of its message."""
    known = code if code.isalnum() else "no code"
    what = f"(HTTP {status}, {known})"
    if code in SLOW or status in {429, 503}:
        return Slow(f"the object store asks for fewer requests {what}")
    if code in DENIED or status in {401, 403}:
        advice = "Give the role what deploy/s3 lists for it, and check the bucket's owner."
        return Refused(f"the object store denies this {what}", guard="privilege", advice=advice)
    if code == "NoSuchBucket":
        return Refused(f"a bucket is not there {what}", guard="schema", advice="Correct the inventory.")
    if 300 <= status < 400:
        return Refused(f"the bucket lies elsewhere {what}", guard="address", advice="Correct the store's region.")
    if status >= 500:
        return Silent(f"the object store failed {what}")
    return Transient(f"the object store did not answer as it should {what}")


def local(element: ET.Element) -> str:
    """Return an element's name without its namespace: servers differ in it."""
    return element.tag.rpartition("}")[2]


def child(element: ET.Element, name: str) -> str | None:
    """Return the text of the first child of that name, "" for an empty one, None where there is none."""
    return next((found.text or "" for found in element if local(found) == name), None)
