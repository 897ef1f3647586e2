"""Final jobs of baselines and of the ensemble beside those of trials."""

import sqlalchemy as sa
from alembic import op

revision = "4"
down_revision = "3"

_KEPT = "job_id, study_id, purpose, trial_id, state, attempts, worker_id, claim, result, weights"


def upgrade() -> None:
    """Give each job a subject, which is its trial so far, and let it go without a trial."""
    if op.get_bind().dialect.name == "sqlite":
        _rebuild()
        return
    op.add_column("freerun_finals", sa.Column("subject", sa.String(128)))
    op.execute("UPDATE freerun_finals SET subject = CAST(trial_id AS VARCHAR)")
    op.alter_column("freerun_finals", "subject", nullable=False)
    op.alter_column("freerun_finals", "trial_id", nullable=True)
    op.drop_constraint("freerun_finals_study_id_purpose_trial_id_key", "freerun_finals")
    op.create_unique_constraint(
        "freerun_finals_study_id_purpose_subject_key",
        "freerun_finals",
        ["study_id", "purpose", "subject"],
    )


def _rebuild() -> None:
    """Make the table anew: SQLite can't change a constraint that has no name."""
    op.create_table(
        "freerun_finals_4",
        sa.Column("job_id", sa.Integer, primary_key=True),
        sa.Column("study_id", sa.Integer, nullable=False),
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("trial_id", sa.Integer),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("worker_id", sa.Integer),
        sa.Column("claim", sa.String(36)),
        sa.Column("result", sa.Text),
        sa.Column("weights", sa.LargeBinary),
        sa.Column("message", sa.Text),
        sa.ForeignKeyConstraint(["study_id"], ["freerun_studies.study_id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.trial_id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["worker_id"], ["freerun_workers.worker_id"], ondelete="SET NULL"),
        sa.UniqueConstraint("study_id", "purpose", "subject"),
    )
    op.execute(
        f"INSERT INTO freerun_finals_4 ({_KEPT}, message, subject) "
        f"SELECT {_KEPT}, message, CAST(trial_id AS TEXT) FROM freerun_finals"
    )
    op.drop_table("freerun_finals")
    op.rename_table("freerun_finals_4", "freerun_finals")
