"""Storage of studies in SQLite or PostgreSQL: Optuna's tables, and freerun's own beside them.

`open_storage` returns a `Storage` of studies. `StudyReader` reads one study, `StudyStore` changes
it, `finished_trials.finish` writes a finished trial. What is stored is text, numbers and bytes:
this package knows neither study files nor models.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from search.storage.opening import LEASE_SECONDS, PATIENCE_SECONDS, open_storage, upgrade_storage
from search.storage.records import (
    Artifact,
    Beat,
    Budget,
    ClaimedTrial,
    Counts,
    FinalJob,
    FinishedTrial,
    OpenTrials,
    ParamValue,
    Proposal,
    Quota,
    Replica,
    Report,
    ScoredTrial,
    StudySummary,
    Swept,
    Upgrade,
    WorkerStatus,
)
from search.storage.urls import redact

if TYPE_CHECKING:
    from search.storage.leases import MAX_ATTEMPTS
    from search.storage.studies import Storage, StudyExistsError
    from search.storage.study_store import StudyReader, StudyStore
else:
    # Importing these imports Optuna, which takes a second that a wrong URL need not wait for.
    _HOMES = {
        "MAX_ATTEMPTS": "leases",
        "Storage": "studies",
        "StudyExistsError": "studies",
        "StudyReader": "study_store",
        "StudyStore": "study_store",
    }

    def __getattr__(name: str) -> object:
        """Import a name of this package at its first use."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


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
    "OpenTrials",
    "ParamValue",
    "Proposal",
    "Quota",
    "Replica",
    "Report",
    "ScoredTrial",
    "Storage",
    "StudyExistsError",
    "StudyReader",
    "StudyStore",
    "StudySummary",
    "Swept",
    "Upgrade",
    "WorkerStatus",
    "open_storage",
    "redact",
    "upgrade_storage",
]
