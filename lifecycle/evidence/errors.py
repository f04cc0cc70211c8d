"""What evidence refuses, and what to do about it.

A small tree of its own: this package is a sibling of ``lifecycle.core`` and works installed alone. No message carries a
value that was read: evidence may be quoted in a log or a ticket without a second look.
"""

from typing import ClassVar


class EvidenceError(ValueError):
    """Evidence was refused."""

    _advice: ClassVar[str] = "keep the file as it is and ask its issuer for a fresh copy"

    def advice(self) -> str:
        """The next step for the person who reads the message."""
        return self._advice


class Malformed(EvidenceError):
    """The bytes are not in the one form that their format allows."""


class BadSignature(EvidenceError):
    """No trusted key signed these bytes, or a trusted key's signature does not fit them."""

    _advice = "compare the trust file with the one that the issuer handed over; do not accept the document"


class KeyRefused(EvidenceError):
    """A key file cannot be used as it lies there."""

    _advice = "the file must be an unencrypted PKCS #8 PEM Ed25519 key, owned by the service's user, mode 0600"


class SealBroken(EvidenceError):
    """A sealed record does not open with this key for this purpose."""

    _advice = "check that the sealing key belongs to this deployment and has not been destroyed"
