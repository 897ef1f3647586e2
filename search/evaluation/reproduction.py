"""What a score depends on: seeds, the type of machine, and versions.

On another type of machine, or with other versions, a training may round differently.
"""

import hashlib
import json
import platform

import numpy as np
import torch

import search
from models.candidate import Candidate
from models.version_1 import seed_key
from search.plugins import plugin_versions
from search.series import Purpose


def this_machine() -> dict[str, str]:
    """The type of this machine: the processor's family, and the instructions that torch uses."""
    return {
        "architecture": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def this_versions() -> dict[str, str]:
    """The versions that a training here depends on, those of plug-ins included."""
    return {
        "freerun": search.__version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
        **plugin_versions(),
    }


def initialisation_seed(
    study_seed: int, purpose: Purpose, candidate: Candidate, replica: int, restart: int
) -> int:
    """A 63-bit seed for the initialisation, the subsequences and the noise of one network.

    Neither trial numbers nor workers nor times enter it, so a candidate that is run again, by
    whomever, is the same network. Neutral settings are left out, so that a candidate keeps its seed
    when later versions have settings that it does not use.
    """
    key = [study_seed, purpose, seed_key(candidate, candidate.restarts), replica, restart]
    text = json.dumps(key, sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
