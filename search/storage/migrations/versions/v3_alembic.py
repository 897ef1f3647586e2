"""Versions kept by Alembic; freerun 0.1.0 no longer opens the database."""

from alembic import op

revision = "3"
down_revision = "2"


def upgrade() -> None:
    """Write a version that freerun 0.1.0, which reads this table, refuses as newer."""
    op.execute("UPDATE freerun_schema SET version = 3")
