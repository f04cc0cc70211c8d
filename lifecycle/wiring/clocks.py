"""Clocks that do not follow this host's: time servers (SNTP, RFC 4330 and 5905), and the state's database server.

A time server is believed when its answer is one to our very question and it says that it is synchronised. Of several
the lower middle counts: one that is wrong moves nothing, and of two the earlier one rules.
"""

from __future__ import annotations

import secrets
import selectors
import socket
import statistics
import struct
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from lifecycle.core.errors import LifecycleError
from lifecycle.core.settings import ClockSettings
from lifecycle.ports.clock import NoSecondClock, SecondClock, SystemClock

ANSWER_SECONDS: Final = 1.5
"""How long answers are waited for; resolving a name counts."""
KEPT_SECONDS: Final = 60.0
"""How long an answer, or its absence, stands; the monotonic clock goes on from it. Servers ask for no less."""
_SPARE_SECONDS: Final = 0.4

_PACKET: Final = struct.Struct("!BBbbII4sIIIIIIII")
"""Flags, stratum, poll, precision, root delay and dispersion, reference id, then four timestamps (RFC 5905, 7.3)."""
_STAMP: Final = struct.Struct("!II")
_REQUEST: Final = bytes([0b00_100_011]) + bytes(39)
"""No warning, version 4, client; a transmit timestamp follows: a random one, which tells nobody our time."""
_SERVER, _UNSYNCHRONISED, _DEEPEST = 4, 3, 15
_DENIED: Final = (b"DENY", b"RSTR")
"""Kisses of death after which a server may not be asked again."""
_UNIX: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NTP_BEGINS: Final = -2_208_988_800
"""1900-01-01, in seconds since 1970."""

Server = tuple[str, int]


class ServerClock(Protocol):
    """What a state knows about its server's clock."""

    def second_clock(self) -> datetime | None:
        """Return the server's present; None where the state has no server."""


@dataclass(frozen=True, slots=True)
class StateClock:
    """The clock of the state's server, which the settings say is another host."""

    state: ServerClock

    def read(self) -> datetime | None:
        """Return the server's present; None while it does not answer."""
        try:
            return self.state.second_clock()
        except LifecycleError:
            # Whoever needs the state itself is told; a clock that cannot be read only confirms nothing.
            return None


def of_state(settings: ClockSettings, state: ServerClock) -> SecondClock:
    """Return the clock of the state's server, if the settings count it as a second one."""
    return StateClock(state) if settings.state else NoSecondClock()


def of_network(settings: ClockSettings) -> SecondClock:
    """Return the clock of the time servers that the settings name, if any."""
    servers = settings.servers()
    return TimeServers(servers) if servers else NoSecondClock()


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the servers' clocks showed when the monotonic one showed `at`; None: nothing that can be believed."""

    time: datetime | None
    at: float


class TimeServers:
    """Asks time servers at most once a minute, and goes on from their answer in between."""

    def __init__(
        self, servers: Sequence[Server], *, seconds: float = ANSWER_SECONDS, kept: float = KEPT_SECONDS
    ) -> None:
        """Be ready to ask these (host, UDP port); nothing is sent yet."""
        self._servers = list(servers)
        self._seconds = seconds
        self._kept = kept
        self._lock = threading.Lock()
        self._asking: threading.Thread | None = None
        self._last: _Answer | None = None

    def read(self) -> datetime | None:
        """Return the servers' present; None when none gave an answer that can be believed."""
        with self._lock:
            if self._last is None or _elapsed() - self._last.at >= self._kept:
                self._last = self._refreshed()
            if self._last.time is None:
                return None
            return self._last.time + timedelta(seconds=_elapsed() - self._last.at)

    def _refreshed(self) -> _Answer:
        """Ask in a thread: resolving a name may take longer than anybody here may wait."""
        found: list[_Answer] = []
        if self._asking is None or not self._asking.is_alive():
            self._asking = threading.Thread(target=lambda: found.append(self._ask()), name="ntp", daemon=True)
            self._asking.start()
            self._asking.join(self._seconds + _SPARE_SECONDS)
        return found[0] if found else _Answer(None, _elapsed())

    def _ask(self) -> _Answer:
        """Ask every server at once, and take what has come within the time."""
        heard: list[_Answer] = []
        deadline = _elapsed() + self._seconds
        with ExitStack() as stack, selectors.DefaultSelector() as waiting:
            for server in tuple(self._servers):
                question = _Question.ask(server, stack)
                if question is not None:
                    waiting.register(question.socket, selectors.EVENT_READ, question)
            while waiting.get_map() and (left := deadline - _elapsed()) > 0:
                for key, _ in waiting.select(left):
                    reply = key.data.hear()
                    if reply is None:
                        continue
                    waiting.unregister(key.fileobj)
                    if reply.time is not None:
                        heard.append(reply.received(key.data.sent))
                    elif reply.denied:
                        self._servers.remove(key.data.server)
        at = _elapsed()
        times = [answer.time + timedelta(seconds=at - answer.at) for answer in heard if answer.time is not None]
        return _Answer(statistics.median_low(times) if times else None, at)


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer: its time when it answered, after how many seconds' work; or that it will not serve us."""

    time: datetime | None = None
    worked: float = 0.0
    denied: bool = False

    @classmethod
    def read(cls, packet: bytes, nonce: bytes) -> Reply | None:
        """Read a packet; None where it is no answer to the question with this nonce: somebody else's, or an old one.

        Without a time: not synchronised (leap 3, a stratum outside 1 … 15), or a kiss-o'-death.
        """
        if len(packet) < _PACKET.size:
            return None
        flags, stratum, _, _, _, _, kiss, _, _, *stamps = _PACKET.unpack_from(packet)
        originate, received, transmitted = stamps[:2], stamps[2:4], stamps[4:]
        if flags & 0b111 != _SERVER or _STAMP.pack(*originate) != nonce:
            return None
        if stratum == 0:
            return cls(denied=kiss in _DENIED)
        if flags >> 6 == _UNSYNCHRONISED or stratum > _DEEPEST or not any(transmitted):
            return cls()
        return cls(_moment(*transmitted), (_moment(*transmitted) - _moment(*received)).total_seconds())

    def received(self, sent: float) -> _Answer:
        """Return the server's time now: half of what the way to it and back took has passed since it answered."""
        at = _elapsed()
        assert self.time is not None  # noqa: S101 - asked for answers that tell the time
        return _Answer(self.time + timedelta(seconds=max(0.0, at - sent - max(0.0, self.worked)) / 2), at)


@dataclass(frozen=True, slots=True)
class _Question:
    """A question on its way: to whom, when, and the number that only its answer can know."""

    server: Server
    socket: socket.socket
    nonce: bytes
    sent: float

    @classmethod
    def ask(cls, server: Server, stack: ExitStack) -> _Question | None:
        """Send the question; None where the name is not known or no address of it can be reached."""
        with suppress(OSError):
            for family, kind, protocol, _, address in socket.getaddrinfo(*server, type=socket.SOCK_DGRAM):
                with suppress(OSError):
                    connected = stack.enter_context(socket.socket(family, kind, protocol))
                    # Connected: the system drops what other addresses send.
                    connected.connect(address)
                    connected.setblocking(False)
                    question = cls(server, connected, secrets.token_bytes(_STAMP.size), _elapsed())
                    connected.send(_REQUEST + question.nonce)
                    return question
        return None

    def hear(self) -> Reply | None:
        """Read one packet; None: not our answer, so wait on. An unreachable server answers without a time."""
        try:
            return Reply.read(self.socket.recv(512), self.nonce)
        except BlockingIOError:
            return None
        except OSError:
            return Reply()


def _moment(seconds: int, fraction: int) -> datetime:
    """Return an NTP timestamp's instant: era 0 in its second half, from 1968 on, else era 1, until 2104 (RFC 4330)."""
    era = 0 if seconds >> 31 else 1 << 32
    return _UNIX + timedelta(seconds=seconds + era + _NTP_BEGINS, microseconds=fraction * 1_000_000 >> 32)


def _elapsed() -> float:
    return SystemClock().monotonic()
