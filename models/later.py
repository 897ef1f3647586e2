"""torch, imported when it is first used.

Files that declare methods are read to know what a study file may say, which should not take the
seconds that torch needs to start. They write `from models.later import torch`; a plug-in may
import torch itself.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch as torch
else:

    class _Later:
        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            value = getattr(importlib.import_module(self._name), attribute)
            setattr(self, attribute, value)  # the next access goes straight to it
            return value

    torch = _Later("torch")
