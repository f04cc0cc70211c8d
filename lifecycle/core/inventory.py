"""The inventory (Datenlandkarte): stores, datasets, and how rows belong to tenants, times and duties.

Source: Art. 30 GDPR (what is where). Own copies, places and the shapes of real systems are fields, not remarks.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import ConfigDict, Field, model_validator

from lifecycle.core.fileset import Documents, FileSet, Logs, faults_of, within
from lifecycle.core.objectset import ObjectSet, overlaps
from lifecycle.core.objectset import faults_of as object_faults
from lifecycle.core.selection import AllOf, AnyOf, Condition, Not
from lifecycle.core.storage import BackupCopy, Place, Secret, StoreEntry, StoreKind
from lifecycle.core.transform import Keep, Transform, Treatment, treatment_faults
from lifecycle.core.value import Column, Fault, Identifier, Line, Text, Value, refuse

__all__ = [
    "BackupCopy",
    "Cascade",
    "Dataset",
    "DocumentKind",
    "Documents",
    "Encoding",
    "Hop",
    "Inventory",
    "Logs",
    "NotPersonal",
    "ObjectSet",
    "PersonLink",
    "Place",
    "Reference",
    "Secret",
    "StatutoryRecord",
    "StoreEntry",
    "StoreKind",
    "Tenancy",
    "TimeColumn",
    "Trigger",
]

Encoding = Literal["date", "utc", "local", "epoch-s", "epoch-ms", "iso-text"]
DocumentKind = Literal["book", "accounts", "voucher", "invoice", "letter", "tax-document"]
"""Kinds of records that statutes name: § 147(1) AO, § 257(1) HGB, § 14b(1) UStG."""

_NOTE = "A remark for readers; nothing is decided by it."
_SCHEMA = "Schema in the database; left out, its default schema."
PLACEHOLDER = "{tenant}"
PLACE_OF_VALUE = "{value}"
FAMILIES = frozenset({"schema", "table", "database"})
"""Tenancies by name: each tenant has a table, a schema or a database of its own."""


class Hop(Value):
    """One step of a tenant path: this table's `column` references `table`.`key`."""

    column: Column = Field(description="Column of the table before, that holds the reference.")
    table: Column = Field(description="Table that is referenced.")
    key: Column = Field(description="Its key column.")
    schema_: Column | None = Field(default=None, alias="schema", description=_SCHEMA)


class Tenancy(Value):
    """How rows belong to tenants: a column, or a path over foreign keys that ends in a column, or none at all.

    `none` is bound by all agreements in force. By schema, table or database the tenant stands in a name: the dataset is
    a family. Prefixes are served by stores of files and objects.
    """

    by: Literal["column", "path", "none", "schema", "table", "database", "prefix"] = Field(
        description="What tells the tenant of a row."
    )
    column: Column | None = Field(
        default=None, description="Column with the tenant's id; for a path, in the last table of the path."
    )
    path: tuple[Hop, ...] = Field(default=(), description="Steps from this table to the one with the tenant's column.")
    pattern: Line | None = Field(
        default=None,
        description="Name of the schema, table, database or prefix, with {tenant} where the tenant stands.",
    )
    nulls: Literal["refuse", "processor"] = Field(
        default="refuse",
        description="Rows without a tenant: nobody's (never touched, counted, no final certificate), or our own.",
    )

    @model_validator(mode="after")
    def _complete(self) -> Tenancy:
        faults: list[Fault] = []
        if self.by in {"column", "path"} and self.column is None:
            faults.append(
                Fault((), f"tenancy by {self.by} names no column", "write the column that holds the tenant's id")
            )
        if (self.by == "path") != bool(self.path):
            fix = "write by: path with at least one hop, or remove path"
            faults.append(Fault(("by",), "a path belongs to tenancy by path, and tenancy by path needs one", fix))
        if self.by in {*FAMILIES, "prefix"} and PLACEHOLDER not in (self.pattern or ""):
            fix = "write pattern, with {tenant} where the tenant stands"
            faults.append(Fault(("by",), f"tenancy by {self.by} has no pattern with {{tenant}}", fix))
        if (self.pattern or "").count(PLACEHOLDER) > 1:
            fix = "write {tenant} once: of two places nobody could tell which is whose"
            faults.append(Fault(("pattern",), "the pattern names the tenant twice", fix))
        if self.by in FAMILIES and self.column is not None:
            fix = "remove column, or write by: column"
            faults.append(Fault(("column",), f"tenancy by {self.by} reads the tenant from the name, not a column", fix))
        if faults:
            refuse(*faults)
        return self


class TimeColumn(Value):
    """A start time: its column, how the column encodes it, and from when on values are believable."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["zone"]},
                {"properties": {"encoding": {"enum": ["date", "utc", "epoch-s", "epoch-ms", "iso-text"]}}},
            ]
        }
    )

    column: Column = Field(description="The column.")
    encoding: Encoding = Field(description="How the column encodes the time.")
    zone: Line | None = Field(default=None, description="IANA time zone of a local time.")
    not_before: date = Field(
        default=date(1971, 1, 1), description="Earlier values are not believed: such rows are kept and counted."
    )

    @model_validator(mode="after")
    def _zone_for_local(self) -> TimeColumn:
        if self.encoding == "local" and self.zone is None:
            refuse(Fault(("encoding",), "a local time without its zone", "write zone, for example Europe/Berlin"))
        return self


class StatutoryRecord(Value):
    """The rows are records that a statute keeps: which kind, whose duty, from which start time."""

    kind: DocumentKind = Field(description="Kind of record that the statute names.")
    holder: Literal["processor", "controller"] = Field(
        description="Whose duty it is. The processor's survives the contract's end, the controller's does not."
    )
    start: Identifier = Field(description="Which of this dataset's times the period starts from.")
    why: Line | None = Field(default=None, description="Why these rows are such records.")


class Trigger(Value):
    """A declared trigger on the table and its effect: none, or it writes another dataset."""

    name: Column = Field(description="Name of the trigger.")
    effect: Literal["none", "writes"] = Field(description="What it does when rows are deleted or changed.")
    dataset: Identifier | None = Field(default=None, description="The dataset that it writes.")

    @model_validator(mode="after")
    def _target(self) -> Trigger:
        if (self.effect == "writes") != (self.dataset is not None):
            fix = "write effect: writes together with dataset, or effect: none without it"
            refuse(Fault(("effect",), "a trigger that writes names the dataset, any other names none", fix))
        return self


class Cascade(Value):
    """A declared ON DELETE path: rows of `dataset` go (delete) or lose the reference (set-null) with ours."""

    dataset: Identifier = Field(description="The dataset whose rows are touched.")
    column: Column = Field(description="Its column that references this table.")
    effect: Literal["delete", "set-null"] = Field(description="What the database does to them.")


class Reference(Value):
    """Which object a row references: it goes before the row does, a shared one with its last row."""

    column: Column = Field(description="Column that the object's key is made from.")
    store: Identifier = Field(description="Store of the object.")
    key_template: Line = Field(description="Key of the object, with {value} where the column's value stands.")


class PersonLink(Value):
    """How rows belong to a person: a column, and what it holds."""

    column: Column = Field(description="The column.")
    holds: Literal["email", "id", "phone", "name", "other"] = Field(description="What it holds.")


class Dataset(Value):
    """One table of one category. `schema` is the database's schema, None for its default.

    `only` restricts the dataset to part of the table; `detach` lists nullable foreign-key columns that are set to NULL
    on rows about to be deleted, to break a declared cycle. `anonymise` accounts for every column of the table, where a
    rule anonymises.
    """

    id: Identifier = Field(description="Name of the dataset; it appears in plans, metrics and certificates.")
    store: Identifier = Field(description="The store it lies in.")
    schema_: Column | None = Field(default=None, alias="schema", description=_SCHEMA)
    table: Column = Field(description="Table, bucket, folder (below the store's root) or remote collection, by name.")
    category: Identifier = Field(description="Category of an agreement.")
    key: tuple[Column, ...] = Field(min_length=1, description="Columns of the primary key, in order.")
    tenant: Tenancy = Field(description="How rows belong to tenants.")
    times: dict[Identifier, TimeColumn] = Field(
        default_factory=dict, description="Start times: collection, and the events that rules name."
    )
    only: tuple[Condition, ...] = Field(default=(), description="Restricts the dataset to part of the table.")
    statutory: tuple[StatutoryRecord, ...] = Field(
        default=(), description="Records among the rows that a statute keeps."
    )
    columns: tuple[Column, ...] = Field(default=(), description="Known columns; a column beside them is a finding.")
    persons: tuple[PersonLink, ...] = Field(default=(), description="How rows belong to persons.")
    references: tuple[Reference, ...] = Field(default=(), description="Objects that rows reference.")
    triggers: tuple[Trigger, ...] = Field(default=(), description="Triggers on the table, with their effect.")
    cascades: tuple[Cascade, ...] = Field(default=(), description="ON DELETE paths to other datasets.")
    files: FileSet | None = Field(default=None, description="In a store of files: which files they are.")
    objects: ObjectSet | None = Field(
        default=None, description="In a store of kind s3: which objects of the bucket; left out, all of them."
    )
    detach: tuple[Column, ...] = Field(default=(), description="Foreign-key columns set to NULL to break a cycle.")
    anonymise: tuple[Treatment, ...] = Field(
        default=(), description="What becomes of each column where a rule anonymises; needed for such rules only."
    )
    export: bool = Field(default=True, description="Whether the rows are returned to the tenant.")
    note: Line | None = Field(default=None, description=_NOTE)

    @property
    def transforms(self) -> tuple[Transform, ...]:
        """Return how the columns that change are anonymised; empty where the inventory does not say."""
        return tuple(treatment for treatment in self.anonymise if not isinstance(treatment, Keep))

    @model_validator(mode="after")
    def _known_starts(self) -> Dataset:
        faults = [
            Fault(
                ("statutory", index, "start"),
                f"the statutory start {record.start!r} is not one of this dataset's times",
                "name one of its times, or add it there",
            )
            for index, record in enumerate(self.statutory)
            if record.start not in self.times
        ]
        faults += self._misnamed()
        if len(set(self.key)) != len(self.key):
            faults.append(Fault(("key",), "a key column stands twice", "name each column once"))
        if self.anonymise:
            persons = [person.column for person in self.persons]
            faults += treatment_faults(self.anonymise, kept=_resting(self), persons=persons, known=self.columns)
        if faults:
            refuse(*faults)
        return self

    def _misnamed(self) -> list[Fault]:
        """Return a fault where a family by schema names a schema beside its pattern."""
        if self.tenant.by == "schema" and self.schema_ is not None:
            return [
                Fault(("schema",), "tenancy by schema, and a schema is named", "remove schema: the pattern names it")
            ]
        return []


def _resting(dataset: Dataset) -> list[tuple[str, str]]:
    """Return the columns that selections, duties or objects rest on, each with what it is."""
    tenancy = dataset.tenant
    found = [(column, "the key") for column in dataset.key]
    found += [(time.column, f"the start time {name}") for name, time in dataset.times.items()]
    found += [(hop.column, "the way to the tenant") for hop in tenancy.path[:1]]
    if tenancy.column is not None and not tenancy.path:
        found.append((tenancy.column, "the tenant"))
    found += [(column, "what the dataset is restricted by") for one in dataset.only for column in _columns_of(one)]
    return found + [(reference.column, "the way to an object") for reference in dataset.references]


def _columns_of(condition: Condition) -> list[str]:
    if isinstance(condition, AllOf | AnyOf):
        return [column for inner in condition.inner for column in _columns_of(inner)]
    return _columns_of(condition.inner) if isinstance(condition, Not) else [condition.column]


class NotPersonal(Value):
    """A table (or all tables by a pattern with one trailing `*`) that holds no personal data, and why."""

    store: Identifier = Field(description="The store.")
    schema_: Column | None = Field(default=None, alias="schema", description=_SCHEMA)
    table: Column = Field(description="Table; one trailing * stands for any ending.")
    why: Text = Field(description="Why it holds no personal data.")

    @model_validator(mode="after")
    def _not_everything(self) -> NotPersonal:
        if "*" in self.table[:-1] or self.table == "*":
            fix = "name the table, or a beginning followed by one *"
            refuse(Fault(("table",), "a pattern over everything would hide unclassified tables", fix))
        return self


class Inventory(Value):
    """The data map of one deployment. `reviewed: false` (a draft of `init --from`) plans nothing."""

    lifecycle: Literal["inventory/v1"] = Field(description="Kind and version of this document.")
    id: Identifier = Field(description="Name of the deployment's data map.")
    reviewed: bool = Field(default=True, description="false for a draft: nothing is planned from it.")
    agreements: tuple[Identifier, ...] = Field(
        default=(), description="Agreements that this deployment serves; left out, all in the policies directory."
    )
    stores: tuple[StoreEntry, ...] = Field(min_length=1, description="Where data lies.")
    datasets: tuple[Dataset, ...] = Field(min_length=1, description="What lies there.")
    not_personal: tuple[NotPersonal, ...] = Field(default=(), description="What holds no personal data, and why.")

    def dataset(self, name: str) -> Dataset:
        """Return the dataset of that id; KeyError when there is none."""
        return {dataset.id: dataset for dataset in self.datasets}[name]

    def store(self, name: str) -> StoreEntry:
        """Return the store of that id; KeyError when there is none."""
        return {store.id: store for store in self.stores}[name]

    def in_store(self, name: str) -> tuple[Dataset, ...]:
        """Return the datasets of that store, in the document's order."""
        return tuple(dataset for dataset in self.datasets if dataset.store == name)

    @model_validator(mode="after")
    def _consistent(self) -> Inventory:
        faults = [
            *_twice("stores", [store.id for store in self.stores]),
            *_twice("datasets", [dataset.id for dataset in self.datasets]),
            *_undeclared(self),
            *_of_files(self),
            *_of_objects(self),
        ]
        if faults:
            refuse(*faults)
        return self


def _twice(field: str, names: list[str]) -> list[Fault]:
    """Return a fault for every entry whose id was used before."""
    return [
        Fault((field, index, "id"), f"{name!r} is declared twice", "give each its own id")
        for index, name in enumerate(names)
        if name in names[:index]
    ]


def _of_files(inventory: Inventory) -> list[Fault]:
    """Return what is wrong with the declared sets of files."""
    kinds = {store.id: store.kind for store in inventory.stores}
    files = [dataset for dataset in inventory.datasets if kinds.get(dataset.store) == "files"]
    found = [
        Fault(("datasets", index, *fault.path), fault.what, fault.fix)
        for index, dataset in enumerate(inventory.datasets)
        if dataset.store in kinds
        for fault in faults_of(dataset, in_files=kinds[dataset.store] == "files")
    ]
    fix = "declare folders that lie beside each other"
    return found + [
        Fault(("datasets", index, "table"), f"the folder lies within the one of {other.id!r}", fix)
        for index, dataset in enumerate(inventory.datasets)
        for other in files
        if dataset.store == other.store and dataset is not other and within(dataset.table, other.table)
    ]


def _of_objects(inventory: Inventory) -> list[Fault]:
    """Return what is wrong with the declared sets of objects."""
    kinds = {store.id: store.kind for store in inventory.stores}
    found = [
        Fault(("datasets", index, *fault.path), fault.what, fault.fix)
        for index, dataset in enumerate(inventory.datasets)
        if dataset.store in kinds
        for fault in object_faults(dataset, in_objects=kinds[dataset.store] == "s3")
    ]
    fix = "declare prefixes that lie beside each other"
    return found + [
        Fault(("datasets", index, "table"), f"the objects lie within those of {other.id!r}", fix)
        for index, dataset in enumerate(inventory.datasets)
        for other in inventory.datasets
        if other is not dataset
        and kinds.get(dataset.store) == "s3"
        and dataset.store == other.store
        and overlaps(dataset, other)
    ]


def _undeclared(inventory: Inventory) -> list[Fault]:
    """Return a fault for every reference to a store or dataset that the inventory does not declare."""
    stores = {store.id for store in inventory.stores}
    names = {dataset.id for dataset in inventory.datasets}
    wanted: list[tuple[tuple[str | int, ...], str, set[str]]] = []
    for index, dataset in enumerate(inventory.datasets):
        here: tuple[str | int, ...] = ("datasets", index)
        wanted.append(((*here, "store"), dataset.store, stores))
        wanted += [((*here, "references", i, "store"), ref.store, stores) for i, ref in enumerate(dataset.references)]
        wanted += [((*here, "cascades", i, "dataset"), path.dataset, names) for i, path in enumerate(dataset.cascades)]
        wanted += [
            ((*here, "triggers", i, "dataset"), trigger.dataset, names)
            for i, trigger in enumerate(dataset.triggers)
            if trigger.dataset is not None
        ]
    wanted += [(("not_personal", i, "store"), entry.store, stores) for i, entry in enumerate(inventory.not_personal)]
    return [
        Fault(path, f"{name!r} is not declared in this inventory", "declare it, or correct the name")
        for path, name, known in wanted
        if name not in known
    ]
