"""A short series, and a study of it that is done: trained once, in seconds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import freerun
from search.series import FloatArray

HORIZON = 6
TINY: dict[str, Any] = {"cell": ["ar", "nvar"]}
# Trials end these searches, however busy the machine is.
PATIENT: dict[str, Any] = {"minutes": 60.0}


def wave(rows: int = 90) -> FloatArray:
    """A noisy wave of twelve steps, `[time]`."""
    noise = np.random.default_rng(7).standard_normal(rows)
    return 5.0 + np.sin(np.arange(rows) * 2 * np.pi / 12) + 0.1 * noise


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[freerun.Study]:
    """A finished study of the wave."""
    path = tmp_path_factory.mktemp("study") / "freerun.db"
    with freerun.Study(
        wave(),
        horizon=HORIZON,
        name="wave",
        search=PATIENT,
        space=TINY,
        storage=f"sqlite:///{path}",
    ) as study:
        yield study.run(trials=3, workers=0, progress=False)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of a storage that does not exist yet."""
    return f"sqlite:///{tmp_path / 'freerun.db'}"
