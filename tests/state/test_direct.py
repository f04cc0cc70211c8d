"""Addresses that cannot carry a lock: shown on a real PgBouncer."""

from __future__ import annotations

import pytest

from lifecycle.core.errors import Refused
from lifecycle.state import open_state, require_direct
from tests import servers
from tests.state.sample import check_whole, step


@pytest.mark.parametrize(("pool_size", "round_robin"), [(1, False), (5, False), (5, True)])
def test_transaction_pool_cannot_carry_locks(postgres_url, pool_size, round_robin):
    """A pooler in transaction mode is found out, whether its clients share one connection or change between many."""
    with servers.pgbouncer(postgres_url, mode="transaction", pool_size=pool_size, round_robin=round_robin) as pooled:
        with pytest.raises(Refused) as caught:
            require_direct(pooled)
        assert caught.value.guard == "pooled"
        assert "leader_url" in caught.value.advice()


def test_leading_through_a_transaction_pool_is_refused(postgres_url):
    """Neither leading nor deleting starts where a lock would be somebody else's; with a direct address both do."""
    with servers.pgbouncer(postgres_url, mode="transaction", pool_size=3) as pooled:
        state = open_state(pooled, create=True)
        for taken in (state.lead, state.exclusive):
            with pytest.raises(Refused) as caught, taken():
                pass
            assert caught.value.guard == "pooled"
        state.close()
        state = open_state(pooled, leader_url=postgres_url)
        with state.lead() as lease, state.exclusive():
            step(state, "job-a", 0)
            assert not lease.lost()
        assert check_whole(state) == 2
        state.close()


def test_session_pool_carries_locks(postgres_url):
    """A pooler in session mode keeps each client's connection: locks hold, and are free again afterwards."""
    with servers.pgbouncer(postgres_url, mode="session", pool_size=6) as pooled:
        require_direct(pooled)
        state = open_state(pooled, create=True)
        for number in range(3):
            with state.lead() as lease, state.exclusive() as epoch:
                step(state, "job-a", number)
                assert (lease.lost(), epoch) == (False, number + 1)
        state.close()


def test_leader_url_of_another_database_is_refused(postgres_server):
    """A lock in another database excludes nobody here: the two addresses must lead to one."""
    with servers.fresh_database(postgres_server.url) as one, servers.fresh_database(postgres_server.url) as other:
        with pytest.raises(Refused) as caught:
            require_direct(one, other)
        assert caught.value.guard == "leader-url"
        require_direct(one, one)
        state = open_state(one, create=True, leader_url=other)
        with pytest.raises(Refused), state.lead():
            pass
        state.close()


def test_file_is_always_direct(tmp_path):
    """A state in a file has no pooler before it; nothing is opened to find that out."""
    require_direct(f"sqlite:///{tmp_path / 'state.sqlite'}")
    assert not list(tmp_path.iterdir())
