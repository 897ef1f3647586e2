"""An export that was changed, its checksums made to fit, is refused as a study file would be."""

import json
import shutil
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from models.checkpoint import load, packed, parts_of
from search.errors import ExportError, UserError
from search.export import read_export, write_export
from search.study.study_file import read_study_file
from tests.fuzz.cases import EXPORTS, seal
from tests.search.cli.conftest import STUDIES
from tests.search.invented import SINE, YEARS, made_up_export, years_table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An export of a table's network, three replicas."""
    write_export(made_up_export(YEARS, years_table()), tmp_path / "out")
    return tmp_path / "out"


def change(folder: Path, name: str, keys: str, value: Any) -> None:
    """Set what stands at dotted keys of a JSON file, and let the manifest say so."""
    plain = json.loads((folder / name).read_bytes())
    *above, last = keys.split(".")
    inner = plain
    for key in above:
        inner = inner[key]
    assert last in inner
    inner[last] = value
    (folder / name).write_text(json.dumps(plain))
    seal(folder, name)


@pytest.mark.parametrize(
    ("name", "keys", "value", "words"),
    [
        ("candidate.json", "candidate.settings.learning_rate", -1, "learning_rate must be from"),
        ("candidate.json", "candidate.settings.learning_rate", 1e308, "learning_rate must be from"),
        ("candidate.json", "candidate.settings.training_steps", 10**12, "training_steps must be"),
        ("candidate.json", "candidate.settings.batch_size", 10**9, "batch_size must be from"),
        ("candidate.json", "candidate.settings.batch_size", "4", "must be a whole number"),
        ("candidate.json", "seed", 4, "seed of candidate.json must be 3"),
        ("candidate.json", "replicas", 10**9, "replicas of candidate.json must be 3"),
        ("candidate.json", "replicas", True, "valid integer"),
        ("candidate.json", "purpose", "search", "purpose of candidate.json must be 'final'"),
        ("manifest.json", "claim.replica_scores", [], "replicas of candidate.json must be 0"),
        ("manifest.json", "claim.score", "0.2", "claim.score: Input should be a valid number"),
        ("manifest.json", "claim.horizon_steps", 0, "a scored step at least"),
        ("manifest.json", "format", 3.0, "has the format 3.0"),
        ("manifest.json", "format", True, "has the format True"),
        ("manifest.json", "trial", -1, "greater than or equal to 0"),
        ("study.json", "task.train_steps", 1, "[task] train_steps must be at least 2, but got 1"),
        ("study.json", "search.replicas", 0, "[search] replicas must be at least 1, but got 0"),
        ("study.json", "series.time", "month", "data must have the columns of the study"),
    ],
)
def test_what_a_study_file_may_not_say_an_export_may_not_either(
    folder: Path, name: str, keys: str, value: Any, words: str
) -> None:
    change(folder, name, keys, value)
    with pytest.raises(ExportError) as refused:
        read_export(folder)
    assert words in str(refused.value)
    assert str(refused.value).startswith(str(folder))
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("value", [3, [], "x", None])
def test_a_candidate_of_another_kind_is_refused(folder: Path, value: Any) -> None:
    for name in ("export-sine", "export-table"):
        shutil.copytree(EXPORTS / name, folder.with_name(name))
        change(folder.with_name(name), "candidate.json", "candidate.strategy", value)
        with pytest.raises(ExportError, match=r"candidate\.json is damaged: candidate"):
            read_export(folder.with_name(name))
    change(folder, "candidate.json", "candidate.settings", value)
    with pytest.raises(ExportError, match=r"candidate\.json is damaged: candidate"):
        read_export(folder)


def test_a_study_file_is_refused_in_the_same_words(folder: Path, tmp_path: Path) -> None:
    text = (STUDIES / "smoke.toml").read_text().replace("train_steps = 120", "train_steps = 1")
    (tmp_path / "smoke.toml").write_text(text)
    change(folder, "study.json", "task.train_steps", 1)
    rule = "[task] train_steps must be at least 2, but got 1; write for example train_steps = 600"
    with pytest.raises(UserError) as of_file:
        read_study_file(tmp_path / "smoke.toml")
    with pytest.raises(UserError) as of_export:
        read_export(folder)
    assert rule in str(of_file.value)
    assert rule in str(of_export.value)


def nested(folder: Path) -> None:
    (folder / "study.json").write_text("[" * 100_000)


def expanding(folder: Path) -> None:
    (folder / "data").write_bytes(zlib.compress(bytes(300 * 2**20), level=1))


def numberless(folder: Path) -> None:
    header = json.dumps({"format": 1, "time_column": "year", "columns": [], "times": []})
    (folder / "data").write_bytes(zlib.compress(header.encode() + b"\n"))


@pytest.mark.parametrize(
    ("damage", "name", "words"),
    [
        (nested, "study.json", "study.json is damaged"),
        (expanding, "data", "expand to at most 256 MiB"),
        (numberless, "data", "one column at least"),
    ],
)
def test_files_that_grow_without_end_are_refused(
    folder: Path, damage: Callable[[Path], None], name: str, words: str
) -> None:
    damage(folder)
    seal(folder, name)
    with pytest.raises(ExportError, match=words):
        read_export(folder)


@pytest.mark.parametrize(
    ("name", "tensor", "words"),
    [
        ("shift", torch.zeros(3, 1, dtype=torch.bool), "must hold torch.float64 numbers"),
        ("scale", torch.ones(3, 1, dtype=torch.complex64), "must hold torch.float64 numbers"),
        ("scale", torch.zeros(3, 1).double(), "a scale above 0"),
        ("shift", torch.full((3, 1), torch.nan).double(), "must be finite"),
    ],
)
def test_numbers_of_another_kind_are_refused(
    folder: Path, name: str, tensor: torch.Tensor, words: str
) -> None:
    path = folder / "weights.safetensors"
    described, tensors = parts_of(load(path.read_bytes()))
    path.write_bytes(packed({"format_version": 2, **described}, tensors | {name: tensor}))
    seal(folder, path.name)
    with pytest.raises(ExportError, match=words):
        read_export(folder)


def test_a_table_beside_a_generated_series_claims_nothing(tmp_path: Path) -> None:
    made = made_up_export(SINE, years_table())
    write_export(made, tmp_path / "claims")
    with pytest.raises(ExportError, match="the study generates its series"):
        read_export(tmp_path / "claims")
    write_export(replace(made, claim=None, weights_purpose="all"), tmp_path / "trained")
    assert read_export(tmp_path / "trained").table is not None
