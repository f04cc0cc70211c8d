"""The closed schema of the log."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.evidence import canonical, schema
from lifecycle.evidence.entry import TYPES, decode_entry, encode_entry
from lifecycle.evidence.errors import EvidenceError, Malformed
from tests.evidence import world
from tests.evidence.world import NEIGHBOUR, TENANT

HEAD = {"v": 1, "at": "2026-03-01T02:00:00Z", "tenant": None, "seq": None, "prev": None}
OWNED = {"tenant": TENANT, "seq": 0, "prev": None}


def samples():
    """One entry of every type."""
    plan_hash = world.digest(b"plan")
    told = [
        *world.offboarding(world.make_plan("offboarding"), plan_hash),
        world.mandate(),
        world.mandate("renewed"),
        world.mandate("revoked"),
        {"type": "operator.removed", "operator": "ops-a", "public_key": world.OPS_A.public.public_key},
        {"type": "hold.set", "hold": "h-1", "basis": "legal-order", "datasets": ["tickets"]},
        {"type": "hold.released", "hold": "h-1", "basis": "legal-order", "datasets": ["tickets"]},
        {
            "type": "instruction.recorded",
            "instruction": "i-1",
            "kind": "delete-earlier",
            "state": "accepted",
            "channel": "text",
            "reference_digest": world.mac("ticket"),
        },
        {
            "type": "certificate.issued",
            "certificate": "c-1",
            "number": "2026-0001",
            "job": "job-7",
            "statement_hash": plan_hash,
            "supersedes": None,
        },
        {"type": "control.stopped", "operator": "ops-a", "reason": "operator"},
        {"type": "control.resumed", "operator": None, "reason": "file"},
        {"type": "guard.refused", "guard": "clock-spread", "rule": None, "job": "job-7"},
    ]
    return {entry["type"]: {**HEAD, **(OWNED if entry.get("tenant") else {}), **entry} for entry in told}


SAMPLES = samples()


def test_there_is_a_sample_of_every_type_and_each_reads_back():
    """All types of the log are exercised."""
    assert SAMPLES.keys() == TYPES.keys()
    for entry in SAMPLES.values():
        data = encode_entry(entry)
        assert decode_entry(data) == entry
        assert encode_entry(decode_entry(data)) == data


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_a_missing_or_unknown_field_is_refused_in_every_type(kind):
    """The schema is closed on both sides."""
    entry = SAMPLES[kind]
    for name in entry:
        with pytest.raises(Malformed):
            encode_entry({key: value for key, value in entry.items() if key != name})
    with pytest.raises(Malformed):
        encode_entry({**entry, "note": "x"})


@pytest.mark.parametrize("kind", sorted(TYPES))
@pytest.mark.parametrize("value", ["Max Mustermann", "max@example.com", "", -1, 1.5, {}, [], [1], object()])
def test_I23_no_field_of_any_type_takes_text_of_a_person_or_another_shape(kind, value):
    """Not one field of the log has room for a name, an address or free text."""
    entry = SAMPLES[kind]
    for name in entry:
        if value == [] and name in ("datasets", "checks", "steps", "documents") and kind == "export.delivered":
            continue
        with pytest.raises(Malformed) as caught:
            encode_entry({**entry, name: value})
        assert "ustermann" not in str(caught.value)
        assert "example.com" not in str(caught.value)


def nested(value, wrong):
    """Every copy of a list or object with one inner field replaced."""
    if isinstance(value, list):
        for at, member in enumerate(value):
            for other in nested(member, wrong):
                yield [*value[:at], other, *value[at + 1 :]]
    elif isinstance(value, dict):
        for name in value:
            yield {**value, name: wrong}
            yield {key: member for key, member in value.items() if key != name}
        yield {**value, "more": 1}


def test_nested_records_are_closed_too():
    """Steps, checks, documents and exported datasets have no room either."""
    cases = 0
    for entry in SAMPLES.values():
        for name, value in entry.items():
            for other in nested(value, "Max Mustermann"):
                cases += 1
                with pytest.raises(Malformed):
                    encode_entry({**entry, name: other})
    assert cases > 70


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("deployment.created", {"v": 2}),
        ("deployment.created", {"v": True}),
        ("deployment.created", {"type": "deployment.destroyed"}),
        ("deployment.created", {"type": None}),
        ("deployment.created", {"tenant": TENANT, "seq": 0}),
        ("deployment.created", {"seq": 0}),
        ("deployment.created", {"prev": 0}),
        ("tenant.changed", {"tenant": None, "seq": None}),
        ("tenant.changed", {"tenant": "t-acme"}),
        ("tenant.changed", {"tenant": TENANT.upper()}),
        ("tenant.changed", {"seq": None}),
        ("tenant.changed", {"prev": 4}),
        ("tenant.changed", {"seq": 1}),
        ("tenant.changed", {"seq": True}),
        ("tenant.changed", {"change": "archived"}),
        ("run.summary", {"tenant": None, "seq": None}),
        ("export.delivered", {"tenant": None, "seq": None}),
        ("plan.created", {"tenant": None, "seq": None}),
        ("plan.created", {"steps": []}),
        ("hold.set", {"datasets": []}),
        ("mandate.revoked", {"operator": None}),
        ("mandate.revoked", {"signature": None}),
        ("mandate.granted", {"operator": None, "signature": None}),
        ("job.finished", {"deleted": 2**53}),
        ("job.finished", {"outcome": "nearly"}),
        ("verification.done", {"coverage_complete": 1}),
        ("verification.done", {"coverage_complete": None}),
        ("batch.receipt", {"digest": world.digest(b"42")}),
        ("plan.created", {"plan_hash": world.digest(b"").upper()}),
        ("operator.added", {"public_key": "QQ=="}),
        ("plan.approved", {"signature": "QQ=="}),
        ("run.summary", {"day": "2026-02-29"}),
        ("run.summary", {"day": "20260228"}),
        ("run.summary", {"day": "2026-W01-1"}),
        ("run.summary", {"day": "\u0662026-02-28"}),
        ("run.summary", {"day": "3026-02-28"}),
        ("run.summary", {"at": "2026-03-01T24:00:00Z"}),
        ("run.summary", {"at": "2026-03-01T02:00:60Z"}),
        ("run.summary", {"at": "2026-03-01T02:00:00+00:00"}),
        ("run.summary", {"at": "2026-03-01T02:00:00.0Z"}),
        ("run.summary", {"at": "2026-03-01 02:00:00Z"}),
        ("run.summary", {"at": "2026-03-01T02:00:00Z\n"}),
        ("run.summary", {"at": "1026-03-01T02:00:00Z"}),
        ("guard.refused", {"guard": "a" * 81}),
        ("guard.refused", {"guard": "Clock"}),
        ("guard.refused", {"guard": "-clock"}),
        ("guard.refused", {"guard": "clock\n"}),
    ],
)
def test_what_an_entry_cannot_say(kind, changes):
    """Unwritable: other versions, half a chain, a tenant where none belongs, bare digests, odd dates and numbers."""
    with pytest.raises(Malformed):
        encode_entry({**SAMPLES[kind], **changes})


def test_a_mandate_that_its_rule_ended_is_signed_by_nobody():
    """The daemon revokes in nobody's name."""
    entry = {**SAMPLES["mandate.revoked"], "operator": None, "signature": None}
    assert decode_entry(encode_entry(entry)) == entry


def test_a_later_entry_of_a_tenant_names_the_one_before():
    """From the second entry on there is a previous one."""
    entry = {**SAMPLES["tenant.changed"], "seq": 1, "prev": 0, "tenant": NEIGHBOUR}
    assert decode_entry(encode_entry(entry))["prev"] == 0


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{}", b'{"type":"job.started"}', b"x" * 5_000_000])
def test_bytes_that_are_no_entry_are_refused(data):
    """Whatever a database holds, the log reads entries only."""
    with pytest.raises(Malformed):
        decode_entry(data)


@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_no_changed_byte_of_an_entry_stands_for_the_same_entry(kind, data):
    """Any changed byte gives an error or another entry."""
    raw = encode_entry(SAMPLES[kind])
    at = data.draw(st.integers(0, len(raw) - 1))
    mask = data.draw(st.integers(1, 255))
    try:
        other = decode_entry(raw[:at] + bytes([raw[at] ^ mask]) + raw[at + 1 :])
    except EvidenceError:
        return
    assert other != SAMPLES[kind]


def test_instants_are_utc_and_whole_seconds():
    """Written from any zone, without fractions; a moment without a zone is none."""
    berlin = dt.timezone(dt.timedelta(hours=1))
    assert schema.format_instant(dt.datetime(2026, 3, 1, 3, 0, 0, 999999, berlin)) == "2026-03-01T02:00:00Z"
    assert schema.parse_instant("2026-03-01T02:00:00Z") == dt.datetime(2026, 3, 1, 2, tzinfo=dt.UTC)
    with pytest.raises(Malformed):
        schema.format_instant(dt.datetime(2026, 3, 1, 3))  # noqa: DTZ001 - the point


@pytest.mark.parametrize(
    "hidden",
    [
        "\n",
        "\x00",
        "\x7f",
        "\x85",
        "\u202e",
        "\u2066",
        "\u200b",
        "\ufeff",
        "\u2028",
        "\u061c",
        "\xad",
        "\ud800",
        "\U000e0041",
    ],
)
def test_texts_have_nothing_hidden(hidden):
    """Control, bidirectional and invisible characters are refused in firms, clauses and limits."""
    check = schema.text(20)
    check("Beispiel & Söhne", "x")
    with pytest.raises(Malformed):
        check(f"a{hidden}b", "x")


def test_a_public_key_or_signature_of_another_shape_is_refused():
    """Whatever its type."""
    for check in (schema.public_key, schema.signature, schema.day, schema.instant):
        for value in (None, 7, "", "Ä", b"x"):
            with pytest.raises(Malformed):
                check(value, "x")


def test_canonical_bytes_of_a_non_object_are_no_record():
    """A record is an object."""
    with pytest.raises(Malformed):
        schema.record({"a": schema.count})(canonical.decode(b"[1]"), "x")
