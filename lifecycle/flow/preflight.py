"""What a plan may not be made over, and what doctor shows: findings of the stores, gathered."""

from __future__ import annotations

from collections.abc import Sequence

from lifecycle.core.errors import LifecycleError, Refused
from lifecycle.flow.deployment import Deployment
from lifecycle.ports.store import Finding, Store


def refuse_fatal(store: Store, datasets: Sequence[str], anonymised: Sequence[str] = ()) -> None:
    """Raise Refused with every fatal finding about these datasets (I11), some of which are to be anonymised."""
    fatal = [finding for finding in store.inspect(datasets, anonymised) if finding.fatal]
    if fatal:
        raise Refused(
            "; ".join(f"{finding.dataset or store.id}: {finding.what} [{finding.code}]" for finding in fatal),
            guard="unsafe-schema",
            advice="; ".join(dict.fromkeys(finding.fix for finding in fatal)),
        )


def doctor(deployment: Deployment) -> list[Finding]:
    """Return every store's findings: unreachable, unprepared, read-only, and what is unsafe about its datasets."""
    findings: list[Finding] = []
    for name, store in sorted(deployment.stores.items()):
        local = deployment.policy.inventory.in_store(name)
        datasets = [dataset.id for dataset in local]
        anonymised = [dataset.id for dataset in local if dataset.anonymise]
        try:
            findings.extend(_of_store(store))
            findings.extend(store.inspect(datasets, anonymised))
        except LifecycleError as error:
            findings.append(Finding("unreachable", name, None, error.message, error.advice(), fatal=True))
    return findings


def _of_store(store: Store) -> list[Finding]:
    probe = store.probe()
    findings: list[Finding] = []
    if probe.read_only:
        findings.append(
            Finding("read-only", store.id, None, "the server accepts no changes", "Use the primary.", fatal=True)
        )
    if not probe.prepared:
        fix = f"Run `lifecycle store prepare {store.id}`."
        findings.append(Finding("unprepared", store.id, None, "our tables are not there", fix, fatal=True))
    return findings
