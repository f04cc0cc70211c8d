"""Fresh processes: forked from a parent that has everything imported, ended by it, their answers read from a pipe."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.faults.work import Armed

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.flow.deployment import Deployment
    from tests.portal import World

PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Ended:
    """How a child ended: killed at its failpoint, done with an answer, or failed with an error's class."""

    killed: bool
    answer: Any = None
    error: str | None = None


def spawn(
    world: World,
    work: Callable[[Deployment], Any],
    *,
    name: str = "*",
    nth: int = 0,
    interrupt: signal.Signals = signal.SIGKILL,
) -> Ended:
    """Run the work in a new process, and end that process at the nth hit of a failpoint."""
    tell_read, tell_write = os.pipe()
    answer_read, answer_write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(tell_read)
        os.close(answer_read)
        _child(world, work, Armed(name, nth, tell_write), answer_write)
    os.close(tell_write)
    os.close(answer_write)
    try:
        return _parent(child, tell_read, answer_read, interrupt)
    finally:
        os.close(tell_read)
        os.close(answer_read)


def _child(world: World, work: Callable[[Deployment], Any], armed: Armed, answer: int) -> None:
    status = 0
    try:
        with world.open(failpoint=armed) as deployment:
            result = work(deployment)
        body = json.dumps({"answer": result, "hits": armed.hits})
    except BaseException as error:  # noqa: BLE001 - the parent decides what a failed child means
        status = 1
        detail = "".join(traceback.format_exception(error)) if os.environ.get("FAULTS_DEBUG") else ""
        body = json.dumps({"error": type(error).__name__, "message": f"{error}{detail}"})
    with os.fdopen(answer, "w") as stream:
        stream.write(body)
    sys.stdout.flush()
    os._exit(status)


def _parent(child: int, tell: int, answer: int, interrupt: signal.Signals) -> Ended:
    chunks: list[bytes] = []
    waiting = {tell, answer}
    while waiting:
        ready, _, _ = select.select(list(waiting), [], [], PATIENCE_SECONDS)
        if not ready:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return Ended(killed=False, error="hung")
        for end in ready:
            data = os.read(end, 65536)
            if end == tell and data:
                os.kill(child, interrupt)
                os.waitpid(child, 0)
                return Ended(killed=True)
            if not data:
                waiting.discard(end)
            chunks.append(data)
    os.waitpid(child, 0)
    said = json.loads(b"".join(chunks) or b'{"error": "silent"}')
    if "error" in said:
        return Ended(killed=False, error=f"{said['error']}: {said.get('message', '')}")
    return Ended(killed=False, answer=said)
