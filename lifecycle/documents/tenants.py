"""Tenant registers: YAML, or streamed JSONL and CSV when large; and the operators' keys.

Problems of a register name lines and keys, never values: an id or a firm may identify someone (I23).
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ValidationError

from lifecycle.core.agreement import Agreement
from lifecycle.core.errors import Problem
from lifecycle.core.operator import OperatorsFile
from lifecycle.core.tenant import Tenant, Tenants
from lifecycle.documents.checks import FEDERAL_STATES, Found, exceeds
from lifecycle.documents.explain import problems_of
from lifecycle.documents.load import load, refusal
from lifecycle.documents.tree import Node

MOST_LINE_BYTES = 64 * 1024
MOST_PROBLEMS = 1000
_STREAMED = frozenset({".jsonl", ".ndjson", ".csv"})
_LISTS = frozenset({"authorised"})
_PARAMETER = "parameters."


def load_tenants(path: Path | str) -> Tenants:
    """Return a register as a whole, from YAML, JSONL or CSV. Raises InvalidDocument with all its problems."""
    file = Path(path)
    if file.suffix in _STREAMED:
        tenants = tuple(read_tenants(file))
        if not tenants:
            raise refusal([Problem(str(file), 1, 1, "the register is empty", "an empty register selects nothing")])
        return Tenants.model_construct(lifecycle="tenants/v1", tenants=tenants, source=None)
    document = load(file, "tenants").document
    if not isinstance(document, Tenants):  # pragma: no cover - load() with a kind returns that kind
        raise TypeError(type(document).__name__)
    return document


def load_operators(path: Path | str) -> OperatorsFile:
    """Return the operators' public keys. Raises InvalidDocument with all problems of the file."""
    document = load(path, "operators").document
    if not isinstance(document, OperatorsFile):  # pragma: no cover - load() with a kind returns that kind
        raise TypeError(type(document).__name__)
    return document


def read_tenants(path: Path | str) -> Iterator[Tenant]:
    """Yield the tenants of a JSONL or CSV register one by one, in flat memory.

    CSV has a header with the names of the fields; a parameter is a column `parameters.NAME`; several authorised persons
    are separated by blanks; an empty cell is an absent value.

    Raises:
        InvalidDocument: after the last line, with the problems of all lines (the first thousand): import within a
            transaction. Names, ids and values of tenants are not in it.
    """
    file = Path(path)
    problems: list[Problem] = []
    seen: set[bytes] = set()
    try:
        with file.open("rb") as stream:
            rows = (
                _csv_rows(stream, str(file), problems)
                if file.suffix == ".csv"
                else _json_rows(stream, str(file), problems)
            )
            for line, row in rows:
                tenant = _tenant(row, line, str(file), problems)
                if tenant is not None and _is_new(tenant, seen, line, str(file), problems):
                    yield tenant
    except OSError as error:
        reason = error.strerror or "input/output error"
        problems.append(Problem(str(file), 1, 1, f"cannot be read: {reason}", "name a file that this user may read"))
    if problems:
        raise refusal(problems)


def check_tenants(tenants: Iterable[Tenant], agreements: Sequence[Agreement], file: str = "tenants") -> None:
    """Check each tenant against the agreements. Raises InvalidDocument; lines count the tenants, from 1."""
    problems = [
        Problem(file, number, 1, what, fix)
        for number, tenant in enumerate(tenants, start=1)
        for _path, what, fix in tenant_problems(tenant, agreements)
    ]
    if problems:
        raise refusal(problems)


def tenant_problems(tenant: Tenant, agreements: Sequence[Agreement]) -> Iterator[Found]:
    """Yield what is wrong between a tenant and the agreements: which one binds it, and its parameters within bounds."""
    named = [agreement for agreement in agreements if agreement.id == tenant.agreement]
    bound = [agreement for agreement in named if tenant.agreement_version in {None, agreement.version}]
    if len(bound) != 1:
        what = "this version of the agreement does not exist" if named and not bound else "the agreement does not exist"
        if bound:
            what = "several versions of the agreement are in force"
        key = "agreement_version" if named and tenant.agreement_version is not None else "agreement"
        yield (key,), what, "name an agreement of the policies directory, with its version in agreement_version"
        return
    layers = bound
    if tenant.individual is not None:
        layers = [
            *bound,
            *(layer for layer in agreements if layer.id == tenant.individual and layer.amends == bound[0].id),
        ]
        if len(layers) == 1:
            what = "the individual agreement does not exist, or amends another one"
            yield ("individual",), what, "name a document that has amends: with this tenant's agreement"
    yield from _parameters(tenant, layers)


def _parameters(tenant: Tenant, layers: Sequence[Agreement]) -> Iterator[Found]:
    declared = {name: parameter for layer in layers for name, parameter in layer.parameters.items()}
    for name, parameter in declared.items():
        value = tenant.parameters.get(name)
        if value is None:
            if parameter.required:
                what = f"the parameter {name} is missing: the controller sets it, and it has no default"
                yield ("parameters",), what, f"write {name} with the controller's period"
            continue
        if parameter.at_least is not None and exceeds(parameter.at_least, value):
            yield ("parameters", name), f"the period is shorter than {parameter.at_least}", "write a longer one"
        if parameter.at_most is not None and exceeds(value, parameter.at_most):
            yield ("parameters", name), f"the period is longer than {parameter.at_most}", "write a shorter one"
    for name in tenant.parameters:
        if name not in declared:
            fix = f"use one of: {', '.join(declared) or 'none'}"
            yield ("parameters", name), "the agreement has no such parameter", fix


def _is_new(tenant: Tenant, seen: set[bytes], line: int, file: str, problems: list[Problem]) -> bool:
    """Remember a tenant by a short digest of its id: half a million of them fit into a few megabytes."""
    mark = hashlib.blake2b(tenant.id.encode(), digest_size=16).digest()
    if mark in seen:
        problems.append(Problem(file, line, 1, "a tenant id stands twice", "declare each tenant once"))
        return False
    seen.add(mark)
    return True


def _json_rows(stream: BinaryIO, file: str, problems: list[Problem]) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, content in _lines(stream, file, problems):
        try:
            row = json.loads(content, object_pairs_hook=_object, parse_constant=_constant, parse_float=_constant)
        except (ValueError, RecursionError) as error:
            column = error.colno if isinstance(error, json.JSONDecodeError) else 1
            what = str(error) if isinstance(error, _Refused) else "this line is not one JSON object"
            problems.append(Problem(file, line, column, what, "write one tenant as a JSON object on each line"))
            continue
        if not isinstance(row, dict):
            problems.append(Problem(file, line, 1, "this line is not a JSON object", "write one tenant on each line"))
            continue
        yield line, row


class _Refused(ValueError):
    """A JSON value that two readers could read differently."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        msg = "a key stands twice in this object"
        raise _Refused(msg)
    return dict(pairs)


def _constant(_text: str) -> Any:
    msg = "a fraction, infinity or not-a-number"
    raise _Refused(msg)


def _lines(stream: BinaryIO, file: str, problems: list[Problem]) -> Iterator[tuple[int, str]]:
    """Yield the lines that hold something, as text."""
    number = 0
    while len(problems) < MOST_PROBLEMS and (content := stream.readline(MOST_LINE_BYTES + 1)):
        number += 1
        if len(content) > MOST_LINE_BYTES:
            what = f"the line is longer than {MOST_LINE_BYTES} bytes"
            problems.append(Problem(file, number, 1, what, "write one tenant on each line"))
            return
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            problems.append(Problem(file, number, error.start + 1, "this byte is not UTF-8", "save the file as UTF-8"))
            continue
        if text.startswith("\ufeff"):
            problems.append(Problem(file, number, 1, "a byte order mark", "save the file as UTF-8 without it"))
            return
        if text.strip():
            yield number, text


def _csv_rows(stream: BinaryIO, file: str, problems: list[Problem]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield rows by the header's names. A line is a row: no cell of a register holds a line break."""
    lines = _lines(stream, file, problems)
    first = next(lines, None)
    if first is None:
        return
    header = _cells(first[1])
    if header is None or len(set(header)) != len(header):
        problems.append(
            Problem(file, first[0], 1, "the header is not a list of different names", "write the field names")
        )
        return
    for line, text in lines:
        cells = _cells(text)
        if cells is None or len(cells) != len(header):
            what = f"the row has not the {len(header)} cells of the header"
            problems.append(Problem(file, line, 1, what, "write one cell for each column, separated by commas"))
            continue
        yield line, _row(header, cells)


def _cells(text: str) -> list[str] | None:
    try:
        rows = list(csv.reader([text.rstrip("\r\n")], strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def _row(header: Sequence[str], cells: Sequence[str]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, cell in zip(header, cells, strict=True):
        if cell == "":
            continue
        if name.startswith(_PARAMETER):
            row.setdefault("parameters", {})[name.removeprefix(_PARAMETER)] = cell
        else:
            row[name] = cell.split() if name in _LISTS else cell
    return row


def _tenant(row: dict[str, Any], line: int, file: str, problems: list[Problem]) -> Tenant | None:
    """Return the tenant of one row, or None with its problems at the row's line."""
    try:
        tenant = Tenant.model_validate_json(json.dumps(row))
    except ValidationError as error:
        found = problems_of(error.errors(include_url=False), _flat(row, line), "tenants", file, ("tenants", 0))
        problems += sorted(set(found))
        return None
    if tenant.federal_state is not None and tenant.federal_state not in FEDERAL_STATES:
        fix = f"write one of {', '.join(sorted(FEDERAL_STATES))}"
        problems.append(Problem(file, line, 1, "this federal state is unknown", fix))
        return None
    return tenant


def _flat(value: Any, line: int) -> Node:
    """Return a tree in which everything stands at the start of the line."""
    at = (line, 1)
    if isinstance(value, dict):
        entries = {key: _flat(inner, line) for key, inner in value.items()}
        return Node(at, entries=entries, keys=dict.fromkeys(entries, at))
    if isinstance(value, list):
        return Node(at, items=[_flat(inner, line) for inner in value])
    return Node(at, value=value)
