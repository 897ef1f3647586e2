"""How a trial ends: with results, stored with who trained it where, or with an error."""

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from search.evaluation import CandidateResult, this_machine, this_versions, trial_attributes
from search.storage import Artifact, FinishedTrial, Replica

# What one candidate's training may raise. torch raises RuntimeError where memory runs out or a
# factorisation fails, numpy's linear algebra ValueError. Other errors (a database that is away, a
# stop, a programming error) end the worker.
TRAINING_ERRORS = (RuntimeError, MemoryError, ValueError, ArithmeticError)


@dataclass(frozen=True)
class Origin:
    """The process that trains: host, pid, and the type of machine that its scores hold for."""

    host: str
    pid: int
    machine: Mapping[str, str]

    @classmethod
    def here(cls, device: str) -> "Origin":
        """This process, training on a torch device."""
        machine = {**this_machine(), "device": device, **this_versions()}
        return cls(socket.gethostname(), os.getpid(), machine)

    def attributes(self, worker_id: int) -> dict[str, Any]:
        """The user attributes of a trial that a worker of this process trained."""
        return {"worker": worker_id, "host": self.host, "machine": dict(self.machine)}


def error_message(error: BaseException) -> str:
    """Return the kind of an error and its message, if it has one."""
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def finished_trial(
    trial_id: int,
    state: Literal["complete", "pruned"],
    result: CandidateResult,
    origin: Mapping[str, Any],
    networks: int,
    artifacts: Sequence[Artifact] = (),
    limit: float | None = None,
) -> FinishedTrial:
    """Return a trial's result as it is stored; its curve only where it is complete.

    origin: `Origin.attributes`; networks: how many began to train in its cohort; limit: of its
    context, where one is known.
    """
    is_complete = state == "complete"
    attributes = {
        **trial_attributes(result),
        **({} if limit is None else {"limit": limit}),
        "cohort_networks": networks,
        **origin,
    }
    return FinishedTrial(
        trial_id,
        state,
        value=result.score if is_complete else None,
        user_attributes=attributes,
        artifacts=artifacts,
        curve=result.curve.astype(np.float32).tobytes() if is_complete else None,
        replicas=[
            Replica(r.index, r.scores.nmse, r.training_loss, r.restart) for r in result.replicas
        ],
    )
