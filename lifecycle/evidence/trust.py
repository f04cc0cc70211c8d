"""The trust file: what the reader of a certificate holds, and got from the issuer by another way than the certificate.

JSON (and therefore YAML): the log's origin and keys, the certificate's and the operators' public keys, and anchors —
checkpoints of the log that somebody outside has kept. An anchor is what makes a rewritten or shortened log visible.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from lifecycle.evidence import canonical, schema
from lifecycle.evidence.checkpoint import MAX_NOTE, Checkpoint, open_checkpoint
from lifecycle.evidence.errors import EvidenceError, Malformed
from lifecycle.evidence.keys import NoteKey, VerifyKey, to_base64
from lifecycle.evidence.schema import Check

MAX_TRUST: Final = 4 * 1024 * 1024

_FORMAT: Final = "trust/v1"


def _note(value: object, at: str) -> None:
    # The form is open_checkpoint's business.
    if not isinstance(value, str) or len(value) > MAX_NOTE:
        raise Malformed(f"{at}: not a signed note")


_FIELDS: Final[Mapping[str, Check]] = {
    "lifecycle": schema.one_of(_FORMAT),
    "origin": schema.text(200),
    "log_keys": schema.listing(schema.text(400), at_least=1, at_most=100),
    "certificate_keys": schema.listing(schema.public_key, at_least=1, at_most=100),
    "operator_keys": schema.listing(
        schema.record({"id": schema.identifier, "public_key": schema.public_key}),
        at_most=1000,
    ),
    "anchors": schema.listing(
        schema.record({"size": schema.count, "root": schema.text(44), "checkpoint": _note}),
        at_most=1000,
    ),
}


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom a reader believes.

    Attributes:
        origin: the log's name.
        log_keys: keys that may sign its checkpoints; each under the log's name.
        certificate_keys: keys that may sign certificates.
        operator_keys: who may approve, by operator id; no key under two ids.
        anchors: checkpoints kept outside, by size, with the note that said so.
    """

    origin: str
    log_keys: tuple[NoteKey, ...]
    certificate_keys: tuple[VerifyKey, ...]
    operator_keys: Mapping[str, VerifyKey]
    anchors: Mapping[int, str]

    def __post_init__(self) -> None:
        """Refuse what would make one person look like two, or one log like another."""
        if any(key.name != self.origin for key in self.log_keys):
            raise Malformed("trust.log_keys: a key of another log")
        if len(set(self.operator_keys.values())) != len(self.operator_keys):
            raise Malformed("trust.operator_keys: one key under two ids")

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The trust of a file's bytes; anchors are verified with its own log keys.

        Raises:
            Malformed: not a trust file.
            BadSignature: an anchor that the log's key did not sign.
        """
        document = canonical.parse(data, at_most=MAX_TRUST)
        schema.check_fields(document, _FIELDS, "trust")
        operators = {entry["id"]: VerifyKey.parse(entry["public_key"]) for entry in document["operator_keys"]}
        anchors = {entry["size"]: entry["checkpoint"] for entry in document["anchors"]}
        if len(operators) != len(document["operator_keys"]) or len(anchors) != len(document["anchors"]):
            raise Malformed("trust: an operator or an anchor appears twice")
        trust = cls(
            origin=document["origin"],
            log_keys=tuple(NoteKey.parse(text) for text in document["log_keys"]),
            certificate_keys=tuple(VerifyKey.parse(text) for text in document["certificate_keys"]),
            operator_keys=operators,
            anchors=anchors,
        )
        for entry, opened in zip(document["anchors"], trust.opened_anchors(), strict=True):
            if (opened.size, to_base64(opened.root)) != (entry["size"], entry["root"]):
                raise Malformed("trust.anchors: size or root differ from the checkpoint")
        return trust

    def encode(self) -> bytes:
        """The trust file: ``parse`` reads it back.

        Raises:
            EvidenceError: an anchor does not open with the log's keys.
        """
        anchors: list[dict[str, Any]] = [
            {"size": opened.size, "root": to_base64(opened.root), "checkpoint": note}
            for note, opened in zip(self.anchors.values(), self.opened_anchors(), strict=True)
        ]
        return canonical.encode(
            {
                "lifecycle": _FORMAT,
                "origin": self.origin,
                "log_keys": [key.text for key in self.log_keys],
                "certificate_keys": [key.public_key for key in self.certificate_keys],
                "operator_keys": [{"id": id_, "public_key": key.public_key} for id_, key in self.operator_keys.items()],
                "anchors": anchors,
            },
        )

    def opened_anchors(self) -> list[Checkpoint]:
        """The anchors as checkpoints, in order.

        Raises:
            EvidenceError: an anchor does not open with the log's keys, or is not of its size.
        """
        return list(open_notes(self.anchors, self))


def open_notes(notes: Mapping[int, str], trust: Trust) -> Iterable[Checkpoint]:
    """The checkpoints of notes that are kept by size.

    Raises:
        EvidenceError: a note does not open with the log's keys, or is of another size or log.
    """
    for size, note in notes.items():
        opened = open_log_checkpoint(note, trust)
        if opened.size != size:
            raise EvidenceError("a checkpoint of another size than it is kept under")
        yield opened


def open_log_checkpoint(note: str, trust: Trust) -> Checkpoint:
    """The checkpoint of the trusted log.

    Raises:
        EvidenceError: not signed by a trusted key of this log.
    """
    # Every log key carries the origin's name, and a key speaks only for the log of its name.
    return open_checkpoint(note, trust.log_keys)
