"""How many of each tenant's rows a shared pass removed: kept beside the log until the job ends, then one entry each."""

from __future__ import annotations

import json
import zlib
from collections import Counter

from lifecycle.core.calendar import local_date
from lifecycle.core.events import RunSummary
from lifecycle.core.plan import Plan
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.intents import Intent
from lifecycle.ports.state import Transaction
from lifecycle.ports.store import Receipt


def _prefix(job: str) -> str:
    return f"{job}/tenants/"


def keep(tx: Transaction, intent: Intent, receipt: Receipt) -> None:
    """Remember a shared batch's counts per tenant, in the transaction that logs its receipt."""
    if intent.tenant is None and receipt.by_tenant:
        body = zlib.compress(json.dumps(dict(receipt.by_tenant)).encode(), 1)
        tx.put("job", _prefix(intent.job) + intent.batch, body)


def events(deployment: Deployment, job: str, plan: Plan) -> list[RunSummary]:
    """Return one entry for each tenant the job touched, under its alias."""
    totals: Counter[str] = Counter()
    for _, body in deployment.state.items("job", _prefix(job)):
        totals.update(json.loads(zlib.decompress(body)))
    day = local_date(deployment.clock.now(), _zone(deployment, plan))
    return [
        RunSummary(job=job, day=day, deleted=deleted, tenant=deployment.alias(tenant))
        for tenant, deleted in sorted(totals.items())
    ]


def _zone(deployment: Deployment, plan: Plan) -> str:
    try:
        return deployment.policy.agreement(plan.agreement, plan.agreement_versions[0]).zone
    except KeyError:
        # A job that ends because its agreement's version left the documents still says what it did, and on which day.
        return "UTC"


def forget(deployment: Deployment, tx: Transaction, job: str) -> None:
    """Remove the counts once their entries are in the log."""
    for name, _ in list(deployment.state.items("job", _prefix(job))):
        tx.remove("job", name)
