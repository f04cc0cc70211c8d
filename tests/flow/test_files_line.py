"""The line over folders: a rule's nightly pass over records and logs, and one tenant's end with its return."""

from __future__ import annotations

import json
import os
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from lifecycle.core.errors import Refused
from lifecycle.exports import check_package
from lifecycle.flow import (
    approve,
    certify,
    coverage,
    execute,
    exporting,
    holding,
    look,
    offboard,
    planning,
    preflight,
    sealed,
)
from lifecycle.ports.clock import SystemClock
from lifecycle.stores.files import open_keys
from lifecycle.wiring.exports import package_writer
from tests import folders, portal

if TYPE_CHECKING:
    from lifecycle.flow.deployment import Deployment


@pytest.fixture
def world(tmp_path: Path) -> portal.World:
    """A deployment over folders, the leaver's contract ended forty days ago."""
    now = SystemClock().now()
    root = tmp_path / "root"
    folders.create(root, now)
    world = portal.create_deployment(tmp_path / "deployment", f"file://{root}", now, inventory=folders.INVENTORY)
    settings = world.folder / "lifecycle.yaml"
    settings.write_text(settings.read_text() + "limits: {least_batch: 5, first_batch: 5, most_batch: 5}\n")
    with world.open() as deployment:
        ends_on = (now - timedelta(days=40)).date()
        offboard.end(deployment, offboard.find(deployment, portal.LEAVER), ends_on=ends_on)
    return world


def root_of(world: portal.World) -> Path:
    """Return the store's folder."""
    return Path(urlsplit(world.url).path)


def rule(world: portal.World, deployment: Deployment) -> str:
    """Plan and approve the log rule."""
    planned = planning.plan_rule(deployment, "clientport", "server-logs", author="lifecycle")
    assert planned is not None
    approve.approve(deployment, planned.hash, "op-one", world.key("op-one"))
    return planned.hash


def leave(world: portal.World, deployment: Deployment) -> str:
    """Plan and approve the leaver's deletion."""
    planned = planning.plan_offboarding(deployment, offboard.find(deployment, portal.LEAVER), author="lifecycle")
    for operator in portal.OPERATORS:
        approve.approve(deployment, planned.hash, operator, world.key(operator))
    return planned.hash


def taken(deployment: Deployment) -> set[folders.Key]:
    """Open every sealed list."""
    return {
        (name, key)
        for one in sealed.every(deployment)
        for name in [_dataset(deployment, one)]
        for (key,) in open_keys(one.body(), deployment.keys.sealing, one.batch)
    }


def _dataset(deployment: Deployment, one: sealed.Taken) -> str:
    for plan_hash, _ in deployment.state.items("plan"):
        plan = execute.read_plan(deployment, plan_hash)
        if execute.job_of(plan_hash) == one.job:
            return next(step.dataset for step in plan.steps if step.id == one.step)
    return ""


def test_the_line_deletes_files_that_are_due_and_nothing_else(world: portal.World) -> None:
    """Records, logs and a leaver's letters go; sealed lists name each once; both certificates are issued."""
    before = folders.read(root_of(world))
    with world.open() as deployment:
        assert preflight.doctor(deployment).findings == ()
        assert coverage.gaps(deployment, "main") == []
        for plan_hash in (rule(world, deployment), leave(world, deployment)):
            ran = execute.apply(deployment, plan_hash)
            assert (ran.outcome, ran.clean) == ("done", True)
            assert certify.issue(deployment, plan_hash).job == ran.job
        names = taken(deployment)
    gone = set(before) - set(folders.read(root_of(world)))
    assert gone == names == folders.expected(before, portal.LEAVER, world.now)


def test_I31_a_leavers_files_are_returned_before_they_go(world: portal.World) -> None:
    """Each file's content is in the package under a number of ours, told by its row; nobody else's is."""
    letters = root_of(world) / "customers" / portal.LEAVER / "letters"
    hostile = os.fsencode(letters) + b"/..\\..\\evil\n\xff"
    with open(hostile, "wb") as file:  # noqa: PTH123 - bytes
        file.write(b"mine")
    with world.open() as deployment:
        tenant = offboard.find(deployment, portal.LEAVER)
        writer = package_writer(deployment, deployment.zone_of(tenant))
        exported, manifest = exporting.export(deployment, tenant, writer, world.folder)
    checked = check_package(manifest.path)
    mine = [key for key in folders.read(root_of(world)) if key[1].split("/")[0] == portal.LEAVER]
    assert exported.rows == sum(one.rows for one in checked.datasets) == len(mine)
    with zipfile.ZipFile(manifest.path) as archive:
        contents = [name for name in archive.namelist() if ".files/" in name]
        assert len(contents) == len(mine)
        assert all(".." not in name and "\\" not in name and name.isascii() for name in archive.namelist())
        rows = [json.loads(line) for line in archive.read("data/001-letters.jsonl").splitlines()]
        (row,) = (row for row in rows if "evil" in row["name"])
        assert archive.read(row["content"]["file"]) == b"mine"
        assert row["name"].endswith("evil%0A%FF")


@pytest.mark.parametrize("member", ["data/001-letters.files/00000001", "data/001-letters.jsonl"])
def test_a_changed_content_is_found(world: portal.World, member: str) -> None:
    """A package whose content, or whose lines, were exchanged is not handed over."""
    with world.open() as deployment:
        tenant = offboard.find(deployment, portal.LEAVER)
        writer = package_writer(deployment, deployment.zone_of(tenant))
        _, manifest = exporting.export(deployment, tenant, writer, world.folder)
    forged = world.folder / "forged.zip"
    with zipfile.ZipFile(manifest.path) as archive, zipfile.ZipFile(forged, "w") as copy:
        for name in archive.namelist():
            copy.writestr(name, archive.read(name) + (b"x" if name == member else b""))
    with pytest.raises(Exception, match=r"is not the file that the manifest names|cannot be read"):
        check_package(forged)


def test_I07_a_held_tenants_files_stay(world: portal.World) -> None:
    """A hold on a dataset keeps its files; the rest of the pass goes on, and the certificate waits for its listing."""
    with world.open() as deployment:
        ground = holding.Ground(basis="legal-order", reason="A dispute")
        holding.set_hold(
            deployment, offboard.find(deployment, "zebra"), ground, operator="op-one", datasets=("access",)
        )
        before = folders.read(root_of(world))
        assert execute.apply(deployment, rule(world, deployment)).clean
    gone = set(before) - set(folders.read(root_of(world)))
    wanted = folders.expected(before, "nobody", world.now)
    assert gone == {key for key in wanted if not (key[0] == "access" and key[1].startswith("zebra/"))}


def test_what_cannot_be_deleted_is_overdue_and_keeps_the_certificate_back(world: portal.World) -> None:
    """An old record with a second name: the job ends partial, the separate verifier shows it, doctor says why."""
    record = root_of(world) / "access" / "zebra" / "015"
    os.link(record, root_of(world).parent / "second-name")
    with world.open() as deployment:
        plan_hash = rule(world, deployment)
        ran = execute.apply(deployment, plan_hash)
        assert (ran.outcome, ran.clean) == ("partial", False)
        with pytest.raises(Refused):
            certify.issue(deployment, plan_hash)
        assert [finding.code for finding in preflight.doctor(deployment).findings] == ["linked"]
        seen = look.look(deployment)
    assert sum(one.overdue for one in seen.rules) == 1
    assert record.exists()


def test_a_folder_that_nobody_declared_blocks_final_certificates(world: portal.World) -> None:
    """Coverage is of folders: one beside the declared ones is a gap."""
    (root_of(world) / "uploads").mkdir()
    with world.open() as deployment:
        assert [(gap.kind, gap.table) for gap in coverage.gaps(deployment, "main")] == [("undeclared-table", "uploads")]


def test_I20_a_folder_that_was_restored_elsewhere_is_another_store(world: portal.World) -> None:
    """A plan is bound to the folder it was made against: a copy of it is refused."""
    with world.open() as deployment:
        plan_hash = rule(world, deployment)
    root_of(world).rename(root_of(world).with_name("moved"))
    (world.folder / "main.url").write_text(f"file://{root_of(world).with_name('moved')}\n")
    with world.open() as deployment, pytest.raises(Refused) as refused:
        execute.apply(deployment, plan_hash)
    assert refused.value.guard == "fingerprint"
