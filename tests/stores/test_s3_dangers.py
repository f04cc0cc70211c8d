"""Where deletion in a bucket goes wrong elsewhere: versions, markers, locks, uploads, keys that look like others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from lifecycle.core.inventory import Dataset, Tenancy, TimeColumn
from lifecycle.core.objectset import ObjectSet
from lifecycle.ports.clock import SystemClock
from lifecycle.ports.store import HoldRow, Register
from lifecycle.stores.s3 import ObjectStore
from lifecycle.testing import store_world as w
from lifecycle.testing.store_world import at, batch, before, of_all, of_groups, of_tenant, ready, walk
from tests.object_proxy import Fault
from tests.stores.s3_world import Server, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from lifecycle.core.selection import Bound

OLD, NEW, TODAY = w.date(2025, 1, 10), w.date(2026, 2, 20), w.TODAY
TIMES = {"made": TimeColumn(column="last_modified", encoding="utc")}
TENANTS = [w.TenantRow(name, "standard") for name in ("t-1", "t-10", "T-1")]
WHOLE = Register(TENANTS, [])
NUMBERS = count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One server for all of them."""
    with running() as server:
        yield server


class Bucket:
    """One bucket and the store over it."""

    def __init__(self, server: Server, name: str, **how: bool) -> None:
        """Make the bucket, or empty it."""
        server.proxy.reset()
        self.server, self.name = server, name
        server.bucket("own")
        server.bucket(name, **how)
        self.store = self.over(by="prefix", pattern="{tenant}/")
        self.store.prepare(w.DEPLOYMENT)
        self.store.mirror_tenants(TENANTS)
        self.store.advance_epoch(w.DEPLOYMENT, 1)

    def over(self, prefix: str = "", dated: str | None = None, **tenancy: Any) -> ObjectStore:
        """Return a store of one dataset."""
        times = TIMES if dated is None else {"made": TimeColumn(column="key", encoding="date")}
        dataset = Dataset(
            id="logs",
            store=w.STORE,
            table=self.name,
            category="c",
            key=("key",),
            tenant=Tenancy(**tenancy),
            times=times,
            objects=ObjectSet(prefix=prefix, dated=dated),
        )
        return ObjectStore(w.STORE, self.server.address("own"), [dataset], deployment=w.DEPLOYMENT)

    def put(self, key: str, day: date = OLD, **more: Any) -> str:
        """Write an object as of a day."""
        return self.server.put(self.name, key, at(day), **more)

    def mark(self, key: str, day: date = OLD) -> str:
        """Delete an object as an application does: a marker goes on top."""
        version: str = self.server.client.delete_object(Bucket=self.name, Key=key)["VersionId"]
        self.server.proxy.times[self.name, key, version] = at(day)
        return version

    def upload(self, key: str) -> str:
        """Begin an upload with one part."""
        client = self.server.client
        upload: str = client.create_multipart_upload(Bucket=self.name, Key=key)["UploadId"]
        client.upload_part(Bucket=self.name, Key=key, UploadId=upload, PartNumber=1, Body=b"part")
        return upload

    def there(self) -> list[str]:
        """Return the key of every version and marker."""
        return sorted(key for key, _ in self.server.everything(self.name))

    def uploads(self) -> list[str]:
        """Return the keys of uploads in flight."""
        return [one["Key"] for one in self.server.client.list_multipart_uploads(Bucket=self.name).get("Uploads", ())]

    def leave(self, bound: Bound, size: int = 1_000) -> dict[str, int]:
        """Walk until nothing more goes; return how many went, and why others stayed."""
        found: dict[str, int] = {"deleted": 0}
        for receipt in walk(self.store, bound, size, f"b{next(NUMBERS)}-"):
            found["deleted"] += receipt.deleted
            for reason, kept in receipt.kept.items():
                found[reason] = found.get(reason, 0) + kept
        return found


@pytest.fixture
def plain(server: Server) -> Bucket:
    """A bucket without versioning."""
    return Bucket(server, "plain")


@pytest.fixture
def versioned(server: Server) -> Bucket:
    """A bucket with versioning."""
    return Bucket(server, "versioned", versioned=True)


HOSTILE = ("%2e", "a+b", "<&>", "a\nb", "a\rb", "a\tb", "trailing ", "é", "e\u0301", "\U0001f600", "'\"", "x" * 240)


@pytest.mark.parametrize("kind", ["plain", "versioned"])
def test_I06_keys_that_look_like_others_are_told_apart(request: pytest.FixtureRequest, kind: str) -> None:
    """Escapes, line breaks, other Unicode forms: each goes by its own name; a neighbour's stays."""
    bucket: Bucket = request.getfixturevalue(kind)
    for name in (*HOSTILE, "/".join("y" * 200 for _ in range(5))[:1_000]):
        bucket.put(f"t-1/{name}")
        bucket.put(f"t-10/{name}")
    assert bucket.store.count(of_tenant("t-1")).items == bucket.store.residue(of_tenant("t-1")).items == 13
    assert bucket.leave(of_tenant("t-1"), 4) == {"deleted": 13}
    assert {key.split("/")[0] for key in bucket.there()} == {"t-10"}
    assert len(bucket.there()) == 13


def test_a_key_with_a_control_character_goes_by_its_own_request(plain: Bucket) -> None:
    """No XML can name it: it is deleted by URL, alone."""
    plain.put("t-1/a\x01b")
    plain.put("t-1/ab")
    assert plain.leave(of_tenant("t-1")) == {"deleted": 2}
    assert plain.there() == []


def test_I18_a_key_that_the_server_garbles_stays_due(versioned: Bucket) -> None:
    """Where a listing shows another character than the key has, nobody can name it: it is left, and it is residue."""
    version = versioned.put("t-1/a\x01b")
    versioned.put("t-1/c")
    assert versioned.leave(of_tenant("t-1")) == {"deleted": 1}
    assert versioned.store.residue(of_tenant("t-1")).items == versioned.store.count(of_tenant("t-1")).items == 1
    versioned.server.client.delete_object(Bucket="versioned", Key="t-1/a\x01b", VersionId=version)


def test_I06_a_prefix_ends_at_its_slash(versioned: Bucket) -> None:
    """t-1/ never reaches t-10/ or T-1/, and what lies beside the folders is nobody's."""
    for key in ("t-1/x", "t-10/x", "T-1/x", "t-1", "t-1x/y", "/x"):
        versioned.put(key)
    assert versioned.leave(of_tenant("t-1")) == {"deleted": 1}
    assert "t-1/x" not in versioned.there()
    odd = versioned.store.oddities("logs", of_groups(["standard"]))
    assert odd == versioned.store.residue(of_groups(["standard"])).oddities
    assert odd.unattributed == 1
    assert odd.null_tenant == len(versioned.there()) - 3


def test_I29_every_version_marker_and_upload_goes(versioned: Bucket) -> None:
    """A key written three times and deleted, a marker alone, a folder's own object, an upload: nothing is left."""
    for _ in range(3):
        versioned.put("t-1/a")
    versioned.mark("t-1/a")
    versioned.mark("t-1/only-a-marker")
    versioned.put("t-1/", body=b"")
    versioned.upload("t-1/big")
    versioned.upload("t-10/big")
    versioned.put("t-10/a")
    bound = of_tenant("t-1")
    assert versioned.store.count(bound).items == versioned.store.residue(bound, WHOLE).items == 7
    assert versioned.leave(bound, 2) == {"deleted": 7}
    assert (versioned.there(), versioned.uploads()) == (["t-10/a"], ["t-10/big"])
    assert versioned.store.residue(bound).items == versioned.store.count(bound).items == 0


def test_each_version_has_its_own_start(versioned: Bucket) -> None:
    """A ceiling takes the old versions of a document that is still being edited, and leaves the present one."""
    versioned.put("t-1/a", OLD)
    versioned.put("t-1/a", OLD)
    young = versioned.put("t-1/a", NEW)
    bound = of_groups(["standard"], "logs", before(w.date(2025, 12, 31)))
    assert versioned.leave(bound) == {"deleted": 2}
    assert versioned.server.everything("versioned") == [("t-1/a", young)]


def test_a_marker_stays_while_it_hides_a_version(versioned: Bucket) -> None:
    """Taking the marker of a version that stays would bring deleted data back into sight."""
    versioned.put("t-1/a", NEW)
    versioned.mark("t-1/a", OLD)
    bound = of_groups(["standard"], "logs", before(w.date(2025, 12, 31)))
    assert versioned.leave(bound) == {"deleted": 0}
    assert len(versioned.there()) == 2
    assert versioned.store.residue(bound).items == 1


@pytest.fixture
def locked(server: Server) -> Bucket:
    """A bucket with object lock; what is locked in it stays as long as the server."""
    server.proxy.reset()
    name = f"locked-{next(NUMBERS)}"
    return Bucket(server, name, versioned=True, locks=True)


def test_a_locked_version_in_the_middle_stays_with_its_day_and_the_rest_goes(locked: Bucket) -> None:
    """Retention and legal hold are told apart from a missing right; none is ever bypassed."""
    until = datetime(2100, 3, 5, 12, tzinfo=UTC)
    for number in range(9):
        locked.put(f"t-1/{number}")
    locked.put("t-1/4", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)
    locked.put("t-1/6", ObjectLockLegalHoldStatus="ON")
    locked.mark("t-1/4")
    assert locked.leave(of_tenant("t-1"), 20) == {
        "deleted": 9,
        "hides-a-version": 1,
        "legal-hold": 1,
        "locked-until-2100-03-05": 1,
    }
    assert locked.there() == ["t-1/4", "t-1/4", "t-1/6"]
    assert locked.store.residue(of_tenant("t-1")).items == 3
    assert [found.code for found in locked.store.inspect(["logs"])] == ["object-lock"]


def test_an_upload_that_is_completed_meanwhile_is_left_for_the_next_walk(versioned: Bucket) -> None:
    """What arrives while a batch runs is not listed: it stays, it is counted, and the next walk takes it."""
    versioned.put("t-1/a")
    upload = versioned.upload("t-1/late")
    planned, done = batch(versioned.store, of_tenant("t-1"), "late-1"), list[str]()

    def meanwhile(method: str, path: str) -> None:
        if method == "POST" and "delete" in path and not done:
            done.append(path)
            parts = versioned.server.client.list_parts(Bucket="versioned", Key="t-1/late", UploadId=upload)["Parts"]
            versioned.server.client.complete_multipart_upload(
                Bucket="versioned",
                Key="t-1/late",
                UploadId=upload,
                MultipartUpload={"Parts": [{"PartNumber": p["PartNumber"], "ETag": p["ETag"]} for p in parts]},
            )

    versioned.server.proxy.before = meanwhile
    receipt = versioned.store.apply(planned)
    assert receipt.deleted + sum(receipt.kept.values()) == 2
    assert versioned.there() == ["t-1/late"]
    assert versioned.store.count(of_tenant("t-1")).items == 1
    assert versioned.leave(of_tenant("t-1")) == {"deleted": 1}


def many(bucket: Bucket, number_of: int) -> None:
    def put(number: int) -> None:
        bucket.server.client.put_object(Bucket=bucket.name, Key="t-1/often", Body=b"%d" % number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(number_of)))
    bucket.put("t-1/zuletzt")
    bucket.put("t-10/often")


def test_many_versions_of_one_key_go_in_batches(versioned: Bucket) -> None:
    """More versions than a page of the walk: all go, the latest last, and the neighbour's stay."""
    many(versioned, 61)
    assert versioned.leave(of_tenant("t-1"), 20) == {"deleted": 62}
    assert versioned.there() == ["t-10/often"]


@pytest.mark.soak
def test_ten_thousand_versions_of_one_key(versioned: Bucket) -> None:
    """10,001 versions of one key: ten pages, and nothing is left."""
    many(versioned, 10_001)
    assert versioned.leave(of_tenant("t-1"), 1_000) == {"deleted": 10_002}
    assert versioned.there() == ["t-10/often"]


def test_the_latest_version_goes_after_the_older_ones(versioned: Bucket) -> None:
    """As long as older content is there, it never becomes the present one."""
    for number in range(5):
        versioned.put("t-1/a", body=b"%d" % number)
    planned = batch(versioned.store, of_tenant("t-1"), "latest-1", size=4)
    assert versioned.store.apply(planned).deleted == 4
    body = versioned.server.client.get_object(Bucket="versioned", Key="t-1/a")["Body"].read()
    assert body == b"4"


def test_a_date_in_the_key_counts_where_it_is_declared(plain: Bucket) -> None:
    """Archives below a prefix, by the day in their keys; what has none there is undatable and stays."""
    for key in ("logs/2025/01/10/a.gz", "logs/2026/02/20/a.gz", "logs/undated.gz", "other/2025/01/10/a.gz"):
        plain.put(key, TODAY)
    plain.store = plain.over("logs/", "{year}/{month}/{day}/{any}", by="none")
    bound = of_all("logs", before(w.date(2025, 12, 31)))
    assert plain.store.oddities("logs", bound).undatable == plain.store.residue(bound).oddities.undatable == 1
    assert plain.leave(bound) == {"deleted": 1}
    assert "logs/2025/01/10/a.gz" not in plain.there()


def test_I07_a_hold_keeps_versions_and_uploads(versioned: Bucket) -> None:
    """A held tenant's versions, markers and uploads stay; the neighbour's go."""
    for tenant in ("t-1", "t-10"):
        versioned.put(f"{tenant}/a")
        versioned.mark(f"{tenant}/a")
        versioned.upload(f"{tenant}/u")
    versioned.store.mirror_holds([HoldRow("h1", "t-1", None)])
    assert versioned.leave(of_groups(["standard"])) == {"deleted": 3}
    assert (versioned.there(), versioned.uploads()) == (["t-1/a", "t-1/a"], ["t-1/u"])
    versioned.store.mirror_holds([])


def test_an_undeclared_prefix_and_bucket_are_gaps(plain: Bucket) -> None:
    """What lies beside the declared prefixes is named, one level deep on the way to them; our own bucket is not."""
    for key in ("a/logs/x", "a/other/x", "b/x", "loose"):
        plain.put(key)
    plain.server.bucket("nobodys")
    named = {table.name for table in plain.over("a/logs/", by="none").catalogue().tables}
    assert {"plain", "plain/a/other/", "plain/b/", "plain/", "nobodys"} <= named
    assert not {"plain/a/", "plain/a/logs/", "own"} & named
    plain.server.client.delete_bucket(Bucket="nobodys")


def test_a_missing_bucket_is_fatal_and_ours_cannot_be_a_datasets(plain: Bucket) -> None:
    """Doctor says what is wrong before a plan is made."""
    for name, code in (("not-there", "missing-table"), ("own", "own-bucket")):
        plain.name = name
        (found,) = plain.over(by="none").inspect(["logs"])
        assert (found.code, found.fatal) == (code, True)


def test_a_server_that_ignores_whom_a_bucket_belongs_to_is_told(plain: Bucket) -> None:
    """The address's owner is sent with each request; whether the server looks at it is tried, not believed."""
    address = plain.server.address("own") + "&owner=123456789012"
    dataset = Dataset(id="logs", store="s", table="plain", category="c", key=("key",), tenant=Tenancy(by="none"))
    store = ObjectStore("s", address, [dataset], deployment=w.DEPLOYMENT)
    assert [found.code for found in store.inspect(["logs"])] == ["owner-ignored"]


def test_a_write_whose_answer_got_lost_is_read(plain: Bucket) -> None:
    """The fence is changed once, whether or not the answer arrived."""
    plain.server.proxy.faults.append(Fault("reset-after", lambda method, path: method == "PUT" and "fence" in path))
    plain.store.advance_epoch(w.DEPLOYMENT, 9)
    assert plain.store.fence().epoch == 9


def test_two_writers_never_lose_each_others_change(plain: Bucket) -> None:
    """A stop that comes while holds are written stays, and so do the holds."""
    other, done = plain.over(by="none"), list[str]()

    def meanwhile(method: str, path: str) -> None:
        if method == "PUT" and "fence" in path and not done:
            done.append(path)
            other.set_stop(stopped=True)

    plain.server.proxy.before = meanwhile
    plain.store.mirror_holds([HoldRow("h1", "t-1", None)])
    assert plain.store.fence().stopped
    assert plain.store.mirrored().holds == (HoldRow("h1", "t-1", None),)


def test_a_restarted_store_finds_its_fence(plain: Bucket) -> None:
    """What is ours lives in the bucket: another process reads the same."""
    again = ready(plain.over(by="prefix", pattern="{tenant}/"), epoch=3)
    assert plain.store.fence() == again.fence()
    assert SystemClock().now() - plain.store.probe().clock < timedelta(minutes=1)
