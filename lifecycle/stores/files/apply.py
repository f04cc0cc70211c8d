"""The one place that deletes files: a batch, decided as a whole before the first file is gone.

Each listed file is checked and moved, by a rename, into a private folder of its batch; there it is checked again. When
all have been moved, the receipt is written: that is the decision. Only then are they unlinked. Whatever goes wrong
before is undone: every file gets its name back, never over another one. Whatever goes wrong after is finished.
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from lifecycle.core.errors import Refused, Unknown
from lifecycle.core.plan import Delete
from lifecycle.core.selection import TenantScope
from lifecycle.ports.failpoint import Failpoint
from lifecycle.ports.store import Batch, Receipt
from lifecycle.stores.files import aside, lists, private
from lifecycle.stores.files.layout import Layout, Seen
from lifecycle.stores.files.lists import Item, Listing
from lifecycle.stores.files.places import (
    VANISHED,
    Identity,
    Root,
    is_file,
    status_of,
    sync,
    unquoted,
)
from lifecycle.stores.files.select import Judge, parent_of, refuse_without_holds

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KEPT = {errno.EACCES: "not-permitted", errno.EPERM: "not-permitted", errno.EXDEV: "elsewhere", errno.EBUSY: "busy"}


@dataclass(slots=True)
class Work:
    """One batch under way."""

    root: Root
    layout: Layout
    batch: Batch
    own: int
    trash: int
    failpoint: Failpoint
    judge: Judge
    moved: dict[int, Item] = field(default_factory=dict)
    kept: Counter[str] = field(default_factory=Counter)


def refuse(batch: Batch) -> Listing:
    """Return the list of a batch that is one. Raises Refused."""
    if not isinstance(batch.upto, list | tuple) or not batch.upto:
        raise Refused("a batch without an upper bound is not a batch", guard="bounds")
    if not isinstance(batch.action, Delete):
        raise Refused("files are deleted or kept, nothing else", guard="detach")
    refuse_without_holds(batch.bound)
    listing = lists.read(batch.listed)
    items = listing.items
    if listing.dataset != batch.bound.selection.dataset:
        raise Refused("the list is one of another dataset", guard="bounds")
    upto = unquoted(str(batch.upto[0]))
    after = None if not isinstance(batch.after, list | tuple) else unquoted(str(batch.after[0]))
    if any(item.path > upto or (after is not None and item.path <= after) for item in items):
        raise Refused("a listed file lies outside the batch's bounds", guard="bounds")
    if len(items) > batch.remaining:
        raise Refused("more files are listed than the plan has left", guard="limit")
    return listing


def check_fence(kept: private.Kept, batch: Batch, tenants: dict[str, str]) -> None:
    """Raise Refused unless the fence lets the batch pass."""
    if kept.deployment != batch.deployment:
        raise Refused("the target belongs to another deployment", guard="deployment")
    if kept.stopped:
        raise Refused("the target is stopped", guard="stopped")
    if kept.epoch != batch.epoch:
        raise Refused("another leader has taken over, or this one was never announced here", guard="stale-epoch")
    if kept.hold_version != batch.hold_version:
        raise Refused("holds have changed since the batch was made", guard="holds-changed")
    if isinstance(batch.bound.selection.scope, TenantScope) and batch.bound.tenant not in tenants:
        raise Refused("the tenant is not in the mirror of the register", guard="unknown-tenant")


def carry_out(root: Root, layout: Layout, batch: Batch, own: int, failpoint: Failpoint) -> Receipt:
    """Do the batch, under the shared lock. A receipt that is there is returned, and nothing is changed."""
    listing = refuse(batch)
    kept, tenants = private.kept_of(own), private.tenants_of(own)
    check_fence(kept, batch, tenants)
    failpoint("batch.fenced")
    if (there := aside.finished(own, batch.id)) is not None:
        return there
    # What an earlier delivery left undecided when its process ended.
    aside.give_back(root, own, batch.id, listing)
    judge = Judge(layout, batch.bound, tenants, kept.holds)
    with aside.opened(own, batch.id) as trash:
        work = Work(root, layout, batch, own, trash, failpoint, judge)
        failpoint("batch.receipt-open")
        try:
            receipt = _decide(work, listing.items)
        except BaseException as error:
            if private.receipt_of(own, batch.id) is None:
                aside.give_back(root, own, batch.id, listing)
            elif isinstance(error, Exception):
                raise Unknown(f"a batch may be decided, and is not done ({type(error).__name__})") from None
            raise
        _finish(work, failpoint)
    failpoint("batch.committed")
    return receipt


def _finish(work: Work, failpoint: Failpoint) -> None:
    """Unlink what was decided. Raises Unknown where that fails: the receipt is there, and closing the batch goes on."""
    try:
        aside.unlink(work.trash, failpoint)
        aside.remove(work.own, work.batch.id)
    except OSError as error:
        word = errno.errorcode.get(error.errno or 0, "EIO")
        raise Unknown(f"a decided batch could not be finished ({word})") from None


def _decide(work: Work, items: Sequence[Item]) -> Receipt:
    """Move everything, check it again, and write the receipt."""
    with ExitStack() as folders:
        touched: dict[tuple[int, int], int] = {}
        for number, item in enumerate(items):
            reason = _move(work, number, item, touched, folders)
            if reason is not None:
                work.kept[reason] += 1
        for number, item in list(work.moved.items()):
            _check_again(work, number, item)
        sync([work.trash, *touched.values()])
    work.failpoint("batch.changed")
    gone = list(work.moved.values())
    sealed = lists.close(gone, (work.batch.sealing_key, work.batch.commitment_key), work.batch.id)
    receipt = Receipt(
        work.batch.id,
        "done",
        len(gone),
        dict(work.kept),
        digest=sealed.digest,
        sealed=sealed.body,
        by_tenant=lists.tenants(gone),
    )
    work.failpoint("batch.receipt-sealed")
    private.keep_receipt(work.own, receipt)
    return receipt


_MOST_FOLDERS = 200
"""How many folders are held open until the batch's renames are made durable; the others are made so one by one."""


def _move(work: Work, number: int, item: Item, touched: dict[tuple[int, int], int], folders: ExitStack) -> str | None:
    """Move one file into the batch's folder; or say why it stays."""
    with parent_of(work.root, work.layout.folder, item.path) as parent:
        status = None if parent is None else status_of(parent, item.path[-1])
        if parent is None or status is None:
            return "vanished"
        reason = _changed(status, item) or _unselected(work, Seen(item.path, status, parent), item)
        if reason is not None:
            return reason
        try:
            os.rename(item.path[-1], aside.number_of(number), src_dir_fd=parent, dst_dir_fd=work.trash)
        except OSError as error:
            if error.errno in VANISHED:
                return "vanished"
            if error.errno in _KEPT:
                return _KEPT[error.errno]
            raise
        work.moved[number] = item
        place = os.fstat(parent)
        if (place.st_dev, place.st_ino) not in touched and len(touched) < _MOST_FOLDERS:
            touched[place.st_dev, place.st_ino] = descriptor = os.dup(parent)
            folders.callback(os.close, descriptor)
        elif (place.st_dev, place.st_ino) not in touched:
            os.fsync(parent)
    work.failpoint("item.moved")
    return None


def _changed(status: os.stat_result, item: Item) -> str | None:
    if not is_file(status) or Identity.of(status) != item.identity:
        return "changed"
    return "linked" if status.st_nlink > 1 else None


def _unselected(work: Work, seen: Seen, item: Item) -> str | None:
    """Say why a file that is still the same is not taken: scope, cutoff and holds are judged again (I1, I7)."""
    if not work.judge.selected(seen) or work.layout.tenant_of(item.path) != item.tenant:
        return "not-selected"
    return work.judge.obstacle(seen)


def _check_again(work: Work, number: int, item: Item) -> None:
    """Look at a moved file: whoever had it open may have written since; then it gets its name back."""
    status = status_of(work.trash, aside.number_of(number))
    if status is not None and _changed(status, item) is None:
        return
    del work.moved[number]
    work.kept["vanished" if status is None else "changed"] += 1
    if status is not None:
        aside.put_back(work.root, work.own, (work.trash, work.batch.id), (number, work.layout.folder, item))
