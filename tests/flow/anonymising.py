"""The tempting world with a rule that anonymises its log: who must be anonymised is computed by plain Python."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.flow import world as made

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.portal import World

TOKEN = re.compile(r"anon~[0-9a-f]{32}")
DONE = ("0.0.0.0", "anon~" + "ab" * 16)
RULE = "    gone_by: P90D\n    action: delete\n"
ANONYMISING = '    gone_by: P90D\n    action: anonymise\n    anonymise_clause: "§ 4"\n'
DATASET = "tenant: {by: column, column: portal_id}, times: {collection: {column: at, encoding: ENCODING}}}"
TREATED = """tenant: {by: column, column: portal_id}, times: {collection: {column: at, encoding: ENCODING}},
     anonymise: [
       {how: keep, column: id, why: A running number}, {how: keep, column: portal_id, why: The tenant},
       {how: keep, column: at, why: The start time}, {how: constant, column: ip, value: 0.0.0.0},
       {how: token, column: agent}]}"""


def log_world(folder: Path, url: str) -> World:
    """Make the world; some rows of one tenant are anonymised already, some of another are so in one column only."""
    world = made.tempting(folder, url)
    made.execute(world, "ALTER TABLE access_log ADD COLUMN agent TEXT")
    made.execute(world, "UPDATE access_log SET agent = 'agent of ' || CAST(id AS TEXT)")
    made.execute(
        world,
        f"UPDATE access_log SET ip = '{DONE[0]}', agent = '{DONE[1]}' WHERE portal_id = 'Acme' AND id % 3 = 0",
    )
    made.execute(world, f"UPDATE access_log SET ip = '{DONE[0]}' WHERE portal_id = 'acme2' AND id % 4 = 0")
    agreement = folder / "policies" / "agreements" / "clientport.yaml"
    agreement.write_text(_once(agreement.read_text(), RULE, ANONYMISING))
    inventory = folder / "inventory.yaml"
    encoding = "iso-text" if url.startswith("sqlite") else "utc"
    there, here = (text.replace("ENCODING", encoding) for text in (DATASET, TREATED))
    before, name, after = inventory.read_text().partition("id: access-log")
    inventory.write_text(before + name + _once(after, there, here))
    return world


def _once(text: str, found: str, put: str) -> str:
    assert text.count(found) == 1
    return text.replace(found, put)


@dataclass(frozen=True)
class Anonymising:
    """A world with an approved plan that anonymises."""

    world: World
    plan: str
    before: dict[int, tuple[Any, ...]]

    def must_change(self) -> set[int]:
        """Return the rows that are due and not anonymised."""
        tables: made.Tables = {name: {} for name in made.TABLES}
        tables["access_log"] = {key: row[:4] for key, row in self.before.items()}
        return {key for _, key in made.due_logs(tables, self.world.now) if not done(self.before[key])}

    def changed(self) -> set[int]:
        """Return the rows that differ from what they were, or are gone."""
        there = read(self.world)
        return {key for key, row in self.before.items() if there.get(key) != row}


def done(row: tuple[Any, ...]) -> bool:
    """Tell whether nothing of a visitor is left in a row of the log."""
    return row[2] == DONE[0] and TOKEN.fullmatch(row[4]) is not None


def read(world: World) -> dict[int, tuple[Any, ...]]:
    """Read the log by its key."""
    return {row[0]: row for row in world.rows("SELECT id, portal_id, ip, at, agent FROM access_log")}


def planned(world: World, plan: Callable[..., str] = made.plan_rule, **more: Any) -> Anonymising:
    """Hold a tenant's log, plan the rule and have it approved."""
    with world.open() as deployment:
        made.hold(deployment, made.HELD, "access-log")
        return Anonymising(world, plan(world, deployment, **more), read(world))
