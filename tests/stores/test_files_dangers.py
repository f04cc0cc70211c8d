"""What lies in folders that nobody should trust: links, pipes, odd names, neighbours, names that change hands."""

from __future__ import annotations

import os
import socket
import threading
import tracemalloc
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lifecycle.core.errors import LifecycleError, Refused, Unknown
from lifecycle.core.inventory import Dataset, Documents, Tenancy
from lifecycle.core.selection import Bound
from lifecycle.core.transform import SetNull
from lifecycle.ports.store import Closing, HoldRow, TenantRow
from lifecycle.stores.files import FilesStore, open_keys
from lifecycle.stores.files.mounts import full, mounts
from lifecycle.testing import store_world as w
from lifecycle.testing.store_contract import NEW, OLD, Stopped, ids, log, stop_at
from lifecycle.testing.store_world import at, batch, of_groups, of_tenant, ready, walk
from tests.stores.files_world import TABLES, FilesWorld

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MADE = at(OLD)


@pytest.fixture
def world(tmp_path: Path) -> FilesWorld:
    """A folder, with another one beside it that nobody may touch."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "1.2025-01-10.dat").write_text("theirs")
    os.utime(outside / "1.2025-01-10.dat", (MADE.timestamp(),) * 2)
    return FilesWorld(tmp_path / "root")


@pytest.fixture
def store(world: FilesWorld) -> FilesStore:
    """A prepared store."""
    return prepared(world)


def prepared(world: FilesWorld) -> FilesStore:
    """Prepare a store with the suite's tenants."""
    store = world.store()
    ready(store)
    return store


def theirs(world: FilesWorld) -> bytes:
    """Read the file outside."""
    return (world.root.parent / "outside" / "1.2025-01-10.dat").read_bytes()


def names(world: FilesWorld, table: str = "logs") -> set[bytes]:
    """Return every path below a folder, as bytes, folders left out."""
    top = os.fsencode(world.root / table)
    return {
        os.path.relpath(os.path.join(folder, name), top)  # noqa: PTH118 - bytes
        for folder, _, files in os.walk(top)
        for name in files
    }


def hook(place: str, act: Callable[[], None]) -> Callable[[str], None]:
    """Return a failpoint that acts at each hit of one place."""

    def failpoint(name: str) -> None:
        if name == place:
            act()

    return failpoint


# ---- links and what is no file ----


def test_a_tenants_folder_that_is_a_link_leads_nowhere(world: FilesWorld, store: FilesStore) -> None:
    """What it names is not looked into, by neither look; the link is nobody's file and stays."""
    (world.root / "logs" / "acme").symlink_to(world.root.parent / "outside")
    for bound in (of_tenant("acme"), of_groups(["standard"])):
        assert store.count(bound).items == store.residue(bound).items == 0
    assert store.oddities("logs", of_groups(["standard"])).null_tenant == 1
    assert [finding.code for finding in store.inspect(["logs"])] == ["symbolic-link"]
    assert theirs(world) == b"theirs"


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_name_that_becomes_a_link_after_the_cut_is_not_followed(world: FilesWorld, what: str) -> None:
    """Between cut and apply the file, or its folder, is exchanged for a link to a file that looks the same."""
    store = prepared(world)
    world.insert("logs", [log(1)])
    planned = batch(store, of_tenant("acme"), "b1")
    outside = world.root.parent / "outside"
    folder = world.root / "logs" / "acme"
    if what == "folder":
        folder.rename(world.root.parent / "moved")
        folder.symlink_to(outside)
    else:
        (path,) = folder.iterdir()
        path.unlink()
        path.symlink_to(outside / "1.2025-01-10.dat")
    receipt = store.apply(planned)
    assert (receipt.deleted, sum(receipt.kept.values())) == (0, 1)
    assert theirs(world) == b"theirs"


def test_a_file_with_another_name_elsewhere_stays_and_is_told(world: FilesWorld, store: FilesStore) -> None:
    """Its content would survive: it is due, is left, and keeps the certificate back; doctor says why."""
    world.insert("logs", [log(1), log(2)])
    linked = world.root / "logs" / "acme" / "1.2025-01-10.dat"
    os.link(linked, world.root.parent / "second-name")
    assert sum(receipt.deleted for receipt in walk(store, of_tenant("acme"), 9)) == 1
    assert store.count(of_tenant("acme")).items == store.residue(of_tenant("acme")).items == 1
    assert [(f.code, f.fatal) for f in store.inspect(["logs"])] == [("linked", False)]


def test_a_second_name_that_comes_after_the_cut_keeps_the_file(world: FilesWorld, store: FilesStore) -> None:
    """Counted at the moment of deletion, not at the cut."""
    world.insert("logs", [log(1)])
    planned = batch(store, of_tenant("acme"), "b1")
    os.link(world.root / "logs" / "acme" / "1.2025-01-10.dat", world.root.parent / "second-name")
    assert dict(store.apply(planned).kept) == {"linked": 1}
    assert ids(world) == {1}


def test_pipes_and_sockets_are_counted_and_stay(world: FilesWorld, store: FilesStore) -> None:
    """Nothing opens them, nothing deletes them, and they are undatable."""
    world.insert("logs", [log(1)])
    folder = world.root / "logs" / "acme"
    os.mkfifo(folder / "2.2025-01-10.dat")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(folder / "s"))
    assert sum(receipt.deleted for receipt in walk(store, of_tenant("acme"), 9)) == 1
    odd = store.oddities("logs", of_tenant("acme"))
    assert odd == store.residue(of_tenant("acme")).oddities
    assert odd.undatable == 2
    assert [finding.what for finding in store.inspect(["logs"])] == [
        "pipes, sockets or devices lie among the files, and are never deleted (2)"
    ]


def test_another_file_system_is_not_entered() -> None:
    """A folder on which something is mounted is a finding, and fatal where it is the dataset's own."""
    mounted = Dataset(
        id="shared", store=w.STORE, table="shm", category="x", key=("name",), tenant=Tenancy(by="none"),
        files=Documents(kind="documents"),
    )  # fmt: skip
    store = FilesStore(w.STORE, "/dev", [mounted], deployment=w.DEPLOYMENT)
    assert [(f.code, f.dataset, f.fatal) for f in store.inspect(["shared"])] == [
        ("mount", None, False),
        ("mount", "shared", True),
    ]


MOUNTINFO = rb"""22 1 8:1 / / rw,relatime - ext4 /dev/root rw
30 22 0:40 / /srv/data rw - nfs4 storage.example.com:/data rw,vers=4.2
31 30 0:41 / /srv/data/with\040space rw - tmpfs tmpfs rw
32 22 0:42 / /srv/database rw - xfs /dev/sdb rw
"""


def test_mounts_are_read_from_the_system() -> None:
    """Which file system a root lies on, whether another host serves it, and what is mounted below it."""
    seen = [mounts(root, MOUNTINFO) for root in (b"/srv/data/x", b"/srv/data", b"/srv", b"/srv/data/with space", b"/")]
    assert [(one.kind, one.below, one.remote) for one in seen] == [
        ("nfs4", 0, True),
        ("nfs4", 1, True),
        ("ext4", 3, False),
        ("tmpfs", 0, False),
        ("ext4", 3, False),
    ]


@pytest.mark.parametrize(
    ("blocks", "files", "free_files", "is_full"),
    [(10_000, 1_000, 500, False), (10, 1_000, 500, True), (10_000, 1_000, 3, True), (10_000, 0, 0, False)],
)
def test_without_room_for_receipts_nothing_is_planned(blocks: int, files: int, free_files: int, is_full: bool) -> None:
    """Blocks and files both count, where the file system counts files at all."""
    system = os.statvfs_result((4096, 4096, 20_000, blocks, blocks, files, free_files, free_files, 0, 255))
    assert full(system) is is_full


# ---- names ----

ODD = (
    b"line\nbreak.2025-01-10.dat",
    b"\x1b[31mred.2025-01-10.dat",
    b"\xff\xfe\x80.2025-01-10.dat",
    b"-rf .2025-01-10.dat",
    b"%2e%2e%2f.2025-01-10.dat",
    b"a" * 255,
    "Grüße\u202egnp.2025-01-10.dat".encode(),
    b"...",
    b"'; rm -rf ~; '.2025-01-10.dat",
)


def test_names_of_any_bytes_are_deleted_exactly(world: FilesWorld, store: FilesStore) -> None:
    """Every byte survives the list; what is shown is escaped; nothing else goes."""
    (world.root / "logs" / "acme").mkdir()
    folder = os.fsencode(world.root / "logs" / "acme")
    for name in (*ODD, b"young"):
        with open(folder + b"/" + name, "wb"):  # noqa: PTH123 - bytes
            pass
        moment = at(NEW if name == b"young" else OLD).timestamp()
        os.utime(folder + b"/" + name, (moment, moment))
    bound = of_tenant("acme", "logs", w.before(date(2025, 12, 31)))
    shown = [str(found.key[0]) for found in store.find(bound, None, 99)]
    assert len(shown) == store.residue(bound).items == len(ODD)
    assert all(text.isascii() and text.isprintable() for text in shown)
    receipts = list(walk(store, bound, 4))
    opened = [key for r in receipts for (key,) in open_keys(r.sealed or b"", w.SEALING_KEY, r.batch)]
    assert sorted(opened) == sorted(shown)
    assert names(world) == {b"acme/young"}


def test_I06_a_prefix_never_reaches_a_neighbour(world: FilesWorld, store: FilesStore) -> None:
    """t-1 is not t-10, nor a folder within another tenant's."""
    rows = [log(n, firm) for n, firm in enumerate(("t-1", "t-10", "t-", "T-1", "t-1 ", "acme/t-1"))]
    world.insert("logs", rows)
    store.mirror_tenants([TenantRow(name, "g" if name == "t-1" else "other") for name in ("t-1", "t-10", "acme")])
    assert store.count(of_tenant("t-1")).items == store.count(of_groups(["g"])).items == 1
    assert store.residue(of_tenant("t-1")).items == store.residue(of_groups(["g"])).items == 1
    assert sum(receipt.deleted for receipt in walk(store, of_tenant("t-1"), 9)) == 1
    assert ids(world) == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("tenant", ["../logs", "a/b", ".", "..", "a\0b", "x" * 256, "é" * 128, "/"])
def test_I06_a_tenant_that_is_no_name_of_a_folder_is_refused(world: FilesWorld, store: FilesStore, tenant: str) -> None:
    """No id is a way to somewhere else."""
    world.insert("logs", [log(1)])
    bound = of_tenant(tenant)
    uses: tuple[Callable[[], Any], ...] = (
        lambda: store.count(bound),
        lambda: store.cut(bound, None, 9),
        lambda: store.find(bound, None, 9),
        lambda: store.oddities("logs", bound),
        lambda: store.export("logs", bound).__enter__(),
    )
    for use in uses:
        with pytest.raises(Refused) as refused:
            use()
        assert refused.value.guard == "tenant-name"
    assert store.residue(bound).items == 0
    assert ids(world) == {1}


def test_our_own_folder_is_no_dataset(tmp_path: Path) -> None:
    """Where the root itself is a dataset, fence, mirrors and waiting files are not its files."""
    whole = TABLES["system_log"].model_copy(update={"table": "."})
    store = FilesStore(w.STORE, str(tmp_path), [whole], deployment=w.DEPLOYMENT)
    ready(store)
    assert store.count(w.of_all("system")).items == store.residue(w.of_all("system")).items == 0
    assert store.population("system") == 0
    assert [table.name for table in store.catalogue().tables] == ["."]


def test_a_dataset_may_lie_deeper_and_undeclared_folders_are_told(tmp_path: Path) -> None:
    """Coverage sees what lies beside the declared folders, and files that lie loose."""
    for folder in ("var/log/web/x", "var/log/mail", "var/cache", "home"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "var" / "loose").write_text("x")
    deep = TABLES["system_log"].model_copy(update={"table": "var/log/web"})
    store = FilesStore(w.STORE, str(tmp_path), [deep], deployment=w.DEPLOYMENT)
    found = [(table.name, bool(table.primary_key)) for table in store.catalogue().tables]
    assert sorted(found) == [
        ("home", False),
        ("var", False),
        ("var/cache", False),
        ("var/log/mail", False),
        ("var/log/web", True),
    ]


# ---- names that change hands during a batch ----


def test_a_new_file_of_the_same_name_is_not_touched(world: FilesWorld) -> None:
    """The application writes the name again while the old file waits: the old one goes, the new one stays."""
    prepared(world)
    world.insert("logs", [log(1)])
    again = hook("item.moved", lambda: world.insert("logs", [log(1, made=at(NEW))]))
    store = world.store(again)
    assert store.apply(batch(store, of_tenant("acme"), "b1")).deleted == 1
    assert ids(world) == {1}
    assert names(world) == {b"acme/1.2025-01-10.dat"}


def test_a_file_that_is_written_while_it_waits_gets_its_name_back(world: FilesWorld) -> None:
    """Whoever had it open goes on writing: it is not what was planned any more."""
    prepared(world)
    world.insert("logs", [log(1), log(2)])
    path = world.root / "logs" / "acme" / "1.2025-01-10.dat"
    with path.open("ab") as writer:

        def write() -> None:
            writer.write(b"more")
            writer.flush()

        store = world.store(hook("item.moved", write))
        receipt = store.apply(batch(store, of_tenant("acme"), "b1"))
    assert (receipt.deleted, dict(receipt.kept), ids(world)) == (1, {"changed": 1}, {1})
    assert path.read_bytes().startswith(b"xmore")


def test_a_file_whose_name_is_taken_is_kept_aside_and_told(world: FilesWorld) -> None:
    """It changed, and its name belongs to another file by now: neither is lost, and doctor asks for a decision."""
    prepared(world)
    world.insert("logs", [log(1)])
    path = world.root / "logs" / "acme" / "1.2025-01-10.dat"
    with path.open("ab") as writer:

        def write() -> None:
            writer.write(b"more")
            writer.flush()
            world.insert("logs", [log(1, made=at(NEW))])

        store = world.store(hook("item.moved", write))
        receipt = store.apply(batch(store, of_tenant("acme"), "b1"))
    assert (receipt.deleted, dict(receipt.kept)) == (0, {"changed": 1})
    assert path.read_bytes() == b"x"
    stranded = world.root / ".lifecycle" / "stranded"
    assert (stranded / "b1-0").read_bytes() == b"xmore"
    assert (stranded / "b1-0.path").read_text() == "logs/acme/1.2025-01-10.dat"
    assert [finding.code for finding in store.inspect([])] == ["stranded"]


@pytest.mark.parametrize("place", ["batch.receipt-open", "item.moved", "batch.changed", "batch.receipt-sealed"])
def test_I16_what_waited_undecided_gets_its_name_back(world: FilesWorld, place: str) -> None:
    """A process that cannot even tidy up leaves files in our folder: closing the batch gives each its name back."""
    store = prepared(world)
    world.insert("logs", [log(n) for n in range(3)])
    planned = batch(store, of_tenant("acme"), "b1")
    before = names(world)
    abandon(world, planned, place)
    receipt = store.void("b1", closing_of(planned, epoch=2))
    assert (receipt.state, names(world), store.fence().epoch) == ("void", before, 2)
    assert list((world.root / ".lifecycle" / "trash").iterdir()) == []
    with pytest.raises(Refused) as refused:
        store.apply(planned)
    assert (refused.value.guard, names(world)) == ("stale-epoch", before)


def test_I16_what_was_decided_is_finished(world: FilesWorld) -> None:
    """A process that ends between its receipt and the last file leaves a decision: closing the batch carries it out."""
    store = prepared(world)
    world.insert("logs", [log(n) for n in range(3)])
    planned = batch(store, of_tenant("acme"), "b1")
    abandon(world, planned, "item.gone")
    assert names(world) == set()
    receipt = store.void("b1", closing_of(planned, epoch=2))
    assert (receipt.state, receipt.deleted) == ("done", 3)
    assert dict(store.breakdown(receipt, w.SEALING_KEY)) == {"acme": 3}
    assert list((world.root / ".lifecycle" / "trash").iterdir()) == []
    assert store.void("b1", closing_of(planned, epoch=2)).deleted == 3


def abandon(world: FilesWorld, planned: Any, place: str) -> None:
    """Carry a batch out in another process that is gone at a place, without a word."""
    child = os.fork()
    if child == 0:
        world.store(hook(place, lambda: os._exit(7))).apply(planned)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def closing_of(planned: Any, *, epoch: int) -> Closing:
    """Return what recovery has in hand."""
    return Closing(planned.deployment, epoch, planned.listed, planned.sealing_key, planned.commitment_key)


# ---- the lock and our own files ----


def test_I07_a_hold_waits_for_the_batch_that_began_before_it(world: FilesWorld) -> None:
    """Holds and epochs change between batches only; the one under way is not caught half-way."""
    prepared(world)
    world.insert("logs", [log(n) for n in range(3)])
    waiting: list[threading.Thread] = []
    early: list[bool] = []

    def hold() -> None:
        if not waiting:
            other = world.store()
            waiting.append(threading.Thread(target=other.mirror_holds, args=([HoldRow("h1", "acme", None)],)))
            waiting[0].start()
            waiting[0].join(0.2)
            early.append(not waiting[0].is_alive())

    store = world.store(hook("item.moved", hold))
    assert store.apply(batch(store, of_tenant("acme"), "b1")).deleted == 3
    waiting[0].join(10)
    assert early == [False]
    assert set(store.mirrored().holds) == {HoldRow("h1", "acme", None)}


def test_our_folder_must_be_ours_alone(world: FilesWorld, store: FilesStore) -> None:
    """Whoever can write there decides what is held: then nothing is believed, and nothing goes."""
    world.insert("logs", [log(1)])
    planned = batch(store, of_tenant("acme"), "b1")
    (world.root / ".lifecycle").chmod(0o755)
    for use in (store.fence, lambda: store.apply(planned), lambda: store.count(of_tenant("acme"))):
        with pytest.raises(Refused) as refused:
            use()
        assert refused.value.guard == "private"
    assert ids(world) == {1}


@pytest.mark.parametrize("name", ["fence.json", "tenants.json"])
@pytest.mark.parametrize("body", [b"", b'{"deployment": "exam', b"\0" * 64, b"[]", b'{"epoch": 3}', b'{"acme": null}'])
def test_I07_a_mirror_that_cannot_be_read_holds_everything(
    world: FilesWorld, store: FilesStore, name: str, body: bytes
) -> None:
    """Torn and emptied files of ours refuse every selection."""
    world.insert("logs", [log(1)])
    planned = batch(store, of_tenant("acme"), "b1")
    (world.root / ".lifecycle" / name).write_bytes(body)
    for use in (lambda: store.apply(planned), lambda: store.count(of_tenant("acme"))):
        with pytest.raises(Refused) as refused:
            use()
        assert refused.value.guard == "mirror"
    assert ids(world) == {1}


CALLS = ("fsync", "rename", "unlink", "mkdir", "rmdir")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("error", [5, 28, 30], ids=["EIO", "ENOSPC", "EROFS"])
def test_I16_the_file_system_may_fail_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: int
) -> None:
    """Each call of a batch fails in turn: all files are there and no receipt, or closing it makes them go with one."""
    for nth, failing in _failing(monkeypatch, call, error):
        world = FilesWorld(tmp_path / f"{nth}")
        store = prepared(world)
        world.insert("logs", [log(n) for n in range(3)])
        planned = batch(store, of_tenant("acme"), "b1")
        problem = failing.during(lambda planned=planned, store=store: store.apply(planned))
        if not failing.failed:
            assert (problem, ids(world)) == (None, set())
            assert nth > 1
            return
        assert isinstance(problem, Unknown) is (store.receipt("b1") is not None)
        receipt = store.void("b1", closing_of(planned, epoch=2))
        assert (receipt.state, ids(world)) in (("void", {0, 1, 2}), ("done", set()))
        assert list((world.root / ".lifecycle" / "trash").iterdir()) == []


class Failing:
    """One call of the operating system that fails the nth time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, call: str, what: tuple[int, int]) -> None:
        self.left, self.armed, self.failed = what[0], False, False
        real, error = getattr(os, call), what[1]

        def maybe(*args: Any, **kwargs: Any) -> Any:
            if self.armed and not self.failed:
                self.left -= 1
                if self.left == 0:
                    self.failed = True
                    raise OSError(error, os.strerror(error))
            return real(*args, **kwargs)

        monkeypatch.setattr(os, call, maybe)

    def during(self, act: Callable[[], Any]) -> LifecycleError | None:
        """Count, and let everything work again afterwards; return our own error, if it came to one."""
        self.armed = True
        try:
            act()
        except LifecycleError as problem:
            return problem
        finally:
            self.armed = False
        return None


def _failing(monkeypatch: pytest.MonkeyPatch, call: str, error: int) -> Iterator[tuple[int, Failing]]:
    for nth in range(1, 100):
        with monkeypatch.context() as patch:
            yield nth, Failing(patch, call, (nth, error))
    msg = "a batch makes fewer calls than that"
    raise AssertionError(msg)


def test_a_stopped_batch_of_an_earlier_delivery_does_not_stand_in_the_way(world: FilesWorld) -> None:
    """Delivered again after its first process had ended, the batch takes what its list names."""
    store = prepared(world)
    world.insert("logs", [log(n) for n in range(3)])
    planned = batch(store, of_tenant("acme"), "b1")
    abandon(world, planned, "batch.changed")
    assert names(world) == set()
    assert store.apply(planned).deleted == 3
    assert ids(world) == set()


def test_an_exception_undoes_an_undecided_batch(world: FilesWorld) -> None:
    """A process that can tidy up does it at once."""
    store = prepared(world)
    world.insert("logs", [log(n) for n in range(3)])
    before = names(world)
    with pytest.raises(Stopped):
        world.store(stop_at("batch.changed")).apply(batch(store, of_tenant("acme"), "b1"))
    assert names(world) == before


def test_files_are_not_anonymised(world: FilesWorld, store: FilesStore) -> None:
    """They are deleted or kept: a rule that would change them is refused when it is planned."""
    world.insert("logs", [log(1)])
    assert [(f.code, f.fatal) for f in store.inspect(["logs"], ["logs"])] == [("anonymise-files", True)]
    undone = (SetNull(column="name"),)
    bound = of_tenant("acme")
    changed = Bound(bound.selection.model_copy(update={"undone": undone}), "acme")
    for use in (lambda: store.count(changed), lambda: store.residue(changed), lambda: store.population("logs", undone)):
        with pytest.raises(Refused):
            use()


def test_memory_does_not_grow_with_the_number_of_files(world: FilesWorld, store: FilesStore) -> None:
    """Both looks and a cut over twelve thousand files in one folder keep a piece of them in hand at most."""
    folder = world.root / "logs" / "acme"
    folder.mkdir()
    for number in range(12_000):
        os.close(os.open(folder / f"{number:060}", os.O_CREAT | os.O_WRONLY))
    bound = of_tenant("acme")
    tracemalloc.start()
    assert store.count(bound).items == store.residue(bound).items == store.population("logs") == 12_000
    flat = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    piece = store.cut(bound, None, 100)
    assert piece is not None
    listing = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert flat < 1_000_000
    assert listing < 8_000_000


def test_a_batch_lists_a_bounded_number_of_files(world: FilesWorld, store: FilesStore) -> None:
    """However large a batch is asked for, its list stays a size that our state can keep."""
    folder = world.root / "logs" / "acme"
    folder.mkdir()
    for number in range(5_200):
        os.close(os.open(folder / str(number), os.O_CREAT | os.O_WRONLY))
    piece = store.cut(of_tenant("acme"), None, 100_000)
    assert piece is not None
    rest = store.cut(of_tenant("acme"), piece.upto, 100_000)
    assert rest is not None
    assert (piece.items, rest.items) == (5_000, 200)


def test_I10_no_code_removes_trees() -> None:
    """Neither a tree nor a folder that is not ours is ever removed."""
    sources = Path(__file__).parents[2] / "lifecycle" / "stores" / "files"
    text = "\n".join(path.read_text() for path in sources.glob("*.py"))
    for word in ("rmtree", "removedirs", "shutil", "os.system", "subprocess"):
        assert word not in text
    assert text.count("os.rmdir(") == 1
    assert text.count("os.unlink(") == 4
