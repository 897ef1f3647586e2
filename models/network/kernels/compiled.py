"""How functions of kernels are compiled, and where machine code is kept."""

import inspect
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from itertools import count
from types import ModuleType
from typing import Any

from numba import _dynfunc, njit
from numba.core.caching import FunctionCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.cpu import CPUContext
from numba.core.runtime import rtsys


class _PartLibrary(JITCodeLibrary):  # type: ignore[misc]
    """A part's code, as it is linked into the function that Python calls."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalized = True


class _PartContext(CPUContext):  # type: ignore[misc]
    """Knows a part by a function without an address, since only what calls it has one."""

    def get_executable(self, library: Any, fndesc: Any, env: Any) -> Any:
        module, name = fndesc.lookup_module(), fndesc.qualname
        return _dynfunc.make_function(module, name, "", 0, env, (library,))


class _PartCompiler(Compiler):  # type: ignore[misc]
    """Leaves a part to be optimised once, with the function that Python calls.

    numba by itself optimises and translates each part with all that it calls, and once more with
    each of its callers.
    """

    def __init__(self, typingctx: Any, targetctx: Any, *others: Any) -> None:
        super().__init__(typingctx, targetctx, *others)
        self.state.targetctx.__class__ = _PartContext
        self.state.library = _PartLibrary(targetctx.codegen(), f"part{next(_numbers)}")


_numbers = count()


class _Cache(FunctionCache):  # type: ignore[misc]
    """Reads machine code without what only a compiler needs.

    numba by itself first loads how each function of Python and NumPy is translated, which takes
    longer than all the rest of a kernel's start. Where code has to be compiled, the compiler loads
    that itself.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)
        return None


# For functions that only compiled code calls: without wrappers for Python, and without counting
# references to arrays, which all are held by the caller.
_INNER: dict[str, Any] = {
    "error_model": "numpy",
    "_nrt": False,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": _PartCompiler,
}
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
    compiled = njit(**choices)(function)
    # "cannot cache function: no locator available", where no folder can be written.
    with suppress(RuntimeError):
        compiled._cache = _Cache(function)
    return compiled


def digest_of(modules: Sequence[ModuleType], *constants: float) -> str:
    """A digest of the source of modules, and of constants that they import from elsewhere."""
    sources = [inspect.getsource(module) for module in modules]
    return sha256("\n".join([*sources, repr(constants)]).encode()).hexdigest()
