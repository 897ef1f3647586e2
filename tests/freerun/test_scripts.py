"""A script as a user writes it: workers are processes, and nothing guards its top level."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import numpy as np
import freerun

series = np.sin(np.arange(120) * 2 * np.pi / 12)
series += 0.1 * np.random.default_rng(0).standard_normal(120)
study = freerun.Study(series, horizon=6, space={"cell": ["ar"]}).run(trials=2, workers=2)
print(study.best.test is not None, len(study.trials("polars")))
"""


def test_workers_start_without_a_guard_and_beside_packages_of_our_names(tmp_path: Path) -> None:
    script = tmp_path / "scripts" / "own.py"
    script.parent.mkdir()
    script.write_text(SCRIPT)
    folder = tmp_path / "project"
    for name in ("models", "search"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(f"raise RuntimeError('the {name} of a user')")
    command = [sys.executable, str(script)]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "True 2\n"
    assert (folder / "freerun.db").is_file()
    assert "final" in ended.stderr  # the progress
