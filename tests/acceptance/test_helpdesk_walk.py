"""The whole line over a foreign application's database: drafted, reviewed, logs expired, one customer gone and proven.

The operator's commands run in processes of their own. What they did is counted by plain SQL that shares nothing with
the product, and looked at through the application's own pages.
"""

from __future__ import annotations

import datetime as dt
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lifecycle.core.inventory import Inventory
from lifecycle.documents import load
from tests.acceptance.conftest import WATCHED
from tests.acceptance.helpdesk.app.owners import QUEUE_OF
from tests.acceptance.helpdesk.databases import ask, change, kind_of
from tests.acceptance.helpdesk.harness import HERE, copy_of
from tests.acceptance.helpdesk.pages import visit
from tests.acceptance.operated import Operated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import Lived
    from tests.acceptance.helpdesk.harness import Counts, Helpdesk
    from tests.acceptance.helpdesk.pages import Answer

TENANTS = "helpdesk_queue.id"
REVIEWED = (HERE / "inventory.yaml").read_text()
SESSIONS = HERE / "sessions.yaml"
SUPPLEMENT = "helpdesk-sessions"
CEILING, MARGIN = dt.timedelta(days=90), dt.timedelta(days=3)
SESSION_LIVES = dt.timedelta(days=14)
# Each log's time column, and how long after what counts it lies.
LOGS = {"django_admin_log": ("action_time", dt.timedelta()), "django_session": ("expire_date", SESSION_LIVES)}
ROWS_OF_LINDE = 1774


@dataclass(slots=True)
class Walk:
    """What was seen on the way: counts before, between and after, and what the commands said."""

    desk: Helpdesk
    deployment: Operated
    now: dt.datetime
    leaver: int
    before: Counts
    uploads: set[str]
    draft: str = ""
    drafted: dict[str, Any] = field(default_factory=dict)
    young_before: dict[str, int] = field(default_factory=dict)
    after_logs: Counts | None = None
    export: dict[str, Any] = field(default_factory=dict)
    owned: dict[str, set[int]] = field(default_factory=dict)
    planned: dict[str, Any] = field(default_factory=dict)
    applied: dict[str, Any] = field(default_factory=dict)
    certificate: dict[str, Any] = field(default_factory=dict)
    after: Counts | None = None


@pytest.fixture(scope="module")
def walk(_seeded: Lived, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    """The line, walked once: from a database nobody has seen to a certificate."""
    folder = tmp_path_factory.mktemp("walk")
    with copy_of(_seeded.desk, folder / "media") as desk:
        deployment = Operated(folder / "deployment", desk.database_url, "helpdesk")
        queues = {queue["slug"]: queue["id"] for queue in _seeded.manifest["queues"]}
        seen = Walk(desk, deployment, _seeded.now, queues[_seeded.manifest["leaving"]], desk.counts(), desk.uploads())
        _draft(seen)
        deployment.review(REVIEWED, SESSIONS)
        deployment.run("store", "prepare", "--run")
        firms = {queue["id"]: queue["title"] for queue in _seeded.manifest["queues"]}
        deployment.enrol(firms, individual=SUPPLEMENT)
        _expire_logs(seen)
        _offboard(seen, folder / "outbox")
        yield seen


def _draft(seen: Walk) -> None:
    seen.drafted, seen.draft = seen.deployment.draft(TENANTS)


def _expire_logs(seen: Walk) -> None:
    seen.young_before = {table: _logs(seen, table, ">", _surely_young(seen)) for table in LOGS}
    for rule in ("server-logs", "sessions"):
        plan = seen.deployment.run("plan", rule)["plans"][0]["hash"]
        seen.deployment.sign(plan, "op-one", mandate=True)
        seen.deployment.carry_out(plan)
    seen.after_logs = seen.desk.counts()


def _offboard(seen: Walk, outbox: Path) -> None:
    tenant = str(seen.leaver)
    seen.deployment.end(tenant, seen.now)
    seen.owned = _owned(seen)
    seen.export = seen.deployment.run("export", tenant, "-o", str(outbox))
    seen.planned = seen.deployment.run("plan", "--tenant", tenant, "--by", "op-three")["plans"][0]
    plan = seen.planned["hash"]
    seen.deployment.sign(plan, "op-one", "op-two")
    seen.applied = seen.deployment.carry_out(plan)
    seen.certificate = seen.deployment.run("certificate", "issue", plan)
    seen.after = seen.desk.counts()


def _owned(seen: Walk) -> dict[str, set[int]]:
    """Return the ids of the leaver's rows, by the counter's own queries."""
    return {
        table: {number for slug, number in ask(seen.desk.database_url, query) if slug == "linde"}
        for table, query in QUEUE_OF.items()
    }


def _rows(seen: Walk, table: str, condition: str, **values: object) -> int:
    ((rows,),) = ask(seen.desk.database_url, f"SELECT count(*) FROM {table} WHERE {condition}", **values)
    return int(str(rows))


def _logs(seen: Walk, table: str, order: str, moment: dt.datetime) -> int:
    """Count a log's rows before (`<=`) or after (`>`) a moment, counted from what its rule counts from."""
    column, later = LOGS[table]
    return _rows(seen, table, f"{column} {order} :moment", moment=moment + later)


def _surely_young(seen: Walk) -> dt.datetime:
    """Younger than this is due on no calendar: a day more than the margin before the ceiling."""
    return seen.now - CEILING + MARGIN + dt.timedelta(days=2)


# ---- the draft ----


def test_the_draft_counts_what_each_path_reaches(walk: Walk) -> None:
    """Misleading paths are shown with their rows and their contradictions, and are not the ones proposed."""
    ticket = _part(walk.draft, "helpdesk_ticket")

    assert "path 1: queue_id reaches 1800 of 1800 rows, 6 tenants (proposed)" in ticket
    assert "path 2: merged_to_id > helpdesk_ticket.queue_id reaches 51 of 1800 rows" in ticket
    assert "helpdesk_kbcategory.queue_id reaches 528 of 1800 rows" in ticket
    assert "paths 1 and 3 name different tenants for 50 rows (contested)" in ticket
    assert "paths 1 and 2 name different tenants for 3 rows (contested)" in ticket
    assert "tenant: {by: column, column: queue_id}" in ticket


def test_the_draft_leaves_ties_and_backward_ties_to_a_person(walk: Walk) -> None:
    """Two equally long paths, and tables that only a link table ties to customers, are decisions, not guesses."""
    decide = "\n".join(walk.drafted["decide"])

    assert "helpdesk_ticketdependency: two paths are equally long" in decide
    assert "helpdesk_ticketdependency: 10 rows are contested" in decide
    assert "(6 rows to one, 1 to several, 1 to none)" in decide, "replies: one serves two customers, one all of them"
    assert "helpdesk_kbcategory: 1 of 7 rows reach no tenant" in decide
    assert "auth_user: no path to a tenant, but it holds persons" in decide
    assert "decide: another path is as good" in _part(walk.draft, "helpdesk_ticketdependency")


def test_the_draft_takes_times_by_their_type(walk: Walk) -> None:
    """An interval named like a time is none; a time that lies ahead, or is never filled, is said to be so."""
    assert "time_spent" not in _part(walk.draft, "helpdesk_followup").partition("columns:")[0]
    spelled = kind_of(walk.desk.database_url).spelling
    assert f"collection: {{column: created, encoding: {spelled}}}" in _part(walk.draft, "helpdesk_ticket")
    assert "in the future" in _part(walk.draft, "django_session")
    assert f"due_date: {{column: due_date, encoding: {spelled}}}  # 0 of 1800 filled" in _part(
        walk.draft, "helpdesk_ticket"
    )


def test_the_draft_shows_no_value_of_a_row(walk: Walk) -> None:
    """Counts and names of the catalogue are all that leaves the database: no address, firm, slug or instant."""
    for value in ("linde", "birke", "Linde Druck", "@", ".example", walk.now.strftime("%Y-")):
        assert value not in walk.draft.replace("lifecycle.example", "")


def test_the_reviewed_inventory_is_the_draft_decided(walk: Walk) -> None:
    """A reviewer changed categories, one owning path and what is not personal; every table is in both."""
    draft, reviewed = _inventory(walk.draft.encode()), _inventory(REVIEWED.encode())
    kept = {dataset.table: dataset for dataset in reviewed.datasets}
    elsewhere = {entry.table for entry in reviewed.not_personal}

    assert not draft.reviewed
    assert {dataset.category for dataset in draft.datasets} == {"unreviewed"}
    assert {dataset.table for dataset in draft.datasets} == kept.keys() | elsewhere
    assert not any(dataset.table.startswith("lifecycle") for dataset in draft.datasets)
    changed = {
        dataset.table
        for dataset in draft.datasets
        if dataset.table in kept
        and (dataset.tenant.path, dataset.tenant.column)
        != (kept[dataset.table].tenant.path, kept[dataset.table].tenant.column)
    }
    assert changed == {"helpdesk_ticketdependency"}


def test_nothing_is_planned_from_a_draft(helpdesk: Lived, tmp_path: Path) -> None:
    """Each undecided line is named; with all of them decided, an unreviewed inventory is still refused."""
    deployment = Operated(tmp_path / "deployment", helpdesk.desk.database_url, "helpdesk")
    path = Path(deployment.draft(TENANTS)[0]["inventory"])
    tables = len(_inventory(path.read_bytes()).datasets)
    deployment.run("validate", str(path))
    undecided = deployment.run("validate", str(deployment.folder), code=2)["problems"]
    refused = deployment.process("plan", "server-logs")

    assert [problem["what"] for problem in undecided] == ["no agreement has the category 'unreviewed'"] * tables
    assert refused.returncode == 2
    path.write_text(path.read_text().replace("category: unreviewed", "category: master-data"))
    deployment.run("validate", str(deployment.folder))
    assert "unreviewed" in deployment.run("plan", "server-logs", code=4)["error"]["guard"]


# ---- the line ----


def test_the_inventory_covers_everything_and_doctor_is_content(walk: Walk) -> None:
    """Every table and column is classified, and nothing about the database forbids a plan."""
    covered = walk.deployment.run("coverage")
    assert (covered["complete"], covered["gaps"]) == (True, [])
    assert not [finding for finding in walk.deployment.run("doctor")["findings"] if finding["fatal"]]


def test_logs_past_ninety_days_are_gone_and_younger_ones_are_all_there(walk: Walk) -> None:
    """Counted from an entry's own time, and from a session's sign-in, which the table itself does not hold."""
    for table in LOGS:
        assert _logs(walk, table, "<=", walk.now - CEILING) == 0
        # None is missing; pages that were asked for meanwhile may have opened further sessions.
        assert _logs(walk, table, ">", _surely_young(walk)) >= walk.young_before[table] > 0
    assert walk.after_logs is not None
    assert walk.after_logs["queues"] == walk.before["queues"], "logs only"


def test_both_log_rules_are_the_operators_own_and_have_a_mandate(walk: Walk) -> None:
    """The agreement names no period for logs: the plans say whose figure it is, and later ones run by mandate."""
    mandates = walk.deployment.run("mandate", "list")["mandates"]
    again = walk.deployment.run("run")

    assert {mandate["rule"] for mandate in mandates} == {"server-logs", "sessions"}
    assert all(turn.get("deleted", 0) == 0 for turn in again["turns"])


def test_the_export_holds_the_customers_rows_and_no_other(walk: Walk) -> None:
    """Row by row, the package has exactly the ids that the independent counter gives the customer."""
    exported: dict[str, set[int]] = {}
    with zipfile.ZipFile(walk.export["file"]) as package:
        for dataset in json.loads(package.read("MANIFEST.json"))["datasets"]:
            lines = package.read(dataset["files"]["jsonl"]["name"]).splitlines()
            rows = [json.loads(line) for line in lines]
            assert len(rows) == dataset["rows"]
            assert {row["lifecycle_tenant"] for row in rows if "lifecycle_tenant" in row} <= {walk.leaver}
            exported[dataset["dataset"]] = {row["id"] for row in rows}

    assert exported == walk.owned
    assert walk.export["rows"] == ROWS_OF_LINDE == sum(len(ids) for ids in walk.owned.values())


def test_the_plan_says_beforehand_what_goes(walk: Walk) -> None:
    """What is planned, table by table, is what the independent counter found."""
    steps = walk.planned["plan"]["steps"]
    deleted = {step["dataset"]: step["expected"] for step in steps if step["action"]["kind"] == "delete"}

    assert deleted == {table: len(ids) for table, ids in walk.owned.items()}
    assert (walk.applied["outcome"], walk.applied["clean"]) == ("done", True)


def test_the_customer_is_gone_and_no_other_has_changed(walk: Walk) -> None:
    """By the independent counter: no row of the customer is left; of the others not one column differs."""
    assert walk.after is not None
    for table, shares in walk.after["queues"].items():
        before = walk.before["queues"][table]
        assert shares == {slug: share for slug, share in before.items() if slug != "linde"}
        gone = before.get("linde", {"rows": 0})["rows"]
        assert walk.before["tables"][table] - walk.after["tables"][table] == gone


def test_a_fresh_look_and_the_register_agree(walk: Walk) -> None:
    """The customer's contract is closed, nothing is overdue, and the other five are where they were."""
    states = {tenant["id"]: tenant["state"] for tenant in walk.deployment.run("tenant", "list")["tenants"]}

    assert states.pop(str(walk.leaver)) in {"deleted", "closed"}
    assert set(states.values()) == {"active"}


def test_the_certificate_verifies_far_from_everything(walk: Walk, tmp_path: Path) -> None:
    """Bundle and trust file are enough: in another folder, without the deployment; it says what it does not cover."""
    bundle, trust = tmp_path / "linde.bundle", tmp_path / "trust.yaml"
    walk.deployment.run("certificate", "bundle", walk.certificate["number"], "-o", str(bundle))
    walk.deployment.run("evidence", "trust", "-o", str(trust))
    elsewhere = Operated(tmp_path / "nothing", "nowhere", "nothing")
    verified = elsewhere.process("verify", str(bundle), "--trust", str(trust))
    bundle.write_bytes(bundle.read_bytes().replace(b'"deleted"', b'"deletes"', 1))
    tampered = elsewhere.process("verify", str(bundle), "--trust", str(trust))

    assert (verified.returncode, tampered.returncode) == (0, 1)
    statement = walk.certificate["statement"]
    assert statement["completeness"] == "final"
    assert any("auth_user" in limit and "no single tenant" in limit for limit in statement["limits"])
    assert sum(dataset["deleted"] for dataset in statement["datasets"]) == ROWS_OF_LINDE


def test_the_applications_pages_answer_the_others_as_before(walk: Walk, _seeded: Lived, pages_before) -> None:
    """Ticket list, tickets, files, reports, feed and articles of another customer say the same, word for word."""
    with walk.desk.serving(walk.now) as address:
        after: dict[str, Answer] = visit(address, _seeded.manifest, [WATCHED])

    assert after == pages_before


def test_what_the_application_itself_would_have_deleted(walk: Walk, helpdesk: Lived) -> None:
    """The same rows, but for the right named after the queue and its grants, which hold a firm's name, not a person's.

    Neither deletes the accounts, which other customers may share, nor the files behind attachments, nor the parents of
    link rows: an ignore rule and a reply are left without a queue, which this application reads as "for every queue".
    """
    assert walk.after is not None
    assert walk.after_logs is not None
    helpdesk.desk.leave("linde")
    theirs = helpdesk.desk.counts()["tables"]
    ours = {table: rows for table, rows in walk.after["tables"].items() if table not in LOGS}
    more = {table: ours[table] - theirs[table] for table in ours if ours[table] != theirs[table]}

    assert more == {"auth_permission": 1, "auth_group_permissions": 1}
    assert ours["auth_user"] == walk.before["tables"]["auth_user"]
    for parent, link in (("ignoreemail", "ignoreemail"), ("presetreply", "presetreply")):
        orphaned = f"id NOT IN (SELECT {link}_id FROM helpdesk_{link}_queues)"
        assert _rows(walk, f"helpdesk_{parent}", orphaned) > 0
    assert walk.desk.uploads() == helpdesk.desk.uploads() == walk.uploads


def test_I06_rows_that_hang_on_the_leaver_stop_the_plan(helpdesk: Lived, tmp_path: Path) -> None:
    """Two tickets of a neighbour depend on the leaver's: the plan is refused with their number, and nothing changes."""
    deployment = Operated(tmp_path / "deployment", helpdesk.desk.database_url, "helpdesk")
    leaver = next(queue for queue in helpdesk.manifest["queues"] if queue["slug"] == "linde")
    _depend_on_the_leaver(helpdesk.desk.database_url)
    deployment.init()
    deployment.review(REVIEWED, SESSIONS)
    deployment.run("store", "prepare", "--run")
    deployment.enrol({leaver["id"]: leaver["title"]}, individual=SUPPLEMENT)
    deployment.end(str(leaver["id"]), helpdesk.now)
    before = helpdesk.desk.counts()
    refused = deployment.run("plan", "--tenant", str(leaver["id"]), "--by", "op-three", code=4)["error"]

    assert refused["guard"] == "contested"
    assert "2 of helpdesk_ticket" in refused["message"]
    assert helpdesk.desk.counts() == before


def _depend_on_the_leaver(url: str) -> None:
    """Let two tickets of the customer with a name alike wait for one of the leaver's each."""
    of_queue = "SELECT t.id FROM helpdesk_ticket t JOIN helpdesk_queue q ON q.id = t.queue_id WHERE q.slug = :slug"
    theirs, others = (ask(url, f"{of_queue} ORDER BY t.id LIMIT 2", slug=slug) for slug in ("linde", "linde-sued"))
    for (ours,), (waiting,) in zip(theirs, others, strict=True):
        insert = "INSERT INTO helpdesk_ticketdependency (ticket_id, depends_on_id) VALUES (:waiting, :ours)"
        change(url, insert, waiting=waiting, ours=ours)


def _part(text: str, dataset: str) -> str:
    """Return one dataset of the draft, its comments with it."""
    return text.split(f"- id: {dataset}  #", 1)[1].split("\n  - id: ", 1)[0]


def _inventory(content: bytes) -> Inventory:
    document = load(content, "inventory").document
    assert isinstance(document, Inventory)
    return document
