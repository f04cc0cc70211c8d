"""The documents' models: closed, frozen, strict; what they refuse by themselves, in code as in YAML."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from lifecycle.core import errors
from lifecycle.core.agreement import (
    Agreement,
    BackupPromise,
    ByParameter,
    ByReading,
    Choice,
    DataAct,
    EventStart,
    Precedence,
    Proof,
    Rule,
    Subprocessor,
    Term,
)
from lifecycle.core.hold import Hold
from lifecycle.core.hours import Hours
from lifecycle.core.instruction import Instruction
from lifecycle.core.inventory import (
    Cascade,
    Dataset,
    Hop,
    Inventory,
    NotPersonal,
    Place,
    Reference,
    Secret,
    StatutoryRecord,
    StoreEntry,
    Tenancy,
    TimeColumn,
    Trigger,
)
from lifecycle.core.operator import OperatorDocument, OperatorKey, OperatorsFile, Readings
from lifecycle.core.period import Period
from lifecycle.core.statute import StatutoryFloor
from lifecycle.core.tenant import Tenant, Tenants, TenantSource
from lifecycle.core.value import FAULTS, Fault, refuse

DAY = date(2026, 1, 1)
P30D = Period(days=30)


def faults(make: Any, **values: Any) -> list[tuple[str | int, ...]]:
    """Return the paths of the faults that a model finds in these values."""
    with pytest.raises(ValidationError) as caught:
        make(**values)
    found = [error for error in caught.value.errors() if error["type"] == FAULTS]
    assert found
    return [fault.path for error in found for fault in error["ctx"]["faults"]]


def rule(**values: Any) -> Rule:
    return Rule(**{"id": "r", "clause": "5", "category": ("logs",), "start": "collection", "gone_by": P30D, **values})


def dataset(**values: Any) -> Dataset:
    base = {
        "id": "log",
        "store": "db",
        "table": "log",
        "category": "logs",
        "key": ("id",),
        "tenant": Tenancy(by="none"),
    }
    return Dataset(**{**base, **values})


def inventory(**values: Any) -> Inventory:
    store = StoreEntry(id="db", kind="sql", address=Secret(env="X"), place=Place(country="DE"))
    base = {"lifecycle": "inventory/v1", "id": "map", "stores": (store,), "datasets": (dataset(),)}
    return Inventory(**{**base, **values})


def agreement(**values: Any) -> Agreement:
    base = {
        "lifecycle": "agreement/v1",
        "id": "a",
        "version": "1",
        "title": "A",
        "precedence": Precedence(order="unknown"),
        "zone": "Europe/Berlin",
        "choice": Choice(),
        "proof": Proof(title="Löschnachweis"),
        "backups": BackupPromise(delay_agreed=False),
        "on_doubt": "inform",
    }
    return Agreement(**{**base, **values})


def test_several_faults_of_a_model_travel_together():
    """A model says all that it finds, each with its path, what and what to do."""
    with pytest.raises(ValueError, match=r"a; b\. c; d"):
        refuse(Fault((), "a", "b"), Fault(("x", 1), "c", "d"))


@pytest.mark.parametrize(
    ("values", "paths"),
    [
        ({"clause": None}, [()]),
        ({"own": "Because"}, [()]),
        ({"gone_by": None}, [()]),
        ({"category": ()}, [("category",)]),
        ({"action": "anonymise"}, [("action",)]),
        ({"clause": None, "gone_by": None, "category": ()}, [(), (), ("category",)]),
    ],
)
def test_a_rule_rests_on_a_clause_and_has_a_period(values: dict[str, Any], paths: list[tuple[str | int, ...]]):
    """A rule without clause or reason, period, category, or grant to anonymise is refused."""
    assert faults(rule, **values) == paths


def test_a_rule_may_be_the_operators_own_and_may_anonymise_where_a_clause_grants_it():
    """`own` stands in place of a clause, `category: all` in place of a list."""
    assert rule(clause=None, own="Storage limitation", category="all").clause is None
    assert rule(action="anonymise", anonymise_clause="3.5").action == "anonymise"


def test_a_term_is_a_period_a_parameter_or_a_reading():
    """The three kinds are told apart by their shape, in code and in documents."""
    term: TypeAdapter[Any] = TypeAdapter(Term)
    parameter = ByParameter(parameter="p", plus=ByReading(operator="without_delay"))
    for value in (P30D, parameter, ByReading(operator="without_delay")):
        assert term.validate_python(value) == value
        assert term.validate_json(term.dump_json(value)) == value
    assert term.validate_python("P30D") == P30D


def test_a_start_is_a_name_or_an_event():
    """An event is named by the agreement, and mapped to a column by the inventory."""
    assert rule(start=EventStart(event="booking-end")).start == EventStart(event="booking-end")
    assert Rule.model_validate_json(rule().model_dump_json()).start == "collection"


def test_an_agreement_finds_its_rules_by_id():
    """An unknown id is a KeyError, never another rule."""
    made = agreement(rules=(rule(),))
    assert made.rule("r").clause == "5"
    with pytest.raises(KeyError):
        made.rule("x")


@pytest.mark.parametrize(
    ("make", "values", "paths"),
    [
        (DataAct, {"applies": False}, [("applies",)]),
        (Precedence, {"order": ()}, [("order",)]),
        (Precedence, {"order": ("standard", "standard")}, [("order",)]),
        (BackupPromise, {"delay_agreed": True}, [("delay_agreed",)]),
        (Subprocessor, {"id": "a", "name": "A", "purpose": "B", "country": "US"}, [("country",)]),
        (Secret, {}, [()]),
        (Secret, {"env": "A", "file": "b"}, [()]),
        (Place, {"country": "US"}, [("country",)]),
        (Place, {"country": "US", "third_country": True}, [("third_country",)]),
        (Tenancy, {"by": "column"}, [()]),
        (Tenancy, {"by": "path", "column": "t"}, [("by",)]),
        (Tenancy, {"by": "none", "path": (Hop(column="a", table="b", key="c"),)}, [("by",)]),
        (Tenancy, {"by": "prefix"}, [("by",)]),
        (Tenancy, {"by": "table", "pattern": "x"}, [("by",)]),
        (Tenancy, {"by": "table", "pattern": "{tenant}_{tenant}"}, [("pattern",)]),
        (Tenancy, {"by": "schema", "pattern": "{tenant}", "column": "firm"}, [("column",)]),
        (TimeColumn, {"column": "a", "encoding": "local"}, [("encoding",)]),
        (Trigger, {"name": "t", "effect": "writes"}, [("effect",)]),
        (Trigger, {"name": "t", "effect": "none", "dataset": "d"}, [("effect",)]),
        (NotPersonal, {"store": "db", "table": "*", "why": "x"}, [("table",)]),
        (NotPersonal, {"store": "db", "table": "a*b", "why": "x"}, [("table",)]),
        (TenantSource, {"store": "db", "table": "t", "id_column": "id"}, [()]),
        (Tenants, {"lifecycle": "tenants/v1"}, [()]),
    ],
)
def test_incomplete_or_contradicting_values_are_refused(make: Any, values: dict[str, Any], paths: list[Any]):
    """Each value checks itself, whoever makes it."""
    assert faults(make, **values) == paths


def test_a_family_by_schema_is_named_by_its_pattern_alone():
    """A schema beside the pattern would say something else; the table's own name is every member's."""
    tenancy = Tenancy(by="schema", pattern="log_{tenant}")
    assert faults(dataset, schema="here", tenant=tenancy) == [("schema",)]
    assert dataset(tenant=tenancy).table == "log"


def test_the_complete_ones_are_accepted():
    """What each of them needs, it accepts."""
    assert not DataAct(applies=False, reason="Not a data processing service").applies
    assert BackupPromise(delay_agreed=True, clause="3.4").delay_agreed
    assert Place(country="US", third_country=True, safeguard="SCC").third_country
    assert Subprocessor(id="a", name="A", purpose="B", country="EU").country == "EU"
    assert Tenancy(by="schema", pattern="c_{tenant}").pattern == "c_{tenant}"
    assert TimeColumn(column="a", encoding="local", zone="UTC").not_before == date(1971, 1, 1)
    assert Trigger(name="t", effect="writes", dataset="d").dataset == "d"
    assert NotPersonal(store="db", table="a_*", why="x").table == "a_*"
    assert TenantSource(store="db", table="t", id_column="id", agreement="a").agreement == "a"


def test_an_inventory_finds_its_entries():
    """By id, and by store in the document's order."""
    made = inventory()
    assert made.dataset("log").table == "log"
    assert made.store("db").kind == "sql"
    assert made.in_store("db") == made.datasets
    assert made.in_store("other") == ()
    with pytest.raises(KeyError):
        made.dataset("x")
    with pytest.raises(KeyError):
        made.store("x")


@pytest.mark.parametrize(
    ("values", "paths"),
    [
        ({"datasets": (dataset(), dataset())}, [("datasets", 1, "id")]),
        ({"datasets": (dataset(store="x"),)}, [("datasets", 0, "store")]),
        (
            {"datasets": (dataset(cascades=(Cascade(dataset="x", column="c", effect="delete"),)),)},
            [("datasets", 0, "cascades", 0, "dataset")],
        ),
        (
            {"datasets": (dataset(references=(Reference(column="c", store="x", key_template="{value}"),)),)},
            [("datasets", 0, "references", 0, "store")],
        ),
        (
            {
                "datasets": (
                    dataset(
                        triggers=(Trigger(name="n", effect="none"), Trigger(name="t", effect="writes", dataset="x"))
                    ),
                )
            },
            [("datasets", 0, "triggers", 1, "dataset")],
        ),
        ({"not_personal": (NotPersonal(store="x", table="t", why="w"),)}, [("not_personal", 0, "store")]),
    ],
)
def test_an_inventory_names_only_what_it_declares(values: dict[str, Any], paths: list[Any]):
    """Stores and datasets are declared once, and every reference has a target."""
    assert faults(inventory, **values) == paths


def test_a_dataset_names_its_statutory_start_and_each_key_column_once():
    """A floor that starts from nowhere keeps nothing: refused."""
    record = StatutoryRecord(kind="invoice", holder="processor", start="issued")
    assert faults(dataset, statutory=(record,), key=("id", "id")) == [("statutory", 0, "start"), ("key",)]
    times = {"issued": TimeColumn(column="i", encoding="date")}
    assert dataset(statutory=(record,), times=times).statutory == (record,)


def floor(**values: Any) -> StatutoryFloor:
    base = {"id": "f", "citation": "§ 1", "kinds": ("invoice",), "period": P30D, "of": "issue"}
    return StatutoryFloor(**{**base, **values})


def test_a_floor_has_one_validity_and_one_circle_of_addressees():
    """It does not end before it begins, and has exceptions or addressees."""
    assert floor(valid_from=DAY, valid_until=DAY).holders == ("processor", "controller")
    assert faults(floor, valid_from=DAY, valid_until=DAY - timedelta(days=1)) == [("valid_until",)]
    assert faults(floor, except_for=("bank",), only_for=("insurer",)) == [("only_for",)]


def readings(**values: Any) -> Readings:
    fourteen = Period(days=14)
    base = dict.fromkeys(
        (
            "without_delay",
            "forward_request",
            "unlawful_notice",
            "delivery_inspection",
            "choice_request",
            "choice_ceiling",
        ),
        fourteen,
    )
    return Readings(**{**base, **values})


def test_readings_stay_within_what_law_allows():
    """Without delay is at most 30 days; a request for the choice at least 14; a breach is told in hours."""
    assert readings().of("without_delay") == Period(days=14)
    assert readings().breach_notice == Hours(24)
    assert faults(readings, without_delay=Period(days=31), choice_request=Period(days=13)) == [
        ("without_delay",),
        ("choice_request",),
    ]


def test_an_operator_document_is_reviewed_after_its_approval():
    """The review lies ahead."""
    base = {
        "lifecycle": "operator/v1",
        "firm": "F",
        "address": "A",
        "dpo_office": "O",
        "federal_state": "BE",
        "readings": readings(),
        "approved_on": DAY,
    }
    assert OperatorDocument(**base, review_by=date(2027, 1, 1)).industry == "other"
    assert faults(OperatorDocument, **base, review_by=DAY) == [("review_by",)]


def test_each_operator_has_a_key_of_its_own():
    """Two operators with one key would sign twice with one hand."""
    first = OperatorKey(id="a", public_key="A" * 43 + "=", added_on=DAY)
    other = OperatorKey(id="b", public_key="A" * 43 + "=", added_on=DAY)
    assert OperatorsFile(lifecycle="operators/v1", operators=(first,)).operators == (first,)
    assert faults(OperatorsFile, lifecycle="operators/v1", operators=(first, other)) == [("operators", 1, "public_key")]
    twice = (first, first)
    assert faults(OperatorsFile, lifecycle="operators/v1", operators=twice) == [
        ("operators", 1, "id"),
        ("operators", 1, "public_key"),
    ]


@pytest.mark.parametrize(
    "name", ["*", "%", "0", "_", "?", " a", "a ", "a\u202eb", "a\u200bb", "\ufeffa", "a\u2028b", "a\x85b"]
)
def test_a_tenant_id_names_exactly_one_tenant(name: str):
    """Wildcards, padding and characters that nobody sees are refused."""
    assert set(faults(Tenant, id=name, agreement="a")) == {("id",)}


def test_a_tenants_days_are_in_order():
    """A contract ends after it starts; a day of choice has a choice."""
    assert Tenant(id="1", agreement="a", contract_start=DAY, contract_end=DAY).state == "active"
    assert faults(Tenant, id="1", agreement="a", contract_start=DAY, contract_end=date(2025, 1, 1)) == [
        ("contract_end",)
    ]
    assert faults(Tenant, id="1", agreement="a", choice_on=DAY) == [("choice_on",)]
    assert Tenant(id="1", agreement="a", choice="return", choice_on=DAY).choice == "return"


def test_a_register_declares_each_tenant_once():
    """Ids are compared byte for byte: another case is another tenant."""
    one, same, other = (Tenant(id=name, agreement="a") for name in ("x", "x", "X"))
    assert len(Tenants(lifecycle="tenants/v1", tenants=(one, other)).tenants) == 2
    assert faults(Tenants, lifecycle="tenants/v1", tenants=(one, same)) == [("tenants", 1, "id")]


def hold(**values: Any) -> Hold:
    base = {"id": "h", "tenant": "1", "basis": "legal-order", "reason": "Order", "set_on": DAY, "set_by": "ops"}
    return Hold(**{**base, **values})


def test_a_hold_is_released_by_someone_on_a_day():
    """A release has a day and an operator, and comes after the hold."""
    assert hold().released_on is None
    assert hold(released_on=DAY, released_by="ops").released_by == "ops"
    assert faults(hold, released_on=DAY) == [()]
    assert faults(hold, released_by="ops") == [()]
    assert faults(hold, released_on=date(2025, 1, 1), released_by="ops") == [("released_on",)]


def instruction(**values: Any) -> Instruction:
    base = {
        "id": "i",
        "tenant": "1",
        "kind": "delete-earlier",
        "given_by": "lead",
        "channel": "oral",
        "received_on": DAY,
        "state": "oral-unconfirmed",
        "recorded_by": "ops",
    }
    return Instruction(**{**base, **values})


@pytest.mark.parametrize("kind", ["delete-earlier", "release-hold", "set-parameter", "choice", "return", "other"])
@pytest.mark.parametrize("state", ["accepted", "executed"])
def test_an_oral_instruction_never_deletes(kind: str, state: str):
    """Until it is confirmed in text form it may stop or restrict only."""
    assert faults(instruction, kind=kind, state=state) == [("state",)]


@pytest.mark.parametrize(
    "values",
    [
        {"state": "oral-unconfirmed"},
        {"state": "confirmed"},
        {"kind": "hold", "state": "executed"},
        {"kind": "restrict", "state": "accepted"},
        {"channel": "text", "state": "executed"},
    ],
)
def test_what_an_oral_or_written_instruction_may_do(values: dict[str, str]):
    """It stops and restricts at once, and does the rest once confirmed."""
    assert instruction(**values).id == "i"


def test_hours_are_no_period():
    """Breach clocks are hours: whole, positive, exact; a calendar period is not read as one."""
    assert Hours.parse("PT72H") == Hours(72)
    assert str(Hours(24)) == "PT24H"
    assert Hours(24).length() == timedelta(hours=24)
    assert Hours(24) < Hours(72)
    adapter: TypeAdapter[Hours] = TypeAdapter(Hours)
    assert adapter.validate_python(Hours(1)) == Hours(1)
    assert adapter.validate_json('"PT1H"') == Hours(1)
    assert adapter.dump_json(Hours(1)) == b'"PT1H"'
    assert adapter.json_schema()["examples"] == ["PT24H", "PT72H"]
    for text in ("P1D", "PT0H", "PT1M", "PT1000H", "24", "PT٢H", "PT24H "):
        with pytest.raises(ValueError, match="not a number of hours"):
            Hours.parse(text)


def test_values_are_frozen_closed_and_strict():
    """Nobody changes a value, adds a field to it, or has a number read as a text."""
    made = rule()
    with pytest.raises(ValidationError):
        made.id = "x"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        rule(colour="red")
    with pytest.raises(ValidationError, match="valid string"):
        rule(id=1)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.LifecycleError("x"), 1),
        (errors.InvalidDocument("x"), 2),
        (errors.Refused("x", guard="g"), 4),
        (errors.Transient("x"), 1),
        (errors.Unknown("x"), 3),
        (errors.Corrupt("x"), 1),
        (errors.CeilingBreached("x"), 5),
    ],
)
def test_each_error_has_an_exit_code_and_advice(error: errors.LifecycleError, code: int):
    """Errors speak to the person on call."""
    assert error.exit_code == code
    assert error.advice().endswith(".")
    assert str(error) == error.message == "x"


def test_an_errors_own_advice_comes_before_its_class():
    """Where the caller knows better than the class, it says so; problems come in the order of their positions."""
    assert errors.Refused("x", guard="fence", advice="Wait.").advice() == "Wait."
    assert errors.Refused("x", guard="fence").guard == "fence"
    later, earlier = errors.Problem("f", 2, 1, "w", "f"), errors.Problem("f", 1, 9, "w", "f")
    assert errors.InvalidDocument("x", problems=(later, earlier)).problems == (earlier, later)
    assert str(earlier) == "f:1:9: w; f"
