"""The trust file."""

import json

import pytest

from lifecycle.evidence.errors import BadSignature, EvidenceError, Malformed
from lifecycle.evidence.keys import NoteKey
from lifecycle.evidence.trust import Trust
from tests.evidence.world import CERTIFICATE, LOG, OPS_A, ORIGIN, STRANGER, Log, make_trust

TRUST = make_trust()


def document():
    return json.loads(TRUST.encode())


def test_a_trust_file_reads_back_in_any_layout():
    """It is JSON that people may indent and reorder."""
    assert Trust.parse(TRUST.encode()) == TRUST
    assert Trust.parse(json.dumps(document(), indent=4).encode()) == TRUST


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("origin"),
        lambda d: d.update(more=1),
        lambda d: d.update(lifecycle="trust/v2"),
        lambda d: d.update(log_keys=[]),
        lambda d: d.update(log_keys=["nonsense"]),
        lambda d: d.update(log_keys=[NoteKey("other.example/log", LOG.public).text]),
        lambda d: d.update(certificate_keys=[]),
        lambda d: d.update(certificate_keys=["QQ=="]),
        lambda d: d.update(operator_keys=d["operator_keys"] + d["operator_keys"][:1]),
        lambda d: d["operator_keys"].append({"id": "ops-c", "public_key": OPS_A.public.public_key}),
        lambda d: d["operator_keys"].append({"id": "Max Mustermann", "public_key": STRANGER.public.public_key}),
        lambda d: d.update(anchors=d["anchors"] * 2),
        lambda d: d["anchors"][0].update(root="A" * 43 + "="),
        lambda d: d["anchors"][0].update(checkpoint=7),
        lambda d: d["anchors"][0].update(checkpoint="x" * 70_000),
        lambda d: d["anchors"][0].update(checkpoint="x"),
        lambda d: d["anchors"][0].update(size=7),
    ],
)
def test_a_trust_file_of_another_form_is_refused(change):
    """Closed, without doubles, one key for one operator, anchors equal to their checkpoints."""
    changed = document()
    change(changed)
    with pytest.raises(EvidenceError):
        Trust.parse(json.dumps(changed).encode())


def test_an_anchor_is_believed_only_under_the_logs_key():
    """Whoever can slip an anchor into the file still cannot sign it."""
    changed = document()
    log = Log(signer=STRANGER)
    log.append_raw(b"x")
    note = log.checkpoint()
    changed["anchors"] = [{"size": 1, "root": note.split("\n")[2], "checkpoint": note}]
    with pytest.raises(BadSignature):
        Trust.parse(json.dumps(changed).encode())


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"lifecycle: trust/v1\n", b'{"lifecycle":"trust/v1","lifecycle":"trust/v1"}']
)
def test_what_is_no_trust_file_is_refused(data):
    """Not JSON, not an object, doubled keys."""
    with pytest.raises(Malformed):
        Trust.parse(data)


def test_keys_of_another_log_cannot_be_put_together():
    """The check is in the value itself, not in its parser."""
    with pytest.raises(Malformed):
        Trust(ORIGIN, (NoteKey("other.example/log", LOG.public),), (CERTIFICATE.public,), {}, {})
    with pytest.raises(Malformed):
        Trust(ORIGIN, (), (), {"ops-a": OPS_A.public, "ops-b": OPS_A.public}, {})
