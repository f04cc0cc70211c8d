"""Sealing, digests, aliases and the words of an approval."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.evidence import approval
from lifecycle.evidence.digest import alias_for, digest, keyed_digest
from lifecycle.evidence.errors import KeyRefused, SealBroken
from lifecycle.evidence.seal import OVERHEAD, open_sealed, seal
from tests.evidence.world import OPS_A, OPS_B, SECRET

HASH = digest(b"plan")


@given(st.binary(max_size=200), st.binary(max_size=40))
def test_what_is_sealed_opens_with_its_key_and_purpose(plaintext, aad):
    """The nonce is fresh each time."""
    one, two = seal(SECRET, plaintext, aad), seal(SECRET, plaintext, aad)
    assert one != two
    assert len(one) == len(plaintext) + OVERHEAD
    assert open_sealed(SECRET, one, aad) == open_sealed(SECRET, two, aad) == plaintext


def test_a_sealed_record_opens_in_no_other_way():
    """Another key, another purpose, any flipped, missing or added byte."""
    sealed = seal(SECRET, b"keys", b"batch-1", nonce=bytes(12))
    wrong = [(b"x" * 32, sealed, b"batch-1"), (SECRET, sealed, b"batch-2"), (SECRET, sealed + b"0", b"batch-1")]
    wrong += [(SECRET, sealed[:at], b"batch-1") for at in range(len(sealed))]
    wrong += [
        (SECRET, sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], b"batch-1") for at in range(len(sealed))
    ]
    for key, data, aad in wrong:
        with pytest.raises(SealBroken):
            open_sealed(key, data, aad)


def test_keys_and_nonces_have_one_length():
    """A short key is not stretched, a short nonce not padded."""
    with pytest.raises(SealBroken):
        seal(b"short", b"", b"")
    with pytest.raises(SealBroken):
        seal(SECRET, b"", b"", nonce=bytes(11))


def test_an_alias_is_opaque_stable_and_byte_exact():
    """Case, padding and Unicode form make other tenants; another deployment's key makes other names."""
    ids = ["acme", "Acme", "acme ", "ACMÉ", "ACME\u0301", "1", "01", ""]
    aliases = [alias_for(SECRET, name) for name in ids]
    assert len(set(aliases)) == len(ids)
    assert aliases == [alias_for(SECRET, name) for name in ids]
    assert alias_for(b"z" * 32, "acme") != aliases[0]
    assert all(len(name) == 18 for name in aliases)


def test_digests_are_keyed_where_they_could_be_guessed():
    """The keyed digest is not the bare one, and a short key is refused."""
    assert digest(b"42") == "sha256:73475cb40a568e8da8a045ced110137e159f890ac4da883b6b17dc651b3a8049"
    assert keyed_digest(SECRET, b"42").startswith("hmac-sha256:")
    assert digest(b"42").removeprefix("sha256:") not in keyed_digest(SECRET, b"42")
    assert keyed_digest(SECRET, b"42") != keyed_digest(b"z" * 32, b"42")
    with pytest.raises(KeyRefused):
        keyed_digest(b"short", b"42")


def test_an_approval_is_of_one_plan_by_one_operator():
    """Another plan, another operator, another purpose, another spelling: not approved."""
    signature = approval.sign_plan(OPS_A, HASH)
    assert approval.verify_plan(OPS_A.public, HASH, signature)
    assert not approval.verify_plan(OPS_B.public, HASH, signature)
    assert not approval.verify_plan(OPS_A.public, digest(b"other"), signature)
    assert not approval.verify_plan(OPS_A.public, HASH, signature[:-1])
    assert not approval.verify_mandate(OPS_A.public, HASH, "2027-01-01", signature)
    assert approval.plan_message(HASH) == b"lifecycle/plan-approval/v1\n" + HASH.encode()


def test_a_mandate_is_of_one_template_until_one_day():
    """A later day needs another signature."""
    signature = approval.sign_mandate(OPS_A, HASH, "2027-01-01")
    assert approval.verify_mandate(OPS_A.public, HASH, "2027-01-01", signature)
    assert not approval.verify_mandate(OPS_A.public, HASH, "2028-01-01", signature)
    assert approval.mandate_message(HASH, "2027-01-01") == b"lifecycle/mandate/v1\n" + HASH.encode() + b"\n2027-01-01"
