"""Parts of a study's budget, for presets."""

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"


def upgrade() -> None:
    """Add the table of quotas."""
    op.create_table(
        "freerun_quotas",
        sa.Column("study_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("trials", sa.Integer, nullable=False),
        sa.Column("used", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["freerun_studies.study_id"], ondelete="CASCADE"),
    )
