"""Countries of the EEA, and what a place outside it needs (Art. 44 ff. GDPR)."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from lifecycle.core.value import Fault

Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
"""ISO 3166-1 alpha-2, upper case."""

_MEMBERS = (
    ("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU"),
    ("IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"),
    ("IS", "LI", "NO"),
    ("EU",),
)
EEA = frozenset(country for row in _MEMBERS for country in row)
"""Member states of the EU, and Iceland, Liechtenstein and Norway. `EU` stands for a region of several states."""


def place_faults(country: str, *, third_country: bool, safeguard: str | None) -> tuple[Fault, ...]:
    """Return what is wrong with a place: an unmarked third country, or one without a safeguard."""
    faults: list[Fault] = []
    if country not in EEA and not third_country:
        fix = "write third_country: true and its safeguard, or correct the country"
        faults.append(Fault(("country",), "the country lies outside the EEA and is not marked as a third country", fix))
    if third_country and safeguard is None:
        faults.append(
            Fault(("third_country",), "a third country without a safeguard", "write the safeguard (Art. 44 ff. GDPR)")
        )
    return tuple(faults)
