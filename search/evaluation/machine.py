"""What a score depends on beside the candidate and its data: the type of machine, and versions.

On another type, or with other versions, a training may round differently.
"""

import platform

import numpy as np
import torch

import search
from search.plugins import plugin_versions


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
