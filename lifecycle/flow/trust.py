"""The trust file: whom a controller or auditor believes, handed out by another way than the certificates."""

from __future__ import annotations

from typing import Any

from lifecycle.evidence import canonical
from lifecycle.evidence.checkpoint import open_checkpoint
from lifecycle.evidence.keys import to_base64
from lifecycle.flow.certify import anchors
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.journal import checkpoint


def trust_document(deployment: Deployment) -> bytes:
    """Return the trust file's bytes; the present checkpoint becomes an anchor that every later bundle proves."""
    note = checkpoint(deployment)
    size = open_checkpoint(note, [deployment.log_key]).size
    with deployment.state.transaction() as tx:
        tx.put("checkpoint", f"anchor/{size}", note.encode())
    document: dict[str, Any] = {
        "lifecycle": "trust/v1",
        "origin": deployment.origin,
        "log_keys": [deployment.log_key.text],
        "certificate_keys": [deployment.keys.certificate.public.public_key],
        "operator_keys": [
            {"id": operator.id, "public_key": operator.public_key} for operator in deployment.operators.operators
        ],
        "anchors": [_anchor(deployment, text) for _, text in sorted(anchors(deployment).items())],
    }
    return canonical.encode(document)


def _anchor(deployment: Deployment, note: str) -> dict[str, Any]:
    opened = open_checkpoint(note, [deployment.log_key])
    return {"size": opened.size, "root": to_base64(opened.root), "checkpoint": note}
