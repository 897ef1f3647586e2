"""The search of the benchmark of chaos: what it holds out, what it refuses, what it finds."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.chaos import (
    BLOCK_STEPS,
    HORIZON_STEPS,
    MOST_CONTEXT_STEPS,
    Span,
    best_of,
    blocks,
    smape,
    systems,
)
from search.errors import UsageError

SPAN = np.sin(0.06 * np.arange(600))[:, None] + 0.3 * np.sin(0.17 * np.arange(600))[:, None]


def test_blocks_are_spread_over_the_span_and_not_fitted() -> None:
    found = blocks(1000)
    for block in found:
        fitted = np.concatenate([np.arange(1000)[piece] for piece in block.pieces])
        first, last = block.starts[0], block.starts[-1]
        assert not set(fitted) & set(range(first, last + HORIZON_STEPS))
        assert len(fitted) == 1000 - BLOCK_STEPS
    assert found[0].starts[0] == MOST_CONTEXT_STEPS
    assert found[-1].starts[-1] + HORIZON_STEPS == 1000


def test_a_search_finds_a_candidate_that_continues_waves() -> None:
    best, tried = best_of(Span(SPAN[:-HORIZON_STEPS]), seed=0, budget=2.0)
    assert tried > 1
    assert best.score < -1.0
    forecast = Span(SPAN[:-HORIZON_STEPS]).forecast(best.candidate)
    assert np.square(forecast - SPAN[-HORIZON_STEPS:, 0]).mean() < 0.1


def test_smape_is_on_the_scale_of_the_published_one() -> None:
    assert smape(np.array([1.0, -1.0]), np.array([1.0, 1.0])) == 100.0


def test_a_file_that_is_none_of_the_benchmark_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "systems.json.gz"
    with pytest.raises(UsageError, match="must be gzipped JSON"):
        list(systems(path))
    path.write_bytes(gzip.compress(json.dumps({"Lorenz": [1.0, 2.0]}).encode()))
    with pytest.raises(
        UsageError, match=r"at least 571 finite numbers.*Lorenz has the shape \[2\]"
    ):
        list(systems(path))
    path.write_bytes(gzip.compress(json.dumps({"Lorenz": SPAN[:, 0].tolist()}).encode()))
    ((name, values),) = systems(path)
    assert name == "Lorenz"
    np.testing.assert_array_equal(values, SPAN)
