"""Sets of files: what `table`, `key`, `times` and `tenant` of a dataset mean where the store is a folder.

`table` is a folder below the store's root (`.` is the root), `key` the file's path below that folder, a tenant's files
lie under a prefix, and a start time is read from the file itself: when it was modified, a date in its name, or the
oldest and newest record that a log file can hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from lifecycle.core.period import Period
from lifecycle.core.textpattern import pattern_faults
from lifecycle.core.value import Fault, Line, Value, refuse

if TYPE_CHECKING:
    from lifecycle.core.inventory import Dataset

MODIFIED, NAME, OLDEST, NEWEST = "modified_at", "name", "oldest", "newest"
PRIVATE = ".lifecycle"
"""Our own folder below a root: never part of a dataset."""

_PLACEHOLDER = "{tenant}"
_ENCODINGS = {MODIFIED: "utc", NAME: "date", OLDEST: "utc", NEWEST: "utc"}


class Documents(Value):
    """Files that are written once and lie until they are due: by their time of modification, or a date in the name."""

    kind: Literal["documents"] = Field(description="Files of documents.")
    dated: Line | None = Field(
        default=None, description="Pattern of file names with a date, for example {any}-{year}-{month}-{day}{any}."
    )

    @model_validator(mode="after")
    def _patterns(self) -> Documents:
        if self.dated is not None:
            _refuse([("dated", self.dated)], dated=True)
        return self


class Logs(Value):
    """Rotated log files. One holds records of a span of time: a ceiling counts from the oldest that can be inside.

    Only names that fit `rotated` are ever deleted; those that fit `active` are being written.
    """

    kind: Literal["logs"] = Field(description="Log files that are rotated.")
    active: tuple[Line, ...] = Field(min_length=1, description="Patterns of the names that are being written.")
    rotated: tuple[Line, ...] = Field(min_length=1, description="Patterns of the names after rotation.")
    every: Period = Field(description="How often the files are rotated, at the least.")
    record: Line | None = Field(
        default=None,
        description="Pattern of a record's beginning, with its time. Left out, the times of rotation count.",
    )
    zone: Line | None = Field(default=None, description="IANA time zone of records without an offset; UTC without it.")

    @model_validator(mode="after")
    def _patterns(self) -> Logs:
        _refuse([("active", name) for name in self.active] + [("rotated", name) for name in self.rotated])
        if self.record is not None:
            _refuse([("record", self.record)], dated=True)
        return self


FileSet = Annotated[Documents | Logs, Field(discriminator="kind")]


def _refuse(patterns: list[tuple[str, str]], *, dated: bool = False) -> None:
    faults = [
        Fault((field,), fault.what, fault.fix)
        for field, pattern in patterns
        for fault in pattern_faults(pattern, dated=dated)
    ]
    if faults:
        refuse(*faults)


def clean_path(path: str) -> bool:
    """Tell whether the text is a relative path of clean segments, none of them our own folder."""
    return all(clean_segment(segment) for segment in path.split("/")) and path.split("/", maxsplit=1)[0] != PRIVATE


def within(path: str, folder: str) -> bool:
    """Tell whether the path lies in the folder, or is it."""
    return folder in {".", path} or path.startswith(folder + "/")


def clean_segment(segment: str) -> bool:
    """Tell whether the text is one name of a file or folder, and not a way to another."""
    return segment not in {"", ".", ".."} and "/" not in segment and "\0" not in segment and len(segment) <= 255


def faults_of(dataset: Dataset, *, in_files: bool) -> Iterator[Fault]:
    """Yield what is wrong with a dataset's declaration; paths are the dataset's own."""
    files = dataset.files
    if not in_files:
        if files is not None:
            yield Fault(("files",), "a set of files lies in a store of kind files", "remove files, or name that store")
        return
    if files is None:
        fix = "write files: {kind: documents}, or kind: logs with active, rotated and every"
        yield Fault((), "a dataset in a store of files does not say which files they are", fix)
        return
    yield from _place(dataset)
    yield from _times(dataset, files)
    for name in ("schema_", "only", "columns", "persons", "references", "triggers", "cascades", "detach", "anonymise"):
        if getattr(dataset, name):
            yield Fault((name.rstrip("_"),), "files have nothing of the kind", "leave it out")


def _place(dataset: Dataset) -> Iterator[Fault]:
    if dataset.table != "." and not clean_path(dataset.table):
        fix = "write a path below the store's root, such as customers/letters, or . for the root"
        yield Fault(("table",), "not a folder below the store's root", fix)
    if dataset.key != (NAME,):
        yield Fault(("key",), "the key of a file is its name", "write key: [name]")
    if dataset.tenant.by not in {"prefix", "none"}:
        fix = "write tenant: {by: prefix, pattern: '{tenant}/'}, or {by: none}"
        yield Fault(("tenant", "by"), "files belong to tenants by the folder they lie in, or to none", fix)
    elif dataset.tenant.by == "prefix" and not prefix_is_whole(dataset.tenant.pattern or ""):
        fix = "write for example {tenant}/ or customers/{tenant}/: whole folders, / at the end"
        yield Fault(("tenant", "pattern"), "a prefix would reach the files of another tenant", fix)


def prefix_is_whole(pattern: str) -> bool:
    """Tell whether a pattern consists of whole folders, one of them the tenant's: t-1 never reaches t-10."""
    segments = pattern.split("/")
    return (
        segments[-1] == ""
        and segments.count(_PLACEHOLDER) == 1
        and all(clean_segment(segment) for segment in segments[:-1])
        and all("{" not in segment for segment in segments if segment != _PLACEHOLDER)
    )


def _known(files: Documents | Logs) -> set[str]:
    """Return the times that such files have."""
    if isinstance(files, Logs):
        return {OLDEST, NEWEST}
    return {MODIFIED} if files.dated is None else {MODIFIED, NAME}


def _times(dataset: Dataset, files: Documents | Logs) -> Iterator[Fault]:
    known = _known(files)
    for name, time in dataset.times.items():
        if time.column not in known:
            fix = f"write one of {', '.join(sorted(known))}" + (
                "; name needs files.dated" if files.kind == "documents" else ""
            )
            yield Fault(("times", name, "column"), f"such files have no time {time.column!r}", fix)
        elif time.encoding != _ENCODINGS[time.column]:
            fix = f"write encoding: {_ENCODINGS[time.column]}"
            yield Fault(("times", name, "encoding"), f"{time.column} is read as {_ENCODINGS[time.column]}", fix)
