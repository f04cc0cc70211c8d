"""Which files are read, and which are not: nothing outside the policies directory is followed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from lifecycle.core.errors import InvalidDocument
from lifecycle.documents import load, load_operators, validate
from tests.documents.bases import AGREEMENT, OPERATORS, STATUTES
from tests.documents.test_cross import world


def test_a_document_keeps_its_exact_bytes_and_their_digest(tmp_path: Path):
    """Evidence refers to the bytes as they were read, line ends and comments included."""
    content = b"# a remark\r\n" + STATUTES.encode().replace(b"\n", b"\r\n")
    path = tmp_path / "de.yaml"
    path.write_bytes(content)
    loaded = load(path, "statutes")
    assert loaded.bytes == content
    assert loaded.digest == "sha256:" + hashlib.sha256(content).hexdigest()
    assert (loaded.path, loaded.kind, loaded.id, loaded.version) == (path, "statutes", "de", "")
    assert load(str(path)).document == load(content).document


def test_positions_count_lines_as_editors_do(tmp_path: Path):
    """With carriage returns and line feeds a problem stands on the line that an editor shows."""
    content = AGREEMENT.replace("gone_by: P90D", "gone_by: 030").replace("\n", "\r\n").encode()
    with pytest.raises(InvalidDocument) as caught:
        load(content)
    assert [(p.line, p.column) for p in caught.value.problems] == [(17, 14)]


def test_a_document_of_another_kind_than_asked_for_is_refused():
    """A file that stands where another kind is needed says so at its first key."""
    with pytest.raises(InvalidDocument, match="write agreement/v1") as caught:
        load(STATUTES.encode(), "agreement")
    assert [(p.line, p.column) for p in caught.value.problems] == [(1, 12)]


def test_what_is_no_readable_file_is_refused_with_its_name(tmp_path: Path):
    """A missing file, a folder, a pipe, a name with a zero byte: refused at once, never waited for."""
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    for path in (tmp_path / "missing.yaml", tmp_path, pipe, "a\0b"):
        with pytest.raises(InvalidDocument) as caught:
            load(path)
        assert caught.value.problems[0].file == str(path)
        assert caught.value.exit_code == 2


def test_a_link_out_of_the_directory_is_refused(tmp_path: Path):
    """A document outside the policies directory is not read through a link."""
    folder = world(tmp_path / "policies")
    outside = tmp_path / "outside.yaml"
    outside.write_text(STATUTES.replace("id: de", "id: eu"))
    (folder / "statutes/eu.yaml").symlink_to(outside)
    report = validate(folder)
    assert [p.what for p in report.problems] == ["a link leads out of the policies directory"]
    assert report.problems[0].file == str(folder / "statutes/eu.yaml")


def test_links_within_the_directory_and_hidden_folders_are_as_mounted_volumes_make_them(tmp_path: Path):
    """A mounted volume shows files as links into a hidden folder: each document is read once."""
    folder = world(tmp_path / "policies")
    hidden = folder / "..data"
    hidden.mkdir()
    (hidden / "eu.yaml").write_text(STATUTES.replace("id: de", "id: eu"))
    (folder / "eu.yaml").symlink_to(hidden / "eu.yaml")
    report = validate(folder)
    assert report.ok
    assert sorted(document.id for document in report.documents if document.kind == "statutes") == ["de", "eu"]


def test_a_directory_without_documents_is_a_problem(tmp_path: Path):
    """An empty directory proves nothing."""
    assert not validate(tmp_path).ok


def test_operators_are_read_with_their_dates(tmp_path: Path):
    """Removed operators stay in the file, dated."""
    path = tmp_path / "operators.yaml"
    path.write_text(OPERATORS)
    assert [(o.id, o.removed_on is None) for o in load_operators(path).operators] == [
        ("operations-1", True),
        ("operations-2", False),
    ]


def test_settings_are_a_document_like_the_others():
    """The settings file is read by the same strict loader, and answers with positions."""
    loaded = load(b"lifecycle: settings/v1\ndeployment: portal\norigin: lifecycle.example.com/log\n", "settings")
    assert (loaded.kind, loaded.id) == ("settings", "settings")
    with pytest.raises(InvalidDocument) as caught:
        load(b"lifecycle: settings/v1\ndeployment: portal\norigin: a\nlimits: {margin_days: 030}\n")
    assert [(p.line, p.column) for p in caught.value.problems] == [(4, 23)]
    with pytest.raises(InvalidDocument, match="two times of day with two digits each, such as 22:00-05:30"):
        load(b"lifecycle: settings/v1\ndeployment: portal\norigin: a\nthrottle: {main: {windows: [22:00-5:30]}}\n")
