"""Settings of a deployment (`lifecycle.yaml`): where things are, and bounds that are on by default."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from lifecycle.core.calendar import zone_known
from lifecycle.core.span import Span
from lifecycle.core.throttle import Throttle
from lifecycle.core.value import Fault, Identifier, Line, Value, refuse

Days = Annotated[int, Field(ge=0, le=3650)]
DAY: Final = Span(24 * 3600)
NTP_PORT: Final = 123
_PLACE = re.compile(r"(?:\[(?P<six>[^]]*)\]|(?P<name>[^]:[]*))(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?", re.ASCII)


class Address(Value):
    """Where our own state lies: an address without a secret, or a reference to where the address is read from."""

    url: Line | None = Field(default=None, description="An address without a password, such as sqlite:///state.db.")
    env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,99}$")] | None = Field(
        default=None, description="The environment variable that holds the address."
    )
    file: Line | None = Field(default=None, description="A file of mode 0600, or root's 0440, that holds the address.")
    credential: Identifier | None = Field(default=None, description="A file in $CREDENTIALS_DIRECTORY.")

    @model_validator(mode="after")
    def _one_source(self) -> Address:
        if sum(source is not None for source in (self.url, self.env, self.file, self.credential)) != 1:
            msg = "name exactly one of url, env, file, credential"
            raise ValueError(msg)
        return self


class LimitSettings(Value):
    """Bounds of every run (I4, I12, I15). Raising one is a decision; none can be switched off."""

    most_items: Annotated[int, Field(ge=0, le=1_000_000_000)] = Field(
        default=10_000_000, description="The most items one step may change. 0 changes nothing."
    )
    rows_per_night: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = Field(
        default=None, description="The most rows that one job changes in a night; it goes on the next night by itself."
    )
    margin_days: Days = Field(
        default=3, description="Days before a ceiling on which items are due: 2 × schedule interval + longest run."
    )
    first_batch: Annotated[int, Field(ge=1, le=250_000)] = Field(
        default=10_000, description="Items of the first batch."
    )
    least_batch: Annotated[int, Field(ge=1, le=250_000)] = Field(default=500, description="The smallest batch.")
    most_batch: Annotated[int, Field(ge=1, le=250_000)] = Field(default=250_000, description="The largest batch.")

    @model_validator(mode="after")
    def _ordered(self) -> LimitSettings:
        if not self.least_batch <= self.first_batch <= self.most_batch:
            msg = "least_batch, first_batch and most_batch must be in that order"
            raise ValueError(msg)
        return self


class RuleClass(Value):
    """How often the rules of one class run: every so often, or once on each local day."""

    every: Span = Field(description="The time between two runs, such as PT24H or PT1H.")
    at: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] | None = Field(
        default=None, description="The local time of a daily run, such as 02:00; only with PT24H."
    )
    zone: Line = Field(default="UTC", description="The zone of `at`, such as Europe/Berlin.")

    @model_validator(mode="after")
    def _daily(self) -> RuleClass:
        if self.at is not None and self.every != DAY:
            refuse(Fault(("at",), f"a time of day together with every {self.every}", "write every: PT24H, or no at"))
        if self.at is None and "zone" in self.model_fields_set:
            refuse(Fault(("zone",), "a zone without a time of day", "write at, such as 02:00, or no zone"))
        if not zone_known(self.zone):
            refuse(Fault(("zone",), "no such zone is known", "write a name such as Europe/Berlin"))
        return self

    def margin_days(self, longest_run: Span) -> int:
        """Return the days that a ceiling needs between runs (I15): 2 × interval + longest run, rounded up."""
        return -(-(2 * self.every.seconds + longest_run.seconds) // DAY.seconds)


DAILY: Final = RuleClass(every=DAY, at="02:00")
"""The class `daily` where the settings do not define it."""


class ScheduleSettings(Value):
    """When each rule runs, and how often its deadlines are looked at apart from that."""

    tick: Span = Field(default=Span(30), description="How often the daemon looks for what is due.")
    look: Span = Field(default=Span(15 * 60), description="How often the separate verifier counts what is overdue.")
    longest_run: Span = Field(default=Span(6 * 3600), description="The longest that one run may take.")
    default: Identifier = Field(default="daily", description="The class of each rule that `rules` does not name.")
    classes: dict[Identifier, RuleClass] = Field(
        default={}, description="Classes by name. Without one of that name `daily` is every PT24H, at 02:00, in UTC."
    )
    rules: dict[Identifier, Identifier] = Field(default={}, description="The class of a rule, by the rule's id.")

    @model_validator(mode="after")
    def _known(self) -> ScheduleSettings:
        known = self.by_name()
        fix = f"write one of {', '.join(sorted(known))}, or add the class"
        named: list[tuple[tuple[str, ...], str]] = [(("default",), self.default)]
        named += [(("rules", rule), name) for rule, name in self.rules.items()]
        faults = [Fault(path, f"no class has the name {name!r}", fix) for path, name in named if name not in known]
        faults += [
            Fault(("classes", name, "every"), f"{entry.every} is shorter than a tick", f"write at least {self.tick}")
            for name, entry in self.classes.items()
            if entry.every < self.tick
        ]
        if faults:
            refuse(*faults)
        return self

    def by_name(self) -> Mapping[str, RuleClass]:
        """Return every class there is, by name."""
        return {"daily": DAILY, **self.classes}

    def in_use(self) -> Mapping[str, RuleClass]:
        """Return the default class and each that a rule names."""
        known = self.by_name()
        return {name: known[name] for name in (self.default, *self.rules.values())}


class GuardSettings(Value):
    """What a run is held against: the rule's own history, and a cycle in the shadow."""

    history_factor: Annotated[int, Field(ge=1, le=100)] = Field(
        default=3, description="A run stops at this many times the median of items per due day."
    )
    history_runs: Annotated[int, Field(ge=7, le=365)] = Field(
        default=28, description="The number of last runs that the median is taken of."
    )
    history_floor: Annotated[int, Field(ge=0, le=1_000_000_000)] = Field(
        default=1000, description="Runs of at most this many items never stop for their history."
    )
    shadow: bool = Field(
        default=True, description="After a mandate is granted, one cycle is only watched before the rule runs by it."
    )


class ClockSettings(Value):
    """Clocks beside this host's own (I12, I13)."""

    ntp: Annotated[tuple[Line, ...], Field(max_length=8)] = Field(
        default=(), description="Time servers to be asked over UDP: host, or host:port where the port is not 123."
    )
    state: bool = Field(
        default=False, description="The server of the state is on another host: its clock counts as a second one."
    )

    @field_validator("ntp")
    @classmethod
    def _places(cls, ntp: tuple[str, ...]) -> tuple[str, ...]:
        if len({place(server, NTP_PORT) for server in ntp}) != len(ntp):
            raise ValueError("a time server stands twice; name each once")
        return ntp

    def servers(self) -> tuple[tuple[str, int], ...]:
        """Return host and UDP port of each time server."""
        return tuple(place(server, NTP_PORT) for server in self.ntp)


class HttpSettings(Value):
    """Where /metrics, /healthz, /readyz and /startupz are served. Nothing there changes anything."""

    bind: Line = Field(default="127.0.0.1:9464", description="host:port, IPv6 as [::1]:9464. Port 0: any free one.")

    @field_validator("bind")
    @classmethod
    def _place(cls, bind: str) -> str:
        place(bind, None)
        return bind

    def address(self) -> tuple[str, int]:
        """Return host (IPv6 without brackets) and port."""
        return place(self.bind, None)


class DeadManSettings(Value):
    """Signs of life for who watches from outside: silence is the alarm (I26)."""

    file: Line = Field(default="alive", description="The file that each good tick touches.")
    ping: Line | None = Field(default=None, description="An https address that is asked after each good tick.")

    @field_validator("ping")
    @classmethod
    def _https(cls, ping: str | None) -> str | None:
        if ping is None:
            return None
        try:
            parts = urlsplit(ping)
        except ValueError:
            raise ValueError("this is not an address; write https://HOST/PATH") from None
        if parts.scheme != "https" or "@" in parts.netloc or parts.fragment or " " in ping:
            raise ValueError("the address must be https, without user or password; write https://HOST/PATH")
        place(parts.netloc, 443)
        return ping


class MetricsSettings(Value):
    """Where `lifecycle run` leaves its metrics; the service has /metrics."""

    textfile: Line | None = Field(
        default=None, description="A file for the textfile collector of Prometheus' node_exporter; ends in .prom."
    )

    @field_validator("textfile")
    @classmethod
    def _read_by_the_collector(cls, textfile: str | None) -> str | None:
        if textfile is not None and not textfile.endswith(".prom"):
            raise ValueError("the collector reads only files that end in .prom; write such as lifecycle.prom")
        return textfile


class DaemonSettings(Value):
    """How the service ends."""

    stop_within: Span = Field(
        default=Span(45), description="After SIGTERM the batch ends within this, or the server rolls it back."
    )


class Settings(Value):
    """One deployment. Paths are relative to the folder of the settings file."""

    lifecycle: Literal["settings/v1"]
    deployment: Identifier = Field(description="The deployment's name; part of the log's origin.")
    origin: Line = Field(description="The log's name in checkpoints, such as lifecycle.example.com/log.")
    state: Address = Address(url="sqlite:///state.db")
    policies: Line = Field(default="policies", description="The folder of agreements, statutes and the operator file.")
    inventory: Line = Field(default="inventory.yaml", description="The inventory of this deployment.")
    tenants: Line | None = Field(default=None, description="The tenants document, read at every run; none: CLI only.")
    operators: Line = Field(default="operators.yaml", description="The public keys that may approve.")
    keys: Line = Field(default="keys", description="The folder of the deployment's keys (mode 0700, files 0600).")
    checkpoint: Line = Field(default="checkpoint", description="The checkpoint's copy outside the database.")
    stop_file: Line = Field(default="STOP", description="While this file exists nothing is changed.")
    limits: LimitSettings = LimitSettings()
    throttle: dict[Identifier, Throttle] = Field(
        default={}, description="By store: maintenance windows, and what holds changes back."
    )
    leader_url: Address | None = Field(
        default=None, description="A direct address of the state's PostgreSQL, for locks; without it the state's own."
    )
    schedule: ScheduleSettings = Field(default=ScheduleSettings(), description="When each rule runs.")
    guards: GuardSettings = Field(default=GuardSettings(), description="What a run is held against.")
    clocks: ClockSettings = Field(default=ClockSettings(), description="Clocks beside this host's own.")
    http: HttpSettings = Field(default=HttpSettings(), description="Where metrics and health are served.")
    metrics: MetricsSettings = Field(default=MetricsSettings(), description="Where a single run leaves its metrics.")
    dead_man: DeadManSettings = Field(default=DeadManSettings(), description="Signs of life for who watches.")
    daemon: DaemonSettings = Field(default=DaemonSettings(), description="How the service stops.")

    @model_validator(mode="after")
    def _margins(self) -> Settings:
        """Refuse a margin that cannot hold a ceiling between two runs (I15)."""
        faults = list(self._too_narrow())
        if faults:
            refuse(*faults)
        return self

    def _too_narrow(self) -> Iterator[Fault]:
        given = self.limits.margin_days
        written = "limits" in self.model_fields_set and "margin_days" in self.limits.model_fields_set
        for name, entry in self.schedule.in_use().items():
            needed = entry.margin_days(self.schedule.longest_run)
            if given < needed:
                yield Fault(
                    ("limits", "margin_days") if written else ("schedule", "classes", name, "every"),
                    f"a margin of {given} days cannot hold ceilings of rules that run every {entry.every} (I15)",
                    f"write limits.margin_days: {needed}, or let the class {name!r} run more often",
                )


def place(text: str, port: int | None) -> tuple[str, int]:
    """Read `host:port`, where IPv6 stands in brackets; `port` is what is meant where none is written.

    Raises ValueError with what to write instead; it does not repeat the text.
    """
    match = _PLACE.fullmatch(text)
    written = port if match is None or match["port"] is None else int(match["port"])
    if match is None or written is None:
        raise ValueError("this is not a host with its port; write HOST:PORT, and IPv6 as [::1]:PORT")
    if written > 65535:
        raise ValueError("a port is a number up to 65535; correct it")
    if match["six"] is not None:
        return _numbered(match["six"], IPv6Address), written
    if re.fullmatch(r"[0-9.]+", match["name"], re.ASCII):
        return _numbered(match["name"], IPv4Address), written
    if _HOST.fullmatch(match["name"]) is None:
        raise ValueError("this is not the name of a host; write letters, digits, hyphens and dots")
    return match["name"], written


def _numbered(text: str, kind: type[IPv4Address | IPv6Address]) -> str:
    try:
        return str(kind(text))
    except AddressValueError:
        raise ValueError("this is not an IP address; write 127.0.0.1:PORT or [::1]:PORT") from None
