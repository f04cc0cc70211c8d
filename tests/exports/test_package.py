"""The export package: one tenant's rows, whole, checkable, harmless to open."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import random
import resource
import signal
import stat
import subprocess
import sys
import zipfile
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.core.errors import Corrupt, InvalidDocument, Refused, Transient
from lifecycle.exports import ExportDataset, Progress, check_package, content_of, write_package
from lifecycle.exports.cells import FORMULA, cell, lines, table
from lifecycle.exports.manifest import read_manifest
from lifecycle.ports.store import Rows

ALIAS = "t-" + "a" * 16
KEY = bytes(range(32))
MOMENT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
COLUMNS = ("id", "tenant_id", "note")
ROOT = Path(__file__).resolve().parents[2]


def dataset(rows, *, name="tickets", columns=COLUMNS, place=1):
    return ExportDataset(name, "main", "communication", contextlib.nullcontext(Rows(columns, place, iter(rows))))


def package(path, *datasets, tenant="acme", **more):
    return write_package(
        path,
        datasets,
        **{"export": "x-1", "alias": ALIAS, "tenant": tenant, "created_at": MOMENT, "key": KEY, **more},
    )


def contents(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_package_holds_each_row_in_both_forms(tmp_path):
    """Each row is in the CSV and in the JSONL file, in the store's order, and the manifest counts them."""
    path = tmp_path / "export.zip"
    manifest = package(
        path,
        dataset([(1, "acme", "Grüße"), (2, "acme", 'mit "Zeichen", und\r\nUmbruch')]),
        dataset([], name="invoices"),
        expires_on=date(2026, 4, 1),
    )
    files = contents(path)
    assert sorted(files) == [
        "MANIFEST.json",
        "README.txt",
        "data/001-tickets.csv",
        "data/001-tickets.jsonl",
        "data/002-invoices.csv",
        "data/002-invoices.jsonl",
    ]
    table = list(csv.reader(io.StringIO(files["data/001-tickets.csv"].decode(), newline="")))
    records = [json.loads(text) for text in files["data/001-tickets.jsonl"].splitlines()]
    assert table == [list(COLUMNS), ["1", "acme", "Grüße"], ["2", "acme", 'mit "Zeichen", und\r\nUmbruch']]
    assert records == [
        {"id": 1, "tenant_id": "acme", "note": "Grüße"},
        {"id": 2, "tenant_id": "acme", "note": 'mit "Zeichen", und\r\nUmbruch'},
    ]
    assert [one.rows for one in manifest.datasets] == [2, 0]
    assert manifest.rows() == 2
    assert "2026-04-01" in files["README.txt"].decode()


def test_manifest_is_what_the_package_holds(tmp_path):
    """Sizes and checksums of the manifest are those of the files, its hash that of its bytes, and it reads back."""
    path = tmp_path / "export.zip"
    manifest = package(path, dataset([(n, "acme", None) for n in range(1_200)]))
    files = contents(path)
    for one in manifest.datasets:
        for file in (one.csv, one.jsonl):
            assert file.size == len(files[file.name])
            assert file.sha256 == "sha256:" + hashlib.sha256(files[file.name]).hexdigest()
    assert manifest.size() == sum(len(data) for name, data in files.items() if name.startswith("data/"))
    assert manifest.hash() == "sha256:" + hashlib.sha256(files["MANIFEST.json"]).hexdigest()
    assert read_manifest(files["MANIFEST.json"]) == manifest
    assert check_package(path) == manifest


@pytest.mark.parametrize(
    "foreign",
    [
        "acme-2",
        "Acme",
        "acme ",
        " acme",
        "ACMÉ",
        "acmé",
        "acme\u0301",
        "",
        "0",
        None,
        0,
        b"acme",
        True,
        "acme\0",
        "ａcme",
    ],
)
def test_I31_foreign_row_stops_the_export(tmp_path, foreign):
    """One row of another tenant, however alike, stops the export; nothing of the package is left."""
    rows = [(n, "acme", "x") for n in range(1_500)]
    rows[1_200] = (1_200, foreign, "Geheimnis")
    with pytest.raises(Refused) as caught:
        package(tmp_path / "export.zip", dataset(rows))
    assert caught.value.guard == "foreign-row"
    assert "Geheimnis" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("tenant", "value"), [("7", 7), ("7", "7"), ("0", 0), (str(UUID(int=5)), UUID(int=5))])
def test_tenant_ids_of_other_types_are_compared_as_text(tmp_path, tenant, value):
    """A numeric or UUID tenant column is compared by the text that the register has."""
    assert package(tmp_path / "export.zip", dataset([(1, value, "x")]), tenant=tenant).rows() == 1


@pytest.mark.parametrize(("tenant", "value"), [("07", 7), ("1", True), ("1", 1.0), ("7 ", 7)])
def test_I31_tenant_ids_are_never_converted(tmp_path, tenant, value):
    """No conversion makes two ids equal that are not."""
    with pytest.raises(Refused):
        package(tmp_path / "export.zip", dataset([(1, value, "x")]), tenant=tenant)


def test_I31_rows_that_cannot_be_checked_are_refused(tmp_path):
    """A dataset without a tenant column is not exported on trust."""
    with pytest.raises(Refused) as caught:
        package(tmp_path / "export.zip", dataset([(1, "acme", "x")], place=None))
    assert caught.value.guard == "tenant-unchecked"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("start", FORMULA)
def test_I31_no_csv_cell_starts_a_formula(tmp_path, start):
    """Text that begins like a formula is made harmless in the CSV file, header included, and kept in the JSONL file."""
    path = tmp_path / "export.zip"
    package(path, dataset([(1, "acme", start + "1+1")], columns=("id", "tenant_id", start + "x")))
    files = contents(path)
    header, row = list(csv.reader(io.StringIO(files["data/001-tickets.csv"].decode(), newline="")))
    assert (header[2], row[2]) == ("'" + start + "x", "'" + start + "1+1")
    assert json.loads(files["data/001-tickets.jsonl"])[start + "x"] == start + "1+1"


@given(st.text())
def test_I31_cells_never_begin_like_a_formula(text):
    """Whatever the text is, its cell does not begin like a formula, and loses nothing but gains an apostrophe."""
    made = cell(text)
    assert not made.startswith(FORMULA)
    assert made in {text, "'" + text}


def test_tenant_that_begins_like_a_formula(tmp_path):
    """A tenant's id is compared before it is made harmless."""
    assert package(tmp_path / "export.zip", dataset([(1, "=acme", "x")]), tenant="=acme").rows() == 1


@pytest.mark.parametrize(
    ("value", "machine", "shown", "form"),
    [
        (None, None, "", "null"),
        (True, True, "true", "boolean"),
        (-5, -5, "-5", "integer"),
        (2**70, 2**70, str(2**70), "integer"),
        (1.5, 1.5, "1.5", "float"),
        (float("nan"), "nan", "nan", "float"),
        (Decimal("-10.50"), "-10.50", "-10.50", "decimal"),
        (Decimal("1E+3"), "1000", "1000", "decimal"),
        (b"\x00\xff", "AP8=", "AP8=", "base64"),
        (memoryview(b"\x00\xff"), "AP8=", "AP8=", "base64"),
        (date(2026, 3, 4), "2026-03-04", "2026-03-04", "date"),
        (MOMENT.replace(tzinfo=None), "2026-03-04T05:06:07", "2026-03-04T05:06:07", "datetime"),
        (
            datetime(2026, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=2))),
            "2026-03-04T05:06:00+02:00",
            "2026-03-04T05:06:00+02:00",
            "datetime",
        ),
        (time(5, 6), "05:06:00", "05:06:00", "time"),
        (timedelta(days=1, microseconds=5), "PT86400.000005S", "PT86400.000005S", "duration"),
        (UUID(int=1), str(UUID(int=1)), str(UUID(int=1)), "as-text"),
        ({"a": [Decimal("1.0"), None]}, {"a": ["1.0", None]}, '{"a":["1.0",null]}', "json"),
        ([float("inf")], ["inf"], '["inf"]', "json"),
        ("\ud800", "\ud800", "\\ud800", "text"),
    ],
)
def test_values_keep_their_type(tmp_path, value, machine, shown, form):
    """Each type of value has one form for machines and one for tables, and the manifest says which."""
    path = tmp_path / "export.zip"
    manifest = package(path, dataset([(1, "acme", value)]))
    files = contents(path)
    assert json.loads(files["data/001-tickets.jsonl"])["note"] == machine
    assert list(csv.reader(io.StringIO(files["data/001-tickets.csv"].decode())))[1][2] == shown
    assert manifest.datasets[0].columns[2].forms == (form,)


def test_columns_of_mixed_types_say_so(tmp_path):
    """A column that held several types names them all."""
    manifest = package(tmp_path / "export.zip", dataset([(1, "acme", None), (2, "acme", 3), (3, "acme", "x")]))
    assert manifest.datasets[0].columns[2].forms == ("integer", "null", "text")


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "CON", "a/b", "", "x" * 300, "\u202eabc", "a\0b", ".hidden"])
def test_I31_no_name_leaves_the_package(tmp_path, name):
    """Names inside the package are made from ids of our own form; others are refused before anything is left."""
    with pytest.raises(InvalidDocument):
        package(tmp_path / "export.zip", dataset([(1, "acme", "x")], name=name))
    with pytest.raises(InvalidDocument):
        package(tmp_path / "export.zip", dataset([(1, "acme", "x")]), export=name)
    with pytest.raises(InvalidDocument):
        package(tmp_path / "export.zip", dataset([(1, "acme", "x")]), alias=name)
    assert list(tmp_path.iterdir()) == []


def test_device_names_are_numbered(tmp_path):
    """A dataset called like a device of another operating system can still be unpacked there."""
    package(tmp_path / "export.zip", dataset([(1, "acme", "x")], name="con"))
    assert "data/001-con.csv" in contents(tmp_path / "export.zip")


def test_I5_empty_lists_are_errors(tmp_path):
    """No dataset, no tenant, the same dataset twice: errors, never an empty package."""
    with pytest.raises(InvalidDocument):
        package(tmp_path / "export.zip")
    with pytest.raises(InvalidDocument):
        package(tmp_path / "export.zip", dataset([]), tenant="")
    with pytest.raises(InvalidDocument):
        package(tmp_path / "export.zip", dataset([]), dataset([]))
    assert list(tmp_path.iterdir()) == []


def test_package_is_private_and_replaces_nothing(tmp_path):
    """The package belongs to its owner alone, follows no link, and never replaces what is there."""
    path = tmp_path / "export.zip"
    package(path, dataset([(1, "acme", "x")]))
    before = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(Refused) as caught:
        package(path, dataset([(2, "acme", "y")]))
    assert caught.value.guard == "already-there"
    assert path.read_bytes() == before
    link = tmp_path / "link.zip"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused):
        package(link, dataset([(1, "acme", "x")]))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["export.zip", "link.zip"]


def test_planted_partial_is_not_followed(tmp_path):
    """A link planted where the temporary file goes is removed, not written through; a stale part is replaced."""
    victim = tmp_path / "victim"
    victim.write_text("alt")
    (tmp_path / ".export.zip.partial").symlink_to(victim)
    package(tmp_path / "export.zip", dataset([(1, "acme", "x")]))
    assert victim.read_text() == "alt"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["export.zip", "victim"]


def test_file_that_comes_meanwhile_is_kept(tmp_path):
    """A file that appears under the package's name during the export is not replaced."""

    def rows():
        yield (1, "acme", "x")
        (tmp_path / "export.zip").write_text("zuerst")

    with pytest.raises(Refused):
        package(tmp_path / "export.zip", dataset(rows()))
    assert [file.name for file in tmp_path.iterdir()] == ["export.zip"]
    assert (tmp_path / "export.zip").read_text() == "zuerst"


def test_missing_folder_is_transient(tmp_path):
    """A folder that is not there is reported with what to do."""
    with pytest.raises(Transient, match="ENOENT"):
        package(tmp_path / "no" / "export.zip", dataset([(1, "acme", "x")]))


def test_full_disk_leaves_nothing(tmp_path):
    """When the file may not grow, the export fails and its part is removed."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    chance = random.Random(1)
    rows = ((n, "acme", chance.randbytes(500).hex()) for n in range(5_000))
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(Transient, match="EFBIG"):
            package(tmp_path / "export.zip", dataset(rows))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert list(tmp_path.iterdir()) == []


def test_failing_store_leaves_nothing(tmp_path):
    """A store that fails in the middle is the caller's error, and no package is left."""

    def rows():
        yield from ((n, "acme", "x") for n in range(700))
        raise Transient("the store is gone")

    with pytest.raises(Transient, match="the store is gone"):
        package(tmp_path / "export.zip", dataset(rows()))
    assert list(tmp_path.iterdir()) == []


def test_I34_digest_does_not_depend_on_order(tmp_path):
    """The content digest of the rows at deletion equals the exported one in any order."""
    rows = [(n, "acme", f"Text {n % 7}") for n in range(1_300)]
    exported = package(tmp_path / "export.zip", dataset(rows)).datasets[0]
    again = rows[:]
    random.Random(3).shuffle(again)
    content = content_of(Rows(COLUMNS, 1, iter(again)), KEY)
    assert (content.rows, content.digest) == (exported.rows, exported.digest)
    assert exported.digest.startswith("hmac-sha256:")


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows[:-1],
        lambda rows: [*rows, rows[0]],
        lambda rows: [*rows[:-1], rows[0]],
        lambda rows: [(1, "acme", "anders"), *rows[1:]],
        lambda rows: [(1, "acme", None), *rows[1:]],
        lambda rows: [("1", "acme", "a"), *rows[1:]],
        lambda rows: [],
    ],
)
def test_I34_any_change_changes_the_digest(change):
    """A row lost, doubled, exchanged or changed in value or type gives another digest."""
    rows = [(n, "acme", "a") for n in range(1, 30)]
    digests = {content_of(Rows(COLUMNS, 1, iter(r)), KEY).digest for r in (rows, change(rows))}
    assert len(digests) == 2


def test_I34_digest_is_of_columns_and_key():
    """The same values under other column names, or another export's key, give another digest."""
    rows = [(1, "acme", "a")]
    digests = {
        content_of(Rows(COLUMNS, 1, iter(rows)), KEY).digest,
        content_of(Rows(("id", "tenant_id", "other"), 1, iter(rows)), KEY).digest,
        content_of(Rows(COLUMNS, 1, iter(rows)), b"k" * 32).digest,
    }
    assert len(digests) == 3


@given(st.lists(st.tuples(st.integers(), st.text()), max_size=8), st.randoms())
def test_I34_equal_digests_mean_equal_multisets(rows, chance):
    """Digests are equal exactly when the same rows are there the same number of times."""
    other = rows[:]
    chance.shuffle(other)
    columns = ("id", "note")
    assert content_of(Rows(columns, None, iter(rows)), KEY) == content_of(Rows(columns, None, iter(other)), KEY)
    shorter = content_of(Rows(columns, None, iter(rows[1:])), KEY)
    assert (shorter == content_of(Rows(columns, None, iter(rows)), KEY)) == (not rows)


def test_package_names_no_tenant(tmp_path):
    """I23: what we add to the tenant's own rows names it by alias; the manifest can go into evidence."""
    path = tmp_path / "export.zip"
    manifest = package(path, dataset([(1, "beispiel-gmbh", "x")]), tenant="beispiel-gmbh")
    files = contents(path)
    assert b"beispiel" not in files["MANIFEST.json"] + files["README.txt"]
    assert ALIAS.encode() in files["MANIFEST.json"]
    assert "beispiel" not in repr(manifest)


@pytest.mark.parametrize("member", ["data/001-tickets.csv", "data/001-tickets.jsonl", "README.txt", "MANIFEST.json"])
def test_changed_package_is_found(tmp_path, member):
    """A file changed, dropped or added inside the package is found when it is read again."""
    path = tmp_path / "export.zip"
    package(path, dataset([(1, "acme", "x")]))
    files = contents(path)
    changed = {**files, member: files[member].replace(b"x", b"y").replace(b"export", b"expart")}
    dropped = {name: data for name, data in files.items() if name != member}
    for number, wrong in enumerate((changed, dropped, {**files, "data/more": b""})):
        copy = tmp_path / f"{number}.zip"
        with zipfile.ZipFile(copy, "w") as archive:
            for name, data in wrong.items():
                archive.writestr(name, data)
        with pytest.raises(Corrupt):
            check_package(copy)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(Corrupt):
        check_package(path)


def test_progress_is_told(tmp_path):
    """Long exports say how far they are."""
    told: list[Progress] = []
    package(tmp_path / "export.zip", dataset([(n, "acme", "x") for n in range(1_100)]), progress=told.append)
    assert [one.rows for one in told] == [500, 1_000, 1_100]


def test_lines_are_their_own_form():
    """A line ends with a line feed and holds no other, whatever the values hold."""
    (made,) = lines(("a", "b"), [("x\ny\u2028", None)])
    assert made.count(b"\n") == 1
    assert made.endswith(b"\n")


def test_memory_does_not_grow_with_rows(tmp_path):
    """Half a million rows are exported within 128 MiB."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.exports.child", tmp_path / "export.zip", "500000"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    rows, peak, rate = map(int, done.stdout.split())
    assert rows == 500_000
    assert peak < 128 * 1024
    assert rate > 5_000


VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=6))
def test_files_read_back_as_they_were(rows):
    """What a JSON reader and a CSV reader of others see is what the rows held, whatever characters they hold."""
    made = lines(("a%s", 'b"'), rows)
    assert [tuple(json.loads(text).values()) for text in made] == rows
    assert list(json.loads(made[0])) == ["a%s", 'b"']
    read = list(csv.reader(io.StringIO(table(rows).decode(), newline=""), strict=True))
    assert read == [[cell(value) for value in row] for row in rows]
