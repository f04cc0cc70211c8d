"""The Merkle tree of RFC 6962, its proofs, and their verification (RFC 9162 sections 2.1.3.2 and 2.1.4.2).

A tree is stored as its *complete subtrees*: node ``(level, index)`` is the hash of leaves ``index * 2**level`` up to
``(index + 1) * 2**level``. Such a node never changes once all its leaves are there, so an append only adds nodes, and
every root and proof of every earlier size can be made from the same storage, in O(log² n) reads at most.

A proof alone does not fix the tree's size: trees of different sizes can give a leaf a path of the same shape. Sizes
and roots are taken from a signed checkpoint, never from beside the proof.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from lifecycle.evidence.errors import Malformed

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

NodeReader = Callable[[int, int], bytes]


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 || data): RFC 6962 section 2.1."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right): RFC 6962 section 2.1."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """The root over a stream of leaf hashes, in O(log n) memory: for full re-verification of a log."""
    peaks: list[bytes] = []
    for size, leaf in enumerate(leaf_hashes):
        top = leaf
        carry = size
        while carry & 1:
            top = hashlib.sha256(b"\x01" + peaks.pop() + top).digest()
            carry >>= 1
        peaks.append(top)
    if not peaks:
        return EMPTY_ROOT
    root = peaks.pop()
    while peaks:
        root = node_hash(peaks.pop(), root)
    return root


def new_nodes(size: int, leaf: bytes, node: NodeReader) -> list[tuple[int, int, bytes]]:
    """The nodes ``(level, index, hash)`` that appending one leaf to a tree of ``size`` leaves completes, leaf first.

    Raises:
        Malformed: a negative size, or a leaf hash that is not 32 bytes.
    """
    if size < 0 or len(leaf) != HASH_BYTES:
        raise Malformed("a tree size below 0, or a leaf hash that is not 32 bytes")
    nodes = [(0, size, leaf)]
    level, index, top = 0, size, leaf
    while index & 1:
        top = node_hash(node(level, index - 1), top)
        level, index = level + 1, index >> 1
        nodes.append((level, index, top))
    return nodes


def tree_root(size: int, node: NodeReader) -> bytes:
    """The root of the first ``size`` leaves.

    Raises:
        Malformed: a negative size.
    """
    if size < 0:
        raise Malformed("a tree size below 0")
    return _range_root(0, size, node) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, node: NodeReader) -> list[bytes]:
    """The path of leaf ``index`` in the tree of ``size`` leaves, lowest sibling first: RFC 6962 section 2.1.1.

    Raises:
        Malformed: the leaf is not in the tree.
    """
    if not 0 <= index < size:
        raise Malformed("no such leaf in a tree of this size")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_range_root(middle, end, node))
            end = middle
        else:
            path.append(_range_root(start, middle, node))
            start = middle
    path.reverse()
    return path


def consistency_proof(old: int, new: int, node: NodeReader) -> list[bytes]:
    """The proof that the first ``old`` of ``new`` leaves are unchanged: RFC 6962 section 2.1.2; empty for 0 and equal.

    Raises:
        Malformed: not ``0 <= old <= new``.
    """
    if not 0 <= old <= new:
        raise Malformed("the older tree is larger than the newer, or below 0")
    if old in (0, new):
        return []
    proof: list[bytes] = []
    start, end = 0, new
    # Walk down to the subtree that ends exactly where the old tree ends.
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(_range_root(middle, end, node))
            end = middle
        else:
            proof.append(_range_root(start, middle, node))
            start = middle
    if start:
        # Otherwise that subtree is the old tree itself, and the verifier has its root.
        proof.append(_range_root(start, end, node))
    proof.reverse()
    return proof


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether ``leaf`` is the hash of leaf ``index`` in the tree of ``size`` leaves with this root."""
    if not 0 <= index < size or not _hashes([leaf, root, *path]):
        return False
    position, last, top = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if position & 1 or position == last:
            top = node_hash(sibling, top)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            top = node_hash(top, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and top == root


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether the tree of ``new_size`` leaves begins with the tree of ``old_size`` leaves."""
    if not 0 <= old_size <= new_size or not _hashes([old_root, new_root, *path]):
        return False
    if old_size == new_size:
        return not path and old_root == new_root
    if old_size == 0:
        return not path and old_root == EMPTY_ROOT
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    hashes = [old_root, *path] if position == 0 else list(path)
    if not hashes:
        return False
    return _climb(position, last, hashes) == (old_root, new_root)


def _climb(position: int, last: int, hashes: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """The two roots that a consistency path leads to, or None when its length does not fit the sizes."""
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return None
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    return (old, new) if last == 0 else None


def _range_root(start: int, end: int, node: NodeReader) -> bytes:
    """The hash over leaves start..end of RFC 6962's recursion: whole subtrees are read, ragged right edges composed."""
    peaks: list[bytes] = []
    while start < end:
        # The largest aligned subtree that still fits. RFC 6962 only asks for ranges where greedy is its own split.
        level = (end - start).bit_length() - 1
        peaks.append(node(level, start >> level))
        start += 1 << level
    root = peaks.pop()
    while peaks:
        root = node_hash(peaks.pop(), root)
    return root


def _split(size: int) -> int:
    """The largest power of two below ``size`` (at least 2)."""
    return 1 << (size - 1).bit_length() - 1


def _hashes(values: Iterable[bytes]) -> bool:
    return all(len(value) == HASH_BYTES for value in values)
