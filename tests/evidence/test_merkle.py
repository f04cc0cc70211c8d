"""The Merkle tree against a second reading of RFC 6962: recursive, slow, and sharing no code with ours."""

import hashlib
from functools import cache

import pytest

from lifecycle.evidence import merkle
from lifecycle.evidence.errors import Malformed

MOST = 65
LEAVES = [b"leaf %d" % number for number in range(MOST)]


def sha(data):
    return hashlib.sha256(data).digest()


@cache
def mth(start, end):
    """MTH(D[start:end]), RFC 6962 section 2.1."""
    if start == end:
        return sha(b"")
    if end - start == 1:
        return sha(b"\x00" + LEAVES[start])
    k = power(end - start)
    return sha(b"\x01" + mth(start, start + k) + mth(start + k, end))


def power(n):
    """The largest power of two smaller than n."""
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def path(m, start, end):
    """PATH(m, D[n]), section 2.1.1."""
    n = end - start
    if n == 1:
        return []
    k = power(n)
    if m < k:
        return [*path(m, start, start + k), mth(start + k, end)]
    return [*path(m - k, start + k, end), mth(start, start + k)]


def subproof(m, start, end, whole):
    """SUBPROOF(m, D[n], b), section 2.1.2."""
    n = end - start
    if m == n:
        return [] if whole else [mth(start, end)]
    k = power(n)
    if m <= k:
        return [*subproof(m, start, start + k, whole), mth(start + k, end)]
    return [*subproof(m - k, start + k, end, False), mth(start, start + k)]


@pytest.fixture(scope="module")
def node():
    """The stored nodes of a log of 65 leaves, written by appends alone."""
    nodes = {}

    def read(level, index):
        return nodes[level, index]

    for size, data in enumerate(LEAVES):
        for level, index, value in merkle.new_nodes(size, merkle.leaf_hash(data), read):
            assert (level, index) not in nodes
            nodes[level, index] = value
    return read


def test_known_answers():
    """The empty root and hand-made hashes of RFC 6962's definitions."""
    assert merkle.EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle.leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert merkle.leaf_hash(b"\x00").hex() == "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
    a, b, c = (merkle.leaf_hash(data) for data in (b"", b"\x00", b"\x10"))
    assert merkle.root_of([a, b]).hex() == "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
    assert merkle.root_of([a, b, c]).hex() == "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"


def test_every_root_is_that_of_the_definition(node):
    """From storage and from a stream, for every size."""
    for size in range(MOST + 1):
        assert merkle.tree_root(size, node) == mth(0, size)
        assert merkle.root_of(merkle.leaf_hash(data) for data in LEAVES[:size]) == mth(0, size)


def test_every_inclusion_proof_is_that_of_the_definition_and_verifies(node):
    """All sizes to 65, all leaves."""
    for size in range(1, MOST + 1):
        for index in range(size):
            proof = merkle.inclusion_proof(index, size, node)
            assert proof == path(index, 0, size)
            assert merkle.verify_inclusion(mth(index, index + 1), index, size, proof, mth(0, size))


def test_every_consistency_proof_is_that_of_the_definition_and_verifies(node):
    """All pairs of sizes to 65."""
    for new in range(MOST + 1):
        for old in range(new + 1):
            proof = merkle.consistency_proof(old, new, node)
            assert proof == (subproof(old, 0, new, True) if old else [])
            assert merkle.verify_consistency(old, mth(0, old), new, mth(0, new), proof)


def alterations(proof):
    """Each hash flipped, dropped, doubled, swapped with the next; something added at each end."""
    for at, value in enumerate(proof):
        yield [*proof[:at], bytes([value[0] ^ 1]) + value[1:], *proof[at + 1 :]]
        yield [*proof[:at], value[:-1] + bytes([value[-1] ^ 0x80]), *proof[at + 1 :]]
        yield [*proof[:at], *proof[at + 1 :]]
        yield [*proof[:at], value, *proof[at:]]
        yield [*proof[:at], value[:-1], *proof[at + 1 :]]
        if at:
            yield [*proof[: at - 1], value, proof[at - 1], *proof[at + 1 :]]
    yield [*proof, bytes(32)]
    yield [bytes(32), *proof]
    yield [*proof, b""]


def test_no_altered_inclusion_proof_verifies(node):
    """Altered path, root, leaf or index: nothing is accepted, in any tree to 33 leaves."""
    cases = accepted = 0
    for size in range(1, 34):
        root = mth(0, size)
        for index in range(size):
            leaf, proof = mth(index, index + 1), merkle.inclusion_proof(index, size, node)
            wrong = [(leaf, index, altered, root) for altered in alterations(proof)]
            wrong += [(leaf, other, proof, root) for other in range(-1, size + 2) if other != index]
            wrong += [(bytes(32), index, proof, root), (leaf, index, proof, bytes(32)), (leaf[1:], index, proof, root)]
            cases += len(wrong)
            accepted += sum(merkle.verify_inclusion(a, b, size, c, d) for a, b, c, d in wrong)
    assert cases > 30_000
    assert accepted == 0


def test_another_size_is_accepted_only_where_the_path_is_the_same_walk(node):
    """A path cannot tell sizes apart that give the leaf the same walk: the size comes from the signed checkpoint."""
    for size in range(1, 34):
        for index in range(size):
            leaf, proof = mth(index, index + 1), merkle.inclusion_proof(index, size, node)
            for other in range(36):
                if other != size and merkle.verify_inclusion(leaf, index, other, proof, mth(0, size)):
                    assert walk(index, other) == walk(index, size)


def walk(index, size):
    """On which side each sibling of a leaf's path stands, by the recursive definition."""
    if size <= 1:
        return []
    k = power(size)
    return [*walk(index, k), "right"] if index < k else [*walk(index - k, size - k), "left"]


def test_no_altered_consistency_proof_verifies(node):
    """Altered path or roots: nothing is accepted, in any pair to 33 leaves."""
    cases = accepted = 0
    for new in range(1, 34):
        for old in range(1, new + 1):
            one, two = mth(0, old), mth(0, new)
            proof = merkle.consistency_proof(old, new, node)
            wrong = [(one, two, altered) for altered in alterations(proof)]
            wrong += [(bytes(32), two, proof), (one, bytes(32), proof), (one[1:], two, proof)]
            if old != new:
                wrong.append((two, one, proof))
            cases += len(wrong)
            accepted += sum(merkle.verify_consistency(old, a, new, b, c) for a, b, c in wrong)
    assert cases > 10_000
    assert accepted == 0


def test_consistency_of_wrong_sizes_is_refused(node):
    """A proof for other sizes than its own does not verify against these trees' roots."""
    for new in range(2, 34):
        for old in range(1, new):
            proof = merkle.consistency_proof(old, new, node)
            for other in range(new + 1):
                if other != old:
                    assert not merkle.verify_consistency(other, mth(0, other), new, mth(0, new), proof)
            assert not merkle.verify_consistency(new, mth(0, new), old, mth(0, old), proof)
            assert not merkle.verify_consistency(-1, mth(0, old), new, mth(0, new), proof)


def test_the_empty_tree_is_consistent_with_everything_but_nothing_else_is_with_it(node):
    """From size 0 there is no proof, only the empty root."""
    assert merkle.verify_consistency(0, merkle.EMPTY_ROOT, 5, mth(0, 5), [])
    assert not merkle.verify_consistency(0, bytes(32), 5, mth(0, 5), [])
    assert not merkle.verify_consistency(0, merkle.EMPTY_ROOT, 5, mth(0, 5), [bytes(32)])
    assert not merkle.verify_consistency(4, mth(0, 4), 4, mth(0, 4), [bytes(32)])
    assert not merkle.verify_consistency(3, mth(0, 3), 5, mth(0, 5), [])


@pytest.mark.parametrize(
    "ask",
    [
        lambda node: merkle.tree_root(-1, node),
        lambda node: merkle.inclusion_proof(0, 0, node),
        lambda node: merkle.inclusion_proof(5, 5, node),
        lambda node: merkle.inclusion_proof(-1, 5, node),
        lambda node: merkle.consistency_proof(6, 5, node),
        lambda node: merkle.consistency_proof(-1, 5, node),
        lambda node: merkle.new_nodes(-1, bytes(32), node),
        lambda node: merkle.new_nodes(0, bytes(31), node),
    ],
)
def test_impossible_questions_are_errors(ask, node):
    """Nobody gets a proof of something outside the tree."""
    with pytest.raises(Malformed):
        ask(node)


def test_proofs_of_a_large_log_read_few_nodes():
    """A proof in a log of a million leaves reads at most the square of its depth."""
    reads = []

    def read(level, index):
        reads.append((level, index))
        return bytes(32)

    merkle.inclusion_proof(765_432, 1_000_000, read)
    merkle.consistency_proof(123_457, 1_000_000, read)
    assert len(reads) <= 2 * 20 * 20 / 2
