"""Machine code that lies on disk: what it computes, and what reading it takes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[4]
# Translations of NumPy's functions, which only the compiler needs.
COMPILER = ["numba.np.linalg", "numba.np.arraymath", "numba.typed.typeddict"]
PROGRAM = f"""
import json, sys
import torch
from models.network.forecaster import Forecaster
from models.candidate import candidate_of
from models.network.walk import free_run

candidate = candidate_of({{
    "cell": "gru", "hidden_units": 5, "layers": 1, "head_layers": 0, "context": "state",
    "warm_up_steps": 9, "rollout_steps": 4, "learning_rate": 0.01, "clip_norm": 1.0,
    "training_steps": 8, "batch_size": 2,
}})
forecaster = Forecaster(candidate.architecture)
row = forecaster.initialise(torch.Generator().manual_seed(0))
known = torch.linspace(-1.0, 1.0, 18).view(1, 2, 9, 1).expand(2, 2, 9, 1)
run = free_run(forecaster, row.expand(2, -1), known, 7)
loaded = [name for name in {COMPILER} if name in sys.modules]
print(json.dumps([loaded, run.flatten().tolist()]))
"""


def ended(environment: dict[str, str] | None = None) -> Any:
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
        env=environment,
    )
    return json.loads(found.stdout)


def test_machine_code_on_disk_is_read_without_the_compiler_and_computes_the_same() -> None:
    _, first = ended()  # where it is not on disk yet, it is compiled here
    loaded, again = ended()
    assert loaded == []
    assert again == first
    assert len(set(first)) > 7
