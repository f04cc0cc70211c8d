"""A small deployment for the tests of evidence: keys, a log in memory, two stories, and the certifier's bookkeeping.

The certifier here is written for the tests: it shares no code with the checks that judge its certificates.
"""

import copy
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from lifecycle.evidence import canonical
from lifecycle.evidence.approval import sign_mandate, sign_plan
from lifecycle.evidence.bundle import Bundle, collect, pack_bundle
from lifecycle.evidence.checkpoint import Checkpoint, sign_checkpoint
from lifecycle.evidence.digest import alias_for, digest, keyed_digest
from lifecycle.evidence.entry import encode_entry
from lifecycle.evidence.envelope import sign_envelope
from lifecycle.evidence.keys import NoteKey, SigningKey
from lifecycle.evidence.merkle import leaf_hash, new_nodes, tree_root
from lifecycle.evidence.statement import encode_statement
from lifecycle.evidence.trust import Trust

ORIGIN = "log.portal.example/deletions"


def key(name):
    return SigningKey.from_seed(hashlib.sha256(name.encode()).digest())


LOG, CERTIFICATE, OPS_A, OPS_B, STRANGER = (key(name) for name in ("log", "certificate", "ops-a", "ops-b", "stranger"))
SECRET = b"k" * 32
TENANT, NEIGHBOUR = (alias_for(SECRET, name) for name in ("tenant", "neighbour"))
POLICY = digest(b"policy")
TEMPLATE = digest(b"template")


class Log:
    """An append-only log in memory."""

    def __init__(self, origin=ORIGIN, signer=LOG):
        self.origin, self.signer = origin, signer
        self.leaves, self.nodes, self.last = [], {}, {}

    def node(self, level, index):
        return self.nodes[level, index]

    def append(self, entry):
        """Number the entry in its tenant's history, and append it."""
        entry = {"v": 1, "seq": None, "prev": None, "tenant": None, **entry}
        if entry["tenant"] is not None and entry["seq"] is None:
            entry["seq"], entry["prev"] = self.last.get(entry["tenant"], (0, None))
            self.last[entry["tenant"]] = (entry["seq"] + 1, len(self.leaves))
        return self.append_raw(encode_entry(entry))

    def append_raw(self, data):
        index = len(self.leaves)
        self.nodes |= {(level, at): value for level, at, value in new_nodes(index, leaf_hash(data), self.node)}
        self.leaves.append(data)
        return index

    def checkpoint(self, size=None):
        size = len(self.leaves) if size is None else size
        return sign_checkpoint(Checkpoint(self.origin, size, tree_root(size, self.node)), self.signer)


def step(name, dataset, action, expected):
    return {
        "id": name,
        "dataset": dataset,
        "store": "main",
        "action": {"kind": action},
        "expected": expected,
        "limit": expected + 10,
    }


def anonymising(planned):
    """A step that anonymises selects what its transforms have not done."""
    transforms = [{"how": "set-null", "column": "email"}]
    action = {**planned["action"], "transforms": transforms}
    return {**planned, "action": action, "selection": {"dataset": planned["dataset"], "undone": transforms}}


def make_plan(kind):
    return {
        "lifecycle": "plan/v1",
        "id": "plan-7",
        "kind": kind,
        "author": "scheduler",
        "policy_hash": POLICY,
        "rule": "logs" if kind == "rule" else None,
        "steps": [step("s001", "tickets", "delete", 5), anonymising(step("s002", "users", "anonymise", 2))],
    }


def at(minute, day=1):
    return f"2026-03-{day:02d}T02:{minute:02d}:00Z"


def batch(kind, tenant, minute, **fields):
    return {"type": f"batch.{kind}", "at": at(minute), "tenant": tenant, "job": "job-7", **fields}


def job_entries(plan, plan_hash, tenant, mandate=None):
    """From the plan to the verification: three batches, the second of which never happened."""
    common = {"tenant": tenant, "job": "job-7"}
    steps = [{"step": s["id"], **{k: s[k] for k in ("dataset", "store", "expected", "limit")}} for s in plan["steps"]]
    for logged, planned in zip(steps, plan["steps"], strict=True):
        logged["action"] = planned["action"]["kind"]
    clean = dict.fromkeys(("residue", "orphans", "undatable", "unattributed", "contested"), 0)
    return [
        {
            "type": "job.started",
            "at": at(12),
            **common,
            "plan": "plan-7",
            "plan_hash": plan_hash,
            "mandate": mandate,
            "effective_now": at(12),
        },
        batch("intent", tenant, 13, step="s001", batch="b1", number=1, limit=5),
        batch("receipt", tenant, 14, step="s001", batch="b1", deleted=5, kept=1, late=1, digest=mac("b1")),
        {"type": "run.summary", "at": at(14), "tenant": NEIGHBOUR, "job": "job-6", "day": "2026-03-01", "deleted": 3},
        batch("intent", tenant, 15, step="s001", batch="b2", number=2, limit=1),
        batch("void", tenant, 16, step="s001", batch="b2"),
        batch("intent", tenant, 17, step="s002", batch="b3", number=3, limit=2),
        batch("receipt", tenant, 18, step="s002", batch="b3", deleted=2, kept=0, late=0, digest=mac("b3")),
        {"type": "job.finished", "at": at(19), **common, "outcome": "done", "deleted": 7, "batches": 3},
        {
            "type": "verification.done",
            "at": at(20),
            **common,
            "verifier": "residue",
            "checks": [{"step": s["step"], "dataset": s["dataset"], "store": s["store"], **clean} for s in steps],
            "unknown": 0,
            "coverage_complete": True,
        },
    ]


def mac(text):
    return keyed_digest(SECRET, text.encode())


def registration():
    return [
        {"type": "deployment.created", "at": at(0), "deployment": "portal", "tool_version": "0.1.0"},
        {
            "type": "documents.accepted",
            "at": at(1),
            "policy_hash": POLICY,
            "documents": [{"kind": "agreement", "id": "portal", "version": "2026-01", "hash": digest(b"a")}],
        },
        *(
            {"type": "operator.added", "at": at(2), "operator": name, "public_key": signer.public.public_key}
            for name, signer in (("ops-a", OPS_A), ("ops-b", OPS_B))
        ),
        *(tenant_changed("registered", tenant) for tenant in (TENANT, NEIGHBOUR)),
    ]


def tenant_changed(change, tenant):
    return {
        "type": "tenant.changed",
        "at": at(3),
        "tenant": tenant,
        "change": change,
        "agreement": "portal",
        "agreement_version": "2026-01",
        "effective_on": "2026-03-01",
        "choice": None,
        "form": None,
    }


def plan_entries(plan, plan_hash, tenant, approvers):
    created = {
        "type": "plan.created",
        "at": at(8),
        "tenant": tenant,
        "plan": "plan-7",
        "plan_hash": plan_hash,
        "kind": plan["kind"],
        "rule": plan["rule"],
        "author": plan["author"],
        "steps": [{"step": s["id"], **s, "action": s["action"]["kind"]} for s in plan["steps"]],
    }
    for logged in created["steps"]:
        del logged["id"]
        logged.pop("selection", None)
    return [created, *(approved(plan_hash, tenant, name, signer) for name, signer in approvers)]


def approved(plan_hash, tenant, name, signer):
    return {
        "type": "plan.approved",
        "at": at(9),
        "tenant": tenant,
        "plan": "plan-7",
        "plan_hash": plan_hash,
        "operator": name,
        "signature": sign_plan(signer, plan_hash),
    }


def mandate(kind="granted", *, signer=OPS_A, name="ops-a", expires_on="2027-03-01", rule="logs"):
    return {
        "type": f"mandate.{kind}",
        "at": at(7),
        "mandate": "m-1",
        "rule": rule,
        "template_hash": TEMPLATE,
        "operator": name,
        "signature": sign_mandate(signer, TEMPLATE, expires_on),
        "expires_on": expires_on,
    }


def offboarding(plan, plan_hash):
    export = {
        "type": "export.delivered",
        "at": at(7),
        "tenant": TENANT,
        "export": "e-1",
        "manifest_hash": digest(b"manifest"),
        "datasets": [{"dataset": "tickets", "store": "main", "rows": 6, "digest": mac("export")}],
        "expires_on": "2026-04-01",
    }
    return [
        *registration(),
        tenant_changed("ended", TENANT),
        export,
        *plan_entries(plan, plan_hash, TENANT, (("ops-a", OPS_A), ("ops-b", OPS_B))),
        *job_entries(plan, plan_hash, TENANT),
    ]


def approved_rule(plan, plan_hash):
    created = plan_entries(plan, plan_hash, None, [("ops-a", OPS_A)])
    return [*registration(), *created, *job_entries(plan, plan_hash, None)]


def mandated_rule(plan, plan_hash):
    created = plan_entries(plan, plan_hash, None, [])
    return [*registration(), mandate(), *created, *job_entries(plan, plan_hash, None, "m-1")]


STORIES = {"offboarding": offboarding, "rule": approved_rule, "mandate": mandated_rule}


def describe(plan_hash, entries, tenant):
    """The predicate that an honest certifier writes over (index, entry) pairs."""

    def all_of(kind):
        return [(index, entry) for index, entry in entries if entry["type"] == kind]

    (first, created), (_, started), (_, finished) = (
        all_of(kind)[0] for kind in ("plan.created", "job.started", "job.finished")
    )
    last, verified = all_of("verification.done")[-1]
    receipts = [entry for _, entry in all_of("batch.receipt")]
    rows = []
    for planned in created["steps"]:
        mine = [entry for entry in receipts if entry["step"] == planned["step"]]
        changed = sum(entry["deleted"] for entry in mine)
        lines = "".join(entry["digest"] + "\n" for entry in mine)
        rows.append(
            {
                "step": planned["step"],
                "store": planned["store"],
                "dataset": planned["dataset"],
                "category": "communication",
                "rule": "nachlauf",
                "method": planned["action"],
                "selected": planned["expected"],
                "deleted": changed if planned["action"] == "delete" else 0,
                "anonymised": changed if planned["action"] == "anonymise" else 0,
                "changed": changed if planned["action"] not in ("delete", "anonymise") else 0,
                "kept": sum(entry["kept"] for entry in mine),
                "failed": 0,
                "remaining": sum(c["residue"] for c in verified["checks"] if c["step"] == planned["step"]),
                "late": sum(entry["late"] for entry in mine),
                "commitment": "sha256:" + hashlib.sha256(lines.encode()).hexdigest(),
            },
        )
    exports = [entry["manifest_hash"] for _, entry in all_of("export.delivered")]
    return {
        "v": 1,
        "type": "tenant" if tenant else "run",
        "title": "Löschbestätigung",
        "completeness": "provisional",
        "certificate": "c-1",
        "number": "2026-0001",
        "issued_at": at(21),
        "supersedes": None,
        "tenant": tenant,
        "job": "job-7",
        "plan": "plan-7",
        "parties": {
            "processor": "Portal Example GmbH",
            "controller": "Kanzlei Beispiel" if tenant else None,
            "customer_number": "K-1" if tenant else None,
            "role": "processor",
        },
        "agreement": {"id": "portal", "version": "2026-01", "clauses": ["§ 5(5)"], "policy_hash": POLICY},
        "trigger": "contract-end" if tenant else "rule",
        "notice_on": None,
        "contract_end": "2026-03-01" if tenant else None,
        "window": None,
        "choice": None,
        "instruction": None,
        "legal_references": ["Art. 28(3)(g) GDPR"],
        "period": {"from": started["at"], "to": finished["at"]},
        "clock": {"effective_now": started["effective_now"], "zone": "Europe/Berlin"},
        "datasets": rows,
        "withheld": [],
        **{
            name: sum(check[name] for check in verified["checks"])
            for name in ("undatable", "unattributed", "contested")
        },
        "copies": {
            "backups": [
                {"name": "daily", "state": "pending", "gone_by": "2026-04-01", "deleted_again_on_restore": True}
            ],
            "replicas": [],
            "subprocessors": [],
        },
        "export": {"state": "delivered", "manifest_hash": exports[0]} if exports else None,
        "verification": {
            "verifier": verified["verifier"],
            "method": "independent count",
            "at": verified["at"],
            "index": last,
        },
        "evidence": {
            "origin": ORIGIN,
            "log_size": last + 1,
            "first_index": first,
            "last_index": last,
            "open_intents": 0,
        },
        "approvals": sorted(entry["operator"] for _, entry in all_of("plan.approved")),
        "mandate": started["mandate"],
        "limits": ["Free pages of the file system are not covered."],
        "tool": {"version": "0.1.0", "build_hash": None},
    }


def nothing(_value):
    """No edit."""


@dataclass
class Made:
    """A certificate in its bundle, and all that made it."""

    bundle: Bundle
    trust: Trust
    log: Log
    predicate: dict
    plan: dict
    plan_hash: str

    @property
    def data(self):
        return pack_bundle(self.bundle)

    def with_entries(self, keep):
        """The same bundle with other entries, honestly proven: ``keep`` says which indices."""
        return replace(self, bundle=bundle_of(self.log, self.bundle, keep))


@dataclass
class Edits:
    """Lies that an issuer could tell; each is signed as if it were true."""

    plan: Callable = nothing
    entries: Callable = nothing
    predicate: Callable = nothing
    issued: Callable = nothing
    keep: Callable = field(default=lambda indices: indices)
    signers: tuple = (CERTIFICATE,)


def make_trust(**changes):
    log = Log()
    for entry in registration():
        log.append(entry)
    fields = {
        "origin": ORIGIN,
        "log_keys": (NoteKey(ORIGIN, LOG.public),),
        "certificate_keys": (CERTIFICATE.public,),
        "operator_keys": {"ops-a": OPS_A.public, "ops-b": OPS_B.public},
        "anchors": {6: log.checkpoint()},
    }
    return Trust(**{**fields, **changes})


def make(story="offboarding", **edits):
    """Live through a story, certify it, and bundle the certificate."""
    edit = Edits(**edits)
    plan = make_plan("offboarding" if story == "offboarding" else "rule")
    edit.plan(plan)
    plan_bytes = canonical.encode(plan)
    plan_hash = digest(plan_bytes)
    entries = STORIES[story](plan, plan_hash)
    edit.entries(entries)
    log = Log()
    numbered = [(log.append(entry), entry) for entry in entries]
    tenant = TENANT if story == "offboarding" else None
    predicate = describe(plan_hash, numbered, tenant)
    edit.predicate(predicate)
    payload = encode_statement(predicate, plan_hash)
    issued = {
        "type": "certificate.issued",
        "at": at(21),
        "tenant": tenant,
        "certificate": predicate["certificate"],
        "number": predicate["number"],
        "job": predicate["job"],
        "statement_hash": digest(payload),
        "supersedes": predicate["supersedes"],
    }
    edit.issued(issued)
    numbered.append((log.append(issued), issued))
    log.append(
        {"type": "run.summary", "at": at(22), "tenant": NEIGHBOUR, "job": "j", "day": "2026-03-02", "deleted": 0}
    )
    wanted = [index for index, entry in numbered if relevant(index, entry, tenant)]
    envelope = sign_envelope(payload, edit.signers)
    size = len(log.leaves)
    bundle = collect(
        certificate=envelope,
        plan=plan_bytes,
        checkpoint=log.checkpoint(),
        size=size,
        entries={index: log.leaves[index] for index in edit.keep(wanted)},
        node=log.node,
        anchors={6: log.checkpoint(6)} if size > 6 else {},
    )
    return Made(bundle, make_trust(anchors={6: log.checkpoint(6)}), log, predicate, plan, plan_hash)


def relevant(index, entry, tenant):
    """What an honest issuer puts into the bundle: the job, its authority, and the tenant's own history around it."""
    if entry.get("tenant") is not None:
        return entry["tenant"] == tenant and index > 6
    return entry["type"].startswith(("mandate.", "plan.", "job.", "batch.", "verification.", "certificate."))


def bundle_of(log, bundle, keep):
    return collect(
        certificate=bundle.certificate,
        plan=bundle.plan,
        checkpoint=bundle.checkpoint,
        size=len(log.leaves),
        entries={index: log.leaves[index] for index in keep},
        node=log.node,
        anchors=bundle.anchors,
    )


def find(entries, kind, nth=0):
    """The nth entry of a type in a story."""
    return [entry for entry in entries if entry["type"] == kind][nth]


def setting(kind, nth=0, /, **fields):
    """An edit that sets fields of the nth entry of a type."""

    def edit(entries):
        find(entries, kind, nth).update(copy.deepcopy(fields))

    return edit
