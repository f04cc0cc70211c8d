"""SQLite for the verifier: values come out and are read here, with a parser of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from lifecycle.core.inventory import TimeColumn
from lifecycle.core.transform import Constant, Transform
from lifecycle.stores.sql import fresh_done

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_DECIMALS = 6
_FIRST_ODD_OFFSET = timedelta(hours=15)
_SHORTEST_TIME = len("2000-01-01 00:00")


class SqliteFresh:
    """Decides days outside the database."""

    def day(self, column: str, word: str, time: TimeColumn, zone: str) -> str:
        """The value itself."""
        del word, time, zone
        return column

    def read_day(self, value: object, time: TimeColumn, zone: str) -> date | None:
        """The local day of a stored value, None when it is no time."""
        try:
            if time.encoding in {"epoch-s", "epoch-ms"}:
                return self._epoch_day(value, time, zone)
            return self._text_day(value, time, zone)
        except (ValueError, OverflowError):
            return None

    @staticmethod
    def _epoch_day(value: object, time: TimeColumn, zone: str) -> date | None:
        if not isinstance(value, int | float):
            return None
        unit = timedelta(milliseconds=1) if time.encoding == "epoch-ms" else timedelta(seconds=1)
        return (_EPOCH + value * unit).astimezone(ZoneInfo(zone)).date()

    @staticmethod
    def _text_day(value: object, time: TimeColumn, zone: str) -> date | None:
        if not isinstance(value, str) or not value.isascii() or value[4:5] != "-" or value[7:8] != "-":
            return None
        if (
            value[0] not in "12"
            or len(value.partition(".")[2].rstrip("Z").split("+")[0].split("-")[0]) > _MOST_DECIMALS
        ):
            return None
        dated, rest = date.fromisoformat(value[:10]), value[10:]
        if not rest:
            return dated if time.encoding in {"date", "iso-text"} else None
        clock = rest.rstrip("Z").split("+")[0].split("-")[0]
        odd = "," in rest or clock[3:4] != ":" or rest[0] not in " T" or clock.startswith((" 24", "T24"))
        if odd or time.encoding == "date" or len(value) < _SHORTEST_TIME:
            return None
        moment = datetime.fromisoformat(value)
        shift = moment.utcoffset() or timedelta(0)
        if abs(shift) >= _FIRST_ODD_OFFSET or (rest[-3] in "+-" and not rest.endswith("Z")):
            return None
        if moment.tzinfo is None:
            home = ZoneInfo(time.zone) if time.zone and time.encoding != "utc" else UTC
            # An hour that exists twice counts as the second: later, so kept longer.
            moment = max(moment.replace(tzinfo=home, fold=fold).astimezone(UTC) for fold in (0, 1))
        elif time.encoding == "local":
            return None
        return moment.astimezone(ZoneInfo(zone)).date()

    def text(self, column: str, word: str) -> str:
        """Text of integers and texts, compared byte by byte."""
        del word
        return f"(CASE WHEN typeof({column}) IN ('integer', 'text') THEN {column} || '' END COLLATE BINARY)"

    def listed(self, bind: Callable[[object], str], texts: Sequence[str]) -> str:
        """A JSON list."""
        return f"SELECT value FROM json_each({bind(json.dumps(list(texts), ensure_ascii=False))})"  # noqa: S608

    def same(self, column: str, word: str, bind: Callable[[object], str], value: str | int | bool) -> str:  # noqa: FBT001
        """Storage class and text; booleans are 0 and 1."""
        kind = "text" if isinstance(value, str) else "integer"
        spelled = value if isinstance(value, str) else str(int(value))
        return f"(typeof({column}) = '{kind}' AND {self.text(column, word)} = {bind(spelled)})"

    def done(self, column: str, word: str, bind: Callable[[object], str], transform: Transform) -> str:
        """Read off the value's parts."""
        same = self.same(column, word, bind, transform.value) if isinstance(transform, Constant) else ""
        return fresh_done.sqlite(column, bind, transform, same)
