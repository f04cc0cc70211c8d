"""Checkpoints: the log's size and root under the log's signature (C2SP tlog-checkpoint, a C2SP signed note).

A note may carry more signatures than ours, so that witnesses can cosign one later: lines of keys that the reader does
not know are ignored, as the format demands; a known key's line must hold.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lifecycle.evidence.errors import BadSignature, Malformed
from lifecycle.evidence.keys import NoteKey, SigningKey, check_key_name, from_base64, to_base64
from lifecycle.evidence.merkle import EMPTY_ROOT, HASH_BYTES

MAX_NOTE: Final = 64 * 1024
MAX_SIGNATURES: Final = 32

_HASH_BYTES: Final = 4
_BODY_LINES: Final = 3
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,15}")
_SIGNATURE: Final = re.compile(r"— (\S+) (\S+)")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's state: ``size`` leaves under ``root`` (32 bytes) in the log named ``origin``."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        """Refuse a state that no log can be in."""
        check_key_name(self.origin)
        if self.size < 0 or len(self.root) != HASH_BYTES:
            raise Malformed("a checkpoint has a size of at least 0 and a root of 32 bytes")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise Malformed("the checkpoint of an empty log has the empty root")

    @property
    def body(self) -> str:
        """The text that is signed: origin, size, base64 of the root, each on a line."""
        return f"{self.origin}\n{self.size}\n{to_base64(self.root)}\n"


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line of a note."""

    name: str
    key_hash: bytes
    signature: bytes


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey) -> str:
    """The signed note of a checkpoint; the key's name is the log's origin."""
    signer = NoteKey(checkpoint.origin, key.public)
    blob = to_base64(signer.hash + key.sign(checkpoint.body.encode()))
    return f"{checkpoint.body}\n— {signer.name} {blob}\n"


def open_checkpoint(text: str, trusted: Iterable[NoteKey]) -> Checkpoint:
    """The checkpoint of a note that at least one trusted key of that log signed.

    A trusted key speaks only for the log of its own name. Extension lines are refused: our logs write none.

    Raises:
        Malformed: not a note, or not a checkpoint.
        BadSignature: no trusted signature, or a trusted key's signature that does not hold.
    """
    body, signatures = split_note(text)
    checkpoint = _parse_body(body)
    known = {(key.name, key.hash): key.key for key in trusted if key.name == checkpoint.origin}
    valid = 0
    for line in signatures:
        key = known.get((line.name, line.key_hash))
        if key is None:
            continue
        if not key.verify(line.signature, body.encode()):
            raise BadSignature("a trusted key's signature does not fit the checkpoint")
        valid += 1
    if not valid:
        raise BadSignature("no trusted key signed the checkpoint")
    return checkpoint


def split_note(text: str) -> tuple[str, Sequence[Signature]]:
    """The signed text of a note (with its final newline) and its signature lines, unverified.

    Raises:
        Malformed: not a C2SP signed note.
    """
    if len(text) > MAX_NOTE or any(character < " " and character != "\n" for character in text):
        raise Malformed("a note is short text without control characters")
    body, separator, tail = text.rpartition("\n\n")
    if not separator or not body or not tail.endswith("\n"):
        raise Malformed("a note is a text, an empty line and signature lines")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise Malformed(f"a note with more than {MAX_SIGNATURES} signatures")
    return body + "\n", [_parse_signature(line) for line in lines]


def _parse_signature(line: str) -> Signature:
    match = _SIGNATURE.fullmatch(line)
    if match is None:
        raise Malformed("a signature line reads: em dash, key name, base64")
    name, blob = match.groups()
    check_key_name(name)
    data = from_base64(blob)
    if len(data) <= _HASH_BYTES:
        raise Malformed("a signature line without a signature")
    return Signature(name, data[:_HASH_BYTES], data[_HASH_BYTES:])


def _parse_body(body: str) -> Checkpoint:
    lines = body[:-1].split("\n")
    if len(lines) != _BODY_LINES:
        raise Malformed("a checkpoint has three lines: origin, size, root")
    origin, size, root = lines
    if _SIZE.fullmatch(size) is None:
        raise Malformed("a checkpoint's size is a decimal number without leading zeros")
    return Checkpoint(origin, int(size), from_base64(root))
