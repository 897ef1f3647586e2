"""The example of a plug-in, built and installed in an environment of its own, and used there."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.search.cli.conftest import PATIENCE_SECONDS, REPOSITORY, Finished, freerun_anew

PLUGIN = REPOSITORY / "examples" / "plugin"


@dataclass(frozen=True)
class Environment:
    """A virtual environment with the plug-in, and a folder with a study that used it."""

    python: Path
    folder: Path

    def freerun(self, *arguments: object) -> Finished:
        """Run `freerun` there."""
        ended = subprocess.run(
            [self.python, "-m", "search", *map(str, arguments)],
            cwd=self.folder,
            env={**os.environ, "FREERUN_STORAGE": f"sqlite:///{self.folder}/studies.db"},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return Finished(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The plug-in's wheel, built and installed where freerun's own packages are seen as well."""
    folder = tmp_path_factory.mktemp("plugin")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-build-isolation", "--quiet"]
    source = folder / "source"
    subprocess.run(["cp", "-r", PLUGIN, source], check=True)  # a build writes beside its source
    subprocess.run([*pip, "wheel", *offline, "--wheel-dir", folder / "dist", source], check=True)
    (wheel,) = (folder / "dist").glob("freerun_example-1.0.0-*.whl")
    subprocess.run([*pip, "--python", python, "install", *offline, wheel], check=True)
    inside = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = subprocess.run(
        [python, "-c", inside], check=True, capture_output=True, text=True
    ).stdout.strip()
    shared = [sysconfig.get_path("purelib"), str(REPOSITORY)]
    (Path(packages) / "freerun.pth").write_text("\n".join(shared))
    environment = Environment(python, folder)
    ran = environment.freerun("run", PLUGIN / "study.toml", "--json")
    assert ran.code == 0, ran.err
    return environment


def test_a_study_of_a_plugin_is_exported_and_retrained_to_its_score(
    installed: Environment,
) -> None:
    listed = installed.freerun("methods")
    assert all(name in listed.out for name in ("fast_rnn", "log_cosh", "logistic_map"))
    manifest = json.loads((installed.folder / "results/plugin/export/manifest.json").read_text())
    assert manifest["versions"]["freerun-example"] == "1.0.0"
    candidate = json.loads((installed.folder / "results/plugin/export/candidate.json").read_text())
    assert candidate["candidate"]["settings"]["cell"] == "fast_rnn"
    again = installed.freerun("retrain", "results/plugin/export", "-o", "again", "--json")
    assert again.code == 0, again.err
    assert again.json["reproduced"] is True
    rows = "".join(f"{step},{0.1 * (step % 7)}\n" for step in range(80))
    (installed.folder / "rows.csv").write_text(f"step,value\n{rows}")
    forecast = installed.freerun(
        "forecast", "again", "--series", "rows.csv", "--horizon", 3, "-o", "forecast.csv"
    )
    assert forecast.code == 0, forecast.err
    written = (installed.folder / "forecast.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in written] == ["step", "80", "81", "82"]


@pytest.mark.parametrize(
    "command", [("work", "plugin"), ("retrain", "results/plugin/export", "-o", "other")]
)
def test_without_the_plugin_it_is_refused_with_the_remedy(
    installed: Environment, command: tuple[str, ...]
) -> None:
    storage = f"sqlite:///{installed.folder}/studies.db"
    ended = freerun_anew(installed.folder, *command, FREERUN_STORAGE=storage)
    assert ended.code == 2
    assert "freerun-example (version 1.0.0), which is not installed here" in ended.err
    assert "pip install freerun-example" in ended.err


def test_gradients_of_the_cell_and_the_loss_are_exact(installed: Environment) -> None:
    program = (
        "from freerun_example.fast_rnn import FastRNN\n"
        "from tests.models.network.cells.contract import check_differences\n"
        "check_differences(FastRNN(hidden_units=4))\n"
        "import torch\n"
        "from freerun_example.log_cosh import LogCosh\n"
        "from models.training.losses.loss import CountedSteps\n"
        "forecast, truth = torch.randn(2, 1, 2, 1, 5).double()\n"
        "leaf = forecast.clone().requires_grad_()\n"
        "(leaf - truth).cosh().log().mean().backward()\n"
        "counted = CountedSteps(torch.zeros(1), torch.full((1,), 5.0))\n"
        "torch.testing.assert_close(LogCosh.gradient(forecast, truth, counted), leaf.grad)\n"
    )
    subprocess.run([installed.python, "-c", program], cwd=REPOSITORY, check=True)
