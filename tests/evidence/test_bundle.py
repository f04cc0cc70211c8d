"""The bundle and its archive."""

import io
import struct
import zipfile

import pytest

from lifecycle.evidence import archive, bundle, canonical
from lifecycle.evidence.archive import pack, unpack
from lifecycle.evidence.bundle import pack_bundle, read_bundle, unpack_bundle, write_bundle
from lifecycle.evidence.digest import digest
from lifecycle.evidence.errors import EvidenceError, Malformed
from tests.evidence import world

FILES = {"a.json": b"{}", "entries/1.json": b"one", "plan.json": b""}


@pytest.fixture(scope="module")
def made():
    return world.make()


def test_any_unzip_program_opens_the_archive():
    """The standard library's reads the same files, uncompressed and dated the same for ever."""
    with zipfile.ZipFile(io.BytesIO(pack(FILES))) as opened:
        assert opened.testzip() is None
        assert {info.filename: opened.read(info) for info in opened.infolist()} == FILES
        assert {info.date_time for info in opened.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.compress_type for info in opened.infolist()} == {zipfile.ZIP_STORED}


def test_equal_files_give_equal_archives_in_any_order():
    """The archive depends on names and contents alone."""
    assert pack(FILES) == pack(dict(reversed(FILES.items())))
    assert unpack(pack(FILES)) == FILES


def test_no_byte_of_an_archive_can_change_without_a_file_changing():
    """Every byte, every bit: refused, or a file with another content and its right checksum — which cannot be."""
    data, accepted = pack(FILES), 0
    for at in range(len(data)):
        for bit in range(8):
            try:
                unpack(data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :])
            except Malformed:
                continue
            accepted += 1
    assert accepted == 0


def test_an_archive_has_no_beginning_end_or_middle_of_its_own():
    """Cut, extended, prefixed, doubled, empty: refused."""
    data = pack(FILES)
    wrong = [data[:at] for at in range(len(data))]
    wrong += [data + b"\0", b"\0" + data, data + data, pack({}), b""]
    for other in wrong:
        with pytest.raises(Malformed):
            unpack(other)


def ziped(names, **options):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **options) as opened:
        for name in names:
            opened.writestr(zipfile.ZipInfo(name), b"x" * 100)
    return out.getvalue()


def test_archives_of_other_programs_are_refused():
    """Compressed, commented, with other dates or attributes: only one form is read."""
    for other in (ziped(["a.json"]), ziped(["a.json"], compression=zipfile.ZIP_DEFLATED)):
        with pytest.raises(Malformed):
            unpack(other)


@pytest.mark.parametrize(
    "name",
    [
        "../plan.json",
        "/plan.json",
        "entries/../../x",
        "a/b/c",
        ".hidden",
        "entries/.x",
        "C:x",
        "a\\b",
        "ä",
        "a b",
        "",
        "a/",
        "a" * 90,
        "x\n",
    ],
)
def test_a_name_that_leaves_its_folder_is_neither_written_nor_read(name):
    """No traversal, no absolute path, no hidden file, no odd character."""
    with pytest.raises(Malformed):
        pack({name: b""})
    with pytest.raises(Malformed):
        unpack(ziped([name or "x "]))


def test_a_name_said_twice_is_refused():
    """Two members of one name: which one would the reader see?"""
    one = pack({"a": b"1"})
    member = one[: one.index(b"PK\x01\x02")]
    directory = one[len(member) : one.index(b"PK\x05\x06")]
    later = directory[:-5] + struct.pack("<I", len(member)) + b"a"
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 2, 2, 2 * len(directory), 2 * len(member), 0)
    with pytest.raises(Malformed):
        unpack(member + member + directory + later + end)


def test_sizes_that_promise_more_than_there_is_are_refused():
    """A header may not point behind the end."""
    data = bytearray(pack({"a": b"1"}))
    data[22:26] = struct.pack("<I", 0xFFFFFFFF)
    with pytest.raises(Malformed, match="ends inside"):
        unpack(bytes(data))
    with pytest.raises(Malformed, match="ends inside"):
        unpack(b"PK\x03\x04")


def test_limits_hold_when_writing_and_reading(monkeypatch):
    """Neither more members nor more bytes than a bundle may have."""
    data = pack(FILES)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 2)
    with pytest.raises(Malformed):
        pack(FILES)
    monkeypatch.setattr(archive, "MAX_ARCHIVE", 10)
    with pytest.raises(Malformed):
        unpack(data)
    with pytest.raises(Malformed):
        pack({"a": b"12345678901"})


def test_a_bundle_is_written_once_and_reads_back(made, tmp_path):
    """The file holds exactly the bundle's bytes; it is never replaced."""
    path = tmp_path / "c.zip"
    write_bundle(path, made.bundle)
    assert read_bundle(path) == made.bundle
    assert path.read_bytes() == made.data == pack_bundle(unpack_bundle(made.data))
    with pytest.raises(EvidenceError, match="cannot be written"):
        write_bundle(path, made.bundle)
    with pytest.raises(EvidenceError, match="cannot be read"):
        read_bundle(tmp_path / "missing.zip")


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    """One byte over the limit is enough."""
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert bundle.read_limited(path, 5) == b"12345"
    with pytest.raises(Malformed):
        bundle.read_limited(path, 4)
    with pytest.raises(EvidenceError, match="not a path"):
        bundle.read_limited(tmp_path / "\0", 4)


def repacked(data, change, *, manifest=True):
    """The bundle with other files, canonically packed, with a manifest that fits."""
    files = unpack(data)
    change(files)
    files.pop("MANIFEST.json") if manifest else None
    hashes = {name: digest(body) for name, body in files.items()}
    fresh = {"MANIFEST.json": canonical.encode({"lifecycle": "bundle/v1", "files": hashes})} if manifest else {}
    return pack({**files, **fresh})


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.pop("checkpoint"),
        lambda f: f.pop("plan.json"),
        lambda f: f.pop("certificate.dsse.json"),
        lambda f: f.pop("proofs/8.json"),
        lambda f: f.pop("entries/8.json"),
        lambda f: f.update({"certificate.pdf": b"%PDF"}),
        lambda f: f.update({"entries/08.json": f["entries/8.json"]}),
        lambda f: f.update({"entries/x.json": b""}),
        lambda f: f.update({"checkpoint": b"\xff"}),
        lambda f: f.update({"checkpoint": b"x" * 70_000}),
        lambda f: f.update({"proofs/8.json": b"[]"}),
        lambda f: f.update({"proofs/8.json": b'{"path":[7]}'}),
        lambda f: f.update({"proofs/8.json": b'{"path":["QQ=="]}'}),
        lambda f: f.update({"proofs/8.json": b'{"more":1,"path":[]}'}),
        lambda f: f.update({"proofs/8.json": canonical.encode({"path": ["A" * 43 + "="] * 129})}),
    ],
)
def test_a_bundle_of_another_form_is_refused(made, change):
    """Missing, foreign, misnamed or malformed files, the manifest fitting."""
    with pytest.raises(Malformed):
        unpack_bundle(repacked(made.data, change))


def test_the_manifest_names_exactly_the_files(made):
    """Missing, or of other files."""
    for change in (
        lambda f: f.pop("MANIFEST.json"),
        lambda f: f.update({"plan.json": b"{}"}),
        lambda f: f.update({"MANIFEST.json": b"{}"}),
    ):
        with pytest.raises(Malformed):
            unpack_bundle(repacked(made.data, change, manifest=False))
    assert unpack_bundle(repacked(made.data, lambda _: None)) == made.bundle
