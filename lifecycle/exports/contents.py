"""Contents of files and objects in a package: each under a name of ours, told by its row (I31).

What the application calls an item stands in its row, as text. Where its content lies in the package is a number: no
name can lead out of the package's folder, collide with another one, or be a device.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final

from lifecycle.core.errors import Corrupt
from lifecycle.exports.manifest import Exported, ExportFile
from lifecycle.ports.store import Content, Rows

_COPY_BYTES: Final = 1 << 18


@dataclass(slots=True)
class Contents:
    """Writes one dataset's contents into the archive while its rows pass, and puts in each row where its content is."""

    archive: zipfile.ZipFile
    info: Callable[[str], zipfile.ZipInfo]
    folder: str
    check: Callable[[Sequence[object]], None]
    size: int = 0

    def rows(self, rows: Rows, place: int) -> Iterator[Sequence[object]]:
        """Yield the rows; the content's cell becomes `{file, size, sha256}`. A row is checked before it is opened."""
        for number, row in enumerate(rows.rows, start=1):
            self.check(row)
            cell = row[place]
            if not isinstance(cell, Content):
                raise Corrupt("a row of files came without its content")
            file = self._write(cell, f"{self.folder}/{number:08}")
            self.size += file.size
            described = {"file": file.name, "size": file.size, "sha256": file.sha256}
            yield (*row[:place], described, *row[place + 1 :])

    def _write(self, cell: Content, name: str) -> ExportFile:
        seen, size = hashlib.sha256(), 0
        with self.archive.open(self.info(name), "w", force_zip64=True) as member, cell.opened() as stream:
            while data := stream.read(_COPY_BYTES):
                seen.update(data)
                size += len(data)
                member.write(data)
        return ExportFile(name, size, "sha256:" + seen.hexdigest())


def described(archive: zipfile.ZipFile, one: Exported) -> Iterator[ExportFile]:
    """Yield the contents that a dataset's rows tell of, out of its JSONL file."""
    if one.contents is None:
        return
    with archive.open(one.jsonl.name) as lines:
        for line in lines:
            yield _file(json.loads(line)[one.contents])


def _file(found: Any) -> ExportFile:
    return ExportFile(found["file"], found["size"], found["sha256"])


def copied(spool: IO[bytes], archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    """Copy what was written aside into the archive."""
    with archive.open(info, "w", force_zip64=True) as member:
        spool.seek(0)
        while data := spool.read(_COPY_BYTES):
            member.write(data)
