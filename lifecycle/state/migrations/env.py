"""Runs the migrations on the connection, and in the transaction, that `lifecycle.state.migrate` opened."""

from alembic import context

from lifecycle.state.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    # SQLite rolls DDL back as PostgreSQL does, once the driver is kept from committing before it.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
