"""What a dashboard is made of: panels as data, and the few shapes that their queries have.

All replicas export the same series and fold the same log: a panel takes the worst of them (`max`, of deadlines `min`),
never the sum. Only what a process measures itself (batch seconds, exported bytes) is added up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

JOB: Final = 'job=~"$job"'
"""Every query asks for the chosen deployments."""

Kind = Literal["stat", "bars", "lines", "table"]
Steps = tuple[tuple[float | None, str], ...]

NEUTRAL: Final[Steps] = ((None, "blue"),)
BAD_ABOVE_ZERO: Final[Steps] = ((None, "green"), (0.000001, "red"))


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression. `may_be_empty`: why it may have no result in a healthy deployment."""

    expression: str
    legend: str = ""
    may_be_empty: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: `unit` is Grafana's name of it, `width` counts 24 columns, `steps` colour the value."""

    kind: Kind
    title: str
    what: str
    queries: tuple[Query, ...]
    unit: str = "short"
    width: int = 12
    steps: Steps = NEUTRAL


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard; `rows` are titles with the panels under them."""

    uid: str
    title: str
    what: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]

    def panels(self) -> tuple[Panel, ...]:
        """Return all panels in the order of the page."""
        return tuple(panel for _, panels in self.rows for panel in panels)


def bad_above(limit: float) -> Steps:
    """Return colours of a value that should stay below a limit."""
    return ((None, "green"), (limit, "red"))


def good_from(limit: float) -> Steps:
    """Return colours of a value that should stay above a limit."""
    return ((None, "red"), (limit, "green"))


def worst(metric: str, *by: str) -> str:
    """Return the greatest value of all replicas."""
    return f"max by ({', '.join(by)}) (lifecycle_{metric}{{{JOB}}})"


def left(metric: str, *by: str) -> str:
    """Return the seconds until the earliest moment that a replica knows."""
    return f"min by ({', '.join(by)}) (lifecycle_{metric}_timestamp_seconds{{{JOB}}}) - time()"


def days(seconds: str) -> str:
    """Return seconds as days."""
    return f"({seconds}) / 86400"


def since(metric: str, *by: str) -> str:
    """Return the seconds since the latest moment that a replica knows."""
    return f"time() - {worst(f'{metric}_timestamp_seconds', *by)}"


def rate(counter: str, *by: str) -> str:
    """Return a counter's rate per second."""
    return f"max by ({', '.join(by)}) (rate(lifecycle_{counter}_total{{{JOB}}}[$__rate_interval]))"


def gained(counter: str, *by: str) -> str:
    """Return what a counter gained in the shown time."""
    return f"max by ({', '.join(by)}) (increase(lifecycle_{counter}_total{{{JOB}}}[$__range]))"


def slowest(quantile: float) -> str:
    """Return a quantile of the seconds of a batch, by store."""
    buckets = f"sum by (store, le) (rate(lifecycle_batch_seconds_bucket{{{JOB}}}[$__rate_interval]))"
    return f"histogram_quantile({quantile}, {buckets})"
