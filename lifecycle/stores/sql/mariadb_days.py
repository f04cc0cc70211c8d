"""Least values that come out of MariaDB as local days: the server's own time zone tables are often empty."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from lifecycle.core.inventory import Encoding
from lifecycle.stores.sql.times import latest, zone_info

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SEPARATOR = "|"
"""Between the least date, the least wall time and the least instant of a column of texts."""


class LocalDay(sa.types.TypeDecorator[date]):
    """A least value whose local day is wanted."""

    impl = sa.types.NullType
    cache_ok = True

    def __init__(self, encoding: Encoding, home: str | None, zone: str) -> None:
        """Take the column's encoding, its own zone, and the zone of the day."""
        super().__init__()
        self.encoding = encoding
        self.home = home
        self.zone = zone

    def process_result_value(self, value: Any, dialect: object) -> date | None:
        """Return the day, None for no rows."""
        del dialect
        if value is None:
            return None
        if self.encoding == "iso-text":
            return self._of_texts(value)
        if self.encoding in {"epoch-s", "epoch-ms"}:
            scale = 1000 if self.encoding == "epoch-ms" else 1
            return self._of(_EPOCH + timedelta(seconds=int(value) // scale))
        if not isinstance(value, datetime):
            day: date = value
            return day
        return self._of(self._instant(value, aware=self.encoding == "utc"))

    def _instant(self, wall: datetime, *, aware: bool) -> datetime:
        return wall.replace(tzinfo=UTC) if aware or self.home is None else latest(wall, self.home)

    def _of(self, instant: datetime) -> date:
        return instant.astimezone(zone_info(self.zone)).date()

    def _of_texts(self, value: str) -> date | None:
        day, wall, instant = value.split(SEPARATOR)
        found = [date.fromisoformat(day)] if day else []
        found += [self._of(self._instant(datetime.fromisoformat(wall), aware=False))] if wall else []
        found += [self._of(self._instant(datetime.fromisoformat(instant), aware=True))] if instant else []
        return min(found, default=None)
