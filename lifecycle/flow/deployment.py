"""A deployment as the flow functions see it: documents, ports, keys and limits, put together by wiring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from lifecycle.core.errors import InvalidDocument
from lifecycle.core.operator import OperatorKey, OperatorsFile
from lifecycle.core.policy import Policy
from lifecycle.core.schedule import Schedule
from lifecycle.core.settings import GuardSettings, ScheduleSettings
from lifecycle.core.tenant import Tenant
from lifecycle.evidence.digest import alias_for
from lifecycle.evidence.keys import NoteKey, SigningKey
from lifecycle.ports.clock import Clock, NoSecondClock, SecondClock
from lifecycle.ports.failpoint import Failpoint, no_failpoint
from lifecycle.ports.outside import KillSwitch, OutsideCheckpoint
from lifecycle.ports.state import State
from lifecycle.ports.store import Store


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that are on by default (I4). Items are rows; sizes are rows a batch; `aim_seconds` steers the size."""

    most_items: int = 10_000_000
    margin_days: int = 3
    late_passes: int = 2
    first_batch: int = 10_000
    least_batch: int = 500
    most_batch: int = 250_000
    aim_seconds: float = 0.35
    plan_hours: int = 72
    rows_per_night: int | None = None


@dataclass(frozen=True, slots=True)
class Keys:
    """The deployment's keys. The three secrets have 32 bytes each and never leave the process."""

    log: SigningKey
    certificate: SigningKey
    sealing: bytes = field(repr=False)
    commitment: bytes = field(repr=False)
    alias: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Deployment:
    """Everything one walk along the line needs. Frozen: a reload makes a new one.

    `documents`: kind, id, version and hash of each document in force; `exact`: their bytes by hash. `throttled`: stores
    that the settings hold back at times.
    """

    id: str
    origin: str
    policy: Policy
    documents: tuple[Mapping[str, str], ...]
    stores: Mapping[str, Store]
    state: State
    clock: Clock
    keys: Keys
    operators: OperatorsFile
    outside: OutsideCheckpoint
    kill: KillSwitch
    folder: Path
    exact: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    limits: Limits = Limits()
    schedule: Schedule = field(default_factory=lambda: Schedule.of(ScheduleSettings()))
    guards: GuardSettings = field(default_factory=GuardSettings)
    second: SecondClock = field(default_factory=NoSecondClock)
    ntp: SecondClock = field(default_factory=NoSecondClock)
    failpoint: Failpoint = no_failpoint
    throttled: frozenset[str] = frozenset()
    tool_version: str = "0.1.0"

    @property
    def log_key(self) -> NoteKey:
        """Return the public note key of the log."""
        return NoteKey(self.origin, self.keys.log.public)

    def alias(self, tenant: str) -> str:
        """Return the tenant's opaque name in plans and evidence."""
        return alias_for(self.keys.alias, tenant)

    def operator(self, name: str, day: date) -> OperatorKey:
        """Return an operator whose key counts on that day. Raises InvalidDocument when there is none."""
        for operator in self.operators.operators:
            current = operator.removed_on is None or day < operator.removed_on
            if operator.id == name and operator.added_on <= day and current:
                return operator
        msg = f"no operator {name!r} with a key in force"
        raise InvalidDocument(msg, advice="Add the public key with `lifecycle operator add`, or use another --by.")

    def zone_of(self, tenant: Tenant) -> str:
        """Return the calendar's zone of the tenant's agreement. Raises InvalidDocument when no document holds it."""
        try:
            return self.policy.agreement(tenant.agreement, tenant.agreement_version).zone
        except KeyError:
            raise InvalidDocument(
                "a tenant is bound by an agreement or version that no document holds",
                advice="Put the document back: `lifecycle status` names what cannot be resolved.",
            ) from None


def instant(moment: datetime) -> str:
    """Return the moment as evidence writes it: UTC, whole seconds, Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
