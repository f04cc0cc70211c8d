"""What a second process does to a state: run by the tests, killed by them, or killing itself.

python -m tests.state.child VERB URL …
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import event

from lifecycle.core.errors import LifecycleError, Refused
from lifecycle.ports.state import Lease
from lifecycle.state import SqlState, open_state
from tests.state import sample


def write(url: str, count: str, name: str) -> None:
    """Append `count` transactions, each acknowledged on stdout once it is durable."""
    state = open_state(url)
    print("ready", flush=True)
    for number in range(int(count)):
        sample.step(state, name, number)
        print(number, flush=True)
    state.close()


def die(url: str) -> None:
    """For each number on stdin, let a fork of us die before its n-th statement; print how much it had confirmed."""
    print("ready", flush=True)
    for number in sys.stdin:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            _die_at(url, int(number), writer)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as confirmed:
            count = len(confirmed.read())
        _, status = os.waitpid(pid, 0)
        print(count, os.waitstatus_to_exitcode(status), flush=True)


def _die_at(url: str, statement: int, confirmed: int) -> None:
    """Two transactions; SIGKILL just before the n-th statement since opening (BEGIN and COMMIT count as one each)."""
    state = open_state(url)
    left = [statement]

    def count(*_arguments: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(state._engine, "before_cursor_execute", count)
    event.listen(state._engine, "commit", count)
    for number in range(2):
        sample.step(state, "job-d", number)
        os.write(confirmed, b".")


def lead(url: str) -> None:
    """Hold the leader's lock until killed."""
    state = open_state(url)
    with state.exclusive() as epoch:
        print(epoch, flush=True)
        signal.pause()


def reign(url: str) -> None:
    """Take a lock and answer each line on stdin with what holding it is worth now.

    `exclusive` and `lead` take it; `write` appends under it; `lost` asks; `end` gives it back.
    """
    state = open_state(url)
    with ExitStack() as stack:
        lease: Lease | None = None
        for line in sys.stdin:
            match line.strip():
                case "exclusive":
                    answer = _answered(lambda: stack.enter_context(state.exclusive()))
                case "lead":
                    lease = stack.enter_context(state.lead())
                    answer = "leads"
                case "write":
                    answer = _answered(lambda: sample.step(state, f"job-{os.getpid()}", 0))
                case "lost":
                    answer = str(lease is not None and lease.lost())
                case _:
                    break
            print(answer, flush=True)
    print("ended", flush=True)


def _answered(act: Callable[[], object]) -> str:
    try:
        return str(act())
    except Refused as error:
        return error.guard
    except LifecycleError as error:
        return type(error).__name__


def fill(url: str, limit: str) -> None:
    """Write until the file may not grow any more, then say what the state holds."""
    state = open_state(url)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), hard))
    done = _until_failure(state)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    print(f"{done} {state.size()}", flush=True)


def _until_failure(state: SqlState) -> str:
    for number in range(100_000):
        try:
            sample.step(state, "job-f", number)
        except LifecycleError as error:
            return f"{type(error).__name__} {number}"
    return "none 0"


def read(url: str) -> None:
    """Walk through all entries; print their number and by how many KiB the process grew."""
    state = open_state(url)
    next(state.entries())
    before = _peak()
    count = sum(1 for _ in state.entries())
    print(count, _peak() - before, flush=True)


def _peak() -> int:
    """This process' own peak in KiB; ru_maxrss would be inherited from whoever started it."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    {"write": write, "die": die, "lead": lead, "reign": reign, "fill": fill, "read": read}[sys.argv[1]](*sys.argv[2:])
