"""Bad input: semantics that need no catalogue, zones, tenants, operators."""

from __future__ import annotations

from tests.documents.bases import AGREEMENT, MARK, Bad, swap

M = MARK
_OTHER = 'id: other\n    clause: "5"\n    start: collection\n'
_TEST_STORE = "    kind: sql\n    place: {country: DE}\n    environment: test\n"
_LOG_RULE = '  - id: log-rule\n    clause: "5.7"'

_AT = "times: {collection: {column: at, encoding: utc}}"
_KEEP_AT, _CHANGE_AT = "{how: keep, column: at, why: Start}", f"{{how: {M}set-null, column: at}}"
_KEPT = f"{{how: keep, column: id, why: Key}}, {{how: keep, column: tenant_id, why: Tenant}}, {_KEEP_AT}"
_KEY_CHANGED = _KEPT.replace("how: keep, column: id, why: Key", f"how: {M}token, column: id")

AGREEMENTS = [
    swap("rule without clause and reason", "agreement", _LOG_RULE, f"  - {M}id: log-rule", "clause or on the operator"),
    swap(
        "rule with clause and reason",
        "agreement",
        _LOG_RULE,
        f'  - {M}id: log-rule\n    own: Because\n    clause: "5"',
        "clause or",
    ),
    swap("empty category list", "agreement", "category: [logs]", f"category: {M}[]", "empty list"),
    swap("category not declared", "agreement", "category: [logs]", f"category: [logs, {M}log]", "not declared"),
    swap("category as a wildcard", "agreement", "category: [logs]", f'category: {M}"*"', "not one of"),
    swap("category as an empty text", "agreement", "category: [logs]", f'category: [{M}""]', "form of this field"),
    swap("category as zero", "agreement", "category: [logs]", f"category: [{M}0]", "not text"),
    swap(
        "parameter not declared",
        "agreement",
        "keep: {parameter: retention}",
        f"keep: {{parameter: {M}retentoin}}",
        "not declared",
    ),
    swap(
        "reading that does not exist",
        "agreement",
        "plus: {operator: without_delay}",
        f"plus: {{operator: {M}soon}}",
        "not one of",
    ),
    swap(
        "breach clock as a period's reading",
        "agreement",
        "plus: {operator: without_delay}",
        f"plus: {{operator: {M}breach_notice}}",
        "not one of",
    ),
    swap("start that does not exist", "agreement", "start: collection", f"start: {M}creation", "not one of"),
    swap(
        "start as an unknown kind",
        "agreement",
        "{event: booking-end}",
        f"{M}{{column: ends_at}}",
        "event is missing",
        2,
    ),
    swap(
        "action that does not exist",
        "agreement",
        "    start: collection",
        f"    action: {M}archive\n    start: collection",
        "not one of",
    ),
    swap(
        "anonymise without a clause",
        "agreement",
        "    start: collection",
        f"    action: {M}anonymise\n    start: collection",
        "grants",
    ),
    swap("two rules of one id", "agreement", "  - id: content-rule", f"  - id: {M}log-rule", "twice"),
    swap(
        "ceilings in conflict",
        "agreement",
        "  - id: content-rule",
        f"  - {M}{_OTHER}    category: [logs]\n    gone_by: P60D\n  - id: content-rule",
        "conflict at equal rank",
        2,
    ),
    swap(
        "floor above another rule's ceiling",
        "agreement",
        "  - id: content-rule",
        f"  - {M}{_OTHER}    category: all\n    keep: P1Y\n  - id: content-rule",
        "floor of one lies above",
        2,
    ),
    swap(
        "delete and anonymise in conflict",
        "agreement",
        "  - id: content-rule",
        f"  - {M}{_OTHER}    category: [logs]\n    gone_by: P90D\n    action: anonymise\n"
        '    anonymise_clause: "5"\n  - id: content-rule',
        "anonymises",
        2,
    ),
    swap(
        "ceiling within the pick-up period",
        "agreement",
        "start: window-end\n    gone_by: {operator: without_delay}",
        f"start: contract-end\n    gone_by: {M}P14D",
        "within the window",
    ),
    swap("amends itself", "agreement", "zone:", f"layer: individual\namends: {M}sample\nzone:", "itself"),
    swap(
        "layer that does not exist",
        "agreement",
        "order: [individual, standard]",
        f"order: [individual, {M}annex]",
        "not one of",
    ),
    swap("layer twice", "agreement", "order: [individual, standard]", f"order: {M}[standard, standard]", "twice"),
    swap("empty order", "agreement", "order: [individual, standard]", f"order: {M}[]", "ranks nothing"),
    swap(
        "order without its own layer",
        "agreement",
        "order: [individual, standard]",
        f"order: {M}[individual]",
        "leaves out",
    ),
    swap(
        "Data Act off without a reason",
        "agreement",
        "on_doubt:",
        f"data_act: {{applies: {M}false}}\non_doubt:",
        "without a reason",
    ),
    swap(
        "backup delay without a clause",
        "agreement",
        'backups: {delay_agreed: true, clause: "3.4"}',
        f"backups: {{delay_agreed: {M}true}}",
        "stands in a clause",
    ),
    swap(
        "a sentence as a clause",
        "agreement",
        'clause: "5.7"',
        f'clause: {M}"5.7: deleted after 90 days!"',
        "form of this field",
    ),
    swap("choice that does not exist", "agreement", "default: delete", f"default: {M}keep", "not one of"),
    swap("doubt without an answer", "agreement", "on_doubt: inform", f"on_doubt: {M}ignore", "not one of"),
    swap("id with blanks", "agreement", "id: sample", f"id: {M}my sample", "form of this field"),
    swap("id in capitals", "agreement", "id: sample", f"id: {M}Sample", "form of this field"),
    swap("id that climbs", "agreement", "id: sample", f"id: {M}../sample", "form of this field"),
    swap("id of 81 characters", "agreement", "id: sample", f"id: {M}{'a' * 81}", "form of this field"),
    swap("title of 301 characters", "agreement", "title: A sample", f"title: {M}{'a' * 301}", "longer than 300"),
    swap("title over two lines", "agreement", "title: A sample", f'title: {M}"a\\nb"', "form of this field"),
    swap("empty title", "agreement", "title: A sample", f'title: {M}""', "empty"),
    swap("third country unmarked", "agreement", "country: DE}", f"country: {M}US}}", "outside the EEA"),
    swap(
        "third country without a safeguard",
        "agreement",
        "country: DE}",
        f"country: US, third_country: {M}true}}",
        "without a safeguard",
    ),
    swap("proof of another name", "agreement", "title: Löschnachweis", f"title: {M}Protokoll", "not one of"),
    Bad(
        "agreement without most of it",
        f'{M}lifecycle: agreement/v1\nid: a\nversion: "1"\ntitle: A\n',
        "precedence is missing",
        6,
    ),
    swap("two categories of one id", "agreement", "{id: content, name", f"{{id: {M}logs, name", "twice", 2),
    swap("two parameters of one name", "agreement", "rules:", f'  {M}retention: {{clause: "1"}}\nrules:', "twice"),
    swap(
        "two sub-processors of one id",
        "agreement",
        "promises:",
        f"  - {{id: {M}host, name: A, purpose: B, country: DE}}\npromises:",
        "twice",
    ),
    swap(
        "two windows of one id",
        "agreement",
        "choice:",
        f'  - {{id: {M}export, clause: "10", keep: P30D}}\nchoice:',
        "twice",
    ),
    swap(
        "individual without what it amends",
        "agreement",
        "zone:",
        f"layer: {M}individual\nzone:",
        "only an individual one does",
    ),
    swap(
        "amends without being individual",
        "agreement",
        "zone:",
        "amends: other\nlayer: " + M + "standard\nzone:",
        "only an individual",
    ),
    swap("country in words", "agreement", "country: DE}", f"country: {M}Germany}}", "form of this field"),
    swap("country in lower case", "agreement", "country: DE}", f"country: {M}de}}", "form of this field"),
    Bad(
        "all of no categories",
        AGREEMENT.split("categories:")[0]
        + f"""rules:
  - id: end
    clause: "9"
    category: {M}all
    start: window-end
    gone_by: {{operator: without_delay}}
choice: {{}}
proof: {{title: Löschnachweis}}
backups: {{delay_agreed: false}}
on_doubt: inform
""",
        "all of no categories",
    ),
]

ZONES = [
    swap(f"zone {name}", "agreement", "zone: Europe/Berlin", f"zone: {M}{zone}", "time zone is unknown")
    for name, zone in (
        ("misspelt", "Europe/Berlni"),
        ("in another case", "europe/berlin"),
        ("of a continent", "Europe"),
        ("that climbs", "../../etc/passwd"),
        ("that is a path", "/etc/localtime"),
        ("of the machine", "localtime"),
        ("offset", "'+02:00'"),
        ("with a trailing slash", "Europe/Berlin/"),
        ("with a blank", "'Europe/Berlin '"),
        ("abbreviated", "CESTX"),
    )
]

INVENTORIES = [
    swap(
        "zone of a column",
        "inventory",
        "encoding: local, zone: Europe/Berlin",
        f"encoding: local, zone: {M}Europe/Bonn",
        "time zone",
    ),
    swap(
        "local time without a zone",
        "inventory",
        "encoding: local, zone: Europe/Berlin",
        f"encoding: {M}local",
        "without its zone",
    ),
    swap(
        "treated by no known way",
        "inventory",
        _AT,
        f"{_AT}\n    anonymise: [{{how: {M}hash, column: ip}}]",
        "missing or unknown",
    ),
    swap(
        "kept without a reason",
        "inventory",
        _AT,
        f"{_AT}\n    anonymise: [{M}{{how: keep, column: id}}, {{how: set-null, column: ip}}]",
        "why is missing",
    ),
    swap(
        "a column that nobody decided about",
        "inventory",
        _AT,
        f"{_AT}\n    columns: [id, tenant_id, at, ip, agent]\n"
        f"    anonymise: {M}[{_KEPT}, {{how: set-null, column: ip}}]",
        "'agent' is not accounted for",
    ),
    swap(
        "a start time that would change",
        "inventory",
        _AT,
        f"{_AT}\n    anonymise: [{_KEPT.replace(_KEEP_AT, _CHANGE_AT)}]",
        "'at' is the start time",
    ),
    swap(
        "a person who would be left over",
        "inventory",
        _AT,
        f"{_AT}\n    persons: [{{column: ip, holds: other}}]\n"
        f"    anonymise: [{_KEPT}, {{how: {M}keep, column: ip, why: Wrong}}, {{how: set-null, column: agent}}]",
        "names a person",
    ),
    swap(
        "a column treated twice",
        "inventory",
        _AT,
        f"{_AT}\n    anonymise: [{_KEPT}, {{how: token, column: ip}}, {{how: set-null, column: {M}ip}}]",
        "treated twice",
    ),
    swap("a key that is anonymised", "inventory", _AT, f"{_AT}\n    anonymise: [{_KEY_CHANGED}]", "'id' is the key"),
    swap(
        "a step of one",
        "inventory",
        _AT,
        f"{_AT}\n    anonymise: [{_KEPT}, {{how: number, column: ip, step: {M}1}}]",
        "out of bounds",
    ),
    swap(
        "a token too short to be told",
        "inventory",
        _AT,
        f"{_AT}\n    anonymise: [{_KEPT}, {{how: token, column: ip, digits: {M}8}}]",
        "out of bounds",
    ),
    swap("encoding that does not exist", "inventory", "encoding: epoch-s", f"encoding: {M}unix", "not one of"),
    swap("dataset twice", "inventory", "- id: bookings", f"- id: {M}log", "twice"),
    swap("table twice", "inventory", "table: bookings", f"table: {M}log", "already covers"),
    swap("cascade to nowhere", "inventory", "{dataset: log, column", f"{{dataset: {M}logs, column", "not declared"),
    swap("trigger that writes nowhere", "inventory", "effect: none}", f"effect: {M}writes}}", "names the dataset"),
    swap(
        "trigger that writes to nowhere",
        "inventory",
        "effect: none}",
        f"effect: writes, dataset: {M}audit}}",
        "not declared",
    ),
    swap("trigger that cancels", "inventory", "effect: none}", f"effect: {M}cancels}}", "not one of"),
    swap(
        "statutory start that is no time",
        "inventory",
        "start: booking-end}",
        f"start: {M}issued}}",
        "not one of this dataset's",
    ),
    swap("statutory kind that does not exist", "inventory", "kind: invoice", f"kind: {M}receipt", "not one of"),
    swap("no key", "inventory", "key: [id]", f"key: {M}[]", "empty"),
    swap("key column twice", "inventory", "key: [id]", f"key: {M}[id, id]", "twice"),
    swap(
        "tenancy without a column",
        "inventory",
        "tenant: {by: column, column: tenant_id}",
        f"tenant: {M}{{by: column}}",
        "names no column",
    ),
    swap(
        "tenancy without a path",
        "inventory",
        "by: column, column",
        f"by: {M}path, column",
        "belongs to tenancy by path",
    ),
    swap(
        "path without tenancy by path",
        "inventory",
        "      by: path",
        f"      by: {M}column",
        "belongs to tenancy by path",
    ),
    swap(
        "pattern without the tenant",
        "inventory",
        "tenant: {by: column, column: tenant_id}",
        f'tenant: {{by: {M}prefix, pattern: "files/"}}',
        "no pattern with {tenant}",
    ),
    swap(
        "empty prefix",
        "inventory",
        "tenant: {by: column, column: tenant_id}",
        f'tenant: {{by: prefix, pattern: {M}""}}',
        "empty",
    ),
    swap("tenancy that does not exist", "inventory", "by: column, column", f"by: {M}all, column", "not one of"),
    swap(
        "rows without a tenant deleted",
        "inventory",
        "column: tenant_id}",
        f"column: tenant_id, nulls: {M}delete}}",
        "not one of",
    ),
    swap("empty column name", "inventory", "column: tenant_id}", f'column: {M}""}}', "empty"),
    swap(
        "address in the document",
        "inventory",
        "address: {env: DB_URL}",
        f"address: {M}postgresql://user:geheim@db/x",
        "mapping",
    ),
    swap(
        "two sources of an address",
        "inventory",
        "address: {env: DB_URL}",
        f"address: {M}{{env: A, file: /b}}",
        "exactly one source",
    ),
    swap("no source of an address", "inventory", "address: {env: DB_URL}", f"address: {M}{{}}", "exactly one source"),
    swap("variable in lower case", "inventory", "env: DB_URL", f"env: {M}db_url", "form of this field"),
    swap(
        "one credential for test and production",
        "inventory",
        "datasets:\n",
        f"  - id: db-test\n{_TEST_STORE}    address: {M}{{env: DB_URL}}\ndatasets:\n",
        "same credential",
    ),
    swap("kind of store that does not exist", "inventory", "kind: sql", f"kind: {M}mongo", "not one of"),
    swap("backup without a cycle", "inventory", "{id: nightly, cycle: P7D}", f"{M}{{id: nightly}}", "cycle is missing"),
    swap(
        "third country as a place", "inventory", "place: {country: DE}", f"place: {{country: {M}CH}}", "outside the EEA"
    ),
    swap("everything declared not personal", "inventory", "table: rates", f'table: {M}"*"', "hide"),
    swap("pattern with a star inside", "inventory", "table: rates", f'table: {M}"a*b"', "hide"),
    swap(
        "not personal without a reason",
        "inventory",
        "{store: db, table: rates, why: Public rates.}",
        f"{M}{{store: db, table: rates}}",
        "why",
    ),
    swap("not personal and a dataset", "inventory", "table: rates", f"table: {M}log", "so it is personal"),
    swap(
        "not personal in no store",
        "inventory",
        "{store: db, table: rates",
        f"{{store: {M}bd, table: rates",
        "not declared",
    ),
    swap(
        "object key without the column's value",
        "inventory",
        "    cascades:\n",
        f"    references:\n      - {{column: k, store: db, key_template: {M}all}}\n    cascades:\n",
        "one object",
    ),
    swap(
        "condition that does not exist",
        "inventory",
        "    cascades:\n",
        f"    only: [{{kind: {M}like, column: a}}]\n    cascades:\n",
        "kind is missing or unknown",
    ),
    swap(
        "condition with no values",
        "inventory",
        "    cascades:\n",
        f"    only: [{{kind: one-of, column: a, values: {M}[]}}]\n    cascades:\n",
        "empty",
    ),
    Bad("no datasets", f"lifecycle: inventory/v1\nid: a\nstores: {M}[]\ndatasets: []\n", "empty", 2),
    swap(
        "store that does not exist",
        "inventory",
        "store: db\n    table: log",
        f"store: {M}other\n    table: log",
        "not declared",
    ),
    swap(
        "store twice",
        "inventory",
        "datasets:\n",
        f"  - id: {M}db\n    kind: memory\n    address: {{env: X}}\n    place: {{country: DE}}\ndatasets:\n",
        "twice",
    ),
    swap(
        "condition without a kind",
        "inventory",
        "    cascades:\n",
        f"    only: [{M}{{column: a}}]\n    cascades:\n",
        "kind is missing",
    ),
    swap(
        "SQL as a condition", "inventory", "    cascades:\n", f'    only: [{M}"1=1 or true"]\n    cascades:\n', "needed"
    ),
    swap(
        "condition on null as a plain word",
        "inventory",
        "    cascades:\n",
        f"    only: [{{{M}kind: , column: a}}]\n    cascades:\n",
        "empty",
    ),
]

STATUTES = [
    swap(
        "floor without an end of year or day",
        "statutes",
        "    of: issue",
        f"    starts: {M}month-end\n    of: issue",
        "not one of",
    ),
    swap(
        "validity before it begins",
        "statutes",
        "valid_from: 2025-01-01",
        f"valid_from: 2025-01-01\n    valid_until: {M}2024-12-31",
        "ends before",
    ),
    swap(
        "exceptions and addressees",
        "statutes",
        "    of: issue",
        f"    except_for: [bank]\n    only_for: {M}[insurer]\n    of: issue",
        "not both",
    ),
    swap("no kinds", "statutes", "kinds: [invoice]", f"kinds: {M}[]", "empty"),
    swap(
        "holder that does not exist",
        "statutes",
        "    of: issue",
        f"    holders: [{M}tenant]\n    of: issue",
        "not one of",
    ),
    swap(
        "review before approval",
        "operator",
        "review_by: 2027-01-04",
        f"review_by: {M}2025-01-04",
        "before the approval",
    ),
    swap(
        "one key for two operators",
        "operators",
        'public_key: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI="',
        f'public_key: {M}"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="',
        "same public key",
    ),
    swap(
        "key with spare bits",
        "operators",
        'public_key: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI="',
        f'public_key: {M}"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAJ="',
        "32 bytes",
    ),
    swap(
        "removed before added",
        "operators",
        "removed_on: 2026-02-01",
        f"removed_on: {M}2025-02-01",
        "before being added",
    ),
    swap(
        "federal state that does not exist",
        "operator",
        "federal_state: BE",
        f"federal_state: {M}XX",
        "federal state is unknown",
    ),
    swap("federal state in words", "operator", "federal_state: BE", f"federal_state: {M}Berlin", "form of this field"),
    swap("one id for two operators", "operators", "id: operations-2", f"id: {M}operations-1", "same id"),
    swap(
        "key that is no key",
        "operators",
        'public_key: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI="',
        f"public_key: {M}secret",
        "form",
    ),
    swap(
        "floors of one id",
        "statutes",
        "retrieval:",
        f"  - {{id: {M}invoices, citation: a, kinds: [book], period: P1Y, of: b}}\nretrieval:",
        "twice",
    ),
]

TENANTS = [
    swap("empty tenant", "tenants", 'id: "1001"', f'id: {M}""', "empty"),
    swap("tenant as a number", "tenants", 'id: "1001"', f"id: {M}1001", "is not text"),
    swap("tenant with a leading zero", "tenants", 'id: "1001"', f"id: {M}0042", "leading zero"),
    swap("tenant zero", "tenants", 'id: "1001"', f'id: {M}"0"', "wildcard"),
    swap("tenant star", "tenants", 'id: "1001"', f'id: {M}"*"', "wildcard"),
    swap("tenant percent", "tenants", 'id: "1001"', f'id: {M}"%"', "wildcard"),
    swap("tenant underscore", "tenants", 'id: "1001"', f'id: {M}"_"', "wildcard"),
    swap("tenant as a list", "tenants", 'id: "1001"', f"id: {M}[]", "not text"),
    swap("tenant true", "tenants", 'id: "1001"', f"id: {M}true", "not text"),
    swap("tenant padded", "tenants", 'id: "1001"', f'id: {M}"1001 "', "padded"),
    swap("tenant of 300 characters", "tenants", 'id: "1001"', f"id: {M}{'a' * 300}", "longer than 200"),
    swap("tenant from right to left", "tenants", 'id: "1001"', f'id: {M}"acme\\u202Egnp"', "RIGHT-TO-LEFT OVERRIDE"),
    swap("tenant with a zero-width space", "tenants", 'id: "1001"', f'id: {M}"ac\\u200bme"', "ZERO WIDTH"),
    Bad("no tenants and no source", f"{M}lifecycle: tenants/v1\n", "empty register"),
    Bad("tenants left empty", f"lifecycle: tenants/v1\n{M}tenants:\n", "empty"),
    Bad("source with SQL in place of a table", f"lifecycle: tenants/v1\nsource: {M}select id from t\n", "mapping"),
    Bad(
        "source without an agreement",
        f"lifecycle: tenants/v1\nsource: {M}{{store: db, table: t, id_column: id}}\n",
        "which agreement",
    ),
    swap(
        "contract that ends before it starts",
        "tenants",
        "contract_start: 2026-01-01",
        f"contract_start: 2026-01-01\n    contract_end: {M}2025-12-31",
        "ends before it starts",
    ),
    swap(
        "day of a choice that was not made",
        "tenants",
        "contract_start: 2026-01-01",
        f"choice_on: {M}2026-01-01",
        "without a choice",
    ),
    swap(
        "choice of a tenant that does not exist",
        "tenants",
        "contract_start: 2026-01-01",
        f"choice: {M}keep",
        "not one of",
    ),
    swap("state that does not exist", "tenants", "contract_start: 2026-01-01", f"state: {M}gone", "not one of"),
    swap(
        "parameter in words",
        "tenants",
        "parameters: {retention: P6M}",
        f"parameters: {{retention: {M}half a year}}",
        "not a calendar period",
    ),
    swap(
        "parameter of another name form",
        "tenants",
        "parameters: {retention: P6M}",
        f"parameters: {{{M}Retention: P6M}}",
        "form",
    ),
    swap("customer number as a number", "tenants", "contract_start: 2026-01-01", f"customer_number: {M}12", "not text"),
    swap(
        "authorised person by address",
        "tenants",
        "contract_start: 2026-01-01",
        f"authorised: [{M}someone@example.com]",
        "form",
    ),
    swap(
        "misspelt key of a tenant", "tenants", "contract_start: 2026-01-01", f"{M}contract_begin: 2026-01-01", "unknown"
    ),
    swap(
        "federal state of a tenant", "tenants", "federal_state: BY", f"federal_state: {M}AA", "federal state is unknown"
    ),
    swap("tenant with a line feed", "tenants", 'id: "1001"', f'id: {M}"ac\\nme"', "form of this field"),
    swap("tenant twice", "tenants", "id: second", f'id: {M}"1001"', "declared twice"),
    swap("tenant written with a digits of another script", "tenants", 'id: "1001"', f"id: {M}١٠٠١", "another script"),
]

SEMANTICS = [*AGREEMENTS, *ZONES, *INVENTORIES, *STATUTES, *TENANTS]
