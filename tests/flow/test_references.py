"""Rows that reference objects: the object goes first, a shared one with its last row, and nobody loses its file.

SQLite and a folder beside it. What must be there is computed here by plain Python from rows and files.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from lifecycle.core.errors import LifecycleError, Refused
from lifecycle.flow import approve, certify, coverage, execute, exporting, holding, offboard, planning, preflight
from lifecycle.ports.clock import SystemClock
from lifecycle.wiring.exports import package_writer
from tests import portal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lifecycle.flow.deployment import Deployment

INVENTORY = """\
lifecycle: inventory/v1
id: portal
stores:
  - {id: main, kind: sql, address: {file: main.url}, place: {country: DE}}
  - {id: media, kind: files, address: {file: media.url}, place: {country: DE}}
datasets:
  - id: uploads
    store: main
    table: upload
    category: technical-data
    key: [id]
    tenant: {by: column, column: portal_id}
    times: {collection: {column: at, encoding: iso-text}}
    references: [{column: file, store: media, key_template: "up/{value}"}]
  - id: scans
    store: main
    table: scan
    category: technical-data
    key: [id]
    tenant: {by: column, column: portal_id}
    times: {collection: {column: at, encoding: iso-text}}
    references: [{column: path, store: media, key_template: "{value}"}]
  - {id: media, store: media, table: ".", category: documents, key: [name], tenant: {by: none},
     files: {kind: documents}}
"""
UPLOAD, SCAN = "SELECT portal_id, file, at FROM upload", "SELECT portal_id, path, at FROM scan"


@pytest.fixture
def world(tmp_path: Path) -> portal.World:
    """The world on SQLite."""
    return made(tmp_path, f"sqlite:///{tmp_path / 'app.db'}")


def made(tmp_path: Path, url: str) -> portal.World:
    """Uploads and scans of four tenants, old and young, with every trap a reference can be."""
    now = SystemClock().now()
    mark = "?" if url.startswith("sqlite") else "%s"
    media = tmp_path / "media"
    (media / "up").mkdir(parents=True)
    with portal.raw(url) as connection:
        for table, column in (("upload", "file"), ("scan", "path")):
            connection.execute(
                f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, portal_id TEXT NOT NULL, {column} TEXT, at TEXT)"
            )
        for number, row in enumerate(rows(now)):
            connection.execute(f"INSERT INTO {row[0]} VALUES ({number}, {mark}, {mark}, {mark})", row[1:])
    for table, _, value, _ in rows(now):
        if value and ".." not in value and "missing" not in value:
            write(media, f"up/{value}" if table == "upload" else value)
    write(media, "forgotten.pdf")
    write(tmp_path, "outside.pdf")
    folder = tmp_path / "deployment"
    folder.mkdir()
    address = folder / "media.url"
    address.write_text(f"file://{media}\n")
    address.chmod(0o600)
    world = portal.create_deployment(folder, url, now, inventory=INVENTORY)
    settings = folder / "lifecycle.yaml"
    settings.write_text(settings.read_text() + "limits: {least_batch: 2, first_batch: 2, most_batch: 2}\n")
    with world.open() as deployment:
        deployment.stores["media"].prepare(deployment.id)
    return world


def rows(now: Any) -> list[tuple[str, str, str | None, str]]:
    """Return the application's rows: table, tenant, value, time."""
    old, young = portal.stamp(now - timedelta(days=150)), portal.stamp(now - timedelta(days=3))
    found: list[tuple[str, str, str | None, str]] = []
    for tenant in portal.TENANTS:
        found += [("upload", tenant, f"{tenant}-{number}.pdf", old) for number in range(3)]
        found += [("upload", tenant, f"{tenant}-young.pdf", young), ("scan", tenant, f"{tenant}.tif", old)]
    # One file with rows of two tenants, one with rows of two tables, one that a young row keeps, a name in two cases.
    found += [("upload", "acme", "common.pdf", old), ("upload", "zebra", "common.pdf", old)]
    found += [("upload", "acme", "both.pdf", old), ("scan", "acme", "up/both.pdf", old)]
    found += [("upload", "acme", "kept.pdf", old), ("upload", "acme2", "kept.pdf", young)]
    found += [("upload", "acme", "CASE.pdf", old), ("upload", "acme2", "case.pdf", young)]
    found += [("upload", "acme", value, old) for value in (None, "", "../../outside.pdf", "missing.pdf")]
    return found


def write(folder: Path, name: str) -> None:
    """Write a file."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(name)


def files(world: portal.World) -> set[str]:
    """Return what lies in the application's folder, ours left out."""
    media = world.folder.parent / "media"
    found = {str(path.relative_to(media)) for path in media.rglob("*") if path.is_file()}
    return {name for name in found if not name.startswith(".lifecycle")}


def referenced(world: portal.World) -> Counter[str]:
    """Count the rows of each file."""
    return Counter(
        [f"up/{value}" for _, value, _ in world.rows(UPLOAD) if value]
        + [value for _, value, _ in world.rows(SCAN) if value]
    )


def orphans(world: portal.World) -> set[str]:
    """Return the files that no row references."""
    return files(world) - set(referenced(world))


def rule(world: portal.World) -> str:
    """Plan and approve the rule."""
    with world.open() as deployment:
        planned = planning.plan_rule(deployment, "clientport", "server-logs", author="lifecycle")
        assert planned is not None
        approve.approve(deployment, planned.hash, "op-one", world.key("op-one"))
        return planned.hash


def leave(world: portal.World) -> str:
    """End the leaver's contract, plan and approve its deletion."""
    with world.open() as deployment:
        tenant = offboard.find(deployment, portal.LEAVER)
        tenant = offboard.end(deployment, tenant, ends_on=(world.now - timedelta(days=40)).date())
        planned = planning.plan_offboarding(deployment, tenant, author="lifecycle")
        for operator in portal.OPERATORS:
            approve.approve(deployment, planned.hash, operator, world.key(operator))
        return planned.hash


def old_ones(world: portal.World) -> set[str]:
    """Return the files of which every row is old."""
    young = portal.stamp(world.now - timedelta(days=30))
    kept = {f"up/{value}" for _, value, at in world.rows(UPLOAD) if at > young}
    return (set(referenced(world)) & files(world)) - kept


def test_a_rule_takes_files_with_their_last_rows(world: portal.World) -> None:
    """Due rows go, whatever they reference; files go whose rows are all due; whatever has a young row stays."""
    before, due = files(world), old_ones(world)
    plan = rule(world)
    with world.open() as deployment:
        assert coverage.gaps(deployment, "media") == []
        ran = execute.apply(deployment, plan)
        assert (ran.outcome, ran.clean) == ("done", True)
        certify.issue(deployment, plan)
        planned = execute.read_plan(deployment, plan)
    assert before - files(world) == due
    assert {"up/both.pdf", "up/common.pdf", "up/CASE.pdf"} <= due
    assert all(at > portal.stamp(world.now - timedelta(days=30)) for _, _, at in world.rows(UPLOAD))
    assert world.rows(SCAN) == []
    assert sum(step.expected for step in planned.steps if step.dataset == "media") == len(due)
    assert (world.folder.parent / "outside.pdf").exists()


def test_I06_a_leaver_takes_its_files_and_nobody_elses(world: portal.World) -> None:
    """What another tenant's row references stays; so does what no row references, and doctor counts it."""
    before = files(world)
    plan = leave(world)
    with world.open() as deployment:
        ran = execute.apply(deployment, plan)
        assert (ran.outcome, ran.clean) == ("done", True)
        certify.issue(deployment, plan)
        found = [one for one in preflight.doctor(deployment).findings if one.code == "orphaned-objects"]
    gone = before - files(world)
    mine = {f"up/acme-{name}.pdf" for name in ("0", "1", "2", "young")}
    assert gone == mine | {"acme.tif", "up/both.pdf", "up/CASE.pdf"}
    assert orphans(world) == {"forgotten.pdf"}
    assert not [row for row in world.rows(UPLOAD) + world.rows(SCAN) if row[0] == "acme"]
    assert [one.what.split(" ")[0] for one in found] == ["1"]


@pytest.mark.parametrize("make", [rule, leave])
def test_postgresql_does_the_same(tmp_path: Path, postgres_url: str, make: Callable[[portal.World], str]) -> None:
    """Byte-exact values, locked rows, another server: every file of a row that went has gone, and no other."""
    world = made(tmp_path, postgres_url)
    before, named = files(world), set(referenced(world))
    plan = make(world)
    with world.open() as deployment:
        ran = execute.apply(deployment, plan)
        assert (ran.outcome, ran.clean) == ("done", True)
    assert before - files(world) == (before & named) - set(referenced(world))
    assert "up/case.pdf" in files(world)
    assert "up/CASE.pdf" not in files(world)
    assert orphans(world) == {"forgotten.pdf"}


class KilledError(BaseException):
    """The process is gone, as far as the product can tell."""


def killing(nth: int, seen: list[str]) -> Callable[[str], None]:
    """Return a failpoint that ends the process at its nth hit."""

    def failpoint(name: str) -> None:
        seen.append(name)
        if len(seen) == nth:
            raise KilledError(name)

    return failpoint


@pytest.mark.parametrize("make", [rule, leave])
def test_I16_a_crash_anywhere_leaves_no_file_without_a_row(
    world: portal.World, make: Callable[[portal.World], str]
) -> None:
    """Killed at each step in turn, and begun again: file and row, or a row without its file, never the reverse."""
    plan = make(world)
    nth, ended = 0, False
    while not ended and nth < 400:
        nth += 5
        seen: list[str] = []
        try:
            with world.open(failpoint=killing(nth, seen)) as deployment:
                ended = execute.apply(deployment, plan).outcome == "done"
        except KilledError:
            assert orphans(world) <= {"forgotten.pdf"}
    with world.open() as deployment:
        assert execute.apply(deployment, plan).clean
    assert orphans(world) == {"forgotten.pdf"}
    assert ended
    assert nth > 5


def test_I07_a_held_tenants_rows_keep_their_files(world: portal.World) -> None:
    """A hold on the rows' dataset keeps row and file, and a file that is shared with a held row."""
    with world.open() as deployment:
        ground = holding.Ground(basis="legal-order", reason="A dispute")
        zebra = offboard.find(deployment, "zebra")
        holding.set_hold(deployment, zebra, ground, operator="op-one", datasets=("uploads",))
    plan = rule(world)
    with world.open() as deployment:
        assert execute.apply(deployment, plan).clean
    left = files(world)
    assert {"up/zebra-0.pdf", "up/zebra-1.pdf", "up/zebra-2.pdf", "up/common.pdf"} <= left
    assert "zebra.tif" not in left
    assert orphans(world) == {"forgotten.pdf"}


def test_I07_a_hold_on_the_files_keeps_their_rows(world: portal.World) -> None:
    """A hold that names the files' dataset: no row that references one goes."""
    plan = rule(world)
    with world.open() as deployment:
        ground = holding.Ground(basis="legal-order", reason="A dispute")
        holding.set_hold(deployment, offboard.find(deployment, "zebra"), ground, operator="op-one", datasets=("media",))
    before = files(world)
    with world.open() as deployment:
        assert execute.apply(deployment, plan).outcome != "done"
    assert files(world) == before
    assert orphans(world) == {"forgotten.pdf"}


def test_an_upload_during_the_job_keeps_row_and_file(world: portal.World) -> None:
    """A row that appears within a batch, with its file, after both were looked at: neither goes without the other."""
    plan = rule(world)
    added: list[str] = []

    def uploading(name: str) -> None:
        if name != "intent.after" or len(added) > 3:
            return
        value = f"late-{len(added)}.pdf"
        write(world.folder.parent / "media", f"up/{value}")
        with portal.raw(world.url) as connection:
            connection.execute(
                "INSERT INTO upload VALUES (?, 'acme', ?, ?)",
                (-1 - len(added), value, portal.stamp(world.now - timedelta(days=151))),
            )
        added.append(value)

    with world.open(failpoint=uploading) as deployment:
        execute.apply(deployment, plan)
    assert len(added) == 4
    assert orphans(world) == {"forgotten.pdf"}


def test_rows_stay_while_the_folder_is_not_there(world: portal.World) -> None:
    """An empty mount point is no absence of files: nothing goes, and the job goes on when the folder is back."""
    plan = rule(world)
    before = world.rows(UPLOAD)
    media = world.folder.parent / "media"
    media.rename(media.with_name("away"))
    media.mkdir()
    with world.open() as deployment, pytest.raises(LifecycleError):
        execute.apply(deployment, plan)
    assert world.rows(UPLOAD) == before
    media.rmdir()
    media.with_name("away").rename(media)
    with world.open() as deployment:
        assert execute.apply(deployment, plan).outcome == "done"


def test_I25_a_batch_that_nobody_released_is_refused(world: portal.World) -> None:
    """The store itself refuses rows with references whose objects nobody looked for."""
    plan = rule(world)
    with world.open() as deployment:
        step = next(one for one in execute.read_plan(deployment, plan).steps if one.dataset == "uploads")
        assert step.selection.linked_by is None
        with pytest.raises(Refused) as refused:
            _unreleased(deployment, plan)
    assert refused.value.guard == "object"


def _unreleased(deployment: Deployment, plan: str) -> None:
    from lifecycle.flow.binding import bind
    from lifecycle.flow.mirror import mirror
    from lifecycle.ports.store import Batch

    step = next(one for one in execute.read_plan(deployment, plan).steps if one.dataset == "uploads")
    store, bound = deployment.stores["main"], bind(deployment, step.selection)
    store.advance_epoch(deployment.id, 99)
    cut = store.cut(bound, None, 2)
    assert cut is not None
    holds = mirror(deployment, ["main"])["main"]
    keys = deployment.keys
    store.apply(
        Batch("b-1", "j-1", step.id, step.action, bound, cut.after, cut.upto, 2, 99, holds, deployment.id,
              sealing_key=keys.sealing, commitment_key=keys.commitment)
    )  # fmt: skip


def test_I31_the_export_returns_what_the_rows_reference(world: portal.World) -> None:
    """A leaver gets each of its files, shared ones too, and no other tenant's."""
    with world.open() as deployment:
        tenant = offboard.find(deployment, portal.LEAVER)
        writer = package_writer(deployment, deployment.zone_of(tenant))
        exported, manifest = exporting.export(deployment, tenant, writer, world.folder)
    there = [one for one in manifest.datasets if one.dataset == "media"]
    # Of uploads three old ones, a young one, common, both, kept and CASE; of scans its own.
    assert [one.rows for one in there] == [9]
    assert exported.rows == sum(one.rows for one in manifest.datasets)
