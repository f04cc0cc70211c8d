"""The service's life: open, lead or stand by, call the duties, reload, end. One process, one folder.

Threads: the main one beats, leads, reloads and answers signals; APScheduler's call the duties, each at most once at a
time; HTTP answers from its own. Duties hold `_turn` and `_view`, so that a reload changes nothing under a run.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TextIO

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, JobSubmissionEvent
from apscheduler.schedulers.background import BackgroundScheduler

from lifecycle.core.errors import LifecycleError, Refused
from lifecycle.core.settings import Settings
from lifecycle.daemon.documents import Signature, needs_restart, signature
from lifecycle.daemon.duties import Duties
from lifecycle.daemon.http import Pages, Server
from lifecycle.daemon.notify import Notifier
from lifecycle.daemon.report import Report, names_of
from lifecycle.daemon.stopping import Stopping
from lifecycle.flow import controls
from lifecycle.flow.deployment import Deployment
from lifecycle.observe import open_log
from lifecycle.ports.clock import SystemClock
from lifecycle.ports.state import Lease
from lifecycle.wiring.deployment import (
    Options,
    check_tenants,
    open_deployment,
    read_settings,
    require_direct_locks,
    state_url,
)

BEAT_SECONDS = 0.5
FOLLOW_SECONDS = 5
HANGS_AFTER = 30.0
"""Seconds without a beat after which /healthz says so."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """One set of documents, and everything opened for it."""

    settings: Settings
    signature: Signature
    acting: Deployment
    eyes: Deployment
    duties: Duties
    stack: ExitStack


class Service:
    """One replica."""

    def __init__(self, folder: Path, stream: TextIO, options: Options) -> None:
        """Open everything. Raises what `open_deployment` raises: documents, keys, kinds, a history that is not ours."""
        self._folder, self._stream = folder, stream
        self._clock, self._steady = options.clock or SystemClock(), SystemClock()
        self._stopping = Stopping()
        self._options = replace(options, register=False, ending=self._must_end, stopping=self._stopping.holds)
        # A handler that sets an Event can wait for ever for the lock of the wait that it interrupts: flags, and polls.
        self._ending = self._reload_asked = False
        self._nothing = threading.Event()
        self._turn, self._view = threading.Lock(), threading.Lock()
        self._lease: Lease | None = None
        self._led = ExitStack()
        self._beat = self._moved = self._steady.monotonic()
        self._notifier = Notifier()
        self._clockwork: BackgroundScheduler | None = None
        self._drift: controls.DriftGuard | None = None
        self._loaded = self._load()
        self._refused: Signature | None = None
        self._why_standby: str | None = None
        self._deposed = False
        self._status = ""

    # ---- life ----

    def run(self) -> int:
        """Serve until asked to end; return the exit code. Raises Refused for a second replica on a SQLite state."""
        loaded = self._loaded
        with ExitStack() as stack:
            stack.callback(self._close)
            require_direct_locks(loaded.settings, self._folder)
            if state_url(loaded.settings, self._folder).startswith("sqlite"):
                self._lead_or_refuse()
            host, port = loaded.settings.http.address()
            server = Server(host, port, Pages(self._metrics, self._unhealthy, self._unready, self._unstarted))
            stack.callback(server.close)
            scheduler = self._clockwork = self._scheduler(loaded.settings)
            with _signals(self._ask):
                scheduler.start()
                loaded.duties.report.log.info("daemon.started", version=loaded.acting.tool_version)
                loaded.duties.report.log.info("http.started", port=server.port)
                self._status = self._present_status()
                self._notifier.ready(self._status)
                self._serve()
                self._notifier.stopping()
                ended = self._end(scheduler)
        return 0 if ended else self._leave()

    def _serve(self) -> None:
        while True:
            self._nothing.wait(BEAT_SECONDS)
            # Before the end, too: who stops and then ends a process wants the others stopped.
            self._stop_if_asked()
            if self._ending:
                return
            self._keep_leading()
            self._reload_if_changed()
            self._say_status()
            self._beat = self._steady.monotonic()
            if not self._stuck():
                self._notifier.alive()

    def _say_status(self) -> None:
        """Tell systemd when what goes on has changed."""
        present = self._present_status()
        if present != self._status:
            self._status = present
            self._notifier.status(present)

    def _present_status(self) -> str:
        words = ["leading" if self._leads() else "standing by"]
        if self._stopping.holds():
            words.append("stopped by signal, not yet everywhere")
        if self._refused is not None:
            words.append("changed documents refused, the older ones are in force")
        return "; ".join(words)

    def _end(self, scheduler: BackgroundScheduler) -> bool:
        """Let the batch end, and return whether it did within its time."""
        scheduler.pause()
        until = self._steady.monotonic() + self._loaded.settings.daemon.stop_within.seconds
        done = all(
            lock.acquire(timeout=max(0.0, until - self._steady.monotonic())) for lock in (self._turn, self._view)
        )
        scheduler.shutdown(wait=False)
        if done:
            with contextlib.suppress(LifecycleError):
                self._loaded.duties.follow(aloud=self._leads())
        self._loaded.duties.report.log.info("daemon.stopped", outcome="done" if done else "partial")
        return done

    def _leave(self) -> int:
        """End at once: the servers roll the open batch back, and the next start reads its receipt."""
        self._stream.flush()
        os._exit(0)

    def _close(self) -> None:
        self._led.close()
        self._loaded.stack.close()

    def _must_end(self) -> bool:
        """Return whether the batch under way is the last one: the process ends, or somebody else leads."""
        lease = self._lease
        return self._ending or lease is None or lease.lost()

    def _scheduler(self, settings: Settings) -> BackgroundScheduler:
        """Return the clockwork: it only calls; what is due stands in the state."""
        made = BackgroundScheduler(
            timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        schedule = settings.schedule
        for call, seconds in (
            (self._act, schedule.tick.seconds),
            (self._look, schedule.look.seconds),
            (self._follow, FOLLOW_SECONDS),
        ):
            made.add_job(
                call, "interval", seconds=seconds, id=call.__name__.strip("_"), next_run_time=SystemClock().now()
            )
        made.add_listener(self._skipped, EVENT_JOB_MAX_INSTANCES)
        return made

    # ---- duties, in the clockwork's threads ----

    def _act(self) -> None:
        if self._ending:
            return
        if not self._leads():
            self._loaded.duties.sign(self._folder, leader=False)
            return
        with self._turn:
            duties = self._loaded.duties
            with self._telling(duties, "tick.failed"):
                if duties.act() and self._leads():
                    duties.sign(self._folder, leader=True)

    def _look(self) -> None:
        if self._leads() and not self._ending:
            with self._view:
                duties = self._loaded.duties
                with self._telling(duties, "look.failed"):
                    duties.look()
                if not self._leads():
                    # The lead was lost meanwhile: what this look has set is another replica's to tell by now.
                    duties.forget_looks()

    def _follow(self) -> None:
        with self._view:
            duties = self._loaded.duties
            with self._telling(duties, "follow.failed"):
                duties.follow(aloud=self._leads())

    @contextmanager
    def _telling(self, duties: Duties, event: str) -> Iterator[None]:
        """Tell of what nobody foresaw, by class and place alone (I23), and let the next call try again."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  # the service outlives a fault of one duty; no sign of life is left
            duties.report.fault(event, error)

    def _look_soon(self) -> None:
        """Let the next look come now: a new leader knows nothing yet, new documents promise something else."""
        if self._clockwork is not None:
            self._clockwork.modify_job("look", next_run_time=SystemClock().now())

    def _skipped(self, event: JobSubmissionEvent) -> None:
        if event.job_id == "act":
            self._loaded.duties.report.log.info("tick.skipped", reason="overlap")

    # ---- leading ----

    def _leads(self) -> bool:
        return self._lease is not None and not self._lease.lost()

    def _lead_or_refuse(self) -> None:
        try:
            self._lease = self._led.enter_context(self._loaded.acting.state.lead())
        except Refused as refusal:
            raise Refused(
                "another daemon of this deployment runs already, and a SQLite state can have only one",
                guard=refusal.guard,
                advice="End the other one, or move the state to PostgreSQL for more than one replica.",
            ) from None
        self._gained()

    def _keep_leading(self) -> None:
        """Take the lead when nobody has it; give it up when it is lost."""
        if self._lease is not None:
            if self._lease.lost():
                self._lost()
            return
        try:
            self._lease = self._led.enter_context(self._loaded.acting.state.lead())
        except LifecycleError as error:
            self._stand_by(error)
            return
        self._gained()

    def _gained(self) -> None:
        self._why_standby = None
        report = self._loaded.duties.report
        report.metrics.set_leader(leader=True)
        report.log.info("leader.gained", leader=True)
        self._look_soon()

    def _lost(self) -> None:
        """Say at once that the lead is gone, also while the worker hangs; lead again only after its last batch.

        The epoch refuses whatever it still tries.
        """
        duties = self._loaded.duties
        if not self._deposed:
            self._deposed = True
            duties.report.metrics.set_leader(leader=False)
            duties.forget_looks()
            duties.report.log.warning("leader.lost", leader=False)
        if not self._turn.acquire(blocking=False):
            return
        try:
            self._lease, self._deposed = None, False
            with contextlib.suppress(LifecycleError):
                self._led.close()
            self._led = ExitStack()
        finally:
            self._turn.release()

    def _stand_by(self, error: LifecycleError) -> None:
        """Tell once why this replica does not lead, and forget what it saw; another one leading is as it should be."""
        why = error.guard if isinstance(error, Refused) else type(error).__name__
        if why != self._why_standby:
            self._why_standby = why
            self._loaded.duties.forget_looks()
            if why != "not-leader":
                self._loaded.duties.report.trouble("leader.lost", error, leader=False)

    # ---- signals and documents ----

    def _ask(self, what: str) -> None:
        """Note what a signal asks for; called from its handler, so it takes no lock and does nothing else."""
        if what == "end":
            self._ending = True
        elif what == "stop":
            self._stopping.ask()
        else:
            self._reload_asked = True

    def _stop_if_asked(self) -> None:
        loaded = self._loaded
        with self._telling(loaded.duties, "control.failed"):
            self._stopping.answer(loaded.eyes, loaded.duties.report, self._steady.monotonic())

    def _reload_if_changed(self) -> None:
        """Take changed documents over between runs, whole or not at all."""
        asked = self._reload_asked
        present = signature(self._folder, self._loaded.settings)
        if present in (self._loaded.signature, self._refused) and not asked:
            return
        with ExitStack() as held:
            # Neither a run nor a look is waited for: one that hangs must not stop the main loop's beat as well.
            for lock in (self._turn, self._view):
                if not lock.acquire(blocking=False):
                    return
                held.callback(lock.release)
            self._reload_asked = False
            self._reload(present)

    def _reload(self, present: Signature) -> None:
        old = self._loaded
        try:
            loaded = self._load(old)
        except LifecycleError as error:
            self._refused = present
            old.duties.report.metrics.reload_refused()
            old.duties.report.trouble("reload.failed", error)
            return
        if self._lease is not None:
            # The lead hangs on the old state's connections: it is taken anew, by whoever is first.
            self._led.close()
            # Whoever was deposed and takes over documents before it has said so must say so the next time, too.
            self._led, self._lease, self._deposed = ExitStack(), None, False
            loaded.duties.report.metrics.set_leader(leader=False)
        loaded.duties.go_on_from(old.duties)
        self._loaded, self._refused = loaded, None
        loaded.duties.report.metrics.reloaded()
        loaded.duties.report.log.info("documents.reloaded")
        self._look_soon()
        old.stack.close()

    def _load(self, old: _Loaded | None = None) -> _Loaded:
        """Open everything for the documents as they are now; what goes on from the old ones is taken over last."""
        settings = read_settings(self._folder)
        if old is not None and (fixed := needs_restart(old.settings, settings)):
            raise Refused(f"only a restart takes over: {', '.join(fixed)}", guard="restart-needed")
        present = signature(self._folder, settings)
        with ExitStack() as stack:
            acting = stack.enter_context(open_deployment(self._folder, self._options))
            check_tenants(acting, settings, moved=self._breathe)
            eyes = stack.enter_context(open_deployment(self._folder, self._options))
            log = open_log(self._stream, self._clock, names=names_of(acting))
            self._drift = self._drift or controls.DriftGuard(acting)
            report = Report(eyes, log, old.duties.report if old else None)
            duties = Duties(
                acting,
                eyes,
                settings,
                report,
                drift=self._drift,
                moved=self._got_on,
                current=lambda: signature(self._folder, settings) == present,
            )
            return _Loaded(settings, present, acting, eyes, duties, stack.pop_all())

    # ---- what others ask ----

    def _metrics(self) -> bytes:
        return self._loaded.duties.report.metrics.render()

    def _breathe(self) -> None:
        """Beat from within a long step of the main thread, once a second at most."""
        now = self._steady.monotonic()
        if now - self._beat > 1:
            self._beat = now
            self._notifier.alive()

    def _got_on(self) -> None:
        self._moved = self._steady.monotonic()

    def _stuck(self) -> bool:
        """Return whether the worker is in a turn and has not got on for longer than any run may take."""
        longest = self._loaded.settings.schedule.longest_run.seconds
        return self._turn.locked() and self._steady.monotonic() - self._moved > longest

    def _unhealthy(self) -> str | None:
        if self._steady.monotonic() - self._beat > HANGS_AFTER:
            return "the main loop does not beat"
        return "the worker does not get on" if self._stuck() else None

    def _unready(self) -> str | None:
        return "ending" if self._ending else None

    def _unstarted(self) -> str | None:
        return None


@contextmanager
def _signals(ask: Callable[[str], None]) -> Iterator[None]:
    """Turn signals into questions for the main loop; as they were before, afterwards."""
    meanings = {
        signal.SIGTERM: "end",
        signal.SIGINT: "end",
        signal.SIGHUP: "reload",
        signal.SIGUSR1: "stop",
    }

    def handler(number: int, _frame: FrameType | None) -> None:
        ask(meanings[signal.Signals(number)])

    before = {number: signal.signal(number, handler) for number in meanings}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def serve(folder: Path, stream: TextIO, options: Options) -> int:
    """Run one replica until it is asked to end, and return its exit code; see `Service`."""
    return Service(folder, stream, options).run()
