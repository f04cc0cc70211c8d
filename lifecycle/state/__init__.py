"""The deployment's own state: what was planned, approved, run and logged.

`open_state(url)` returns the `lifecycle.ports.state.State` on SQLite or PostgreSQL; `current` and `upgrade` deal with
its schema; `require_direct` refuses an address that cannot carry locks; `lifecycle.state.dump` writes and reads
backups, `lifecycle.state.check` reads a whole state.
"""

from lifecycle.state.direct import require_direct
from lifecycle.state.migrate import current, upgrade
from lifecycle.state.sql import SqlState, open_state

__all__ = ["SqlState", "current", "open_state", "require_direct", "upgrade"]
