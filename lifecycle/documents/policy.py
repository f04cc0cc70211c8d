"""All documents of a deployment together: found in a directory, read, checked against each other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lifecycle.core.agreement import Agreement
from lifecycle.core.errors import InvalidDocument, Problem
from lifecycle.core.inventory import Inventory
from lifecycle.core.operator import OperatorDocument
from lifecycle.core.policy import Policy
from lifecycle.core.statute import Statutes
from lifecycle.core.tenant import Tenants
from lifecycle.documents.cross import check_agreements, check_inventory, check_set
from lifecycle.documents.load import Loaded, load, refusal
from lifecycle.documents.tenants import tenant_problems

DEFAULT_MARGIN_DAYS = 3
"""Twice a daily schedule plus a run of at most a day (I15)."""

_SUFFIXES = frozenset({".yaml", ".yml"})


@dataclass(frozen=True, slots=True)
class Report:
    """What a validation saw: the documents that could be read, all problems, and what is worth knowing."""

    documents: tuple[Loaded, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Tell whether nothing is wrong; warnings do not count."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class PolicyFiles:
    """A policy with the documents it was made of: their exact bytes are kept by digest as evidence."""

    policy: Policy
    documents: tuple[Loaded, ...]
    warnings: tuple[Problem, ...]


def validate(source: Path | str, *, margin_days: int = DEFAULT_MARGIN_DAYS) -> Report:
    """Check a file alone, or a directory with everything in it against each other. Raises nothing for bad documents.

    Tenant documents in the directory are checked against its agreements, inventories each for itself.
    """
    path = Path(source)
    documents, problems = _read_all(_files([path]))
    if not problems:
        problems = _own_margins(documents, margin_days) if not path.is_dir() else _cross(documents, margin_days)[0]
    warnings = [warning for document in documents for warning in document.warnings]
    if path.is_dir() and not problems:
        warnings += _cross(documents, margin_days)[1]
    return Report(tuple(documents), tuple(sorted(set(problems))), tuple(sorted(set(warnings))))


def load_policy(
    source: Path | str | Sequence[Path | str],
    *,
    inventory: Path | str | None = None,
    margin_days: int = DEFAULT_MARGIN_DAYS,
) -> Policy:
    """Return the policy of a deployment: see `read_policy`."""
    return read_policy(source, inventory=inventory, margin_days=margin_days).policy


def read_policy(
    source: Path | str | Sequence[Path | str],
    *,
    inventory: Path | str | None = None,
    margin_days: int = DEFAULT_MARGIN_DAYS,
) -> PolicyFiles:
    """Read a policies directory (or files) and one inventory, and check all of it together.

    Args:
        source: the policies directory, or directories and files.
        inventory: the deployment's data map, where the directory holds several or none.
        margin_days: the least distance between a rule's floor and its ceiling (I15).

    The inventory's `agreements` choose among the directory's agreements; without it all are in force.

    Raises:
        InvalidDocument: with every problem of every document.
    """
    sources = [Path(source)] if isinstance(source, Path | str) else [Path(entry) for entry in source]
    files = _files(sources)
    chosen = Path(inventory) if inventory is not None else None
    if chosen is not None:
        files += _files([chosen])
    documents, problems = _read_all(_once(files))
    if problems:
        raise refusal(problems)
    policy_documents, problems = _deployment(documents, chosen, sources[0])
    if problems:
        raise refusal(problems)
    problems, warnings = _cross(policy_documents, margin_days)
    if problems:
        raise refusal(problems)
    own = [warning for document in policy_documents for warning in document.warnings]
    return PolicyFiles(_policy(policy_documents), tuple(policy_documents), tuple(sorted(set(own + warnings))))


def digest_of(documents: Iterable[Loaded]) -> str:
    """Return the `sha256:` digest over kind, id, version and file digest of each document, sorted."""
    lines = sorted(f"{entry.kind}\t{entry.id}\t{entry.version}\t{entry.digest}" for entry in documents)
    return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _policy(documents: Sequence[Loaded]) -> Policy:
    models = [document.document for document in documents]
    return Policy(
        agreements=tuple(model for model in models if isinstance(model, Agreement)),
        statutes=tuple(model for model in models if isinstance(model, Statutes)),
        operator=next(model for model in models if isinstance(model, OperatorDocument)),
        inventory=next(model for model in models if isinstance(model, Inventory)),
        digest=digest_of(documents),
    )


def _deployment(documents: Sequence[Loaded], chosen: Path | None, source: Path) -> tuple[list[Loaded], list[Problem]]:
    """Return the documents that one deployment runs by: one inventory, and the agreements that it serves."""
    maps = [document for document in documents if isinstance(document.document, Inventory)]
    if chosen is not None:
        maps = [document for document in maps if document.path is not None and document.path.samefile(chosen)]
    if len(maps) != 1:
        fix = "name the deployment's own inventory file in the settings"
        return [], [Problem(str(chosen or source), 1, 1, f"{len(maps)} inventories are found where one is needed", fix)]
    served = set(maps[0].document.agreements) if isinstance(maps[0].document, Inventory) else set()
    kept = [maps[0]]
    for document in documents:
        model = document.document
        if isinstance(model, Agreement):
            if not served or model.id in served or model.amends in served:
                kept.append(document)
        elif isinstance(model, Statutes | OperatorDocument):
            kept.append(document)
    return kept, []


def _cross(documents: Sequence[Loaded], margin_days: int) -> tuple[list[Problem], list[Problem]]:
    """Return problems and warnings between the documents of a directory or of a deployment."""
    problems = check_set(documents)
    if problems:
        return problems, []
    problems += check_agreements(documents, margin_days)
    warnings: list[Problem] = []
    agreements = [document.document for document in documents if isinstance(document.document, Agreement)]
    for document in documents:
        if isinstance(document.document, Inventory):
            found, remarks = check_inventory(document, documents)
            problems += found
            warnings += remarks
        elif isinstance(document.document, Tenants):
            problems += [
                document.problem(("tenants", index, *path), what, fix)
                for index, tenant in enumerate(document.document.tenants)
                for path, what, fix in tenant_problems(tenant, agreements)
            ]
    return problems, warnings


def _own_margins(documents: Sequence[Loaded], margin_days: int) -> list[Problem]:
    return check_agreements(documents, margin_days, alone=True)


def _read_all(files: Sequence[tuple[Path, str, Problem | None]]) -> tuple[list[Loaded], list[Problem]]:
    documents: list[Loaded] = []
    problems: list[Problem] = []
    for path, name, refused in files:
        if refused is not None:
            problems.append(refused)
            continue
        try:
            documents.append(load(path, file=name))
        except InvalidDocument as error:
            problems += error.problems
    return documents, problems


def _once(files: Sequence[tuple[Path, str, Problem | None]]) -> list[tuple[Path, str, Problem | None]]:
    """Leave out a file that was already named through another path."""
    seen: dict[Path, tuple[Path, str, Problem | None]] = {}
    for entry in files:
        seen.setdefault(entry[0].resolve(), entry)
    return list(seen.values())


def _files(sources: Sequence[Path]) -> list[tuple[Path, str, Problem | None]]:
    """Return the YAML files of each source; a link that leads out of it is refused, hidden ones are not read."""
    found: list[tuple[Path, str, Problem | None]] = []
    for source in sources:
        if not source.is_dir():
            found.append((source, str(source), None))
            continue
        root = source.resolve()
        inside = sorted(path for path in source.rglob("*") if path.suffix in _SUFFIXES)
        visible = [path for path in inside if not any(part.startswith(".") for part in path.relative_to(source).parts)]
        for path in visible:
            refused = None
            if not path.resolve().is_relative_to(root):
                fix = "put the file itself into the directory"
                refused = Problem(str(path), 1, 1, "a link leads out of the policies directory", fix)
            found.append((path, str(path), refused))
        if not visible:
            refused = Problem(str(source), 1, 1, "the directory holds no YAML documents", "name the policies directory")
            found.append((source, str(source), refused))
    return found
