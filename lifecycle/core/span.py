"""Lengths of machine time (ISO 8601 `PT15M`) for schedules, and what all ISO 8601 texts of documents share.

A span is exact: seconds that pass alike in winter and summer. `Period` counts local dates, `Hours` are breach clocks.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic_core import core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue

_SHAPE = re.compile(r"PT(?=[0-9])(?:([0-9]{1,7})H)?(?:([0-9]{1,7})M)?(?:([0-9]{1,7})S)?", re.ASCII)
_MOST_SECONDS = 31 * 24 * 3600


class IsoText(ABC):
    """A value that documents write as ISO 8601 text: pydantic reads it in every mode and writes it back."""

    __slots__ = ()
    PATTERN: ClassVar[str]
    EXAMPLES: ClassVar[tuple[str, ...]]

    @classmethod
    @abstractmethod
    def parse(cls, text: str) -> Self:
        """Read the text. Raises ValueError with what to write instead."""

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
        return {"type": "string", "pattern": cls.PATTERN, "examples": list(cls.EXAMPLES)}


@dataclass(frozen=True, slots=True, order=True)
class Span(IsoText):
    """A length of time in whole seconds, from one second to 31 days."""

    seconds: int

    PATTERN: ClassVar[str] = r"^PT(?=[0-9])([1-9][0-9]{0,2}H)?([1-9]M|[1-5][0-9]M)?([1-9]S|[1-5][0-9]S)?$"
    EXAMPLES: ClassVar[tuple[str, ...]] = ("PT30S", "PT15M", "PT1H30M", "PT24H")

    @classmethod
    def parse(cls, text: str) -> Span:
        """Read `PT30S`, `PT15M`, `PT1H30M`. Raises ValueError with what to write instead."""
        match = _SHAPE.fullmatch(text)
        if match is None:
            msg = f"{text!r} is not a length of time; write PT30S, PT15M or PT24H"
            raise ValueError(msg)
        hours, minutes, seconds = (int(part or 0) for part in match.groups())
        span = cls(hours * 3600 + minutes * 60 + seconds)
        if not 1 <= span.seconds <= _MOST_SECONDS:
            msg = f"{text!r} is not between one second and 31 days; write PT1S to PT744H"
            raise ValueError(msg)
        if str(span) != text:
            msg = f"{text!r} is written in an unusual way; write {span}"
            raise ValueError(msg)
        return span

    def __str__(self) -> str:
        """Return the ISO 8601 text: hours, minutes below 60, seconds below 60, none of them 0."""
        minutes, seconds = divmod(self.seconds, 60)
        hours, minutes = divmod(minutes, 60)
        parts = ((hours, "H"), (minutes, "M"), (seconds, "S"))
        return "PT" + "".join(f"{number}{unit}" for number, unit in parts if number)

    def length(self) -> timedelta:
        """Return the exact length, to be added to an instant in UTC."""
        return timedelta(seconds=self.seconds)
