"""Which queue each row of the ticket system is of, in SQL written by hand: the counter's knowledge, and the tests'."""

QUEUES = "SELECT slug, id FROM helpdesk_queue"
OF_TICKET = "SELECT q.slug, t.id FROM helpdesk_ticket t JOIN helpdesk_queue q ON q.id = t.queue_id"
OF_FOLLOWUP = f"SELECT t.slug, f.id FROM helpdesk_followup f JOIN ({OF_TICKET}) t ON t.id = f.ticket_id"
OF_CATEGORY = "SELECT q.slug, c.id FROM helpdesk_kbcategory c LEFT JOIN helpdesk_queue q ON q.id = c.queue_id"
OF_ITEM = f"SELECT c.slug, i.id FROM helpdesk_kbitem i JOIN ({OF_CATEGORY}) c ON c.id = i.category_id"
OF_CHECKLIST = f"SELECT t.slug, l.id FROM helpdesk_checklist l JOIN ({OF_TICKET}) t ON t.id = l.ticket_id"


def _below(table: str, column: str, parents: str) -> str:
    return f"SELECT p.slug, x.id FROM {table} x JOIN ({parents}) p ON p.id = x.{column}"


# Which queue a row is of, by the one path that the application itself goes.
QUEUE_OF = {
    "helpdesk_queue": QUEUES,
    "helpdesk_ticket": OF_TICKET,
    "helpdesk_followup": OF_FOLLOWUP,
    "helpdesk_followupattachment": _below("helpdesk_followupattachment", "followup_id", OF_FOLLOWUP),
    "helpdesk_ticketchange": _below("helpdesk_ticketchange", "followup_id", OF_FOLLOWUP),
    "helpdesk_ticketcc": _below("helpdesk_ticketcc", "ticket_id", OF_TICKET),
    "helpdesk_ticketcustomfieldvalue": _below("helpdesk_ticketcustomfieldvalue", "ticket_id", OF_TICKET),
    "helpdesk_ticketdependency": _below("helpdesk_ticketdependency", "ticket_id", OF_TICKET),
    "helpdesk_checklist": OF_CHECKLIST,
    "helpdesk_checklisttask": _below("helpdesk_checklisttask", "checklist_id", OF_CHECKLIST),
    "helpdesk_kbcategory": OF_CATEGORY,
    "helpdesk_kbitem": OF_ITEM,
    "helpdesk_kbiattachment": _below("helpdesk_kbiattachment", "kbitem_id", OF_ITEM),
    "helpdesk_kbitem_voted_by": _below("helpdesk_kbitem_voted_by", "kbitem_id", OF_ITEM),
    "helpdesk_kbitem_downvoted_by": _below("helpdesk_kbitem_downvoted_by", "kbitem_id", OF_ITEM),
    "helpdesk_presetreply_queues": _below("helpdesk_presetreply_queues", "queue_id", QUEUES),
    "helpdesk_ignoreemail_queues": _below("helpdesk_ignoreemail_queues", "queue_id", QUEUES),
    "helpdesk_escalationexclusion_queues": _below("helpdesk_escalationexclusion_queues", "queue_id", QUEUES),
}
TIMES = (
    ("django_admin_log", "action_time"),
    ("django_session", "expire_date"),
    ("helpdesk_followup", "date"),
    ("helpdesk_ticket", "created"),
    ("helpdesk_ticket", "modified"),
)
# Rows that name a file below the application's folder of uploads.
FILES = ("helpdesk_followupattachment", "helpdesk_kbiattachment")
