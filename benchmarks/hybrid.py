"""Networks with and without an autoregression whose rest they forecast, at equal steps.

    python benchmarks/hybrid.py FOLDER --only madrid gasoline
    python benchmarks/hybrid.py --generated noisy-sine mackey-glass

FOLDER is that of `real_series.py`: of each series, the spans follow from its rows, period and
horizon. Every network has the same cell, context, segments and training; the rows differ in what
its output is added to, which columns say. Beside them, the autoregression alone, as the closed form
`ar` on as many values as the hybrids read.

Prints a Markdown table of NMSE on validation (over the study's cuts, or draws) and on the test
(the median over as many networks), and then geometric means relative to the plain network.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median

import torch

from benchmarks.command import count, end_with_messages, seconds
from benchmarks.methods import SERIES
from benchmarks.real_series import read_folder, study_sections
from models.candidate import Candidate, candidate_of
from models.methods import Scalar
from models.training.trained_network import TrainedNetwork
from search.evaluation import Cohort
from search.series import Purpose
from search.study.definition import StudyDefinition
from search.study.study_file import read_study
from search.study.task_data import TaskData

# What all networks have.
NETWORK: Mapping[str, Scalar] = {
    "hidden_units": 32,
    "teacher_weight": 0.3,
    "curriculum_fraction": 0.5,
    "weight_decay": 1e-4,
    "clip_norm": 1.0,
    "schedule": "cosine",
    "batch_size": 16,
}
# What the output is added to, by the heads of columns; those of a season only where there is one.
VARIANTS: Mapping[str, Mapping[str, Scalar]] = {
    "network": {},
    "residual": {"residual": True},
    "hybrid ar": {"hybrid": "ar"},
    "hybrid level-ar": {"hybrid": "level-ar"},
}
SEASONAL: Mapping[str, Mapping[str, Scalar]] = {
    f"{name}, seasonal": own for name, own in VARIANTS.items() if name != "residual"
}
CLOSED_FORM = "ar alone"
# Of a series without a period.
WARM_UP_STEPS = 100


def studies(options: argparse.Namespace) -> Iterator[tuple[StudyDefinition, TaskData]]:
    """The definition and the data of each series that is asked for."""
    if options.folder is not None:
        known = read_folder(options.folder)
        for name in options.only or known:
            path = (options.folder / f"{name}.csv").resolve()
            read = read_study(study_sections(path, name, known[name]), options.folder, name)
            yield read.definition, TaskData(read.definition, read.table)
    for name in options.generated:
        sections = {"name": name, "search": {"replicas": options.networks}}
        own = {key: SERIES[name][key] for key in ("series", "task")}
        definition = StudyDefinition.model_validate({**sections, **own})
        yield definition, TaskData(definition, None)


def candidates(
    data: TaskData, horizon_steps: int, options: argparse.Namespace
) -> dict[str, Candidate]:
    """The variants of a network on a series, and the closed form, by the heads of columns."""
    known = data.properties()
    period = None if known.period is None else round(known.period)
    segment = options.segment or max(1, round((period or 4) / 4))
    warm_up = WARM_UP_STEPS if period is None else max(2 * period, 4 * segment)
    warm_up = min(warm_up, known.train_steps // 3)
    plain = {
        **NETWORK,
        "cell": options.cell,
        "context": "state",
        "warm_up_steps": warm_up,
        "segment_steps": segment,
        "rollout_steps": min(horizon_steps, warm_up),
        "training_steps": options.steps,
        "learning_rate": options.rate,
    }
    variants = dict(VARIANTS)
    has_season = (
        known.has_season and period is not None and 3 * period + warm_up < known.train_steps
    )
    if has_season:
        variants |= SEASONAL
    found = {
        name: candidate_of(
            {**plain, **own, "seasonal_lag": period if name.endswith("seasonal") else 0}
        )
        for name, own in variants.items()
    }
    hybrid = found["hybrid ar"]
    assert isinstance(hybrid, TrainedNetwork)
    lags = hybrid.architecture.autoregressive_steps
    form = {"cell": "ar", "ar_order": lags, "segment_steps": segment}
    found[CLOSED_FORM] = candidate_of({**form, "regularisation": "held-out"})
    return found


def scores(
    candidate: Candidate, data: TaskData, purpose: Purpose, networks: int
) -> tuple[float, float]:
    """The score over so many views of a purpose, and the median NMSE of the networks."""
    views = [data.view(purpose, index) for index in range(networks)]
    cohort = Cohort([candidate], views, study_seed=0, purpose=purpose)
    rungs = [rung for rung in cohort if rung is not None]
    (result,) = rungs[-1].results.values()
    return result.score, median(replica.scores.nmse for replica in result.replicas)


def main(arguments: list[str]) -> None:
    """Measure series by series, then print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", metavar="FOLDER")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these series of FOLDER alone")
    parser.add_argument("--generated", nargs="+", choices=SERIES, default=[])
    parser.add_argument("--cell", default="gru", help="of all networks")
    parser.add_argument("--segment", type=count, help="values at once; else a quarter of a period")
    parser.add_argument("--steps", type=count, default=300, help="training steps of each network")
    parser.add_argument("--rate", type=seconds, default=0.005, help="learning rate")
    parser.add_argument("--networks", type=count, default=4, help="of each variant, and draws")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with end_with_messages():
        rows: dict[str, dict[str, tuple[float, float]]] = {}
        for definition, data in studies(options):
            name, task = definition.name, definition.task
            is_table = definition.series.source == "table"
            rows[name] = {}
            for head, candidate in candidates(data, task.horizon_steps, options).items():
                search = scores(candidate, data, "search", options.networks)[0]
                test = scores(
                    candidate, data, "test" if is_table else "benchmark", options.networks
                )[1]
                rows[name][head] = search, test
                print(json.dumps([name, head, search, test]), file=sys.stderr, flush=True)
    heads = list(dict.fromkeys(head for own in rows.values() for head in own))
    print("| series |", " | ".join(heads), "|")
    print("|---" * (len(heads) + 1) + "|")
    for name, own in rows.items():
        cells = (f"{own[h][0]:.3g} / {own[h][1]:.3g}" if h in own else "" for h in heads)
        print(f"| {name} |", " | ".join(cells), "|")
    for place, span in enumerate(("validation", "test")):
        ratios = []
        for head in heads:
            logs = [
                math.log(o[head][place] / o["network"][place]) for o in rows.values() if head in o
            ]
            ratios.append(f"{math.exp(sum(logs) / len(logs)):.3g} ({len(logs)})")
        print(f"| of the network's, {span} |", " | ".join(ratios), "|")


if __name__ == "__main__":
    main(sys.argv[1:])
