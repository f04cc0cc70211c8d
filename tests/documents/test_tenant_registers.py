"""Tenant registers: YAML, JSONL and CSV; nothing of a tenant's values in a problem."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from lifecycle.core.agreement import Agreement
from lifecycle.core.errors import InvalidDocument
from lifecycle.core.tenant import Tenant
from lifecycle.documents import check_tenants, load, load_tenants, read_tenants
from tests.documents.bases import AGREEMENT, TENANTS

SAMPLE = load(AGREEMENT.encode()).document
CANARY = "Kanarienvogel"
DIGITS = "4930123456789"


def _write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("name", ["../../x", "CON", "a/b", "שלום", "t-10", "nul.txt", "O'Brien", "-rf", "acme  ltd"])
def test_ids_are_opaque_and_may_look_odd(name: str):
    """An id is only ever used by its alias in paths and evidence: what a database holds is accepted as it is."""
    assert Tenant(id=name, agreement="sample").id == name


def test_jsonl_and_csv_say_the_same(tmp_path: Path):
    """Both forms give the same tenants; blank lines and empty cells are absent values."""
    rows = [
        {"id": "1", "agreement": "sample", "parameters": {"retention": "P6M"}, "authorised": ["a", "b"]},
        {"id": "2", "agreement": "sample", "contract_start": "2026-01-01"},
    ]
    lines = _write(tmp_path, "t.jsonl", "\n".join(map(json.dumps, rows)) + "\n\n")
    table = _write(
        tmp_path,
        "t.csv",
        "id,agreement,parameters.retention,authorised,contract_start\r\n"
        '"1",sample,P6M,a b,\r\n2,sample,,,2026-01-01\r\n',
    )
    assert list(read_tenants(lines)) == list(read_tenants(table)) == list(load_tenants(table).tenants)


def test_a_yaml_register_is_a_document_like_any_other(tmp_path: Path):
    """Small registers are YAML."""
    assert [t.id for t in load_tenants(_write(tmp_path, "t.yaml", TENANTS)).tenants] == ["1001", "second"]


BAD_LINES = [
    ("not JSON", b'{"id": "1"', "not one JSON object"),
    ("a list", b'["1"]', "not a JSON object"),
    ("a duplicate key", b'{"id": "1", "id": "2", "agreement": "a"}', "twice"),
    ("a fraction", b'{"id": "1", "agreement": 1.5}', "fraction"),
    ("not a number", b'{"id": NaN}', "fraction, infinity"),
    ("deep nesting", b"[" * 30_000, "not one JSON object"),
    ("Latin-1", '{"id": "Größe"}'.encode("latin-1"), "not UTF-8"),
    ("a byte order mark", b'\xef\xbb\xbf{"id": "1"}', "byte order mark"),
    ("an unknown key", b'{"id": "1", "agreement": "a", "agrement": "a"}', "unknown"),
    ("a number as an id", b'{"id": 1, "agreement": "a"}', "not text"),
    ("a wildcard", b'{"id": "%", "agreement": "a"}', "wildcard"),
    ("a federal state", b'{"id": "1", "agreement": "a", "federal_state": "XX"}', "federal state"),
    ("a null", b'{"id": null, "agreement": "a"}', "not text"),
    ("an escaped surrogate", b'{"id": "\\ud800", "agreement": "a"}', ""),
    ("a long line", b'{"id": "' + b"a" * 70_000 + b'"}', "longer than 65536"),
    ("an id of 300 characters", b'{"id": "' + b"a" * 300 + b'", "agreement": "a"}', "longer than 200"),
]


@pytest.mark.parametrize(("line", "word"), [case[1:] for case in BAD_LINES], ids=[case[0] for case in BAD_LINES])
def test_a_bad_line_is_refused_by_its_number(tmp_path: Path, line: bytes, word: str):
    """A problem of a streamed register names the line, and the other lines were read."""
    path = _write(tmp_path, "t.jsonl", b'{"id": "good", "agreement": "a"}\n' + line + b"\n")
    read = []
    with pytest.raises(InvalidDocument) as caught:
        read += [read.append(tenant.id) for tenant in read_tenants(path)]
    assert read == ["good"]
    assert {problem.line for problem in caught.value.problems} == {2}
    assert word in " ".join(problem.what for problem in caught.value.problems)
    assert all(problem.fix for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("content", "line", "word"),
    [
        ("id,id\n1,2\n", 1, "different names"),
        ('id,"agree\n1,2\n', 1, "different names"),
        ("id,agreement\n1\n", 2, "2 cells"),
        ('id,agreement\n1,"a\n', 2, "2 cells"),
        ("id,agreement,colour\n1,a,red\n", 2, "unknown"),
        ("id,agreement\n1,a\n1,a\n", 3, "twice"),
    ],
)
def test_a_bad_row_is_refused_by_its_line(tmp_path: Path, content: str, line: int, word: str):
    """A table has a header of different names and rows of as many cells."""
    with pytest.raises(InvalidDocument) as caught:
        list(read_tenants(_write(tmp_path, "t.csv", content)))
    assert [problem.line for problem in caught.value.problems] == [line]
    assert word in caught.value.problems[0].what


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_an_empty_register_is_refused(tmp_path: Path, name: str):
    """An empty register selects nothing and proves nothing; a missing one is said."""
    with pytest.raises(InvalidDocument, match="empty"):
        load_tenants(_write(tmp_path, name, ""))
    with pytest.raises(InvalidDocument, match="cannot be read"):
        load_tenants(tmp_path / f"missing-{name}")


def test_I23_no_value_of_a_tenant_stands_in_a_problem(tmp_path: Path):
    """Ids, firms and whatever else was written stay out of messages, in YAML and in streams."""
    yaml = f"""\
lifecycle: tenants/v1
tenants:
  - id: {CANARY}
    agreement: {CANARY}
    state: {CANARY}
    firm: [{CANARY}]
    {CANARY}: x
    parameters: {{{CANARY}: 1 {CANARY}, b: {CANARY}}}
    contract_start: {CANARY}
    authorised: ["{CANARY}@example.com"]
  - id: {CANARY}
    agreement: a
"""
    row = {
        "id": CANARY,
        "agreement": CANARY,
        "state": CANARY,
        CANARY: 1,
        "parameters": {"b": CANARY},
        "choice_on": CANARY,
    }
    odd = f"lifecycle: tenants/v1\ntenants:\n- id: 00{DIGITS}\n  {CANARY}: 1\n  {CANARY}: !{CANARY}!x 1\n"
    stream = json.dumps(row) + f"\n{CANARY}\n" + json.dumps({"id": CANARY, "agreement": "a"}) + "\n"
    twice = stream + json.dumps({"id": CANARY, "agreement": "a"}) + "\n"
    for name, content in (("t.yaml", yaml), ("t.jsonl", twice), ("u.yaml", odd)):
        with pytest.raises(InvalidDocument) as caught:
            load_tenants(_write(tmp_path, name, content))
        said = str(caught.value) + repr(caught.value.problems)
        assert CANARY not in said
        assert DIGITS not in said
        assert caught.value.__cause__ is None


def test_tenants_of_any_source_are_checked_against_the_agreements():
    """A register read from a table is checked as a document is: by place in the list."""
    assert isinstance(SAMPLE, Agreement)
    good = Tenant.model_validate_json('{"id": "1", "agreement": "sample", "parameters": {"retention": "P6M"}}')
    check_tenants([good], [SAMPLE])
    with pytest.raises(InvalidDocument) as caught:
        check_tenants([good, Tenant(id="2", agreement="sample"), Tenant(id="3", agreement="x")], [SAMPLE])
    assert [problem.line for problem in caught.value.problems] == [2, 3]


def test_an_individual_layer_adds_its_parameters():
    """A tenant with an individual agreement may set what only that one declares."""
    assert isinstance(SAMPLE, Agreement)
    parameter = next(iter(SAMPLE.parameters.values())).model_copy(update={"required": False})
    individual = SAMPLE.model_copy(
        update={"id": "mine", "amends": "sample", "layer": "individual", "parameters": {"extra": parameter}}
    )
    text = (
        '{"id": "1", "agreement": "sample", "individual": "mine", "parameters": {"retention": "P6M", "extra": "P2M"}}'
    )
    tenant = Tenant.model_validate_json(text)
    check_tenants(
        [tenant, tenant.model_copy(update={"parameters": {"retention": tenant.parameters["retention"]}})],
        [SAMPLE, individual],
    )
    with pytest.raises(InvalidDocument, match="no such parameter"):
        check_tenants([tenant.model_copy(update={"individual": None})], [SAMPLE, individual])


def test_a_large_register_is_streamed_in_flat_memory(tmp_path: Path):
    """Five thousand tenants pass through without being held."""
    path = tmp_path / "t.jsonl"
    with path.open("w") as stream:
        for number in range(5_000):
            stream.write(f'{{"id": "tenant-{number}", "agreement": "sample"}}\n')
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_tenants(path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 5_000
    assert peak < 4 * 1024 * 1024


def test_a_thousand_problems_are_enough(tmp_path: Path):
    """A register of the wrong shape stops early."""
    path = _write(tmp_path, "t.jsonl", "[]\n" * 5000)
    with pytest.raises(InvalidDocument) as caught:
        list(read_tenants(path))
    assert len(caught.value.problems) == 1000
