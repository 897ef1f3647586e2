"""A small soak: real workers killed by SIGKILL, and a server that crashes under them."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_small_study_survives_kills_and_a_crash_of_the_server() -> None:
    # Trials long enough that two workers are busy for several seconds.
    plan = {"trials": 60, "workers": 2, "lease": 4, "every": 1, "restarts": 1}
    plan["training-steps"] = 200
    options = [f"--{name}={value}" for name, value in plan.items()]
    ended = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "soak.py"), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["finished"] == 60
    assert found["running"] == found["waiting"] == found["begun_after_end"] == 0
    assert found["kills"] >= 1
    assert found["lost"] >= 1
    assert found["restarts"] == 1
