"""What a database's failure means for us: try again, or stop. No message quotes the database's own text (I23)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from lifecycle.core.errors import Corrupt, LifecycleError, Transient

_SQLITE_CORRUPT: Final = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_CONSTRAINT", "SQLITE_MISMATCH"})
# A read that ends before its page does, or bytes that the file system itself disowns: the file is torn.
_SQLITE_TORN: Final = frozenset({"SQLITE_IOERR_SHORT_READ", "SQLITE_IOERR_CORRUPTFS", "SQLITE_IOERR_DATA"})
_SQLITE_SCHEMA: Final = "SQLITE_ERROR"
# 23: an entry or a node that is already there. 42: our own table or column is not. XX001, XX002: corrupted data, index.
_POSTGRES_CORRUPT: Final = ("23", "42P01", "42703", "XX001", "XX002")
_ADVICE: Final = {
    "SQLITE_FULL": "Free space where the state file lies, then run again; nothing of the failed step was kept.",
    "SQLITE_READONLY": "Make the state file, its folder and file system writable, then run again.",
    "SQLITE_BUSY": "Another process holds the state; end it or wait for it, then run again.",
    "53100": "Free space on the state's database server, then run again; nothing of the failed step was kept.",
    "25006": "The state's database is read-only or a replica: point the state URL at the primary.",
}


def code_of(error: BaseException) -> str:
    """Return the name of SQLite's result code, or PostgreSQL's SQLSTATE, or the class of what else happened."""
    original = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if isinstance(original, sqlite3.Error):
        return getattr(original, "sqlite_errorname", None) or type(original).__name__
    return getattr(original, "sqlstate", None) or type(original).__name__


def meaning(error: Exception) -> LifecycleError:
    """Return the error of ours that says what this failure means."""
    code = code_of(error)
    if _is_corrupt(code):
        return Corrupt(f"the state contradicts itself or cannot be read as one ({code})")
    return Transient(f"the state could not be read or written ({code}); nothing was kept", advice=_advice(code))


def _is_corrupt(code: str) -> bool:
    if code in _SQLITE_TORN or code == _SQLITE_SCHEMA or code.startswith(_POSTGRES_CORRUPT):
        return True
    return any(code == base or code.startswith(f"{base}_") for base in _SQLITE_CORRUPT)


def _advice(code: str) -> str | None:
    return next((text for base, text in _ADVICE.items() if code == base or code.startswith(f"{base}_")), None)


@contextmanager
def translated() -> Iterator[None]:
    """Turn a failure of the driver or the file system into Transient or Corrupt. The cause is left behind."""
    try:
        yield
    except (SQLAlchemyError, PoolTimeout, sqlite3.Error) as error:
        raise meaning(error) from None
    except OSError as error:
        raise Transient(f"the state's files could not be used ({_errno(error)}); nothing was kept") from None


def _errno(error: OSError) -> str:
    import errno  # noqa: PLC0415  # only on the way out

    return errno.errorcode.get(error.errno or 0, type(error).__name__)
