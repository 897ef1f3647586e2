"""Machine code that lies on disk: what it computes, and what reading it takes."""

import ast
import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

from models.network.kernels.vectors import broadcast, store

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


KERNELS = "models.network.kernels"
ENTRIES = (f"{KERNELS}.members", f"{KERNELS}.estimated_members", "models.training.fused_adamw")


def kernels_in(module: str) -> set[str]:
    """Modules of kernels that a module imports anything from, by itself or by way of others."""
    found: set[str] = set()
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == KERNELS:
            found |= {f"{KERNELS}.{name.name}" for name in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{KERNELS}."):
            found.add(str(node.module))
    return found.union(*(kernels_in(own) for own in found))


@pytest.mark.parametrize("entry", ENTRIES)
def test_machine_code_is_stale_once_anything_changes_that_it_is_compiled_from(entry: str) -> None:
    """numba looks at the function that Python calls alone; the digest has to know all others."""
    parts = {part.__name__ for part in importlib.import_module(entry).PARTS}
    assert kernels_in(entry) - {entry} <= parts


def test_a_vector_is_not_written_into_an_array_of_another_precision() -> None:
    """It would take twice the room, and nothing looks at the array's end."""

    @njit  # type: ignore[untyped-decorator]
    def copied(numbers: Any, to: Any) -> None:
        store(to, 0, broadcast(numbers, 0))

    ones = np.ones(8)
    copied(ones, ones.copy())
    with pytest.raises(TypingError):
        copied(ones, np.zeros(16, dtype=np.float32))
