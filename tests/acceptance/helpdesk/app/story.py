"""Who works with the ticket system, and what happens to it in 200 days: decided from a seed, before it is done."""

import dataclasses
import datetime as dt
import random
from collections.abc import Iterator

SPAN = dt.timedelta(days=200)
# Positions of the customer who will leave, and of one with a name alike who will not.
LEAVES, STAYS = 0, 1
FIRMS = (
    ("linde", "Linde Druck"),
    ("linde-sued", "Linde Druck Sued"),
    ("birke", "Birke Moebel"),
    ("erle", "Erle Bootsbau"),
    ("ahorn", "Ahorn Optik"),
    ("ulme", "Ulme Logistik"),
    ("weide", "Weide Garten"),
    ("tanne", "Tanne Akustik"),
)
GIVEN = ("Ada", "Bela", "Cleo", "Dario", "Enna", "Fynn", "Gesa", "Hauke", "Imke", "Jona")
SURNAMES = ("Probe", "Muster", "Beispiel", "Vorlage", "Entwurf", "Skizze")
TROUBLES = ("Login fails", "Invoice is wrong", "Export stops", "Printer offline", "Slow search", "Wrong address")
PLACES = ("in the portal", "since Monday", "for two colleagues", "after the update", "on the second page")


@dataclasses.dataclass(frozen=True, slots=True)
class Account:
    """A global user account, and the positions of the queues that it may enter."""

    username: str
    email: str
    given: str
    surname: str
    staff: bool
    queues: tuple[int, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """Something that happens at an instant: `kind` names the act, `ticket` and `queue` are positions in the story."""

    at: dt.datetime
    kind: str
    queue: int
    ticket: int
    number: int


def accounts(queues: int) -> list[Account]:
    """Eight people of each firm and its agent; the operator's own service team; two who work for two firms."""
    people = [
        Account(
            f"service.{n}",
            f"service.{n}@example.com",
            GIVEN[n],
            "Dienst",
            staff=True,
            queues=tuple(q for q in range(queues) if (q + n) % 2),
        )
        for n in range(4)
    ]
    for q, (slug, _) in enumerate(FIRMS[:queues]):
        people.append(Account(f"agent.{slug}", f"agent.{slug}@example.com", "Agent", slug, staff=True, queues=(q,)))
        people += [
            Account(
                f"{GIVEN[n].lower()}.{slug}",
                f"{GIVEN[n].lower()}@{slug}.example",
                GIVEN[n],
                SURNAMES[(n + q) % len(SURNAMES)],
                staff=False,
                queues=(q,),
            )
            for n in range(8)
        ]
    # The first pair shares the queue that leaves with one that stays, the second pair stays as a whole.
    for name, pair in (("partner.1", (0, 2)), ("partner.2", (2, 3))):
        people.append(Account(name, f"{name}@example.org", "Part", "Ner", staff=False, queues=pair))
    return people


def steps(now: dt.datetime, seed: int, queues: int, tickets: int, people: int) -> list[Step]:
    """Everything that happens, in the order of time; equal arguments give equal steps."""
    rng = random.Random(f"steps {seed}")
    planned = [*_tickets(now, rng, queues, tickets), *_office(now, rng, queues, people)]
    return sorted(planned, key=lambda step: (step.at, step.kind, step.queue, step.ticket, step.number))


def _tickets(now: dt.datetime, rng: random.Random, queues: int, tickets: int) -> Iterator[Step]:
    for n in range(tickets):
        for q in range(queues):
            opened = now - SPAN + n * (SPAN - dt.timedelta(hours=2)) / tickets + _minutes(rng, 2, 90)
            # Reports run from the first ticket of all to the last: both are of a firm that stays.
            if q == STAYS and n in {0, tickets - 1}:
                opened = now - SPAN + dt.timedelta(minutes=1) if n == 0 else now - dt.timedelta(minutes=1)
            yield Step(opened, "open", q, n, 0)
            at = opened
            for number in range(rng.randint(1, 4)):
                at += _minutes(rng, 30, 60 * 36)
                # What would happen after `now` has not happened.
                if at < now:
                    yield Step(at, "reply", q, n, number)


def _office(now: dt.datetime, rng: random.Random, queues: int, people: int) -> Iterator[Step]:
    """Sign-ins and acts in the administration: the rows that are logs."""
    for number in range(people * 6):
        yield Step(now - SPAN + _minutes(rng, 60, 60 * 24 * 199), "sign-in", 0, 0, number % people)
    for number in range(queues * 60):
        yield Step(now - SPAN + _minutes(rng, 60 * 24 * 2, 60 * 24 * 199), "administer", number % queues, 0, number)


def _minutes(rng: random.Random, least: int, most: int) -> dt.timedelta:
    return dt.timedelta(minutes=rng.randint(least, most), seconds=rng.randint(0, 59))
