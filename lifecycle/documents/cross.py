"""Checks between documents: what one names, another must declare; each problem at its own file and position."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lifecycle.core.agreement import Agreement, EventStart, Rule
from lifecycle.core.errors import Problem
from lifecycle.core.inventory import Dataset, Inventory
from lifecycle.core.operator import OperatorDocument
from lifecycle.core.period import Period
from lifecycle.core.statute import Statutes
from lifecycle.documents.checks import names_used, period_faults
from lifecycle.documents.load import Loaded


def check_set(documents: Sequence[Loaded]) -> list[Problem]:
    """Return a problem for each document that stands twice, and for what is missing altogether."""
    problems: list[Problem] = []
    seen: dict[tuple[str, str, str], Loaded] = {}
    for document in documents:
        first = seen.setdefault((document.kind, document.id, document.version), document)
        if first is not document and document.kind in {"agreement", "statutes", "operator", "inventory"}:
            what = (
                f"the {document.kind} {document.id} {document.version}".rstrip()
                + f" stands twice, first in {first.file}"
            )
            problems.append(document.problem(("id",), what, "keep one, or give it another id or version"))
    kinds = {document.kind for document in documents}
    for kind in ("agreement", "operator"):
        if kind not in kinds:
            fix = f"add a document that begins with lifecycle: {kind}/v1"
            problems.append(documents[0].problem((), f"no {kind} document stands beside this one", fix))
    return problems


def check_agreements(documents: Sequence[Loaded], margin_days: int, *, alone: bool = False) -> list[Problem]:
    """Return what is wrong between agreements, and between an agreement and the operator's readings."""
    readings = None if alone else _readings(documents)
    agreements = {document.id: document.document for document in documents if isinstance(document.document, Agreement)}
    problems: list[Problem] = []
    for document in documents:
        agreement = document.document
        if not isinstance(agreement, Agreement):
            continue
        if agreement.amends is not None and not alone:
            problems += _amending(document, agreement, agreements.get(agreement.amends))
        for index, rule in enumerate(agreement.rules):
            found = period_faults(agreement, index, rule, margin_days, readings)
            problems += [document.problem(*fault) for fault in found]
    return problems


def _readings(documents: Iterable[Loaded]) -> dict[str, Period] | None:
    for document in documents:
        if isinstance(document.document, OperatorDocument):
            values = document.document.readings
            return {name: getattr(values, name) for name in type(values).model_fields if name != "breach_notice"}
    return None


def _amending(document: Loaded, agreement: Agreement, target: Agreement | None) -> list[Problem]:
    if not isinstance(target, Agreement):
        fix = "add that agreement to the policies directory, or correct the id"
        return [document.problem(("amends",), f"the agreement {agreement.amends!r} does not exist", fix)]
    categories = {category.id for category in (*target.categories, *agreement.categories)}
    found = names_used(agreement, categories, {*target.parameters, *agreement.parameters})
    problems = [document.problem(*fault) for fault in found]
    if "individual" not in target.precedence.order and target.precedence.order != "unknown":
        what = f"the order of precedence of {target.id!r} knows no individual agreement"
        problems.append(
            document.problem(("amends",), what, "amend an agreement whose order names the layer individual")
        )
    return problems


def check_inventory(document: Loaded, documents: Sequence[Loaded]) -> tuple[list[Problem], list[Problem]]:
    """Return problems and warnings of one inventory against the agreements it serves and the statutes."""
    inventory = document.document
    if not isinstance(inventory, Inventory):
        return [], []
    agreements = [entry.document for entry in documents if isinstance(entry.document, Agreement)]
    names = {agreement.id for agreement in agreements}
    unknown = [(index, name) for index, name in enumerate(inventory.agreements) if name not in names]
    if unknown:
        fix = "add that agreement to the policies directory, or correct the id"
        return [
            document.problem(("agreements", i), f"the agreement {name!r} does not exist", fix) for i, name in unknown
        ], []
    served = [
        a
        for a in agreements
        if not inventory.agreements or a.id in inventory.agreements or a.amends in inventory.agreements
    ]
    statutes = [entry.document for entry in documents if isinstance(entry.document, Statutes)]
    problems = [document.problem(*fault) for fault in _dataset_faults(inventory, served, statutes)]
    problems += [document.problem(*fault) for fault in _store_faults(inventory, served)]
    warnings = [document.problem(*remark) for remark in _remarks(inventory, served)]
    return problems, warnings


Found = tuple[tuple[str | int, ...], str, str]


def _dataset_faults(inventory: Inventory, served: Sequence[Agreement], statutes: Sequence[Statutes]) -> Iterator[Found]:
    known = {category.id for agreement in served for category in agreement.categories}
    kept = {kind for body in statutes for floor in body.floors for kind in floor.kinds}
    for index, dataset in enumerate(inventory.datasets):
        if dataset.category not in known:
            fix = "use a category of an agreement, or declare it there"
            yield ("datasets", index, "category"), f"no agreement has the category {dataset.category!r}", fix
        for place, record in enumerate(dataset.statutory):
            if record.kind not in kept:
                fix = "add the statutes document that keeps it, or correct the kind"
                yield (
                    ("datasets", index, "statutory", place, "kind"),
                    f"no statute keeps records of the kind {record.kind!r}",
                    fix,
                )
        yield from _unanonymised(index, dataset, served)
        for agreement, rule, start in _starts(dataset, served):
            if start not in dataset.times:
                what = f"the rule {rule.id!r} of {agreement.id!r} counts from {start!r}: none of this dataset's times"
                yield ("datasets", index, "times"), what, f"add {start} with its column to times"


def _unanonymised(index: int, dataset: Dataset, served: Sequence[Agreement]) -> Iterator[Found]:
    """Yield the rules that anonymise a dataset which does not say what becomes of its columns."""
    for agreement, rule, _ in () if dataset.anonymise else _starts(dataset, served):
        if rule.action == "anonymise":
            what = f"the rule {rule.id!r} of {agreement.id!r} anonymises {dataset.id!r}, and nothing says how"
            yield ("datasets", index), what, "add anonymise, with what becomes of each column"


def _starts(dataset: Dataset, served: Sequence[Agreement]) -> Iterator[tuple[Agreement, Rule, str]]:
    """Yield the rules that bind a dataset and count from a time of its rows."""
    for agreement in served:
        own = {category.id for category in agreement.categories}
        for rule in agreement.rules:
            bound = dataset.category in (own if rule.category == "all" else rule.category)
            if bound and isinstance(rule.start, EventStart):
                yield agreement, rule, rule.start.event
            elif bound and rule.start == "collection":
                yield agreement, rule, "collection"


def _store_faults(inventory: Inventory, served: Sequence[Agreement]) -> Iterator[Found]:
    listed = {entry.id for agreement in served for entry in agreement.subprocessors}
    for index, store in enumerate(inventory.stores):
        if store.subprocessor is not None and store.subprocessor not in listed:
            what = f"no agreement lists the sub-processor {store.subprocessor!r}"
            fix = "use the id from the agreement's list: an unlisted sub-processor needs notice or consent first"
            yield ("stores", index, "subprocessor"), what, fix


def _remarks(inventory: Inventory, served: Sequence[Agreement]) -> Iterator[Found]:
    listed = {entry.id: entry for agreement in served for entry in agreement.subprocessors}
    unagreed = [agreement.id for agreement in served if not agreement.backups.delay_agreed]
    for index, store in enumerate(inventory.stores):
        entry = listed.get(store.subprocessor or "")
        if entry is not None and entry.country not in {"EU", store.place.country}:
            what = f"the store lies in {store.place.country}, the agreement names {entry.country} for {entry.id!r}"
            yield ("stores", index, "place"), what, "correct the inventory, or give notice of the change"
        for place, backup in enumerate(store.backups):
            if unagreed:
                what = f"backup cycle not agreed ({', '.join(unagreed)}): {backup.cycle} delay the final certificate"
                yield ("stores", index, "backups", place), what, "agree the cycle, or delete on restore and say so"
    used = {dataset.category for dataset in inventory.datasets}
    for agreement in served:
        for category in agreement.categories:
            if category.id not in used:
                what = f"the category {category.id!r} of {agreement.id!r} has no dataset in this inventory"
                yield ("datasets",), what, "add the dataset, or note where this data is"
