"""How functions of kernels are compiled, and where machine code is kept."""

import inspect
from collections.abc import Callable, Sequence
from hashlib import sha256
from types import ModuleType
from typing import Any

from numba import njit

# For functions that only compiled code calls: without wrappers for Python, and without counting
# references to arrays, which all are held by the caller.
_INNER = {"error_model": "numpy", "_nrt": False} | dict.fromkeys(
    ("no_cpython_wrapper", "no_cfunc_wrapper"), True
)
part = njit(**_INNER)
# For small ones that are put in the place of each of their calls.
inlined = njit(**_INNER, forceinline=True)


def entry(function: Callable[..., None]) -> Any:
    """Compile a function that Python calls at its first call, and keep machine code on disk.

    In `__pycache__` beside its file or, where that is read-only, in the user's cache folder; the
    environment variable NUMBA_CACHE_DIR names another folder. Where none can be written, every
    process compiles.
    """
    choices: dict[str, Any] = {"error_model": "numpy", "nogil": True, "no_cfunc_wrapper": True}
    try:
        return njit(**choices, cache=True)(function)
    except RuntimeError:  # "cannot cache function: no locator available"
        return njit(**choices)(function)


def digest_of(modules: Sequence[ModuleType], *constants: float) -> str:
    """A digest of the source of modules, and of constants that they import from elsewhere."""
    sources = [inspect.getsource(module) for module in modules]
    return sha256("\n".join([*sources, repr(constants)]).encode()).hexdigest()
