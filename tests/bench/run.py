"""The product's real path, timed in a process of its own: plan, approval, then apply with everything on."""

from __future__ import annotations

import json
import os
import resource
import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lifecycle.flow import approve, execute, planning
from lifecycle.wiring.deployment import Options, open_deployment
from tests.bench import table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Ours:
    """One run: rows changed, seconds of the job, of planning and of verifying, the peak memory, and time by batch.

    The job is everything from the order to apply until the stores know that the log has their receipts: guards,
    mirrors, intents, changes, receipts, log and checkpoints. Verifying is what fresh eyes do before and after it.
    """

    rows: int
    seconds: float
    planning: float
    verifying: float
    rss_mib: float
    batches: list[tuple[int, float]] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Return rows a second."""
        return self.rows / self.seconds

    def flatness(self) -> float:
        """Return the rate of the last fifth of the run's rows over that of the first fifth, wall time counted."""
        total = self.batches[-1][0]
        first = next(at for done, at in self.batches if done >= total / 5)
        fourth = next(at for done, at in self.batches if done >= total * 4 / 5)
        start = self.batches[0][1]
        return (first - start) / max(self.batches[-1][1] - fourth, 1e-9)


def ours(folder: Path, url: str, shape: table.Shape, *, batch: int | None = None) -> Ours:
    """Delete everything that is due, by the line, in a forked process; the job ends when its receipts are settled."""
    return Ours(**_forked(lambda: _work(folder, url, shape, batch)))


def _work(folder: Path, url: str, shape: table.Shape, batch: int | None) -> dict[str, Any]:
    key = table.deployment(folder, url, shape, batch=batch)
    marks: dict[str, float] = {}
    batches: list[tuple[int, float]] = []

    def failpoint(name: str) -> None:
        marks[name] = time.monotonic()

    def timed(*arguments: Any) -> None:
        before = time.monotonic()
        weigh(*arguments)
        marks["weighed"] = time.monotonic() - before

    weigh = execute.weigh_before
    execute.weigh_before = timed

    with open_deployment(folder, Options(failpoint=failpoint)) as deployment:
        began = time.monotonic()
        planned = planning.plan_rule(deployment, "clientport", "server-logs", author="lifecycle")
        assert planned is not None
        approve.approve(deployment, planned.hash, "op-one", key)
        ready = time.monotonic()
        ran = execute.apply(
            deployment, planned.hash, observe=lambda progress: batches.append((progress.done, time.monotonic()))
        )
        ended = time.monotonic()
    assert ran.outcome == "done"
    assert ran.clean
    settled = marks["receipt.acknowledged"]
    return {
        "rows": ran.deleted,
        "seconds": settled - ready - marks["weighed"],
        "planning": ready - began,
        "verifying": ended - settled + marks["weighed"],
        "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "batches": batches,
    }


def _forked(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        status = 1
        try:
            with os.fdopen(write, "w") as stream:
                json.dump(work(), stream)
            status = 0
        except BaseException:  # noqa: BLE001 - nothing may leave a forked child but its end
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read) as stream:
        body = stream.read()
    os.waitpid(child, 0)
    answer: dict[str, Any] = json.loads(body)
    return answer
