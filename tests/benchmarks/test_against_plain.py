"""The benchmark against plain torch.nn: both train the same thing, and both halves run."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import against_plain
from benchmarks.plain_study import Network, Training, checked, network_steps
from models.candidate import candidate_of, free_run
from models.network.forecaster import Forecaster
from models.training.trained_network import TrainedNetwork
from search.errors import UsageError
from search.evaluation import Cohort
from search.study.study_file import read_study_file
from search.study.task_data import TaskData, View

# The order of the gates, in torch's units of a gate: freerun's LSTM has i, f, o, g.
GATES = {"rnn": [0], "gru": [0, 1, 2], "lstm": [0, 1, 3, 2]}


def candidate(cell: str, **changes: object) -> TrainedNetwork:
    settings: Mapping[str, object] = {
        **{"cell": cell, "hidden_units": 16, "layers": 1, "head_layers": 0, "context": "state"},
        **{"warm_up_steps": 160, "segment_steps": 20, "offset": False, "rollout_steps": 300},
        **{"teacher_weight": 0.0, "curriculum_fraction": 0.5, "learning_rate": 0.01},
        **{"weight_decay": 0.1, "clip_norm": 1.0, "schedule": "cosine", "training_steps": 60},
        **{"batch_size": 8, "restarts": 1, "time_reversal": True, "sign_augmentation": True},
        **changes,
    }
    return checked(candidate_of(settings))  # type: ignore[arg-type]


def views(count: int) -> list[View]:
    file = read_study_file(against_plain.STUDY)
    data = TaskData(file.definition, file.table)
    return [data.view("search", replica) for replica in range(count)]


@pytest.mark.parametrize("cell", list(GATES))
def test_a_plain_network_computes_what_the_products_own_does(cell: str) -> None:
    own = candidate(cell)
    forecaster = Forecaster(own.architecture)
    row = forecaster.initialise(torch.Generator().manual_seed(0))
    named = {name: v[0] for name, v in forecaster.layout().views(row.unsqueeze(0)).items()}
    named["head.0.bias"].zero_()
    network, units = Network(own), own.cell.units
    order = torch.cat([torch.arange(units) + units * gate for gate in GATES[cell]])
    first = {
        "weight_ih_l0": named["cell.0.input"].T[order],
        "weight_hh_l0": named["cell.0.recurrent"].T[order],
        "bias_ih_l0": named.get("cell.0.input_bias", named.get("cell.0.bias"))[0][order],  # type: ignore[index]
    }
    bias = named.get("cell.0.recurrent_bias")
    first["bias_hh_l0"] = torch.zeros(len(order)) if bias is None else bias[0][order]
    network.layer.load_state_dict(first)
    network.head.load_state_dict({"weight": named["head.0.weight"].T})
    known = torch.randn(3, 160, generator=torch.Generator().manual_seed(1))
    expected = free_run(forecaster, row.expand(2, -1), known.expand(2, 3, 160).unsqueeze(3), 90)
    with torch.no_grad():
        found = network(known, 90)
    torch.testing.assert_close(found, expected[0, :, :, 0], atol=2e-5, rtol=1e-4)


def test_training_reaches_the_same_loss_and_score() -> None:
    own, replicas = candidate("gru", training_steps=150, learning_rate=0.02), views(5)
    *_, rung = Cohort([own], replicas, study_seed=0, purpose="search")
    assert rung is not None
    results = rung.results[0].replicas
    plain = [Training(own, view, seed) for seed, view in enumerate(replicas)]
    for training in plain:
        training.advance(150)
    losses = [training.loss() for training in plain]
    scores = [training.score() for training in plain]
    # Other initial weights, and other parts of the span: each spreads as widely as the other.
    pairs = (
        (losses, [result.training_loss for result in results]),
        (scores, [result.scores.nmse for result in results]),
    )
    for found, expected in pairs:
        logs = np.log(found), np.log(expected)
        spread = np.hypot(*(log.std(ddof=1) for log in logs)) / np.sqrt(len(replicas))
        assert abs(logs[0].mean() - logs[1].mean()) < 3 * spread + 0.1


def test_a_score_is_that_of_the_protocol() -> None:
    own, (view,) = candidate("gru"), views(1)
    training = Training(own, view, seed=0)
    with torch.no_grad():
        for parameter in training.network.parameters():
            parameter.zero_()
    # A forecast of zero misses a sine by its own variance.
    truth = view.truth[view.starts[0] : view.starts[0] + view.horizon_steps]
    assert training.score() == pytest.approx(float(np.mean(truth**2) / view.variance), rel=1e-6)


def test_steps_are_counted_as_restarts_race() -> None:
    # Of 4 restarts 2 are left after an eighth, 1 after a quarter: 4/8 + 2/8 + 1 - 1/4 = 1.5.
    racing = candidate("rnn", restarts=4, training_steps=800)
    assert network_steps(racing, 3, 1.0) == 3 * 1200
    assert network_steps(racing, 3, 0.125) == 3 * 400
    assert network_steps(candidate("rnn", training_steps=800), 1, 0.5) == 400


def test_what_plain_modules_lack_is_refused() -> None:
    with pytest.raises(UsageError, match="layers is 2"):
        candidate("gru", layers=2)
    with pytest.raises(UsageError, match="input_noise_std"):
        candidate("gru", input_noise_std=0.1)


def test_both_halves_run_and_are_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = against_plain.STUDY.read_text()
    for before, after in (("[300, 600]", "8"), ("[16, 32]", "8"), ("replicas = 4", "replicas = 1")):
        text = text.replace(before, after)
    study, picture = tmp_path / "small.toml", tmp_path / "picture.png"
    study.write_text(text)
    options = ["--minutes", "10", "--trials", "2", "--picture", str(picture), "--json"]
    against_plain.main(["--study", str(study), *options])
    found = json.loads(capsys.readouterr().out)
    assert [half["name"] for half in found["halves"]] == ["torch.nn", "freerun"]
    assert all(half["trials"] > 0 and half["steps"] > 0 for half in found["halves"])
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_halves_are_compared() -> None:
    plain = against_plain.Half("torch.nn", 2.0, 100, 10.0, (1.0, 1.5), ((1.5, 0.5),))
    own = replace(plain, name="freerun", steps=1000, finished=tuple([0.5] * 80), best=((0.5, 0.1),))
    assert (plain.trials_per_hour, own.trials_per_hour) == (60, 2400)
    assert (plain.best_by(1.0), plain.best_by(2.0)) == (None, 0.5)
    lines = against_plain.report(plain, own).splitlines()
    assert any(line.startswith("trials per hour") and line.endswith("40.0") for line in lines)
