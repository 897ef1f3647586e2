"""Alembic's environment: the steps in `versions/`, run on the connection of `schema.upgrade`."""

from alembic import context

from search.storage.tables import ALEMBIC_VERSION, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # Optuna keeps its own revision in Alembic's default table of the same database.
    version_table=ALEMBIC_VERSION.name,
    include_name=lambda name, kind, _parents: kind != "table" or name in metadata.tables,
)
with context.begin_transaction():
    context.run_migrations()
