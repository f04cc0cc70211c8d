"""Signs of life for who watches from outside: a file's age, or an address that is asked. Silence is the alarm (I26)."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path

from lifecycle.core.errors import LifecycleError, Transient
from lifecycle.flow.deployment import instant
from lifecycle.wiring.outside import replace

_SECONDS = 5


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A watcher that sends us elsewhere is not the one that was configured."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """Follow nothing."""


def sign(path: Path, ping: str | None, now: datetime, *, leader: bool) -> list[LifecycleError]:
    """Leave the signs and return what failed; neither failure stops anything.

    A replica that stands by leaves its file and asks nobody: the address would never fall silent while one stands by.
    """
    failed: list[LifecycleError] = []
    try:
        replace(path, json.dumps({"at": instant(now), "leader": leader}).encode() + b"\n", mode=0o644)
    except LifecycleError as error:
        failed.append(error)
    if leader and ping is not None:
        try:
            _ask(ping)
        except LifecycleError as error:
            failed.append(error)
    return failed


def _ask(ping: str) -> None:
    # Settings allow https only; proxies of the environment are somebody else's, redirects are refused.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
    try:
        with opener.open(ping, timeout=_SECONDS) as answer:
            answer.read(1)
    except urllib.error.HTTPError as error:
        error.close()
        raise Transient(f"the dead man's address answered {error.code}") from None
    except (OSError, ValueError) as error:
        raise Transient(f"the dead man's address could not be asked ({type(error).__name__})") from None
