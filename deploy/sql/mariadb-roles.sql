-- Least-privilege roles for a MariaDB target (10.6 or newer). Run by an administrator who may see triggers, with the
-- database of the store selected, after `lifecycle store prepare`:
--
--   mariadb --database=app < mariadb-roles.sql
--
-- and once more for `app` itself, because MariaDB has no variable for a database's name in GRANT (a backslash before
-- each `_` of the name: it would stand for any character):
--
--   GRANT REFERENCES ON `app`.* TO lifecycle_planner;
--
-- Then, for each dataset, the grants of the last part.
--
--   lifecycle_planner   counts, plans and verifies: reads key, tenant and time columns, and our tables
--   lifecycle_executor  is a planner too, and carries batches out: deletes, writes receipts and mirrors; no DDL

CREATE ROLE IF NOT EXISTS lifecycle_planner;
CREATE ROLE IF NOT EXISTS lifecycle_executor;
GRANT lifecycle_planner TO lifecycle_executor;

-- REFERENCES shows that a table or column exists, and reads nothing: without it information_schema hides what our role
-- may not read, and nobody would notice a new table. (Granted above, for the whole database.)

-- Triggers are shown only to who may make them. This procedure shows them with its maker's eyes.
CREATE OR REPLACE PROCEDURE lifecycle_triggers() SQL SECURITY DEFINER READS SQL DATA
  SELECT event_object_schema, event_object_table, trigger_name FROM information_schema.triggers
  WHERE event_object_schema = DATABASE() ORDER BY trigger_name;
GRANT EXECUTE ON PROCEDURE lifecycle_triggers TO lifecycle_planner;

GRANT SELECT ON lifecycle_fence TO lifecycle_planner;
GRANT SELECT ON lifecycle_hold TO lifecycle_planner;
GRANT SELECT ON lifecycle_tenant TO lifecycle_planner;
GRANT SELECT ON lifecycle_receipt TO lifecycle_planner;
GRANT SELECT ON lifecycle_migration TO lifecycle_planner;

-- The fence: the deployment's id cannot be changed.
GRANT UPDATE (epoch, hold_version, stopped, checkpoint) ON lifecycle_fence TO lifecycle_executor;
GRANT INSERT, UPDATE, DELETE ON lifecycle_tenant TO lifecycle_executor;
GRANT INSERT, UPDATE, DELETE ON lifecycle_hold TO lifecycle_executor;
-- Receipts are written and closed, never removed.
GRANT INSERT ON lifecycle_receipt TO lifecycle_executor;
GRANT UPDATE (state, deleted, cascaded, digest, sealed, checkpoint) ON lifecycle_receipt TO lifecycle_executor;

-- An account has one default role, and only a default role is there when it comes in:
--
--   CREATE USER lifecycle_login IDENTIFIED BY '…' REQUIRE SSL;
--   GRANT lifecycle_executor TO lifecycle_login;
--   SET DEFAULT ROLE lifecycle_executor FOR lifecycle_login;
--
-- For each dataset (example: tickets (id, customer_id, created_at, …), whose tenant is found over customers):
--
--   GRANT SELECT (id, customer_id, created_at) ON tickets TO lifecycle_planner;
--       key, tenant column, start times, columns of `only`, and every column that references another dataset
--   GRANT DELETE ON tickets TO lifecycle_executor;
--   GRANT SELECT (id, tenant_id) ON customers TO lifecycle_planner;
--   GRANT UPDATE (other_id) ON left_side TO lifecycle_executor;
--       a column that the inventory names under `detach`
--   GRANT SELECT (email), UPDATE (email, created_at, updated_at) ON tickets TO lifecycle_executor;
--   GRANT SELECT (email, updated_at) ON tickets TO lifecycle_planner;
--       columns that the inventory transforms under `anonymise`, where a rule anonymises: whether they are done is read
--       from their values, inside the server; and the start times, and times that renew themselves (ON UPDATE), which are
--       written back as they were
--   GRANT SELECT ON tickets TO lifecycle_planner;
--       whole rows, only where they are exported
--
-- Row locks need no privilege of their own. tests/stores/test_mariadb_roles.py runs this file and the whole line with
-- it, and checks what the roles cannot do.
