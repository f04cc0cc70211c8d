"""The kinds of documents, by the first word of their `lifecycle` key."""

from __future__ import annotations

from typing import Final, Literal, get_args

from lifecycle.core.agreement import Agreement
from lifecycle.core.inventory import Inventory
from lifecycle.core.operator import OperatorDocument, OperatorsFile
from lifecycle.core.settings import Settings
from lifecycle.core.statute import Statutes
from lifecycle.core.tenant import Tenants

Kind = Literal["agreement", "statutes", "operator", "inventory", "tenants", "operators", "settings"]
Document = Agreement | Statutes | OperatorDocument | Inventory | Tenants | OperatorsFile | Settings

MODELS: Final[dict[Kind, type[Document]]] = {
    "agreement": Agreement,
    "statutes": Statutes,
    "operator": OperatorDocument,
    "inventory": Inventory,
    "tenants": Tenants,
    "operators": OperatorsFile,
    "settings": Settings,
}
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
PRIVATE: Final[frozenset[Kind]] = frozenset({"tenants"})
"""Documents whose values may identify someone: their problems name positions and keys, never values (I23)."""


def header(kind: Kind) -> str:
    """Return what the `lifecycle` key of that kind says."""
    return f"{kind}/v1"
