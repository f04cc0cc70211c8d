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

-- For each dataset (example: tickets (id, customer_id, created_at), whose tenant is found over customers):
--
--   GRANT SELECT (id, customer_id, created_at) ON tickets TO lifecycle_planner, lifecycle_executor;
--   GRANT DELETE ON tickets TO lifecycle_executor;
--   GRANT SELECT (id, tenant_id) ON customers TO lifecycle_planner, lifecycle_executor;
--   GRANT UPDATE (id) ON customers TO lifecycle_executor;          -- FOR SHARE on the parents of a tenant path
--   GRANT UPDATE (other_id) ON left_side TO lifecycle_executor;    -- a column that the inventory names under `detach`
--   GRANT SELECT ON tickets TO lifecycle_planner;                  -- only where rows are exported
