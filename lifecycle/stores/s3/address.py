"""Where an S3 store is: endpoint, region, account, credentials; never a bucket, which a dataset names.

s3://?region=eu-central-1&owner=123456789012&own=BUCKET    AWS; credentials as boto3 finds them (role, profile)
s3+https://KEY:SECRET@HOST[:PORT]/?region=REGION&own=BUCKET any other server
s3+http://KEY:SECRET@127.0.0.1:PORT/?own=BUCKET             without TLS on this host only

`own` names a bucket that is ours alone: fence, mirrors of tenants and holds, receipts. No application writes there.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from lifecycle.core.errors import InvalidDocument

DEFAULT_REGION = "us-east-1"
_KNOWN = frozenset({"region", "owner", "style", "own"})
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_ADVICE = "Write s3+https://KEY:SECRET@HOST/?region=REGION&own=BUCKET, or for AWS s3://?region=REGION&owner=ACCOUNT&own=BUCKET."


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed address. `endpoint` None: AWS itself. `owner`: the account that each bucket must belong to.

    `own`: the bucket for what is ours.
    """

    endpoint: str | None
    region: str
    own: str
    owner: str | None = None
    path_style: bool = True
    key: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)

    @property
    def place(self) -> str:
        """Return what identifies the server: no credentials."""
        return f"{self.endpoint or 'aws'}#{self.region}#{self.owner or ''}#{self.own}"


def parse(text: str) -> Address:
    """Read an address. Raises InvalidDocument without a word of it: it may hold a secret."""
    try:
        parts = urlsplit(text.strip())
        port, options = parts.port, dict(parse_qsl(parts.query, strict_parsing=True) if parts.query else [])
    except ValueError:
        raise _wrong("the address of this store is no address of an object store") from None
    if parts.scheme not in {"s3", "s3+https", "s3+http"} or parts.path not in {"", "/"} or parts.fragment:
        raise _wrong("the address of this store is no address of an object store, or names a bucket")
    if options.keys() - _KNOWN:
        raise _wrong("the address of this store has an option that is not region, owner, own or style")
    owner, style = options.get("owner"), options.get("style", "path")
    if owner is not None and re.fullmatch(r"[0-9]{12}", owner) is None:
        raise _wrong("owner is no account id of twelve digits")
    own = options.get("own", "")
    if _BUCKET.fullmatch(own) is None:
        raise _wrong("the address of this store does not name the bucket that is ours alone (own=BUCKET)")
    if style not in {"path", "virtual"}:
        raise _wrong("style is neither path nor virtual")
    return Address(
        endpoint=_endpoint(parts.scheme, parts.hostname, port),
        region=options.get("region", DEFAULT_REGION),
        own=own,
        owner=owner,
        path_style=style == "path" and parts.scheme != "s3",
        key=None if parts.username is None else unquote(parts.username),
        secret=None if parts.password is None else unquote(parts.password),
    )


def _endpoint(scheme: str, host: str | None, port: int | None) -> str | None:
    if scheme == "s3":
        if host or port:
            raise _wrong("an address s3:// is AWS itself and names no host")
        return None
    if not host:
        raise _wrong("the address of this store names no host")
    if scheme == "s3+http" and not _here(host):
        raise _wrong("an object store without TLS is accepted on this host only")
    name = f"[{host}]" if ":" in host else host
    return f"{scheme.removeprefix('s3+')}://{name}" + (f":{port}" if port else "")


def _here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _wrong(what: str) -> InvalidDocument:
    return InvalidDocument(what, advice=_ADVICE)
