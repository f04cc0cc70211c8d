"""What text columns look like: counts of values in the shape of an address, a number or an account of a person.

Values are read, told apart and dropped in this module; counts alone leave it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lifecycle.ports.store import Likeness, Table
from lifecycle.stores.sql.catalogue import World, clause_of
from lifecycle.stores.sql.dialects import Dialect

SAMPLE = 1_000
LONGEST = 320
"""Characters of a value that are looked at: the longest mail address there can be."""

_EMAIL = re.compile(r"[^@\s<>,;]{1,64}@[^@\s<>,;]{1,190}\.[A-Za-z]{2,24}")
_PHONE = re.compile(r"(?:\+|00?)[1-9][0-9 ()/.\-]{6,20}[0-9]")
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_TEXTS = ("char", "text", "clob", "json", "citext")


def counted(
    dialect: Dialect, connection: Connection, world: World, tables: Sequence[tuple[str | None, str]]
) -> list[Likeness]:
    """Return the counts of each text column of the tables that are there and that our role may read."""
    del dialect
    found: list[Likeness] = []
    for schema, name in tables:
        table = world.find(schema, name)
        if table is not None and table.kind == "table":
            found += _of_table(connection, table)
    return found


def _of_table(connection: Connection, table: Table) -> Iterator[Likeness]:
    names = [column.name for column in table.columns if _is_text(column.type)]
    if not names:
        return
    place = clause_of(table)
    picked = [sa.func.substr(sa.cast(place.c[name], sa.Text()), 1, LONGEST) for name in names]
    try:
        with connection.begin_nested():
            rows = connection.execute(sa.select(*picked).select_from(place).limit(SAMPLE)).all()
    except sa.exc.DBAPIError:
        # Without a look nothing is known: the caller names the tables of which there is no count.
        return
    for number, name in enumerate(names):
        values = [str(row[number]) for row in rows if row[number] is not None]
        yield Likeness(
            table.schema,
            table.name,
            name,
            len(values),
            sum(_EMAIL.search(value) is not None for value in values),
            sum(_PHONE.fullmatch(value.strip()) is not None for value in values),
            sum(_is_iban(value) for value in values),
        )


def _is_text(word: str) -> bool:
    return word == "" or any(part in word.lower() for part in _TEXTS)


def _is_iban(value: str) -> bool:
    """Decide by the check digits (ISO 13616): a part number of the same shape is none."""
    plain = re.sub(r"\s", "", value).upper()
    if _IBAN.fullmatch(plain) is None:
        return False
    turned = plain[4:] + plain[:4]
    return int("".join(str(int(letter, 36)) for letter in turned)) % 97 == 1
