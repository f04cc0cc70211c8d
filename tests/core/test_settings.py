"""Settings are bounds: each has a default that protects, none can be switched off."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lifecycle.core.errors import InvalidDocument
from lifecycle.core.settings import (
    DAILY,
    Address,
    ClockSettings,
    DeadManSettings,
    HttpSettings,
    LimitSettings,
    MetricsSettings,
    RuleClass,
    ScheduleSettings,
    Settings,
)
from lifecycle.core.span import Span
from lifecycle.documents import load

BASE = {"lifecycle": "settings/v1", "deployment": "portal", "origin": "lifecycle.example.com/log"}


def test_a_bare_settings_file_is_a_safe_one() -> None:
    """Own state beside the file, ten million rows at most, three days of margin, clocks within a minute."""
    settings = Settings.model_validate(BASE)
    assert (settings.state.url, settings.tenants, settings.stop_file) == ("sqlite:///state.db", None, "STOP")
    limits = settings.limits
    assert (limits.most_items, limits.margin_days) == (10_000_000, 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"url": "sqlite:///a.db", "file": "state.url"},
        {"url": "sqlite:///a.db", "env": "STATE", "file": "a", "credential": "state"},
    ],
)
def test_an_address_has_one_source(wrong: dict[str, Any]) -> None:
    """No source, or two that could disagree, is an error."""
    with pytest.raises(ValidationError, match="exactly one"):
        Address.model_validate(wrong)


@pytest.mark.parametrize(
    "one", [{"url": "sqlite:///a.db"}, {"env": "STATE_URL"}, {"file": "a"}, {"credential": "state"}]
)
def test_any_one_source_will_do(one: dict[str, str]) -> None:
    """An address may stand in the file, the environment, a secret file or a credential."""
    assert Address.model_validate(one).model_dump(exclude_none=True) == one


@pytest.mark.parametrize(
    "wrong",
    [
        {"least_batch": 600, "first_batch": 500, "most_batch": 700},
        {"least_batch": 500, "first_batch": 800, "most_batch": 700},
        {"first_batch": 2_000_000, "most_batch": 2_000_000},
        {"most_items": -1},
        {"most_items": True},
        {"most_items": "10"},
        {"margin_days": -1},
        {"no_such_limit": 1},
    ],
)
def test_a_limit_that_is_none_is_an_error(wrong: dict[str, Any]) -> None:
    """Batches in order, counts from 0, no text, no yes, nothing unknown."""
    with pytest.raises(ValidationError):
        LimitSettings.model_validate(wrong)


def test_I04_zero_is_a_limit() -> None:
    """`most_items: 0` is a wish that is kept, not a missing value."""
    assert LimitSettings.model_validate({"most_items": 0}).most_items == 0


def read(text: str) -> Settings:
    """Read settings as a deployment does."""
    head = "lifecycle: settings/v1\ndeployment: portal\norigin: lifecycle.example.com/log\n"
    document = load((head + text).encode(), "settings").document
    assert isinstance(document, Settings)
    return document


def problems(text: str) -> list[tuple[int, int, str, str]]:
    """Return line, column, what and fix of each problem; the first line of the text is line 4."""
    with pytest.raises(InvalidDocument) as caught:
        read(text)
    return [(p.line, p.column, p.what, p.fix) for p in caught.value.problems]


EVERYTHING = """\
leader_url: {env: LIFECYCLE_LEADER_URL}
schedule:
  tick: PT30S
  look: PT15M
  longest_run: PT6H
  default: daily
  classes: {daily: {every: PT24H, at: "02:00", zone: Europe/Berlin}, often: {every: PT1H}}
  rules: {logs: often}
guards: {history_factor: 3, history_runs: 28, history_floor: 1000, shadow: true}
clocks: {ntp: [ntp.example.com, "192.0.2.7:1123", "[2001:db8::7]:1123"], state: true}
http: {bind: "127.0.0.1:9464"}
dead_man: {file: alive, ping: "https://watch.example.com/a/b?c=d"}
daemon: {stop_within: PT45S}
"""


def test_a_daemon_needs_no_settings_of_its_own() -> None:
    """Once a day, a look each quarter of an hour, every guard on, metrics on loopback, one clock."""
    settings = Settings.model_validate(BASE)
    schedule, guards = settings.schedule, settings.guards
    assert (str(schedule.tick), str(schedule.look), str(schedule.longest_run)) == ("PT30S", "PT15M", "PT6H")
    assert schedule.in_use() == {"daily": DAILY}
    assert (guards.history_factor, guards.history_runs, guards.history_floor, guards.shadow) == (3, 28, 1000, True)
    assert settings.http.address() == ("127.0.0.1", 9464)
    assert (settings.clocks.servers(), settings.clocks.state, settings.leader_url) == ((), False, None)
    assert settings.dead_man == DeadManSettings(file="alive", ping=None)
    assert settings.daemon.stop_within == Span(45)


def test_what_is_written_is_what_rules() -> None:
    """Each setting of the daemon reads from YAML as it is documented."""
    settings = read(EVERYTHING)
    assert settings.schedule.in_use() == {
        "daily": RuleClass(every=Span(86400), at="02:00", zone="Europe/Berlin"),
        "often": RuleClass(every=Span(3600)),
    }
    assert settings.clocks.servers() == (("ntp.example.com", 123), ("192.0.2.7", 1123), ("2001:db8::7", 1123))
    assert settings.leader_url == Address(env="LIFECYCLE_LEADER_URL")
    assert settings.dead_man.ping == "https://watch.example.com/a/b?c=d"


@pytest.mark.parametrize(
    ("every", "longest", "days"),
    [("PT24H", "PT6H", 3), ("PT24H", "PT24H", 3), ("PT24H", "PT24H1S", 4), ("PT1H", "PT6H", 1), ("PT168H", "PT6H", 15)],
)
def test_I15_the_margin_follows_from_the_schedule(every: str, longest: str, days: int) -> None:
    """Twice the interval and the longest run, in whole days, rounded up: exactly that is enough."""
    entry = RuleClass(every=Span.parse(every))
    assert entry.margin_days(Span.parse(longest)) == days
    text = f"schedule: {{longest_run: {longest}, classes: {{daily: {{every: {every}}}}}}}\n"
    assert read(f"limits: {{margin_days: {days}}}\n{text}").limits.margin_days == days
    (found,) = problems(f"limits: {{margin_days: {days - 1}}}\n{text}")
    assert found[:2] == (4, 23)
    assert f"limits.margin_days: {days}," in found[3]


def test_I15_a_schedule_that_no_margin_holds_is_an_error_where_it_stands() -> None:
    """Where no margin is written, the interval is what is wrong; a class that no rule uses asks for nothing."""
    (found,) = problems("schedule:\n  classes:\n    daily: {every: PT48H}\n    rare: {every: PT744H}\n")
    assert found[:2] == (6, 20)
    text = "schedule:\n  classes:\n    rare: {every: PT168H}\n"
    assert read(text).limits.margin_days == 3
    assert problems(text + "  rules: {logs: rare}\n")[0][3].startswith("write limits.margin_days: 15")


def test_a_class_that_does_not_exist_is_an_error() -> None:
    """A misspelt class would leave a rule without a schedule: all of them are reported, with what there is."""
    text = "schedule: {default: nightly, rules: {logs: oftn}, classes: {often: {every: PT1H}}}\n"
    found = problems(text)
    assert [what for _, _, what, _ in found] == [
        "no class has the name 'nightly'",
        "no class has the name 'oftn'",
    ]
    assert {fix for *_, fix in found} == {"write one of daily, often, or add the class"}


def test_a_class_is_not_due_more_often_than_somebody_looks() -> None:
    """An interval shorter than a tick could never be kept."""
    assert "shorter than a tick" in problems("schedule: {classes: {often: {every: PT10S}}}\n")[0][2]
    assert read("schedule: {tick: PT5S, classes: {often: {every: PT10S}}}\n").schedule.tick == Span(5)


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ('{every: PT1H, at: "02:00"}', "a time of day together with every PT1H"),
        ('{every: PT48H, at: "02:00"}', "a time of day together with every PT48H"),
        ("{every: PT24H, zone: Europe/Berlin}", "a zone without a time of day"),
        ('{every: PT24H, at: "02:00", zone: Europe/Atlantis}', "no such zone"),
        ('{every: PT24H, at: "02:00", zone: localtime}', "no such zone"),
        ('{every: PT24H, at: "24:00"}', "does not have the form"),
        ('{every: PT24H, at: "2:00"}', "does not have the form"),
        ("{every: P1D}", "not a length of time"),
        ('{at: "02:00"}', "every is missing"),
    ],
)
def test_a_class_says_one_thing(entry: str, what: str) -> None:
    """A time of day belongs to a daily class, a zone to a time of day."""
    assert any(what in found for _, _, found, _ in problems(f"schedule: {{classes: {{daily: {entry}}}}}\n"))


@pytest.mark.parametrize(
    ("bind", "address"),
    [
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("[::1]:9464", ("::1", 9464)),
        ("[::]:0", ("::", 0)),
        ("localhost:9464", ("localhost", 9464)),
        ("metrics-1.example.com:65535", ("metrics-1.example.com", 65535)),
    ],
)
def test_an_address_to_serve_on_is_a_host_and_a_port(bind: str, address: tuple[str, int]) -> None:
    """IPv4, a name, or IPv6 in brackets."""
    assert HttpSettings(bind=bind).address() == address


@pytest.mark.parametrize(
    "bind",
    ["localhost", ":80", "::2:80", "[::2]", "[::2:80", "1.2.3:80", "300.0.0.1:80", "[nonsense]:80", "a_b:80", "-a:80",
     "host:65536", "host:123456", "host:-1", "host:", "ho st:80", "http://host:80", "[]:80", "a..b:80"],
)  # fmt: skip
def test_what_is_no_address_is_an_error(bind: str) -> None:
    """Half an address would be guessed by the system; it is refused, and never repeated in the message."""
    with pytest.raises(ValidationError) as caught:
        HttpSettings(bind=bind)
    assert bind not in str(caught.value.errors(include_input=False, include_url=False))


def test_a_time_server_is_named_once() -> None:
    """Twice the same server is one clock; a name with and without its port is the same server."""
    with pytest.raises(ValidationError, match="stands twice"):
        ClockSettings(ntp=("ntp.example.com", "ntp.example.com:123"))
    with pytest.raises(ValidationError):
        ClockSettings(ntp=tuple(f"ntp{number}.example.com" for number in range(9)))


@pytest.mark.parametrize(
    "ping",
    ["http://watch.example.com/a", "https://user:word@watch.example.com/a", "https://word@watch.example.com", "https://",
     "watch.example.com/a", "file:///etc/passwd", "https://watch.example.com/a b", "https://[::1/a",
     "https://watch.example.com:x/", "https://watch.example.com/#a", "https://watch.example.com:99999/"],
)  # fmt: skip
def test_a_sign_of_life_goes_over_https_and_carries_no_password(ping: str) -> None:
    """Another scheme, a user or password, or no host at all: refused, and not repeated."""
    with pytest.raises(ValidationError) as caught:
        DeadManSettings(ping=ping)
    assert ping not in str(caught.value.errors(include_input=False, include_url=False))


@pytest.mark.parametrize(
    "wrong",
    [
        {"guards": {"history_factor": 0}},
        {"guards": {"history_runs": 6}},
        {"guards": {"history_floor": -1}},
        {"guards": {"shadow": "no"}},
        {"clocks": {"state": 1}},
        {"daemon": {"stop_within": "PT0S"}},
        {"schedule": {"tick": 30}},
        {"schedule": {"rules": {"Logs": "daily"}}},
        {"leader_url": {}},
    ],
)
def test_I04_a_guard_that_is_none_is_an_error(wrong: dict[str, Any]) -> None:
    """No factor of nothing, no history of a few days, no yes instead of true."""
    with pytest.raises(ValidationError):
        Settings.model_validate(BASE | wrong)


def test_metrics_are_left_where_the_collector_reads() -> None:
    """Only files that end in .prom are collected; without a file a run leaves no metrics."""
    assert MetricsSettings().textfile is None
    assert MetricsSettings(textfile="metrics/lifecycle.prom").textfile == "metrics/lifecycle.prom"
    with pytest.raises(ValidationError, match=r"end in \.prom"):
        MetricsSettings(textfile="metrics/lifecycle.txt")


def test_a_schedule_is_a_value() -> None:
    """Two settings files that say the same are the same schedule."""
    assert ScheduleSettings() == ScheduleSettings.model_validate({})
