"""freerun's own tables, stored beside Optuna's in the same database.

Every row belongs to a study and is deleted with it, also when another Optuna program deletes the
study. Times are seconds since the epoch by the database's clock, the only one that all workers
share.

A change here needs a step in `migrations/versions/` and the next SCHEMA_VERSION.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from search.storage.optuna_tables import STUDIES as OPTUNA_STUDIES
from search.storage.optuna_tables import TRIALS as OPTUNA_TRIALS

# The newest step in migrations/versions/.
SCHEMA_VERSION: Final = 4

metadata = MetaData()


class DatabaseNow(FunctionElement[float]):
    """Seconds since the epoch at this statement, by the database's clock."""

    type = Double()
    inherit_cache = True


@compiles(DatabaseNow, "sqlite")
def _sqlite_now(_element: DatabaseNow, _compiler: Any, **_options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(DatabaseNow, "postgresql")
def _postgresql_now(_element: DatabaseNow, _compiler: Any, **_options: Any) -> str:
    # Not now(), which is the start of the transaction: that may be before a lock was waited for.
    return "CAST(extract(epoch from clock_timestamp()) AS double precision)"


def _study(*, primary_key: bool = False) -> Column[int]:
    return _reference("study_id", "freerun_studies.study_id", primary_key)


def _trial(*, primary_key: bool = False) -> Column[int]:
    return _reference("trial_id", OPTUNA_TRIALS.c.trial_id, primary_key)


def _reference(name: str, target: str | Column[int], primary_key: bool) -> Column[int]:
    key = ForeignKey(target, ondelete="CASCADE")
    # The ids are Optuna's, never our own count.
    return Column(name, Integer, key, primary_key=primary_key, autoincrement=False, nullable=False)


# Alembic's table of our steps; `alembic_version` holds Optuna's.
ALEMBIC_VERSION = Table(
    "freerun_alembic_version",
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="freerun_alembic_version_pkc"),
)

# Read by freerun 0.1.0 only, which refuses a database unless this says 1 or 2. The row says 3.
VERSION_OF_0_1_0 = Table(
    "freerun_schema",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
)

# What a study is; never changed after its creation.
STUDIES = Table(
    "freerun_studies",
    metadata,
    _reference("study_id", OPTUNA_STUDIES.c.study_id, primary_key=True),
    # Needed beside the id, because SQLite gives the id of a deleted study to the next one.
    Column("name", String(512), nullable=False),
    Column("created", Double, nullable=False),
    Column("definition", Text, nullable=False),
    Column("definition_hash", String(128), nullable=False),
    Column("data", LargeBinary),
    Column("data_hash", String(128)),
    Column("data_description", Text),
    Column("artifact_bytes_per_trial", BigInteger, nullable=False),
    Column("artifact_bytes_per_study", BigInteger, nullable=False),
)

# What changes as a study runs. A claim locks its study's row.
BUDGETS = Table(
    "freerun_budgets",
    metadata,
    _study(primary_key=True),
    Column("trials", Integer),
    Column("minutes", Double),
    Column("spent_seconds", Double, nullable=False, default=0.0),
    # Up to when the running time is counted, null while no worker is alive.
    Column("counted_until", Double),
    # No lease expires before, because workers come back from an outage.
    Column("grace_until", Double, nullable=False, default=0.0),
    Column("stop_requested", Boolean, nullable=False, default=False),
    Column("artifact_bytes", BigInteger, nullable=False, default=0),
)

# Parts of a budget, read and changed under its lock.
QUOTAS = Table(
    "freerun_quotas",
    metadata,
    _study(primary_key=True),
    Column("name", String(100), primary_key=True),
    Column("trials", Integer, nullable=False),
    Column("used", Integer, nullable=False, default=0),
)

WORKERS = Table(
    "freerun_workers",
    metadata,
    Column("worker_id", Integer, primary_key=True),
    _study(),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("machine", Text, nullable=False),
    Column("registered", Double, nullable=False),
    Column("last_beat", Double, nullable=False),
    Column("left_at", Double),
    Index("freerun_workers_of_study", "study_id"),
)

# What we keep of a trial beside Optuna's row.
TRIALS = Table(
    "freerun_trials",
    metadata,
    _trial(primary_key=True),
    _study(),
    Column("cohort_key", Text, nullable=False),
    # How often a worker that held the trial was lost.
    Column("attempts", Integer, nullable=False, default=0),
    # The worker that holds or finished it; null while it waits, and where it failed because its
    # workers died.
    Column("worker_id", ForeignKey("freerun_workers.worker_id", ondelete="SET NULL")),
    Index("freerun_trials_of_study", "study_id"),
)

# Which worker trains which trial now, as long as it sends heartbeats.
LEASES = Table(
    "freerun_leases",
    metadata,
    _trial(primary_key=True),
    _study(),
    Column(
        "worker_id",
        ForeignKey("freerun_workers.worker_id", ondelete="CASCADE"),
        nullable=False,
    ),
    # Identifies the claim, so that a retry whose first answer was lost does not claim again.
    Column("claim", String(36), nullable=False),
    Index("freerun_leases_of_worker", "worker_id"),
    Index("freerun_leases_of_study", "study_id"),
)

CURVES = Table(
    "freerun_curves",
    metadata,
    _trial(primary_key=True),
    _study(),
    Column("content", LargeBinary, nullable=False),
    Index("freerun_curves_of_study", "study_id"),
)

REPLICAS = Table(
    "freerun_replicas",
    metadata,
    _trial(primary_key=True),
    Column("replica", Integer, primary_key=True, autoincrement=False),
    _study(),
    Column("score", Double, nullable=False),
    # Null for NaN, which SQLite can't store.
    Column("training_loss", Double),
    Column("restart", Integer, nullable=False),
    Index("freerun_replicas_of_study", "study_id"),
)

ARTIFACTS = Table(
    "freerun_artifacts",
    metadata,
    Column("artifact_id", String(255), primary_key=True),
    # Both are null for an upload of another program, which passes only an id and the content.
    Column("study_id", ForeignKey("freerun_studies.study_id", ondelete="CASCADE")),
    Column("trial_id", Integer, ForeignKey(OPTUNA_TRIALS.c.trial_id, ondelete="CASCADE")),
    Column("filename", Text),
    Column("content", LargeBinary, nullable=False),
    Column("size", Integer, nullable=False),
    Index("freerun_artifacts_of_trial", "trial_id"),
)

FINALS = Table(
    "freerun_finals",
    metadata,
    Column("job_id", Integer, primary_key=True),
    _study(),
    Column("purpose", String(32), nullable=False),
    # A trial's id as a number, or the name of a baseline or an ensemble.
    Column("subject", String(128), nullable=False),
    # Null where the subject is no trial.
    Column("trial_id", Integer, ForeignKey(OPTUNA_TRIALS.c.trial_id, ondelete="CASCADE")),
    Column("state", String(16), nullable=False, default="waiting"),
    Column("attempts", Integer, nullable=False, default=0),
    Column("worker_id", ForeignKey("freerun_workers.worker_id", ondelete="SET NULL")),
    Column("claim", String(36)),
    Column("result", Text),
    Column("weights", LargeBinary),
    Column("message", Text),
    UniqueConstraint("study_id", "purpose", "subject"),
)
