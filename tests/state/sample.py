"""Entries and steps that the tests of the state share with the processes they start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lifecycle.evidence import merkle
from lifecycle.evidence.entry import decode_entry
from lifecycle.state import SqlState

AT = "2026-03-04T05:06:07Z"
ALIAS = "t-" + "a" * 16
OTHER = "t-" + "b" * 16
ROOT = Path(__file__).resolve().parents[2]


def intent(job: str, number: int, tenant: str | None = None) -> dict[str, object]:
    return {
        "type": "batch.intent",
        "at": AT,
        "tenant": tenant,
        "job": job,
        "step": "s001",
        "batch": f"{job}.{number}",
        "number": number,
        "limit": 5,
    }


def step(state: SqlState, job: str, number: int) -> None:
    """One transaction: two entries and the register that counts them."""
    with state.transaction() as transaction:
        transaction.append(intent(job, 2 * number))
        transaction.append(intent(job, 2 * number + 1, ALIAS))
        transaction.put("job", job, str(number + 1).encode())


def child(verb: str, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.state.child", verb, *arguments],
        cwd=ROOT,
        stdin=stdin,
        stdout=subprocess.PIPE,
        text=True,
    )


def check_whole(state: SqlState) -> int:
    """The log is gap-free, its tree follows from its bytes, its chains hold, and registers match; its size."""
    leaves: list[bytes] = []
    heads: dict[str, tuple[int, int]] = {}
    jobs: dict[str, int] = {}
    for index, body in state.entries():
        assert index == len(leaves)
        entry = decode_entry(body)
        leaves.append(merkle.leaf_hash(body))
        jobs[entry["job"]] = jobs.get(entry["job"], 0) + 1
        tenant = entry["tenant"]
        if tenant is not None:
            seq, prev = heads.get(tenant, (-1, None))
            assert (entry["seq"], entry["prev"]) == (seq + 1, prev)
            heads[tenant] = (seq + 1, index)
    assert state.size() == len(leaves)
    assert state.root() == merkle.root_of(leaves)
    assert {name: int(body) * 2 for name, body in state.items("job")} == jobs
    return len(leaves)
