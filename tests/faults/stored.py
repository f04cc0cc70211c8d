"""The fault matrix' world over buckets: new ones for each case, for versions cannot be copied."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

from tests import buckets, portal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path


class BucketTemplate:
    """What `Template` is, for buckets."""

    store = "s3"

    def __init__(
        self, home: Path, server: str, now: datetime, limits: str, prepare: Callable[[portal.World], None]
    ) -> None:
        """Take a running server; `prepare` makes and approves both plans."""
        self.home, self.server, self.now, self.limits, self.prepare = home / "s3", server, now, limits, prepare
        self.home.mkdir()
        self._numbers = count(1)
        self._client = buckets.client(server)
        self._before: dict[str, set[buckets.Key]] = {}

    def judge(self, world: portal.World, sealed: list[Any]) -> buckets.Verdict:
        """Compare the buckets with the model and the opened lists."""
        prefix = world.url.rpartition("=")[2].removesuffix("-own")
        before = self._before[prefix]
        must_go = buckets.expected(before, portal.LEAVER, self.now)
        return buckets.judge(before, buckets.read(self._client, prefix), must_go, sealed)

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    @contextmanager
    def copy(self, name: str, *, prepared: bool = True) -> Iterator[portal.World]:
        """Yield a new world, and remove it afterwards."""
        prefix, folder = f"case-{next(self._numbers)}", self.home / name
        buckets.create(self._client, prefix, self.now, records=8)
        self._before[prefix] = buckets.read(self._client, prefix)
        try:
            inventory = buckets.INVENTORY.replace("PREFIX", prefix)
            world = portal.create_deployment(
                folder, buckets.address(self.server, prefix), self.now, inventory=inventory
            )
            settings = folder / "lifecycle.yaml"
            settings.write_text(settings.read_text() + self.limits)
            if prepared:
                self.prepare(world)
            yield world
        finally:
            buckets.remove(self._client, prefix)
            shutil.rmtree(folder)
