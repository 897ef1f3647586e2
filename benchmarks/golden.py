"""Scores and weights of several hundred candidates, written once and compared bit for bit later.

    python benchmarks/golden.py write golden.json
    python benchmarks/golden.py compare golden.json

A change that should leave every number as it is (a new structure of the code, say) is checked by
writing before it and comparing after it, on the same machine. Candidates are drawn at random from
the space of studies/smoke-methods.toml, widened where that space has a single size, so that every
cell, closed form, context, forcing, loss, norm and noise occurs. Each is trained alone, and once
more in a cohort with others of its cohort key, some of which are dropped on the way; a part of them
sees two channels. The file holds the parameters of each candidate, so that `compare` trains the
same ones, whatever the space has become: seeds, scores, training losses and verdicts, and the
SHA-256 of the trained weights.

Exit code 1 where anything differs; the differences are printed.
"""

import argparse
import hashlib
import json
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import PartialFixedSampler, RandomSampler

from models.checkpoint import Checkpoint, save
from models.methods import Choices
from search.evaluation import CandidateResult, Cohort, initialisation_seed
from search.evaluation.diagnostics import one_step, sensitivity
from search.student.jobs import DIAGNOSIS
from search.study.definition import StudyDefinition
from search.study.study_file import read_study_file
from search.study.task_data import TaskData, View

STUDY = Path(__file__).parents[1] / "studies" / "smoke-methods.toml"
# Choices where the smoke study has one: sizes that matter to layout, rounding and races.
WIDER: Mapping[str, Sequence[object]] = {
    "hidden_units": [4, 7, 16],
    "modes": [1, 2, 5],
    "layers": [1, 2],
    "restarts": [1, 2, 3],
    "warm_up_steps": [5, 12],
    "window_steps": [1, 4],
    "rollout_steps": [1, 8, 20],
    "window_rollout_steps": [1, 4],
    "training_steps": [8, 16],
    "batch_size": [3, 4],
    "nvar_delays": [2, 3],
    "delay_stride": [1, 2],
    "degree": [1, 2],
    "ar_order": [3, 8],
    "ssa_window": [2, 20],
    # The series has values below zero.
    "power_transform": ["none"],
}
REPLICAS = 2
# Candidates of each structure, which form a cohort.
STRATEGIES = 3
# Linear forecasters, whose free runs need no loop over time: too rare among random ones.
_STATE: Mapping[str, object] = {"cell": "lru", "context": "state", "head_layers": 0}
LINEAR: tuple[dict[str, Any], ...] = (
    {**_STATE, "layer_norm": False, "autonomous": True},
    {**_STATE, "layer_norm": False, "autonomous": False},
)
CHANNELS_OF_SOME = 2
# Of so many candidates, one is trained on two channels as well.
TWO_CHANNELS_EVERY = 4


# Whatever the series of the study file is, so that files of earlier versions can be compared.
SERIES = {"source": "sine", "angular_frequency": 0.1, "noise_std": 0.1}


def definition() -> StudyDefinition:
    """The study whose candidates are drawn, and whose draws they train on."""
    stored, _ = read_study_file(STUDY)
    space = {**{name: d.to_plain() for name, d in stored.space.items()}, **WIDER}
    found = {"plugins", "named", "properties"}
    plain = stored.model_dump(mode="json", exclude={"space", "presets", *found})
    return StudyDefinition.model_validate({**plain, "series": SERIES, "space": space})


def draw_params(study: StudyDefinition, structures: int, seed: int) -> Iterator[dict[str, Any]]:
    """Parameters of random candidates: of each cell some structures, of each structure several."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", ExperimentalWarning)
    space = study.full_space()
    cells = space.domains["cell"]
    assert isinstance(cells, Choices)
    trials = optuna.create_study(sampler=RandomSampler(seed=seed))
    begun = [*({"cell": cell} for cell in cells.values), *LINEAR]
    for start, _ in product(begun, range(structures)):
        fixed: dict[str, Any] = dict(start)
        for _ in range(STRATEGIES):
            trials.sampler = PartialFixedSampler(fixed, RandomSampler(seed=(seed := seed + 1)))
            params = dict(space.suggest(trials.ask()))
            fixed = {name: params[name] for name in space.cohort_names if name in params}
            yield params


def views(study: StudyDefinition, channels: int) -> list[View]:
    """One view per replica; several channels are as many draws side by side."""
    data = TaskData(study, None)
    found = []
    for replica in range(REPLICAS):
        parts = [data.view("search", channels * replica + c) for c in range(channels)]
        first = parts[0]
        found.append(
            View(
                values=np.concatenate([part.values for part in parts], axis=1),
                truth=np.concatenate([part.truth for part in parts], axis=1),
                pieces=first.pieces,
                starts=first.starts,
                horizon_steps=first.horizon_steps,
                variance=first.variance,
                scored_against=first.scored_against,
                error_horizons=first.error_horizons,
            )
        )
    return found


def train(
    study: StudyDefinition, params: Sequence[Mapping[str, Any]], seen: Sequence[View]
) -> list[dict[str, Any]]:
    """Train candidates as one cohort, the odd ones dropped half way; return what each of them did.

    The study has two rungs: what is dropped keeps what it had at the first of them.
    """
    space = study.full_space()
    candidates = [space.resolve(own) for own in params]
    fractions = study.search.rung_fractions
    cohort = Cohort(
        candidates, seen, study_seed=study.seed, purpose="search", rung_fractions=fractions
    )
    found: list[dict[str, Any]] = [{} for _ in candidates]
    for rung in cohort:
        if rung is None:
            continue
        for position, result in rung.results.items():
            found[position] = {
                "scores": [score.hex() for score in result.replica_scores],
                "losses": [r.training_loss.hex() for r in result.replicas],
                "restarts": [r.restart for r in result.replicas],
                "verdicts": [r.verdict for r in result.replicas],
                "weights": weights_hash(cohort, position),
            }
            if rung.is_last and len(candidates) == 1:
                networks = cohort.checkpoint(position)
                found[position][DIAGNOSIS] = diagnosis_hash(networks, result, seen)
        if not rung.is_last and len(candidates) > 1:
            cohort.drop(range(1, len(candidates), 2))
    return found


def weights_hash(cohort: Cohort, position: int) -> str:
    """SHA-256 of the weights, shifts and scales of a candidate's networks, padding left out."""
    checkpoint = cohort.checkpoint(position)
    save(checkpoint)  # what can't be written is no network
    layout = cohort.training.forecaster.layout()
    digest = hashlib.sha256()
    for name, view in sorted(layout.views(checkpoint.weights).items()):
        digest.update(name.encode() + view.contiguous().numpy().tobytes())
    digest.update(checkpoint.shift.numpy().tobytes() + checkpoint.scale.numpy().tobytes())
    return digest.hexdigest()


def diagnosis_hash(checkpoint: Checkpoint, result: CandidateResult, seen: Sequence[View]) -> str:
    """SHA-256 of one-step forecasts and of what is left of errors, where a candidate has them."""
    ahead = one_step(checkpoint, seen, result.median_replica.index)
    left = sensitivity(checkpoint, seen)
    numbers: list[object] = [None, None] if ahead is None else [ahead.nmse, ahead.forecast.tolist()]
    numbers.append(left and left.norms)
    return hashlib.sha256(json.dumps(numbers).encode()).hexdigest()


def measure(study: StudyDefinition, drawn: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each candidate: its seeds and key, and what it becomes alone and in company."""
    space = study.full_space()
    one, two = views(study, 1), views(study, CHANNELS_OF_SOME)
    rows: list[dict[str, Any]] = []
    cohorts: dict[object, list[int]] = {}
    for number, params in enumerate(drawn):
        candidate = space.resolve(params)
        cohorts.setdefault(candidate.cohort_key(), []).append(number)
        seeds = [initialisation_seed(study.seed, "search", candidate, r, 0) for r in range(2)]
        row: dict[str, Any] = {"params": params, "seeds": seeds}
        row["alone"] = train(study, [params], one)[0]
        if number % TWO_CHANNELS_EVERY == 0:
            row["two_channels"] = train(study, [params], two)[0]
        rows.append(row)
        if sys.stderr.isatty():
            print(f"\r{number + 1} of {len(drawn)}", end="", file=sys.stderr)
    for members in cohorts.values():
        if len(members) > 1:
            trained = train(study, [drawn[number] for number in members], one)
            for number, own in zip(members, trained, strict=True):
                rows[number] |= {"cohort": own, "cohort_of": members}
    return rows


def differences(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> int:
    """Print what differs, one line a candidate; return how many do."""
    count = 0
    for number, (old, new) in enumerate(zip(before, after, strict=True)):
        keys = [key for key in old.keys() | new.keys() if old.get(key) != new.get(key)]
        if keys:
            count += 1
            print(f"candidate {number} ({old['params']['cell']}): {', '.join(sorted(keys))} differ")
    return count


def main(arguments: list[str]) -> int:
    """Write or compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=("write", "compare"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--structures", type=int, default=12, help="of each cell")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    study = definition()
    if options.action == "write":
        drawn = list(draw_params(study, options.structures, seed=0))
        rows = measure(study, drawn)
        options.file.write_text(json.dumps(rows))
        print(f"{len(rows)} candidates written to {options.file}")
        return 0
    before = json.loads(options.file.read_text())
    after = json.loads(json.dumps(measure(study, [row["params"] for row in before])))
    count = differences(before, after)
    cohorts = sum("cohort" in row for row in before)
    print(f"{len(before)} candidates ({cohorts} in cohorts too): {count} differ")
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
