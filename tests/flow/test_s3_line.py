"""The line over buckets: a rule's nightly pass over records, and one tenant's end with its return."""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from lifecycle.core.errors import Refused
from lifecycle.exports import check_package
from lifecycle.flow import certify, coverage, execute, exporting, holding, look, offboard, preflight, sealed
from lifecycle.flow.plans import read_plan
from lifecycle.ports.clock import SystemClock
from lifecycle.stores.s3 import open_keys, select
from lifecycle.wiring.exports import package_writer
from tests import buckets, portal
from tests.flow.test_files_line import leave, rule
from tests.object_servers import s3_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lifecycle.flow.deployment import Deployment

NUMBERS = count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """One server for all of them."""
    with s3_server() as server:
        yield server.url


class Company:
    """A deployment over buckets of its own, the leaver's contract ended some days ago."""

    def __init__(self, folder: Path, server: str, *, locks: bool = False, days: int = 40) -> None:
        """Fill the buckets and make the deployment."""
        self.now = SystemClock().now()
        self.prefix = f"line-{next(NUMBERS)}"
        self.s3 = buckets.client(server)
        if locks:
            self.s3.create_bucket(Bucket=f"{self.prefix}-customers", ObjectLockEnabledForBucket=True)
        buckets.create(self.s3, self.prefix, self.now)
        inventory = buckets.INVENTORY.replace("PREFIX", self.prefix)
        url = buckets.address(server, self.prefix)
        self.world = portal.create_deployment(folder, url, self.now, inventory=inventory)
        settings = folder / "lifecycle.yaml"
        settings.write_text(settings.read_text() + "limits: {least_batch: 5, first_batch: 5, most_batch: 5}\n")
        with self.world.open() as deployment:
            ends_on = (self.now - timedelta(days=days)).date()
            offboard.end(deployment, offboard.find(deployment, portal.LEAVER), ends_on=ends_on)

    def read(self) -> set[buckets.Key]:
        """Return what is there."""
        return buckets.read(self.s3, self.prefix)

    def close(self) -> None:
        """Remove the buckets: another test's coverage would find them."""
        buckets.remove(self.s3, self.prefix)


@pytest.fixture
def company(tmp_path: Path, server: str) -> Iterator[Company]:
    """A company."""
    company = Company(tmp_path / "deployment", server)
    yield company
    company.close()


def taken(deployment: Deployment) -> list[buckets.Key]:
    """Open every sealed list."""
    names = {}
    for plan_hash, _ in deployment.state.items("plan"):
        names |= {(execute.job_of(plan_hash), s.id): s.dataset for s in read_plan(deployment, plan_hash).steps}
    return [
        (names[one.job, one.step], *name)
        for one in sealed.every(deployment)
        for name in open_keys(one.body(), deployment.keys.sealing, one.batch)
    ]


def test_the_line_deletes_objects_that_are_due_and_nothing_else(company: Company) -> None:
    """Records, and everything of a leaver's letters: versions, markers, uploads; both certificates are issued."""
    before = company.read()
    with company.world.open() as deployment:
        assert preflight.doctor(deployment).findings == ()
        assert coverage.gaps(deployment, "main") == []
        for plan_hash in (rule(company.world, deployment), leave(company.world, deployment)):
            ran = execute.apply(deployment, plan_hash)
            assert (ran.outcome, ran.clean) == ("done", True)
            assert certify.issue(deployment, plan_hash).job == ran.job
        names = taken(deployment)
    must_go = buckets.expected(before, portal.LEAVER, company.now)
    verdict = buckets.judge(before, company.read(), must_go, names)
    assert (verdict.good, verdict.deleted) == (True, len(must_go))
    assert {kind for _, _, kind, _ in names} == {"version", "marker", "upload"}


def test_I31_a_leavers_objects_are_returned_before_they_go(company: Company) -> None:
    """The latest content of each object is in the package, told by its row; nobody else's is."""
    key = f"{portal.LEAVER}/letters/=2+5..evil\n.pdf"
    company.s3.put_object(Bucket=f"{company.prefix}-customers", Key=key, Body=b"mine")
    with company.world.open() as deployment:
        tenant = offboard.find(deployment, portal.LEAVER)
        writer = package_writer(deployment, deployment.zone_of(tenant))
        exported, manifest = exporting.export(deployment, tenant, writer, company.world.folder)
    checked = check_package(manifest.path)
    # Five letters, one of them behind a marker, the hostile one, and the records.
    assert exported.rows == sum(one.rows for one in checked.datasets) == 4 + 1 + 16
    with zipfile.ZipFile(manifest.path) as archive:
        contents = [name for name in archive.namelist() if ".files/" in name]
        assert len(contents) == exported.rows
        assert all(".." not in name and "\\" not in name and name.isascii() for name in archive.namelist())
        assert b"mine" in {archive.read(name) for name in contents}


def test_I07_a_held_tenants_objects_stay(company: Company) -> None:
    """A hold on a dataset keeps its objects; the rest of the pass goes on."""
    before = company.read()
    with company.world.open() as deployment:
        ground = holding.Ground(basis="legal-order", reason="A dispute")
        zebra = offboard.find(deployment, "zebra")
        holding.set_hold(deployment, zebra, ground, operator="op-one", datasets=("access",))
        assert execute.apply(deployment, rule(company.world, deployment)).clean
    wanted = buckets.expected(before, "nobody", company.now)
    assert before - company.read() == {key for key in wanted if not key[1].startswith("zebra/")}


def test_an_undeclared_bucket_blocks_final_certificates(company: Company) -> None:
    """Coverage is of buckets."""
    company.s3.create_bucket(Bucket="nobodys-bucket")
    try:
        with company.world.open() as deployment:
            gaps = [(gap.kind, gap.table) for gap in coverage.gaps(deployment, "main")]
    finally:
        company.s3.delete_bucket(Bucket="nobodys-bucket")
    assert gaps == [("undeclared-table", "nobodys-bucket")]


def test_a_locked_version_keeps_the_certificate_back_and_nothing_else(tmp_path: Path, server: str) -> None:
    """The rest of a leaver's objects go; the job ends partial, and the separate verifier shows what is left."""
    company = Company(tmp_path / "deployment", server, locks=True)
    key, until = f"{portal.LEAVER}/letters/locked.pdf", datetime(2100, 1, 1, tzinfo=UTC)
    company.s3.put_object(
        Bucket=f"{company.prefix}-customers", Key=key, Body=b"x", ObjectLockMode="GOVERNANCE",
        ObjectLockRetainUntilDate=until,
    )  # fmt: skip
    with company.world.open() as deployment:
        plan_hash = leave(company.world, deployment)
        ran = execute.apply(deployment, plan_hash)
        assert (ran.outcome, ran.clean) == ("partial", False)
        with pytest.raises(Refused):
            certify.issue(deployment, plan_hash)
        assert "object-lock" in [finding.code for finding in preflight.doctor(deployment).findings]
    left = {one[1] for one in company.read() if one[1].startswith(f"{portal.LEAVER}/")}
    assert left == {key}
    company.close()


def test_I33_what_comes_after_the_end_is_seen(tmp_path: Path, server: str) -> None:
    """An object that turns up after a leaver's deletion is overdue for the separate verifier."""
    company = Company(tmp_path / "deployment", server, days=80)
    with company.world.open() as deployment:
        plan_hash = leave(company.world, deployment)
        execute.apply(deployment, plan_hash)
        certify.issue(deployment, plan_hash)
        before = sum(one.overdue for one in look.look(deployment).offboarding)
        key = f"{portal.LEAVER}/letters/late.pdf"
        company.s3.put_object(Bucket=f"{company.prefix}-customers", Key=key, Body=b"x")
        seen = look.look(deployment)
    company.close()
    assert (before, sum(one.overdue for one in seen.offboarding)) == (0, 1)


BUGS: dict[str, Any] = {
    "scope dropped": ("in_scope", lambda _judge, _key: True),
    "cutoff moved": ("days", lambda judge, _entry: [before.day for before in judge.bound.selection.due]),
    "holds ignored": ("held", lambda _judge, _key: False),
    "nothing due": ("selected", lambda _judge, _entry: False),
}


@pytest.mark.parametrize("bug", BUGS)
def test_I35_a_bug_in_the_selection_is_found_by_fresh_eyes(
    company: Company, monkeypatch: pytest.MonkeyPatch, bug: str
) -> None:
    """An executor that selects something else than fresh eyes do changes nothing."""
    company.s3.put_object(Bucket=f"{company.prefix}-access", Key="unknown/2020-01-01-0", Body=b"x")
    before = company.read()
    with company.world.open() as deployment:
        ground = holding.Ground(basis="legal-order", reason="A dispute")
        zebra = offboard.find(deployment, "zebra")
        holding.set_hold(deployment, zebra, ground, operator="op-one", datasets=("access",))
        plan_hash = rule(company.world, deployment)
        monkeypatch.setattr(select.Judge, *BUGS[bug])
        with pytest.raises(Refused):
            execute.apply(deployment, plan_hash)
    assert company.read() == before
