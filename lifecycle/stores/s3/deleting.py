"""The one place that deletes objects: requests that name each version, and what becomes of each by the answer.

At most a thousand versions a request, never in quiet mode. Every one of them must be named in the answer, as deleted or
with an error; what is not named is open, and reading decides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from lifecycle.core.errors import LifecycleError, Refused, Transient
from lifecycle.stores.s3.listing import NULL_VERSION, Entry
from lifecycle.stores.s3.own import digest_of
from lifecycle.stores.s3.wire import DENIED, Silent, Slow, Wire, addressable, child, local, read

MOST_OF_REQUEST: Final = 1_000
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that no XML can hold: such keys are deleted one by one, by URL."""

_AGAIN = frozenset({"InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown"})
_NOT_THERE = frozenset({"NoSuchKey", "NoSuchVersion", "NoSuchUpload"})


@dataclass(slots=True)
class Outcome:
    """What became of the entries of one request. `problem`: why the open ones are open."""

    gone: list[Entry] = field(default_factory=list)
    kept: list[tuple[Entry, str]] = field(default_factory=list)
    open: list[Entry] = field(default_factory=list)
    problem: LifecycleError | None = None


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where to delete. `guarded`: the server compares tags, so that an overwritten object is never taken."""

    wire: Wire
    name: str
    guarded: bool


def requests(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Divide entries into requests: alone what needs a URL of its own, the others by the thousand."""
    alone = [entry for entry in entries if entry.kind == "upload" or _UNWRITABLE.search(entry.key)]
    many = [entry for entry in entries if entry.kind != "upload" and not _UNWRITABLE.search(entry.key)]
    pieces = [many[start : start + MOST_OF_REQUEST] for start in range(0, len(many), MOST_OF_REQUEST)]
    return [*pieces, *([entry] for entry in alone)]


def delete(bucket: Bucket, entries: list[Entry]) -> Outcome:
    """Send one request. Everything that goes wrong is in the outcome; only bugs are raised."""
    try:
        if len(entries) == 1 and (entries[0].kind == "upload" or _UNWRITABLE.search(entries[0].key)):
            return _one(bucket, entries[0])
        return _many(bucket, entries)
    except (Transient, Refused) as error:
        return Outcome(open=list(entries), problem=error)


def _many(bucket: Bucket, entries: list[Entry]) -> Outcome:
    body = b"<Delete>" + b"".join(_named(entry, guarded=bucket.guarded) for entry in entries) + b"</Delete>"
    answer = bucket.wire.request("POST", bucket.name, query={"delete": ""}, body=body, headers=digest_of(body))
    root = read(answer)
    if local(root) != "DeleteResult":
        raise Silent("the object store answered a deletion with another document")
    waiting = {(entry.key, entry.id): entry for entry in entries}
    outcome = Outcome()
    for told in root:
        entry = waiting.pop(_told(told), None)
        if entry is None or local(told) not in {"Deleted", "Error"}:
            continue
        if local(told) == "Deleted":
            outcome.gone.append(entry)
        else:
            _failed(bucket, outcome, entry, child(told, "Code") or "")
    if waiting:
        outcome.open += waiting.values()
        outcome.problem = outcome.problem or Silent("the object store left keys out of its answer")
    return outcome


def _named(entry: Entry, *, guarded: bool) -> bytes:
    # A carriage return written as it is would be read as another character.
    key = escape(entry.key, {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;"})
    tag = f"<ETag>{escape(entry.etag)}</ETag>" if guarded and _overwritable(entry) else ""
    return f"<Object><Key>{key}</Key><VersionId>{escape(entry.id)}</VersionId>{tag}</Object>".encode()


def _overwritable(entry: Entry) -> bool:
    return entry.id == NULL_VERSION and entry.kind == "version" and bool(entry.etag)


def _told(told: Element) -> tuple[str, str]:
    """Return key and version that an answer names: for a marker in words of its own, and null may be left out."""
    version = child(told, "VersionId") or child(told, "DeleteMarkerVersionId") or NULL_VERSION
    return child(told, "Key") or "", version


def _failed(bucket: Bucket, outcome: Outcome, entry: Entry, code: str) -> None:
    if code in _AGAIN:
        outcome.open.append(entry)
        outcome.problem = Slow("the object store asks to try again")
    elif code in _NOT_THERE:
        outcome.kept.append((entry, "vanished"))
    elif code == "PreconditionFailed":
        outcome.kept.append((entry, "changed"))
    elif code in DENIED:
        outcome.kept.append((entry, why_denied(bucket, entry)))
    else:
        outcome.kept.append((entry, "refused"))


def _one(bucket: Bucket, entry: Entry) -> Outcome:
    upload = entry.kind == "upload"
    if not addressable(entry.key):
        return Outcome(kept=[(entry, "unaddressable")])
    query = {"uploadId": entry.id} if upload else {"versionId": entry.id}
    headers = {"if-match": entry.etag} if bucket.guarded and _overwritable(entry) else {}
    answer = bucket.wire.request("DELETE", bucket.name, entry.key, query=query, headers=headers)
    outcome = Outcome()
    if answer.status in {200, 204}:
        outcome.gone.append(entry)
    elif answer.status >= 500 or answer.status == 429:
        outcome.open.append(entry)
        outcome.problem = answer.failed()
    else:
        _failed(bucket, outcome, entry, _code_of(answer.status, answer.code))
    return outcome


def _code_of(status: int, code: str) -> str:
    known = {403: "AccessDenied", 404: "NoSuchKey", 412: "PreconditionFailed"}
    return known.get(status, code) if code == "no code" else code


def why_denied(bucket: Bucket, entry: Entry) -> str:
    """Ask why the server denies a deletion: a retention with its end, a legal hold, or the role's own rights."""
    until = _asked(bucket, entry, "retention", "RetainUntilDate")
    try:
        if until:
            return f"locked-until-{datetime.fromisoformat(until).date().isoformat()}"
    except ValueError:
        return "locked"
    if (_asked(bucket, entry, "legal-hold", "Status") or "").upper() == "ON":
        return "legal-hold"
    return "denied"


def _asked(bucket: Bucket, entry: Entry, what: str, name: str) -> str | None:
    try:
        query = {what: ""} if entry.id == NULL_VERSION else {what: "", "versionId": entry.id}
        return child(bucket.wire.get(bucket.name, query, entry.key), name)
    except LifecycleError:
        # The server has no lock here, or does not tell us: what it denies stays denied.
        return None
