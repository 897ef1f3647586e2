"""How a trial ends: pruned, or with all its results, or with an error."""

import os
import socket
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from search.evaluation import CandidateResult
from search.records import Origin, TrialRecord, this_machine, this_versions
from search.storage.records import Artifact, FinishedTrial, Replica
from search.storage.study_store import StudyStore

# What one candidate's training may raise. torch raises RuntimeError where memory runs out or a
# factorisation fails, numpy's linear algebra ValueError. Other errors (a database that is away, a
# stop, a programming error) end the worker.
TRAINING_ERRORS = (RuntimeError, MemoryError, ValueError, ArithmeticError)


def register_here(
    store: StudyStore, device: str, plugins: Iterable[str] = ()
) -> tuple[int, Origin]:
    """Register this process as a worker on a torch device; return its id, and who trains where."""
    machine = {**this_machine(), "device": device, **this_versions(plugins)}
    host = socket.gethostname()
    worker_id = store.register_worker(host=host, pid=os.getpid(), machine=machine)
    return worker_id, Origin(worker=worker_id, host=host, machine=machine)


def error_message(error: BaseException) -> str:
    """Return the kind of an error and its message, if it has one."""
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def finished_trial(
    trial_id: int,
    state: Literal["complete", "pruned"],
    result: CandidateResult,
    origin: Origin,
    networks: int,
    artifacts: Sequence[Artifact] = (),
    limit: float | None = None,
) -> FinishedTrial:
    """Return a trial's result as it is stored; its curve only where it is complete.

    networks: how many began to train in its cohort; limit: of its context, where one is known.
    """
    is_complete = state == "complete"
    record = TrialRecord.of(result.record, origin, networks, limit)
    return FinishedTrial(
        trial_id,
        state,
        value=result.score if is_complete else None,
        user_attributes=record.to_attributes(),
        artifacts=artifacts,
        curve=result.curve.astype(np.float32).tobytes() if is_complete else None,
        replicas=[
            Replica(r.index, r.scores.nmse, r.training_loss, r.restart) for r in result.replicas
        ],
    )


def failed_trial(trial_id: int, message: str, origin: Origin) -> FinishedTrial:
    """Return a trial that failed, as it is stored."""
    record = TrialRecord(message=message, **origin.model_dump())
    return FinishedTrial(trial_id, "failed", user_attributes=record.to_attributes())
