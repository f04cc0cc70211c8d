"""Throttles: why nothing should be changed in a store just now. Pure; who asks the store and the folder is `stores`.

A signal that is asked for and cannot be read counts as the worst: then nothing is changed until it can be.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from lifecycle.core.calendar import zone_known
from lifecycle.core.span import Span
from lifecycle.core.value import Fault, Line, Value, refuse

Cause = Literal["window", "flag", "replica-lag", "autovacuum", "load", "unreadable"]
Times = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$")]


class Throttle(Value):
    """When and how fast one store may be changed. What is not written does not hold anything back."""

    windows: Annotated[tuple[Times, ...], Field(max_length=16)] = Field(
        default=(), description="Local times of day in which changes are allowed, such as 22:00-05:30; none: always."
    )
    zone: Line = Field(default="UTC", description="The zone of `windows`, such as Europe/Berlin.")
    rows_per_second: Annotated[int, Field(ge=1, le=10_000_000)] | None = Field(
        default=None, description="The most rows that are changed in a second, on average over each batch."
    )
    replica_lag: Span | None = Field(
        default=None, description="While a replica is further behind than this, nothing is changed."
    )
    autovacuum: bool = Field(default=False, description="While the server vacuums one of the tables, nothing is.")
    active_sessions: Annotated[int, Field(ge=0, le=1_000_000)] | None = Field(
        default=None, description="While more other sessions than this are at work, nothing is changed."
    )
    flag_file: Line | None = Field(
        default=None, description="While this file exists, nothing is changed; relative to the settings' folder."
    )

    @model_validator(mode="after")
    def _real(self) -> Throttle:
        faults = [
            Fault(("windows", index), "a window that begins when it ends", "write another end, or no window for always")
            for index, times in enumerate(self.windows)
            if times[:5] == times[6:]
        ]
        if not zone_known(self.zone):
            faults.append(Fault(("zone",), "no such zone is known", "write a name such as Europe/Berlin"))
        if faults:
            refuse(*faults)
        return self

    @property
    def asks_the_server(self) -> bool:
        """Tell whether a signal of the server's is wanted."""
        return self.replica_lag is not None or self.autovacuum or self.active_sessions is not None


@dataclass(frozen=True, slots=True)
class Pressure:
    """What a server tells about its load. None: it does not tell, or our role may not ask.

    Seconds that its slowest replica is behind (0: none is), tables that it vacuums, other sessions at work.
    """

    replica_lag: float | None = None
    vacuuming: tuple[str, ...] | None = None
    active_sessions: int | None = None


@dataclass(frozen=True, slots=True)
class Brake:
    """Why nothing should be changed now, in words for status and log, and until when where that is known."""

    cause: Cause
    why: str
    until: datetime | None = None


def braked(throttle: Throttle, now: datetime, *, flagged: bool | None, pressure: Pressure | None) -> Brake | None:
    """Return why nothing should be changed now, or None.

    `flagged`: whether the flag file is there, None where nobody can tell; `pressure` likewise.
    """
    if (opens := _opens(throttle, now)) is not None:
        local = opens.astimezone(ZoneInfo(throttle.zone))
        return Brake("window", f"outside its maintenance windows; the next opens on {local:%Y-%m-%d at %H:%M}", opens)
    if flagged is None:
        return Brake("unreadable", "nobody can tell whether the flag file is there")
    if flagged:
        return Brake("flag", "the flag file is there")
    return _pressed(throttle, pressure or Pressure()) if throttle.asks_the_server else None


def _pressed(throttle: Throttle, pressure: Pressure) -> Brake | None:
    lag, tables, active = pressure.replica_lag, pressure.vacuuming, pressure.active_sessions
    if throttle.replica_lag is not None:
        if lag is None:
            return Brake("unreadable", "the server does not tell how far its replicas are behind")
        if lag > throttle.replica_lag.seconds:
            return Brake("replica-lag", f"a replica is {lag:.0f} s behind, more than {throttle.replica_lag.seconds} s")
    if throttle.autovacuum:
        if tables is None:
            return Brake("unreadable", "the server does not tell which tables it vacuums")
        if tables:
            return Brake("autovacuum", f"the server vacuums {', '.join(tables)}")
    if throttle.active_sessions is not None:
        if active is None:
            return Brake("unreadable", "the server does not tell how many sessions are at work")
        if active > throttle.active_sessions:
            return Brake("load", f"{active} other sessions are at work, more than {throttle.active_sessions}")
    return None


def _opens(throttle: Throttle, now: datetime) -> datetime | None:
    """Return when the next window opens; None while one is open, or where there is none."""
    if not throttle.windows:
        return None
    zone = ZoneInfo(throttle.zone)
    local = now.astimezone(zone)
    clock = f"{local:%H:%M}"
    if any(_within(clock, times[:5], times[6:]) for times in throttle.windows):
        return None
    starts: list[datetime] = []
    for times in throttle.windows:
        hour, minute = int(times[:2]), int(times[3:5])
        for day in (local, local + timedelta(days=1)):
            begin = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(UTC)
            starts.append(begin)
    return min(start for start in starts if start > now)


def _within(clock: str, begin: str, end: str) -> bool:
    return begin <= clock < end if begin < end else clock >= begin or clock < end
