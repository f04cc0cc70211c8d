"""The bundle: a certificate with everything that proves it, in one canonical archive.

========================= ============================================================================================
``MANIFEST.json``         the SHA-256 of every other file
``certificate.dsse.json`` the signed statement
``plan.json``             the plan's canonical bytes
``checkpoint``            the log's state that the proofs lead to, a signed note
``entries/I.json``        the bytes of log entry I
``proofs/I.json``         the inclusion path of entry I under the checkpoint
``anchors/N``             another checkpoint of the log, of size N, as a signed note
``consistency/A-B.json``  the proof that the log of size B begins with the log of size A: one for each anchor
========================= ============================================================================================

Nothing else may lie in it: what no signature or proof covers would be decoration that somebody could exchange.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lifecycle.evidence import archive, canonical, merkle
from lifecycle.evidence.checkpoint import MAX_NOTE
from lifecycle.evidence.digest import digest
from lifecycle.evidence.errors import EvidenceError, Malformed
from lifecycle.evidence.keys import from_base64, to_base64

MANIFEST: Final = "MANIFEST.json"
CERTIFICATE: Final = "certificate.dsse.json"
PLAN: Final = "plan.json"
CHECKPOINT: Final = "checkpoint"

_FORMAT: Final = "bundle/v1"
_MAX_PATH: Final = 128
_NUMBER: Final = r"(0|[1-9][0-9]{0,15})"
_ENTRY: Final = re.compile(rf"entries/{_NUMBER}\.json")
_PROOF: Final = re.compile(rf"proofs/{_NUMBER}\.json")
_ANCHOR: Final = re.compile(rf"anchors/{_NUMBER}")
_CONSISTENCY: Final = re.compile(rf"consistency/{_NUMBER}-{_NUMBER}\.json")

Hashes = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A certificate and its proofs, as bytes: nothing here has been verified.

    Attributes:
        certificate: the DSSE envelope.
        plan: the plan's canonical bytes.
        checkpoint: the signed note that all inclusion proofs lead to.
        entries: log entries by index.
        proofs: inclusion paths by index, for the checkpoint's size.
        anchors: other checkpoints of the same log by size, as signed notes.
        consistency: proofs by (older size, newer size).
    """

    certificate: bytes
    plan: bytes
    checkpoint: str
    entries: Mapping[int, bytes]
    proofs: Mapping[int, Hashes]
    anchors: Mapping[int, str] = field(default_factory=dict)
    consistency: Mapping[tuple[int, int], Hashes] = field(default_factory=dict)


def collect(
    *,
    certificate: bytes,
    plan: bytes,
    checkpoint: str,
    size: int,
    entries: Mapping[int, bytes],
    node: merkle.NodeReader,
    anchors: Mapping[int, str] | None = None,
) -> Bundle:
    """A bundle with all its proofs made from the log's stored nodes.

    Args:
        certificate: the DSSE envelope.
        plan: the plan's canonical bytes.
        checkpoint: the signed note of the log at ``size``.
        size: the number of leaves that the checkpoint covers.
        entries: the log entries that belong to the certificate, by index below ``size``.
        node: reads a complete subtree's hash.
        anchors: earlier or later checkpoints (signed notes by size) that readers may hold as anchors.

    Raises:
        Malformed: an entry that the checkpoint does not cover.
    """
    notes = {at: note for at, note in (anchors or {}).items() if at != size}
    spans = [(min(at, size), max(at, size)) for at in notes]
    return Bundle(
        certificate=certificate,
        plan=plan,
        checkpoint=checkpoint,
        entries=dict(entries),
        proofs={index: tuple(merkle.inclusion_proof(index, size, node)) for index in entries},
        anchors=notes,
        consistency={(old, new): tuple(merkle.consistency_proof(old, new, node)) for old, new in spans},
    )


def pack_bundle(bundle: Bundle) -> bytes:
    """The bundle's bytes: equal bundles, equal bytes.

    Raises:
        Malformed: more than a bundle may hold.
    """
    files = {
        CERTIFICATE: bundle.certificate,
        PLAN: bundle.plan,
        CHECKPOINT: bundle.checkpoint.encode(),
        **{f"entries/{index}.json": data for index, data in bundle.entries.items()},
        **{f"proofs/{index}.json": _encode_path(path) for index, path in bundle.proofs.items()},
        **{f"anchors/{size}": note.encode() for size, note in bundle.anchors.items()},
        **{f"consistency/{old}-{new}.json": _encode_path(path) for (old, new), path in bundle.consistency.items()},
    }
    hashes = {name: digest(data) for name, data in files.items()}
    manifest = canonical.encode({"lifecycle": _FORMAT, "files": hashes})
    return archive.pack({**files, MANIFEST: manifest})


def unpack_bundle(data: bytes) -> Bundle:
    """The bundle of its bytes: ``pack_bundle(unpack_bundle(data)) == data``, or an error.

    Raises:
        Malformed: a file is missing, foreign, of another form, or not the one in the manifest.
    """
    files = archive.unpack(data)
    _check_manifest(files)
    rest = {name: body for name, body in files.items() if name != MANIFEST}
    try:
        certificate, plan, checkpoint = (rest.pop(name) for name in (CERTIFICATE, PLAN, CHECKPOINT))
    except KeyError:
        raise Malformed("the bundle lacks its certificate, plan or checkpoint") from None
    entries = {int(name[0]): body for name, body in _take(rest, _ENTRY)}
    proofs = {int(name[0]): _decode_path(body) for name, body in _take(rest, _PROOF)}
    anchors = {int(name[0]): _note(body) for name, body in _take(rest, _ANCHOR)}
    consistency = {(int(name[0]), int(name[1])): _decode_path(body) for name, body in _take(rest, _CONSISTENCY)}
    if rest:
        raise Malformed("the bundle holds a file that no bundle has")
    if entries.keys() != proofs.keys():
        raise Malformed("an entry without a proof, or a proof without an entry")
    return Bundle(certificate, plan, _note(checkpoint), entries, proofs, anchors, consistency)


def write_bundle(path: Path, bundle: Bundle) -> None:
    """Write a new bundle file, durably; an existing file is never replaced.

    Raises:
        Malformed: more than a bundle may hold.
        EvidenceError: the file exists or cannot be written.
    """
    data = pack_bundle(bundle)
    try:
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise EvidenceError(f"the bundle cannot be written: {error.strerror}") from error


def read_bundle(path: Path) -> Bundle:
    """The bundle of a file, unverified.

    Raises:
        Malformed: not a bundle.
        EvidenceError: the file cannot be read.
    """
    return unpack_bundle(read_limited(path, archive.MAX_ARCHIVE))


def read_limited(path: Path, at_most: int) -> bytes:
    """A file's bytes.

    Raises:
        Malformed: the file is larger than ``at_most`` bytes.
        EvidenceError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(at_most + 1)
    except (OSError, ValueError) as error:
        # ValueError: a NUL in the path.
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise EvidenceError(f"the file cannot be read: {reason}") from error
    if len(data) > at_most:
        raise Malformed(f"the file is larger than {at_most} bytes")
    return data


def _check_manifest(files: Mapping[str, bytes]) -> None:
    try:
        manifest = canonical.decode(files[MANIFEST])
    except KeyError:
        raise Malformed("the bundle has no manifest") from None
    hashes = {name: digest(data) for name, data in files.items() if name != MANIFEST}
    if manifest != {"lifecycle": _FORMAT, "files": hashes}:
        raise Malformed("the bundle's files are not those of its manifest")


def _take(files: dict[str, bytes], form: re.Pattern[str]) -> Iterable[tuple[tuple[Any, ...], bytes]]:
    """The files whose names have this form, by the numbers in their names; they are taken out of ``files``."""
    for name in [*files]:
        match = form.fullmatch(name)
        if match:
            yield match.groups(), files.pop(name)


def _note(data: bytes) -> str:
    if len(data) > MAX_NOTE:
        raise Malformed("a checkpoint that is too long")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("a checkpoint that is not UTF-8") from None


def _encode_path(path: Iterable[bytes]) -> bytes:
    return canonical.encode({"path": [to_base64(sibling) for sibling in path]})


def _decode_path(data: bytes) -> Hashes:
    match canonical.decode(data, at_most=MAX_NOTE):
        case {"path": list(path), **rest} if not rest and len(path) <= _MAX_PATH:
            return tuple(_hash(sibling) for sibling in path)
        case _:
            raise Malformed("a proof of another form")


def _hash(value: object) -> bytes:
    data = from_base64(value) if isinstance(value, str) else b""
    if len(data) != merkle.HASH_BYTES:
        raise Malformed("a proof's hash has 32 bytes")
    return data
