"""The ticket system's first day: what an administrator sets up before the first ticket.

Imported by seed.py once the framework is set up.
"""

import datetime as dt

import story
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from helpdesk import models
from helpdesk.query import query_to_base64

# Of accounts that live for one test.
PASSWORD = "not-a-secret"


class Office:
    """Customers as queues, accounts with their access, articles, prepared replies, own fields, a checklist."""

    def __init__(self, queues: int) -> None:
        """Does all of that, with this many customers."""
        self.people = story.accounts(queues)
        self.queues = [
            models.Queue.objects.create(
                title=title, slug=slug, email_address=f"{slug}@desk.example", updated_ticket_cc=f"office@{slug}.example"
            )
            for slug, title in story.FIRMS[:queues]
        ]
        groups = [self._group(queue) for queue in self.queues]
        self.admin = self._account(story.Account("admin", "admin@example.com", "Ad", "Min", staff=True, queues=()))
        self.admin.is_superuser = True
        self.admin.save()
        self.users = [self._account(person, groups) for person in self.people]
        for queue in self.queues:
            queue.default_owner = self.agent(queue)
            queue.save()
        self.fields = [
            models.CustomField.objects.create(name=name, label=label, data_type="varchar", max_length=40, ordering=n)
            for n, (name, label) in enumerate((("contractno", "Contract number"), ("callback", "Call back")))
        ]
        self.checklist = models.ChecklistTemplate.objects.create(
            name="Return of a device", task_list=["Label sent", "Device arrived", "Data wiped"]
        )
        self._knowledge()
        self._replies()

    def agent(self, queue: models.Queue) -> User:
        """Who serves this queue alone."""
        return next(user for user in self.users if user.username == f"agent.{queue.slug}")

    def service(self, queue: int) -> User:
        """One of the operator's team who may enter this queue among others."""
        return next(u for u, p in zip(self.users, self.people, strict=True) if p.staff and queue in p.queues)

    def people_of(self, queue: int) -> list[User]:
        """The customers' people of this queue; some of them are of two."""
        return [u for u, p in zip(self.users, self.people, strict=True) if not p.staff and queue in p.queues]

    def customer(self, queue: int, n: int) -> User:
        """One of them, in turn."""
        people = self.people_of(queue)
        return people[n % len(people)]

    def _group(self, queue: models.Queue) -> Group:
        group = Group.objects.create(name=f"Access to {queue.title}")
        codename = queue.permission_name.removeprefix("helpdesk.")
        group.permissions.set(Permission.objects.filter(codename=codename))
        return group

    def _account(self, person: story.Account, groups: list[Group] | None = None) -> User:
        user = User.objects.create(
            username=person.username,
            email=person.email,
            first_name=person.given,
            last_name=person.surname,
            is_staff=person.staff,
            password=make_password(PASSWORD, salt=person.username.replace(".", "")),
        )
        user.groups.set([groups[q] for q in person.queues] if groups else [])
        return user

    def _knowledge(self) -> None:
        self.articles: list[list[models.KBItem]] = []
        for n, queue in enumerate([*self.queues, None]):
            slug = queue.slug if queue else "general"
            category = models.KBCategory.objects.create(
                name=slug, title=f"Questions: {slug}", slug=slug, description=f"Answers for {slug}", queue=queue
            )
            items = [
                models.KBItem.objects.create(
                    category=category, title=f"{slug} {m}", question=f"How, {m}?", answer=f"Thus, {m}.", order=m
                )
                for m in range(3)
            ]
            sheet = SimpleUploadedFile(f"sheet-{slug}.txt", f"how to, {slug}\n".encode(), "text/plain")
            models.KBIAttachment.objects.create(kbitem=items[0], file=sheet, filename=sheet.name)
            voters = [user for q in ([n] if queue else range(len(self.queues))) for user in self.people_of(q)[:3]]
            for item in items:
                item.voted_by.set(voters)
                item.votes = item.recommendations = len(voters)
                item.save()
            self.articles.append(items)

    def _replies(self) -> None:
        for queue in self.queues:
            hello = models.PreSetReply.objects.create(name=f"Hello {queue.slug}", body="Hello {{ ticket.title }}")
            hello.queues.add(queue)
            models.IgnoreEmail.objects.create(
                name=f"bounce {queue.slug}", email_address=f"bounce@{queue.slug}.example"
            ).queues.add(queue)
            query = query_to_base64(
                {
                    "filtering": {"queue__id__in": [queue.pk]},
                    "filtering_null": {},
                    "sorting": "created",
                    "sortreverse": False,
                    "search_string": "",
                }
            )
            models.SavedSearch.objects.create(user=self.agent(queue), title=f"All of {queue.title}", query=query)
        models.PreSetReply.objects.create(name="For everybody", body="Thank you")
        shared = models.PreSetReply.objects.create(name="For two firms", body="Thank you both")
        shared.queues.set([self.queues[story.LEAVES], self.queues[story.STAYS]])
        models.EscalationExclusion.objects.create(name="New year", date=dt.date(2026, 1, 1)).queues.set(self.queues)
