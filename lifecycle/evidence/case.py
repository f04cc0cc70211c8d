"""What is judged: a statement, its plan, and the proven entries of a job."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lifecycle.evidence.trust import Trust

Entry = Mapping[str, Any]
Numbered = tuple[int, Entry]


@dataclass(frozen=True, slots=True)
class Case:
    """What is to be judged.

    Attributes:
        predicate: the statement's predicate, of valid form, signed by a trusted key.
        statement_hash: ``sha256:…`` of the signed statement.
        plan_hash: ``sha256:…`` of the plan, equal to the statement's subject.
        plan: the plan's document.
        entries: proven entries by log index, ascending.
        trust: whose approvals count.
    """

    predicate: Mapping[str, Any]
    statement_hash: str
    plan_hash: str
    plan: Mapping[str, Any]
    entries: Mapping[int, Entry]
    trust: Trust

    def of(self, kind: str, **fields: object) -> list[Numbered]:
        """The entries of a type with these fields, in the order of the log."""
        return [
            (index, entry)
            for index, entry in self.entries.items()
            if entry["type"] == kind and all(entry[name] == value for name, value in fields.items())
        ]


@dataclass(frozen=True, slots=True)
class Frame:
    """The five entries that every job has."""

    created: Numbered
    started: Numbered
    finished: Numbered
    verified: Numbered
    issued: Numbered
