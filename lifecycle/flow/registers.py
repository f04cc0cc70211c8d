"""Typed access to the registers beside the log: tenants, holds, instructions, plans, mandates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from lifecycle.core.errors import Corrupt, InvalidDocument
from lifecycle.core.value import Value
from lifecycle.evidence import canonical
from lifecycle.flow.deployment import Deployment
from lifecycle.ports.state import Kind, State, Transaction

T = TypeVar("T", bound=Value)


def body_of(value: Value) -> bytes:
    """Return a value's canonical bytes."""
    return canonical.encode(value.model_dump(mode="json", by_alias=True))


def put(tx: Transaction, kind: Kind, name: str, value: Value) -> None:
    """Write one register entry."""
    tx.put(kind, name, body_of(value))


def load(state: State, kind: Kind, model: type[T], name: str) -> T | None:
    """Read one register entry, or None. Raises Corrupt when its bytes no longer fit."""
    body = state.get(kind, name)
    return None if body is None else parse(kind, model, name, body)


def every(state: State, kind: Kind, model: type[T]) -> Iterator[T]:
    """Yield a whole register in the order of its names."""
    for name, body in state.items(kind):
        yield parse(kind, model, name, body)


def need(deployment: Deployment, kind: Kind, model: type[T], name: str) -> T:
    """Read one register entry. Raises InvalidDocument when the name is unknown."""
    found = load(deployment.state, kind, model, name)
    if found is None:
        msg = f"no such {kind} in the register"
        raise InvalidDocument(msg, advice=f"List what is there with `lifecycle {kind} list`.")
    return found


def build(model: type[T], fields: Mapping[str, Any], what: str) -> T:
    """Make a register value from what a person gave. Raises InvalidDocument that names fields, never their values."""
    try:
        return model.model_validate(dict(fields))
    except ValidationError as error:
        names = sorted({str(fault["loc"][0]) if fault["loc"] else "its whole" for fault in error.errors()})
        msg = f"{what} cannot be recorded: {', '.join(names)} not of the form the register asks for"
        raise InvalidDocument(
            msg, advice="Persons and operators are ids (a-z, 0-9, . _ -); texts are one line."
        ) from None


def parse(kind: Kind, model: type[T], name: str, body: bytes) -> T:
    """Read a register body. Raises Corrupt, without showing the body."""
    del name
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        msg = f"a {kind} entry of the register no longer fits its form ({error.error_count()} faults)"
        raise Corrupt(msg) from None
