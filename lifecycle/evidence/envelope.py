"""DSSE v1 envelopes around in-toto statements.

Stricter than DSSE asks for: the envelope is canonical JSON, and *every* signature in it must be a trusted key's and
must hold, so that nothing in an accepted envelope is unsigned decoration.
"""

from collections.abc import Iterable
from typing import Final

from lifecycle.evidence import canonical
from lifecycle.evidence.errors import BadSignature, Malformed
from lifecycle.evidence.keys import SigningKey, VerifyKey, from_base64, to_base64

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
# A URN of the distribution's own name: it claims no domain that somebody else may register.
PREDICATE_TYPE: Final = "urn:gdpr-lifecycle:deletion-certificate:v1"
MAX_SIGNATURES: Final = 8


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: the bytes that are signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def sign_envelope(payload: bytes, keys: Iterable[SigningKey]) -> bytes:
    """The envelope of a payload under one or more keys, as canonical JSON.

    Raises:
        Malformed: no key, too many keys, or one key twice.
    """
    message = pae(PAYLOAD_TYPE, payload)
    signatures = [{"keyid": key.public.id, "sig": to_base64(key.sign(message))} for key in keys]
    _check_signers([entry["keyid"] for entry in signatures])
    return canonical.encode(
        {"payload": to_base64(payload), "payloadType": PAYLOAD_TYPE, "signatures": signatures},
    )


def open_envelope(envelope: bytes, trusted: Iterable[VerifyKey]) -> bytes:
    """The payload of an envelope, every signature of which is a trusted key's and holds.

    Raises:
        Malformed: not such an envelope.
        BadSignature: a signature of an unknown key, or one that does not fit the payload.
    """
    payload, signatures = _parse(canonical.decode(envelope))
    keys = {key.id: key for key in trusted}
    message = pae(PAYLOAD_TYPE, payload)
    for keyid, signature in signatures:
        key = keys.get(keyid)
        if key is None:
            raise BadSignature("the envelope carries a signature of a key that is not trusted")
        if not key.verify(signature, message):
            raise BadSignature("a trusted key's signature does not fit the payload")
    return payload


def _parse(document: object) -> tuple[bytes, list[tuple[str, bytes]]]:
    match document:
        case {"payload": str(payload), "payloadType": str(kind), "signatures": list(signatures), **rest} if not rest:
            pass
        case _:
            raise Malformed("not a DSSE envelope")
    if kind != PAYLOAD_TYPE:
        raise Malformed("an envelope of another payload type")
    parsed = [_parse_signature(entry) for entry in signatures]
    _check_signers([keyid for keyid, _ in parsed])
    return from_base64(payload), parsed


def _parse_signature(entry: object) -> tuple[str, bytes]:
    match entry:
        case {"keyid": str(keyid), "sig": str(signature), **rest} if not rest:
            return keyid, from_base64(signature)
        case _:
            raise Malformed("not a DSSE signature")


def _check_signers(keyids: list[str]) -> None:
    if not 0 < len(keyids) <= MAX_SIGNATURES or len(set(keyids)) != len(keyids):
        raise Malformed(f"an envelope has 1 to {MAX_SIGNATURES} signatures, each of another key")
