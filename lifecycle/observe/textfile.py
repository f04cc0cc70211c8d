"""Metrics of a process that ends: a file for node_exporter's textfile collector; counters go on over the runs."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from lifecycle.core.errors import Transient

_READABLE: Final = 0o644
_MOST_BYTES: Final = 8 * 1024 * 1024
_COUNTED: Final = frozenset({"counter", "histogram"})
_PAST: Final = frozenset(
    {
        "lifecycle_last_tick_timestamp_seconds",
        "lifecycle_last_look_timestamp_seconds",
        "lifecycle_store_last_read_timestamp_seconds",
        "lifecycle_evidence_last_anchor_timestamp_seconds",
    }
)
"""Moments of events: what an earlier run reached stands until a later one reaches it too."""

_SIZE: Final = ("lifecycle_evidence_tree_size", ())

Key = tuple[str, tuple[tuple[str, str], ...]]


class WithoutCreated(Collector):
    """A registry without the `_created` samples: they would show the machine's clock, not the deployment's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Wrap a registry."""
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics, start times left out."""
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


@dataclass(frozen=True, slots=True)
class Before:
    """What the run before has left in the file. Counters go on from it: a smaller one would read as a restart."""

    values: Mapping[Key, float] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Before:
        """Read the file; where there is none that can be read, counters begin anew."""
        try:
            with path.open("rb") as file:
                text = file.read(_MOST_BYTES).decode()
            found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        except (OSError, ValueError):
            return cls()
        return cls({_key(sample): sample.value for sample in found})

    def folded(self) -> int | None:
        """Return how many entries of the log are counted in the file; None for a new one."""
        size = self.values.get(_SIZE)
        return None if size is None else int(size)

    def value(self, kind: str, name: str, sample: Sample) -> float:
        """Return what a sample of this run comes to together with the runs before."""
        earlier = self.values.get(_key(sample), 0.0)
        if kind in _COUNTED:
            return float(sample.value) + earlier
        return max(float(sample.value), earlier) if name in _PAST else float(sample.value)


NOTHING_BEFORE: Final = Before()


class GoneOn(Collector):
    """A collector whose samples go on from those before."""

    def __init__(self, collector: Collector, before: Before) -> None:
        """Wrap a collector."""
        self._collector, self._before = collector, before

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        for metric in self._collector.collect():
            metric.samples = [
                sample._replace(value=self._before.value(metric.type, metric.name, sample)) for sample in metric.samples
            ]
            yield metric


def place(path: Path, content: bytes) -> None:
    """Put the file in place at once, readable by others whatever this process' umask is.

    Raises:
        Transient: the file cannot be written; the old one is still there.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                # Nothing in it is secret, and the collector is somebody else.
                os.fchmod(descriptor, _READABLE)
                file.write(content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise Transient(
            f"the metrics file could not be written ({error.strerror})",
            advice="Its folder must exist and be writable by this process; the file of before stands.",
        ) from None


def _key(sample: Sample) -> Key:
    return sample.name, tuple(sorted(sample.labels.items()))
