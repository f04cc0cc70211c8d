"""What an agreement promises beside its deletion rules: notices, audits, instructions, places, persons, copies.

Closed sections, each with its clause. A figure that no clause names stands in none of them: it is a reading of the
operator (`lifecycle.core.operator`) or a statute.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from lifecycle.core.hours import Hours
from lifecycle.core.period import Period
from lifecycle.core.value import Identifier, Line, Text, Value

Clause = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[0-9A-Za-zÄÖÜäöüß§().,;/ \-–]+$")]
"""Clause numbers as the agreement prints them, several separated by commas: `§ 10(1)`, `5.7, Anhang 1 Nr. 6`."""

_CLAUSE = "Clause numbers of the agreement, as printed, separated by commas. No sentence of the agreement."
_NOTE = "A remark for readers; nothing is decided by it."


class Ending(Value):
    """When the processing itself ends (Art. 28(3)), and whether a follow-up is agreed."""

    with_: Literal["main-contract", "complete-deletion"] = Field(
        alias="with", description="What ends the processing: the main contract, or the complete deletion after it."
    )
    follow_up: bool = Field(default=False, description="Whether a follow-up for export and deletion is agreed.")
    clause: Clause = Field(description=_CLAUSE)
    note: Text | None = Field(default=None, description=_NOTE)


class BreachNotice(Value):
    """Telling the controller of a breach (Art. 33(2) GDPR). Hours run through weekends."""

    without_delay: bool = Field(default=True, description="Whether the clause says without (undue) delay.")
    at_most: Hours | None = Field(
        default=None, description="The most hours that the clause names, for example PT24H. Leave out if it names none."
    )
    contents: tuple[Literal["nature", "categories", "number", "consequences", "measures", "art-33-3"], ...] = Field(
        default=(), description="What the notice contains at least."
    )
    clause: Clause = Field(description=_CLAUSE)
    note: Text | None = Field(default=None, description=_NOTE)


class Objection(Value):
    """The controller's objection to a change of sub-processors."""

    within: Period | None = Field(
        default=None, description="The period to object in. Leave out if the clause names none."
    )
    reason: Literal["none-needed", "reasoned", "important-data-protection-reason"] = Field(
        description="Which reason the objection needs."
    )
    silence: Literal["approval", "unspecified"] = Field(
        default="unspecified", description="What the clause makes of silence."
    )
    special_termination: bool = Field(
        default=False, description="Whether the controller may terminate when no solution is found."
    )
    clause: Clause = Field(description=_CLAUSE)


class SubprocessorChange(Value):
    """How a new or replaced sub-processor is announced or consented to."""

    needs: Literal["notice", "written-consent"] = Field(description="A notice ahead, or prior written consent.")
    ahead: Period | None = Field(
        default=None, description="How long ahead at least. Leave out if the clause names no number."
    )
    form: Literal["text", "written", "unspecified"] = Field(default="unspecified", description="Form of the notice.")
    objection: Objection | None = Field(default=None, description="The controller's right to object.")
    clause: Clause = Field(description=_CLAUSE)
    note: Text | None = Field(default=None, description=_NOTE)


class PlainNotice(Value):
    """A notice that the clause asks for, with no number of days."""

    when: Literal["without-delay", "ahead", "suitably", "by-agreement"] = Field(description="When the notice is given.")
    form: Literal["text", "written", "unspecified"] = Field(default="unspecified", description="Form of the notice.")
    clause: Clause = Field(description=_CLAUSE)
    note: Text | None = Field(default=None, description=_NOTE)


class Notices(Value):
    """What the processor tells the controller, and when."""

    breach: BreachNotice = Field(description="Breaches of personal data (Art. 33(2) GDPR).")
    violation: PlainNotice | None = Field(
        default=None, description="Violations of law, agreement or instruction, where the agreement wants them told."
    )
    deviation_by_law: PlainNotice | None = Field(
        default=None, description="The ground, when a law keeps the processor from following an instruction."
    )
    subprocessor_change: SubprocessorChange = Field(description="New or replaced sub-processors.")
    measures_change: PlainNotice | None = Field(
        default=None, description="Important changes of the technical and organisational measures."
    )


class OnSite(Value):
    """Inspections on the processor's premises."""

    notice: Period | None = Field(default=None, description="Calendar notice at least, for example P14D.")
    notice_workdays: Annotated[int, Field(ge=1, le=60)] | None = Field(
        default=None,
        description="Notice in Werktagen (Monday to Saturday, public holidays apart), where the clause says so.",
    )
    as_a_rule: bool = Field(
        default=False, description="Whether the clause names the notice as a rule, not as a minimum."
    )
    form: Literal["text", "written", "unspecified"] = Field(default="unspecified", description="Form of the notice.")
    per_year: Annotated[int, Field(ge=1, le=12)] | None = Field(
        default=None, description="How many a year without a particular cause."
    )
    more_with_cause: bool = Field(default=False, description="Whether more are allowed for cause.")
    only_with_suspicion: bool = Field(default=False, description="Whether a founded suspicion is needed.")
    clause: Clause = Field(description=_CLAUSE)


class Audits(Value):
    """How the controller checks the processor (Art. 28(3)(h) GDPR)."""

    evidence_clause: Clause = Field(description="The clause that promises evidence on request.")
    evidence_first: bool = Field(default=False, description="Whether evidence comes before any audit.")
    remote_clause: Clause | None = Field(default=None, description="The clause that allows remote audits.")
    attestations_clause: Clause | None = Field(
        default=None,
        description="The clause by which sub-processors' attestations stand in for visits to data centres.",
    )
    on_site: OnSite | None = Field(default=None, description="Inspections on the premises.")
    note: Text | None = Field(default=None, description=_NOTE)


class InstructionForm(Value):
    """In which form instructions bind, and who may give them (Art. 28(3)(a) GDPR)."""

    form: Literal["documented", "text", "written-or-text"] = Field(description="The form the agreement asks for.")
    clause: Clause = Field(description=_CLAUSE)
    oral_in_urgent_cases: bool = Field(
        default=False, description="Oral instructions in urgent cases. They may stop or restrict, never delete."
    )
    oral_confirmed: Literal["without-delay-in-text"] | None = Field(
        default=None, description="How an oral instruction is confirmed."
    )
    oral_clause: Clause | None = Field(default=None, description="The clause on oral instructions.")
    persons: Literal["named", "unspecified"] = Field(
        default="unspecified", description="Whether only named persons may instruct."
    )
    persons_clause: Clause | None = Field(
        default=None, description="The clause that names them, or where they are named."
    )
    persons_change_form: Literal["text", "unspecified"] = Field(
        default="unspecified", description="Form in which a change of those persons is told."
    )
    channels: tuple[Literal["email", "ticket", "contact-point", "contract"], ...] = Field(
        default=(), description="Channels that the agreement names."
    )
    logged: bool = Field(default=False, description="Whether the agreement has instructions logged.")
    note: Text | None = Field(default=None, description=_NOTE)


class Places(Value):
    """Where the processing happens (Art. 44 ff. GDPR)."""

    region: Literal["EU/DE", "EU", "EU/EEA", "per-subprocessor"] = Field(description="The region that is promised.")
    clause: Clause = Field(description=_CLAUSE)
    remote_access_from: Line | None = Field(default=None, description="From where administrative access is allowed.")
    third_country: Literal["excluded", "with-safeguards", "unspecified"] = Field(
        description="Whether third countries are possible."
    )
    third_country_clause: Clause | None = Field(default=None, description="The clause on third countries.")
    no_relocation_clause: Clause | None = Field(default=None, description="The clause that forbids moving the data.")
    note: Text | None = Field(default=None, description=_NOTE)


class SpecialCategories(Value):
    """Special categories of personal data (Art. 9 GDPR)."""

    excluded: bool = Field(description="Whether the agreement excludes them. Found ones are a finding and a notice.")
    clause: Clause | None = Field(default=None, description=_CLAUSE)
    exception_form: Literal["separate-written-agreement"] | None = Field(
        default=None, description="What an exception needs."
    )
    exception_needs: tuple[Literal["legal-basis-art-9-2", "dpia", "added-measures"], ...] = Field(
        default=(), description="What that separate agreement contains at least."
    )
    exception_clause: Clause | None = Field(default=None, description="The clause on exceptions.")
    note: Text | None = Field(default=None, description=_NOTE)


class PersonsRights(Value):
    """Support with the rights of data subjects (Art. 12 to 22 GDPR)."""

    support_clause: Clause | None = Field(default=None, description="The clause that promises support.")
    forward: Literal["without-delay"] | None = Field(
        default=None, description="When a request that arrives directly is forwarded, if a clause says so."
    )
    forward_clause: Clause | None = Field(default=None, description="The clause on forwarding.")
    answered_by: Literal["controller"] = Field(default="controller", description="Who answers the person.")
    portability: tuple[Literal["csv", "xlsx"], ...] = Field(
        default=(), description="Machine-readable formats that are promised (Art. 20)."
    )
    portability_clause: Clause | None = Field(default=None, description="The clause on portability.")
    reaction_clause: Clause | None = Field(default=None, description="The clause on reaction periods.")
    note: Text | None = Field(default=None, description=_NOTE)


class AiProvider(Value):
    """Identifiers that are replaced before an AI provider sees them."""

    identifiers: Literal["replaced-by-reference-id"] = Field(description="What the provider receives in their place.")
    mapping_held_by: tuple[Literal["processor", "controller"], ...] = Field(
        min_length=1, description="Who holds the mapping. Deleting it makes the provider's copy unattributable."
    )
    optional: bool = Field(default=True, description="Whether the function is off until the controller turns it on.")
    clause: Clause = Field(description=_CLAUSE)
    note: Text | None = Field(default=None, description=_NOTE)


class Copies(Value):
    """Which copies may exist beside the data itself."""

    allowed: tuple[Literal["backup", "technical", "statutory", "restore-exercise", "geo-redundant"], ...] = Field(
        min_length=1, description="Kinds of copies that the agreement knows."
    )
    others_need: Literal["controllers-knowledge", "unspecified"] = Field(
        default="unspecified", description="What any other copy needs."
    )
    clause: Clause = Field(description=_CLAUSE)
    note: Text | None = Field(default=None, description=_NOTE)


class Separation(Value):
    """How controllers, and test and production, are kept apart."""

    tenants: Literal["database-level", "logical", "tables-per-controller", "unspecified"] = Field(
        description="How controllers are kept apart."
    )
    test_and_production: bool = Field(default=False, description="Whether test and production are kept strictly apart.")
    third_party_access_needs_permission: bool = Field(
        default=False, description="Whether third parties need permission."
    )
    clause: Clause = Field(description=_CLAUSE)


class Documentation(Value):
    """What the processor documents, and keeps on its own account."""

    processing_record_clause: Clause | None = Field(
        default=None, description="The clause on the record of processing activities (Art. 30(2) GDPR)."
    )
    kept_by_statute_clause: Clause | None = Field(
        default=None, description="The clause by which contract and processing documentation is kept as statute says."
    )
    change_logs_clause: Clause | None = Field(default=None, description="The clause on logs of entries and changes.")


class OtherDocument(Value):
    """A document that the agreement refers to for details. One that is not at hand decides nothing."""

    id: Identifier = Field(description="Name of the document in our records.")
    name: Line = Field(description="What the agreement calls it.")
    at_hand: bool = Field(default=False, description="Whether its text was read. If not, it decides nothing.")
    generated: bool = Field(
        default=False, description="Whether lifecycle generates it, as it does the deletion concept."
    )
    clause: Clause = Field(description=_CLAUSE)


class OwnController(Value):
    """Processing in which the operator, or a recipient, is a controller of its own: outside this agreement."""

    id: Identifier = Field(description="Name of the processing.")
    what: Line = Field(description="Which data, of whom.")
    clause: Clause = Field(description=_CLAUSE)


class Promises(Value):
    """Everything the agreement promises beside its rules, windows and proof."""

    ending: Ending | None = Field(default=None, description="When the processing ends.")
    notices: Notices | None = Field(default=None, description="What the processor tells the controller, and when.")
    audits: Audits | None = Field(default=None, description="How the controller checks the processor.")
    instructions: InstructionForm | None = Field(default=None, description="Form of instructions, and who gives them.")
    places: Places | None = Field(default=None, description="Where the processing happens.")
    special: SpecialCategories | None = Field(default=None, description="Special categories (Art. 9 GDPR).")
    persons: PersonsRights | None = Field(default=None, description="Rights of data subjects.")
    ai: AiProvider | None = Field(default=None, description="What an AI provider may see.")
    copies: Copies | None = Field(default=None, description="Which copies may exist.")
    separation: Separation | None = Field(default=None, description="How controllers are kept apart.")
    documentation: Documentation | None = Field(default=None, description="What the processor documents.")
    other_documents: tuple[OtherDocument, ...] = Field(
        default=(), description="Documents that the agreement refers to for details."
    )
    own_controller: tuple[OwnController, ...] = Field(
        default=(),
        description="Processing outside this agreement: payment of the controller's own licence and the like.",
    )
