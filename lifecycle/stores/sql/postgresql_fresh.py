"""PostgreSQL for the verifier: the day of each row by the server's own calendar, compared as a day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

from lifecycle.core.inventory import TimeColumn
from lifecycle.core.transform import Constant, Transform
from lifecycle.stores.sql import fresh_done

_TIME = r"^[12]\d{3}-\d\d-\d\d([ T]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?(Z|[+-](0\d|1[0-4]):?[0-5]\d)?)?$"
_CALENDAR = "'0001-01-03' AND '9999-12-29'"
"""Days that every client can read; infinity and what lies before Christ are not believable anyway."""
_AWARE = r"(Z|[+-]\d\d:?\d\d)$"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class PostgresqlFresh:
    """Decides days inside the database."""

    def day(self, column: str, word: str, time: TimeColumn, zone: str) -> str:
        """SQL of the local day, NULL where there is none."""
        at = _quoted(zone)
        if time.encoding == "date":
            return f"CASE WHEN {column} BETWEEN {_CALENDAR} THEN {column} END"
        if time.encoding in {"epoch-s", "epoch-ms"}:
            seconds = f"({column} / 1000.0)" if time.encoding == "epoch-ms" else f"{column}::numeric"
            # Beyond these the server's calendar ends; nothing there is believable anyway.
            return self._epoch_day(seconds, at)
        if time.encoding == "iso-text":
            return self._text_day(f'({column}::text COLLATE "C")', time, at)
        home = time.zone if time.encoding == "local" else "UTC"
        instant = column if word.endswith("with time zone") else f"({column} AT TIME ZONE {_quoted(home or 'UTC')})"
        return f"CASE WHEN {column} BETWEEN {_CALENDAR} THEN ({instant} AT TIME ZONE {at})::date END"

    @staticmethod
    def _epoch_day(seconds: str, at: str) -> str:
        # NULL outside the calendar; `floor` because a day begins with its first millisecond.
        moment = f"(timestamptz 'epoch' + floor({seconds}) * interval '1 second')"
        return f"CASE WHEN {seconds} BETWEEN -6e10 AND 2e11 THEN ({moment} AT TIME ZONE {at})::date END"

    @staticmethod
    def _text_day(column: str, time: TimeColumn, at: str) -> str:
        month = f"to_date(substr({column}, 1, 7) || '-01', 'YYYY-MM-DD')"
        last = f"extract(day FROM {month} + interval '1 month' - interval '1 day')"
        real = f"substr({column}, 6, 2) BETWEEN '01' AND '12' AND substr({column}, 9, 2) BETWEEN '01' AND '31'"
        home = _quoted(time.zone or "UTC")
        return (
            f"CASE WHEN {column} ~ '{_TIME}' THEN CASE WHEN {real} THEN "
            f"CASE WHEN substr({column}, 9, 2)::int <= {last} THEN CASE WHEN length({column}) = 10 THEN {column}::date "
            f"WHEN {column} ~ '{_AWARE}' THEN ({column}::timestamptz AT TIME ZONE {at})::date "
            f"ELSE (({column}::timestamp AT TIME ZONE {home}) AT TIME ZONE {at})::date END END END END"
        )

    def read_day(self, value: object, time: TimeColumn, zone: str) -> date | None:
        """The day that came out."""
        del time, zone
        return value if isinstance(value, date) else None

    def text(self, column: str, word: str) -> str:
        """Text, compared byte by byte."""
        del word
        return f'({column}::text COLLATE "C")'

    def listed(self, bind: Callable[[object], str], texts: Sequence[str]) -> str:
        """An array."""
        return f"SELECT unnest(CAST({bind(list(texts))} AS text[]))"

    def same(self, column: str, word: str, bind: Callable[[object], str], value: str | int | bool) -> str:  # noqa: FBT001
        """Numbers as numbers, truths as truths, everything else as text."""
        if isinstance(value, bool):
            return f"{column} = CAST({bind(str(value))} AS boolean)"
        if isinstance(value, int):
            return f"{column} = CAST({bind(str(value))} AS numeric)"
        return f"{self.text(column, word)} = CAST({bind(value)} AS text)"

    def done(self, column: str, word: str, bind: Callable[[object], str], transform: Transform) -> str:
        """Read off the value's parts."""
        same = self.same(column, word, bind, transform.value) if isinstance(transform, Constant) else ""
        return fresh_done.postgresql(column, word, bind, transform, same)
