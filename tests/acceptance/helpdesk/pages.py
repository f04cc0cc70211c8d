"""Looks at the ticket system as its users do: signs in over HTTP, opens pages, reads what they say.

Knows the application's addresses, nothing of its database and nothing of the product.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.helpdesk.harness import Manifest, Queue

REPORTS = ("queuestatus", "queuemonth", "queuepriority", "userstatus", "daysuntilticketclosedbymonth")
# Elements whose text is not about the customer: code, and menus that offer every account and every article there is.
SILENT = frozenset({"script", "style", "select", "label", "template"})
TICKETS_OPENED = 8


class Answer(NamedTuple):
    """What a page answered: its status, a digest of what it says, and how many entries (or words) it shows."""

    status: int
    digest: str
    shown: int


@dataclass(slots=True)
class Visitor:
    """A browser of one person: keeps its cookies."""

    address: tuple[str, int]
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, url: str) -> tuple[int, bytes]:
        """Status and body; redirects are not followed."""
        return self._ask("GET", url, b"")

    def sign_in(self, username: str, password: str) -> None:
        """Signs in by the application's own form; an AssertionError if it does not let us in."""
        _, page = self.get("/helpdesk/login/")
        token = re.search(rb'name="csrfmiddlewaretoken" value="(\w+)"', page)
        assert token, "no sign-in form"
        form = {"username": username, "password": password, "csrfmiddlewaretoken": token[1].decode()}
        status, _ = self._ask("POST", "/helpdesk/login/", urlencode(form).encode())
        assert status == HTTPStatus.FOUND, f"the sign-in answered {status}"

    def _ask(self, method: str, url: str, body: bytes) -> tuple[int, bytes]:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        try:
            connection.request(method, url, body, headers)
            response = connection.getresponse()
            for cookie in response.headers.get_all("Set-Cookie") or []:
                name, _, value = cookie.partition(";")[0].partition("=")
                self.cookies[name] = value
            return response.status, response.read()
        finally:
            connection.close()


def visit(address: tuple[str, int], manifest: Manifest, slugs: list[str]) -> dict[str, Answer]:
    """What the application's pages say about each of these queues, by address; read as each queue's own agent.

    The ticket list, ticket pages with their files, dashboard, reports, feed and articles; and the page of a ticket as
    the person without an account sees it who opened it. Tickets that are tied to another queue are left out.
    """
    answers: dict[str, Answer] = {}
    for queue in manifest["queues"]:
        if queue["slug"] in slugs:
            answers |= _visit_queue(address, manifest, queue)
    return answers


def _visit_queue(address: tuple[str, int], manifest: Manifest, queue: Queue) -> dict[str, Answer]:
    agent, stranger = Visitor(address), Visitor(address)
    agent.sign_in(queue["agent"], manifest["password"])
    seen: dict[str, Answer] = {}
    for url in _pages(agent, manifest, queue):
        status, body = agent.get(url)
        # The same address says different things to different people.
        seen[f"{queue['slug']}: {url}"] = _answer(status, body)
        for file in sorted(set(re.findall(rb'"(/media/[^"]+)"', body))):
            seen[f"{queue['slug']}: {file.decode()}"] = _answer(*agent.get(file.decode()))
    for url in _public_pages(manifest, queue):
        seen[f"{queue['slug']}: {url}"] = _answer(*stranger.get(url))
    return seen


def _pages(agent: Visitor, manifest: Manifest, queue: Queue) -> Iterator[str]:
    listing = _listing(queue)
    tied = {n for crossing in manifest["crossings"] for n in (crossing["ticket"], crossing["other"])}
    _, body = agent.get(listing)
    numbers = sorted(row["id"] for row in json.loads(body)["data"])
    free = [number for number in numbers if number not in tied]
    with_files = [named["ticket"] for named in manifest["with_files"] if named["slug"] == queue["slug"]]
    yield listing
    yield f"/helpdesk/tickets/?queue={queue['id']}"
    yield "/helpdesk/dashboard/"
    yield f"/helpdesk/rss/queue/{queue['slug']}/"
    yield from (
        f"/helpdesk/tickets/{number}/"
        for number in sorted({*free[:: max(1, len(free) // TICKETS_OPENED)], *with_files})
    )
    yield from (f"/helpdesk/reports/{report}/" for report in REPORTS)


def _public_pages(manifest: Manifest, queue: Queue) -> Iterator[str]:
    yield f"/helpdesk/kb/{queue['slug']}/"
    for ticket in manifest["public"]:
        if ticket["slug"] == queue["slug"]:
            named = {name: ticket[name] for name in ("ticket", "email", "key")}
            yield f"/helpdesk/view/?{urlencode(named)}"


def _listing(queue: Queue) -> str:
    """The address from which the ticket list fills its table."""
    query = {
        "filtering": {"queue__id__in": [queue["id"]]},
        "filtering_null": {},
        "sorting": "created",
        "sortreverse": False,
        "search_string": "",
    }
    named = base64.b64encode(json.dumps(query).encode()).decode()
    whole = urlencode({"draw": 1, "start": 0, "length": 100000, "order[0][column]": 0, "order[0][dir]": "asc"})
    return f"/helpdesk/datatables_ticket_list/{quote(named)}?{whole}"


def _answer(status: int, body: bytes) -> Answer:
    if body.startswith(b"{"):
        return Answer(status, hashlib.sha256(body).hexdigest(), len(json.loads(body)["data"]))
    if body.lstrip().lower().startswith(b"<!doctype html"):
        text = _Text()
        text.feed(body.decode())
        words = " ".join(text.heard).split()
        return Answer(status, hashlib.sha256(" ".join(words).encode()).hexdigest(), len(words))
    return Answer(status, hashlib.sha256(body).hexdigest(), len(body))


class _Text(HTMLParser):
    """What a reader sees of a page: its text and where its links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.silent += tag in SILENT
        self.heard += [value for name, value in attrs if name == "href" and value]

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in SILENT

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.heard.append(data)
