"""Lets the ticket system live through 200 days, by its own models, forms and functions, each at its own instant.

    python seed.py --now 2026-03-01T12:00:00+00:00 [--seed 1] [--queues 6] [--tickets 300] [--inbound 0]

Prints a JSON document that says what a test needs to find its way. Equal arguments give equal rows (session keys
and the random keys of tickets included).
"""

import argparse
import datetime as dt
import json
import os
import random
import uuid

import django
import time_machine

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
django.setup()

import story  # noqa: E402 - models exist only after setup
from django.contrib.admin.models import CHANGE, LogEntry  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.contrib.auth.signals import user_logged_in  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.core.files.uploadedfile import SimpleUploadedFile  # noqa: E402
from django.db import transaction  # noqa: E402
from django.test import RequestFactory  # noqa: E402
from helpdesk import models  # noqa: E402
from helpdesk.forms import TicketForm  # noqa: E402
from helpdesk.lib import process_attachments  # noqa: E402
from helpdesk.update_ticket import subscribe_to_ticket_updates, update_ticket  # noqa: E402
from helpdesk.views.staff import redirect_from_chosen_ticket  # noqa: E402
from office import PASSWORD, Office  # noqa: E402

LEAVING, NEIGHBOUR, OTHERS = story.LEAVES, story.STAYS, (2, 3)


class World:
    """What exists so far; each method is one thing that people do with the application."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Plans the story; touches nothing yet."""
        self.options = options
        self.rng = random.Random(f"world {options.seed}")
        self.tickets: dict[tuple[int, int], models.Ticket] = {}
        self.crossings: list[dict[str, object]] = []
        self.orphans: list[dict[str, str]] = []

    def set_up(self) -> None:
        """The first day."""
        self.office = Office(self.options.queues)

    def open(self, step: story.Step) -> None:
        """A customer's person opens a ticket: every twentieth by the application's form, the others by its model."""
        queue, agent = self.office.queues[step.queue], self.office.agent(self.office.queues[step.queue])
        submitter = self.office.customer(step.queue, step.ticket)
        title = f"{self._pick(story.TROUBLES)} {self._pick(story.PLACES)}"
        body = f"{submitter.first_name} {submitter.last_name} of {queue.title} writes: {title.lower()}."
        if step.ticket % 20 == 0:
            ticket = self._by_form(queue, agent, submitter.email, title, body)
        else:
            ticket = models.Ticket(
                title=title,
                queue=queue,
                submitter_email=submitter.email,
                description=body,
                priority=self.rng.randint(1, 5),
                assigned_to=agent if step.ticket % 3 else None,
            )
        ticket.secret_key = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
        ticket.kbitem = self._article(step)
        ticket.save()
        self.tickets[step.queue, step.ticket] = ticket
        self._extras(step, ticket)
        self._cross(step, ticket)

    def reply(self, step: story.Step) -> None:
        """The firm's person writes, staff answers, and in the end the ticket is solved."""
        ticket = self.tickets[step.queue, step.ticket]
        if ticket.merged_to_id:
            return
        agent = self.office.agent(ticket.queue) if step.number % 2 else self.office.service(step.queue)
        status = self._next_status(ticket, step)
        if step.ticket % 20 == 0:
            update_ticket(
                agent,
                ticket,
                comment=f"Looked at it, part {step.number}.",
                public=True,
                new_status=status,
                priority=self.rng.randint(1, 5),
            )
            return
        author = self.office.customer(step.queue, step.ticket) if step.number == 0 else agent
        followup = models.FollowUp(
            ticket=ticket,
            title="Comment",
            public=step.number != 2,
            user=author,
            comment=f"{author.first_name} {author.last_name}: note {step.number}.",
            time_spent=dt.timedelta(minutes=5 * step.number),
        )
        if status != ticket.status:
            change = (ticket.get_status_display(), status)
            ticket.status = followup.new_status = status
            followup.save()
            followup.ticketchange_set.create(field="Status", old_value=change[0], new_value=ticket.get_status_display())
        else:
            followup.save()
        if step.ticket % 15 == 4 and step.number == 0:
            note = SimpleUploadedFile(f"note-{ticket.pk}.txt", f"about ticket {ticket.pk}\n".encode(), "text/plain")
            process_attachments(followup, [note])
            if step.ticket % 60 == 4:
                self._attached_by_mistake(followup)

    def _attached_by_mistake(self, followup: models.FollowUp) -> None:
        """A file that its author takes back: the application deletes the row, and its file stays where it was."""
        wrong = f"wrong-{followup.ticket.pk}.txt"
        process_attachments(followup, [SimpleUploadedFile(wrong, b"not meant for you\n", "text/plain")])
        attachment = followup.followupattachment_set.get(filename=wrong)
        self.orphans.append({"slug": followup.ticket.queue.slug, "path": attachment.file.name})
        attachment.delete()

    def sign_in(self, step: story.Step) -> None:
        """Somebody signs in: a session row, and the account's last login."""
        user = self.office.users[step.number]
        store = SessionStore()
        store.update({"_auth_user_id": str(user.pk), "_auth_user_hash": user.get_session_auth_hash()})
        store.model.objects.create(
            session_key=f"{self.rng.getrandbits(160):032x}"[:32],
            session_data=store.encode(dict(store.items())),
            expire_date=store.get_expiry_date(),
        )
        user_logged_in.send(sender=User, request=None, user=user)

    def administer(self, step: story.Step) -> None:
        """Staff changes something in the administration, which writes its log."""
        queue = self.office.queues[step.queue]
        thing = self.office.agent(queue) if step.number % 3 == 0 else queue
        if step.number % 3 == 1:
            thing = self.tickets.get((step.queue, step.number % 7), queue)
        LogEntry.objects.log_actions(
            self.office.admin.pk if step.number % 4 else self.office.agent(queue).pk,
            [thing],
            CHANGE,
            [{"changed": {"fields": ["Title"]}}],
            single_object=True,
        )

    def manifest(self) -> dict[str, object]:
        """What a test needs to know."""
        crossing = {n for crossing in self.crossings for n in (crossing["ticket"], crossing["other"])}
        return {
            "now": self.options.now.isoformat(),
            "password": PASSWORD,
            "leaving": self.office.queues[LEAVING].slug,
            "queues": [
                {"id": q.pk, "slug": q.slug, "title": q.title, "agent": self.office.agent(q).username}
                for q in self.office.queues
            ],
            "crossings": self.crossings,
            "orphans": self.orphans,
            "with_files": [
                {"slug": t.queue.slug, "ticket": t.pk}
                for (_, n), t in sorted(self.tickets.items())
                if n in {4, 19} and t.pk not in crossing
            ],
            "public": [
                {
                    "slug": t.queue.slug,
                    "ticket": f"{t.queue.slug}-{t.pk}",
                    "email": t.submitter_email,
                    "key": t.secret_key,
                }
                for (_, n), t in sorted(self.tickets.items())
                if n % 60 == 17 and t.pk not in crossing
            ],
        }

    def _by_form(self, queue: models.Queue, agent: User, email: str, title: str, body: str) -> models.Ticket:
        data = {
            "queue": queue.pk,
            "title": title,
            "body": body,
            "submitter_email": email,
            "assigned_to": agent.pk,
            "priority": self.rng.randint(1, 5),
            "custom_contractno": f"C-{self.rng.randint(1000, 9999)}",
        }
        form = TicketForm(queue_choices=[(queue.pk, queue.title)], data=data)
        if not form.is_valid():
            raise ValueError(form.errors.as_json())
        return form.save(user=agent)

    def _article(self, step: story.Step) -> models.KBItem | None:
        """Own article, general article (no queue behind it), or, rarely, one of a firm that stays."""
        if step.ticket % 30 == 7:
            return self.office.articles[OTHERS[0]][0]
        if step.ticket % 7 == 2:
            return self.office.articles[-1][step.ticket % 3]
        return self.office.articles[step.queue][step.ticket % 3] if step.ticket % 3 == 1 else None

    def _extras(self, step: story.Step, ticket: models.Ticket) -> None:
        if step.ticket % 4 == 1:
            subscribe_to_ticket_updates(ticket, user_id=self.office.customer(step.queue, step.ticket + 1).pk)
        if step.ticket % 4 == 2:
            subscribe_to_ticket_updates(ticket, email=f"cc{step.ticket}@{ticket.queue.slug}.example")
        if step.ticket % 5 == 3:
            ticket.save_custom_field_values({"custom_callback": f"+49 30 0000 {step.ticket:04d}"})
        if step.ticket % 20 == 6:
            checklist = models.Checklist.objects.create(ticket=ticket, name="Return of a device")
            checklist.create_tasks_from_template(self.office.checklist)
        earlier = self.tickets.get((step.queue, step.ticket - 5))
        if step.ticket % 12 == 8 and earlier:
            models.TicketDependency.objects.create(ticket=ticket, depends_on=earlier)
        if step.ticket % 40 == 9 and earlier:
            self._merge(ticket, earlier)

    def _cross(self, step: story.Step, ticket: models.Ticket) -> None:
        """Rows that reach two firms. `--inbound` lets a firm that stays point at the one that leaves."""
        if step.queue == LEAVING and step.ticket % 60 == 11:
            self._depend("leaver depends on neighbour", ticket, self.tickets.get((NEIGHBOUR, step.ticket - 10)))
        if step.queue == OTHERS[1] and step.ticket % 60 == 11:
            self._depend("between firms that stay", ticket, self.tickets.get((OTHERS[0], step.ticket - 10)))
        if step.queue == OTHERS[0] and step.ticket % 100 == 13:
            other = self.tickets.get((OTHERS[1], step.ticket - 10))
            if other and not other.merged_to_id:
                self._merge(ticket, other)
                self.crossings.append({"kind": "merged into another firm's", "ticket": ticket.pk, "other": other.pk})
        if step.queue == NEIGHBOUR and step.ticket % 10 == 5 and step.ticket // 10 < self.options.inbound:
            self._depend("neighbour depends on leaver", ticket, self.tickets.get((LEAVING, step.ticket - 3)))

    def _depend(self, kind: str, ticket: models.Ticket, on: models.Ticket | None) -> None:
        if on:
            models.TicketDependency.objects.create(ticket=ticket, depends_on=on)
            self.crossings.append({"kind": kind, "ticket": ticket.pk, "other": on.pk})

    def _merge(self, ticket: models.Ticket, into: models.Ticket) -> None:
        """The application's own merge: it moves the messages to the other ticket."""
        both = models.Ticket.objects.filter(pk__in=[ticket.pk, into.pk])
        into.refresh_from_db()
        redirect_from_chosen_ticket(RequestFactory().post("/"), into, both, self.office.fields)
        ticket.refresh_from_db()

    def _next_status(self, ticket: models.Ticket, step: story.Step) -> int:
        if step.number == 1 and step.ticket % 6:
            return int(models.Ticket.RESOLVED_STATUS)
        if step.number >= 2 and ticket.status == models.Ticket.RESOLVED_STATUS:
            return int(models.Ticket.CLOSED_STATUS)
        return int(ticket.status)

    def _pick(self, words: tuple[str, ...]) -> str:
        return self.rng.choice(words)


def main() -> None:
    """Lives through the story in one transaction and prints the manifest."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--now", required=True, type=dt.datetime.fromisoformat)
    for name, default in (("--seed", 1), ("--queues", 6), ("--tickets", 300), ("--inbound", 0)):
        parser.add_argument(name, type=int, default=default)
    options = parser.parse_args()
    world = World(options)
    acts = {"open": world.open, "reply": world.reply, "sign-in": world.sign_in, "administer": world.administer}
    plan = story.steps(options.now, options.seed, options.queues, options.tickets, len(story.accounts(options.queues)))
    with transaction.atomic():
        with time_machine.travel(options.now - story.SPAN, tick=False):
            world.set_up()
        for step in plan:
            with time_machine.travel(step.at, tick=False):
                acts[step.kind](step)
    print(json.dumps(world.manifest()))


if __name__ == "__main__":
    main()
