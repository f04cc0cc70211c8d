"""Our own bucket: fence, mirrors, receipts. No application writes there, and no dataset lies in it.

Each of them is one object, changed by compare and set where the server honours conditions (`honours`): two writers then
never lose each other's change. Nothing here changes in one step with an application's objects: a request that left
before the fence moved still arrives. It can take nothing but versions that its batch had listed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from lifecycle.core.errors import LifecycleError, Refused, Transient
from lifecycle.ports.store import Fence, HoldRow, Receipt
from lifecycle.stores.s3 import listing
from lifecycle.stores.s3.wire import Wire, child, local, read

_FENCE, _TENANTS, _RECEIPTS, _COVERED, _PROBE = "fence.json", "tenants.json", "receipts/", "covered/", "probe/"
TRIES: Final = 20
"""How often a change is made anew after somebody else's came first."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The fence's object: whose the target is, its own identity, the epoch, the stop, the holds and their version."""

    deployment: str
    identity: str
    epoch: int = 0
    hold_version: int = 0
    stopped: bool = False
    checkpoint: str | None = None
    holds: tuple[HoldRow, ...] = ()

    def fence(self) -> Fence:
        """Return it as the seam names it."""
        return Fence(self.deployment, self.epoch, self.hold_version, self.stopped, self.checkpoint)

    def raised(self, deployment: str, epoch: int) -> Kept:
        """Return it with this epoch. Raises Refused for another deployment, and where a higher one is there."""
        if self.deployment != deployment:
            raise Refused("the target belongs to another deployment", guard="deployment")
        if self.epoch > epoch:
            raise Refused("a later leader has been here", guard="stale-epoch")
        return self if self.epoch == epoch else replace(self, epoch=epoch)

    def with_holds(self, rows: tuple[HoldRow, ...]) -> Kept:
        """Return it with these holds; the version rises when anything changed."""
        if set(rows) == set(self.holds):
            return self
        return replace(self, holds=rows, hold_version=self.hold_version + 1)


class Own:
    """Our bucket of one store."""

    def __init__(self, wire: Wire) -> None:
        """Take the connections; nothing is asked yet."""
        self._wire = wire
        self._bucket = wire.address.own

    # ---- objects ----

    def read(self, name: str) -> tuple[bytes, str] | None:
        """Return an object and its tag; None where there is none, or the bucket itself is missing."""
        answer = self._wire.request("GET", self._bucket, name)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise answer.failed()
        return answer.body, answer.headers.get("etag", "")

    def write(self, name: str, body: bytes, *, replacing: str | None = None, new: bool = False) -> bool:
        """Write an object: over the one with that tag, or only where there is none. False where it is otherwise.

        Where no answer came back, the object itself says whether it was written.
        """
        conditions = {"if-none-match": "*"} if new else {} if replacing is None else {"if-match": replacing}
        problem: LifecycleError
        try:
            answer = self._wire.request("PUT", self._bucket, name, body=body, headers=conditions)
        except Transient as error:
            problem = error
        else:
            if answer.status == 200:
                return True
            if answer.status in {409, 412}:
                return False
            problem = answer.failed()
        if isinstance(problem, Transient):
            there = self.read(name)
            if there is not None and there[0] == body:
                return True
        raise problem

    def remove(self, name: str) -> None:
        """Remove an object of ours."""
        answer = self._wire.request("DELETE", self._bucket, name)
        if answer.status not in {200, 204, 404}:
            raise answer.failed()

    def honours(self) -> Mapping[str, bool]:
        """Ask the server which conditions it honours: when writing (`put`), and when deleting many (`delete`)."""
        name = f"{_PROBE}{secrets.token_hex(8)}"
        try:
            self.write(name, b"1", new=True)
            put = not self.write(name, b"2", new=True) and not self.write(name, b"3", replacing='"0"')
            body = f'<Delete><Object><Key>{name}</Key><ETag>"0"</ETag></Object></Delete>'.encode()
            answer = self._wire.request("POST", self._bucket, query={"delete": ""}, body=body, headers=digest_of(body))
            codes = [child(told, "Code") for told in read(answer) if local(told) == "Error"]
            if codes not in ([], ["PreconditionFailed"]):
                raise Transient("the object store did not say whether it compares tags before it deletes")
            return {"put": put, "delete": bool(codes) and self.read(name) is not None}
        finally:
            self.remove(name)

    # ---- fence and mirrors ----

    def prepare(self, deployment: str) -> None:
        """Make what is missing. Raises Refused when it is another deployment's."""
        first = Kept(deployment, secrets.token_hex(16))
        self.write(_TENANTS, b"{}", new=True)
        self.write(_FENCE, _plain(first), new=True)
        if self.kept().deployment != deployment:
            raise Refused("the target belongs to another deployment", guard="deployment")

    def prepared(self) -> bool:
        """Tell whether the fence is there."""
        return self.read(_FENCE) is not None

    def kept(self) -> Kept:
        """Read the fence. Raises Refused when it is not there or not whole: then everything is held (I7)."""
        return self._kept()[0]

    def _kept(self) -> tuple[Kept, str]:
        found = self.read(_FENCE)
        if found is None:
            fix = (
                "Make the bucket that the store's address names as own, and run `lifecycle store prepare STORE --run`."
            )
            raise Refused("the target is not prepared", guard="not-prepared", advice=fix)
        body = _loaded(found[0])
        return Kept(**{**body, "holds": tuple(HoldRow(*row) for row in body["holds"])}), found[1]

    def change(self, how: Callable[[Kept], Kept]) -> Kept:
        """Change the fence; somebody else's change in between is seen, and the change made anew."""
        for _ in range(TRIES):
            kept, tag = self._kept()
            now = how(kept)
            if now == kept or self.write(_FENCE, _plain(now), replacing=tag):
                return now
        raise Transient("the target's fence is changed by others all the time")

    def tenants(self) -> dict[str, str]:
        """Read the mirror of tenants."""
        found = self.read(_TENANTS)
        if found is None:
            raise Refused("the target is not prepared", guard="not-prepared")
        tenants: dict[str, str] = _loaded(found[0])
        return tenants

    def keep_tenants(self, groups: Mapping[str, str]) -> None:
        """Write the mirror of tenants."""
        self.write(_TENANTS, _dumped(dict(groups)))

    # ---- receipts ----

    def receipt(self, batch: str) -> Receipt | None:
        """Read a receipt, covered or not."""
        for folder in (_RECEIPTS, _COVERED):
            found = self.read(_name(folder, batch))
            if found is not None:
                body = _loaded(found[0])
                sealed = None if body["sealed"] is None else base64.b64decode(body["sealed"])
                counts = body["deleted"], body["kept"]
                return Receipt(batch, body["state"], *counts, digest=body["digest"], sealed=sealed)
        return None

    def keep_receipt(self, receipt: Receipt) -> bool:
        """Write a receipt; False where the batch has one by now."""
        body = {
            "state": receipt.state,
            "deleted": receipt.deleted,
            "kept": dict(receipt.kept),
            "digest": receipt.digest,
            "sealed": None if receipt.sealed is None else base64.b64encode(receipt.sealed).decode(),
        }
        return self.write(_name(_RECEIPTS, receipt.batch), _dumped(body), new=True)

    def uncovered(self) -> list[str]:
        """Return the ids of the receipts that no checkpoint covers, in order."""
        found = listing.objects(self._wire, self._bucket, _RECEIPTS)
        return sorted(entry.key.removeprefix(_RECEIPTS).removesuffix(".json") for entry in found)

    def cover(self, batch: str) -> None:
        """Mark a receipt as covered. Its sealed list is in our state by now, and is left out here."""
        found = self.read(_name(_RECEIPTS, batch))
        if found is not None:
            self.write(_name(_COVERED, batch), _dumped({**_loaded(found[0]), "sealed": None}))
            self.remove(_name(_RECEIPTS, batch))


def digest_of(body: bytes) -> dict[str, str]:
    """Return the header that a request with many keys needs: without it, AWS refuses."""
    return {"content-md5": base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()}


def _name(folder: str, batch: str) -> str:
    if not batch or not all(c.isalnum() or c in "-_." for c in batch) or batch.startswith("."):
        raise Refused("a batch has an id of letters, digits and hyphens", guard="batch")
    return f"{folder}{batch}.json"


def _plain(kept: Kept) -> bytes:
    return _dumped({**asdict(kept), "holds": [[row.hold, row.tenant, row.dataset] for row in kept.holds]})


def _dumped(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":"), sort_keys=True).encode()


def _loaded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        fix = "Restore our object from backup, or remove it and run `lifecycle store prepare STORE --run`."
        raise Refused("an object of ours in the target cannot be read", guard="mirror", advice=fix) from None
