"""The invented world: a portal company, five of its customers, and what people there write to each other."""

from __future__ import annotations

from dataclasses import dataclass

DEPLOYMENT = "portalwerk"
FIRM = "Portalwerk GmbH"
ORIGIN = "lifecycle.portalwerk.example/log"
LEAVER = "linde"
HELD = "birke"
AUTHOR, FIRST, SECOND = "ops-1", "ops-2", "ops-3"
"""Three operators: one makes the plan, two others approve it."""


@dataclass(frozen=True, slots=True)
class Portal:
    """One customer. `share` scales how many rows it has; 100 is plain."""

    id: str
    firm: str
    number: str
    share: int


PORTALS = (
    Portal("ahorn", "Ahorn Steuerberatung PartG", "K-1001", 110),
    Portal("birke", "Birke Hausverwaltung GmbH", "K-1002", 90),
    Portal("linde", "Linde Fitness GmbH", "K-1003", 120),
    Portal("linde-sued", "Linde Süd Physiotherapie GmbH", "K-1004", 80),
    Portal("ulme", "Ulme Pflegedienst gGmbH", "K-1005", 100),
)

GIVEN = (
    "Ada",
    "Bela",
    "Cora",
    "Dario",
    "Elif",
    "Finn",
    "Greta",
    "Hugo",
    "Ines",
    "Jaro",
    "Kira",
    "Levi",
    "Mila",
    "Nuri",
)
FAMILY = ("Abendroth", "Birnbaum", "Dornfeld", "Eichwald", "Fuchsberg", "Grasmück", "Holunder", "Kienast", "Lerchner")
SUBJECTS = ("Login", "Invoice", "Appointment", "Upload", "Change of address", "Access for a colleague", "Notification")
SENTENCES = (
    "The file opens, but the second page is empty.",
    "Could you please move the appointment to next week?",
    "Thank you, it works again.",
    "We have changed the address; please check it.",
    "A colleague needs access to the same folder.",
    "The notification came twice.",
)
PATHS = ("/", "/tickets", "/documents", "/messages", "/profile", "/search")
TEMPLATES = ("ticket-answered", "document-shared", "password-reset", "weekly-summary")
PLANS = (("Start", 2900), ("Team", 7900), ("Business", 14900))
