"""The world of the acceptance test is what it claims to be: a foreign application, alive, with its own data."""

from __future__ import annotations

import datetime as dt
from http import HTTPStatus
from typing import TYPE_CHECKING

from tests.acceptance.conftest import WATCHED
from tests.acceptance.helpdesk.app.owners import FILES
from tests.acceptance.helpdesk.databases import ask, change
from tests.acceptance.helpdesk.harness import copy_of
from tests.acceptance.helpdesk.pages import visit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Lived
    from tests.acceptance.helpdesk.harness import Counts, Helpdesk
    from tests.acceptance.helpdesk.pages import Answer

QUEUES, TICKETS = 6, 300
CEILING_OF_LOGS = dt.timedelta(days=90)
LOGS = ("django_admin_log.action_time", "django_session.expire_date")
SMALL_STORY_ENDS = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


def test_the_application_makes_its_own_schema(empty_helpdesk: Helpdesk) -> None:
    """Its own migrations create the tables; a second run changes nothing."""
    before = empty_helpdesk.counts()
    empty_helpdesk.migrate()

    assert {"helpdesk_queue", "helpdesk_ticket", "helpdesk_followup", "django_session"} <= before["tables"].keys()
    assert empty_helpdesk.counts() == before


def test_six_customers_share_its_tables(helpdesk: Lived) -> None:
    """Each of six queues has its tickets, with messages, changes, files, watchers and dependencies."""
    queues = helpdesk.desk.counts()["queues"]

    assert {slug: share["rows"] for slug, share in queues["helpdesk_ticket"].items()} == {
        queue["slug"]: TICKETS for queue in helpdesk.manifest["queues"]
    }
    for table in ("followup", "ticketchange", "followupattachment", "ticketcc", "ticketdependency", "checklisttask"):
        assert len(queues[f"helpdesk_{table}"]) == QUEUES
    assert "-" in queues["helpdesk_kbitem"], "some articles are nobody's"


def test_its_logs_are_older_than_any_promise(helpdesk: Lived) -> None:
    """The application never cleans up: rows that are logs are past ninety days, and none is from the future."""
    oldest = helpdesk.desk.counts()["oldest"]
    for column in LOGS:
        value = oldest[column]
        assert value is not None
        assert helpdesk.now - dt.datetime.fromisoformat(value) > CEILING_OF_LOGS


def test_some_rows_reach_two_customers(helpdesk: Lived) -> None:
    """People work for two firms, and tickets of one firm hang on those of another."""
    shared = "SELECT user_id FROM auth_user_groups GROUP BY user_id HAVING count(*) > 1"

    assert len(ask(helpdesk.desk.database_url, shared)) > 1
    assert {crossing["kind"] for crossing in helpdesk.manifest["crossings"]} == {
        "leaver depends on neighbour",
        "between firms that stay",
        "merged into another firm's",
    }


def test_its_uploads_are_its_rows_and_what_it_forgot(helpdesk: Lived) -> None:
    """Every attachment has its file; where a row was deleted by the application, the file is still there."""
    url = helpdesk.desk.database_url
    named = {str(name) for table in FILES for (name,) in ask(url, f"SELECT file FROM {table}")}
    forgotten = {orphan["path"] for orphan in helpdesk.manifest["orphans"]}

    assert helpdesk.desk.uploads() == named | forgotten
    assert not named & forgotten
    assert {orphan["slug"] for orphan in helpdesk.manifest["orphans"]} == {
        queue["slug"] for queue in helpdesk.manifest["queues"]
    }


def test_equal_arguments_make_equal_data(empty_helpdesk: Helpdesk, tmp_path: Path) -> None:
    """The same seed and moment give the same rows, to the last column; another seed gives others."""

    def lived(seed: int, name: str) -> Counts:
        with copy_of(empty_helpdesk, tmp_path / name) as desk:
            desk.seed(SMALL_STORY_ENDS, seed=seed, queues=4, tickets=12)
            return desk.counts()

    first = lived(1, "first")
    assert lived(1, "again") == first
    assert lived(2, "other") != first


def test_its_pages_answer_the_same_twice(helpdesk: Lived, pages_before: dict[str, Answer]) -> None:
    """Every page of a customer opens, shows all its tickets, and says the same on the next visit."""
    assert {answer.status for answer in pages_before.values()} == {HTTPStatus.OK}
    assert TICKETS in {answer.shown for url, answer in pages_before.items() if "datatables_ticket_list" in url}
    assert any("/media/" in url for url in pages_before)
    assert any("/view/" in url for url in pages_before)
    with helpdesk.desk.serving(helpdesk.now) as address:
        assert visit(address, helpdesk.manifest, [WATCHED]) == pages_before


def test_a_customers_pages_do_not_depend_on_the_one_who_leaves(
    helpdesk: Lived, pages_before: dict[str, Answer]
) -> None:
    """When the application itself deletes a queue, neither rows nor pages of another one change."""
    leaving, before = helpdesk.manifest["leaving"], helpdesk.desk.counts()
    deleted = helpdesk.desk.leave(leaving)
    after = helpdesk.desk.counts()

    assert deleted["helpdesk_ticket"] == TICKETS
    for table, shares in after["queues"].items():
        gone = before["queues"][table].get(leaving, {"rows": 0})["rows"]
        assert gone == deleted[table]
        assert shares == {slug: share for slug, share in before["queues"][table].items() if slug != leaving}
    with helpdesk.desk.serving(helpdesk.now) as address:
        assert visit(address, helpdesk.manifest, [WATCHED]) == pages_before


def test_a_lost_message_of_another_customer_is_noticed(helpdesk: Lived, pages_before: dict[str, Answer]) -> None:
    """Neither the pages nor the counts can miss one message that should have stayed."""
    ticket = next(url for url in pages_before if "/tickets/" in url and "?" not in url)
    before = helpdesk.desk.counts()["queues"]["helpdesk_followup"]
    _lose_a_message(helpdesk.desk.database_url, int(ticket.rstrip("/").rpartition("/")[2]))
    after = helpdesk.desk.counts()["queues"]["helpdesk_followup"]
    with helpdesk.desk.serving(helpdesk.now) as address:
        pages = visit(address, helpdesk.manifest, [WATCHED])

    assert pages[ticket] != pages_before[ticket]
    assert {slug for slug, share in after.items() if share != before[slug]} == {WATCHED}


def _lose_a_message(url: str, ticket: int) -> None:
    ((lost,),) = ask(url, "SELECT max(id) FROM helpdesk_followup WHERE ticket_id = :ticket", ticket=ticket)
    change(
        url,
        "DELETE FROM helpdesk_ticketchange WHERE followup_id = :lost",
        "DELETE FROM helpdesk_followupattachment WHERE followup_id = :lost",
        "DELETE FROM helpdesk_followup WHERE id = :lost",
        lost=lost,
    )
