"""Print, as constraints for pip, the lowest version of each requirement in pyproject.toml.

    python .ci/lowest.py >build/oldest.txt

A lower bound is taken to be a release: `torch>=2.13,<3` becomes `torch==2.13`. The versions of what
the requirements need in turn are left to pip.
"""

import re
import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
_BOUND = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*>=\s*([^,;\s]+)")


def main() -> int:
    """Write one constraint a line to standard output."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    requirements = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        requirements += extra
    for requirement in requirements:
        if found := _BOUND.match(requirement):
            sys.stdout.write(f"{found[1]}=={found[2]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
