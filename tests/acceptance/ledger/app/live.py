"""Installs the bookkeeping system by its own migrations and lets three firms keep their books, by its own models.

    python live.py --now 2026-03-01T12:00:00+00:00

Prints {"firms": [{"id", "name", "imported": rows of bank statements, "old": those that are past ninety days}]}.
Keys are random, as the application makes them; how many rows there are depends on nothing.
"""

import argparse
import datetime as dt
import json
import os
import random

import django
import time_machine

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
django.setup()

from django.contrib.auth import get_user_model  # noqa: E402 - models exist only after setup
from django.core.management import call_command  # noqa: E402
from django_ledger.models import EntityModel, ImportJobModel, StagedTransactionModel  # noqa: E402
from faker import Faker  # noqa: E402

FIRMS = ("Linde Druck", "Birke Holz", "Esche Bau")
BEGAN = dt.timedelta(days=200)
# The days on which each firm imports a bank statement, before now: two are past ninety days.
STATEMENTS = (180, 120, 60, 3)
LINES = 5


def main() -> None:
    """Lives through the story and prints what a test needs to know."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--now", required=True, type=dt.datetime.fromisoformat)
    now = parser.parse_args().now
    random.seed(1)
    Faker.seed(1)
    call_command("migrate", verbosity=0)
    print(json.dumps({"firms": [_firm(number, name, now) for number, name in enumerate(FIRMS)]}))


def _firm(number: int, name: str, now: dt.datetime) -> dict[str, object]:
    """A firm, its owner, its books as the application's own generator fills them, and its bank statements."""
    with time_machine.travel(now - BEGAN, tick=False):
        owner = get_user_model().objects.create_user(f"owner{number}", f"owner{number}@example.com", "not-a-secret")
        firm = EntityModel.create_entity(name=name, admin=owner, use_accrual_method=True, fy_start_month=1)
        firm.populate_random_data(start_date=now - BEGAN, days_forward=30, tx_quantity=2)
    for days in STATEMENTS:
        with time_machine.travel(now - dt.timedelta(days=days), tick=False):
            _statement(firm, (now - dt.timedelta(days=days)).date())
    lines = StagedTransactionModel.objects.filter(import_job__bank_account_model__entity_model=firm)
    old = lines.filter(created__lt=now - dt.timedelta(days=90)).count()
    return {"id": str(firm.pk), "name": name, "imported": lines.count(), "old": old}


def _statement(firm: EntityModel, day: dt.date) -> None:
    """A bank statement as the application stages it: a job, its lines, and one line split into two."""
    job = ImportJobModel(description=f"Statement of {day}", bank_account_model=firm.bankaccountmodel_set.first())
    job.configure(commit=False)
    job.save()
    staged = [
        StagedTransactionModel(
            import_job=job,
            fit_id=f"{day}-{line}",
            date_posted=day,
            amount=100 + line,
            name=f"Payment {line}",
            memo="by transfer",
        )
        for line in range(LINES)
    ]
    StagedTransactionModel.objects.bulk_create(staged)
    for part in range(2):
        StagedTransactionModel.objects.create(
            import_job=job,
            parent=staged[0],
            fit_id=staged[0].fit_id,
            date_posted=day,
            amount_split=50 + part,
            name=f"Part {part}",
        )


if __name__ == "__main__":
    main()
