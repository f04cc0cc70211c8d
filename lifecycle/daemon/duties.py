"""The three duties of the service, as plain calls: act, look, follow. Who calls them, and when, is `service`'s matter.

`act` and `look` use deployments of their own: other connections, so that a worker which hangs blinds nobody (I24).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lifecycle.core.errors import Corrupt, LifecycleError, Refused
from lifecycle.core.settings import Settings
from lifecycle.daemon.alive import sign
from lifecycle.daemon.report import Report
from lifecycle.flow import last_look
from lifecycle.flow.controls import DriftGuard, log_refusal
from lifecycle.flow.cycle import tick
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.execute import Progress
from lifecycle.flow.look import Look, look
from lifecycle.wiring.deployment import register


class Duties:
    """One deployment's duties under one set of documents."""

    def __init__(
        self,
        acting: Deployment,
        eyes: Deployment,
        settings: Settings,
        report: Report,
        *,
        drift: DriftGuard,
        moved: Callable[[], None],
        current: Callable[[], bool],
    ) -> None:
        """`acting` deletes, `eyes` only looks.

        `drift` watches the wall clock for as long as the process lives; `moved` is called whenever the worker gets on:
        then it does not hang. `current`: whether the documents on disk are still those that these duties are under.
        """
        self._acting = acting
        self._eyes = eyes
        self._settings = settings
        self._moved = moved
        self._current = current
        self._registered = False
        self._drift = drift
        self._seen: Look | None = None
        self.report = report

    def act(self) -> bool:
        """Take every turn that has come, and tell; return whether the tick itself came to its end.

        A rule that fails is told of and does not make the tick a bad one: its own alarms do that.
        """
        self._moved()
        try:
            self._drift.check(self._acting)
            # Documents that changed since are a reload's to judge: refused ones must not stop who goes on without them.
            if not self._registered and self._current():
                register(self._acting, self._settings)
                self._registered = True
            turns = tick(self._acting, observe=self._batch, report=self.report.turn, scheduled=True)
        except LifecycleError as error:
            self._told(error)
            return False
        finally:
            self._moved()
        self.report.metrics.set_last_tick(self._acting.clock.now())
        if turns:
            self.report.log.info("tick.finished", number=len(turns))
        return True

    def _told(self, error: LifecycleError) -> None:
        if isinstance(error, Refused) and error.guard == "stopped":
            self.report.log.warning("tick.skipped", guard="stopped")
        else:
            self.report.trouble("tick.failed", error)

    def _batch(self, progress: Progress) -> None:
        self._moved()
        self.report.batch(progress)

    def look(self) -> bool:
        """Look with other eyes, and tell; return whether the look itself came to its end."""
        try:
            before = self._seen or self._recalled()
            found = look(self._eyes, before)
        except LifecycleError as error:
            self.report.trouble("look.failed", error)
            return False
        self._seen = found
        self.report.looked(found)
        try:
            last_look.keep(self._eyes, found, before)
        except LifecycleError as error:
            # What was seen is told already; it is only not kept for whoever comes after us.
            self.report.trouble("look.failed", error)
        self._disagree(before, found)
        return True

    def _recalled(self) -> Look | None:
        """Return the last look before our time; an entry that cannot be read is told of, and written anew."""
        try:
            return last_look.recall(self._eyes)
        except Corrupt as error:
            self.report.trouble("look.failed", error)
            return None

    def _disagree(self, before: Look | None, found: Look) -> None:
        """Put on record, once, that other eyes see due items where the executor saw none (I25)."""
        known = {(one.agreement, one.rule) for one in before.disagreements} if before else set()
        for one in found.disagreements:
            if (one.agreement, one.rule) not in known:
                refusal = Refused(f"{one.due} items are due that a run did not find", guard="second-opinion")
                log_refusal(self._eyes, refusal, rule=one.rule)

    def follow(self, *, aloud: bool) -> bool:
        """Fold what the log has gained; a state that does not answer is told of by whoever needs it to write."""
        try:
            self.report.follow(aloud=aloud)
        except LifecycleError as error:
            self.report.trouble("follow.failed", error)
            return False
        return True

    def sign(self, folder: Path, *, leader: bool) -> None:
        """Leave a sign of life."""
        places = self._settings.dead_man
        for error in sign(folder / places.file, places.ping, self._acting.clock.now(), leader=leader):
            self.report.trouble("alive.failed", error)

    def forget_looks(self) -> None:
        """Forget what was seen: somebody else leads, and looks."""
        self._seen = None
        self.report.metrics.forget_looks()

    def go_on_from(self, before: Duties) -> None:
        """Take over what the duties under the documents of before had seen last: a reload forgets no deadline."""
        self._seen = before._seen
