"""What verification finds, and the verdict that follows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["valid", "incomplete", "invalid"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or that could not be decided.

    Attributes:
        kind: ``invalid`` — the bundle contradicts itself, its keys or its anchors, or does not prove what it states;
            ``incomplete`` — something that could decide the matter is missing.
        code: a stable word for machines.
        message: one sentence for people, without any value that was read.
    """

    kind: Literal["invalid", "incomplete"]
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a verification.

    Attributes:
        findings: everything that was found; empty for a valid certificate.
        facts: what the bundle proves; empty as soon as anything in it is invalid.
    """

    findings: tuple[Finding, ...]
    facts: Mapping[str, Any]

    @property
    def verdict(self) -> Verdict:
        """``valid`` without findings; one invalid finding outweighs any number of incomplete ones."""
        kinds = {finding.kind for finding in self.findings}
        if "invalid" in kinds:
            return "invalid"
        return "incomplete" if kinds else "valid"


def invalid(code: str, message: str) -> Finding:
    """A contradiction, or a claim without proof."""
    return Finding("invalid", code, message)


def incomplete(code: str, message: str) -> Finding:
    """A gap that a further document could close."""
    return Finding("incomplete", code, message)
