"""MariaDB's errors as ours: number and constraint name only, because its messages quote the row (I23)."""

from __future__ import annotations

import re

from lifecycle.core.errors import LifecycleError, Refused, Transient

DUPLICATE = 1062
# MariaDB, "Error Codes". The message of these three names the constraint and no value.
_NAMING = {1451, 1452, 4025}
_CONSTRAINT = re.compile(r"CONSTRAINT `((?:[^`]|``)+)`")
_CONSTRAINTS = {1048, DUPLICATE, 1216, 1217, 1364, 1451, 1452, 1557, 1644, 1761, 1762, 4025}
_READ_ONLY = {1036, 1290, 1792, 1836}
_PRIVILEGE = {1044, 1142, 1143, 1227, 1370}
_SHAPE = {1054, 1064, 1109, 1146, 1176, 1292, 1305, 1364, 1366, 1406, 1411}
_BINLOG = {1665}
_ROLLED_BACK = {1205, 1213}


def number_of(error: BaseException) -> int | None:
    """Return the error's number, None where there is none."""
    first = error.args[0] if error.args else None
    return first if isinstance(first, int) and first else None


def translate(error: BaseException) -> LifecycleError:
    """Return our error."""
    number = number_of(error)
    if number in _CONSTRAINTS:
        return Refused(f"the constraint {_named(error, number)} said no (error {number})", guard="constraint")
    if number in _READ_ONLY:
        return Refused(f"the server is read-only or a replica (error {number})", guard="read-only")
    if number in _PRIVILEGE:
        advice = "Grant the role what deploy/sql lists for it."
        return Refused(f"our role may not do this (error {number})", guard="privilege", advice=advice)
    if number in _SHAPE:
        advice = "Run `lifecycle doctor`: the schema differs from the inventory."
        return Refused(f"a statement does not fit the schema (error {number})", guard="schema", advice=advice)
    if number in _BINLOG:
        advice = "Set binlog_format to ROW or MIXED."
        return Refused(f"the binary log forbids READ COMMITTED (error {number})", guard="binlog-format", advice=advice)
    told = "no error number" if number is None else f"error {number}"
    return Transient(f"MariaDB did not answer as it should ({told})")


def uncertain(error: BaseException) -> bool:
    """Tell whether a COMMIT that failed so may have happened: always, unless a lock or a constraint ended it."""
    return number_of(error) not in {*_ROLLED_BACK, *_CONSTRAINTS}


def _named(error: BaseException, number: int | None) -> str:
    text = error.args[1] if len(error.args) > 1 else ""
    found = _CONSTRAINT.search(text) if number in _NAMING and isinstance(text, str) else None
    return "(unnamed)" if found is None else found[1].replace("``", "`")
