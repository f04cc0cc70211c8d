"""What an operator's key signs: a plan's hash, or a rule's standing approval.

The first line says what the signature is for, so that no signature can be carried from one purpose to the other.
"""

from typing import Final

from lifecycle.evidence.errors import Malformed
from lifecycle.evidence.keys import SigningKey, VerifyKey, from_base64, to_base64

_PLAN: Final = b"lifecycle/plan-approval/v1\n"
_MANDATE: Final = b"lifecycle/mandate/v1\n"


def plan_message(plan_hash: str) -> bytes:
    """The bytes of a plan's approval; ``plan_hash`` is ``sha256:`` and 64 hexadecimal digits."""
    return _PLAN + plan_hash.encode("ascii")


def mandate_message(template_hash: str, expires_on: str) -> bytes:
    """The bytes of a mandate: the template's hash and its last day, ``YYYY-MM-DD``."""
    return _MANDATE + template_hash.encode("ascii") + b"\n" + expires_on.encode("ascii")


def sign_plan(key: SigningKey, plan_hash: str) -> str:
    """An operator's approval of exactly this plan, as base64."""
    return to_base64(key.sign(plan_message(plan_hash)))


def verify_plan(key: VerifyKey, plan_hash: str, signature: str) -> bool:
    """Whether this operator approved exactly this plan."""
    return _verify(key, signature, plan_message(plan_hash))


def sign_mandate(key: SigningKey, template_hash: str, expires_on: str) -> str:
    """An operator's standing approval of a rule's template until the end of a day, as base64."""
    return to_base64(key.sign(mandate_message(template_hash, expires_on)))


def verify_mandate(key: VerifyKey, template_hash: str, expires_on: str, signature: str) -> bool:
    """Whether this operator granted exactly this mandate."""
    return _verify(key, signature, mandate_message(template_hash, expires_on))


def _verify(key: VerifyKey, signature: str, message: bytes) -> bool:
    try:
        return key.verify(from_base64(signature), message)
    except Malformed:
        return False
