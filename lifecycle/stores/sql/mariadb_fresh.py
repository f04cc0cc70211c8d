"""MariaDB for the verifier: values come out as texts, rounded down to the quarter of an hour, and are read here.

No offset of any zone since 1973 is finer than a quarter of an hour, so rounding changes no day, and one group stands
for many rows. What no calendar has comes out as it stands and is read as nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from lifecycle.core.inventory import TimeColumn
from lifecycle.core.transform import Constant, Transform
from lifecycle.stores.sql import fresh_done
from lifecycle.stores.sql.sqlite_fresh import SqliteFresh

_BYTES = "COLLATE utf8mb4_nopad_bin"
_ROUND_FROM = 94_694_400
"""1973 in seconds: before it some zones had offsets of odd seconds."""

_NUMERIC = ("tinyint", "smallint", "mediumint", "int", "bigint", "decimal")


class MariadbFresh:
    """Decides days outside the database."""

    def day(self, column: str, word: str, time: TimeColumn, zone: str) -> str:
        """SQL of the value as a text or number that has the same day as the value."""
        del zone
        if time.encoding in {"epoch-s", "epoch-ms"}:
            scale = 1000 if time.encoding == "epoch-ms" else 1
            rounded = f"{column} - MOD({column}, {900 * scale})"
            return f"CASE WHEN {column} >= {_ROUND_FROM * scale} THEN {rounded} ELSE {column} END"
        if time.encoding == "date":
            return f"CAST({column} AS CHAR)"
        if time.encoding == "iso-text":
            return self.text(column, word)
        quarter = f"CONCAT(DATE_FORMAT({column}, '%Y-%m-%d %H:'), LPAD(MINUTE({column}) DIV 15 * 15, 2, '0'))"
        return f"CASE WHEN YEAR({column}) > 1972 THEN {quarter} ELSE CAST({column} AS CHAR) END"

    def read_day(self, value: object, time: TimeColumn, zone: str) -> date | None:
        """The local day of what came out, None when it is no time."""
        if value is None:
            return None
        if time.encoding in {"epoch-s", "epoch-ms"}:
            return SqliteFresh().read_day(int(str(value).partition(".")[0]), time, zone)
        if time.encoding == "iso-text":
            return SqliteFresh().read_day(value, time, zone)
        try:
            if time.encoding == "date":
                return date.fromisoformat(str(value))
            wall = datetime.fromisoformat(str(value))
        except ValueError:
            return None
        return self._shifted(wall, time, zone)

    @staticmethod
    def _shifted(wall: datetime, time: TimeColumn, zone: str) -> date | None:
        home = ZoneInfo(time.zone) if time.zone and time.encoding == "local" else UTC
        # An hour that exists twice counts as the second: later, so kept longer.
        try:
            instants = [wall.replace(tzinfo=home, fold=fold).astimezone(UTC) for fold in (0, 1)]
            return max(instants).astimezone(ZoneInfo(zone)).date()
        except OverflowError:
            return None

    def text(self, column: str, word: str) -> str:
        """Text, compared byte by byte; numbers without padding zeros."""
        shown = f"{column} + 0" if word.startswith(_NUMERIC) else column
        return f"(CAST({shown} AS CHAR CHARACTER SET utf8mb4) {_BYTES})"

    def listed(self, bind: Callable[[object], str], texts: Sequence[str]) -> str:
        """A JSON list; a value that does not fit is an error, never a NULL."""
        column = f"value VARCHAR(700) CHARACTER SET utf8mb4 {_BYTES} PATH '$' ERROR ON EMPTY ERROR ON ERROR"
        return f"SELECT value FROM JSON_TABLE({bind(json.dumps(list(texts)))}, '$[*]' COLUMNS ({column})) AS listed"  # noqa: S608

    def same(self, column: str, word: str, bind: Callable[[object], str], value: str | int | bool) -> str:  # noqa: FBT001
        """Numbers as numbers on columns of numbers, everything else as text: MariaDB would read 'x' as 0."""
        if not isinstance(value, str) and word.startswith(_NUMERIC):
            return f"{column} = {bind(int(value))}"
        spelled = value if isinstance(value, str) else str(int(value))
        return f"{self.text(column, word)} = {bind(spelled)}"

    def done(self, column: str, word: str, bind: Callable[[object], str], transform: Transform) -> str:
        """The value is what the transform leaves behind, or NULL."""
        same = self.same(column, word, bind, transform.value) if isinstance(transform, Constant) else ""
        return fresh_done.mariadb(column, word, bind, transform, same)
