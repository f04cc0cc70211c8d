"""Settings of a deployment (`lifecycle.yaml`): where things are, and bounds that are on by default."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lifecycle.core.value import Identifier, Line, Value

Days = Annotated[int, Field(ge=0, le=3650)]


class Address(Value):
    """Where our own state lies: an address without a secret, or a reference to where the address is read from."""

    url: Line | None = Field(default=None, description="An address without a password, such as sqlite:///state.db.")
    env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,99}$")] | None = Field(
        default=None, description="The environment variable that holds the address."
    )
    file: Line | None = Field(default=None, description="A file of mode 0600 that holds the address.")
    credential: Identifier | None = Field(default=None, description="A file in $CREDENTIALS_DIRECTORY.")

    @model_validator(mode="after")
    def _one_source(self) -> Address:
        if sum(source is not None for source in (self.url, self.env, self.file, self.credential)) != 1:
            msg = "name exactly one of url, env, file, credential"
            raise ValueError(msg)
        return self


class LimitSettings(Value):
    """Bounds of every run (I4, I12, I15). Raising one is a decision; none can be switched off."""

    most_items: Annotated[int, Field(ge=0, le=1_000_000_000)] = Field(
        default=10_000_000, description="The most items one step may change. 0 changes nothing."
    )
    margin_days: Days = Field(
        default=3, description="Days before a ceiling on which items are due: 2 × schedule interval + longest run."
    )
    first_batch: Annotated[int, Field(ge=1, le=100_000)] = Field(default=5_000, description="Items of the first batch.")
    least_batch: Annotated[int, Field(ge=1, le=100_000)] = Field(default=500, description="The smallest batch.")
    most_batch: Annotated[int, Field(ge=1, le=100_000)] = Field(default=100_000, description="The largest batch.")

    @model_validator(mode="after")
    def _ordered(self) -> LimitSettings:
        if not self.least_batch <= self.first_batch <= self.most_batch:
            msg = "least_batch, first_batch and most_batch must be in that order"
            raise ValueError(msg)
        return self


class Settings(Value):
    """One deployment. Paths are relative to the folder of the settings file."""

    lifecycle: Literal["settings/v1"]
    deployment: Identifier = Field(description="The deployment's name; part of the log's origin.")
    origin: Line = Field(description="The log's name in checkpoints, such as lifecycle.example.com/log.")
    state: Address = Address(url="sqlite:///state.db")
    policies: Line = Field(default="policies", description="The folder of agreements, statutes and the operator file.")
    inventory: Line = Field(default="inventory.yaml", description="The inventory of this deployment.")
    tenants: Line | None = Field(default=None, description="The tenants document, read at every run; none: CLI only.")
    operators: Line = Field(default="operators.yaml", description="The public keys that may approve.")
    keys: Line = Field(default="keys", description="The folder of the deployment's keys (mode 0700, files 0600).")
    checkpoint: Line = Field(default="checkpoint", description="The checkpoint's copy outside the database.")
    stop_file: Line = Field(default="STOP", description="While this file exists nothing is changed.")
    limits: LimitSettings = LimitSettings()
