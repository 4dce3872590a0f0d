"""Alembic's entry: migrate on the connection that the store has opened, or print SQL offline never."""  # noqa: INP001 - read by path

from alembic import context

from aldis.adapters.sql.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=context.config.attributes["version_table"],
    render_as_batch=True,
    transaction_per_migration=False,
)
context.run_migrations()
