"""What `lifecycle.ports.state` promises, on each database."""

# ruff: noqa: PT012  # a refused transaction is several statements, and its end is part of what is tested

from __future__ import annotations

import threading

import pytest

from lifecycle.core.errors import Corrupt, Refused
from lifecycle.evidence import merkle
from lifecycle.evidence.entry import decode_entry
from lifecycle.state import open_state
from tests.state.sample import ALIAS, OTHER, check_whole, intent, step


def test_new_state_is_an_empty_tree(state):
    """A new deployment's log has no entry and RFC 6962's root of nothing."""
    assert state.size() == 0
    assert state.root() == merkle.EMPTY_ROOT
    assert list(state.entries()) == []
    assert list(state.items("tenant")) == []


def test_append_assigns_the_chain_of_each_alias(state):
    """Each alias counts its own entries and points at the one before; shared entries have neither."""
    with state.transaction() as transaction:
        indices = [
            transaction.append(intent("job-a", n, tenant)) for n, tenant in enumerate((ALIAS, None, OTHER, ALIAS))
        ]
    with state.transaction() as transaction:
        indices.append(transaction.append(intent("job-a", 4, ALIAS)))
    chains = [(e["seq"], e["prev"]) for e in (decode_entry(body) for _, body in state.entries())]
    assert indices == [0, 1, 2, 3, 4]
    assert chains == [(0, None), (None, None), (0, None), (1, 0), (2, 3)]


def test_entry_is_what_was_hashed(state):
    """An entry's bytes are those of its leaf: canonical JSON with version 1."""
    step(state, "job-a", 0)
    body = state.entry(0)
    assert decode_entry(body)["v"] == 1
    assert state.node(0, 0) == merkle.leaf_hash(body)


@pytest.mark.parametrize(
    "change",
    [{"v": 1}, {"seq": 0}, {"prev": None}, {"type": "unheard"}, {"number": -1}, {"tenant": "Mara Beispiel"}, {"x": 1}],
)
def test_wrong_entry_is_refused_whole(state, change):
    """An entry outside the closed schema raises Corrupt, quotes nothing, and takes its transaction along."""
    with pytest.raises(Corrupt) as caught, state.transaction() as transaction:
        transaction.put("setting", "x", b"1")
        transaction.append({**intent("job-a", 0), **change})
    assert "Mara" not in str(caught.value)
    assert (state.size(), state.get("setting", "x")) == (0, None)


def test_registers_insert_replace_remove(state):
    """A register's body is replaced by put, guarded by insert, and gone after remove, twice or not."""
    with state.transaction() as transaction:
        transaction.put("tenant", "a", b"1")
        transaction.put("tenant", "a", b"2")
        transaction.insert("tenant", "a", b"2")
        transaction.insert("hold", "a", b"3")
        assert transaction.get("tenant", "a") == b"2"
        transaction.remove("hold", "a")
        transaction.remove("hold", "a")
    assert (state.get("tenant", "a"), state.get("hold", "a")) == (b"2", None)
    with pytest.raises(Refused) as caught, state.transaction() as transaction:
        transaction.insert("tenant", "a", b"9")
    assert caught.value.guard == "already-there"
    assert state.get("tenant", "a") == b"2"


def test_refused_insert_may_be_handled_inside(state):
    """A refusal that the caller handles does not take the rest of the transaction along."""
    with state.transaction() as transaction:
        transaction.insert("tenant", "a", b"1")
        with pytest.raises(Refused):
            transaction.insert("tenant", "a", b"2")
        transaction.append(intent("job-a", 0))
    assert (state.size(), state.get("tenant", "a")) == (1, b"1")


def test_items_order_by_code_point_and_prefix(state):
    """Names come in code-point order whatever the database's collation, and a prefix is no pattern."""
    names = ["a", "A", "a%", "a%b", "a_", "ab", "ab.1", "b", "ä", "😀", "a\U0010ffff"]
    with state.transaction() as transaction:
        for name in names:
            transaction.put("rule", name, name.encode())
        transaction.put("plan", "ab", b"")
    assert [name for name, _ in state.items("rule")] == sorted(names)
    assert [name for name, _ in state.items("rule", "a")] == sorted(n for n in names if n.startswith("a"))
    assert [name for name, _ in state.items("rule", "a%")] == ["a%", "a%b"]
    assert list(state.items("rule", "zz")) == []


def test_items_page(state):
    """A register larger than a page comes whole, each name once."""
    with state.transaction() as transaction:
        for number in range(450):
            transaction.put("finding", f"f-{number:04}", b"x")
    assert [name for name, _ in state.items("finding", "f-")] == [f"f-{n:04}" for n in range(450)]


def test_entries_of_job_plan_and_tenant(state):
    """The entries of one job, one plan, one alias come in order, and nobody else's."""
    with state.transaction() as transaction:
        for number in range(1_200):
            transaction.append(intent("job-a" if number % 3 else "job-b", number, ALIAS if number % 2 else None))
        transaction.append(
            {
                "type": "job.started",
                "at": "2026-03-04T05:06:07Z",
                "tenant": None,
                "job": "job-c",
                "plan": "p-1",
                "plan_hash": "sha256:" + "0" * 64,
                "mandate": None,
                "effective_now": "2026-03-04T05:06:07Z",
            },
        )
    assert [index for index, _ in state.of_job("job-b")] == list(range(0, 1_200, 3))
    assert [index for index, _ in state.of_tenant(ALIAS)] == list(range(1, 1_200, 2))
    assert [index for index, _ in state.of_plan("p-1")] == [1_200]
    assert list(state.of_job("job")) == []


def test_entries_of_a_range(state):
    """A range is what was asked for; beyond the log's end there is nothing to believe."""
    for number in range(5):
        step(state, "job-a", number)
    assert [index for index, _ in state.entries(3, 7)] == [3, 4, 5, 6]
    assert [index for index, _ in state.entries(8)] == [8, 9]
    with pytest.raises(Corrupt):
        list(state.entries(8, 11))
    with pytest.raises(Corrupt):
        state.entry(10)
    with pytest.raises(Corrupt):
        state.root(11)
    with pytest.raises(Corrupt):
        state.root(-1)


def test_tree_serves_every_root_and_proof(state):
    """Every earlier root, inclusion and consistency proof follows from the stored nodes, whatever the batching."""
    written = 0
    for batch in (1, 2, 3, 5, 8, 13, 1, 1, 20):
        with state.transaction() as transaction:
            for _ in range(batch):
                transaction.append(intent("job-a", written))
                written += 1
    leaves = [merkle.leaf_hash(body) for _, body in state.entries()]
    for size in range(1, written + 1):
        assert state.root(size) == merkle.root_of(leaves[:size])
    root = state.root()
    for index in range(0, written, 5):
        path = merkle.inclusion_proof(index, written, state.node)
        assert merkle.verify_inclusion(leaves[index], index, written, path, root)
        proof = merkle.consistency_proof(index, written, state.node)
        assert merkle.verify_consistency(index, state.root(index), written, root, proof)


def test_large_transaction_is_flushed_in_pieces(state):
    """A transaction of some thousand entries is still one: chain, tree and count are those of single ones."""
    with state.transaction() as transaction:
        for number in range(2_500):
            transaction.append(intent("job-a", number, ALIAS))
        transaction.put("job", "job-a", b"1250")
    assert check_whole(state) == 2_500


def test_failure_inside_keeps_nothing(state):
    """An exception of the caller undoes entries, nodes and registers, and the next transaction works."""
    step(state, "job-a", 0)
    with pytest.raises(ZeroDivisionError), state.transaction() as transaction:
        transaction.append(intent("job-a", 2))
        transaction.put("tenant", "a", b"1")
        raise ZeroDivisionError
    assert (state.size(), state.get("tenant", "a")) == (2, None)
    step(state, "job-a", 1)
    assert check_whole(state) == 4


def test_uncommitted_is_invisible(state):
    """Nobody reads what is not durable yet."""
    with state.transaction() as transaction:
        transaction.append(intent("job-a", 0))
        transaction.put("tenant", "a", b"1")
        assert (state.size(), state.get("tenant", "a")) == (0, None)
    assert (state.size(), state.get("tenant", "a")) == (1, b"1")


def test_nested_transaction_is_found_at_once(state):
    """A second transaction of the same thread is a mistake of the program, not a wait without end."""
    with pytest.raises(RuntimeError, match="already open"), state.transaction(), state.transaction():
        pass
    step(state, "job-a", 0)
    assert check_whole(state) == 2


def test_threads_take_turns(state):
    """Threads of one process write without gaps and without losing an update."""
    threads = [
        threading.Thread(target=lambda job=f"job-{n}": [step(state, job, i) for i in range(15)]) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert check_whole(state) == 120


def test_state_survives_closing(state, url):
    """What was written is there after closing, and closing twice is fine."""
    step(state, "job-a", 0)
    root = state.root()
    state.close()
    state.close()
    again = open_state(url)
    assert (check_whole(again), again.root()) == (2, root)
    again.close()


def test_epoch_rises_for_ever(state, url):
    """Each leader gets an epoch higher than any before, across processes and restarts."""
    seen = []
    for _ in range(3):
        with state.exclusive() as epoch:
            seen.append(epoch)
    again = open_state(url)
    with again.exclusive() as epoch:
        seen.append(epoch)
    again.close()
    assert seen == [1, 2, 3, 4]


def test_two_leaders_are_refused(state, url):
    """A second leader is refused at once, by name of the guard, and gets its turn once the first has gone."""
    again = open_state(url)
    with state.exclusive(), pytest.raises(Refused) as caught, again.exclusive():
        pass
    assert caught.value.guard == "not-leader"
    with again.exclusive() as epoch:
        assert epoch == 2
    again.close()


def test_leader_writes_and_others_read(state, url):
    """The leader's lock excludes other leaders only: registers can be written beside it."""
    again = open_state(url)
    with state.exclusive():
        step(again, "job-a", 0)
        step(state, "job-a", 1)
    again.close()
    assert check_whole(state) == 4
