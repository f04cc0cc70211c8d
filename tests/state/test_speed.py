"""Cost of an append, memory of a walk."""

from __future__ import annotations

import sqlite3
import statistics
import time

from lifecycle.evidence import merkle
from lifecycle.evidence.entry import encode_entry
from lifecycle.state import open_state
from tests.state.sample import child, intent, step


def test_batch_costs_less_than_five_milliseconds_beside_fsync(tmp_path):
    """Two entries and a register cost below 5 ms of work, fsync apart: nothing beside a batch of 200 ms."""
    state = open_state(f"sqlite:///{tmp_path / 'state.sqlite'}", create=True)
    state.close()
    taken = []
    for number in range(60):
        begin = time.process_time()
        step(state, "job-a", number)
        taken.append(time.process_time() - begin)
    state.close()
    assert statistics.median(taken) < 0.005


def test_walk_over_the_log_has_flat_memory(tmp_path):
    """Reading a long log grows the process by less than 16 MiB, whatever the log's length."""
    path = tmp_path / "state.sqlite"
    open_state(f"sqlite:///{path}", create=True).close()
    count = 60_000
    connection = sqlite3.connect(path)
    with connection:
        connection.executemany(
            "INSERT INTO log_entry (entry_index, leaf, body, type) VALUES (?, ?, ?, 'batch.intent')",
            (
                (index, merkle.leaf_hash(body), body)
                for index in range(count)
                for body in [encode_entry({**intent("job-a", index), "v": 1, "seq": None, "prev": None})]
            ),
        )
        # The right edge that opening looks at: the walk itself needs leaves alone.
        connection.executemany(
            "INSERT INTO log_node VALUES (?, ?, ?)",
            ((level, (count >> level) - 1, b"\0" * 32) for level in range(1, 16) if count >> level & 1),
        )
    connection.close()
    read, grown = child("read", f"sqlite:///{path}").communicate(timeout=120)[0].split()
    assert int(read) == count
    assert int(grown) < 16 * 1024
