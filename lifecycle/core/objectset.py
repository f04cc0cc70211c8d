"""Sets of objects: what `table`, `key`, `times` and `tenant` of a dataset mean where the store speaks S3.

`table` is a bucket, `key` the object's key, a tenant's objects lie under a prefix below the dataset's, and a start time
is when a version was written, or a date in the key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from lifecycle.core.fileset import clean_segment, prefix_is_whole
from lifecycle.core.textpattern import pattern_faults
from lifecycle.core.value import Fault, Line, Value, refuse

if TYPE_CHECKING:
    from lifecycle.core.inventory import Dataset

LAST_MODIFIED, KEY = "last_modified", "key"
_ENCODINGS = {LAST_MODIFIED: "utc", KEY: "date"}
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_NOT_HERE = ("schema_", "only", "columns", "persons", "references", "triggers", "cascades", "detach", "anonymise")


class ObjectSet(Value):
    """Which objects of a bucket: those under a prefix of whole folders, all of them without one."""

    prefix: str = Field(
        default="", max_length=900, description="Prefix of the dataset's keys, / at its end; left out, the bucket."
    )
    dated: Line | None = Field(
        default=None,
        description="Pattern of keys (below the prefix) with a date, for example {any}/{year}/{month}/{day}/{any}.",
    )

    @model_validator(mode="after")
    def _sound(self) -> ObjectSet:
        faults = [] if self.dated is None else pattern_faults(self.dated, dated=True)
        found = [Fault(("dated",), fault.what, fault.fix) for fault in faults]
        if self.prefix and not whole(self.prefix):
            fix = "write whole folders with / at the end, such as customers/letters/"
            found.append(Fault(("prefix",), "a prefix would reach the objects of another", fix))
        if found:
            refuse(*found)
        return self


ALL = ObjectSet()
"""A whole bucket, without dates in its keys."""


def whole(prefix: str) -> bool:
    """Tell whether a prefix consists of whole folders: logs/ never reaches logs-old/."""
    *segments, last = prefix.split("/")
    return last == "" and all(clean_segment(segment) for segment in segments)


def objects_of(dataset: Dataset) -> ObjectSet:
    """Return which objects a dataset has; a dataset that does not say has its whole bucket."""
    return dataset.objects or ALL


def faults_of(dataset: Dataset, *, in_objects: bool) -> Iterator[Fault]:
    """Yield what is wrong with a dataset's declaration; paths are the dataset's own."""
    if not in_objects:
        if dataset.objects is not None:
            yield Fault(
                ("objects",), "a set of objects lies in a store of kind s3", "remove objects, or name that store"
            )
        return
    yield from _place(dataset)
    known = {LAST_MODIFIED} if objects_of(dataset).dated is None else {LAST_MODIFIED, KEY}
    for name, time in dataset.times.items():
        if time.column not in known:
            fix = f"write one of {', '.join(sorted(known))}; key needs objects.dated"
            yield Fault(("times", name, "column"), f"such objects have no time {time.column!r}", fix)
        elif time.encoding != _ENCODINGS[time.column]:
            fix = f"write encoding: {_ENCODINGS[time.column]}"
            yield Fault(("times", name, "encoding"), f"{time.column} is read as {_ENCODINGS[time.column]}", fix)
    for name in _NOT_HERE:
        if getattr(dataset, name):
            yield Fault((name.rstrip("_"),), "objects have nothing of the kind", "leave it out")


def _place(dataset: Dataset) -> Iterator[Fault]:
    if _BUCKET.fullmatch(dataset.table) is None:
        fix = "write the bucket's name: 3 to 63 of a-z, 0-9, . and -"
        yield Fault(("table",), "not a name of a bucket", fix)
    if dataset.key != (KEY,):
        yield Fault(("key",), "the key of an object is its key", "write key: [key]")
    if dataset.tenant.by not in {"prefix", "none"}:
        fix = "write tenant: {by: prefix, pattern: '{tenant}/'}, or {by: none}"
        yield Fault(("tenant", "by"), "objects belong to tenants by the prefix they lie under, or to none", fix)
    elif dataset.tenant.by == "prefix" and not prefix_is_whole(dataset.tenant.pattern or ""):
        fix = "write for example {tenant}/ or customers/{tenant}/: whole folders, / at the end"
        yield Fault(("tenant", "pattern"), "a prefix would reach the objects of another tenant", fix)


def overlaps(dataset: Dataset, other: Dataset) -> bool:
    """Tell whether the dataset's objects lie within the other's: they would be in two."""
    return dataset.table == other.table and objects_of(dataset).prefix.startswith(objects_of(other).prefix)
