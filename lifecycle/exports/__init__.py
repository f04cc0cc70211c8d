"""Writes the exports a tenant or person receives."""

from lifecycle.exports.content import Content, content_of
from lifecycle.exports.manifest import Exported, ExportedColumn, ExportFile, Manifest
from lifecycle.exports.package import ExportDataset, Progress, check_package, write_package

__all__ = [
    "Content",
    "ExportDataset",
    "ExportFile",
    "Exported",
    "ExportedColumn",
    "Manifest",
    "Progress",
    "check_package",
    "content_of",
    "write_package",
]
