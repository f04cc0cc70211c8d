"""What a scenario is, and how one is judged; see the package's docstring for what is measured."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from lifecycle.ports.clock import SystemClock
from tests.starvation.site import ROWS, RULE, Site, alive, built, healthy, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import OwnPostgres

HEALING = 180.0
"""Seconds that a rule may take after the fault: a begun job is tried again after a minute, then two."""


class Scenario:
    """One way to keep the worker from deleting; a subclass says which, in the first line of its docstring.

    `known`: the fault blinds the verifier too; it has seen the rows before, and their ceiling passes during the fault.
    `rows_first`: the rows are committed right after a turn, and the fault comes before the next one.
    `alarm`: the alert that must fire. `heals`: the daemon goes on by itself once the fault is over.
    `grants`: `prepare` sees to the mandate.
    """

    name: ClassVar[str]
    store: ClassVar[Literal["sqlite", "postgresql"]] = "sqlite"
    every: ClassVar[int] = 5
    alarm: ClassVar[str] = "DeadlineBreached"
    known: ClassVar[bool] = False
    rows_first: ClassVar[bool] = False
    role: ClassVar[bool] = False
    proxied: ClassVar[bool] = False
    own_server: ClassVar[bool] = False
    heals: ClassVar[bool] = True
    settings: ClassVar[str] = ""
    most_items: ClassVar[int | None] = None
    grants: ClassVar[bool] = False

    @classmethod
    def sentence(cls) -> str:
        """Return what happens, in a sentence."""
        return (cls.__doc__ or "").strip().splitlines()[0]

    @property
    def limit(self) -> float:
        """Return the seconds within which the alarm must fire."""
        return 2.0 * self.every

    def prepare(self, site: Site) -> None:
        """Change the deployment before its mandate is granted."""

    def command(self, site: Site) -> list[str] | None:
        """Return another command than `lifecycle daemon`."""
        return None

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        """Bring the fault about; what follows the yield heals it. Here: none."""
        yield

    def rows(self, site: Site) -> float:
        """Bring the rows, and return when."""
        return site.insert()

    def bitten(self, site: Site) -> bool:
        """Tell whether the worker has deleted none of the rows."""
        return site.left() == ROWS

    def told(self, site: Site) -> str:
        """Return why the rule's last turn did nothing, as the log has it."""
        last = [line for line in site.turns() if line.get("result") not in {"applied", "idle"}]
        if not last:
            return "no turn ended"
        return "/".join(str(last[-1][name]) for name in ("result", "guard", "error") if last[-1].get(name))


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a scenario ended. `seconds`: until the alarm, None when it never came."""

    name: str
    seconds: float | None
    limit: float
    ok: bool
    note: str


def judge(scenario: Scenario, folder: Path, server: OwnPostgres | None) -> Outcome:
    """Run one scenario; whatever goes wrong is its outcome."""
    seen: list[float] = []
    try:
        with built(scenario, folder, server) as site, alive(site):
            try:
                note = _story(scenario, site, seen)
            except AssertionError as error:
                raise AssertionError(f"{error}\n{_end_of(site)}") from error
    except Exception as error:  # noqa: BLE001 - a scenario that breaks is a miss, and the others run on
        note = f"{type(error).__name__}: {error}"
        return Outcome(scenario.name, seen[0] if seen else None, scenario.limit, ok=False, note=note)
    return Outcome(scenario.name, seen[0], scenario.limit, seen[0] <= scenario.limit, note)


def _story(scenario: Scenario, site: Site, seen: list[float]) -> str:
    healthy(site)
    with ExitStack() as stack:
        since = _starve(scenario, site, stack)
        until(
            lambda: site.firing(scenario.alarm), f"{scenario.alarm} fires", patience=scenario.limit + since - _now() + 5
        )
        seen.append(max(0.0, _now() - since))
        until(lambda: _now() >= since + scenario.limit, "the limit passes")
        assert scenario.bitten(site), "the fault did not bite: rows were deleted"
        assert site.firing(scenario.alarm), "the alarm ended although nothing was healed"
        note = scenario.told(site)
    if not scenario.heals:
        return f"{note}; not healed"
    healed = _now()
    until(lambda: not site.left(), "the rows go once the fault is healed", patience=HEALING)
    until(lambda: not site.firing(scenario.alarm), "the alarm ends once the rows are gone")
    return f"{note}; clear {_now() - healed:.0f} s after healing"


def _starve(scenario: Scenario, site: Site, stack: ExitStack) -> float:
    """Bring rows and fault in the scenario's order, and return since when a row is overdue."""
    if not (scenario.known or scenario.rows_first):
        stack.enter_context(scenario.fault(site))
        return scenario.rows(site)
    site.after_turn()
    since = scenario.rows(site)
    if scenario.known:
        since = _seen_ahead(scenario, site)
    stack.enter_context(scenario.fault(site))
    return since


def _seen_ahead(scenario: Scenario, site: Site) -> float:
    """Return when the rows' ceiling passes, once the verifier and Prometheus know it, and before it does."""
    assert site.ceiling is not None
    ceiling, name = site.ceiling.timestamp(), "lifecycle_rule_next_deadline_timestamp_seconds"
    until(
        lambda: site.metric(name, rule=RULE) == ceiling, "the verifier has seen the rows", patience=scenario.every / 2
    )
    until(lambda: site.watch.value(f'{name}{{rule="{RULE}"}}') == ceiling, "Prometheus has, too", patience=3)
    ahead = (site.ceiling - SystemClock().now()).total_seconds()
    assert ahead > 0, "the machine is too slow: the ceiling passed before the fault"
    return _now() + ahead


def _end_of(site: Site) -> str:
    told = [line for line in site.daemon.lines if line["event"] not in {"look.done", "tick.finished", "batch.done"}]
    return "\n".join(["  " + str(line) for line in told[-12:]] + ["  " + line for line in site.daemon.errors[-12:]])


_now = time.monotonic
