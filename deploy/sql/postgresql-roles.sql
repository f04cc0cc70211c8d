-- Least-privilege roles for a PostgreSQL target. Run by an administrator with psql, after `lifecycle store prepare`:
--
--   psql -v ON_ERROR_STOP=1 -v schema=public -f postgresql-roles.sql DATABASE
--
-- Then, for each dataset, the grants of the last part: they name tables and columns, so they belong to a deployment.
-- The roles cannot log in; grant them to the login roles of planner and executor.
--
--   lifecycle_planner   counts, plans and verifies: reads key, tenant and time columns, and our tables
--   lifecycle_executor  carries batches out: deletes, writes receipts and mirrors; no DDL, no TRUNCATE, no BYPASSRLS
--
-- Neither owns a table: ownership would let it switch row security off.

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'lifecycle_planner') THEN
    CREATE ROLE lifecycle_planner NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'lifecycle_executor') THEN
    CREATE ROLE lifecycle_executor NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
  END IF;
END
$$;

REVOKE ALL ON SCHEMA lifecycle FROM PUBLIC;
GRANT USAGE ON SCHEMA lifecycle, :"schema" TO lifecycle_planner, lifecycle_executor;
GRANT SELECT ON ALL TABLES IN SCHEMA lifecycle TO lifecycle_planner, lifecycle_executor;

-- The fence: UPDATE is also what PostgreSQL asks for before it grants FOR SHARE. The deployment's id cannot be changed.
GRANT UPDATE (epoch, hold_version, stopped, checkpoint) ON lifecycle.fence TO lifecycle_executor;
GRANT INSERT, UPDATE, DELETE ON lifecycle.tenant, lifecycle.hold TO lifecycle_executor;
-- Receipts are written and closed, never removed.
GRANT INSERT ON lifecycle.receipt TO lifecycle_executor;
GRANT UPDATE (state, deleted, cascaded, digest, sealed, checkpoint) ON lifecycle.receipt TO lifecycle_executor;

-- The planner of queries should know how large the mirrors are; before PostgreSQL 17 only their owner can tell it, and
-- autovacuum does in time.
DO $$
BEGIN
  IF current_setting('server_version_num')::integer >= 170000 THEN
    EXECUTE 'GRANT MAINTAIN ON lifecycle.tenant, lifecycle.hold TO lifecycle_executor';
  END IF;
END
$$;

-- A login that lifecycle uses for a store needs both roles:
--
--   CREATE ROLE lifecycle_login LOGIN PASSWORD '…';
--   GRANT lifecycle_planner, lifecycle_executor TO lifecycle_login;
--
-- For each dataset (example: tickets (id, customer_id, created_at, …), whose tenant is found over customers):
--
--   GRANT SELECT (id, customer_id, created_at) ON tickets TO lifecycle_planner, lifecycle_executor;
--       key, tenant column, start times, columns of `only`, and every column that references another dataset
--   GRANT DELETE ON tickets TO lifecycle_executor;
--   GRANT SELECT (id, tenant_id) ON customers TO lifecycle_planner, lifecycle_executor;
--   GRANT UPDATE (id) ON customers TO lifecycle_executor;
--       one column of the key: PostgreSQL asks for it before it locks rows, here the parents of a tenant path
--   GRANT UPDATE (id) ON tickets TO lifecycle_executor;
--       the same, only where the inventory declares `cascades` for tickets: their rows are locked before they go
--   GRANT UPDATE (other_id) ON left_side TO lifecycle_executor;
--       a column that the inventory names under `detach`
--   GRANT SELECT (email), UPDATE (email, created_at) ON tickets TO lifecycle_executor;
--   GRANT SELECT (email) ON tickets TO lifecycle_planner;
--       columns that the inventory transforms under `anonymise`, where a rule anonymises: whether they are done is read
--       from their values, inside the server; and the start times, which are written back as they were
--   GRANT SELECT ON tickets TO lifecycle_planner;
--       whole rows, only where they are exported
--
-- UPDATE on a key column also allows to change it. Where rows reference the key without ON UPDATE, the server refuses
-- that; elsewhere this is a limit of these roles.
--
-- tests/stores/test_roles.py runs this file and the whole line with it, and checks what the roles cannot do.
