"""Installs the budget manager by its own migrations and lets three groups share their bills, through its own API.

    python live.py --now 2026-03-01T12:00:00+00:00

Prints {"groups": [id]}. Reads APPLICATION_DATABASE (SQLAlchemy's spelling).
"""

import argparse
import base64
import datetime as dt
import json
import os

import time_machine
from flask.testing import FlaskClient
from ihatemoney.currency_convertor import CurrencyConverter
from ihatemoney.run import create_app

GROUPS = ("ahorn", "ahorn-sued", "buche")
PASSWORD = "not-a-secret"
# The days on which each group enters a bill, before now; every fourth bill is corrected, every fifth removed.
BILLS = tuple(range(180, 0, -15))


class Settings:
    """What the installation guide asks for, without mail."""

    SQLALCHEMY_DATABASE_URI = os.environ["APPLICATION_DATABASE"]
    SQLALCHEMY_TRACK_MODIFICATIONS = False
    SECRET_KEY = "acceptance-test-only"
    ACTIVATE_DEMO_PROJECT = False
    MAIL_SUPPRESS_SEND = True
    TESTING = True
    RATELIMIT_ENABLED = False


class Group:
    """One group of people who share bills, as a client of the application's API."""

    def __init__(self, client: FlaskClient, name: str) -> None:
        """Founds the group with four members."""
        self.client, self.path = client, f"/api/projects/{name}"
        signed = base64.b64encode(f"{name}:{PASSWORD}".encode()).decode()
        self.headers = {"Authorization": f"Basic {signed}"}
        founded = {"name": f"Group {name}", "id": name, "password": PASSWORD, "contact_email": f"{name}@example.com"}
        self._send("post", "/api/projects", founded | {"default_currency": "EUR", "project_history": "y"})
        self.members = [
            self._send("post", f"{self.path}/members", {"name": f"{name} {person}"}) for person in ("A", "B", "C", "D")
        ]

    def enter(self, number: int, day: dt.date) -> None:
        """One bill; sometimes corrected, sometimes removed."""
        bill = {
            "date": day.isoformat(),
            "what": f"Bill {number}",
            "payer": self.members[number % 4],
            "payed_for": self.members[: 2 + number % 3],
            "amount": str(10 + number),
            "bill_type": "Expense",
            "external_link": "",
            "original_currency": "EUR",
        }
        made = self._send("post", f"{self.path}/bills", bill)
        if number % 4 == 1:
            self._send("put", f"{self.path}/bills/{made}", bill | {"amount": str(20 + number)})
        if number % 5 == 2:
            self._send("delete", f"{self.path}/bills/{made}", {})

    def _send(self, verb: str, path: str, form: dict[str, object]) -> int | str:
        answer = getattr(self.client, verb)(path, data=form, headers=self.headers)
        if answer.status_code not in {200, 201}:
            raise ValueError(answer.get_data(as_text=True))
        return answer.get_json()


def main() -> None:
    """Lives through the story and prints what a test needs to know."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--now", required=True, type=dt.datetime.fromisoformat)
    now = parser.parse_args().now
    # Rates come from a server of somebody else; one currency needs none.
    CurrencyConverter().get_rates = lambda: {CurrencyConverter.no_currency: 1.0, "EUR": 1.0}
    client = create_app(Settings).test_client()
    with time_machine.travel(now - dt.timedelta(days=200), tick=False):
        groups = [Group(client, name) for name in GROUPS]
    for number, days in enumerate(BILLS):
        moment = now - dt.timedelta(days=days)
        with time_machine.travel(moment, tick=False):
            for group in groups:
                group.enter(number, moment.date())
    print(json.dumps({"groups": list(GROUPS)}))


if __name__ == "__main__":
    main()
