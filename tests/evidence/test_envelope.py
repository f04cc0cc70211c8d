"""DSSE envelopes and the statement in them."""

import copy

import pytest

from lifecycle.evidence import canonical
from lifecycle.evidence.envelope import PAYLOAD_TYPE, open_envelope, pae, sign_envelope
from lifecycle.evidence.errors import BadSignature, EvidenceError, Malformed
from lifecycle.evidence.keys import from_base64, to_base64
from lifecycle.evidence.statement import commitment, decode_statement, encode_statement
from tests.evidence import world
from tests.evidence.world import CERTIFICATE, OPS_A, STRANGER, digest

PAYLOAD = b'{"a":1}'
ENVELOPE = sign_envelope(PAYLOAD, [CERTIFICATE])
HASH = digest(b"plan")


def test_the_pre_authentication_encoding_is_that_of_dsse():
    """Lengths in bytes, single spaces: the example of the protocol's specification."""
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert pae("ä", b"") == b"DSSEv1 2 \xc3\xa4 0 "


def test_an_envelope_reads_back_under_its_keys():
    """One signer or several, all of them trusted."""
    assert open_envelope(ENVELOPE, [CERTIFICATE.public, STRANGER.public]) == PAYLOAD
    both = sign_envelope(PAYLOAD, [CERTIFICATE, OPS_A])
    assert open_envelope(both, [CERTIFICATE.public, OPS_A.public]) == PAYLOAD


def test_every_signature_must_be_trusted():
    """An unknown second signature is not decoration: it is refused."""
    both = sign_envelope(PAYLOAD, [CERTIFICATE, STRANGER])
    with pytest.raises(BadSignature, match="not trusted"):
        open_envelope(both, [CERTIFICATE.public])
    with pytest.raises(BadSignature):
        open_envelope(ENVELOPE, [])


def test_no_flipped_byte_of_an_envelope_is_accepted():
    """Each byte in two ways."""
    accepted = 0
    for at in range(len(ENVELOPE)):
        for mask in (1, 0x10):
            try:
                open_envelope(ENVELOPE[:at] + bytes([ENVELOPE[at] ^ mask]) + ENVELOPE[at + 1 :], [CERTIFICATE.public])
            except EvidenceError:
                continue
            accepted += 1
    assert accepted == 0


def envelope(**changes):
    return {**canonical.decode(ENVELOPE), **changes}


SIGNATURE = canonical.decode(ENVELOPE)["signatures"][0]


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        envelope(more=1),
        envelope(payload=7),
        envelope(payload="e30"),
        envelope(payloadType="application/json"),
        envelope(signatures=[]),
        envelope(signatures={}),
        envelope(signatures=[SIGNATURE, SIGNATURE]),
        envelope(signatures=[{**SIGNATURE, "more": 1}]),
        envelope(signatures=[{"sig": SIGNATURE["sig"]}]),
        envelope(signatures=[7]),
        envelope(signatures=[{**SIGNATURE, "sig": "?"}]),
    ],
)
def test_an_envelope_of_another_form_is_refused(document):
    """Unknown fields, other types, no or doubled signatures."""
    with pytest.raises(Malformed):
        open_envelope(canonical.encode(document), [CERTIFICATE.public])


def test_nobody_signs_twice_or_not_at_all():
    """One to eight signers, all different."""
    for signers in ([], [CERTIFICATE, CERTIFICATE], [world.key(str(n)) for n in range(9)]):
        with pytest.raises(Malformed):
            sign_envelope(PAYLOAD, signers)


def test_a_signature_for_another_payload_type_does_not_hold():
    """The type is signed with the payload."""
    forged = envelope(signatures=[{**SIGNATURE, "sig": to_base64(CERTIFICATE.sign(pae("text/plain", PAYLOAD)))}])
    with pytest.raises(BadSignature, match="does not fit"):
        open_envelope(canonical.encode(forged), [CERTIFICATE.public])
    assert from_base64(canonical.decode(ENVELOPE)["payload"]) == PAYLOAD
    assert canonical.decode(ENVELOPE)["payloadType"] == PAYLOAD_TYPE


@pytest.fixture(scope="module")
def predicate():
    return world.make().predicate


def test_a_statement_reads_back(predicate):
    """An in-toto statement whose subject is the plan."""
    payload = encode_statement(predicate, HASH)
    assert decode_statement(payload) == (predicate, HASH)
    document = canonical.decode(payload)
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert document["subject"] == [{"name": "plan", "digest": {"sha256": HASH.removeprefix("sha256:")}}]


def test_every_field_of_a_statement_is_needed_and_none_is_added(predicate):
    """Closed on both sides, and no field takes any value."""
    for name in predicate:
        with pytest.raises(Malformed):
            encode_statement({key: value for key, value in predicate.items() if key != name}, HASH)
        for wrong in ("a\nb", -1, 1.5, object()):
            with pytest.raises(Malformed):
                encode_statement({**predicate, name: wrong}, HASH)
    with pytest.raises(Malformed):
        encode_statement({**predicate, "more": 1}, HASH)
    with pytest.raises(Malformed):
        encode_statement(predicate, "sha256:short")


PENDING_BACKUP = {"name": "daily", "state": "pending", "gone_by": None, "deleted_again_on_restore": True}
GONE = {"backups": [{**PENDING_BACKUP, "state": "gone"}], "replicas": [], "subprocessors": []}
INVOICES = {
    "legal_ground": "§ 147 AO",
    "duty_holder": "processor",
    "dataset": "invoices",
    "count": 3,
    "ends_on": "2035-01-01",
    "review_on": None,
}


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"tenant": None},
        {"evidence": {"origin": "x", "log_size": 9, "first_index": 1, "last_index": 8, "open_intents": 1}},
        {"export": {"state": "delivered", "manifest_hash": None}},
        {"export": {"state": "offered", "manifest_hash": HASH}},
        {"completeness": "final"},
        {"completeness": "complete"},
        {"completeness": "final", "copies": GONE, "withheld": [INVOICES]},
        {"completeness": "final-with-residue", "copies": GONE},
        {"completeness": "final", "copies": GONE, "undatable": 1},
        {"completeness": "final", "copies": GONE, "unattributed": 1},
        {"completeness": "final", "copies": GONE, "contested": 1},
        {"completeness": "final", "copies": {**GONE, "replicas": [{"name": "r", "kind": "cache", "state": "pending"}]}},
        {
            "completeness": "final",
            "copies": {
                **GONE,
                "subprocessors": [{"firm": "Mail Example", "requested_on": "2026-03-01", "deleted_on": None}],
            },
        },
    ],
)
def test_a_statement_does_not_contradict_itself(predicate, changes):
    """Final means: nothing undecided, no copy pending, withheld items named as residue."""
    with pytest.raises(Malformed):
        encode_statement({**predicate, **changes}, HASH)


@pytest.mark.parametrize(
    "changes",
    [
        {"completeness": "final", "copies": GONE, "export": None},
        {"completeness": "final-with-residue", "copies": GONE, "withheld": [INVOICES]},
        {"export": {"state": "declined", "manifest_hash": None}},
        {"type": "run", "tenant": None},
    ],
)
def test_what_a_statement_can_say(predicate, changes):
    """Final, final with residue, a declined export, a shared run."""
    assert decode_statement(encode_statement({**predicate, **changes}, HASH))[0] == {**predicate, **changes}


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(_type="https://in-toto.io/Statement/v0.1"),
        lambda d: d.update(predicateType="https://slsa.dev/provenance/v1"),
        lambda d: d.update(more=1),
        lambda d: d.update(subject=[]),
        lambda d: d.update(subject=d["subject"] * 2),
        lambda d: d["subject"][0].update(name="other"),
        lambda d: d["subject"][0].update(more=1),
        lambda d: d["subject"][0]["digest"].update(sha512="00"),
        lambda d: d["subject"][0]["digest"].update(sha256="00"),
        lambda d: d.update(predicate=[]),
        lambda d: d["predicate"].update(v=3),
    ],
)
def test_a_statement_of_another_form_is_refused(predicate, change):
    """Another type, more subjects, more digests, unknown fields."""
    document = copy.deepcopy(canonical.decode(encode_statement(predicate, HASH)))
    change(document)
    with pytest.raises(Malformed):
        decode_statement(canonical.encode(document))


def test_a_commitment_depends_on_each_receipt_and_their_order():
    """No receipt can be left out, doubled or moved."""
    one, two = world.mac("1"), world.mac("2")
    assert len({commitment(digests) for digests in ([], [one], [two], [one, two], [two, one], [one, one])}) == 6
