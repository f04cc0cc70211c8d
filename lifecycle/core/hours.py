"""Hours (ISO 8601 `PT24H`): the unit of breach clocks. Never a calendar period, never added to a date.

Hours run through nights, weekends and holidays; `Period` counts local dates. Two types on purpose.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic_core import core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue

_SHAPE = re.compile(r"PT([1-9][0-9]{0,2})H", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Hours:
    """A number of whole hours, 1 to 999."""

    hours: int

    @classmethod
    def parse(cls, text: str) -> Hours:
        """Read `PT72H`. Raises ValueError with what to write instead."""
        match = _SHAPE.fullmatch(text)
        if match is None:
            msg = f"{text!r} is not a number of hours; write PT24H or PT72H"
            raise ValueError(msg)
        return cls(int(match[1]))

    def __str__(self) -> str:
        """Return the ISO 8601 text."""
        return f"PT{self.hours}H"

    def length(self) -> timedelta:
        """Return the exact length, to be added to an instant in UTC."""
        return timedelta(hours=self.hours)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Read from the ISO text in every mode and write it back."""
        from_text = core_schema.no_info_after_validator_function(cls.parse, core_schema.str_schema(strict=True))
        return core_schema.json_or_python_schema(
            json_schema=from_text,
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), from_text]),
            serialization=core_schema.to_string_ser_schema(),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: core_schema.CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the accepted text to editors."""
        return {"type": "string", "pattern": r"^PT[1-9][0-9]{0,2}H$", "examples": ["PT24H", "PT72H"]}
