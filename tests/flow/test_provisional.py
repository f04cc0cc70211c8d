"""Why a certificate is provisional is said with what to do, from the statement and the log alone."""

from __future__ import annotations

import base64
import json
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from lifecycle.evidence.statement import decode_statement
from lifecycle.flow import certify, execute
from lifecycle.flow.provisional import left_open
from tests import portal
from tests.flow import world as made
from tests.flow.test_review import build, rule

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle.flow.certify import Certificate
    from lifecycle.flow.deployment import Deployment
    from tests.flow.world import Line


def statement(certificate: Certificate) -> dict[str, Any]:
    """Return what the certificate states."""
    return decode_statement(base64.b64decode(json.loads(certificate.envelope)["payload"]))[0]


def reasons(deployment: Deployment, certificate: Certificate, **changed: Any) -> list[str]:
    """Return what is left open; `changed` replaces parts of the statement."""
    return [one.what for one in left_open(deployment, certificate, {**statement(certificate), **changed})]


def test_I21_rows_of_nobody_keep_a_leavers_certificate_provisional(line: Line) -> None:
    """They may be the leaver's; once somebody has found out whose they were, the certificate is final."""
    with line.world.open() as deployment:
        execute.apply(deployment, line.leave)
        certificate = certify.issue(deployment, line.leave)
        assert certificate.completeness == "provisional"
        assert reasons(deployment, certificate) == ["2 rows of no registered tenant: they may be this one's"]
    made.without_nobodys(line.world)
    with line.world.open() as deployment:
        execute.verify(deployment, line.leave)
        final = certify.issue(deployment, line.leave)
        assert (final.completeness, final.supersedes) == ("final-with-residue", certificate.id)


def test_a_gap_in_the_inventory_is_named_and_a_final_certificate_leaves_nothing_open(line: Line) -> None:
    """Coverage is no figure of the statement: the verification that it rests on has it."""
    made.without_nobodys(line.world)
    with line.world.open() as deployment:
        execute.apply(deployment, line.leave)
        assert reasons(deployment, certify.issue(deployment, line.leave)) == []
    made.execute(line.world, "CREATE TABLE lead (id INTEGER PRIMARY KEY, email TEXT)")
    with line.world.open() as deployment:
        execute.verify(deployment, line.leave)
        (why,) = left_open(deployment, certificate := certify.issue(deployment, line.leave), statement(certificate))
    assert "tables or columns that the inventory does not know" in why.what
    assert "lifecycle coverage" in why.then


@pytest.mark.parametrize(
    ("copies", "says"),
    [
        (
            {"backups": [{"name": "daily", "state": "pending", "gone_by": "2026-08-08"}]},
            "backup daily holds the data until 2026-08-08",
        ),
        ({"replicas": [{"name": "reports", "state": "pending"}]}, "copy reports still holds the data"),
        ({"subprocessors": [{"firm": "Mail Ltd", "deleted_on": None}]}, "Mail Ltd has not confirmed its deletion"),
    ],
)
def test_each_copy_that_still_holds_the_data_is_named(tmp_path: Path, copies: dict[str, Any], says: str) -> None:
    """Backups with the day from which the certificate can be final."""
    world = build(tmp_path)
    with portal.raw(world.url) as connection:
        connection.execute("INSERT INTO access_log VALUES (900009, NULL, '192.0.2.1', '2020-01-01 00:00:00+00:00')")
    with world.open() as deployment:
        planned = rule(deployment, world)
        execute.apply(deployment, planned.hash)
        certificate = certify.issue(deployment, planned.hash)
        assert certificate.completeness == "provisional"
        nothing = {"backups": [], "replicas": [], "subprocessors": []}
        assert reasons(deployment, certificate, copies={**nothing, **copies})[0] == says
        (why,) = reasons(deployment, certificate, copies=nothing)
        assert why.startswith("1 rows of no registered tenant")
        gone = {"name": "daily", "state": "gone", "gone_by": date(2026, 1, 1).isoformat()}
        assert reasons(deployment, certificate, copies={**nothing, "backups": [gone]}) == [why]
        uncovered = f"{certify.UNCOVERED}: tickets."
        assert reasons(deployment, certificate, copies=nothing, limits=[uncovered])[1] == uncovered.rstrip(".")
