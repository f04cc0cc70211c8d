"""The work that is disturbed: a rule's shared pass, then one tenant's end, each with its certificate."""

from __future__ import annotations

import json
import os
import signal
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lifecycle.evidence.trust import Trust
from lifecycle.evidence.verify import verify
from lifecycle.flow import approve, certify, execute, journal, offboard, planning, sealed, trust
from lifecycle.flow.plans import read_plan
from lifecycle.flow.recover import recover
from lifecycle.stores.files import open_keys as open_names
from lifecycle.stores.s3 import open_keys as open_versions
from lifecycle.stores.sql.keys import open_keys
from tests import portal

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle.flow.deployment import Deployment

PLANS = "plans.json"
TABLE_OF = {
    "portals": "portal",
    "accounts": "account",
    "tickets": "ticket",
    "comments": "comment",
    "invoices": "invoice",
    "access-log": "access_log",
}


class Armed:
    """A failpoint that counts its hits, and at the wanted one tells the parent and waits to be killed.

    `name` is a failpoint, or `*` for any; `nth` counts from 1; 0 never waits.
    """

    def __init__(self, name: str, nth: int, tell: int) -> None:
        """Arm; `tell` is the writing end of a pipe to the parent."""
        self.name, self.nth, self.tell = name, nth, tell
        self.hits: dict[str, int] = {}

    def __call__(self, name: str) -> None:
        """Count, and wait at the wanted hit."""
        self.hits[name] = self.hits.get(name, 0) + 1
        seen = sum(self.hits.values()) if self.name == "*" else self.hits.get(self.name, 0)
        if self.nth and self.name in {name, "*"} and seen == self.nth:
            os.write(self.tell, b"!")
            while True:
                signal.pause()


def prepare(world: portal.World) -> None:
    """Make and approve both plans; the hashes go into a file beside the deployment."""
    with world.open() as deployment:
        rule = planning.plan_rule(deployment, "clientport", "server-logs", author="lifecycle")
        assert rule is not None
        approve.approve(deployment, rule.hash, "op-one", world.key("op-one"), grant_mandate=True)
        tenant = offboard.find(deployment, portal.LEAVER)
        tenant = offboard.end(deployment, tenant, ends_on=(world.now - timedelta(days=40)).date())
        leave = planning.plan_offboarding(deployment, tenant, author="lifecycle")
        for operator in portal.OPERATORS:
            approve.approve(deployment, leave.hash, operator, world.key(operator))
        (world.folder / "trust.json").write_bytes(trust.trust_document(deployment))
    (world.folder / PLANS).write_text(json.dumps([rule.hash, leave.hash]))


def run(deployment: Deployment) -> None:
    """Do everything that is still to do; doing it again does nothing."""
    for plan_hash in plans(deployment.folder):
        ran = execute.apply(deployment, plan_hash)
        if not journal.read_job(deployment, ran.job).certificates:
            certify.issue(deployment, plan_hash)


def recover_only(deployment: Deployment) -> None:
    """Close what a crash left open."""
    with deployment.state.exclusive() as epoch:
        recover(deployment, epoch)


def dump(deployment: Deployment) -> dict[str, Any]:
    """Return what the evidence says: sealed lists opened, log and target compared, certificates verified."""
    sealed_lists: list[tuple[str, Any]] = []
    taken = {one.batch: one.body() for one in sealed.every(deployment)}
    receipts: list[str] = []
    open_batches = 0
    for plan_hash in plans(deployment.folder):
        job = journal.read_job(deployment, execute.job_of(plan_hash))
        open_batches += len(job.open)
        datasets = {step.id: step.dataset for step in read_plan(deployment, plan_hash).steps}
        for _, entry in journal.decoded(deployment.state.of_job(job.id)):
            if entry["type"] == "batch.receipt":
                receipts.append(entry["batch"])
                sealed_lists += _opened(deployment, entry["batch"], datasets[entry["step"]], taken)
    return {
        "sealed": sealed_lists,
        "receipts": len(receipts),
        "receipts_distinct": len(set(receipts)),
        "open": open_batches,
        "verdicts": _verdicts(deployment),
    }


def plans(folder: Path) -> list[str]:
    """Return the hashes of both plans."""
    hashes: list[str] = json.loads((folder / PLANS).read_text())
    return hashes


def _opened(deployment: Deployment, batch: str, dataset: str, taken: dict[str, bytes]) -> list[tuple[str, Any]]:
    if batch in taken:
        if deployment.policy.inventory.store("main").kind == "s3":
            return [(dataset, name) for name in open_versions(taken[batch], deployment.keys.sealing, batch)]
        return [(dataset, name) for (name,) in open_names(taken[batch], deployment.keys.sealing, batch)]
    table = TABLE_OF[dataset]
    receipt = deployment.stores["main"].receipt(batch)
    assert receipt is not None
    assert receipt.sealed is not None
    return [(table, key[0]) for key in open_keys(receipt.sealed, deployment.keys.sealing, batch)]


def _verdicts(deployment: Deployment) -> list[str]:
    believed = Trust.parse((deployment.folder / "trust.json").read_bytes())
    bundles = [certify.bundle(deployment, certificate) for certificate in certify.certificates(deployment)]
    return [verify(bundle, believed).verdict for bundle in bundles]
