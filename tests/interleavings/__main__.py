"""`python -m tests.interleavings [--runs 300] [--only KIND] [--server NAME]`: a line of counts per kind and server."""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests import mariadb, servers
from tests.interleavings.arena import SERVERS, Arena
from tests.interleavings.kinds import KINDS
from tests.interleavings.race import races

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def database(name: str) -> Iterator[str]:
    """A database of one's own."""
    if name == "sqlite":
        with tempfile.TemporaryDirectory(prefix="lifecycle-interleavings-") as home:
            path = Path(home) / "app.db"
            path.touch()
            yield f"sqlite:///{path}"
    elif name == "mariadb":
        with mariadb.own_mariadb_server(*mariadb.QUICK) as server, mariadb.fresh_mariadb(server.url) as url:
            yield url
    else:
        with servers.own_postgres_server() as server, servers.fresh_database(server.url) as url:
            yield url


def main() -> int:
    """Run them and print the counts; 1 when anything went wrong."""
    parser = argparse.ArgumentParser(prog="tests.interleavings", description=__doc__)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--only", choices=sorted(KINDS), action="append")
    parser.add_argument("--server", choices=sorted(SERVERS), action="append")
    given = parser.parse_args()
    bad = 0
    for server in given.server or SERVERS:
        with database(server) as url:
            arena = Arena(url)
            for kind in given.only or KINDS:
                tally = races(arena, kind, range(given.runs))
                print(f"{server}: {tally.line()}", flush=True)
                for what in tally.wrong:
                    print(f"  {what}", flush=True)
                bad += len(tally.wrong)
            arena.connection.close()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
