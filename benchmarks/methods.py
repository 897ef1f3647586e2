"""The methods of docs/methods.md side by side: an equal budget of random candidates for each.

    python benchmarks/methods.py --methods gru cornn lem --series noisy-sine
    python benchmarks/methods.py --segments 1 5 10 20 40

Every method gets the same number of candidates, each trained on the same draws for the same number
of optimiser steps. They are sampled at random from one plain space, in which the method fixes or
opens what it is about. Prints a Markdown table: best and median score (NMSE against the signal,
over free runs of the test horizon on benchmark draws), how often each verdict was given, and
seconds of one core. With --segments, each cell reads and writes segments of each of these lengths
in turn, and the table has a column for each.

To add a method, add a row to its table below; to add a series, an entry of SERIES.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from statistics import median
from typing import Any

import torch

from models.candidate import Candidate
from search.evaluation import CandidateResult, Cohort
from search.running.proposer import Proposer
from search.study.definition import StudyDefinition
from search.study.task_data import TaskData, View

MOST_MEMBERS = 4096


@dataclass(frozen=True)
class Method:
    """A row of the table. space: what of BASE it replaces or opens, as a study file would."""

    name: str
    space: Mapping[str, object]


# What a candidate is where its method does not say otherwise: a GRU, warmed up on 60 values, that
# feeds its forecasts back and is trained on free runs. Learning rate, share of teacher forcing and
# curriculum are drawn at random; all else is fixed, so that methods differ in what they are about.
BASE: Mapping[str, object] = {
    "cell": "gru",
    "hidden_units": 16,
    "modes": 4,
    "layers": 1,
    "head_layers": 0,
    "context": "state",
    "warm_up_steps": 60,
    "window_steps": 64,
    "autonomous": False,
    "state_estimate": "recurrence",
    "residual": False,
    "offset": False,
    "damping": True,
    "rollout_steps": 120,
    "window_rollout_steps": 16,
    "teacher_weight": {"low": 0.0, "high": 0.4},
    "curriculum_fraction": {"low": 0.4, "high": 0.9},
    "time_reversal": True,
    "input_noise_std": 0.0,
    "feedback_noise_std": 0.0,
    "output_noise_std": 0.0,
    "label_noise_std": 0.0,
    "initial_phases": "random",
    "learning_rate": {"low": 3e-3, "high": 3e-2, "log": True},
    "weight_decay": 1e-4,
    "clip_norm": 1.0,
    "schedule": "cosine",
    "training_steps": 150,
    "batch_size": 8,
    "restarts": 1,
}

ARCHITECTURES = (
    Method("rnn", {"cell": "rnn"}),
    Method("gru", {}),
    Method("lstm", {"cell": "lstm"}),
    Method("lru", {"cell": "lru"}),
    Method("lru on its state", {"cell": "lru", "autonomous": True}),
    Method(
        "lru, state by least squares",
        {
            "cell": "lru",
            "autonomous": True,
            "state_estimate": "least-squares",
            "initial_phases": "spectrum",
        },
    ),
    Method("cornn", {"cell": "cornn"}),
    Method("cornn on its state", {"cell": "cornn", "autonomous": True}),
    Method("lem", {"cell": "lem"}),
    Method("antisymmetric", {"cell": "antisymmetric"}),
    Method("orthogonal", {"cell": "orthogonal"}),
    Method("orthogonal on its state", {"cell": "orthogonal", "autonomous": True}),
    Method("shplrnn", {"cell": "shplrnn"}),
    Method("shplrnn on its state", {"cell": "shplrnn", "autonomous": True}),
    Method("mlp", {"cell": "mlp"}),
    Method("window of 64", {"context": "window"}),
    Method("layer norm", {"layer_norm": True}),
    Method("instance norm", {"instance_norm": True}),
    Method("increments", {"residual": True}),
    Method("scaled increments", {"residual": True, "scaled_increments": True}),
)
STRATEGIES = (
    Method("one-step loss", {"rollout_steps": 1}),
    Method("scheduled-linear", {"forcing": "scheduled-linear", "forcing_midpoint": 0.25}),
    Method("scheduled-exponential", {"forcing": "scheduled-exponential", "forcing_midpoint": 0.25}),
    Method("scheduled-sigmoid", {"forcing": "scheduled-sigmoid", "forcing_midpoint": 0.25}),
    Method("increasing", {"forcing": "increasing", "forcing_midpoint": 0.5}),
    Method("generalised", {"forcing": "generalised", "forcing_strength": 0.1}),
    Method("adaptive", {"forcing": "adaptive"}),
    Method("sparse", {"forcing": "sparse", "forcing_interval": 32}),
    Method("professor forcing", {"teacher_span": "rollout", "professor_weight": 1.0}),
    Method("stateful", {"stateful": True, "rollout_steps": 50}),
    Method("pushforward", {"pushforward_steps": 2}),
    Method("data as demonstrator", {"data_as_demonstrator": True}),
    Method("growth penalty", {"growth_penalty": True, "growth_weight": 0.001}),
    Method("input noise", {"input_noise_std": 0.1}),
    Method("feedback noise", {"feedback_noise_std": 0.1}),
    Method("output noise", {"output_noise_std": 0.1}),
    Method("label noise", {"label_noise_std": 0.1}),
    Method("state noise", {"state_noise_std": 0.02}),
    Method("dropout", {"dropout": 0.1}),
    Method("sign augmentation", {"sign_augmentation": True}),
    Method("scale augmentation", {"scale_augmentation_std": 0.2}),
    Method("exponential average", {"weight_average": "exponential", "average_fraction": 0.05}),
    Method("tail average", {"weight_average": "tail", "average_fraction": 0.1}),
    Method("4 restarts", {"restarts": 4}),
)
LOSSES = (
    Method("velocity loss", {"velocity_weight": 1.0}),
    Method("spectral loss", {"spectral_weight": 0.3}),
    Method("amplitude loss", {"amplitude_weight": 0.3}),
)
# What is fitted in closed form has no training to fix. Sizes are fixed, as a network's are; what is
# drawn at random are scalings, the ridge or the rank, and whether these were chosen held-out.
CLOSED_FORM = (
    Method("esn", {"cell": "esn", "reservoir_units": 200}),
    Method("nvar", {"cell": "nvar", "nvar_delays": 4, "delay_stride": 6, "degree": 2}),
    Method("ar", {"cell": "ar", "ar_order": 128}),
    Method("ssa", {"cell": "ssa", "ssa_window": 300, "ssa_rank": [1, 2, 3, 4]}),
)
METHODS = {m.name: m for m in (*ARCHITECTURES, *CLOSED_FORM, *STRATEGIES, *LOSSES)}
# The cells that --segments compares.
CELLS = ("rnn", "gru", "lstm", "lru", "cornn", "lem", "antisymmetric", "orthogonal", "shplrnn")

_SINE_TASK = {"train_steps": 600, "horizon_steps": 400, "test_horizon_steps": 1000}
# The [series] and [task] of a study, scored on its benchmark draws, and what BASE is there.
SERIES: dict[str, Mapping[str, Mapping[str, object]]] = {
    "noisy-sine": {"series": {"source": "sine", "noise_std": 0.2}, "task": _SINE_TASK},
    "clean-sine": {"series": {"source": "sine", "noise_std": 0.0}, "task": _SINE_TASK},
    "mackey-glass": {
        "series": {"source": "mackey_glass", "tau": 17.0},
        "task": {"train_steps": 3000, "horizon_steps": 84, "test_horizon_steps": 84},
        # Chaos is not reversible.
        "space": {"offset": True, "time_reversal": False},
    },
}


@dataclass(frozen=True)
class Row:
    """What a method reached on a series."""

    series: str
    method: str
    candidates: int
    best: float
    best_verdict: str
    median: float
    verdicts: Mapping[str, int]
    seconds: float


def measure(series: str, method: Method, options: argparse.Namespace) -> Row:
    """Train and score the candidates of a method, cohort by cohort."""
    definition = StudyDefinition.model_validate(
        {
            "name": "benchmark",
            "series": SERIES[series]["series"],
            "task": SERIES[series]["task"],
            "search": {
                "sampler": "random",
                "replicas": options.replicas,
                # As many as it takes, with restarts and replicas.
                "cohort_members": MOST_MEMBERS,
            },
            "space": {**BASE, **SERIES[series].get("space", {}), **method.space},
        }
    )
    data = TaskData(definition, None)
    views = [data.view("benchmark", replica) for replica in range(options.replicas)]
    results = [
        result
        for candidates in cohorts(definition, options.structures, options.strategies)
        for result in trained(candidates, views)
    ]
    assert len(results) == options.strategies * options.structures, (series, method.name)
    best = min(results, key=lambda result: result.score)
    return Row(
        series=series,
        method=method.name,
        candidates=len(results),
        best=best.score,
        best_verdict=best.verdict,
        median=median(result.score for result in results),
        verdicts=dict(Counter(result.verdict for result in results).most_common()),
        seconds=sum(result.seconds for result in results),
    )


def cohorts(
    definition: StudyDefinition, structures: int, strategies: int
) -> Iterable[list[Candidate]]:
    """Candidates of `structures` random structures, `strategies` of each."""
    proposer, space = Proposer(definition, sampler_seed=0), definition.full_space()
    for _ in range(structures):
        proposals = proposer.propose(at_most=strategies)
        proposer.forget()
        yield [space.resolve(proposal.params) for proposal in proposals]


def trained(candidates: Sequence[Candidate], views: Sequence[View]) -> list[CandidateResult]:
    """The candidates of one cohort at the end of their training."""
    cohort = Cohort(candidates, views, study_seed=0, purpose="benchmark")
    rungs = [rung for rung in cohort if rung is not None]
    return list(rungs[-1].results.values())


def table(rows: Iterable[Row]) -> str:
    """The rows in Markdown."""
    lines = [
        "| series | method | best NMSE | its verdict | median | verdicts | core seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        verdicts = ", ".join(f"{count} {name}" for name, count in row.verdicts.items())
        cells = [row.series, row.method, f"{row.best:.3g}", row.best_verdict]
        cells += [f"{row.median:.3g}", verdicts, f"{row.seconds:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def segments_table(rows: Iterable[tuple[int, Row]]) -> str:
    """The best and the median score of each cell, by the length of its segments, in Markdown."""
    by_cell: dict[tuple[str, str], dict[int, Row]] = {}
    for steps, row in rows:
        by_cell.setdefault((row.series, row.method), {})[steps] = row
    lengths = list(next(iter(by_cell.values())))
    lines = [
        "| series | cell | " + " | ".join(f"p = {steps}" for steps in lengths) + " | best p |",
        "|---|---|" + "---|" * (len(lengths) + 1),
    ]
    for (series, cell), by_length in by_cell.items():
        best = min(by_length, key=lambda steps: by_length[steps].best)
        scores = [f"{row.best:.3g} ({row.median:.3g})" for row in by_length.values()]
        verdict = by_length[best].best_verdict
        lines.append(f"| {' | '.join([series, cell, *scores, f'{best}, {verdict}'])} |")
    return "\n".join(lines)


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""

    def count(text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) < 1:
            raise argparse.ArgumentTypeError(
                f"must be a whole number of at least 1, but got {text!r}"
            )
        return int(text)

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--series", nargs="+", choices=SERIES, default=list(SERIES))
    parser.add_argument("--structures", type=count, default=1, help="architectures of a method")
    parser.add_argument("--strategies", type=count, default=8, help="strategies of each of them")
    parser.add_argument("--replicas", type=count, default=2, help="draws each candidate trains on")
    parser.add_argument(
        "--segments", nargs="+", type=count, metavar="STEPS", help="lengths of segments to compare"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    return parser.parse_args(arguments)


def compare_segments(options: argparse.Namespace) -> None:
    """Measure the cells among the methods with segments of each length, and print."""
    rows: list[tuple[int, Row]] = []
    for series, name, steps in product(options.series, options.methods, options.segments):
        if name not in CELLS:
            continue
        # Chaos has no symmetries, and the sign changes nothing of what is linear.
        is_symmetric = "space" not in SERIES[series] and name != "lru"
        symmetries = {"sign_augmentation": True} if is_symmetric else {}
        own = {**METHODS[name].space, **symmetries, "segment_steps": steps}
        rows.append((steps, measure(series, Method(name, own), options)))
        row = rows[-1][1]
        print(f"{series} {name}, p = {steps}: {row.best:.3g}, {row.seconds:.0f} s", file=sys.stderr)
    if options.json:
        found = [{"segment_steps": steps, **asdict(row)} for steps, row in rows]
        print(json.dumps({**vars(options), "rows": found}))
    else:
        print(segments_table(rows))


def main(arguments: list[str]) -> None:
    """Measure and print."""
    options = parse(arguments)
    torch.set_num_threads(1)
    if options.segments:
        compare_segments(options)
        return
    rows: list[Row] = []
    for series, name in product(options.series, options.methods):
        rows.append(measure(series, METHODS[name], options))
        print(f"{series} {name}: {rows[-1].best:.3g}, {rows[-1].seconds:.0f} s", file=sys.stderr)
    if options.json:
        found: dict[str, Any] = {**vars(options), "rows": [asdict(row) for row in rows]}
        print(json.dumps(found))
    else:
        print(table(rows))


if __name__ == "__main__":
    main(sys.argv[1:])
