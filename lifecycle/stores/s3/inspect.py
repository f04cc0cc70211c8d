"""What forbids or endangers a plan over buckets, and what lies there that nobody declared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from xml.etree.ElementTree import Element

from lifecycle.core.errors import Refused, Transient
from lifecycle.core.inventory import Dataset
from lifecycle.core.objectset import objects_of
from lifecycle.ports.store import Column, Finding, Table
from lifecycle.stores.s3.own import Own
from lifecycle.stores.s3.wire import Wire, child, local, read

_NOBODY: Final = "000000000000"


def findings(store: str, wire: Wire, own: Own, datasets: Sequence[Dataset]) -> Iterator[Finding]:
    """Yield the findings of the server, and of these datasets' buckets."""
    yield from _of_server(store, wire, own)
    for dataset in datasets:
        yield from _of_bucket(store, wire, dataset)


def _of_server(store: str, wire: Wire, own: Own) -> Iterator[Finding]:
    address = wire.address
    here = wire.request("GET", address.own, query={"versioning": ""})
    if here.status == 404:
        fix = "Make the bucket that the address names as own, without versioning, for this deployment alone."
        yield Finding("own-missing", store, None, "our own bucket is not there", fix, fatal=True)
        return
    if child(wire.get(address.own, {"versioning": ""}), "Status"):
        fix = "Use a bucket without versioning: the mirrors of tenants that have left would live on as old versions."
        yield Finding("own-versioned", store, None, "our own bucket keeps old versions", fix, fatal=False)
    honoured = own.honours()
    if not honoured["put"]:
        fix = "Let one process alone write to this target, or use a server that honours If-Match and If-None-Match."
        what = "the server ignores conditions of writes: two processes could overwrite each other's fence"
        yield Finding("unconditional-writes", store, None, what, fix, fatal=False)
    if not honoured["delete"]:
        fix = "Enable versioning in the datasets' buckets, or let nobody overwrite objects that are due."
        what = "the server ignores conditions of deletions: an object overwritten in that second would go"
        yield Finding("unconditional-deletions", store, None, what, fix, fatal=False)
    if address.owner is not None:
        wrong = wire.request(
            "GET", address.own, query={"versioning": ""}, headers={"x-amz-expected-bucket-owner": _NOBODY}
        )
        if wrong.status == 200:
            fix = "Nothing to do where bucket names are your own; the address's owner protects from nothing here."
            what = "the server ignores whom a bucket is expected to belong to"
            yield Finding("owner-ignored", store, None, what, fix, fatal=False)
    elif address.endpoint is None:
        fix = "Write owner=ACCOUNT into the store's address: bucket names are the whole world's."
        yield Finding("owner-unset", store, None, "nobody says whose the buckets are", fix, fatal=False)


def _of_bucket(store: str, wire: Wire, dataset: Dataset) -> Iterator[Finding]:
    def found(code: str, what: str, fix: str, *, fatal: bool = False) -> Finding:
        return Finding(code, store, dataset.id, what, fix, fatal=fatal)

    if dataset.table == wire.address.own:
        fix = "Name another bucket as own in the store's address."
        yield found("own-bucket", "the dataset lies in the bucket that is ours alone", fix, fatal=True)
        return
    if wire.request("GET", dataset.table, query={"versioning": ""}).status == 404:
        yield found("missing-table", "the bucket does not exist", "Make it, or correct the inventory.", fatal=True)
        return
    versioning = wire.get(dataset.table, {"versioning": ""})
    if child(versioning, "MfaDelete") == "Enabled":
        fix = "Versions cannot be deleted without the owner's second factor: turn MFA delete off, or delete by hand."
        yield found("mfa-delete", "the bucket asks for a second factor before a version goes", fix)
    if (lock := _configured(wire, dataset.table, "object-lock")) is not None:
        fix = "Locked versions stay until their day and keep the certificate back; shorten the default retention."
        yield found("object-lock", f"versions can be locked{_default(lock)}; none is ever unlocked", fix)
    if (rules := _configured(wire, dataset.table, "lifecycle")) is not None:
        said = "; ".join(_rule(rule) for rule in rules if local(rule) == "Rule")
        fix = "Compare them with the agreement: what they take is in no receipt, what they leave is ours to delete."
        yield found("bucket-rules", f"the bucket has lifecycle rules of its own ({said})", fix)
    if _configured(wire, dataset.table, "replication") is not None:
        fix = "Declare each replica bucket as a store of its own: deletions of versions are not replicated."
        yield found("replicated", "the bucket is replicated, and what is deleted here lives on there", fix)


def _configured(wire: Wire, bucket: str, what: str) -> Element | None:
    """Return a configuration of a bucket; None where it has none, or the server knows nothing of the kind."""
    try:
        root = wire.get(bucket, {what: ""})
    except Refused as refusal:
        if refusal.guard in {"privilege", "schema"}:
            return None
        raise
    except Transient:
        return None
    return root if len(root) else None


def _default(lock: Element) -> str:
    words = {local(part): part.text or "" for part in lock.iter()}
    if "Mode" not in words:
        return ""
    length = f"{words['Days']} days" if "Days" in words else f"{words.get('Years', '?')} years"
    return f", by default for {length} ({words['Mode'].lower()})"


def _rule(rule: Element) -> str:
    days = {local(part): child(part, "Days") or child(part, "NoncurrentDays") or child(part, "DaysAfterInitiation")
            for part in rule}  # fmt: skip
    current = days.get("Expiration")
    older = days.get("NoncurrentVersionExpiration")
    return f"current versions after {current or 'no'} days, older ones after {older or 'no'} days"


# ---- what is there ----


def tables(wire: Wire, datasets: Sequence[Dataset]) -> Iterator[Table]:
    """Yield the declared buckets, and every bucket and top-level prefix that nobody declared."""
    declared: dict[str, list[str]] = {}
    for dataset in datasets:
        declared.setdefault(dataset.table, []).append(objects_of(dataset).prefix)
    for bucket in _buckets(wire):
        if bucket == wire.address.own:
            continue
        yield _table(bucket, declared=bucket in declared)
        if bucket in declared and "" not in declared[bucket]:
            yield from _beside(wire, bucket, "", declared[bucket])


def _buckets(wire: Wire) -> list[str]:
    token: str | None = None
    found: list[str] = []
    while True:
        answer = wire.request("GET", None, query={} if token is None else {"continuation-token": token})
        root = read(answer)
        found += [child(one, "Name") or "" for part in root if local(part) == "Buckets" for one in part]
        token = child(root, "ContinuationToken")
        if not token:
            return sorted(found)


def _beside(wire: Wire, bucket: str, prefix: str, declared: Sequence[str]) -> Iterator[Table]:
    loose = False
    after: tuple[str, str] | None = None
    while True:
        query = {"delimiter": "/", "prefix": prefix, "versions": ""}
        if after is not None:
            query |= {"key-marker": after[0]} | ({"version-id-marker": after[1]} if after[1] else {})
        root = wire.get(bucket, query)
        for part in root:
            if local(part) in {"Version", "DeleteMarker"}:
                loose = True
            elif local(part) == "CommonPrefixes":
                yield from _below(wire, bucket, child(part, "Prefix") or "", declared)
        if child(root, "IsTruncated") != "true":
            break
        following = (child(root, "NextKeyMarker") or "", child(root, "NextVersionIdMarker") or "")
        if following == after or not following[0]:
            raise Transient("a page of the object store says that more follows, and not where")
        after = following
    if loose:
        yield _table(f"{bucket}/{prefix}", declared=False)


def _below(wire: Wire, bucket: str, prefix: str, declared: Sequence[str]) -> Iterator[Table]:
    if prefix in declared:
        return
    if any(known.startswith(prefix) for known in declared):
        yield from _beside(wire, bucket, prefix, declared)
    else:
        yield _table(f"{bucket}/{prefix}", declared=False)


def _table(name: str, *, declared: bool) -> Table:
    columns = (Column("key", "key", nullable=False), Column("last_modified", "time", nullable=False))
    key = ("key",) if declared else ()
    return Table(None, name, "bucket", columns, key, (), (), "none", 0)
