"""Documents: the strict YAML loader, the checks across documents, tenant registers, and JSON Schemas for editors."""

from __future__ import annotations

from lifecycle.documents.kinds import KINDS, Document, Kind
from lifecycle.documents.load import Loaded, load
from lifecycle.documents.policy import PolicyFiles, Report, load_policy, read_policy, validate
from lifecycle.documents.schema import schema
from lifecycle.documents.tenants import check_tenants, load_operators, load_tenants, read_tenants

__all__ = [
    "KINDS",
    "Document",
    "Kind",
    "Loaded",
    "PolicyFiles",
    "Report",
    "check_tenants",
    "load",
    "load_operators",
    "load_policy",
    "load_tenants",
    "read_policy",
    "read_tenants",
    "schema",
    "validate",
]
