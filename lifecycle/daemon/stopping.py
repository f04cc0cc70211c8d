"""The kill switch by signal: nothing changes from that moment on, and it is written until every way has it (I28)."""

from __future__ import annotations

from lifecycle.core.errors import LifecycleError
from lifecycle.daemon.report import Report
from lifecycle.flow import controls
from lifecycle.flow.deployment import Deployment
from lifecycle.wiring.outside import for_everybody

AGAIN_SECONDS = 5.0


class Stopping:
    """What this process was asked to stop, for as long as not everybody has been told.

    `ask` is all that a signal handler calls: it takes no lock.
    """

    def __init__(self) -> None:
        """Nothing was asked yet."""
        self._asked = self._tried = self._answered = 0
        self._held: frozenset[str] = frozenset()
        self._failed: tuple[str, ...] = ()
        self._again = 0.0

    def ask(self) -> None:
        """Stop: this process changes nothing from now on."""
        self._asked += 1

    def holds(self) -> bool:
        """Return whether it was asked, and not everybody has been told."""
        return self._asked != self._answered

    def answer(self, deployment: Deployment, report: Report, now: float) -> None:
        """Tell file, register and fences, again every few seconds until all of them know, or somebody has resumed.

        `now` is monotonic, in seconds.
        """
        asked = self._asked
        if asked == self._answered:
            return
        report.metrics.set_stopped(stopped=True)
        if asked == self._tried:
            if self._let_go(deployment):
                self._answered = asked
                return
            if now < self._again:
                return
        else:
            self._failed = ()
        self._again, self._tried = now + AGAIN_SECONDS, asked
        failed = _stop(deployment)
        self._held = _holding(deployment)
        for way in sorted(set(failed) - set(self._failed)):
            report.log.error("control.failed", reason=way)
        self._failed = failed
        if not failed:
            self._answered = asked

    def _let_go(self, deployment: Deployment) -> bool:
        """Return whether a way that had it has it no more: then somebody resumed, and the ways alone decide."""
        return bool(self._held - _holding(deployment, doubt=True))


def _stop(deployment: Deployment) -> tuple[str, ...]:
    try:
        controls.stop(deployment, None, reason="signal")
    except controls.NotStopped as error:
        return error.ways
    return ()


def _holding(deployment: Deployment, *, doubt: bool = False) -> frozenset[str]:
    """Return the ways that outlive this process and are on; `doubt` decides where nobody can tell."""
    found = set()
    file = for_everybody(deployment.kill).stopped()
    if file == "file" or (file is not None and doubt):
        found.add("file")
    try:
        register = deployment.state.get("setting", "stopped") is not None
    except LifecycleError:
        register = doubt
    if register:
        found.add("database")
    return frozenset(found)
