"""Checks between documents: what one names, another declares; each problem at its own file and position."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.core.errors import InvalidDocument
from lifecycle.documents import load, load_policy, read_policy, validate
from lifecycle.documents.policy import digest_of
from tests.documents.bases import AGREEMENT, INVENTORY, MARK, OPERATOR, OPERATORS, STATUTES, TENANTS

GOOD = {
    "agreements/sample.yaml": AGREEMENT,
    "statutes/de.yaml": STATUTES,
    "operator.yaml": OPERATOR,
    "operators.yaml": OPERATORS,
    "inventory.yaml": INVENTORY,
    "tenants.yaml": TENANTS,
}
INDIVIDUAL = """\
lifecycle: agreement/v1
id: sample-individual
version: "1"
title: Individual agreement
layer: individual
amends: sample
precedence: {order: unknown}
zone: Europe/Berlin
rules:
  - id: shorter-logs
    clause: "2"
    category: [logs]
    start: collection
    gone_by: P30D
choice: {default: delete}
proof: {title: Löschnachweis}
backups: {delay_agreed: true, clause: "3"}
on_doubt: suspend
"""


def world(folder: Path, *swaps: tuple[str, str, str], **extra: str) -> Path:
    """Write the good documents into a folder, with pieces replaced and documents added."""
    documents = {**GOOD, **{name.replace("__", "/") + ".yaml": text for name, text in extra.items()}}
    for name, old, new in swaps:
        assert old in documents[name], old
        documents[name] = documents[name].replace(old, new, 1)
    for name, text in documents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace(MARK, ""))
    return folder


def mark_of(name: str, swaps: tuple[tuple[str, str, str], ...]) -> tuple[int, int]:
    """Return line and column of the mark in the document of that name."""
    text = GOOD[name]
    for other, old, new in swaps:
        text = text.replace(old, new, 1) if other == name else text
    before = text[: text.index(MARK)]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


CASES = {
    "category that no agreement has": (
        "inventory.yaml",
        "category: logs",
        f"category: {MARK}log",
        "no agreement has the category",
    ),
    "sub-processor that no agreement lists": (
        "inventory.yaml",
        "subprocessor: host",
        f"subprocessor: {MARK}ghost",
        "no agreement lists",
    ),
    "agreement that does not exist": (
        "inventory.yaml",
        "stores:",
        f"agreements: [{MARK}other]\nstores:",
        "does not exist",
    ),
    "start that a rule needs": (
        "inventory.yaml",
        "times: {collection: {column: at, encoding: utc}}",
        f"times: {MARK}{{created: {{column: at, encoding: utc}}}}",
        "counts from 'collection'",
    ),
    "kind of record that no statute keeps": (
        "inventory.yaml",
        "kind: invoice",
        f"kind: {MARK}letter",
        "no statute keeps",
    ),
    "floor above a reading": (
        "agreements/sample.yaml",
        "    start: window-end\n",
        f"    start: window-end\n    keep: {MARK}P13D\n",
        "floor above ceiling",
    ),
    "parameter and margin above a reading": (
        "agreements/sample.yaml",
        "keep: {parameter: retention}",
        f"keep: {MARK}{{parameter: retention, plus: {{operator: choice_request}}}}",
        "floor above ceiling",
    ),
    "agreement of a tenant": (
        "tenants.yaml",
        "agreement: sample\n    agreement_version",
        f"agreement: {MARK}smaple\n    agreement_version",
        "does not exist",
    ),
    "version of a tenant": ("tenants.yaml", 'agreement_version: "1"', f'agreement_version: {MARK}"2"', "this version"),
    "parameter below its bound": ("tenants.yaml", "retention: P6M", f"retention: {MARK}P29D", "shorter than P30D"),
    "parameter above its bound": ("tenants.yaml", "retention: P6M", f"retention: {MARK}P25M", "longer than P2Y"),
    "parameter that nobody declares": (
        "tenants.yaml",
        "{retention: P6M}",
        f"{{retention: P6M, other: {MARK}P1D}}",
        "no such parameter",
    ),
    "parameter that is missing": (
        "tenants.yaml",
        "parameters: {retention: P6M}\n    contract_start",
        "contract_start",
        "x",
    ),
    "individual agreement of a tenant": (
        "tenants.yaml",
        "federal_state: BY",
        f"individual: {MARK}mine",
        "individual agreement",
    ),
}
del CASES["parameter that is missing"]


@pytest.mark.parametrize("name", CASES)
def test_a_reference_to_nothing_is_refused_at_its_position(name: str, tmp_path: Path):
    """What one document names and no other declares is a problem of the first, at the name."""
    file, old, new, word = CASES[name]
    swaps = ((file, old, new),)
    report = validate(world(tmp_path, *swaps))
    shown = "\n".join(map(str, report.problems))
    assert [(p.file, p.line, p.column) for p in report.problems] == [(str(tmp_path / file), *mark_of(file, swaps))], (
        shown
    )
    assert word in report.problems[0].what
    assert report.problems[0].fix


def test_a_tenant_without_a_required_parameter_is_refused_where_it_stands(tmp_path: Path):
    """The controller sets it and it has no default: the tenant's own entry is the position."""
    report = validate(world(tmp_path, ("tenants.yaml", "    parameters: {retention: P6M}\n", "")))
    assert [(p.line, p.column) for p in report.problems] == [(3, 5)]
    assert "retention is missing" in report.problems[0].what


def test_the_good_world_is_good_and_warns_of_nothing(tmp_path: Path):
    """The documents that the bad worlds come from are valid together."""
    report = validate(world(tmp_path))
    assert report.ok
    assert report.warnings == ()
    assert {document.kind for document in report.documents} == {
        "agreement", "statutes", "operator", "operators", "inventory", "tenants",
    }  # fmt: skip


def test_a_single_file_is_checked_without_the_others(tmp_path: Path):
    """`validate FILE` asks nothing that another document would have to answer."""
    folder = world(tmp_path, ("inventory.yaml", "category: logs", "category: unheard-of"))
    assert validate(folder / "inventory.yaml").ok
    assert validate(folder / "agreements/sample.yaml").ok
    assert not validate(folder).ok


def test_the_margin_counts_within_one_rule(tmp_path: Path):
    """keep + margin above gone_by is an error: with a larger margin the same rule is refused, at keep."""
    folder = world(tmp_path, ("agreements/sample.yaml", "    gone_by: P90D", "    keep: P85D\n    gone_by: P90D"))
    assert validate(folder, margin_days=5).ok
    report = validate(folder, margin_days=6)
    assert [(p.line, p.column) for p in report.problems] == [(17, 11)]
    assert validate(folder / "agreements/sample.yaml", margin_days=5).ok
    assert not validate(folder / "agreements/sample.yaml", margin_days=6).ok


def test_an_individual_agreement_uses_categories_of_the_one_it_amends(tmp_path: Path):
    """An amending layer declares only what it changes."""
    folder = world(tmp_path, agreements__individual=INDIVIDUAL)
    assert validate(folder).ok
    policy = load_policy(folder)
    assert [agreement.id for agreement in policy.agreements] == ["sample-individual", "sample"] or [
        agreement.id for agreement in policy.agreements
    ] == ["sample", "sample-individual"]


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("amends: sample", "amends: other", "does not exist"),
        ("category: [logs]", "category: [lgos]", "not declared"),
        ("gone_by: P30D", "gone_by: {parameter: unknown}", "not declared"),
    ],
)
def test_an_individual_agreement_refers_to_what_exists(tmp_path: Path, old: str, new: str, word: str):
    """What it amends, and the categories and parameters it names, stand in one of the two."""
    assert old in INDIVIDUAL
    report = validate(world(tmp_path, agreements__individual=INDIVIDUAL.replace(old, new)))
    assert [word in problem.what for problem in report.problems] == [True]


def test_an_order_that_knows_no_individual_agreement_refuses_one(tmp_path: Path):
    """Rank is never guessed: the amended agreement's order must name the layer."""
    swap = ("agreements/sample.yaml", "order: [individual, standard]", "order: [standard]")
    report = validate(world(tmp_path, swap, agreements__individual=INDIVIDUAL))
    assert ["knows no individual agreement" in problem.what for problem in report.problems] == [True]


def test_the_same_document_twice_is_refused(tmp_path: Path):
    """Two files with one id and version are never both in force; two versions are."""
    assert "stands twice" in validate(world(tmp_path, agreements__copy=AGREEMENT)).problems[0].what
    other = AGREEMENT.replace('version: "1"', 'version: "2"')
    (tmp_path / "agreements/copy.yaml").write_text(other)
    (tmp_path / "tenants.yaml").write_text(
        TENANTS.replace(
            "sample\n    parameters: {retention: P6M}",
            'sample\n    agreement_version: "2"\n    parameters: {retention: P6M}',
        )
    )
    assert validate(tmp_path).ok


def test_a_tenant_under_several_versions_says_which(tmp_path: Path):
    """Several versions may be in force: a tenant without one is refused, not given the newest."""
    report = validate(world(tmp_path, agreements__copy=AGREEMENT.replace('version: "1"', 'version: "2"')))
    assert ["several versions" in problem.what for problem in report.problems] == [True]


@pytest.mark.parametrize(
    ("name", "word"), [("operator.yaml", "no operator"), ("agreements/sample.yaml", "no agreement")]
)
def test_a_directory_lacks_nothing(tmp_path: Path, name: str, word: str):
    """Readings and agreements must be there: nothing falls back to a default."""
    folder = world(tmp_path)
    (folder / name).unlink()
    assert word in " ".join(problem.what for problem in validate(folder).problems)


def test_the_policy_is_one_deployments_documents(tmp_path: Path):
    """Agreements that the inventory does not serve are left out, and the digest covers only what is in force."""
    other = AGREEMENT.replace("id: sample", "id: other")
    folder = world(tmp_path, ("inventory.yaml", "stores:", "agreements: [sample]\nstores:"), agreements__other=other)
    files = read_policy(folder)
    assert [agreement.id for agreement in files.policy.agreements] == ["sample"]
    assert files.policy.digest == digest_of(files.documents)
    assert {document.kind for document in files.documents} == {"agreement", "statutes", "operator", "inventory"}
    assert files.policy.inventory.id == "map"
    assert files.warnings == ()


def test_the_digest_depends_on_bytes_and_not_on_places(tmp_path: Path):
    """The same bytes under other file names give the same digest; one more blank gives another."""
    first = load_policy(world(tmp_path / "a"))
    moved = world(tmp_path / "b")
    (moved / "operator.yaml").rename(moved / "zz.yml")
    assert load_policy(moved).digest == first.digest
    (moved / "zz.yml").write_text(OPERATOR + "\n")
    assert load_policy(moved).digest != first.digest


def test_the_inventory_is_named_where_there_are_several(tmp_path: Path):
    """A deployment has one data map: none or several in the directory need a name, and inside or outside both do."""
    folder = world(tmp_path / "p", inventories__second=INVENTORY.replace("id: map", "id: second"))
    with pytest.raises(InvalidDocument, match="2 inventories"):
        load_policy(folder)
    assert load_policy(folder, inventory=folder / "inventories/second.yaml").inventory.id == "second"
    outside = tmp_path / "inventory.yaml"
    outside.write_text(INVENTORY.replace("id: map", "id: outside"))
    assert load_policy([folder], inventory=outside).inventory.id == "outside"


def test_files_may_be_named_one_by_one(tmp_path: Path):
    """A policy can be read from files as well; a file named twice counts once."""
    folder = world(tmp_path)
    names = ["agreements/sample.yaml", "statutes/de.yaml", "operator.yaml", "inventory.yaml", "operator.yaml"]
    assert load_policy([folder / name for name in names]).digest == load_policy(folder).digest


def test_problems_of_all_documents_come_together(tmp_path: Path):
    """One bad document does not hide another."""
    swaps = (("operator.yaml", "P14D", "030"), ("statutes/de.yaml", "P8Y", "8"))
    with pytest.raises(InvalidDocument) as caught:
        load_policy(world(tmp_path, *swaps))
    assert {Path(problem.file).name for problem in caught.value.problems} == {"operator.yaml", "de.yaml"}
    with pytest.raises(InvalidDocument, match="no agreement has"):
        load_policy(world(tmp_path / "b", ("inventory.yaml", "category: logs", "category: log")))


def test_a_place_beside_the_agreed_one_and_an_unagreed_backup_are_warned_of(tmp_path: Path):
    """A store elsewhere than the agreement says, a cycle nobody agreed, a category without data: said, not refused."""
    swaps = (
        ("inventory.yaml", "place: {country: DE}", "place: {country: NL}"),
        ("agreements/sample.yaml", 'delay_agreed: true, clause: "3.4"', "delay_agreed: false"),
        ("agreements/sample.yaml", "parameters:", '  - {id: idle, name: Idle, clause: "5"}\nparameters:'),
    )
    report = validate(world(tmp_path, *swaps))
    assert report.ok
    text = "\n".join(map(str, report.warnings))
    assert "the store lies in NL, the agreement names DE" in text
    assert "backup cycle not agreed (sample): P7D" in text
    assert "the category 'idle' of 'sample' has no dataset" in text


def test_a_draft_an_idle_parameter_and_an_end_without_deletion_are_warned_of():
    """What is allowed and worth knowing is said with its position."""
    draft = load(INVENTORY.replace("id: map\n", "id: map\nreviewed: false\n").encode())
    assert [(w.line, w.what) for w in draft.warnings] == [(3, "this inventory is a draft")]
    start = AGREEMENT.index("  - id: content-rule")
    end = AGREEMENT.index("windows:")
    bare = load((AGREEMENT[:start] + AGREEMENT[end:]).encode())
    assert [w.what for w in bare.warnings] == [
        "no rule of this document uses the parameter 'retention'",
        "no rule deletes after the contract's end",
    ]
