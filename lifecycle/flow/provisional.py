"""Why a certificate is provisional: what its statement and the log leave open, and from when it can be final."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lifecycle.core.errors import Corrupt
from lifecycle.flow.certify import UNCOVERED, Certificate
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.journal import decoded

PROVISIONAL = "provisional"
_COUNTED = {
    "undatable": "rows without a usable time: no rule can date them, so nobody can say that they are not due",
    "unattributed": "rows of no registered tenant: they may be this one's",
    "contested": "rows that reach two tenants: nothing changes them for one tenant's sake",
}


@dataclass(frozen=True, slots=True)
class Open:
    """One thing that is left open, and what to do about it."""

    what: str
    then: str


def left_open(deployment: Deployment, certificate: Certificate, statement: Mapping[str, Any]) -> list[Open]:
    """Return everything for which the certificate is provisional; nothing for a final one.

    Raises:
        Corrupt: the verification that the statement rests on is not in the log.
    """
    if certificate.completeness != PROVISIONAL:
        return []
    return list(_reasons(deployment, statement))


def _reasons(deployment: Deployment, statement: Mapping[str, Any]) -> Iterator[Open]:
    copies = statement["copies"]
    for backup in copies["backups"]:
        if backup["state"] == "pending":
            day = backup["gone_by"]
            yield Open(f"backup {backup['name']} holds the data until {day}", f"issue it again after {day}")
    for replica in copies["replicas"]:
        if replica["state"] == "pending":
            yield Open(f"copy {replica['name']} still holds the data", "issue it again once it has followed")
    for one in copies["subprocessors"]:
        if one["deleted_on"] is None:
            yield Open(f"{one['firm']} has not confirmed its deletion", "issue it again once it has")
    for name, why in _COUNTED.items():
        if statement[name]:
            yield Open(f"{statement[name]} {why}", "`lifecycle status` and `lifecycle doctor` show where")
    if not _covered(deployment, statement):
        yield Open(
            "a store has tables or columns that the inventory does not know: they may hold more",
            "`lifecycle coverage` lists them; add them to the inventory",
        )
    for limit in statement["limits"]:
        if limit.startswith(UNCOVERED):
            yield Open(limit.rstrip("."), "`lifecycle explain TENANT` says why; plan again once they may go")


def _covered(deployment: Deployment, statement: Mapping[str, Any]) -> bool:
    """Tell whether coverage was complete at the verification that the statement rests on."""
    index = statement["verification"]["index"]
    for _, entry in decoded(deployment.state.entries(index, index + 1)):
        if entry["type"] == "verification.done":
            return bool(entry["coverage_complete"])
    raise Corrupt("the verification that the certificate rests on is not in the log")
