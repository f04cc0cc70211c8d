"""Carrying a plan out: preconditions, then bounded batches, each announced before and receipted after it.

Everything is resumable: the log and the cursors beside it say where the job stands; running a finished job again
changes nothing and adds no receipt (I19).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from lifecycle.core.calendar import local_date
from lifecycle.core.errors import LifecycleError, Paused, Refused, Transient, Unknown
from lifecycle.core.events import BatchIntent, Event, JobFinished, JobStarted, Outcome, fields_of
from lifecycle.core.guard import Anchor
from lifecycle.core.job import Job, advance
from lifecycle.core.plan import Delete, Plan, Step
from lifecycle.core.selection import Bound
from lifecycle.evidence import canonical
from lifecycle.flow import brakes, linking, pending, registers, sealed, summaries
from lifecycle.flow.anonymising import anonymised_in
from lifecycle.flow.approve import NEEDED, approvers, live_mandate
from lifecycle.flow.binding import bind, going, tenant_of
from lifecycle.flow.controls import (
    anchor,
    effective_now,
    log_refusal,
    raise_mark_within,
    refuse_drift,
    refuse_if_stopped,
)
from lifecycle.flow.deployment import Deployment, instant
from lifecycle.flow.intents import Intent, cursor, cursor_name, receipt_events
from lifecycle.flow.journal import accept_documents, checkpoint, read_job, write
from lifecycle.flow.mirror import mirror, mirror_holds
from lifecycle.flow.pace import Pace
from lifecycle.flow.planning import OF_ONE_TABLE, refuse_not_due, refuse_unspared
from lifecycle.flow.plans import read_plan, refuse_other_documents
from lifecycle.flow.preflight import refuse_fatal
from lifecycle.flow.recover import recover
from lifecycle.flow.unattended import refuse_unusual
from lifecycle.flow.verify import check_level, job_of, verify
from lifecycle.flow.weighing import weigh_before
from lifecycle.ports.state import Transaction
from lifecycle.ports.store import Batch, Cut, Json, Receipt, Store

PAGE = 500
"""How many receipts a store is asked for at once."""

RETRIES = 5
"""How often a batch is tried again after a deadlock or timeout, each time half as large, before the job stops."""

PASSING = frozenset({"holds-changed", "limit", "object"})
"""Refusals of one batch that a fresh look may resolve."""


POISONED = "constraint"
"""The refusal of one row by the database's own rules: a shared pass goes by it, a tenant's end stops at it."""

UNLOGGED = frozenset({"stopped", "stale-epoch"})
"""Refusals that need no entry: who stopped is logged, and a deposed process writes nothing."""

OF_ONE_DATASET = OF_ONE_TABLE | {
    "constraint",
    "limit",
    "detach",
    "anonymise",
    "start-time",
    "bounds",
    "unknown-tenant",
    "object",
    "reference-type",
}
"""Refusals that concern one step's rows and leave the others of a shared pass untouched."""

MOST_PARKED = 20
"""How many such rows a walk passes by before the refusal stands: then it is no single row's fault."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What an observer sees after each batch."""

    job: str
    step: str
    dataset: str
    done: int
    expected: int
    batch: int
    seconds: float


Observer = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Observe nothing."""
    del progress


@dataclass(frozen=True, slots=True)
class Ran:
    """The end of an apply: the job, how it ended, whether verification was clean, what kept datasets back (I27)."""

    job: str
    outcome: Outcome
    deleted: int
    clean: bool
    trouble: tuple[LifecycleError, ...] = ()


@dataclass(slots=True)
class _Run:
    """One process' walk through a job: the only mutable thing, thrown away at its end."""

    deployment: Deployment
    plan: Plan
    plan_hash: str
    job: str
    epoch: int
    observe: Observer
    state: Job
    since: Anchor
    holds: dict[str, int] = field(default_factory=dict)
    pending: _Settled | None = None
    trouble: list[LifecycleError] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Settled:
    """A batch whose receipt the log does not have yet: it is written together with the next intent."""

    intent: Intent
    receipt: Receipt
    events: tuple[Event, ...]

    def write(self, deployment: Deployment, tx: Transaction) -> None:
        """Copy the receipt, and move the step's cursor with it."""
        for event in self.events:
            write(deployment, tx, event)
        tx.remove("intent", self.intent.batch)
        self.intent.move_cursor(tx)
        summaries.keep(tx, self.intent, self.receipt)
        self.intent.keep_list(deployment, tx, self.receipt)


def apply(deployment: Deployment, plan_hash: str, *, observe: Observer = silent) -> Ran:
    """Carry an approved plan out, or go on with it where it stopped, and look at the result with fresh eyes.

    Raises:
        Refused: not approved, expired, stopped, another schema or store, clocks, limits; the log says which guard.
        Paused: a throttle or a night's budget holds it back; it goes on by itself, or when it is run again.
        Transient, Unknown: a store failed; run again to go on.
    """
    with deployment.state.exclusive() as epoch:
        return carry_out(deployment, plan_hash, epoch, observe=observe)


def carry_out(deployment: Deployment, plan_hash: str, epoch: int, *, observe: Observer = silent) -> Ran:
    """Do what `apply` promises, as the holder of the writer's lock: `epoch` is what `State.exclusive` gave."""
    run = _run(deployment, plan_hash, epoch, observe)
    if run.state.outcome is None:
        _start(run)
        outcome = _walk(run)
        _finish(run, outcome)
    looked = run.state.verification
    # A look from before the job's end says nothing about what came after it.
    stands = looked is not None and looked.clean and looked.index > (run.state.finished or 0)
    clean = stands or verify(deployment, plan_hash).clean
    _forget(run)
    return Ran(run.job, _outcome(run.state), run.state.done, clean, tuple(run.trouble))


def _run(deployment: Deployment, plan_hash: str, epoch: int, observe: Observer) -> _Run:
    """Close what a crash left open in the plan's own stores, and read where its job stands."""
    plan, job = read_plan(deployment, plan_hash), job_of(plan_hash)
    recover(deployment, epoch, plan.store_names())
    return _Run(deployment, plan, plan_hash, job, epoch, observe, read_job(deployment, job), anchor(deployment))


def _forget(run: _Run) -> None:
    """Take the marker away: only now has everything been done, the look of fresh eyes included (I21)."""
    with run.deployment.state.transaction() as tx:
        pending.forget(tx, run.plan_hash)
        brakes.forget(tx, run.job)


def give_up(deployment: Deployment, plan_hash: str, epoch: int) -> None:
    """End a begun job that can never go on, because what its plan binds has changed: outcome `refused`.

    What it did stands in its receipts; what is left is planned anew. Raises as `recover` does while a batch is open.
    """
    run = _run(deployment, plan_hash, epoch, silent)
    if run.state.started is not None and run.state.outcome is None and not run.state.open:
        _finish(run, "refused")
    _forget(run)


def _outcome(job: Job) -> Outcome:
    outcomes: dict[str, Outcome] = {"done": "done", "partial": "partial", "refused": "refused", "stopped": "stopped"}
    return outcomes[str(job.outcome)]


def _start(run: _Run) -> None:
    """Check everything that a plan binds (I2), write the fences, and log the start once."""
    _check_policy(run)
    brakes.refuse_held_back(run.deployment, run.plan.store_names())
    with ExitStack() as looks:
        for binding in run.plan.stores:
            looks.enter_context(run.deployment.stores[binding.store].one_look())
        now, mandate = _check(run)
    if run.state.started is None:
        _check_counts(run, weigh_before(run.deployment, run.plan, run.job))
        _log_start(run, now, mandate)


def _check(run: _Run) -> tuple[datetime, str | None]:
    """Check, write the fences and mirrors; return the effective time, and the mandate where one approves the plan."""
    deployment, plan = run.deployment, run.plan
    refuse_if_stopped(deployment)
    names = [binding.store for binding in plan.stores]
    now = effective_now(deployment, names)
    mandate = _authorise(run, now)
    if run.state.started is None and now > plan.start_by:
        raise Refused("the plan has expired", guard="plan-expired", advice="Plan again and approve the new plan.")
    _check_tenant(run, now)
    for binding in plan.stores:
        store = deployment.stores[binding.store]
        _check_store(run, store, binding.fingerprint, binding.used_schema)
        store.advance_epoch(deployment.id, run.epoch)
    # The versions that our own writing left, not what a later look finds: a hold in between must be noticed.
    run.holds = mirror(deployment, names)
    refuse_unspared(deployment, plan)
    return now, mandate


def _log_start(run: _Run, now: datetime, mandate: str | None) -> None:
    """Raise the mark, and log the start."""
    deployment, plan = run.deployment, run.plan
    accept_documents(deployment)
    event = JobStarted(
        job=run.job,
        plan=plan.id,
        plan_hash=run.plan_hash,
        mandate=mandate,
        effective_now=instant(now),
        tenant=plan.tenant,
    )
    with deployment.state.transaction() as tx:
        # Again while nobody else can write: a contract resumed meanwhile is not resumed by its data.
        _check_tenant(run, now)
        raise_mark_within(deployment, tx, now)
        write(deployment, tx, event)
        pending.mark(tx, run.plan_hash)
    run.state = read_job(deployment, run.job)


def _check_tenant(run: _Run, now: datetime) -> None:
    """Refuse an offboarding whose ground is gone since it was planned: contract resumed, end moved, tenant held."""
    if run.plan.tenant is not None:
        refuse_not_due(run.deployment, tenant_of(run.deployment, run.plan.tenant), now)


def _authorise(run: _Run, now: datetime) -> str | None:
    """Return the mandate's id, or None when enough signatures stand; else refuse."""
    deployment, plan = run.deployment, run.plan
    if len(approvers(deployment, plan, run.plan_hash)) >= NEEDED[plan.kind]:
        return None
    zone = deployment.policy.agreement(plan.agreement, plan.agreement_versions[0]).zone
    mandate = live_mandate(deployment, plan, local_date(now, zone))
    if mandate is None:
        raise Refused(
            "a tenant's deletion needs the signatures of two operators over its plan's hash"
            if plan.kind == "offboarding"
            else "the plan needs an operator's signature over its hash, or a live mandate",
            guard="not-approved",
            advice="`lifecycle approve HASH --by OPERATOR --key FILE`; the author's own signature does not count.",
        )
    if run.state.started is None:
        refuse_unusual(deployment, plan)
    return mandate.id


def _check_policy(run: _Run) -> None:
    """Refuse what was planned over other documents, before anything of them is looked up."""
    plan = run.plan
    refuse_other_documents(run.deployment, plan)
    if missing := [name for name in plan.store_names() if name not in run.deployment.stores]:
        raise Refused(
            f"the plan needs store {missing[0]}, which this process has not opened",
            guard="store-missing",
            advice="Name the store in the inventory again, or plan anew without it.",
        )


def _check_store(run: _Run, store: Store, fingerprint: str, used_schema: str) -> None:
    probe = store.probe()
    if probe.fingerprint != fingerprint:
        raise Refused(
            f"store {store.id} is not the one the plan was made against (clone or restore?)",
            guard="fingerprint",
            advice="Check the address; a restored database needs a new plan.",
        )
    if probe.read_only:
        raise Refused(f"store {store.id} is read-only or a replica", guard="read-only")
    datasets = sorted({step.dataset for step in run.plan.steps if step.store == store.id})
    if store.used_schema(datasets) != used_schema:
        raise Refused(
            f"the schema of store {store.id} changed since the plan was made",
            guard="schema-changed",
            advice="Review the inventory against the new schema, then plan and approve again.",
        )
    refuse_fatal(store, datasets, anonymised_in(run.plan, store.id))


def _check_counts(run: _Run, seen: Mapping[str, int]) -> None:
    """Compare each step's frozen count with the present one, `seen` by step, before the first batch (I4).

    Parents that the plan's own children free are not due yet when weighed: they are counted ahead.
    """
    steps = run.plan.walked()
    leaving = going(run.deployment, [step.selection for step in steps if isinstance(step.action, Delete)])
    for step in steps:
        found = seen[step.id]
        if step.selection.unreferenced_by:
            found = run.deployment.stores[step.store].count(bind(run.deployment, step.selection), leaving).items
        if found > step.limit:
            raise Refused(
                f"step {step.id} ({step.dataset}) now selects {found} items, its limit is {step.limit}",
                guard="limit",
                advice="Plan again, look at what grew, and approve the new plan.",
            )


def _walk(run: _Run) -> Outcome:
    """Walk the steps level by level, children first; a path dataset is looked at again before its parents start."""
    ordered = sorted(run.plan.walked(), key=_place)
    left = 0
    for _, group in groupby(ordered, key=lambda step: step.level):
        steps = list(group)
        left += sum(_alone(run, step) for step in steps)
        if not check_level(run.deployment, steps):
            return "partial"
    for error in run.trouble:
        if isinstance(error, Transient):
            # The job stays open: it goes on where it stopped, once the store answers again.
            raise error
    return "partial" if left or len(ordered) < len(run.plan.steps) else "done"


def _place(step: Step) -> tuple[int, str]:
    return step.level, step.id


def _alone(run: _Run, step: Step) -> int:
    """Walk a step so that its failure keeps no other dataset's items (I27); the job says at its end what failed.

    Only while nothing is unknown: an open batch of the failed step keeps the whole job open. A tenant's end stops.
    """
    try:
        return _carry_out(run, step)
    except (Transient, Refused) as error:
        whole = isinstance(error, Refused) and error.guard not in OF_ONE_DATASET
        if run.plan.tenant is not None or whole:
            raise
        _reread(run)
        if run.state.open:
            raise
        run.trouble.append(error)
        return step.expected


def _carry_out(run: _Run, step: Step) -> int:
    """Walk one step's dataset until nothing is left, and return how many items are.

    A dataset that references itself needs a walk per generation. Once the planned count is reached, whatever is still
    found was inserted since: at most two further walks for that, then it is left for the next run (I3).
    """
    store, bound = run.deployment.stores[step.store], bind(run.deployment, step.selection)
    pace, late = Pace.first(run.deployment.limits), 0
    while True:
        before = run.state.progress(step.id).done
        walk, _ = cursor(run.deployment.state, run.job, step.id)
        pace = _pass(run, step, bound, (walk, pace))
        left = store.count(bound).items
        done = run.state.progress(step.id).done
        late += done >= step.expected
        if left == 0 or late > run.deployment.limits.late_passes or (done == before and late != 1):
            return left
        _next_walk(run, step, walk + 1)


def _next_walk(run: _Run, step: Step, walk: int) -> None:
    with run.deployment.state.transaction() as tx:
        tx.put("job", cursor_name(run.job, step.id), canonical.encode({"after": None, "walk": walk}))


def _allowed(run: _Run, step: Step) -> int:
    """Return how many items the next batch may change: up to the planned count first, then up to the limit."""
    done = run.state.progress(step.id).done
    return (step.expected if done < step.expected else step.limit) - done


def _pass(run: _Run, step: Step, bound: Bound, where: tuple[int, Pace]) -> Pace:
    """Walk from the cursor to the end of the dataset, or until the allowance is used up."""
    walk, pace = where
    failures = parked = size = 0
    narrow: int | None = None
    cut: Cut | None = None
    while True:
        try:
            allowed = _allowed(run, step)
            size = min(pace.piece(allowed), narrow or allowed)
            cut = _piece(run, step, bound, size) if allowed > 0 else None
            if cut is None:
                _flush(run)
                return pace
            pace = _batch(run, step, bound, (cut, walk, pace))
            failures, narrow = 0, None if narrow is None or narrow >= pace.size else narrow * 2
        except (Transient, Unknown) as error:
            failures += 1
            _after_failure(run, error, failures)
            pace = pace.slower()
        except Refused as refusal:
            if refusal.guard == POISONED and run.plan.tenant is None and cut is not None and parked < MOST_PARKED:
                narrow = _isolate(run, step, refusal, (cut, walk, size))
                parked += narrow == 1 and size == 1
                continue
            failures += 1
            _after_refusal(run, refusal, failures)


def _piece(run: _Run, step: Step, bound: Bound, size: int) -> Cut | None:
    """Cut the next piece, within the night's budget. Raises Paused when that is used up and something is left."""
    left = brakes.left_tonight(run.deployment, run.plan, run.job, run.state.done)
    most = linking.size_of(run.deployment, step, size if left is None else max(1, min(size, left)))
    found = run.deployment.stores[step.store].cut(bound, _after(run, step), most)
    if found is not None and left == 0:
        brakes.refuse_spent(run.deployment, run.plan, run.state.done)
    return found


def _isolate(run: _Run, step: Step, refusal: Refused, piece: tuple[Cut, int, int]) -> int:
    """Close the batch, and return the next size: half, or 1 after the row that may not go was passed by (I27).

    What is passed by is still found by the count after the walk: the job ends `partial`, never `done`.
    """
    cut, walk, size = piece
    _reread(run)
    if size > 1:
        return size // 2
    log_refusal(run.deployment, refusal, rule=run.plan.rule, job=run.job)
    with run.deployment.state.transaction() as tx:
        tx.put("job", cursor_name(run.job, step.id), canonical.encode({"after": cut.upto, "walk": walk}))
    return 1


def _after(run: _Run, step: Step) -> Json:
    """Return where the step's walk stands."""
    if run.pending is not None:
        upto: Json = run.pending.intent.upto
        return upto
    return cursor(run.deployment.state, run.job, step.id)[1]


def _flush(run: _Run) -> None:
    """Write the last receipt into the log where no further intent follows it."""
    if run.pending is not None:
        with run.deployment.state.transaction() as tx:
            run.pending.write(run.deployment, tx)
        run.pending = None
        run.deployment.failpoint("receipt.copied")


def _reread(run: _Run) -> None:
    """Close what is open by reading receipts, and take the log's word for what was done."""
    run.pending = None
    recover(run.deployment, run.epoch, run.plan.store_names())
    run.state = read_job(run.deployment, run.job)


def _after_failure(run: _Run, error: LifecycleError, failures: int) -> None:
    """Close the batch by reading its receipt; give up after a few in a row."""
    _reread(run)
    if failures > RETRIES:
        raise error


def _after_refusal(run: _Run, refusal: Refused, failures: int) -> None:
    """Close the batch. A hold set meanwhile, or a row inserted within the bounds, is looked at anew; else stop."""
    _reread(run)
    if refusal.guard not in PASSING or failures > RETRIES:
        if refusal.guard not in UNLOGGED and not isinstance(refusal, Paused):
            log_refusal(run.deployment, refusal, rule=run.plan.rule, job=run.job)
        raise refusal
    run.holds = mirror_holds(run.deployment, run.holds)
    refuse_unspared(run.deployment, run.plan)


def _batch(run: _Run, step: Step, bound: Bound, piece: tuple[Cut, int, Pace]) -> Pace:
    """Announce, change, receipt: in that order, each durable before the next."""
    deployment = run.deployment
    cut, walk, pace = piece
    refuse_if_stopped(deployment)
    refuse_drift(deployment, run.since)
    free = linking.released(deployment, step, bound, cut)
    intent = _intent(run, step, cut, walk)
    deployment.failpoint("intent.before")
    announced = _announced(intent)
    settled = run.pending is not None
    with deployment.state.transaction() as tx:
        if run.pending is not None:
            run.pending.write(deployment, tx)
        registers.put(tx, "intent", intent.batch, intent)
        index = write(deployment, tx, announced)
    run.pending = None
    run.state = advance(run.state, index, fields_of(announced))
    if settled:
        deployment.failpoint("receipt.copied")
    deployment.failpoint("intent.after")
    began = deployment.clock.monotonic()
    receipt = deployment.stores[step.store].apply(_batch_of(run, step, bound, intent, (cut.listed, free)))
    seconds = deployment.clock.monotonic() - began
    if receipt.state != "done":
        raise Transient("the batch was closed by somebody else before it could begin")
    sealed.refuse_unaccounted(intent.listing, receipt)
    _settle(run, intent, receipt)
    run.observe(Progress(run.job, step.id, step.dataset, run.state.done, run.plan.expected(), intent.number, seconds))
    return pace.after(cut.items, seconds)


def _intent(run: _Run, step: Step, cut: Cut, walk: int) -> Intent:
    number = run.state.numbers + 1
    batch = "b-" + hashlib.sha256(f"{run.job}/{number}".encode()).hexdigest()[:24]
    listed = cut.listed
    return Intent(
        batch=batch,
        job=run.job,
        step=step.id,
        store=step.store,
        tenant=run.plan.tenant,
        number=number,
        limit=_allowed(run, step),
        planned=step.expected,
        walk=walk,
        after=cut.after,
        upto=cut.upto,
        listing=None if listed is None else sealed.listing(run.deployment, batch, listed, cut.items),
    )


def _announced(intent: Intent) -> BatchIntent:
    return BatchIntent(
        job=intent.job,
        step=intent.step,
        batch=intent.batch,
        number=intent.number,
        limit=intent.limit,
        tenant=intent.tenant,
    )


def _batch_of(
    run: _Run,
    step: Step,
    bound: Bound,
    intent: Intent,
    objects: tuple[bytes | None, Mapping[str, frozenset[str]] | None],
) -> Batch:
    return Batch(
        id=intent.batch,
        job=run.job,
        step=step.id,
        action=step.action,
        bound=bound,
        after=intent.after,
        upto=intent.upto,
        remaining=intent.limit,
        epoch=run.epoch,
        hold_version=run.holds[step.store],
        deployment=run.deployment.id,
        sealing_key=run.deployment.keys.sealing,
        commitment_key=run.deployment.keys.commitment,
        listed=objects[0],
        released=objects[1],
    )


def _settle(run: _Run, intent: Intent, receipt: Receipt) -> None:
    """Count the receipt; the log gets it with the next intent, or at the end of the walk."""
    events = tuple(receipt_events(intent, receipt, run.state.progress(intent.step).done))
    for event in events:
        run.state = advance(run.state, intent.number, fields_of(event))
    run.pending = _Settled(intent, receipt, events)


def _finish(run: _Run, outcome: Outcome) -> None:
    """Log the end, make it a checkpoint, and acknowledge the receipts in the stores that it covers."""
    deployment = run.deployment
    shared = summaries.events(deployment, run.job, run.plan)
    with deployment.state.transaction() as tx:
        tx.expect([summary.tenant for summary in shared if summary.tenant])
        for summary in shared:
            write(deployment, tx, summary)
        finished = JobFinished(
            job=run.job,
            outcome=outcome,
            deleted=run.state.done,
            batches=run.state.numbers,
            tenant=run.plan.tenant,
        )
        write(deployment, tx, finished)
        summaries.forget(deployment, tx, run.job)
        sealed.forget(deployment, tx)
    deployment.failpoint("job.finished")
    run.state = read_job(deployment, run.job)
    acknowledge(deployment, run.plan)


def acknowledge(deployment: Deployment, plan: Plan) -> None:
    """Cover the log by a checkpoint, then tell each store of the plan which receipts it covers."""
    note = checkpoint(deployment)
    deployment.failpoint("receipt.checkpointed")
    for name in plan.store_names():
        store = deployment.stores.get(name)
        if store is None:
            # A job that was given up because its store left the documents: there is nobody to tell.
            continue
        for names in _pages(deployment, store):
            store.acknowledge(names, note)
    deployment.failpoint("receipt.acknowledged")


def _pages(deployment: Deployment, store: Store) -> Iterator[list[str]]:
    """Yield the ids of receipts that the log has, page by page; those it does not have stay for recovery."""
    after: str | None = None
    while page := store.receipts(after, PAGE):
        after = page[-1].batch
        names = [receipt.batch for receipt in page if deployment.state.get("intent", receipt.batch) is None]
        if names:
            yield names
        if len(page) < PAGE:
            return
