"""A cheap update of trained candidates to the rows that a table has by now.

What is fitted in closed form is fitted again, to all rows. A trained network goes on from its
weights, in the units that these were trained in, for at most MOST_STEPS of the last steps of its
own training and at RATE_SHARE of its learning rate: so few steps of that size move it towards new
rows and forget little of the old ones. Of an ensemble each member is updated so, and its weights
stay.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from models.candidate import Candidate, candidate_of, learner_of
from models.checkpoint import Checkpoint
from models.closed_form.closed_form import FittedForm
from models.cohort import Member
from models.ensemble import Ensemble, EnsembleCheckpoint
from models.ensemble.ensemble_checkpoint import AnyCandidate, AnyCheckpoint
from models.training.options.optimiser import Optimiser
from models.training.trained_network import TrainedNetwork
from models.training.trainer import Trainer
from search.errors import SeriesError
from search.evaluation import initialisation_seed
from search.evaluation.twins import draws_numbers
from search.running.retraining import check_gapless, retrain_on
from search.series import Table
from search.study.masking import known_rows, without_masked

# The share of a network's learning rate, and of its steps, with which it goes on; at most so many.
RATE_SHARE, STEPS_SHARE, MOST_STEPS = 0.1, 0.2, 100


@dataclass(frozen=True, eq=False)
class Updated:
    """Networks by all rows of a table.

    refitted: how many candidates were fitted again; trained_on: how many went on training, for
    `steps` steps at most.
    """

    checkpoint: AnyCheckpoint
    refitted: int
    trained_on: int
    steps: int

    def __str__(self) -> str:
        said = []
        if self.refitted:
            said.append(f"{self.refitted} fitted again in closed form")
        if self.trained_on:
            said.append(
                f"{self.trained_on} trained on from the exported weights for up to {self.steps} "
                f"steps at {RATE_SHARE:g} of the learning rate"
            )
        return ", ".join(said)


def update_on(
    candidate: AnyCandidate,
    checkpoint: AnyCheckpoint,
    table: Table,
    study_seed: int,
    *,
    season_steps: int = 1,
    device: str = "cpu",
    tick: Callable[[], None] = lambda: None,
) -> Updated:
    """Update the networks of a candidate, or of each member of an ensemble, on all rows.

    season_steps: see `retrain_on`.

    Raises SeriesError for a table with too few rows, and for one whose values a member can't read.
    """
    if isinstance(candidate, Ensemble):
        assert isinstance(checkpoint, EnsembleCheckpoint)
        pairs = list(zip(candidate.members, checkpoint.members, strict=True))
    else:
        assert isinstance(checkpoint, Checkpoint)
        pairs = [(candidate, checkpoint)]
    members, steps = [], [0]
    for own, networks in pairs:
        if isinstance(own, FittedForm):
            members.append(_refitted(own, networks, table, study_seed, season_steps, tick))
        else:
            made, count = _trained_on(own, networks, table, study_seed, device, tick)
            members.append(made)
            steps.append(count)
    refitted = sum(isinstance(own, FittedForm) for own, _ in pairs)
    whole: AnyCheckpoint = members[0]
    if isinstance(checkpoint, EnsembleCheckpoint):
        whole = EnsembleCheckpoint(tuple(members), checkpoint.weights)
    return Updated(whole, refitted, len(pairs) - refitted, max(steps))


def _refitted(
    candidate: FittedForm,
    networks: Checkpoint,
    table: Table,
    study_seed: int,
    season_steps: int,
    tick: Callable[[], None],
) -> Checkpoint:
    # Fits that draw no random numbers are all equal.
    replicas = len(networks.weights) if draws_numbers(candidate) else 1
    again = retrain_on(
        candidate, table, 0, study_seed, replicas, season_steps=season_steps, tick=tick
    )
    assert isinstance(again.checkpoint, Checkpoint)
    return again.checkpoint


def _trained_on(
    candidate: TrainedNetwork,
    networks: Checkpoint,
    table: Table,
    study_seed: int,
    device: str,
    tick: Callable[[], None],
) -> tuple[Checkpoint, int]:
    """The networks after a few more steps, and how many steps these were."""
    if table.rows < candidate.least_steps:
        raise SeriesError(
            f"to train on, the table must have at least {candidate.least_steps} rows, but has "
            f"{table.rows}; give a longer table, or forecast without an update"
        )
    own = candidate[Optimiser]
    slower = candidate_of(
        candidate.values() | {"learning_rate": max(RATE_SHARE * own.learning_rate, 1e-9)}
    )
    assert isinstance(slower, TrainedNetwork)
    steps = min(MOST_STEPS, max(1, round(STEPS_SHARE * own.training_steps)))
    pieces: tuple[range, ...] = (range(table.rows),)
    if table.is_masked:
        pieces = without_masked(pieces, known_rows(table))
        check_gapless(candidate, pieces)
    values = table.all_values if networks.past else table.values
    parts, inputs = [], []
    for piece in pieces:
        if len(piece) <= networks.units.lag:
            continue
        rows = slice(piece.start, piece.stop)
        known = None
        if networks.known:
            assert table.known is not None
            first = max(0, piece.start - networks.known_before)
            known = table.known[first : piece.stop][np.newaxis, np.newaxis]
        parts.append(networks.units.read(values[rows][np.newaxis, np.newaxis], known)[:, 0])
        read_beside = networks.units.exogenous(known, len(piece))
        inputs += [] if read_beside is None else [read_beside[:, 0]]
    read, lengths = np.concatenate(parts, axis=1), [part.shape[1] for part in parts]
    members = [
        Member[Candidate](slower, row, initialisation_seed(study_seed, "final", candidate, row, 0))
        for row in range(len(read))
    ]
    exogenous = torch.from_numpy(np.concatenate(inputs, axis=1)) if inputs else None
    trainer = learner_of(
        *(members, torch.from_numpy(read), device, [lengths] * len(read)), exogenous=exogenous
    )
    assert isinstance(trainer, Trainer)
    trainer.go_on(networks.weights, steps)
    for _ in trainer:
        tick()
    return replace(networks, weights=_finite(trainer.scored_weights, networks)), steps


def _finite(weights: torch.Tensor, networks: Checkpoint) -> torch.Tensor:
    """The new weights; the old ones of a network whose training diverged."""
    new = weights[: len(networks.weights)].cpu()
    is_finite = torch.isfinite(new).all(dim=1, keepdim=True)
    return torch.where(is_finite, new, networks.weights.to(new))
