"""Stores of the inventory: where data lies, by whom it is run, and where the address is read from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from lifecycle.core.period import Period
from lifecycle.core.places import Country, place_faults
from lifecycle.core.value import Fault, Identifier, Line, Text, Value, refuse

StoreKind = Literal["sql", "memory", "s3", "files", "rest"]

_NOTE = "A remark for readers; nothing is decided by it."


class Secret(Value):
    """Where an address or a password is read from; never the secret itself. Exactly one source."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["env"]}, {"required": ["file"]}, {"required": ["credential"]}]}
    )

    env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,99}$")] | None = Field(
        default=None, description="Name of an environment variable."
    )
    file: Line | None = Field(default=None, description="Path of a file, such as a mounted secret.")
    credential: Identifier | None = Field(default=None, description="Name in the credentials directory of the service.")

    @model_validator(mode="after")
    def _one_source(self) -> Secret:
        if sum(source is not None for source in (self.env, self.file, self.credential)) != 1:
            refuse(Fault((), "an address comes from exactly one source", "name exactly one of env, file, credential"))
        return self


class Place(Value):
    """Where a store's data lies: ISO 3166 country, region in words, safeguard for a third country (Art. 44 ff.)."""

    country: Country = Field(description="ISO 3166 country code of two letters; quote NO.")
    region: Line | None = Field(default=None, description="Region in words, for example the provider's name of it.")
    third_country: bool = Field(default=False, description="Whether data lies in, or is read from, a third country.")
    safeguard: Line | None = Field(default=None, description="Safeguard for the third country (Art. 44 ff. GDPR).")

    @model_validator(mode="after")
    def _lawful(self) -> Place:
        if faults := place_faults(self.country, third_country=self.third_country, safeguard=self.safeguard):
            refuse(*faults)
        return self


class BackupCopy(Value):
    """A backup repository of a store: its rolling cycle and whether the agreement names it."""

    id: Identifier = Field(description="Name of the repository.")
    cycle: Period = Field(description="After this period the last copy of deleted data has left the repository.")
    place: Place | None = Field(default=None, description="Where it lies, if not where the store lies.")
    note: Line | None = Field(default=None, description=_NOTE)


class StoreEntry(Value):
    """One store of the deployment. `subprocessor` is an id of the agreement's list, or None for one's own."""

    id: Identifier = Field(description="Name of the store; it appears in plans, metrics and certificates.")
    kind: StoreKind = Field(description="Technology. rest validates and is refused when a run needs it.")
    address: Secret = Field(description="Where the address is read from; never the address itself.")
    subprocessor: Identifier | None = Field(
        default=None, description="Sub-processor of the agreement that runs it; left out, the operator runs it."
    )
    place: Place = Field(description="Where the data lies.")
    environment: Literal["production", "test"] = Field(
        default="production", description="A production credential never runs a test policy."
    )
    backups: tuple[BackupCopy, ...] = Field(default=(), description="Backup repositories of this store.")
    replicas: tuple[Line, ...] = Field(default=(), description="Replicas, in words.")
    note: Text | None = Field(default=None, description=_NOTE)
