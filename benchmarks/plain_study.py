"""A study as a competent user would write it with Optuna and torch.nn: one network at a time.

Nothing of freerun's engine is used: its study file says what is searched, its views are the data,
and its score is the score, so that a trial is the same candidate by the same protocol as there.
"""

from collections.abc import Sequence
from math import ceil, inf, pi
from typing import TypeAlias

import numpy as np
import optuna
import torch
from torch import Tensor, nn

from models.diagnostics.scores import score
from models.network.options.learning import TimeReversal
from models.network.options.shape import Scaling
from models.training.losses.squared_error import SquaredError
from models.training.options.augmentation import SignAugmentation
from models.training.trained_network import TrainedNetwork
from models.units import Units
from search.errors import UsageError
from search.evaluation.part import RACE_FRACTIONS
from search.series import FloatArray
from search.study.definition import StudyDefinition
from search.study.study_file import StudyFile
from search.study.task_data import TaskData, View

Layer: TypeAlias = type[nn.RNN] | type[nn.GRU] | type[nn.LSTM]
Cell: TypeAlias = type[nn.RNNCell] | type[nn.GRUCell] | type[nn.LSTMCell]
RECURRENT: dict[str, tuple[Layer, Cell]] = {
    "rnn": (nn.RNN, nn.RNNCell),
    "gru": (nn.GRU, nn.GRUCell),
    "lstm": (nn.LSTM, nn.LSTMCell),
}
# Parts of the training span on which restarts are compared, as in freerun.
LOSS_PARTS = 16
# What is left at these values: the plain network has nothing of it.
LEFT_OUT = {
    **{"context": "state", "layers": 1, "head_layers": 0, "autonomous": False},
    **{"read_in": "none", "decoding": "recurrent", "parallel_segments": 1},
    **{"state_estimate": "recurrence", "teacher_weight": 0.0, "teacher_span": "warm-up"},
    "schedule": "cosine",
}
TAKEN = {
    *("cell", "hidden_units", "warm_up_steps", "segment_steps", "offset", "rollout_steps"),
    *("curriculum_fraction", "learning_rate", "weight_decay", "clip_norm", "training_steps"),
    *("batch_size", "restarts", "time_reversal", "sign_augmentation"),
}


def checked(candidate: object) -> TrainedNetwork:
    """The candidate, as one that plain modules train. Raises UsageError for any other."""
    if not isinstance(candidate, TrainedNetwork):
        raise UsageError(f"the space must hold networks alone, but has {candidate}")
    for name, value in candidate.values().items():
        if name not in TAKEN and (name not in LEFT_OUT or LEFT_OUT[name] != value):
            raise UsageError(
                f"the space must hold what the plain study has, but {name} is {value!r}; "
                f"leave it at {LEFT_OUT.get(name, 'its neutral value')}"
            )
    return candidate


class Network(nn.Module):
    """A recurrent layer that reads segments, and a linear head that writes the next one.

    Known values are read by one call of the layer; the free run goes on with a cell of the same
    weights, which costs a fifth less for one step than the layer.
    """

    def __init__(self, candidate: TrainedNetwork) -> None:
        super().__init__()
        layer, cell = RECURRENT[candidate.cell.name]
        self.segment, units = candidate.architecture.segment_steps, candidate.cell.units
        self.layer = layer(self.segment, units, batch_first=True)
        self.cell = cell(self.segment, units)
        for own, shared in self.layer.named_parameters():
            setattr(self.cell, own.removesuffix("_l0"), shared)
        self.head = nn.Linear(units, self.segment, bias=candidate[Scaling].offset)

    def forward(self, known: Tensor, steps: int) -> Tensor:
        """Forecast `[batch, steps]` after the values `[batch, time]`, whole segments of them."""
        _, state = self.layer(known.unflatten(1, (-1, self.segment)))
        is_lstm = isinstance(state, tuple)
        state = tuple(own[0] for own in state) if is_lstm else state[0]
        segments = [self.head(state[0] if is_lstm else state)]
        while len(segments) * self.segment < steps:
            state = self.cell(segments[-1], state)
            segments.append(self.head(state[0] if is_lstm else state))
        return torch.cat(segments, dim=1)[:, :steps]


class Training:
    """One network, trained on one replica's span in its own units."""

    def __init__(self, candidate: TrainedNetwork, view: View, seed: int) -> None:
        torch.manual_seed(seed)
        self.candidate, self.view = candidate, view
        (span,) = view.pieces_of_values
        self.units = Units.of(candidate, [span])
        self.values = torch.tensor(self._read(span), dtype=torch.float32)
        self.network, settings = Network(candidate), candidate.optimiser
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self.warm_up = candidate.architecture.context_steps
        self.length = self.warm_up + candidate.rollout_steps
        batch = torch.arange(settings.batch_size)
        is_backwards = (batch % 2 == 1) & candidate[TimeReversal].time_reversal
        order = torch.arange(self.length)
        self.order = torch.where(is_backwards.unsqueeze(1), order.flip(0), order)
        is_mirrored = (batch // 2 % 2 == 1) & candidate[SignAugmentation].sign_augmentation
        self.sign = torch.where(is_mirrored, -1.0, 1.0).unsqueeze(1)
        self.steps_done = 0

    def advance(self, steps: int) -> None:
        """Train until so many optimiser steps are done."""
        settings, places = self.candidate.optimiser, len(self.values) - self.length + 1
        parameters = list(self.network.parameters())
        (group,) = self.optimiser.param_groups
        while self.steps_done < steps:
            starts = torch.randint(places, (settings.batch_size, 1))
            chosen = self.values[starts + self.order] * self.sign
            horizon = self._horizon()
            forecast = self.network(chosen[:, : self.warm_up], horizon)
            truth = chosen[:, self.warm_up : self.warm_up + horizon]
            self.optimiser.zero_grad()
            nn.functional.mse_loss(forecast, truth).backward()
            nn.utils.clip_grad_norm_(parameters, settings.clip_norm)
            angle = pi * self.steps_done / settings.training_steps
            group["lr"] = settings.learning_rate * 0.5 * (1.0 + float(np.cos(angle)))
            self.optimiser.step()
            self.steps_done += 1

    @torch.no_grad()
    def loss(self) -> float:
        """Mean squared error of free runs over evenly spaced parts of the span."""
        last = len(self.values) - self.length
        starts = torch.linspace(0, last, min(LOSS_PARTS, last + 1)).round().long()
        parts = self.values[starts.unsqueeze(1) + torch.arange(self.length)]
        known, truth = parts.split([self.warm_up, self.length - self.warm_up], dim=1)
        loss = float(nn.functional.mse_loss(self.network(known, truth.shape[1]), truth))
        return loss if np.isfinite(loss) else inf

    @torch.no_grad()
    def score(self) -> float:
        """NMSE of the free runs from the start points of the replica."""
        view = self.view
        contexts = np.stack([view.values[start - self.warm_up : start] for start in view.starts])
        known = torch.tensor(self.units.read(contexts[np.newaxis])[0, :, :, 0], dtype=torch.float32)
        run = self.network(known, view.horizon_steps).double().numpy()[np.newaxis, :, :, np.newaxis]
        forecast = self.units.written(run, contexts[np.newaxis])[0]
        truth = np.stack([view.truth[s : s + view.horizon_steps] for s in view.starts])
        (span,) = view.pieces_of_values
        return score(forecast, truth, view.variance, span.mean(axis=0), span.std(axis=0)).nmse

    def _read(self, span: FloatArray) -> FloatArray:
        return np.asarray(self.units.read(span[np.newaxis, np.newaxis])[0, 0, :, 0])

    def _horizon(self) -> int:
        """Steps of the rollout that count: they grow over the curriculum."""
        rollout, settings = self.candidate.rollout_steps, self.candidate.optimiser
        growing = self.candidate[SquaredError].curriculum_fraction * settings.training_steps
        return 1 + int((rollout - 1) * min(1.0, (self.steps_done + 1) / max(growing, 1e-9)))


class Objective:
    """What a trial does: its restarts on each replica, which race, and a report at each rung.

    follows: whether replicas follow from rung to rung, as freerun's do; else all train from the
    start.
    """

    def __init__(self, file: StudyFile, seed: int, *, follows: bool = False) -> None:
        self.definition: StudyDefinition = file.definition
        self.space = self.definition.full_space()
        data = TaskData(self.definition, file.table)
        search = self.definition.search
        self.views = [data.view("search", r) for r in range(search.replicas)]
        self.counts = search.rung_replicas if follows else (search.replicas,) * search.rungs
        self.seeds = np.random.default_rng(seed)

    def __call__(self, trial: optuna.Trial) -> float:
        candidate = checked(self.space.resolve(self.space.suggest(trial)))
        rungs, value = self.definition.search.rung_fractions, inf
        replicas: list[list[Training]] = []
        for fraction, count in zip(rungs, self.counts, strict=True):
            for view in self.views[len(replicas) : count]:
                seeds = self.seeds.integers(2**31, size=candidate.restarts).tolist()
                replicas.append([Training(candidate, view, seed) for seed in seeds])
            for rivals in replicas:
                race_to(fraction, rivals)
            value = self._score(replicas)
            trial.report(value, resource(fraction, rungs))
            if fraction < 1.0 and trial.should_prune():
                raise optuna.TrialPruned
        return value

    @staticmethod
    def _score(running: Sequence[Sequence[Training]]) -> float:
        best = [min(own, key=Training.loss) if len(own) > 1 else own[0] for own in running]
        return float(np.median([training.score() for training in best]))


def race_to(fraction: float, rivals: list[Training]) -> None:
    """Train the restarts of a replica up to a share of training; some stop on the way."""
    steps = rivals[0].candidate.optimiser.training_steps
    for share in sorted({*(race for race in RACE_FRACTIONS if race < fraction), fraction}):
        until = max(1, round(share * steps))
        if rivals[0].steps_done >= until:
            continue
        for training in rivals:
            training.advance(until)
        if share in RACE_FRACTIONS and len(rivals) > 1:
            rivals.sort(key=Training.loss)
            del rivals[(len(rivals) + 1) // 2 :]


def resource(fraction: float, rungs: Sequence[float]) -> int:
    """A share of training in units of that of the first rung, as the pruner counts."""
    return round(fraction / rungs[0])


def network_steps(candidate: TrainedNetwork, replicas: int, share: float) -> int:
    """Optimiser steps of all networks of a trial that ended after a share of its training."""
    steps, networks, done, total = candidate.optimiser.training_steps, candidate.restarts, 0, 0
    for fraction in (*RACE_FRACTIONS, 1.0):
        until = max(1, round(min(fraction, share) * steps))
        total += networks * max(0, until - done)
        done, networks = max(done, until), ceil(networks / 2)
    return replicas * total


def create(storage: str, name: str) -> None:
    """Create the study in a database whose readers and writers do not wait for each other."""
    opened = optuna.storages.RDBStorage(storage)
    with opened.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    optuna.create_study(storage=opened, study_name=name)


def work(
    file: StudyFile,
    storage: str,
    seed: int,
    trials: int | None = None,
    *,
    follows: bool = False,
) -> None:
    """Run trials in this process, on one thread, until it is ended or has run so many.

    follows: see `Objective`.
    """
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    waiting = {"connect_args": {"timeout": 60}}
    study = optuna.load_study(
        study_name=file.definition.name,
        storage=optuna.storages.RDBStorage(storage, engine_kwargs=waiting),
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=32),
        # Rungs at halves of each other's training, as freerun's.
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
    )
    study.optimize(Objective(file, seed, follows=follows), n_trials=trials)
