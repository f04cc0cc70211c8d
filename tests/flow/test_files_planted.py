"""Bugs planted into the selection and deletion of files: none of them gets a certificate, and names stay out of it."""

from __future__ import annotations

import dataclasses
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from lifecycle.core.errors import LifecycleError
from lifecycle.flow import certify, execute, holding, offboard, sealed
from lifecycle.stores.files import apply, aside, select
from lifecycle.stores.files.lists import Listing
from tests import folders
from tests.flow.test_files_line import leave, root_of, rule, world  # noqa: F401 - the fixture
from tests.portal import LEAVER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.portal import World

Patch = pytest.MonkeyPatch


def scope_dropped(patch: Patch) -> None:
    """Everybody's files are the scope's."""
    patch.setattr(select.Judge, "in_scope", lambda _judge, _path: True)


def cutoff_moved(patch: Patch) -> None:
    """Thirty days too many are due."""
    real = select.Judge.days

    def days(judge: select.Judge, seen: Any) -> list[Any]:
        return [None if day is None else day - timedelta(days=30) for day in real(judge, seen)]

    patch.setattr(select.Judge, "days", days)


def cutoff_kept(patch: Patch) -> None:
    """Thirty days too few are due."""
    real = select.Judge.days

    def days(judge: select.Judge, seen: Any) -> list[Any]:
        return [None if day is None else day + timedelta(days=30) for day in real(judge, seen)]

    patch.setattr(select.Judge, "days", days)


def holds_ignored(patch: Patch) -> None:
    """Nobody is held."""
    patch.setattr(select.Judge, "held", lambda _judge, _path: False)


def every_second(patch: Patch) -> None:
    """The walk leaves every second file out."""
    real = select.walk

    def walk(*args: Any, **kwargs: Any) -> Iterator[Any]:
        for number, seen in enumerate(real(*args, **kwargs)):
            if number % 2:
                yield seen

    patch.setattr(select, "walk", walk)


def receipted_and_given_back(patch: Patch) -> None:
    """The receipt stands, and every file gets its name back."""

    decide = apply._decide

    def decided(work: Any, items: Any) -> Any:
        receipt = decide(work, items)
        listing = Listing("", work.layout.folder, items)
        aside.give_back(work.root, work.own, work.batch.id, listing)
        return receipt

    patch.setattr(apply, "_decide", decided)


def counted_twice(patch: Patch) -> None:
    """Receipts claim more than went."""
    real = apply.carry_out

    def carry_out(*args: Any) -> Any:
        receipt = real(*args)
        return dataclasses.replace(receipt, deleted=receipt.deleted + 1)

    patch.setattr(apply, "carry_out", carry_out)


BUGS = (scope_dropped, cutoff_moved, cutoff_kept, holds_ignored, every_second, receipted_and_given_back, counted_twice)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
@pytest.mark.parametrize("moment", ["before the plan", "before the run"])
def test_I35_a_planted_bug_gets_no_certificate(
    world: World,  # noqa: F811 - the fixture
    monkeypatch: Patch,
    bug: Callable[[Patch], None],
    moment: str,
) -> None:
    """Fresh eyes, limits, weighing or accounting stop each of them; what must stay and is not due stays countable."""
    stranger = root_of(world) / "access" / "stranger"
    stranger.mkdir()
    old = (world.now - timedelta(days=300)).timestamp()
    for number in range(3):
        (stranger / str(number)).write_text("x")
        os.utime(stranger / str(number), (old, old))
    with world.open() as deployment:
        ground = holding.Ground(basis="legal-order", reason="A dispute")
        tenant = offboard.find(deployment, "zebra")
        holding.set_hold(deployment, tenant, ground, operator="op-one", datasets=("access",))
        plan_hash = rule(world, deployment) if moment == "before the run" else None
        bug(monkeypatch)
        with pytest.raises(LifecycleError):
            _through(world, deployment, plan_hash)


def _through(world: World, deployment: Any, plan_hash: str | None) -> None:  # noqa: F811 - a world
    made = rule(world, deployment) if plan_hash is None else plan_hash
    execute.apply(deployment, made)
    certify.issue(deployment, made)


def test_I23_no_name_of_a_file_or_tenant_is_in_the_evidence(world: World) -> None:  # noqa: F811 - the fixture
    """Log, certificates and sealed lists show neither; the lists open with their key only."""
    with world.open() as deployment:
        for plan_hash in (rule(world, deployment), leave(world, deployment)):
            execute.apply(deployment, plan_hash)
            certify.issue(deployment, plan_hash)
        evidence = b"".join(body for _, body in deployment.state.entries())
        evidence += b"".join(body for _, body in deployment.state.items("certificate"))
        evidence += b"".join(body for _, body in deployment.state.items("sealed"))
        bodies = [one.body() for one in sealed.every(deployment)]
    assert bodies
    for word in ("letter 1", "access.log.3", f"{LEAVER}/", "zebra", "customers/"):
        assert word.encode() not in evidence
        assert all(word.encode() not in body for body in bodies)
    assert folders.read(root_of(world))
