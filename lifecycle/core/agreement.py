"""The agreement (AVV): categories, parameters, rules, windows, each with its clause.

Every figure has one of four labels: clause (stands in the text), controller (set by the tenant through a parameter),
statute, or operator's reading (the text names no number). `explain` and certificates show the label.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from lifecycle.core.period import Period
from lifecycle.core.places import place_faults
from lifecycle.core.promise import Clause, Promises
from lifecycle.core.terms import ByParameter, ByReading, EventStart, ReadingName, Start, Term
from lifecycle.core.value import Fault, Identifier, Line, Text, Value, refuse

__all__ = [
    "Agreement",
    "BackupPromise",
    "ByParameter",
    "ByReading",
    "Category",
    "Choice",
    "Clause",
    "DataAct",
    "EventStart",
    "ExportWindow",
    "Layer",
    "Parameter",
    "Precedence",
    "Promises",
    "Proof",
    "ReadingName",
    "Rule",
    "Start",
    "Subprocessor",
    "Term",
]

Layer = Literal["individual", "standard", "service-agreement", "toms", "specification"]

_CLAUSE = "Clause numbers of the agreement, as printed, separated by commas. No sentence of the agreement."
_NOTE = "A remark for readers; nothing is decided by it."
_STATUTE = "The statute that the point rests on where no clause speaks of it."


class Parameter(Value):
    """A figure that the controller sets per tenant; required ones have no default. Bounds are inclusive."""

    type: Literal["period"] = Field(default="period", description="What kind of figure it is.")
    required: bool = Field(default=True, description="Whether a tenant without it is refused.")
    set_by: Literal["controller"] = Field(default="controller", description="Who sets it.")
    clause: Clause = Field(description=_CLAUSE)
    at_least: Period | None = Field(default=None, description="The shortest period allowed, inclusive.")
    at_most: Period | None = Field(default=None, description="The longest period allowed, inclusive.")


class Choice(Value):
    """Delete or return (Art. 28(3)(g)): asked at the confirmation of termination; silence means `default`, if any."""

    ask: bool = Field(default=True, description="Whether the controller is asked when termination is confirmed.")
    default: Literal["delete"] | None = Field(
        default=None,
        description="What silence means by the agreement. Leave out if it says nothing: a choice is awaited.",
    )
    clause: Clause | None = Field(default=None, description=_CLAUSE)
    statute: Line | None = Field(default=None, description=_STATUTE)
    note: Text | None = Field(default=None, description=_NOTE)


class Rule(Value):
    """Start time + period + action (Löschregel), with its clause, or marked as the operator's own.

    `keep` is a floor, `gone_by` a ceiling; at least one stands. With `keep` the datum is due as soon as the floor
    ends; with a ceiling alone it is due a margin before the ceiling (I15).
    """

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                {"oneOf": [{"required": ["clause"]}, {"required": ["own"]}]},
                {"anyOf": [{"required": ["keep"]}, {"required": ["gone_by"]}]},
                {"anyOf": [{"required": ["anonymise_clause"]}, {"properties": {"action": {"enum": ["delete"]}}}]},
            ]
        }
    )

    id: Identifier = Field(description="Name of the rule; it appears in plans, metrics and certificates.")
    clause: Clause | None = Field(default=None, description=_CLAUSE + " Exactly one of clause and own.")
    own: Text | None = Field(default=None, description="Why the operator sets this rule where no clause does.")
    category: tuple[Identifier, ...] | Literal["all"] = Field(
        description="Which categories: a list of their names, or all. `all` means every category of this agreement."
    )
    start: Start = Field(
        description="From when the period counts: collection, contract-end, window-end, or {event: NAME}."
    )
    keep: Term | None = Field(
        default=None, description="Floor: the datum still exists through the last day of this period."
    )
    gone_by: Term | None = Field(
        default=None, description="Ceiling: the datum is gone before the day that this period leads to begins."
    )
    action: Literal["delete", "anonymise"] = Field(default="delete", description="What is done when the datum is due.")
    anonymise_clause: Clause | None = Field(
        default=None, description="The clause that grants anonymising in place of deleting."
    )
    note: Text | None = Field(default=None, description=_NOTE)

    @model_validator(mode="after")
    def _complete(self) -> Rule:
        faults: list[Fault] = []
        if (self.clause is None) == (self.own is None):
            faults.append(
                Fault(
                    (),
                    "a rule rests on a clause or on the operator's own reason",
                    "write exactly one of clause and own",
                )
            )
        if self.keep is None and self.gone_by is None:
            faults.append(Fault((), "a rule without a period deletes nothing", "write keep, gone_by or both"))
        if self.category == ():
            faults.append(Fault(("category",), "an empty list selects nothing", "name categories, or write all"))
        if self.action == "anonymise" and self.anonymise_clause is None:
            faults.append(
                Fault(
                    ("action",),
                    "anonymise needs the clause that grants it",
                    "write anonymise_clause, or action: delete",
                )
            )
        if faults:
            refuse(*faults)
        return self


class ExportWindow(Value):
    """The pick-up period after the contract's end: a floor for everything that is to be returned."""

    id: Identifier = Field(description="Name of the window.")
    clause: Clause = Field(description=_CLAUSE)
    keep: Period = Field(description="How long after the contract's end the data stays there to be picked up.")
    waivable: Literal["instruction"] = Field(
        default="instruction", description="A documented instruction of the controller ends the window earlier."
    )
    licence: Line | None = Field(
        default=None, description="Licence that self-service export needs. It decides the offer, never the floor."
    )
    formats: tuple[Literal["csv", "jsonl", "xlsx", "api"], ...] = Field(
        default=(), description="Formats that the agreement names."
    )
    during_contract: bool = Field(default=False, description="Whether export is also promised during the contract.")
    complete_export: Literal["on-instruction-paid"] | None = Field(
        default=None, description="Whether a manual complete export can be ordered."
    )
    note: Text | None = Field(default=None, description=_NOTE)


class DataAct(Value):
    """Whether Art. 25(2)(g) Reg. 2023/2854 applies: at least 30 days of retrieval; off only with a reason."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["reason"]}, {"properties": {"applies": {"enum": [True]}}}]}
    )

    applies: bool = Field(default=True, description="Whether the retrieval floor of the Data Act applies.")
    reason: Text | None = Field(default=None, description="Why it is switched off; required then.")

    @model_validator(mode="after")
    def _reason(self) -> DataAct:
        if not self.applies and self.reason is None:
            refuse(
                Fault(("applies",), "the Data Act floor is switched off without a reason", "write the recorded reason")
            )
        return self


class Precedence(Value):
    """The agreement's own order of layers, first wins; `unknown` makes a real conflict a refusal."""

    order: tuple[Layer, ...] | Literal["unknown"] = Field(
        description="Layers, the first one wins; or unknown, which refuses a real conflict in place of guessing."
    )
    source: Clause | None = Field(default=None, description="The clause that gives the order.")
    individual: Literal["amends", "replaces"] | None = Field(
        default=None, description="Whether an individual agreement amends this one or takes its place."
    )
    note: Text | None = Field(default=None, description=_NOTE)

    @model_validator(mode="after")
    def _ordered(self) -> Precedence:
        if self.order == ():
            refuse(Fault(("order",), "an empty order ranks nothing", "list the layers, first wins, or write unknown"))
        if self.order != "unknown" and len(set(self.order)) != len(self.order):
            refuse(Fault(("order",), "a layer stands twice in the order", "name each layer once"))
        return self


class Proof(Value):
    """What the certificate is called, and whether it is owed only on request."""

    title: Literal["Löschbestätigung", "Lösch-/Vernichtungsnachweis", "Löschnachweis"] = Field(
        description="Title of the certificate."
    )
    on_request: bool = Field(default=True, description="Whether the proof is owed only on request.")
    clause: Clause | None = Field(default=None, description=_CLAUSE)
    statute: Line | None = Field(default=None, description=_STATUTE)


class BackupPromise(Value):
    """Whether a delay by the backup cycle is agreed; elsewhere `validate` warns."""

    delay_agreed: bool = Field(
        description="Whether the agreement lets deleted data leave the backups with their cycle."
    )
    clause: Clause | None = Field(default=None, description=_CLAUSE)
    rhythm: Literal["daily", "rolling", "unspecified"] = Field(
        default="unspecified", description="Rhythm that is agreed."
    )
    exercises: bool = Field(
        default=False, description="Whether restore exercises are agreed; their copies are registered."
    )
    note: Text | None = Field(default=None, description=_NOTE)

    @model_validator(mode="after")
    def _agreed_where(self) -> BackupPromise:
        if self.delay_agreed and self.clause is None:
            refuse(
                Fault(
                    ("delay_agreed",), "an agreed delay stands in a clause", "write the clause, or delay_agreed: false"
                )
            )
        return self


class Subprocessor(Value):
    """An approved sub-processor: name, purpose, place, safeguard."""

    id: Identifier = Field(description="Name that the inventory's stores refer to.")
    name: Line = Field(description="Firm.")
    purpose: Line = Field(description="What it is used for.")
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$|^EU$")] = Field(
        description="ISO 3166 country of the processing, or EU."
    )
    region: Line | None = Field(default=None, description="Region within the country.")
    third_country: bool = Field(default=False, description="Whether data reaches a country outside the EEA.")
    safeguard: Line | None = Field(default=None, description="Safeguard for the third country (Art. 44 ff. GDPR).")
    role: Literal["subprocessor", "own-controller"] = Field(
        default="subprocessor", description="Own controllers are named on certificates as recipients out of scope."
    )
    assumed: bool = Field(
        default=False, description="True when the annex that would name it, or its place, is not at hand."
    )
    clause: Clause | None = Field(default=None, description=_CLAUSE)

    @model_validator(mode="after")
    def _lawful_place(self) -> Subprocessor:
        if faults := place_faults(self.country, third_country=self.third_country, safeguard=self.safeguard):
            refuse(*faults)
        return self


class Category(Value):
    """Data objects with one purpose. `assumed`: the annex that would name it is not in the text."""

    id: Identifier = Field(description="Name that rules and datasets refer to.")
    name: Line = Field(description="What the agreement, or the operator, calls it.")
    clause: Clause | None = Field(default=None, description=_CLAUSE)
    assumed: bool = Field(default=False, description="True when the annex that would name it is not at hand.")
    special: Line | None = Field(
        default=None, description="Reference of the separate agreement that allows Art. 9 data in this category."
    )


class Agreement(Value):
    """One data-processing agreement, or one individual layer of it (`amends`)."""

    lifecycle: Literal["agreement/v1"] = Field(description="Kind and version of this document.")
    id: Identifier = Field(description="Name of the agreement; tenants refer to it.")
    version: Line = Field(description="Version of the text, in quotes. Several may be in force at once.")
    title: Line = Field(description="Title for readers.")
    layer: Layer = Field(default="standard", description="Where this document stands in the order of precedence.")
    amends: Identifier | None = Field(
        default=None, description="The agreement that an individual one amends or replaces."
    )
    precedence: Precedence = Field(description="The agreement's own order of precedence.")
    zone: Line = Field(description="IANA time zone in which its days are counted, for example Europe/Berlin.")
    categories: tuple[Category, ...] = Field(default=(), description="Kinds of data.")
    parameters: dict[Identifier, Parameter] = Field(
        default_factory=dict, description="Figures that the controller sets per tenant."
    )
    rules: tuple[Rule, ...] = Field(default=(), description="Deletion rules.")
    windows: tuple[ExportWindow, ...] = Field(default=(), description="Pick-up periods after the contract's end.")
    choice: Choice = Field(description="Delete or return at the end (Art. 28(3)(g) GDPR).")
    data_act: DataAct = Field(default=DataAct(), description="Retrieval floor of the Data Act: on unless switched off.")
    proof: Proof = Field(description="The certificate.")
    backups: BackupPromise = Field(description="What is agreed about backups.")
    on_doubt: Literal["inform", "suspend"] = Field(
        description="What happens to an instruction that seems unlawful. Irreversible steps wait in both cases."
    )
    on_doubt_clause: Clause | None = Field(default=None, description=_CLAUSE)
    on_doubt_statute: Line | None = Field(default=None, description=_STATUTE)
    subprocessors: tuple[Subprocessor, ...] = Field(default=(), description="Approved sub-processors and recipients.")
    promises: Promises = Field(
        default=Promises(), description="Everything promised beside rules, windows and proof, clause by clause."
    )

    def rule(self, name: str) -> Rule:
        """Return the rule of that id; KeyError when there is none."""
        return {rule.id: rule for rule in self.rules}[name]
