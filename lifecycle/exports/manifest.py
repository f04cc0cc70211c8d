"""What an export package says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from lifecycle.evidence import canonical
from lifecycle.evidence.digest import digest

FORMAT: Final = "export/v1"
NAME: Final = "MANIFEST.json"


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One file of the package: its size in bytes before compression, and its `sha256:` digest."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ExportedColumn:
    """A column and the forms that its values have in the JSONL file, as `lifecycle.exports.cells` names them."""

    name: str
    forms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exported:
    """One dataset of the package. `digest` is its content digest (`lifecycle.exports.content`).

    `contents`: the column that says where each row's file lies, where rows are files; `content_bytes` theirs in all.
    """

    dataset: str
    store: str
    category: str
    rows: int
    columns: tuple[ExportedColumn, ...]
    csv: ExportFile
    jsonl: ExportFile
    digest: str
    contents: str | None = None
    content_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """The package as a whole. `created_at` is a UTC instant, `expires_on` the day its copy with us is deleted."""

    export: str
    tenant: str
    created_at: str
    expires_on: str | None
    tool_version: str
    datasets: tuple[Exported, ...]
    readme: ExportFile

    def rows(self) -> int:
        """Return the number of rows of all datasets."""
        return sum(one.rows for one in self.datasets)

    def size(self) -> int:
        """Return the number of bytes of all data files, before compression."""
        return sum(one.csv.size + one.jsonl.size + one.content_bytes for one in self.datasets)

    def encode(self) -> bytes:
        """Return the bytes of MANIFEST.json: canonical JSON (RFC 8785)."""
        return canonical.encode(
            {
                "lifecycle": FORMAT,
                "export": self.export,
                "tenant": self.tenant,
                "created_at": self.created_at,
                "expires_on": self.expires_on,
                "tool_version": self.tool_version,
                "datasets": [_dataset(one) for one in self.datasets],
                "readme": _file(self.readme),
            },
        )

    def hash(self) -> str:
        """Return the `sha256:` digest of MANIFEST.json, as the log's `export.delivered` has it."""
        return digest(self.encode())


def _dataset(one: Exported) -> dict[str, Any]:
    return {
        "dataset": one.dataset,
        "store": one.store,
        "category": one.category,
        "rows": one.rows,
        "columns": [{"name": column.name, "forms": list(column.forms)} for column in one.columns],
        "files": {"csv": _file(one.csv), "jsonl": _file(one.jsonl)},
        "digest": one.digest,
        **({} if one.contents is None else {"contents": {"column": one.contents, "size": one.content_bytes}}),
    }


def _file(file: ExportFile) -> dict[str, Any]:
    return {"name": file.name, "size": file.size, "sha256": file.sha256}


def read_manifest(data: bytes) -> Manifest:
    """Return the manifest of MANIFEST.json's bytes.

    Raises:
        lifecycle.evidence.errors.Malformed: not canonical JSON. KeyError, TypeError: another document.
    """
    found = canonical.decode(data)
    return Manifest(
        export=found["export"],
        tenant=found["tenant"],
        created_at=found["created_at"],
        expires_on=found["expires_on"],
        tool_version=found["tool_version"],
        datasets=tuple(_read_dataset(one) for one in found["datasets"]),
        readme=ExportFile(**found["readme"]),
    )


def _read_dataset(one: dict[str, Any]) -> Exported:
    return Exported(
        dataset=one["dataset"],
        store=one["store"],
        category=one["category"],
        rows=one["rows"],
        columns=tuple(ExportedColumn(column["name"], tuple(column["forms"])) for column in one["columns"]),
        csv=ExportFile(**one["files"]["csv"]),
        jsonl=ExportFile(**one["files"]["jsonl"]),
        digest=one["digest"],
        contents=one["contents"]["column"] if "contents" in one else None,
        content_bytes=one["contents"]["size"] if "contents" in one else 0,
    )
