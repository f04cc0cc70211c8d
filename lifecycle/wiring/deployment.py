"""From a folder to a deployment: settings, documents, keys, state and stores become one value for the flow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import lifecycle
from lifecycle.core.errors import InvalidDocument, Problem, Refused
from lifecycle.core.policy import Policy
from lifecycle.core.schedule import Schedule
from lifecycle.core.settings import Settings
from lifecycle.core.tenant import Tenant
from lifecycle.documents import Loaded, load, load_operators, load_tenants, read_policy
from lifecycle.flow import offboard
from lifecycle.flow.deployment import Deployment, Limits
from lifecycle.flow.journal import accept_operators, open_log
from lifecycle.ports.clock import Clock, SystemClock
from lifecycle.ports.failpoint import Failpoint, no_failpoint
from lifecycle.ports.store import Store
from lifecycle.state import open_state, require_direct
from lifecycle.stores.paced import paced
from lifecycle.wiring import clocks, keys, secrets
from lifecycle.wiring.kinds import open_store
from lifecycle.wiring.links import linked, refuse_unbuilt
from lifecycle.wiring.outside import CheckpointFile, StopFile, UntilAsked

SETTINGS_FILE = "lifecycle.yaml"
FOLDER_VARIABLE = "LIFECYCLE_DIR"
StoreWrapper = Callable[[Store], Store]


def never() -> bool:
    """Return False: nobody asks this process to end."""
    return False


@dataclass(frozen=True, slots=True)
class Options:
    """What tests, the demo and the service replace.

    `stores` restricts which stores are opened. `register`: bring the registers in line with operators and tenants
    files; a standby leaves that to who leads. `ending`: whether the process was asked to end, after the batch.
    `stopping`: whether it was asked to stop everything, and has not yet told everybody.
    """

    clock: Clock | None = None
    failpoint: Failpoint = no_failpoint
    stores: tuple[str, ...] | None = None
    register: bool = True
    ending: Callable[[], bool] = never
    stopping: Callable[[], bool] = never


def folder_of(argument: str | None) -> Path:
    """Return the deployment's folder: the argument, the environment, or the working directory."""
    return Path(argument or os.environ.get(FOLDER_VARIABLE) or ".").resolve()


def read_settings(folder: Path) -> Settings:
    """Read `lifecycle.yaml`. Raises InvalidDocument with positions, or when there is none."""
    path = folder / SETTINGS_FILE
    if not path.exists():
        msg = f"there is no {SETTINGS_FILE} in {folder}"
        raise InvalidDocument(msg, advice="Name the deployment's folder with --dir, or make one with `lifecycle init`.")
    return _settings(load(path, "settings", file=SETTINGS_FILE))


def _settings(loaded: Loaded) -> Settings:
    assert isinstance(loaded.document, Settings)  # noqa: S101 - the loader was asked for this kind
    return loaded.document


def _refuse_unknown_rules(folder: Path, settings: Settings, policy: Policy) -> None:
    """Raise InvalidDocument where the schedule names a rule that no agreement has: it would run in another class."""
    known = {rule.id for agreement in policy.agreements for rule in agreement.rules}
    if unknown := sorted(set(settings.schedule.rules) - known):
        loaded = load(folder / SETTINGS_FILE, "settings", file=SETTINGS_FILE)
        problems = tuple(
            loaded.problem(("schedule", "rules", name), f"no agreement has a rule {name!r}", "write the id of a rule")
            for name in unknown
        )
        raise InvalidDocument("the schedule names rules that nobody promised", problems=problems)


def _refuse_unknown_stores(folder: Path, settings: Settings, policy: Policy) -> None:
    """Raise InvalidDocument where a throttle is of a store that the inventory does not have: it would hold nothing."""
    known = {store.id for store in policy.inventory.stores}
    if unknown := sorted(set(settings.throttle) - known):
        loaded = load(folder / SETTINGS_FILE, "settings", file=SETTINGS_FILE)
        problems = tuple(
            loaded.problem(("throttle", name), f"the inventory has no store {name!r}", "write the id of a store")
            for name in unknown
        )
        raise InvalidDocument("the settings throttle stores that nobody declared", problems=problems)


def stop_file_of(folder: Path) -> StopFile:
    """Return the kill switch's file; where the settings cannot be read, the one of its default name."""
    try:
        name = read_settings(folder).stop_file
    except InvalidDocument:
        if not folder.is_dir():
            raise
        name = str(Settings.model_fields["stop_file"].default)
    return StopFile(folder / name)


def state_url(settings: Settings, folder: Path) -> str:
    """Return the state's address; a relative SQLite path is taken from the folder."""
    url = settings.state.url or secrets.read(settings.state, folder, "state")
    return _absolute(url, folder)


def _leader_url(settings: Settings, folder: Path) -> str | None:
    """Return the direct address for locks, or None where the state's own is direct."""
    if settings.leader_url is None:
        return None
    return settings.leader_url.url or secrets.read(settings.leader_url, folder, "leader_url")


def require_direct_locks(settings: Settings, folder: Path) -> None:
    """Raise Refused (guard `pooled`, `leader-url`) unless the address for locks keeps its sessions to itself."""
    require_direct(state_url(settings, folder), _leader_url(settings, folder))


@contextmanager
def open_deployment(folder: Path, options: Options = Options()) -> Iterator[Deployment]:
    """Open everything, check the log against its outside checkpoint, and close everything at the end.

    Raises:
        InvalidDocument: settings, documents or keys. Refused: the state's schema, or kinds that are not built.
        Corrupt: the log contradicts the checkpoint outside the database.
    """
    settings = read_settings(folder)
    files = read_policy(folder / settings.policies, inventory=folder / settings.inventory)
    _refuse_unknown_rules(folder, settings, files.policy)
    _refuse_unknown_stores(folder, settings, files.policy)
    operators = load_operators(folder / settings.operators)
    used = keys.load(folder / settings.keys)
    state = open_state(state_url(settings, folder), leader_url=_leader_url(settings, folder))
    opened: dict[str, Store] = {}
    clock = options.clock or SystemClock()
    try:
        refuse_unbuilt(files.policy.inventory, options.stores)
        for entry in files.policy.inventory.stores:
            if options.stores is None or entry.id in options.stores:
                url = _absolute(secrets.read(entry.address, folder, f"store {entry.id}"), folder)
                datasets = files.policy.inventory.in_store(entry.id)
                inner = open_store(
                    entry, datasets, url, settings.deployment, failpoint=options.failpoint, clock=options.clock
                )
                opened[entry.id] = paced(
                    inner,
                    settings.throttle.get(entry.id),
                    clock=clock,
                    folder=folder,
                    datasets=[dataset.id for dataset in datasets],
                )
        deployment = Deployment(
            id=settings.deployment,
            origin=settings.origin,
            policy=files.policy,
            documents=tuple(
                _document(loaded.kind, loaded.id, loaded.version, loaded.digest) for loaded in files.documents
            ),
            stores=linked(files.policy.inventory, opened),
            state=state,
            clock=clock,
            keys=used,
            operators=operators,
            outside=CheckpointFile(folder / settings.checkpoint),
            kill=UntilAsked(UntilAsked(StopFile(folder / settings.stop_file), options.stopping), options.ending),
            folder=folder,
            exact={loaded.digest: loaded.bytes for loaded in files.documents},
            limits=_limits(settings),
            schedule=Schedule.of(settings.schedule),
            guards=settings.guards,
            second=clocks.of_state(settings.clocks, state),
            ntp=clocks.of_network(settings.clocks),
            failpoint=options.failpoint,
            throttled=frozenset(settings.throttle),
            tool_version=lifecycle.__version__,
        )
        open_log(deployment)
        if options.register:
            register(deployment, settings)
        yield deployment
    finally:
        for store in opened.values():
            store.close()
        state.close()


def register(deployment: Deployment, settings: Settings) -> None:
    """Bring the registers in line with the operators and tenants files. Raises InvalidDocument, Refused."""
    accept_operators(deployment)
    if settings.tenants is not None:
        offboard.sync(deployment, _declared(deployment.folder / settings.tenants))


def check_tenants(deployment: Deployment, settings: Settings, *, moved: Callable[[], None]) -> None:
    """Refuse a tenants document of which `register` could not enter every tenant; reads only.

    `moved` is called between tenants. Raises InvalidDocument with the entries' positions.
    """
    if settings.tenants is None:
        return
    path = deployment.folder / settings.tenants
    found = list(offboard.unbound(deployment, _declared(path), moved=moved))
    if found:
        name = str(settings.tenants)
        # Large registers are streamed, and have no positions: their tenants are counted.
        document = load(path, "tenants", file=name) if path.suffix in {".yaml", ".yml"} else None
        problems = tuple(
            document.problem(("tenants", index), error.message, error.advice())
            if document
            else Problem(name, index + 1, 1, error.message, error.advice())
            for index, error in found
        )
        raise InvalidDocument("the tenants document has entries that no agreement binds", problems=problems)


def _declared(path: Path) -> list[Tenant]:
    """Return the declared tenants. Raises Refused for a document that names a table instead of listing them."""
    document = load_tenants(path)
    if document.source is not None:
        raise Refused(
            "tenants from a table of the operator's database are not read yet",
            guard="not-built",
            advice="List the tenants in the document, or import them with `lifecycle tenant import FILE`.",
        )
    return list(document.tenants)


def _document(kind: str, name: str, version: str, digest: str) -> Mapping[str, str]:
    return {"kind": kind, "id": name, "version": version or "unversioned", "hash": digest}


def _limits(settings: Settings) -> Limits:
    limits = settings.limits
    return Limits(
        most_items=limits.most_items,
        margin_days=limits.margin_days,
        first_batch=limits.first_batch,
        least_batch=limits.least_batch,
        most_batch=limits.most_batch,
        rows_per_night=limits.rows_per_night,
    )


def _absolute(url: str, folder: Path) -> str:
    """Return the address with a relative SQLite path made absolute."""
    prefix = "sqlite:///"
    if url.startswith(prefix) and not url.startswith(prefix + "/"):
        return f"{prefix}{folder / url.removeprefix(prefix)}"
    return url
