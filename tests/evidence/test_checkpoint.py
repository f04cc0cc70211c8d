"""Checkpoints as signed notes."""

import pytest

from lifecycle.evidence.checkpoint import MAX_SIGNATURES, Checkpoint, open_checkpoint, sign_checkpoint, split_note
from lifecycle.evidence.errors import BadSignature, Malformed
from lifecycle.evidence.keys import NoteKey, to_base64
from lifecycle.evidence.merkle import EMPTY_ROOT
from tests.evidence.world import LOG, ORIGIN, STRANGER

STATE = Checkpoint(ORIGIN, 7, bytes(range(32)))
TRUSTED = [NoteKey(ORIGIN, LOG.public)]
NOTE = sign_checkpoint(STATE, LOG)
BODY, LINE = NOTE.split("\n\n")


def test_a_signed_checkpoint_reads_back():
    """Three lines, an empty one, and the log's signature."""
    assert open_checkpoint(NOTE, TRUSTED) == STATE
    assert NOTE.startswith(f"{ORIGIN}\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n— {ORIGIN} ")


def test_a_note_splits_at_its_last_empty_line():
    """Text before it may hold empty lines of its own; the signature covers all of it and its last newline."""
    signer = TRUSTED[0]
    body = "one\n\ntwo\n"
    line = f"— {ORIGIN} {to_base64(signer.hash + LOG.sign(body.encode()))}\n"
    text, (signature,) = split_note(f"{body}\n{line}")
    assert text == body
    assert (signature.name, signature.key_hash) == (signer.name, signer.hash)
    assert signer.key.verify(signature.signature, text.encode())


def test_no_flipped_character_is_accepted():
    """Every byte of the note, changed in two ways."""
    raw, accepted = NOTE.encode(), 0
    for at in range(len(raw)):
        for mask in (0x01, 0x20):
            text = (raw[:at] + bytes([raw[at] ^ mask]) + raw[at + 1 :]).decode("utf-8", "replace")
            try:
                open_checkpoint(text, TRUSTED)
            except (Malformed, BadSignature):
                continue
            accepted += 1
    assert accepted == 0


def test_signatures_of_unknown_keys_are_ignored_but_one_trusted_is_needed():
    """A witness may cosign; a stranger alone proves nothing."""
    witness = NoteKey("witness.example/w", STRANGER.public)
    line = f"— {witness.name} {to_base64(witness.hash + STRANGER.sign(STATE.body.encode()))}\n"
    assert open_checkpoint(NOTE + line, TRUSTED) == STATE
    assert open_checkpoint(f"{BODY}\n\n{line}{LINE}", TRUSTED) == STATE
    with pytest.raises(BadSignature, match="no trusted key"):
        open_checkpoint(f"{BODY}\n\n{line}", TRUSTED)
    with pytest.raises(BadSignature, match="no trusted key"):
        open_checkpoint(NOTE, [])


def test_a_trusted_key_speaks_only_for_the_log_of_its_own_name():
    """The same key under another name is another signer."""
    with pytest.raises(BadSignature, match="no trusted key"):
        open_checkpoint(NOTE, [NoteKey("other.example/log", LOG.public)])
    other = Checkpoint("other.example/log", 7, bytes(32))
    signer = TRUSTED[0]
    forged = f"{other.body}\n— {ORIGIN} {to_base64(signer.hash + LOG.sign(other.body.encode()))}\n"
    with pytest.raises(BadSignature, match="no trusted key"):
        open_checkpoint(forged, TRUSTED)


def test_a_wrong_signature_of_a_known_key_condemns_the_note():
    """Even beside a good one."""
    signer = TRUSTED[0]
    wrong = f"— {ORIGIN} {to_base64(signer.hash + bytes(64))}\n"
    for text in (NOTE + wrong, f"{BODY}\n\n{wrong}{LINE}"):
        with pytest.raises(BadSignature, match="does not fit"):
            open_checkpoint(text, TRUSTED)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "\n\n— a b\n",
        NOTE[:-1],
        NOTE + "\n",
        NOTE.replace("— ", "- "),
        NOTE.replace("— ", "—  "),
        NOTE.replace("\n\n", "\n"),
        NOTE.replace("\n", "\r\n"),
        NOTE.replace("\n7\n", "\n07\n"),
        NOTE.replace("\n7\n", "\n-7\n"),
        NOTE.replace("\n7\n", "\n٧\n"),
        NOTE.replace("\n7\n", "\n7\t\n"),
        NOTE.replace("\n7\n", "\n" + "9" * 40 + "\n"),
        f"{BODY}\nextension\n\n{LINE}",
        f"{BODY}\n\n{LINE}extra\n",
        f"{BODY}\n\n— {ORIGIN} AAAAAA==\n",
        f"{BODY}\n\n— plus+name AAAAAAA=\n",
        f"{BODY}\n\n" + LINE * (MAX_SIGNATURES + 1),
        NOTE + "x" * 70_000,
    ],
)
def test_a_note_of_another_form_is_refused(text):
    """The format is taken literally."""
    with pytest.raises(Malformed):
        open_checkpoint(text, TRUSTED)


@pytest.mark.parametrize(
    ("origin", "size", "root"),
    [
        ("", 1, bytes(32)),
        ("a b", 1, bytes(32)),
        (ORIGIN, -1, bytes(32)),
        (ORIGIN, 1, bytes(31)),
        (ORIGIN, 0, bytes(32)),
    ],
)
def test_a_state_that_no_log_can_be_in_is_refused(origin, size, root):
    """Neither signed nor read."""
    with pytest.raises(Malformed):
        Checkpoint(origin, size, root)
    assert Checkpoint(ORIGIN, 0, EMPTY_ROOT).size == 0
