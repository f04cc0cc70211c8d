"""The contract's world with a table, or a schema, per tenant: the rows' firm is the name of where they lie."""

from lifecycle.core.inventory import Tenancy
from lifecycle.testing import store_world as w
from tests.stores.worlds import TYPES, MariadbWorld, PostgresqlWorld, SqliteWorld

FAMILIES = ("logs", "tickets", "notes")
COLUMNS = {
    "logs": {"id": "integer", "made": "time", "day": "date", "kind": "text"},
    "tickets": {"id": "integer", "title": "text"},
    "notes": {"ticket": "integer", "number": "integer", "body": "text"},
}


def by_table(dataset):
    """The dataset as a family of tables: `logs_{tenant}`."""
    return _family(dataset, tenant=Tenancy(by="table", pattern=f"{dataset.table}_{{tenant}}"))


def by_schema(dataset):
    """The dataset as a family of schemas: `firm {tenant}`.logs."""
    return _family(dataset, tenant=Tenancy(by="schema", pattern="firm {tenant}"))


def _family(dataset, **changes):
    if dataset.tenant.by == "none":
        return dataset
    return dataset.model_copy(update=changes)


def quoted(*parts, mark='"'):
    return ".".join(mark + part.replace(mark, mark * 2) + mark for part in parts)


class FamilyWorld:
    """Routes the application's rows to the table of their firm, which is made with the firm's first row."""

    kind = "sqlite"
    quote = '"'

    def __init__(self, *args, family=by_table):
        self.family = family
        self.by = "table" if family is by_table else "schema"
        self.firms = {}
        self.types = TYPES[self.kind]
        system = ", ".join(f"{n} {self.types[word]}" for n, word in w.COLUMNS["system_log"].items())
        statements = [f"CREATE TABLE system_log ({system}, PRIMARY KEY (id))"]
        super().__init__(*args, datasets=tuple(family(d) for d in w.DATASETS), tables=statements)
        for tenant in w.TENANTS:
            self.firm(tenant.id)

    def named(self, table, firm):
        parts = [f"{table}_{firm}"] if self.by == "table" else [f"firm {firm}", table]
        return quoted(*parts, mark=self.quote)

    def firm(self, firm):
        """Make a firm's tables."""
        if firm in self.firms:
            return
        self.firms[firm] = None
        if self.by == "schema":
            self.run(f"CREATE SCHEMA {quoted(f'firm {firm}')}")
        for table in FAMILIES:
            key = next(d.key for d in w.DATASETS if d.table == table)
            columns = [f"{n} {self.types[word]}" for n, word in COLUMNS[table].items()]
            columns.append(f"PRIMARY KEY ({', '.join(key)})")
            if table == "notes":
                # MariaDB would name it after the table, and folds the case of such names.
                named = f"CONSTRAINT ticket_{len(self.firms)}"
                columns.append(f"{named} FOREIGN KEY (ticket) REFERENCES {self.named('tickets', firm)} (id)")
            self.run(f"CREATE TABLE {self.named(table, firm)} ({', '.join(columns)})")
            if table == "logs":
                self.run(f"CREATE INDEX {quoted(f'made_{firm}', mark=self.quote)} ON {self.named(table, firm)} (made)")

    def insert(self, table, rows):
        if table not in FAMILIES:
            super().insert(table, rows)
            return
        for row in rows:
            firm = row["firm"] if "firm" in row else self.firm_of(row["ticket"])
            self.firm(firm)
            super().insert(self.named(table, firm), [{n: v for n, v in row.items() if n != "firm"}])

    def firm_of(self, ticket):
        """A note lies where its ticket lies."""
        return next(row["firm"] for row in self.rows("tickets") if row["id"] == ticket)

    def change(self, table, key, values):
        if table not in FAMILIES:
            super().change(table, key, values)
        elif "firm" in values:
            self.move(table, key, values["firm"])
        else:
            for firm in self.firms:
                super().change(self.named(table, firm), key, values)

    def move(self, table, key, firm):
        """The application moves a row, and what hangs on it, to another firm."""
        row = next(row for row in self.rows(table) if key.items() <= row.items())
        notes = [n for n in self.rows("notes") if table == "tickets" and n["ticket"] == row["id"]]
        self.delete("notes", row["firm"], [{"ticket": n["ticket"], "number": n["number"]} for n in notes])
        self.delete(table, row["firm"], [key])
        self.insert(table, [{**row, "firm": firm}])
        self.insert("notes", [{**note, "firm": firm} for note in notes])

    def delete(self, table, firm, keys):
        for key in keys:
            where = " AND ".join(f"{name} = {self.mark}" for name in key)
            self.run(f"DELETE FROM {self.named(table, firm)} WHERE {where}", list(key.values()))

    def rows(self, table):
        if table not in FAMILIES:
            return super().rows(table)
        return [
            {**dict(row), "firm": firm}
            for firm in self.firms
            for row in self.run(f"SELECT * FROM {self.named(table, firm)}").fetchall()
        ]


class SqliteFamily(FamilyWorld, SqliteWorld):
    pass


class PostgresqlFamily(FamilyWorld, PostgresqlWorld):
    kind = "postgresql"


class MariadbFamily(FamilyWorld, MariadbWorld):
    kind = "mariadb"
    quote = "`"
