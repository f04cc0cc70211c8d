"""Deletes one queue as the application itself does it, by its own model: what it takes along, and what it forgets.

    python leave.py SLUG

Prints how many rows the framework deleted, model by model.
"""

import json
import os
import sys
from collections import Counter

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
django.setup()

from django.db.models.deletion import Collector  # noqa: E402 - models exist only after setup
from helpdesk.models import Queue  # noqa: E402


def main() -> None:
    """Deletes the queue and everything that the framework knows to be below it."""
    queue = Queue.objects.get(slug=sys.argv[1])
    collector = Collector(using="default", origin=queue)
    collector.collect([queue])
    below = Counter({model._meta.db_table: len(rows) for model, rows in collector.data.items()})
    for rows in collector.fast_deletes:
        # A database that takes few values at once is asked in several parts.
        below[rows.model._meta.db_table] += rows.count()
    queue.delete()
    print(json.dumps(below))


if __name__ == "__main__":
    main()
