"""The seam every store implements. Only `apply` changes data; `prepare`, fence and mirrors change our tables.

Promises that hold for every method: no personal data in results or errors beyond keys handed to the caller in memory;
`Transient` when the server did not answer as it should and nothing was changed; `Refused` when a guard inside the store
said no and nothing was changed; `Unknown` only from `apply`, when the connection broke around COMMIT.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import IO, Literal, Protocol

from lifecycle.core.plan import Action
from lifecycle.core.selection import Bound
from lifecycle.core.throttle import Brake, Pressure
from lifecycle.core.transform import Transform

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class Probe:
    """Facts about the server: `fingerprint` is sha256 over deployment uuid, host alias and system identifier."""

    kind: str
    version: str
    fingerprint: str
    clock: datetime
    read_only: bool
    prepared: bool
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Column:
    """One column as the catalogue has it. `type` is the server's own word."""

    name: str
    type: str
    nullable: bool
    generated: bool = False


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key of `table`: its columns reference `to_table`'s. `on_delete` in upper case."""

    schema: str | None
    table: str
    columns: tuple[str, ...]
    to_schema: str | None
    to_table: str
    to_columns: tuple[str, ...]
    on_delete: str
    enforced: bool
    indexed: bool
    deferrable: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One relation. `kind`: table, partitioned, view, foreign, virtual. `hash` covers what a plan depends on.

    `unique`: the columns of each unique index, partial ones too; what is made from an expression is left out.
    """

    schema: str | None
    name: str
    kind: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    foreign_keys: tuple[ForeignKey, ...]
    triggers: tuple[str, ...]
    row_security: Literal["none", "harmless", "may-hide"]
    row_estimate: int
    indexed: tuple[tuple[str, ...], ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What exists in the store, our own tables left out.

    `strange`: schema and name of tables that a family's name fits and that are not touched: of another shape.
    """

    tables: tuple[Table, ...]
    strange: frozenset[tuple[str | None, str]] = frozenset()

    def table(self, schema: str | None, name: str) -> Table | None:
        """Return the relation of that exact name, or None."""
        return next((t for t in self.tables if t.name == name and (schema is None or t.schema == schema)), None)


@dataclass(frozen=True, slots=True)
class Finding:
    """What doctor or a plan found about a dataset: `fix` says what to do.

    `fatal`: it stands in the way: `inspect`'s refuse the plan, `examine`'s make a run fail or find nothing.
    """

    code: str
    store: str
    dataset: str | None
    what: str
    fix: str
    fatal: bool


@dataclass(frozen=True, slots=True)
class Examined:
    """What a long look found: findings as `inspect`'s, and facts about the server in words, by topic."""

    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Likeness:
    """One column's sampled values by shape: counts; the values themselves never leave the store's method."""

    schema: str | None
    table: str
    column: str
    sampled: int
    emails: int
    phones: int
    ibans: int


@dataclass(frozen=True, slots=True)
class Starts:
    """One row's start days by the name of its time; None: undatable."""

    days: Mapping[str, date | None]


@dataclass(frozen=True, slots=True)
class Counted:
    """How many items a selection has, and the oldest start date among them (None without a time).

    `cascade`: by dataset, the rows that declared ON DELETE paths would take along or detach.
    """

    items: int
    oldest: date | None = None
    cascade: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Oddities:
    """Items that no rule may touch: undatable times in scope, rows that reach two tenants, and those of nobody we know.

    The latter may be any tenant's: they are counted over the whole dataset, for one tenant's scope too (I21).
    """

    undatable: int = 0
    unattributed: int = 0
    contested: int = 0
    null_tenant: int = 0


@dataclass(frozen=True, slots=True)
class Residue:
    """What a fresh look finds: items that the selection should have removed, orphans below the dataset, oddities."""

    items: int
    orphans: int
    oldest: date | None
    oddities: Oddities


@dataclass(frozen=True, slots=True)
class Found:
    """One item by key, for `plan --items`; keys are shown to operators, never stored in evidence."""

    key: tuple[Json, ...]
    start: date | None


@dataclass(frozen=True, slots=True)
class Fence:
    """The fence row of a target: whose it is, which epoch may write, which hold version counts, and the stop bit."""

    deployment: str
    epoch: int
    hold_version: int
    stopped: bool
    checkpoint: str | None


@dataclass(frozen=True, slots=True)
class TenantRow:
    """One mirrored tenant: id and its group. A tenant is held whole by a HoldRow without a dataset."""

    id: str
    group: str


@dataclass(frozen=True, slots=True)
class HoldRow:
    """One mirrored hold: on a tenant, for one dataset or for all (`dataset` None).

    In a dataset without tenants only a hold that names the dataset counts, and it holds every row. A hold on a dataset
    that a declared cascade would take along holds the parent too.
    """

    hold: str
    tenant: str
    dataset: str | None


@dataclass(frozen=True, slots=True)
class Register:
    """All tenants and holds at one moment: as our own state has them, or as a store's mirrors do."""

    tenants: Sequence[TenantRow] = field(repr=False)
    holds: Sequence[HoldRow] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Batch:
    """One bounded piece of a step. Safe to deliver twice: a second delivery finds the receipt and changes nothing.

    `after` and `upto` are the store's own cursor values (from `cut`); `remaining` = planned - done: more than that many
    items matching is a refusal and a rollback. `released`: by referencing column, the values whose object is known to
    be gone, or to have other rows: a row with another value is a refusal (guard `object`). `sealing_key` encrypts the
    keys into the receipt (AEAD, AAD = batch id);
    `commitment_key` makes the keyed digest over the same bytes. `listed`: what the cut listed, see there.
    """

    id: str
    job: str
    step: str
    action: Action
    bound: Bound
    after: Json
    upto: Json
    remaining: int
    epoch: int
    hold_version: int
    deployment: str
    sealing_key: bytes = field(repr=False)
    commitment_key: bytes = field(repr=False)
    listed: bytes | None = field(default=None, repr=False)
    released: Mapping[str, frozenset[str]] | None = field(default=None, repr=False)
    lock_timeout_ms: int = 2_000
    statement_timeout_ms: int = 30_000


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one batch did. `state`: done or void. `by_tenant` maps tenant ids to counts (memory only, for summaries).

    `by_tenant` is filled by `apply` itself; a receipt that is read later has it inside `sealed` only. `cascaded`: by
    dataset, the rows that declared ON DELETE paths took along.
    """

    batch: str
    state: Literal["done", "void"]
    deleted: int = 0
    kept: Mapping[str, int] = field(default_factory=dict)
    digest: str | None = None
    sealed: bytes | None = field(default=None, repr=False)
    by_tenant: Mapping[str, int] = field(default_factory=dict, repr=False)
    cascaded: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cut:
    """The next piece in the store's walk: batch bounds (after, upto], how many items it saw. None ends the walk.

    `listed`: only from a store without transactions, and then `items` is its length: each item by key and identity
    (what tells it from a later one of that key), in the store's own form. Sealed, it is durable with the batch's
    intent; the batch may touch nothing else, and after a crash it says what to read again. Plain, it lives in memory
    only.
    """

    after: Json
    upto: Json
    items: int
    listed: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Closing:
    """What a store without transactions needs to close a batch after a crash: the list that its intent holds.

    `epoch`: the closing writer's; the batch's own process, should it still live, must change nothing any more.
    """

    deployment: str
    epoch: int
    listed: bytes = field(repr=False)
    sealing_key: bytes = field(repr=False)
    commitment_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Content:
    """A file's or an object's content as one cell of an exported row: to be opened at once, while its row is current.

    `name`: what the application calls it, as bytes; where the content lies in a package is not up to it (I31).
    """

    name: bytes = field(repr=False)
    opened: Callable[[], AbstractContextManager[IO[bytes]]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rows:
    """One exported dataset: column names and an iterator of rows, streamed; values as the driver gives them.

    Where the dataset does not export its tenant itself (by path, or left out of `columns`), a last column
    `lifecycle_tenant` is appended for the check of each row, and `tenant_index` names it. `contents`: which column
    holds a `Content` in every row, where rows are files or objects.
    """

    columns: tuple[str, ...]
    tenant_index: int | None
    rows: Iterator[Sequence[object]]
    contents: int | None = None


class Ask(Protocol):
    """One question of a look: what `Store.residue` answers."""

    def __call__(self, bound: Bound, register: Register | None = None, *, narrow: bool = False) -> Residue:
        """Count again; a question that fails raises as `Store.residue` does and leaves the next one unharmed.

        `narrow`: count items and undatable ones; orphans and rows of unknown tenants or of none are not looked for (0).
        """


Going = Mapping[str, Sequence[Bound]]
"""Selections whose rows will have gone, by dataset."""

NOTHING_GOES: Going = MappingProxyType({})


class Store(Protocol):
    """A place where data lies."""

    id: str

    def probe(self) -> Probe:
        """Return facts read now; works before `prepare`."""

    def catalogue(self) -> Catalogue:
        """Return every relation the server shows our role, our own tables left out; one query, whatever the size."""

    def one_look(self) -> AbstractContextManager[None]:
        """Let what this thread asks about server and catalogue until the end rest on one reading, at first use.

        For checks that belong together: they then judge the same schema, and a large catalogue is read once.
        """

    def used_schema(self, datasets: Sequence[str]) -> str:
        """Return the `sha256:` hash over columns, keys, types, inbound keys, triggers and RLS of these datasets."""

    def inspect(self, datasets: Sequence[str], anonymised: Sequence[str] = ()) -> list[Finding]:
        """Return what forbids or endangers a plan over these datasets (I11), each with what to do.

        `anonymised`: those whose rows are to be anonymised; every column of theirs must be accounted for.
        """

    def examine(self, datasets: Sequence[str]) -> Examined:
        """Return what only a long look finds: sampled times, grants, collations, room. For doctor, never for a plan.

        Samples yield counts and shares, never values. What a server does not tell is said in the facts.
        """

    def likeness(self, tables: Sequence[tuple[str | None, str]]) -> list[Likeness]:
        """Count, over a sample of each text column of these tables, the values that look like a person's."""

    def starts(self, bound: Bound, key: Sequence[str], zone: str, today: date) -> Starts | None:
        """Return the start days of the row of that key in the bound scope; None when the scope has no such row.

        `key`: the values as `find` returns them, in the order of the dataset's key. Times after `today`, or too early
        to be believed, are undatable. Cutoffs, holds and conditions of the selection are not asked for.
        """

    def pressure(self, datasets: Sequence[str]) -> Pressure:
        """Return what the server tells about its load now; what it does not tell is None."""

    def held_back(self) -> Brake | None:
        """Return why nothing should be changed here now; None from a store that nobody throttles."""

    def levels(self, datasets: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the datasets in deletion order: children's levels first. `Refused` on an undeclared cycle."""

    def prepare_statements(self, deployment: str) -> list[str]:
        """Return the statements that create our tables, as an administrator would run them; idempotent."""

    def prepare(self, deployment: str) -> None:
        """Run them and write the fence row. `Refused` when the target belongs to another deployment."""

    def fence(self) -> Fence:
        """Read the fence row. `Refused` when the target is not prepared."""

    def advance_epoch(self, deployment: str, epoch: int) -> None:
        """Raise the fence's epoch; never lowers it. `Refused` when a higher epoch is there."""

    def set_stop(self, *, stopped: bool) -> None:
        """Write the stop bit of the fence."""

    def mirror_tenants(self, rows: Sequence[TenantRow]) -> None:
        """Make the tenant mirror equal to these rows, in one transaction. `Refused` on an empty list (I5)."""

    def mirror_holds(self, rows: Sequence[HoldRow]) -> int:
        """Make the hold mirror equal to these rows and return the fence's new hold version, in one transaction."""

    def count(self, bound: Bound, going: Going = NOTHING_GOES) -> Counted:
        """Count what the selection selects now, or will once the rows that `going` selects have gone.

        `going` maps datasets to the selections of the same plan's earlier steps: a row of theirs that one of these
        selects does not keep a parent alive (`unreferenced_by`). Only counts look ahead; a change never does.
        """

    def oddities(self, dataset: str, bound: Bound) -> Oddities:
        """Count the items of the bound scope, and of unknown tenants and none, that no rule may touch."""

    def find(self, bound: Bound, after: Json, limit: int) -> list[Found]:
        """Return keys in key order after the cursor, at most `limit`."""

    def cut(self, bound: Bound, after: Json, size: int) -> Cut | None:
        """Return the bounds of the next batch of about `size` items, never more; None when the walk has ended.

        `items` may count neighbours that the batch will not change. Every piece begins with a selected item, so a
        finished walk cuts nothing. Pass each piece's `upto` as the next `after`, after its batch was applied.
        """

    def apply(self, batch: Batch) -> Receipt:
        """Carry the batch out in one transaction, receipt first, predicate and cutoff repeated (I1, I16, I18).

        `Refused` guards: deployment, stopped, stale-epoch, holds-changed, limit, bounds, holds, detach, anonymise
        (transforms that are not the dataset's), start-time (the database changed one), constraint,
        unknown-tenant (a tenant scope whose tenant is not in the mirror). A fence that refuses does so before the
        receipt is looked for: ask `receipt` after a refusal of a batch that may have been delivered before.

        Without transactions: only listed items are touched, each checked against its identity and the predicate right
        before; fence and holds are checked so that none of them can change before the item has gone. `Refused` comes
        before the first item only. The receipt says of every listed item whether it is deleted or kept(reason); where
        that cannot be told, Unknown.
        """

    def void(self, batch_id: str, closing: Closing | None = None) -> Receipt:
        """Close an open intent: insert a void receipt, or return the one that is there (committed batches win).

        `closing` is given for a batch whose cut listed its items, and for no other. Each of them is read again: the
        receipt is done, with a sealed list of what is gone, or void when nothing is. Repeating it is safe. Raises
        Transient or Unknown when an item cannot be read: the intent stays open.
        """

    def receipt(self, batch_id: str) -> Receipt | None:
        """Read a receipt, or None when there is none."""

    def breakdown(self, receipt: Receipt, key: bytes) -> Mapping[str, int]:
        """Return the counts per tenant of a receipt that was read, out of its sealed list; empty for other scopes.

        Raises Corrupt when the key does not open it.
        """

    def receipts(self, after: str | None, limit: int) -> list[Receipt]:
        """Return receipts not yet acknowledged, by batch id, without their sealed lists."""

    def acknowledge(self, batch_ids: Sequence[str], checkpoint: str) -> None:
        """Mark receipts as covered by a checkpoint of our log."""

    def mirrored(self) -> Register:
        """Return what the mirrors hold now, to tell whether they are stale. `Refused` when the target is not prepared.

        Only ids and groups of tenants come out, and go no further than the caller's memory.
        """

    def residue(self, bound: Bound, register: Register | None = None) -> Residue:
        """Count again on another connection by another query builder, blind to nothing that deletion could hide.

        With a `register` its tenants and holds count and the mirrors are not read: a stale mirror hides nothing, and
        the target need not be prepared.
        """

    def looking(self) -> AbstractContextManager[Ask]:
        """Ask many such questions over one connection of their own, and one catalogue read when the look begins."""

    def population(self, dataset: str, undone: Sequence[Transform] = ()) -> int:
        """Count all rows of the dataset, whoever they belong to, as freshly and independently as `residue`.

        `undone`: only those on which one of these transforms is not done.
        """

    def export(self, dataset: str, bound: Bound) -> AbstractContextManager[Rows]:
        """Stream the rows of the scope; memory does not grow with them. The connection lives as long as the context."""

    def close(self) -> None:
        """Release connections; safe to call twice."""
