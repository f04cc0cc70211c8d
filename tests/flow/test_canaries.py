"""I23: names, addresses and ids of persons and tenants are nowhere in evidence, plans, logs, metrics or errors."""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import sys
import traceback
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from lifecycle.core.errors import LifecycleError
from lifecycle.core.tenant import Tenant
from lifecycle.flow import (
    approve,
    certify,
    cycle,
    execute,
    exporting,
    holding,
    instructing,
    journal,
    offboard,
    planning,
    trust,
)
from lifecycle.flow.plans import plan_bytes
from lifecycle.observe import Metrics, Names, log_entry, open_log
from lifecycle.ports.clock import SystemClock
from lifecycle.stores.sql.store import SqlStore
from lifecycle.wiring.exports import package_writer
from tests import portal, servers
from tests.flow import world as made
from tests.flow.canaries import found
from tests.flow.test_line import once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lifecycle.flow.deployment import Deployment
    from tests.portal import World

CANARIES = {
    "tenant": "canary-tenant-77120",
    "email": "wanda.canary@example.org",
    "name": "Wanda Canariensis",
    "subject": "A very private complaint",
    "body": "Please call my doctor Canarias",
    "ip": "198.51.100.207",
    "key": "1987654321",
    "reason": "Dispute with Mrs Canariensis",
    "reference": "AZ-canary-2026/0815",
    "giver": "office-canary-7712",
}
KEY = int(CANARIES["key"])
PREFIXES = ("tenant:", "tenant/", "portal-test:", "portal-test/", "t-", "id:")
VERBS = (("status",), ("scan",), ("coverage",), ("doctor",), ("plan",), ("evidence", "log", "--last", "200"))


class Crash(BaseException):
    """The process dies here."""


def populate(world: World) -> None:
    """Give the canary's tenant rows of every kind."""
    tenant, now = CANARIES["tenant"], world.now
    old, young = portal.stamp(now - timedelta(days=120)), portal.stamp(now - timedelta(days=2))
    made.insert(world, "portal", [(tenant, CANARIES["name"])])
    made.insert(world, "account", [(KEY, tenant, CANARIES["email"], None)])
    made.insert(world, "ticket", [(KEY, tenant, None, KEY, CANARIES["subject"], young)])
    made.insert(world, "comment", [(KEY, KEY, CANARIES["body"])])
    made.insert(world, "access_log", [(KEY, tenant, CANARIES["ip"], old), (KEY + 1, tenant, CANARIES["ip"], young)])


def shown(error: BaseException) -> bytes:
    """Return everything that any printer of an error could show."""
    advice = error.advice() if isinstance(error, LifecycleError) else ""
    return "\n".join([str(error), repr(error), advice, *traceback.format_exception(error)]).encode()


def provoked(world: World, plan: str, act: Callable[[], None], point: str = "intent.after") -> bytes:
    """Apply while something goes wrong; return every error of the store, and the one that ended the job, if one did."""
    seen: list[bytes] = []
    right = SqlStore.apply

    def listening(store: SqlStore, batch: Any) -> Any:
        try:
            return right(store, batch)
        except LifecycleError as error:
            seen.append(shown(error))
            raise

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqlStore, "apply", listening)
        try:
            with world.open(failpoint=once(point, act)) as deployment:
                seen.append(repr(execute.apply(deployment, plan)).encode())
        except (LifecycleError, Crash) as error:
            seen.append(shown(error))
    return b"\n".join(seen)


def application(world: World) -> None:
    """A declared trigger, and a table that references ours: the schema stays while what the server says changes."""
    calm(world)
    made.execute(world, "CREATE TRIGGER see BEFORE DELETE ON access_log FOR EACH ROW EXECUTE FUNCTION see()")
    made.execute(world, "CREATE TABLE seen (ip TEXT PRIMARY KEY)")
    made.execute(world, f"INSERT INTO seen VALUES ('{CANARIES['ip']}')")
    made.execute(world, "CREATE TABLE clinger (id INTEGER PRIMARY KEY, account_id INTEGER REFERENCES account(id))")
    inventory = world.folder / "inventory.yaml"
    table = "table: access_log, "
    text = inventory.read_text()
    assert text.count(table) == 1
    inventory.write_text(text.replace(table, table + "triggers: [{name: see, effect: none}], "))


def see(world: World, body: str) -> None:
    """Change what the trigger does."""
    made.execute(
        world,
        f"CREATE OR REPLACE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN OLD; END $$",
    )


def foreign_key(world: World) -> None:
    """Another row holds on to the canary's account."""
    made.execute(world, f"INSERT INTO clinger VALUES (1, {KEY})")


def loud_trigger(world: World) -> None:
    """The trigger quotes the row in its error."""
    see(world, "RAISE EXCEPTION 'cannot delete % of %', OLD.ip, OLD.portal_id;")


def unique_trigger(world: World) -> None:
    """The trigger writes the row into a table where it is already: the server's error quotes the key."""
    see(world, "INSERT INTO seen VALUES (OLD.ip);")


def calm(world: World) -> None:
    """The trigger does nothing."""
    see(world, "")


def undo(world: World) -> None:
    """Let the application be as it was."""
    calm(world)
    made.execute(world, "DELETE FROM clinger")


def crash() -> None:
    """Die."""
    raise Crash


def begin(world: World, errors: dict[str, bytes]) -> tuple[str, str]:
    """Register the canary, take its instruction, hold it, release it, end it, plan both ways; return the hashes."""
    with world.open() as deployment:
        offboard.register(deployment, Tenant(id=CANARIES["tenant"], agreement="clientport", firm="Example Ltd"))
        tenant = offboard.find(deployment, CANARIES["tenant"])
        given = instructing.Given(
            kind="return", given_by=CANARIES["giver"], channel="text", reference=CANARIES["reference"]
        )
        instructing.receive(deployment, tenant, given, recorded_by="op-one")
        ground = holding.Ground(basis="legal-order", reason=CANARIES["reason"], reference=CANARIES["reference"])
        hold = holding.set_hold(deployment, tenant, ground, operator="op-one")
        ended = made.end_contract(world, deployment, CANARIES["tenant"])
        for name, act in {
            "a held tenant": lambda: planning.plan_offboarding(deployment, ended, author=made.AUTHOR),
            "a tenant twice": lambda: offboard.register(deployment, tenant),
            "an unknown tenant": lambda: offboard.find(deployment, CANARIES["email"]),
        }.items():
            with pytest.raises(LifecycleError) as refused:
                act()
            errors[name] = shown(refused.value)
        holding.release(deployment, hold.id, operator="op-one")
        rule = planning.plan_rule(deployment, "clientport", "server-logs", author=made.AUTHOR)
        assert rule is not None
        with pytest.raises(LifecycleError) as refused:
            execute.apply(deployment, rule.hash)
        errors["not approved"] = shown(refused.value)
        approve.approve(deployment, rule.hash, "op-one", world.key("op-one"), grant_mandate=True)
        leave = planning.plan_offboarding(deployment, ended, author=made.AUTHOR)
        for operator in portal.OPERATORS:
            approve.approve(deployment, leave.hash, operator, world.key(operator))
    return rule.hash, leave.hash


def finish(world: World) -> dict[str, bytes]:
    """Export, plan what is left, carry it out, certify; return what is handed out, but for the package itself."""
    handed: dict[str, bytes] = {}
    with world.open() as deployment:
        tenant = offboard.find(deployment, CANARIES["tenant"])
        exporting.export(deployment, tenant, package_writer(deployment, "Europe/Berlin"), world.folder)
        old = portal.stamp(world.now - timedelta(days=130))
        made.insert(world, "access_log", [(KEY + 2, CANARIES["tenant"], CANARIES["ip"], old)])
        rule = planning.plan_rule(deployment, "clientport", "server-logs", author=made.AUTHOR)
        assert rule is not None
        hashes = [rule.hash]
        assert execute.apply(deployment, rule.hash).clean
        leave = planning.plan_offboarding(deployment, tenant, author=made.AUTHOR)
        for operator in portal.OPERATORS:
            approve.approve(deployment, leave.hash, operator, world.key(operator))
        hashes.append(leave.hash)
        assert execute.apply(deployment, leave.hash).clean
        for plan_hash in hashes:
            certificate = certify.issue(deployment, plan_hash)
            handed[f"certificate {certificate.number}"] = certificate.envelope.encode()
            handed[f"bundle {certificate.number}"] = certify.bundle(deployment, certificate)
            handed[f"plan {certificate.number}"] = plan_bytes(deployment, plan_hash)
        cycle.tick(deployment)
        handed["trust"] = trust.trust_document(deployment)
        handed["checkpoint"] = journal.checkpoint(deployment).encode()
        handed |= observed(deployment)
        handed["log"] = b"\n".join(body for _, body in deployment.state.entries())
    return handed


def observed(deployment: Deployment) -> dict[str, bytes]:
    """Feed the whole log to the process' log and to the metrics."""
    stream = io.StringIO()
    log = open_log(stream, SystemClock(), names=Names({"rule": ("server-logs",), "store": ("main",)}), libraries=False)
    metrics = Metrics(CollectorRegistry(), rules={"server-logs": ("main",)}, version="0.1.0")
    for index, entry in journal.decoded(deployment.state.entries()):
        log_entry(log, entry, index)
        metrics.observe(entry, index)
    return {"process log": stream.getvalue().encode(), "metrics": metrics.render()}


def spoken(world: World, *args: str) -> bytes:
    """Return what a command of its own process says."""
    call = [sys.executable, "-m", "lifecycle", "--dir", str(world.folder), *args]
    done = subprocess.run(call, capture_output=True, timeout=120, check=False)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def haystacks(
    postgres_server: servers.OwnPostgres | servers.ForeignPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, bytes]]:
    """Everything that the product said while a canary's data went through the whole line, on PostgreSQL."""
    with servers.fresh_database(postgres_server.url) as url:
        world = made.tempting(tmp_path_factory.mktemp("canary") / "deployment", url, logs=4)
        application(world)
        populate(world)
        said: dict[str, bytes] = {}
        rule, leave = begin(world, said)
        alias = _alias(world)
        said["explain"] = spoken(world, "explain", alias)
        said["a crash"] = provoked(world, rule, crash, "batch.changed")
        said["a loud trigger"] = provoked(world, rule, lambda: loud_trigger(world))
        said["apply, refused"] = spoken(world, "apply", rule, "--yes", rule)
        undo(world)
        said["a unique violation"] = provoked(world, rule, lambda: unique_trigger(world))
        undo(world)
        said["a foreign key"] = provoked(world, leave, lambda: foreign_key(world))
        said["apply, refused again"] = spoken(world, "apply", leave, "--yes", leave)
        undo(world)
        said |= finish(world)
        for verb in VERBS:
            said[" ".join(verb)] = spoken(world, *verb)
        bundle = next(body for place, body in said.items() if place.startswith("bundle "))
        (world.folder / "a.bundle").write_bytes(bundle)
        (world.folder / "trust.yaml").write_bytes(said["trust"])
        said["verify"] = spoken(
            world, "verify", str(world.folder / "a.bundle"), "--trust", str(world.folder / "trust.yaml")
        )
        yield said


def _alias(world: World) -> str:
    with world.open() as deployment:
        return deployment.alias(CANARIES["tenant"])


def test_I23_no_canary_is_found_anywhere(haystacks: dict[str, bytes]) -> None:
    """Neither plain nor encoded nor as an unkeyed hash, in anything that leaves the registers.

    `explain` names the tenant that it was asked about: it reads the register to the operator, and shows nothing else.
    """
    assert found(CANARIES, haystacks, PREFIXES) - {"tenant in explain (plain)"} == set()


def test_the_canaries_went_through_the_line(haystacks: dict[str, bytes]) -> None:
    """The walk met every station: errors of the server among them, and a certificate for both plans."""
    assert b"23505" in haystacks["a unique violation"]
    assert b"23503" in haystacks["a foreign key"]
    assert b"P0001" in haystacks["a loud trigger"]
    assert b"Crash" in haystacks["a crash"]
    assert sum(place.startswith("certificate ") for place in haystacks) == 2
    assert b"batch.void" in haystacks["log"]
    assert b"lifecycle_records_deleted_total" in haystacks["metrics"]
    assert all(haystacks.values()), "something said nothing"


FORMS: dict[str, Any] = {
    "plain": lambda text: b'{"note":"' + text.encode() + b'"}',
    "another case": lambda text: text.upper().encode(),
    "hex": lambda text: text.encode().hex().encode(),
    "base64 of more": lambda text: base64.b64encode(b"before it " + text.encode() + b" and after"),
    "base64 in base64": lambda text: base64.b64encode(base64.b64encode(b"x" + text.encode() + b"yz")),
    "a hash": lambda text: hashlib.sha256(text.encode()).hexdigest().encode(),
    "a hash in capitals": lambda text: hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest().upper().encode(),
    "a short hash": lambda text: b"x-" + hashlib.blake2b(text.encode()).hexdigest()[:20].encode(),
    "a hash of a prefixed id": lambda text: (
        hashlib.md5(f"tenant:{text}".encode(), usedforsecurity=False).hexdigest().encode()
    ),
    "a hash in base64": lambda text: base64.b64encode(hashlib.sha512(text.encode()).digest()),
    "a hash in a name": lambda text: b"t-" + base64.b32encode(hashlib.sha256(text.encode()).digest())[:16].lower(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("canary", ["tenant", "email", "key"])
def test_the_search_finds_what_is_there(haystacks: dict[str, bytes], form: str, canary: str) -> None:
    """A control: the same search over the same bytes with one canary put into one entry."""
    entry = haystacks["log"].splitlines()[0]
    planted = {"log": entry[:-1] + b'"' + FORMS[form](CANARIES[canary]) + b'"}'}
    assert found({canary: CANARIES[canary]}, {"log": entry}, PREFIXES) == set()
    assert any(hit.startswith(f"{canary} in log") for hit in found({canary: CANARIES[canary]}, planted, PREFIXES))
