"""I22: the tamper matrix. Every case is counted, and none is accepted.

Four attackers: one who changes bytes of the file; one who packs it again, manifest and checksums right; one who puts
other genuine pieces into it; and one who signs with keys of his own.
"""

from dataclasses import replace
from itertools import combinations, permutations

import pytest

from lifecycle.evidence import archive, canonical
from lifecycle.evidence.bundle import MANIFEST, pack_bundle
from lifecycle.evidence.digest import digest
from lifecycle.evidence.envelope import sign_envelope
from lifecycle.evidence.keys import NoteKey
from lifecycle.evidence.statement import encode_statement
from lifecycle.evidence.verify import verify
from tests.evidence import world
from tests.evidence.world import CERTIFICATE, LOG, OPS_A, ORIGIN, STRANGER, Log, make


@pytest.fixture(scope="module")
def made():
    return make("offboarding")


@pytest.fixture(scope="module")
def small():
    """The least certificate there can be: one step, one batch."""

    def entries(told):
        told[:] = [entry for entry in told if entry.get("batch") not in ("b2", "b3")]
        world.find(told, "job.finished").update(deleted=5, batches=1)

    return make("rule", plan=lambda plan: plan["steps"].pop(), entries=entries)


def accepted(cases, trust):
    """How many cases there were, and how many the verifier called valid."""
    total = valid = 0
    for data in cases:
        total += 1
        valid += verify(data, trust).verdict == "valid"
    return total, valid


def flipped(data, *masks):
    for at, value in enumerate(data):
        for mask in masks:
            yield data[:at] + bytes([value ^ mask]) + data[at + 1 :]


def packed(files):
    """The files in a canonical archive with a manifest that fits: only cryptography is left to object."""
    files = {name: data for name, data in files.items() if name != MANIFEST}
    hashes = {name: digest(data) for name, data in files.items()}
    return archive.pack({**files, MANIFEST: canonical.encode({"lifecycle": "bundle/v1", "files": hashes})})


def test_I22_no_flipped_byte_of_the_file_is_accepted(small):
    """Every byte of the bundle, in two ways."""
    assert verify(small.data, small.trust).verdict == "valid"
    assert accepted(flipped(small.data, 0x01, 0x80), small.trust) == (2 * len(small.data), 0)


def test_I22_no_shortened_or_lengthened_file_is_accepted(small):
    """Cut at every length; extended in front and behind."""
    data = small.data
    cases = [data[:at] for at in range(len(data))] + [data + b"\0", b"\0" + data, data + data]
    assert accepted(cases, small.trust) == (len(data) + 3, 0)


def test_I22_no_flipped_byte_inside_is_accepted_when_everything_around_it_fits(small):
    """Every byte of every file, packed again with right checksums and a right manifest."""
    files = archive.unpack(small.data)
    assert packed(files) == small.data
    inside = {name: data for name, data in files.items() if name != MANIFEST}
    cases = (packed({**files, name: other}) for name, data in inside.items() for other in flipped(data, 0x01))
    assert accepted(cases, small.trust) == (sum(map(len, inside.values())), 0)


def test_I22_no_file_can_be_missing_empty_or_shorter(made):
    """Each file dropped, emptied, cut by a byte, doubled; proofs and entries dropped in pairs."""
    files = archive.unpack(made.data)
    cases = []
    for name, data in files.items():
        if name != MANIFEST:
            rest = {other: body for other, body in files.items() if other != name}
            cases += [packed(rest), *(packed({**files, name: body}) for body in (b"", data[:-1], data + data))]
    assert accepted(cases, made.trust) == (4 * (len(files) - 1), 0)


@pytest.mark.parametrize("story", ["offboarding", "rule", "mandate"])
def test_I22_no_entry_can_be_left_out(story):
    """Each entry, and each pair of entries, with their genuine proofs.

    The tenant's history may begin later: what lies before its plan is not what the certificate is about.
    """
    made = make(story)
    needed = [index for index in made.bundle.entries if index > 7 or story != "offboarding"]
    cases = [
        pack_bundle(world.bundle_of(made.log, made.bundle, [i for i in made.bundle.entries if i not in left_out]))
        for count in (1, 2)
        for left_out in combinations(needed, count)
    ]
    total, valid = accepted(cases, made.trust)
    assert total >= 60
    assert valid == 0


def test_I22_no_two_entries_can_change_places(made):
    """All ordered pairs: the entry alone, the proof alone, and both, under each other's index."""
    entries, proofs = made.bundle.entries, made.bundle.proofs
    cases = []
    for one, two in permutations(entries, 2):
        swapped = {**entries, one: entries[two], two: entries[one]}
        crossed = {**proofs, one: proofs[two], two: proofs[one]}
        doubled = {**entries, one: entries[two]}
        cases += [
            replace(made.bundle, entries=swapped),
            replace(made.bundle, proofs=crossed),
            replace(made.bundle, entries=swapped, proofs=crossed),
            replace(made.bundle, entries=doubled),
            replace(made.bundle, entries=doubled, proofs={**proofs, one: proofs[two]}),
        ]
    count = len(entries) * (len(entries) - 1)
    assert accepted(map(pack_bundle, cases), made.trust) == (5 * count, 0)


def test_I22_no_entry_can_be_added_or_renumbered(made):
    """Any other entry of the log, genuine proof included, if it is a neighbour's; any index with any proof."""
    entries, proofs = made.bundle.entries, made.bundle.proofs
    size = len(made.log.leaves)
    cases = [made.with_entries([*entries, index]).bundle for index in (5, 14, size - 1)]
    for index in entries:
        for other in range(size + 2):
            if other not in entries:
                moved = {at: data for at, data in entries.items() if at != index} | {other: entries[index]}
                paths = {at: path for at, path in proofs.items() if at != index} | {other: proofs[index]}
                more = {**entries, other: entries[index]}
                cases.append(replace(made.bundle, entries=moved, proofs=paths))
                cases.append(replace(made.bundle, entries=more, proofs={**proofs, other: proofs[index]}))
    total, valid = accepted(map(pack_bundle, cases), made.trust)
    assert total > 250
    assert valid == 0


def test_I22_no_proof_can_be_altered(made):
    """Each hash of each path dropped, doubled, zeroed or swapped; paths of other entries and consistency proofs."""
    cases = []
    groups = (("proofs", made.bundle.proofs), ("consistency", made.bundle.consistency))
    for name, paths in groups:
        for at, path in paths.items():
            for n, value in enumerate(path):
                cases += [
                    (name, {**paths, at: other})
                    for other in (
                        path[:n] + path[n + 1 :],
                        (*path[:n], value, *path[n:]),
                        (*path[:n], bytes(32), *path[n + 1 :]),
                    )
                ]
            cases += [(name, {**paths, at: other}) for other in ((), (*path, bytes(32)), path[::-1])]
    bundles = [pack_bundle(replace(made.bundle, **{name: paths})) for name, paths in cases]
    total, valid = accepted(bundles, made.trust)
    assert total > 200
    assert valid == 0


def test_I22_no_piece_of_another_certificate_fits(made):
    """Statement, plan, checkpoint, entries and proofs of other genuine certificates of the same log."""
    others = [make("rule"), make("mandate"), make("offboarding", predicate=lambda p: p.update(number="2026-0002"))]
    names = ("certificate", "plan", "checkpoint", "entries", "proofs", "anchors", "consistency")
    cases = []
    for other in others:
        for count in range(1, len(names)):
            for chosen in combinations(names, count):
                bundle = replace(made.bundle, **{name: getattr(other.bundle, name) for name in chosen})
                if bundle.entries.keys() == bundle.proofs.keys() and not same(bundle, made, *others):
                    cases.append(bundle)
    total, valid = accepted(map(pack_bundle, cases), made.trust)
    assert total > 100
    assert valid == 0


def same(bundle, *genuine):
    """Whether the exchange gave one of the genuine bundles again: some of their pieces are equal."""
    return any(bundle == other.bundle for other in genuine)


def edited(value, path=()):
    """Every leaf of a document, changed: numbers by one, texts by a letter that their form allows, null and truth."""
    if isinstance(value, dict):
        for name, member in value.items():
            for other in edited(member, (*path, name)):
                yield {**value, name: other}
    elif isinstance(value, list):
        for at, member in enumerate(value):
            for other in edited(member, (*path, at)):
                yield [*value[:at], other, *value[at + 1 :]]
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, str):
        yield value[:-1] + ("1" if value[-1] == "0" else "0")
    else:
        yield 0


def test_I22_no_field_of_the_statement_can_change_under_another_key(made):
    """Counts, dates, parties, everything: signed again by a stranger, with or without the genuine signature."""
    genuine = canonical.decode(made.bundle.certificate)["signatures"]
    cases = []
    for predicate in edited(made.predicate):
        try:
            payload = encode_statement(predicate, made.plan_hash)
        except ValueError:
            continue
        envelope = sign_envelope(payload, [STRANGER])
        kept = canonical.encode({**canonical.decode(envelope), "signatures": genuine})
        claimed = [{**canonical.decode(envelope)["signatures"][0], "keyid": CERTIFICATE.public.id}]
        as_if = canonical.encode({**canonical.decode(envelope), "signatures": claimed})
        cases += [replace(made.bundle, certificate=other) for other in (envelope, kept, as_if)]
    total, valid = accepted(map(pack_bundle, cases), made.trust)
    assert total > 150
    assert valid == 0


def test_I22_a_statement_signed_again_does_not_fit_its_log(made):
    """Even the genuine certificate key cannot change a statement afterwards: its hash stands in the log."""
    cases = []
    for predicate in edited(made.predicate):
        try:
            payload = encode_statement(predicate, made.plan_hash)
        except ValueError:
            continue
        cases.append(replace(made.bundle, certificate=sign_envelope(payload, [CERTIFICATE])))
    total, valid = accepted(map(pack_bundle, cases), made.trust)
    assert total > 50
    assert valid == 0


def test_I22_keys_of_one_duty_do_not_serve_another(made):
    """Certificates signed by log, operator or stranger; checkpoints by anybody but the log."""
    payload = encode_statement(made.predicate, made.plan_hash)
    cases = [
        replace(made.bundle, certificate=sign_envelope(payload, signers))
        for signers in ([LOG], [OPS_A], [STRANGER], [CERTIFICATE, STRANGER], [STRANGER, CERTIFICATE])
    ]
    for signer in (CERTIFICATE, OPS_A, STRANGER):
        forged = Log(signer=signer)
        for leaf in made.log.leaves:
            forged.append_raw(leaf)
        cases.append(replace(made.bundle, checkpoint=forged.checkpoint()))
    other = Log(origin="other.example/log")
    for leaf in made.log.leaves:
        other.append_raw(leaf)
    cases.append(replace(made.bundle, checkpoint=other.checkpoint()))
    assert accepted(map(pack_bundle, cases), made.trust) == (9, 0)


def test_I22_another_readers_trust_accepts_nothing(made):
    """Each key of the trust file exchanged, alone."""
    trusts = [
        replace(made.trust, log_keys=(NoteKey(ORIGIN, STRANGER.public),)),
        replace(made.trust, certificate_keys=(STRANGER.public,)),
        replace(made.trust, operator_keys={"ops-a": STRANGER.public, "ops-b": world.OPS_B.public}),
        replace(made.trust, operator_keys={"ops-a": OPS_A.public}),
        replace(made.trust, operator_keys={"ops-a": world.OPS_B.public, "ops-b": OPS_A.public}),
        replace(made.trust, operator_keys={}),
    ]
    for trust in trusts[:1]:
        with pytest.raises(ValueError, match="trusted"):
            trust.opened_anchors()
    assert [verify(made.data, replace(trust, anchors={})).verdict for trust in trusts] == ["invalid"] * len(trusts)
    assert [verify(made.data, trust).verdict for trust in trusts] == ["invalid"] * len(trusts)
