"""The export package: a streamed ZIP of CSV and JSONL with a manifest, for one tenant."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import IO, Final
from uuid import UUID

import lifecycle
from lifecycle.core.errors import Corrupt, InvalidDocument, Refused
from lifecycle.core.value import IDENTIFIER
from lifecycle.evidence.errors import Malformed
from lifecycle.evidence.schema import format_instant
from lifecycle.exports import manifest as manifests
from lifecycle.exports import readme as readmes
from lifecycle.exports.cells import form_of, lines, table
from lifecycle.exports.content import CHUNK_ROWS, Accumulator
from lifecycle.exports.contents import Contents, copied, described
from lifecycle.exports.files import new_file, spool
from lifecycle.exports.manifest import Exported, ExportedColumn, ExportFile, Manifest
from lifecycle.ports.store import Rows

_COPY_BYTES: Final = 1 << 18
# Most of the time goes into compression: level 1 is five times as fast as the default and a fifth larger.
_COMPRESSION: Final = 1
_ALIAS: Final = re.compile(r"t-[a-z2-7]{16}")
_ID: Final = re.compile(IDENTIFIER)


@dataclass(frozen=True, slots=True)
class ExportDataset:
    """One dataset to export: its ids, and its rows, opened when their turn comes (`Store.export`)."""

    dataset: str
    store: str
    category: str
    rows: AbstractContextManager[Rows] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Progress:
    """Rows of a dataset that are written so far."""

    dataset: str
    rows: int


def write_package(
    path: Path,
    datasets: Iterable[ExportDataset],
    *,
    export: str,
    alias: str,
    tenant: str,
    created_at: datetime,
    key: bytes,
    expires_on: date | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Manifest:
    """Write a tenant's rows as a ZIP at `path`, whole or not at all; memory does not grow with the rows.

    Args:
        path: where the package shall lie; its folder exists. Readable by its owner alone.
        datasets: what to export, in this order. An empty list is an error, never an empty package.
        export: the export's id.
        alias: the tenant's alias, which names it in the package.
        tenant: the tenant's id, which each row must carry, byte for byte (I31). Never written by us.
        created_at: an aware instant.
        key: at least 32 bytes of this export alone; makes the content digests (I34), destroyed with its record.
        expires_on: the day on which our copy is deleted.
        progress: told after each chunk.

    Raises:
        Refused: a row of another tenant (guard `foreign-row`), rows without a tenant column (guard `tenant-unchecked`),
            a file already there (guard `already-there`). Nothing is left.
        InvalidDocument: ids that cannot be file names, a dataset twice, or none.
        Transient: the file system or the store failed. Nothing is left.
    """
    _check_names(export, alias, tenant)
    with new_file(path) as file, spool(path.parent) as csv_spool, spool(path.parent) as lines_spool:
        moment = created_at.astimezone(UTC)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION) as archive:
            package = _Package(archive, (csv_spool, lines_spool), moment, tenant, key, progress or _silent)
            done = tuple(package.add(number, one) for number, one in enumerate(_distinct(datasets), start=1))
            expires = None if expires_on is None else expires_on.isoformat()
            created = format_instant(moment)
            text = readmes.readme(export=export, tenant=alias, created_at=created, expires_on=expires)
            manifest = Manifest(
                export=export,
                tenant=alias,
                created_at=created,
                expires_on=expires,
                tool_version=lifecycle.__version__,
                datasets=done,
                readme=package.store(readmes.NAME, text),
            )
            package.store(manifests.NAME, manifest.encode())
    return manifest


class _Package:
    """The archive that is being written."""

    def __init__(
        self,
        archive: zipfile.ZipFile,
        spools: tuple[IO[bytes], IO[bytes]],
        moment: datetime,
        tenant: str,
        key: bytes,
        progress: Callable[[Progress], None],
    ) -> None:
        self._archive = archive
        self._spool, self._lines_spool = spools
        self._moment = moment
        self._tenant = tenant
        self._key = key
        self._progress = progress

    def add(self, number: int, one: ExportDataset) -> Exported:
        """Write one dataset in one pass over its rows: JSONL into the archive, CSV aside and then into the archive.

        Where rows are files, their contents go into the archive as they pass, and JSONL is written aside too: an
        archive is written one member after the other.
        """
        # The number keeps apart what a file system may not, and no name is a device (CON, AUX).
        name = f"data/{number:03}-{one.dataset}"
        for aside in (self._spool, self._lines_spool):
            aside.seek(0)
            aside.truncate()
        csv_file = _Hashed(self._spool)
        contents: Contents | None = None
        with one.rows as rows:
            if rows.contents is not None:
                contents = Contents(self._archive, self._info, f"{name}.files", partial(_check, rows, self._tenant))
                rows = replace(rows, rows=contents.rows(rows, rows.contents))  # noqa: PLW2901 - the same, told
            accumulator = Accumulator(self._key, rows.columns)
            kinds: list[set[type]] = [set() for _ in rows.columns]
            with self._lines(name, aside=contents is not None) as member:
                jsonl_file = _Hashed(member)
                csv_file.write(table([rows.columns]))
                for chunk in _chunks(rows, self._tenant):
                    made = lines(rows.columns, chunk)
                    jsonl_file.write(b"".join(made))
                    csv_file.write(table(chunk))
                    accumulator.add(made)
                    for seen, column in zip(kinds, zip(*chunk, strict=True), strict=True):
                        seen.update(map(type, column))
                    self._progress(Progress(one.dataset, accumulator.rows))
        if contents is not None:
            copied(self._lines_spool, self._archive, self._info(f"{name}.jsonl"))
        copied(self._spool, self._archive, self._info(f"{name}.csv"))
        content = accumulator.content()
        columns = tuple(
            ExportedColumn(column, tuple(sorted({form_of(kind) for kind in seen})))
            for column, seen in zip(rows.columns, kinds, strict=True)
        )
        return Exported(
            dataset=one.dataset,
            store=one.store,
            category=one.category,
            rows=content.rows,
            columns=columns,
            csv=csv_file.done(f"{name}.csv"),
            jsonl=jsonl_file.done(f"{name}.jsonl"),
            digest=content.digest,
            contents=None if contents is None or rows.contents is None else rows.columns[rows.contents],
            content_bytes=0 if contents is None else contents.size,
        )

    def _lines(self, name: str, *, aside: bool) -> AbstractContextManager[IO[bytes]]:
        if aside:
            return nullcontext(self._lines_spool)
        return self._archive.open(self._info(f"{name}.jsonl"), "w", force_zip64=True)

    def store(self, name: str, data: bytes) -> ExportFile:
        """Write one small file."""
        self._archive.writestr(self._info(name), data)
        return ExportFile(name, len(data), "sha256:" + hashlib.sha256(data).hexdigest())

    def _info(self, name: str) -> zipfile.ZipInfo:
        moment = self._moment
        info = zipfile.ZipInfo(name, (moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second))
        info.compress_type = zipfile.ZIP_DEFLATED
        info.create_system = 3
        info.external_attr = 0o100600 << 16
        return info


class _Hashed:
    """Counts and hashes what it hands on."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes) -> None:
        self._hash.update(data)
        self._size += len(data)
        self._target.write(data)

    def done(self, name: str) -> ExportFile:
        return ExportFile(name, self._size, "sha256:" + self._hash.hexdigest())


def _chunks(rows: Rows, tenant: str) -> Iterator[list[Sequence[object]]]:
    """Yield the rows in pieces, each row checked to be this tenant's (I31)."""
    place = _place(rows)
    stream = iter(rows.rows)
    while chunk := list(islice(stream, CHUNK_ROWS)):
        for row in chunk:
            if _tenant_text(row[place]) != tenant:
                raise _foreign()
        yield chunk


def _check(rows: Rows, tenant: str, row: Sequence[object]) -> None:
    if _tenant_text(row[_place(rows)]) != tenant:
        raise _foreign()


def _place(rows: Rows) -> int:
    if rows.tenant_index is None:
        raise Refused(
            "rows without a tenant column cannot be checked, and are not exported",
            guard="tenant-unchecked",
            advice="Export only datasets whose tenancy is a column, a path or a prefix.",
        )
    return rows.tenant_index


def _foreign() -> Refused:
    return Refused(
        "a row of another tenant was about to enter an export; the package was removed",
        guard="foreign-row",
        advice="Compare the dataset's tenancy with the store (`lifecycle doctor`); then export again.",
    )


def _tenant_text(value: object) -> str | None:
    """Return a tenant column's value as the register writes it: compared as text, so byte for byte."""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, UUID)) and not isinstance(value, bool):
        return str(value)
    return None


def _distinct(datasets: Iterable[ExportDataset]) -> Iterator[ExportDataset]:
    seen: set[str] = set()
    for one in datasets:
        if not all(_ID.fullmatch(name) for name in (one.dataset, one.store, one.category)):
            raise InvalidDocument("a dataset's, store's or category's name cannot be used in an export")
        if one.dataset in seen:
            raise InvalidDocument(f"the dataset {one.dataset} appears twice in an export")
        seen.add(one.dataset)
        yield one
    if not seen:
        raise InvalidDocument("an export without a dataset exports nothing")


def _check_names(export: str, alias: str, tenant: str) -> None:
    if not _ID.fullmatch(export) or not _ALIAS.fullmatch(alias) or not tenant:
        raise InvalidDocument("an export needs its id, the tenant's alias and the tenant")


def _silent(_progress: Progress) -> None:
    return


def check_package(path: Path) -> Manifest:
    """Read a package again, compare every file with the manifest, and return that. Nothing is unpacked.

    Raises:
        Corrupt: not a whole package of ours: a file is missing, changed or too many.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = manifests.read_manifest(archive.read(manifests.NAME))
            files = [file for one in manifest.datasets for file in (one.jsonl, one.csv)] + [manifest.readme]
            # Which contents there are stands in the lines: those are checked against the manifest first.
            contents = chain.from_iterable(described(archive, one) for one in manifest.datasets)
            names = [manifests.NAME]
            for file in chain(files, contents):
                names.append(file.name)
                if _read_again(archive, file.name) != file:
                    raise Corrupt(f"{file.name} is not the file that the manifest names", advice=_AGAIN)
            if sorted(archive.namelist()) != sorted(names):
                raise Corrupt("the package holds other files than its manifest names", advice=_AGAIN)
            return manifest
    except (OSError, zipfile.BadZipFile, Malformed, ValueError, KeyError, TypeError) as error:
        raise Corrupt(f"the package cannot be read ({type(error).__name__})", advice=_AGAIN) from None


_AGAIN: Final = "Do not hand this package over; export again."


def _read_again(archive: zipfile.ZipFile, name: str) -> ExportFile:
    counted = _Hashed(io.BytesIO())
    with archive.open(name) as member:
        while data := member.read(_COPY_BYTES):
            counted.write(data)
    return counted.done(name)
