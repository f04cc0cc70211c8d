"""Backups of our own state: whole or refused, and the same history wherever they are restored."""

from __future__ import annotations

import base64
import hashlib
import json
import stat
import threading
from contextlib import contextmanager

import pytest

from lifecycle.core.errors import Corrupt, Refused
from lifecycle.evidence.canonical import encode
from lifecycle.evidence.merkle import leaf_hash
from lifecycle.state import dump, open_state
from lifecycle.state.check import check
from lifecycle.state.schema import log_entry
from tests.servers import fresh_database
from tests.state.sample import ALIAS, OTHER, check_whole, intent, step


def fill(state, steps: int = 30) -> None:
    """Some jobs, an epoch, a register with a name and a body that no line may break."""
    with state.exclusive():
        for number in range(steps):
            step(state, "job-a", number)
    with state.transaction() as transaction:
        transaction.put("tenant", "Zoë\n\u2028\t\0".replace("\0", ""), bytes(range(256)) * 20)


def contents(state) -> tuple[bytes, list[bytes], list[tuple[str, str, bytes]]]:
    kinds = ("tenant", "job", "setting", "document")
    return (
        state.root(),
        [body for _, body in state.entries()],
        [(kind, name, body) for kind in kinds for name, body in state.items(kind)],
    )


@pytest.fixture(params=["sqlite", "postgres"])
def elsewhere(request, tmp_path, postgres_server):
    """An empty state of each database, beside the one under test."""
    if request.param == "sqlite":
        opened = open_state(f"sqlite:///{tmp_path / 'elsewhere.sqlite'}", create=True)
        yield opened
        opened.close()
        return
    with fresh_database(postgres_server.url) as url:
        opened = open_state(url, create=True)
        yield opened
        opened.close()


def test_backup_is_the_same_history_elsewhere(state, elsewhere, tmp_path):
    """A backup of one database restores into the other: same bytes, same tree, same registers, and it goes on."""
    fill(state)
    done = dump.backup(state, tmp_path / "backup")
    assert dump.restore(elsewhere, tmp_path / "backup") == done == dump.read(tmp_path / "backup")
    assert contents(elsewhere) == contents(state)
    assert (done.size, done.root, done.epoch) == (60, state.root(), 1)
    with elsewhere.exclusive() as epoch:
        step(elsewhere, "job-a", 30)
    step(state, "job-a", 30)
    assert (check_whole(elsewhere), epoch) == (62, 2)
    assert elsewhere.root() == state.root()


def test_backup_of_an_empty_state(state, elsewhere, tmp_path):
    """A deployment that has done nothing yet has a backup too."""
    assert dump.backup(state, tmp_path / "backup").size == 0
    dump.restore(elsewhere, tmp_path / "backup")
    assert elsewhere.root() == state.root()


def test_backup_is_one_moment(state, tmp_path):
    """While others write, a backup has a transaction whole or not at all, and nobody waits for it."""
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            step(state, "job-w", number)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        sizes = [_moment(state, tmp_path / f"backup-{number}") for number in range(4)]
    finally:
        stop.set()
        writer.join()
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 1


def _moment(state, path) -> int:
    """Let the writer go on, back up, and compare the two entries of each step with the register beside them."""
    before = state.size()
    while state.size() < before + 4:
        pass
    size = dump.backup(state, path).size
    lines = path.read_bytes().split(b"\n")
    registers = [json.loads(line[7:]) for line in lines if line.startswith(b"record ")]
    (job,) = [row for row in registers if row["kind"] == "job"]
    assert size == 2 * int(base64.b64decode(job["body"]))
    assert size > before
    return size


def test_backup_is_private_and_replaces_nothing(state, tmp_path):
    """A backup is a new file of the service alone; an existing one is never touched."""
    folder = tmp_path / "backups"
    folder.mkdir()
    fill(state, 1)
    dump.backup(state, folder / "one")
    before = (folder / "one").read_bytes()
    step(state, "job-a", 1)
    with pytest.raises(Refused) as caught:
        dump.backup(state, folder / "one")
    assert caught.value.guard == "already-there"
    assert (folder / "one").read_bytes() == before
    assert stat.S_IMODE((folder / "one").stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == ["one"]


DAMAGES = {
    "changed entry": "UPDATE log_entry SET body = (SELECT body FROM log_entry WHERE entry_index = 2)"
    " WHERE entry_index = 4",
    "missing entry": "DELETE FROM log_entry WHERE entry_index = 7",
    "entry filed under another job": "UPDATE log_entry SET job = 'job-z' WHERE entry_index = 5",
    "entry filed under another type": "UPDATE log_entry SET type = 'batch.void' WHERE entry_index = 5",
    "broken chain": "UPDATE log_entry SET seq = 900 WHERE entry_index = 9",
    "changed node": "UPDATE log_node SET hash = (SELECT hash FROM log_node WHERE level = 1 AND node_index = 0)"
    " WHERE level = 2 AND node_index = 1",
    "missing node": "DELETE FROM log_node WHERE level = 3 AND node_index = 2",
    "stray node": "INSERT INTO log_node SELECT 9, 77, hash FROM log_node WHERE level = 1 AND node_index = 0",
    "unknown register": "INSERT INTO record (kind, name, body) SELECT 'diary', 'x', body FROM record"
    " WHERE kind = 'setting' AND name = 'epoch'",
}


def test_I22_every_damage_is_found(state):
    """Whatever was changed inside the database, wherever: reading it as a whole finds it."""
    fill(state)
    for name, damage in DAMAGES.items():
        with state._engine.connect() as connection:

            @contextmanager
            def same(connection=connection):
                yield connection

            assert check(same).size == 60
            connection.exec_driver_sql(damage)
            with pytest.raises(Corrupt) as caught:
                check(same)
            assert caught.value.message, name
            connection.rollback()


def test_I22_damaged_state_is_not_backed_up(state, tmp_path):
    """No backup is left of a state that does not fit together: an older one is not replaced by it."""
    fill(state)
    with state._engine.begin() as connection:
        connection.exec_driver_sql(DAMAGES["missing node"])
    with pytest.raises(Corrupt):
        dump.backup(state, tmp_path / "backup")
    assert not [path for path in tmp_path.iterdir() if "backup" in path.name]


def test_I22_replaced_entry_with_its_leaf_is_found(state):
    """Whoever changes an entry together with its leaf hash does not change the tree above it."""
    fill(state)
    body = state.entry(4).replace(b'"limit":5', b'"limit":6')
    with state._engine.begin() as connection:
        changed = log_entry.update().where(log_entry.c.entry_index == 4)
        connection.execute(changed.values(body=body, leaf=leaf_hash(body)))
    with pytest.raises(Corrupt, match="does not follow"), state.snapshot() as reader:
        check(reader)


def test_check_names_batches_that_the_log_does_not_know(state):
    """Receipts in a store whose batches the log never announced show that the state is older than its store."""
    fill(state, 3)
    with state.snapshot() as reader:
        found = check(reader, ["job-a.2", "job-a.6", "b-foreign"])
    assert found.missing == {"job-a.6", "b-foreign"}
    assert (found.size, found.root) == (6, state.root())


def test_check_walks_several_pages(state):
    """A log longer than a page, with chains that cross pages, is whole."""
    with state.transaction() as transaction:
        for number in range(2_345):
            transaction.append(intent("job-a", number, (ALIAS, OTHER, None)[number % 3]))
    with state.snapshot() as reader:
        assert check(reader).root == state.root()


@pytest.fixture
def backed_up(tmp_path):
    """A good backup of sixty entries."""
    source = open_state(f"sqlite:///{tmp_path / 'source.sqlite'}", create=True)
    fill(source)
    dump.backup(source, tmp_path / "backup")
    source.close()
    return tmp_path / "backup"


def seal(lines: list[bytes]) -> bytes:
    """Give lines an end that fits them: what is wrong then is what they say."""
    body = b"".join(line + b"\n" for line in lines)
    end = {
        "entries": sum(line.startswith(b"entry ") for line in lines),
        "records": sum(line.startswith(b"record ") for line in lines),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    return body + b"end " + encode(end) + b"\n"


CHANGES = {
    "entry dropped": lambda lines: lines[:5] + lines[6:],
    "last entry dropped": lambda lines: lines[:60] + lines[61:],
    "entries swapped": lambda lines: [*lines[:5], lines[6], lines[5], *lines[7:]],
    "entry doubled": lambda lines: [*lines[:5], *lines[4:]],
    "entry changed": lambda lines: [line.replace(b'"limit":5', b'"limit":6') for line in lines],
    "entry of another shape": lambda lines: [line.replace(b'"limit":5', b'"limit": 5') for line in lines],
    "other root": lambda lines: [lines[0].replace(b'"root":"', b'"root":"00'), *lines[1:]],
    "other format": lambda lines: [lines[0].replace(b"state/v1", b"state/v9"), *lines[1:]],
    "no header": lambda lines: lines[1:],
    "unknown register": lambda lines: [line.replace(b'"kind": "job"', b'"kind": "diary"') for line in lines],
    "unknown line": lambda lines: [*lines, b"diary {}"],
    "no base64": lambda lines: [*lines, b'record {"body": "!!!!", "kind": "job", "name": "x"}'],
    "no object": lambda lines: [*lines, b"record 7"],
    "no UTF-8": lambda lines: [*lines, b"record \xff\xfe"],
    "nothing": lambda lines: [],
}


def test_I22_changed_backup_is_refused_whole(backed_up, state):
    """A backup whose end was made to fit still shows each change to its history or form; nothing of it is kept."""
    lines = backed_up.read_bytes().split(b"\n")[:-2]
    changed = backed_up.with_name("changed")
    changed.write_bytes(seal(lines))
    assert dump.read(changed).size == 60
    for name, change in CHANGES.items():
        changed.write_bytes(seal(change(lines)))
        with pytest.raises(Corrupt) as caught:
            dump.restore(state, changed)
        assert caught.value.__cause__ is None
        assert (name, state.size(), list(state.items("job"))) == (name, 0, [])


def test_torn_or_flipped_backup_is_refused(backed_up):
    """A backup that lost its end, went on after it, or has a flipped bit anywhere is refused."""
    whole, damaged = backed_up.read_bytes(), backed_up.with_name("damaged")
    for place in range(0, len(whole), len(whole) // 40):
        flipped = whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :]
        for data in (whole[:place], flipped, whole + whole[: place + 1]):
            damaged.write_bytes(data)
            with pytest.raises(Corrupt, match="backup cannot be used"):
                dump.read(damaged)


def test_restore_mixes_no_histories(state, elsewhere, tmp_path):
    """Only an empty state is filled; one with a single register or entry is left as it is."""
    fill(state, 1)
    dump.backup(state, tmp_path / "backup")
    with elsewhere.transaction() as transaction:
        transaction.put("finding", "x", b"1")
    with pytest.raises(Refused) as caught:
        dump.restore(elsewhere, tmp_path / "backup")
    assert caught.value.guard == "state-occupied"
    assert elsewhere.size() == 0


def test_I20_epoch_is_raised_over_what_the_fences_know(state):
    """After a restore the next writer's epoch is higher than any that a store has seen; it is never lowered."""
    with state.exclusive() as epoch, pytest.raises(Refused):
        state.raise_epoch(41)
    assert (epoch, state.raise_epoch(41), state.raise_epoch(7)) == (1, 41, 41)
    with state.exclusive() as epoch:
        assert epoch == 42
