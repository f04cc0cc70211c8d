"""What a person decides about a drafted inventory, written down: whatever is not said here stays as it was drafted."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ruamel.yaml import YAML

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Review:
    """The corrections of one draft: `category` for each dataset that `categories` does not name, the rest by table.

    `not_personal` holds tables with the reason, drafted or left out; `changes` the entries of a dataset that differ.
    """

    category: str
    categories: Mapping[str, str]
    not_personal: Mapping[str, str]
    changes: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    def of(self, draft: str) -> str:
        """The reviewed inventory. A correction of a table that the draft does not have is an AssertionError."""
        yaml = YAML()
        document = yaml.load(draft)
        tables = {dataset["table"] for dataset in document["datasets"]}
        assert self.categories.keys() | self.changes.keys() <= tables, "the draft has no such table"
        document["datasets"] = [d for d in document["datasets"] if d["table"] not in self.not_personal]
        for dataset in document["datasets"]:
            dataset["category"] = self.categories.get(dataset["table"], self.category)
            dataset.update(self.changes.get(dataset["table"], {}))
        document["not_personal"] = [
            {"store": "main", "table": table, "why": why} for table, why in self.not_personal.items()
        ]
        document["reviewed"] = True
        text = io.StringIO()
        yaml.dump(document, text)
        return text.getvalue()
