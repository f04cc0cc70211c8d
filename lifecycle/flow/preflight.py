"""What a plan may not be made over, and what doctor shows: findings of the stores, gathered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lifecycle.core.errors import LifecycleError, Refused
from lifecycle.core.guard import CLOCK_SPREAD, FALL_BACK
from lifecycle.flow.deployment import Deployment
from lifecycle.ports.store import Finding, Probe, Store


@dataclass(frozen=True, slots=True)
class Checkup:
    """What doctor found: findings, each once, the worst first; and facts about each store in words, by topic."""

    findings: tuple[Finding, ...]
    facts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def fatal(self) -> tuple[Finding, ...]:
        """Return what stands in the way."""
        return tuple(finding for finding in self.findings if finding.fatal)


def refuse_fatal(store: Store, datasets: Sequence[str], anonymised: Sequence[str] = ()) -> None:
    """Raise Refused with every fatal finding about these datasets (I11), some of which are to be anonymised."""
    fatal = [finding for finding in store.inspect(datasets, anonymised) if finding.fatal]
    if fatal:
        raise Refused(
            "; ".join(f"{finding.dataset or store.id}: {finding.what} [{finding.code}]" for finding in fatal),
            guard="unsafe-schema",
            advice="; ".join(dict.fromkeys(finding.fix for finding in fatal)),
        )


def doctor(deployment: Deployment) -> Checkup:
    """Look long at every store: unreachable, unprepared, unsafe, misread, unprivileged, short of room. Changes nothing.

    A store that fails is a finding and hides no other.
    """
    found: list[Finding] = []
    facts: dict[str, Mapping[str, str]] = {}
    for name, store in sorted(deployment.stores.items()):
        local = deployment.policy.inventory.in_store(name)
        datasets = [dataset.id for dataset in local]
        anonymised = [dataset.id for dataset in local if dataset.anonymise]
        try:
            probe = store.probe()
            found += _of_probe(deployment, store, probe)
            found += store.inspect(datasets, anonymised)
            examined = store.examine(datasets)
        except LifecycleError as error:
            found.append(Finding("unreachable", name, None, error.message, error.advice(), fatal=True))
            continue
        found += examined.findings
        facts[name] = {"server": f"{probe.kind} {probe.version}", **examined.facts}
    once = dict.fromkeys(found)
    return Checkup(tuple(sorted(once, key=lambda f: (not f.fatal, f.store, f.code, f.what, f.dataset or ""))), facts)


def _of_probe(deployment: Deployment, store: Store, probe: Probe) -> Iterator[Finding]:
    if not probe.prepared:
        fix = f"Run `lifecycle store prepare {store.id}`."
        yield Finding("unprepared", store.id, None, "our tables are not there", fix, fatal=True)
    apart = abs(probe.clock - deployment.clock.now())
    if apart > FALL_BACK:
        what = f"its clock and this host's are {apart.total_seconds():.0f} s apart"
        fix = f"Set the wrong one; above {CLOCK_SPREAD.total_seconds():.0f} s nothing runs."
        yield Finding("clock", store.id, None, what, fix, fatal=apart > CLOCK_SPREAD)
    brake = store.held_back()
    if brake is not None and brake.cause == "unreadable":
        what = f"it is throttled for good: {brake.why}"
        fix = "Let our role read the signal (on PostgreSQL: GRANT pg_read_all_stats), or take it out of `throttle`."
        yield Finding("throttle-unreadable", store.id, None, what, fix, fatal=True)
