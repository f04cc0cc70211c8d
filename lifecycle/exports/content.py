"""A dataset's content digest: proof that what is deleted equals what was exported (I34), in whatever order it comes.

Each row is written as its line of JSONL (`lifecycle.exports.cells.lines`) and gets an HMAC-SHA256 under the export's
key; these 256-bit numbers are added up modulo 2**256. The digest is `lifecycle.evidence.digest.keyed_digest` under the
same key over the canonical JSON of column names, number of rows and that sum. Two streams have equal digests if and
only if they hold the same lines the same number of times: whoever chooses contents does not know the key, and so cannot
steer the sum. Without the key nothing can be guessed from it; it is destroyed with the export's record.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from lifecycle.core.errors import Refused
from lifecycle.evidence import canonical
from lifecycle.evidence.digest import keyed_digest
from lifecycle.exports.cells import lines
from lifecycle.ports.store import Rows

CHUNK_ROWS: Final = 500
_MODULUS: Final = 1 << 256


@dataclass(frozen=True, slots=True)
class Content:
    """How many rows a dataset had, and its digest (`hmac-sha256:` and 64 hexadecimal digits)."""

    rows: int
    digest: str


class Accumulator:
    """Adds rows up, in any order."""

    def __init__(self, key: bytes, columns: Sequence[str]) -> None:
        """Start at nothing. The key has at least 32 bytes."""
        self._key = key
        self._row_key = hmac.digest(key, b"lifecycle/export-row/v1\n", "sha256")
        self._columns = list(columns)
        self._sum = 0
        self.rows = 0

    def add(self, made: Iterable[bytes]) -> None:
        """Count these lines of JSONL, line feeds included."""
        key, total, count = self._row_key, self._sum, 0
        for item in made:
            total += int.from_bytes(hmac.digest(key, item, "sha256"), "big")
            count += 1
        self._sum = total % _MODULUS
        self.rows += count

    def content(self) -> Content:
        """Return the number of rows and their digest."""
        document = {"columns": self._columns, "rows": self.rows, "sum": format(self._sum, "064x")}
        return Content(self.rows, keyed_digest(self._key, canonical.encode(document)))


def content_of(rows: Rows, key: bytes) -> Content:
    """Return the content digest of a stream of rows, to be compared with an export's. Memory does not grow.

    Raises Refused (guard `contents`) for rows that are files: their lines also tell what the package holds of them.
    """
    if rows.contents is not None:
        raise Refused("rows that are files are compared through their package", guard="contents")
    accumulator = Accumulator(key, rows.columns)
    stream = iter(rows.rows)
    while chunk := list(islice(stream, CHUNK_ROWS)):
        accumulator.add(lines(rows.columns, chunk))
    return accumulator.content()
