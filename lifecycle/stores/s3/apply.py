"""A batch of objects: listed, read again, deleted version by version, and every item of it accounted for.

Versions go first, delete markers after the versions that they hide, uploads last. The fence is read again before each
round of requests: what left before it moved can take nothing but what this batch had listed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from lifecycle.core.errors import LifecycleError, Refused, Transient, Unknown
from lifecycle.core.plan import Delete
from lifecycle.core.selection import TenantScope
from lifecycle.ports.failpoint import Failpoint
from lifecycle.ports.store import Batch, Closing, Receipt
from lifecycle.stores.s3 import deleting, lists, reading
from lifecycle.stores.s3.deleting import Bucket, Outcome
from lifecycle.stores.s3.layout import Layout
from lifecycle.stores.s3.listing import Entry
from lifecycle.stores.s3.lists import Item, Listing
from lifecycle.stores.s3.own import Kept, Own
from lifecycle.stores.s3.reading import Name, Seen, Where
from lifecycle.stores.s3.select import Judge, refuse_without_holds
from lifecycle.stores.s3.width import TRIES, Width
from lifecycle.stores.s3.wire import Slow


@dataclass(slots=True)
class Work:
    """One batch under way."""

    own: Own
    bucket: Bucket
    batch: Batch
    listing: Listing
    judge: Judge
    width: Width
    failpoint: Failpoint
    gone: set[Name] = field(default_factory=set)
    kept: dict[Name, str] = field(default_factory=dict)
    asked: bool = False

    @property
    def where(self) -> Where:
        """Return where its items lie."""
        return Where(self.listing.bucket, self.listing.prefix, self.listing.after)


def refuse(batch: Batch) -> Listing:
    """Return the list of a batch that is one. Raises Refused."""
    if not isinstance(batch.upto, list | tuple) or len(batch.upto) != 5:
        raise Refused("a batch without an upper bound is not a batch", guard="bounds")
    if not isinstance(batch.action, Delete):
        raise Refused("objects are deleted or kept, nothing else", guard="detach")
    refuse_without_holds(batch.bound)
    listing = lists.read(batch.listed)
    if listing.dataset != batch.bound.selection.dataset:
        raise Refused("the list is one of another dataset", guard="bounds")
    if len(listing.items) > batch.remaining:
        raise Refused("more objects are listed than the plan has left", guard="limit")
    return listing


def check_fence(kept: Kept, batch: Batch) -> None:
    """Raise Refused unless the fence lets the batch pass."""
    if kept.deployment != batch.deployment:
        raise Refused("the target belongs to another deployment", guard="deployment")
    if kept.stopped:
        raise Refused("the target is stopped", guard="stopped")
    if kept.epoch != batch.epoch:
        raise Refused("another leader has taken over, or this one was never announced here", guard="stale-epoch")
    if kept.hold_version != batch.hold_version:
        raise Refused("holds have changed since the batch was made", guard="holds-changed")


def begin(own: Own, layout: Layout, batch: Batch) -> tuple[Listing, Judge]:
    """Check a batch against list, fence and mirrors. Raises Refused."""
    listing = refuse(batch)
    if listing.bucket != layout.bucket:
        raise Refused("the list is one of another bucket", guard="bounds")
    kept, tenants = own.kept(), own.tenants()
    check_fence(kept, batch)
    if isinstance(batch.bound.selection.scope, TenantScope) and batch.bound.tenant not in tenants:
        raise Refused("the tenant is not in the mirror of the register", guard="unknown-tenant")
    return listing, Judge(layout, batch.bound, tenants, kept.holds)


def carry_out(work: Work) -> Receipt:
    """Do the batch. Raises Transient while nothing has been asked for, and Unknown where an answer is missing then."""
    try:
        return _carry_out(work)
    except Transient as error:
        if not work.asked:
            raise
        raise Unknown(f"a batch was begun, and then: {error.message}") from None


def _carry_out(work: Work) -> Receipt:
    entries = [item.entry for item in work.listing.items]
    seen = reading.again(work.bucket.wire, work.where, entries, work.width)
    wanted = [item.entry for item in work.listing.items if _stands(work, seen, item)]
    _take(work, [entry for entry in wanted if entry.kind == "version"])
    markers = [entry for entry in wanted if entry.kind == "marker"]
    hiding = seen.with_versions(work.gone)
    work.kept.update((entry.name, "hides-a-version") for entry in markers if entry.key in hiding)
    _take(work, [entry for entry in markers if entry.key not in hiding])
    _abort(work, [entry for entry in wanted if entry.kind == "upload"])
    work.failpoint("batch.changed")
    return _receipt(work)


def _stands(work: Work, seen: Seen, item: Item) -> bool:
    """Tell whether a listed item is still what it was and is selected still; note why it stays if not (I1, I7)."""
    now = seen.there.get(item.entry.name)
    reason: str | None = None
    if now is None:
        reason = "vanished"
    elif not now.same(item.entry):
        reason = "changed"
    elif not work.judge.selected(now) or work.judge.layout.tenant_of(now.key) != item.tenant:
        reason = "not-selected"
    if reason is not None:
        work.kept[item.entry.name] = reason
    return reason is None


def _take(work: Work, entries: Sequence[Entry]) -> None:
    """Delete entries until each has its fate; what has no clear answer is read again before it is tried again."""
    waiting: list[Entry] = list(entries)
    problem: LifecycleError | None = None
    for attempt in range(TRIES):
        if not waiting:
            return
        if problem is not None:
            work.width.pause(attempt)
        waiting, problem = _rounds(work, waiting)
        if isinstance(problem, Refused):
            break
        if waiting:
            waiting = _still_there(work, waiting)
    if waiting:
        _give_up(work, waiting, problem)


def _abort(work: Work, uploads: Sequence[Entry]) -> None:
    """Abort uploads, and look again: a part that arrived meanwhile can have kept one alive."""
    _take(work, uploads)
    tried = [entry for entry in uploads if entry.name in work.gone]
    if not tried:
        return
    work.gone -= {entry.name for entry in tried}
    alive = _still_there(work, tried)
    _take(work, alive)
    again = [entry for entry in alive if entry.name in work.gone]
    work.gone -= {entry.name for entry in again}
    work.kept.update((entry.name, "busy") for entry in _still_there(work, again))


def _rounds(work: Work, entries: Sequence[Entry]) -> tuple[list[Entry], LifecycleError | None]:
    """Send one request for each entry, in rounds as wide as the server bears; return those without a clear answer."""
    pieces, open_, problem = deleting.requests(entries), list[Entry](), None
    while pieces:
        try:
            check_fence(work.own.kept(), work.batch)
        except Refused as refusal:
            stopped = [*open_, *(entry for piece in pieces for entry in piece)]
            work.kept.update((entry.name, refusal.guard) for entry in stopped)
            return [], None
        work.asked = True
        width = work.width.now
        now, pieces = pieces[:width], pieces[width:]
        outcomes = work.width.each(lambda piece: deleting.delete(work.bucket, piece), now)
        for outcome in outcomes:
            _note(work, outcome)
            open_ += outcome.open
            problem = outcome.problem or problem
        if any(outcome.problem for outcome in outcomes):
            work.width.slow()
        else:
            work.width.well()
        work.failpoint("item.gone")
    return open_, problem


def _note(work: Work, outcome: Outcome) -> None:
    work.gone |= {entry.name for entry in outcome.gone}
    work.kept.update((entry.name, reason) for entry, reason in outcome.kept)


def _still_there(work: Work, entries: list[Entry]) -> list[Entry]:
    """Read what had no clear answer: what is not there any more has gone by our request."""
    if not entries:
        return []
    try:
        seen = reading.again(work.bucket.wire, work.where, entries, work.width)
    except (Transient, Refused) as error:
        raise Unknown(f"what became of a batch cannot be read now: {error.message}") from None
    work.gone |= {entry.name for entry in entries if entry.name not in seen.there}
    return [entry for entry in entries if entry.name in seen.there]


def _give_up(work: Work, waiting: list[Entry], problem: LifecycleError | None) -> None:
    """Say what entries are that had no clear answer, however often: never a guess (I18)."""
    if isinstance(problem, Refused) and not work.gone:
        raise problem
    if isinstance(problem, Refused | Slow):
        if not work.gone:
            raise problem
        reason = "denied" if isinstance(problem, Refused) else "too-busy"
        work.kept.update((entry.name, reason) for entry in waiting)
        return
    raise Unknown("the object store gave no clear answer to a deletion; reading decides what became of it")


def _receipt(work: Work) -> Receipt:
    gone = [item for item in work.listing.items if item.entry.name in work.gone]
    kept = Counter(work.kept[item.entry.name] for item in work.listing.items if item.entry.name not in work.gone)
    keys = work.batch.sealing_key, work.batch.commitment_key
    receipt = made(work.batch.id, gone, dict(kept), keys)
    work.failpoint("batch.receipt-sealed")
    if not work.own.keep_receipt(receipt):
        raise Unknown("the batch was closed by another process while it ran")
    return receipt


def made(batch: str, gone: Sequence[Item], kept: dict[str, int], keys: tuple[bytes, bytes]) -> Receipt:
    """Make the receipt of a batch that is done."""
    sealed = lists.close(gone, keys, batch)
    return Receipt(
        batch, "done", len(gone), kept, digest=sealed.digest, sealed=sealed.body, by_tenant=lists.tenants(gone)
    )


def closed(bucket: Bucket, batch: str, closing: Closing, width: Width) -> Receipt:
    """Say what became of a batch whose process ended, by reading each of its items: gone, or interrupted."""
    listing = lists.read(closing.listed)
    entries = [item.entry for item in listing.items]
    seen = reading.again(bucket.wire, Where(listing.bucket, listing.prefix, listing.after), entries, width)
    gone = [
        item for item in listing.items if (now := seen.there.get(item.entry.name)) is None or not now.same(item.entry)
    ]
    if not gone:
        return Receipt(batch, "void")
    kept = {"interrupted": len(entries) - len(gone)} if len(gone) < len(entries) else {}
    return made(batch, gone, kept, (closing.sealing_key, closing.commitment_key))
