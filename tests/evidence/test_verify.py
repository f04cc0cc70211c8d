"""What the verifier accepts, and each thing it refuses although every signature is genuine."""

import datetime as dt
import json
from dataclasses import replace

import pytest

from lifecycle.evidence import canonical
from lifecycle.evidence.approval import sign_mandate, sign_plan
from lifecycle.evidence.envelope import sign_envelope
from lifecycle.evidence.merkle import consistency_proof
from lifecycle.evidence.report import as_json, as_text
from lifecycle.evidence.schema import parse_instant
from lifecycle.evidence.statement import encode_statement
from lifecycle.evidence.verify import verify
from tests.evidence import world
from tests.evidence.test_envelope import GONE, INVOICES
from tests.evidence.world import (
    NEIGHBOUR,
    OPS_B,
    STORIES,
    STRANGER,
    TENANT,
    Log,
    approved,
    digest,
    find,
    make,
    mandate,
    setting,
)


def codes(made, **options):
    """The kinds of findings over a bundle."""
    return {finding.code for finding in verify(made.data, made.trust, **options).findings}


def insert(entry, before):
    """An edit that puts an entry before the first one of a type."""

    def edit(entries):
        at = next(n for n, other in enumerate(entries) if other["type"] == before)
        entries.insert(at, entry)

    return edit


def remove(kind, nth=0):
    def edit(entries):
        entries.remove(find(entries, kind, nth))

    return edit


def both(*edits):
    def edit(value):
        for one in edits:
            one(value)

    return edit


def move(kind, nth, before):
    """An edit that moves an entry to before the first one of another type."""

    def edit(entries):
        moved = find(entries, kind, nth)
        entries.remove(moved)
        at = next(n for n, other in enumerate(entries) if other["type"] == before)
        entries.insert(at, moved)

    return edit


def put(*path_and_value):
    """An edit of a nested document."""
    *path, value = path_and_value

    def edit(document):
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = value

    return edit


@pytest.mark.parametrize("story", sorted(STORIES))
def test_an_honest_certificate_is_valid(story):
    """Two approvals, one approval, a mandate: nothing is found, and the facts are those of the log."""
    made = make(story)
    report = verify(made.data, made.trust)
    assert report.verdict == "valid", report.findings
    assert report.facts["plan_hash"] == made.plan_hash
    assert report.facts["log_size"] == len(made.log.leaves)
    assert [row["deleted"] for row in report.facts["datasets"]] == [5, 0]
    assert [row["anonymised"] for row in report.facts["datasets"]] == [0, 2]


def final(completeness="final", **more):
    return lambda predicate: predicate.update({"completeness": completeness, "copies": GONE, **more})


@pytest.mark.parametrize(
    ("story", "edits"),
    [
        ("offboarding", {"predicate": final()}),
        ("offboarding", {"predicate": final("final-with-residue", withheld=[INVOICES])}),
        ("rule", {"predicate": put("supersedes", "c-0")}),
        ("rule", {"predicate": put("copies", "subprocessors", [])}),
        # A third signature after the start authorises nothing, and harms nothing.
        (
            "rule",
            {
                "entries": lambda e: e.append(
                    {**approved(find(e, "plan.created")["plan_hash"], None, "ops-b", OPS_B), "at": world.at(20)},
                ),
            },
        ),
        ("rule", {"predicate": put("agreement", "version", "2025-01, 2026-01")}),
        # To the second: 72 hours of a plan, 24 hours of clocks, 5 seconds of a clock set back.
        ("rule", {"entries": setting("plan.created", at="2026-02-26T02:12:00Z")}),
        ("rule", {"entries": setting("job.started", effective_now="2026-02-28T02:12:00Z")}),
        ("rule", {"entries": setting("job.started", effective_now="2026-03-01T02:12:05Z")}),
        ("rule", {"entries": setting("job.finished", at="2026-03-01T02:17:55Z")}),
        ("rule", {"predicate": put("issued_at", "2026-03-01T02:21:05Z")}),
        ("rule", {"predicate": put("issued_at", "2026-03-01T02:20:00Z")}),
        ("mandate", {"entries": insert(mandate("renewed", signer=OPS_B, name="ops-b"), "plan.created")}),
        # On the last day of the mandate, in whatever zone.
        ("mandate", {"entries": lambda e: e[6].update(mandate(expires_on="2026-03-01"))}),
        # Verified twice: the first look found something, the next run of the store's own sweep removed it.
        (
            "rule",
            {
                "entries": lambda e: e.insert(
                    len(e) - 1, {**find(e, "verification.done"), "unknown": 1, "coverage_complete": False}
                )
            },
        ),
        # A step that only detaches needs no look.
        (
            "rule",
            {
                "plan": put("steps", 1, world.step("s002", "users", "detach", 2)),
                "entries": lambda e: find(e, "verification.done")["checks"].pop(),
            },
        ),
    ],
)
def test_what_an_honest_issuer_may_certify(story, edits):
    """Final certificates, superseding ones, repeated verification, late signatures."""
    made = make(story, **edits)
    assert verify(made.data, made.trust).findings == ()


def test_a_tenant_certificate_may_be_looked_at_again_later():
    """A verification after the certificate's entry does not change what the certificate rests on."""
    made = make("rule")
    again = {
        **find(world.approved_rule(made.plan, made.plan_hash), "verification.done"),
        "at": world.at(40),
        "unknown": 1,
    }
    index = made.log.append(again)
    bundle = world.bundle_of(
        made.log, replace(made.bundle, checkpoint=made.log.checkpoint()), [*made.bundle.entries, index]
    )
    assert verify(replace(made, bundle=bundle).data, made.trust).verdict == "valid"


AUTHOR = put("author", "ops-a")
CHECK = ("verification.done", 0)


def check(**fields):
    return lambda entries: find(entries, "verification.done")["checks"][0].update(fields)


LIES = {
    # the plan and who allowed it
    "one signature": ("offboarding", {"entries": remove("plan.approved", 1)}, "approvals-missing"),
    "no signature": ("rule", {"entries": remove("plan.approved")}, "approvals-missing"),
    "same operator twice": (
        "offboarding",
        {
            "entries": lambda e: find(e, "plan.approved", 1).update(find(e, "plan.approved", 0)),
            "predicate": put("approvals", ["ops-a"]),
        },
        "approvals-missing",
    ),
    "one key under two names": (
        "offboarding",
        {"entries": lambda e: find(e, "plan.approved", 1).update(signature=find(e, "plan.approved", 0)["signature"])},
        "approval-signature",
    ),
    "author approves": ("offboarding", {"plan": AUTHOR}, "self-approval"),
    "unknown approver": ("offboarding", {"entries": setting("plan.approved", operator="ops-z")}, "approver-unknown"),
    "forged approval": (
        "offboarding",
        {"entries": lambda e: find(e, "plan.approved").update(signature=sign_plan(STRANGER, digest(b"x")))},
        "approval-signature",
    ),
    "approval of another plan": (
        "offboarding",
        {"entries": setting("plan.approved", plan_hash=digest(b"x"))},
        "approvals-missing",
    ),
    "approved after the start": ("rule", {"entries": move("plan.approved", 0, "job.finished")}, "approvals-missing"),
    "other approvers stated": ("offboarding", {"predicate": put("approvals", ["ops-a", "ops-z"])}, "approvals"),
    "plan too old": ("rule", {"entries": setting("plan.created", at="2026-02-26T02:11:59Z")}, "plan-expired"),
    "other plan hash": ("rule", {"entries": setting("plan.created", plan_hash=digest(b"x"))}, "plan-hash"),
    "job of another plan": ("rule", {"entries": setting("job.started", plan_hash=digest(b"x"))}, "plan-hash"),
    "job of another plan by name": ("offboarding", {"entries": setting("job.started", plan="plan-6")}, "plan-hash"),
    "two steps of one name": (
        "rule",
        {"plan": put("steps", 1, "id", "s001"), "entries": setting("batch.intent", 2, step="s001")},
        "plan-steps",
    ),
    "other steps logged": (
        "rule",
        {"entries": lambda e: find(e, "plan.created")["steps"][0].update(dataset="users")},
        "plan-steps",
    ),
    "another action logged": (
        "rule",
        {"entries": lambda e: find(e, "plan.created")["steps"][1].update(action="delete")},
        "plan-steps",
    ),
    "anonymises without a transform": (
        "rule",
        {"plan": put("steps", 1, "action", {"kind": "anonymise", "transforms": []})},
        "plan-undone",
    ),
    "does not select what it anonymises": ("rule", {"plan": put("steps", 1, "selection", "undone", [])}, "plan-undone"),
    "a deletion that looks away from what is anonymised": (
        "rule",
        {"plan": put("steps", 0, "selection", {"undone": [{"how": "set-null", "column": "email"}]})},
        "plan-undone",
    ),
    "other author logged": ("rule", {"entries": setting("plan.created", author="ops-b")}, "plan-header"),
    "rule plan as offboarding": ("rule", {"entries": setting("plan.created", kind="rule", author="x")}, "plan-header"),
    "other policy": ("rule", {"plan": put("policy_hash", digest(b"old"))}, "policy-hash"),
    "two plans": ("rule", {"entries": lambda e: e.insert(6, {**find(e, "plan.created")})}, "entry-count"),
    # mandates
    "mandate for offboarding": (
        "offboarding",
        {"entries": both(setting("job.started", mandate="m-1"), insert(mandate(), "job.started"))},
        "mandate",
    ),
    "mandate never granted": ("mandate", {"entries": remove("mandate.granted")}, "mandate-missing"),
    "other mandate granted": ("mandate", {"entries": setting("mandate.granted", mandate="m-2")}, "mandate-missing"),
    "mandate granted afterwards": (
        "mandate",
        {"entries": move("mandate.granted", 0, "job.finished")},
        "mandate-missing",
    ),
    "mandate revoked": ("mandate", {"entries": insert(mandate("revoked"), "plan.created")}, "mandate-missing"),
    "mandate expired": (
        "mandate",
        {"entries": lambda e: e[6].update(mandate(expires_on="2026-02-27"))},
        "mandate-expired",
    ),
    "mandate stretched": (
        "mandate",
        {"entries": setting("mandate.granted", expires_on="2028-03-01")},
        "mandate-signature",
    ),
    "mandate by a stranger": (
        "mandate",
        {"entries": setting("mandate.granted", operator="ops-z")},
        "mandate-signature",
    ),
    "mandate forged": (
        "mandate",
        {"entries": setting("mandate.granted", signature=sign_mandate(STRANGER, world.TEMPLATE, "2027-03-01"))},
        "mandate-signature",
    ),
    "mandate of another rule": ("mandate", {"entries": setting("mandate.granted", rule="users")}, "mandate-rule"),
    "mandate by the author": ("mandate", {"plan": AUTHOR}, "self-approval"),
    "other mandate stated": ("rule", {"predicate": put("mandate", "m-1")}, "mandate"),
    # batches
    "intent left open": ("rule", {"entries": remove("batch.void")}, "open-intent"),
    "receipt without intent": (
        "rule",
        {"entries": both(remove("batch.intent", 2), setting("job.finished", batches=2))},
        "batch-closing",
    ),
    "receipt twice": (
        "rule",
        {"entries": lambda e: e.insert(-2, {**find(e, "batch.receipt", 1), "deleted": 0})},
        "batch-closing",
    ),
    "void and receipt": (
        "rule",
        {"entries": lambda e: e.insert(-2, {**find(e, "batch.void"), "batch": "b1"})},
        "batch-closing",
    ),
    "receipt before its intent": ("rule", {"entries": move("batch.receipt", 1, "batch.void")}, "batch-closing"),
    "receipt of another step": ("rule", {"entries": setting("batch.receipt", 1, step="s001")}, "batch-closing"),
    "number left out": ("rule", {"entries": setting("batch.intent", 2, number=4)}, "batch-numbers"),
    "number twice": ("rule", {"entries": setting("batch.intent", 2, number=2)}, "batch-numbers"),
    "tail left out": (
        "rule",
        {
            "entries": both(
                remove("batch.intent", 2),
                remove("batch.receipt", 1),
                setting("job.finished", deleted=5),
            )
        },
        "batch-numbers",
    ),
    "batch twice": ("rule", {"entries": setting("batch.intent", 1, batch="b1")}, "batch-intent"),
    "batch of no step": ("rule", {"entries": setting("batch.intent", 1, step="s009")}, "batch-intent"),
    "receipt above its limit": ("rule", {"entries": setting("batch.intent", 0, limit=4)}, "batch-limit"),
    "receipts above the step's limit": (
        "rule",
        {"plan": lambda p: p["steps"][0].update(limit=4)},
        "step-limit",
    ),
    "job count": ("rule", {"entries": setting("job.finished", deleted=6)}, "job-count"),
    "job not done": ("rule", {"entries": setting("job.finished", outcome="partial")}, "job-outcome"),
    "batch before the job": ("rule", {"entries": move("batch.intent", 0, "job.started")}, "order"),
    "batch after the job": ("rule", {"entries": move("job.finished", 0, "batch.receipt")}, "order"),
    "plan after the job": ("rule", {"entries": move("job.started", 0, "plan.created")}, "order"),
    "two starts": ("rule", {"entries": lambda e: e.insert(-2, {**find(e, "job.started")})}, "entry-count"),
    # verification
    "verified before the end": ("rule", {"entries": move("verification.done", 0, "batch.void")}, "order"),
    "never verified": (
        "rule",
        {"keep": lambda indices: [index for index in indices if index != indices[-2]]},
        "entry-count",
    ),
    "residue": ("rule", {"entries": check(residue=1)}, "residue"),
    "orphans": ("rule", {"entries": check(orphans=1)}, "residue"),
    "unknown outcome": ("rule", {"entries": setting(*CHECK, unknown=1)}, "residue"),
    "a step not looked at": (
        "rule",
        {"entries": lambda e: find(e, "verification.done")["checks"].pop()},
        "verification-scope",
    ),
    "a step looked at twice": (
        "rule",
        {"entries": lambda e: find(e, "verification.done")["checks"].append(find(e, *CHECK)["checks"][0])},
        "verification-scope",
    ),
    "another dataset looked at": ("rule", {"entries": check(dataset="other")}, "verification-scope"),
    "coverage incomplete": (
        "offboarding",
        {"entries": setting(*CHECK, coverage_complete=False), "predicate": final()},
        "not-final",
    ),
    "undatable in a final one": (
        "offboarding",
        {"entries": check(undatable=1), "predicate": final(undatable=0)},
        "not-final",
    ),
    "undatable hidden": ("rule", {"entries": check(undatable=1), "predicate": put("undatable", 0)}, "counts"),
    "contested hidden": ("rule", {"entries": check(contested=1), "predicate": put("contested", 0)}, "counts"),
    "other verification": ("rule", {"predicate": put("verification", "index", 3)}, "verification"),
    "other verifier": ("rule", {"predicate": put("verification", "verifier", "x")}, "verification"),
    "other time of verification": (
        "rule",
        {"predicate": put("verification", "at", "2026-03-01T02:20:01Z")},
        "verification",
    ),
    # the statement
    **{
        f"other count: {name}": ("rule", {"predicate": put("datasets", 0, name, 99)}, "counts")
        for name in ("selected", "deleted", "anonymised", "changed", "kept", "failed", "remaining", "late")
    },
    "other commitment": ("rule", {"predicate": put("datasets", 0, "commitment", digest(b"x"))}, "counts"),
    "other method": ("rule", {"predicate": put("datasets", 1, "method", "delete")}, "counts"),
    "dataset left out": ("rule", {"predicate": lambda p: p["datasets"].pop()}, "counts"),
    "dataset twice": ("rule", {"predicate": lambda p: p["datasets"].append(p["datasets"][0])}, "counts"),
    "datasets swapped": ("rule", {"predicate": lambda p: p["datasets"].reverse()}, "counts"),
    "never logged": ("rule", {"keep": lambda indices: indices[:-1]}, "entry-count"),
    "other statement logged": (
        "rule",
        {"issued": lambda entry: entry.update(statement_hash=digest(b"x"))},
        "entry-count",
    ),
    **{
        f"other {name} logged": ("rule", {"issued": put(name, "x-9")}, "issued")
        for name in ("certificate", "number", "supersedes")
    },
    "other origin": ("rule", {"predicate": put("evidence", "origin", "other.example/log")}, "origin"),
    "other first entry": ("rule", {"predicate": put("evidence", "first_index", 0)}, "range"),
    "other last entry": ("rule", {"predicate": put("evidence", "last_index", 9)}, "range"),
    "log too small": ("rule", {"predicate": put("evidence", "log_size", 9)}, "log-size"),
    "log too large": ("rule", {"predicate": put("evidence", "log_size", 99)}, "log-size"),
    "other period": ("rule", {"predicate": put("period", "to", "2026-03-02T00:00:00Z")}, "period"),
    "other effective time": ("rule", {"predicate": put("clock", "effective_now", "2026-03-02T00:00:00Z")}, "clock"),
    "effective time ahead": (
        "rule",
        {"entries": setting("job.started", effective_now="2026-03-01T02:12:06Z")},
        "clock",
    ),
    "effective time far behind": (
        "rule",
        {"entries": setting("job.started", effective_now="2026-02-28T02:11:59Z")},
        "clock",
    ),
    "issued before its verification": ("rule", {"predicate": put("issued_at", "2026-03-01T02:19:59Z")}, "issued-early"),
    "issued in the future": ("rule", {"predicate": put("issued_at", "2026-03-01T02:21:06Z")}, "issued-late"),
    "clock runs backwards": ("rule", {"entries": setting("job.finished", at="2026-03-01T02:17:54Z")}, "time-order"),
    # tenants
    "export never delivered": (
        "offboarding",
        {"predicate": put("export", "manifest_hash", digest(b"other"))},
        "export",
    ),
    "neighbour's entry": (
        "offboarding",
        {"keep": lambda indices: sorted([*indices, 14])},
        "foreign-tenant",
    ),
    "own history with a gap": (
        "offboarding",
        {"keep": lambda indices: [index for index in indices if index != 10]},
        "tenant-gap",
    ),
    "history misnumbered": (
        "offboarding",
        {"entries": setting("job.started", seq=40, prev=10)},
        "tenant-gap",
    ),
    "history that names the future": (
        "offboarding",
        {"entries": setting("tenant.changed", 2, seq=1, prev=99), "keep": lambda indices: [6, *indices]},
        "tenant-gap",
    ),
    "job outside the tenant's history": (
        "offboarding",
        {"entries": lambda e: find(e, "batch.intent").update(tenant=None)},
        "tenancy",
    ),
    "offboarding certified as a run": (
        "offboarding",
        {"predicate": put("type", "run")},
        "tenancy",
    ),
    "entry of another job": (
        "rule",
        {
            "entries": insert(
                {**world.batch("void", None, 11, step="s001", batch="b0"), "job": "job-6"}, "job.started"
            ),
            "keep": lambda indices: [indices[0], indices[1], indices[1] + 1, *indices[2:]],
        },
        "foreign-entry",
    ),
    "entry of another plan": (
        "rule",
        {"entries": insert({**approved(digest(b"x"), None, "ops-b", OPS_B), "plan": "plan-6"}, "job.started")},
        "foreign-entry",
    ),
}


@pytest.mark.parametrize("lie", sorted(LIES))
def test_a_lie_is_found_even_under_genuine_keys(lie):
    """The issuer signs, the log contains it, the proofs hold: the contradiction is still found, by its own name."""
    story, edits, code = LIES[lie]
    made = make(story, **edits)
    report = verify(made.data, made.trust)
    assert code in {finding.code for finding in report.findings}
    assert report.verdict == "invalid"
    assert report.facts == {}


@pytest.mark.parametrize("completeness", ["provisional", "final"])
@pytest.mark.parametrize("found", ["residue", "orphans", "unknown"])
def test_I21_no_certificate_of_any_kind_with_something_left(found, completeness):
    """Residue, orphans or unknown outcomes: not even a provisional certificate is valid."""
    edit = setting(*CHECK, unknown=1) if found == "unknown" else check(**{found: 1})
    made = make(entries=edit, predicate=final(completeness))
    assert "residue" in codes(made)


def test_I21_an_uncovered_store_blocks_the_final_certificate_only():
    """Coverage incomplete: the provisional certificate holds, the final one does not."""
    uncovered = setting(*CHECK, coverage_complete=False)
    assert codes(make(entries=uncovered)) == set()
    assert codes(make(entries=uncovered, predicate=final())) == {"not-final"}


@pytest.mark.parametrize("steps", [None, 7, [], [7, 8], [{"id": "s001"}]])
def test_a_plan_without_readable_steps_is_refused(monkeypatch, steps):
    """The plan is opaque, but its steps must be those of the log."""
    honest = world.make_plan("rule")
    monkeypatch.setitem(STORIES, "lied", lambda _plan, plan_hash: world.approved_rule(honest, plan_hash))
    assert codes(make("lied")) == set()
    assert codes(make("lied", plan=put("steps", steps))) == {"plan-steps"}


def test_a_plan_that_is_no_document_is_refused():
    """Even if its hash is the statement's."""
    made = make("rule")
    plan = canonical.encode([1])
    envelope = sign_envelope(encode_statement(made.predicate, digest(plan)), [world.CERTIFICATE])
    report = verify(replace(made, bundle=replace(made.bundle, plan=plan, certificate=envelope)).data, made.trust)
    assert [finding.message for finding in report.findings] == ["the plan is not a document"]


# The log: its checkpoints and its anchors.


def trust_with(made, *sizes, log=None):
    log = log or made.log
    return replace(made.trust, anchors={size: log.checkpoint(size) for size in sizes})


def test_without_an_anchor_the_verdict_is_incomplete():
    """I22: a rewritten log can only be noticed by somebody who kept a checkpoint."""
    made = make()
    report = verify(made.data, replace(made.trust, anchors={}))
    assert (report.verdict, [f.code for f in report.findings]) == ("incomplete", ["no-anchor"])
    assert report.facts["number"] == "2026-0001"


def test_an_anchor_needs_a_proof_in_the_bundle():
    """Older or newer than the bundle's checkpoint: without a proof the verdict is incomplete, with it valid."""
    made = make()
    size = len(made.log.leaves)
    for _ in range(5):
        made.log.append({"type": "control.stopped", "at": world.at(50), "operator": None, "reason": "file"})
    for other in (3, size + 2, size + 5):
        trust = trust_with(made, other)
        report = verify(made.data, trust)
        assert (report.verdict, [f.code for f in report.findings]) == ("incomplete", ["anchor-unproven"])
        proof = (min(other, size), max(other, size))
        path = tuple(consistency_proof(*proof, made.log.node))
        consistency = {**made.bundle.consistency, proof: path}
        anchored = replace(made.bundle, anchors={**made.bundle.anchors, other: made.log.checkpoint(other)})
        proven = replace(made, bundle=replace(anchored, consistency=consistency))
        assert verify(proven.data, trust).verdict == "valid"
        wrong = {**consistency, proof: (*path[:-1], bytes(32))}
        lied = replace(made, bundle=replace(anchored, consistency=wrong))
        assert "rewritten-log" in {f.code for f in verify(lied.data, trust).findings}
    assert verify(made.data, trust_with(made, size)).verdict == "valid"


def rewritten():
    """A second log of the same issuer: the same signer, another past."""
    log = Log()
    for entry in world.registration():
        log.append({**entry, "at": world.at(4)})
    for _ in range(40):
        log.append({"type": "control.stopped", "at": world.at(50), "operator": None, "reason": "file"})
    return log


def test_I22_a_rewritten_log_is_found_by_an_anchor():
    """The issuer signs a second history: whoever kept a checkpoint of the first one sees it."""
    made, other = make(), rewritten()
    assert codes(replace(made, trust=trust_with(made, 6, log=other))) == {"split-log"}
    size = len(made.log.leaves)
    assert codes(replace(made, trust=trust_with(made, size, log=other))) == {"split-log"}


def test_I22_a_log_with_its_tail_cut_off_is_found_by_an_anchor():
    """The bundle's checkpoint is older than the anchor: somebody may have cut the log and gone on differently."""
    made = make()
    for _ in range(3):
        made.log.append({"type": "control.stopped", "at": world.at(50), "operator": None, "reason": "file"})
    size = len(made.log.leaves)
    assert codes(replace(made, trust=trust_with(made, 6, size))) == {"anchor-unproven"}


def test_a_bundle_carries_no_checkpoint_or_proof_that_proves_nothing():
    """What cannot be checked is refused, not ignored."""
    made = make()
    bundle = made.bundle
    stray = replace(bundle, consistency={**bundle.consistency, (2, 3): ()})
    assert codes(replace(made, bundle=stray)) == {"stray-proof"}
    unknown = replace(bundle, consistency={**bundle.consistency, (2, len(made.log.leaves)): ()})
    assert codes(replace(made, bundle=unknown)) == {"stray-proof"}
    loose = replace(bundle, anchors={**bundle.anchors, 4: made.log.checkpoint(4)})
    assert codes(replace(made, bundle=loose)) == {"stray-proof"}
    twice = replace(bundle, anchors={**bundle.anchors, len(made.log.leaves): made.log.checkpoint()})
    assert codes(replace(made, bundle=twice)) == {"stray-proof"}
    misplaced = replace(bundle, anchors={5: made.log.checkpoint(6)}, consistency={})
    assert codes(replace(made, bundle=misplaced)) == {"unacceptable"}
    forged = Log(signer=STRANGER)
    forged.append_raw(b"x")
    foreign = replace(bundle, anchors={1: forged.checkpoint()}, consistency={})
    assert codes(replace(made, bundle=foreign)) == {"unacceptable"}


def test_a_run_certificate_may_belong_to_one_tenant():
    """Shared passes stand outside every history; the tenant's own summary is in it, a neighbour's is not."""
    made = make(
        "rule",
        entries=lambda e: e.insert(
            -1,
            {
                "type": "run.summary",
                "at": world.at(19),
                "tenant": TENANT,
                "job": "job-7",
                "day": "2026-03-01",
                "deleted": 3,
            },
        ),
        predicate=put("tenant", TENANT),
    )
    summary = next(n for n, leaf in enumerate(made.log.leaves) if b"job-7" in leaf and TENANT.encode() in leaf)
    with_own = made.with_entries([*made.bundle.entries, summary])
    assert verify(with_own.data, made.trust).verdict == "valid"
    other = next(n for n, leaf in enumerate(made.log.leaves) if b"job-6" in leaf and NEIGHBOUR.encode() in leaf)
    assert codes(made.with_entries([*made.bundle.entries, other])) == {"foreign-tenant"}


def test_dates_after_the_readers_clock_are_refused():
    """With --now the future is the reader's; five minutes are forgiven."""
    made = make()
    last = parse_instant(made.predicate["issued_at"])
    assert codes(made, now=last) == set()
    assert codes(made, now=last - dt.timedelta(minutes=5)) == set()
    assert codes(made, now=last - dt.timedelta(minutes=6)) == {"future"}


def test_the_report_says_the_verdict_first_and_what_it_rests_on():
    """For people and for machines."""
    made = make("offboarding", predicate=final("final-with-residue", withheld=[INVOICES], supersedes="c-0"))
    text = as_text(verify(made.data, made.trust))
    assert text.startswith("VALID (gültig)")
    assert "final with residue (mit Rest)" in text
    assert "approved by ops-a, ops-b" in text
    assert "main.tickets (nachlauf): 5 / 0 / 1 / 0" in text
    assert "§ 147 AO (2035-01-01)" in text
    mandated = make("mandate", predicate=put("withheld", [{**INVOICES, "ends_on": None}]))
    text = as_text(verify(mandated.data, replace(mandated.trust, anchors={})))
    assert text.startswith("INCOMPLETE")
    assert "mandate m-1" in text
    assert "(review open)" in text
    report = json.loads(as_json(verify(made.data[:-1], made.trust)))
    assert report["verdict"] == "invalid"
    assert report["facts"] == {}
    assert report["findings"][0]["code"] == "unacceptable"
