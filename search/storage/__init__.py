"""Where studies persist: SQLite or PostgreSQL, Optuna's tables and freerun's own beside them.

Start at `open_storage`: a `Storage` holds studies, a `StudyStore` does what is done with one.
What is stored is text, numbers and bytes: this package knows neither studies nor models.
"""

from search.storage.leases import MAX_ATTEMPTS
from search.storage.opening import LEASE_SECONDS, PATIENCE_SECONDS, open_storage
from search.storage.records import (
    Artifact,
    Beat,
    Budget,
    ClaimedTrial,
    Counts,
    FinalJob,
    FinishedTrial,
    ParamValue,
    Proposal,
    Replica,
    Report,
    StudySummary,
    Swept,
    TrialRow,
    WorkerStatus,
)
from search.storage.studies import Storage, StudyExistsError
from search.storage.study_reader import StudyReader
from search.storage.study_store import StudyStore
from search.storage.urls import redact

__all__ = [
    "LEASE_SECONDS",
    "MAX_ATTEMPTS",
    "PATIENCE_SECONDS",
    "Artifact",
    "Beat",
    "Budget",
    "ClaimedTrial",
    "Counts",
    "FinalJob",
    "FinishedTrial",
    "ParamValue",
    "Proposal",
    "Replica",
    "Report",
    "Storage",
    "StudyExistsError",
    "StudyReader",
    "StudyStore",
    "StudySummary",
    "Swept",
    "TrialRow",
    "WorkerStatus",
    "open_storage",
    "redact",
]
