"""Statutory floors: who is bound, how long, from which year's end, and on which days of evaluation the text holds."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field, model_validator

from lifecycle.core.inventory import DocumentKind
from lifecycle.core.period import Period
from lifecycle.core.value import Fault, Identifier, Line, Text, Value, refuse

Holder = Literal["processor", "controller"]
Industry = Literal["bank", "insurer", "investment-firm"]

_CITATION = "The provision, for example § 147(3) AO."
_NOTE = "A remark for readers; nothing is decided by it."


class StatutoryFloor(Value):
    """One retention duty. It binds on a day of evaluation within [valid_from, valid_until], both inclusive.

    `starts`: the calendar year's end after the record's start time, or the start time itself.
    `tax_final_through`: the period runs on while the document matters for an open assessment (§ 147(3) AO).
    """

    id: Identifier = Field(description="Name of the duty.")
    citation: Line = Field(description=_CITATION)
    kinds: tuple[DocumentKind, ...] = Field(min_length=1, description="Kinds of records it keeps.")
    period: Period = Field(description="How long.")
    starts: Literal["year-end", "day"] = Field(
        default="year-end", description="From the end of the start's calendar year, or from the start's own day."
    )
    of: Line = Field(description="Which event starts it, in words, for example the issue of the invoice.")
    holders: tuple[Holder, ...] = Field(
        default=("processor", "controller"), min_length=1, description="Who can be bound by it."
    )
    valid_from: date | None = Field(default=None, description="First day of evaluation on which the text holds.")
    valid_until: date | None = Field(default=None, description="Last day of evaluation on which the text holds.")
    runs_on_while_tax_open: bool = Field(
        default=False, description="Whether it runs on while the record matters for an open assessment (§ 147(3) AO)."
    )
    except_for: tuple[Industry, ...] = Field(default=(), description="Industries that it does not bind.")
    only_for: tuple[Industry, ...] = Field(default=(), description="Industries that alone it binds.")
    note: Text | None = Field(default=None, description=_NOTE)

    @model_validator(mode="after")
    def _possible(self) -> StatutoryFloor:
        if self.valid_from and self.valid_until and self.valid_until < self.valid_from:
            refuse(Fault(("valid_until",), "the validity ends before it begins", "correct valid_from or valid_until"))
        if self.except_for and self.only_for:
            refuse(Fault(("only_for",), "a duty has exceptions or addressees, not both", "keep except_for or only_for"))
        return self


class RetrievalFloor(Value):
    """A right to retrieve data after the contract's end (Data Act): a floor of the tenant's own content."""

    id: Identifier = Field(description="Name of the right.")
    citation: Line = Field(description=_CITATION)
    period: Period = Field(description="How long the data stays retrievable.")
    valid_from: date = Field(description="First day of evaluation on which the text holds.")
    waivable: bool = Field(default=True, description="Whether the customer may waive it.")
    note: Text | None = Field(default=None, description=_NOTE)


class OwnRecords(Value):
    """Records of the processor itself: evidence, registers, agreements. They have their own period."""

    id: Identifier = Field(description="Name of the duty or limitation.")
    citation: Line = Field(description=_CITATION)
    records: tuple[Literal["technical-evidence", "agreement", "instruction", "notice", "certificate"], ...] = Field(
        min_length=1, description="Which of the processor's own records."
    )
    period: Period = Field(description="How long.")
    starts: Literal["year-end"] = Field(
        default="year-end", description="From the end of the calendar year of the event."
    )
    of: Line = Field(description="Which event starts it, in words.")
    note: Text | None = Field(default=None, description=_NOTE)


class Statutes(Value):
    """One body of law: `de` or `eu`."""

    lifecycle: Literal["statutes/v1"] = Field(description="Kind and version of this document.")
    id: Identifier = Field(description="Name of the body of law.")
    floors: tuple[StatutoryFloor, ...] = Field(default=(), description="Retention duties.")
    retrieval: tuple[RetrievalFloor, ...] = Field(
        default=(), description="Rights to retrieve data after the contract's end."
    )
    own_records: tuple[OwnRecords, ...] = Field(default=(), description="Periods of the processor's own records.")
