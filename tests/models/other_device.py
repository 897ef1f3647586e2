"""A stand-in for a GPU: tensors that compute on the CPU, and refuse to meet those that lie there.

Code that trains on a GPU must bring its tensors there, and nothing but scalars, copies and indices
may cross over. Torch says so on a machine that has a GPU only. Inside `other_device`, tensors that
are made on or moved to `OTHER` hold their numbers in a tensor of the CPU, so that results are those
of the CPU; an operation that gets tensors of both devices raises DeviceError, like on a GPU.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

# The only device, beside the CPU, that torch can name in every build.
OTHER = "meta"
# What may read a tensor of the other device beside one of its own.
CROSSING = {"aten::copy_", "aten::_to_copy", "aten::index", "aten::index_put_"}


class DeviceError(AssertionError):
    """An operation got tensors of two devices, or made one on the wrong one."""


class There(Tensor):
    """A tensor on the other device; `held` has its numbers, on the CPU."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, held: Tensor) -> "There":
        """A tensor with the shape, the strides and the type of another."""
        own: There = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=torch.device(OTHER),
        )
        own.held = held
        return own

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        return _run(func, args, kwargs or {})

    # Torch asks for these numbers without an operation that could be caught.
    def item(self) -> Any:
        return self.held.item()

    def tolist(self) -> Any:
        return self.held.tolist()

    def __bool__(self) -> bool:
        return bool(self.held)

    def __float__(self) -> float:
        return float(self.held)

    # Torch would make a tensor without numbers of a list of indices.
    def __getitem__(self, index: Any) -> Tensor:
        return super().__getitem__(_indices(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(_indices(index), value)


class _Operations(TorchDispatchMode):
    """Lets operations make tensors on the other device."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        return _run(func, args, kwargs or {})


class _Literals(TorchFunctionMode):
    """Lets `torch.tensor` put numbers of Python onto the other device."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func is torch.tensor and _is_other(given.get("device")):
            return func(*args, **given | {"device": "cpu"}).to(OTHER)
        return func(*args, **given)


@contextmanager
def other_device() -> Iterator[None]:
    """Let `OTHER` be a device that computes."""
    with _Literals(), _Operations():  # type: ignore[no-untyped-call]
        yield


def _indices(index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple(map(_indices, index))
    return torch.tensor(index) if isinstance(index, list) else index


def _is_other(device: Any) -> bool:
    return device is not None and torch.device(device).type == OTHER


def _run(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The result of an operation of torch, on the device where it belongs."""
    name = func._schema.name
    tensors = [own for own in tree_leaves((args, kwargs)) if isinstance(own, Tensor)]
    there = [own for own in tensors if isinstance(own, There)]
    here = [own for own in tensors if not isinstance(own, There) and own.dim() > 0]
    if any(_is_other(own.device) for own in here):
        raise DeviceError(f"{name} got a tensor without numbers, which was made in an unknown way")
    if name not in CROSSING and there and here:
        raise DeviceError(f"{name} got tensors of two devices")
    if name in ("aten::copy_", "aten::index", "aten::index_put_"):
        is_there = isinstance(args[0], There)
        # Indices may lie on the CPU, but not on a device beside numbers of the CPU.
        if name != "aten::copy_" and there and not is_there:
            raise DeviceError(f"{name} got indices or values of the other device")
    elif kwargs.get("device") is not None:
        is_there = _is_other(kwargs["device"])
    else:
        is_there = bool(there)
    given = dict(kwargs) | ({"device": "cpu"} if kwargs.get("device") is not None else {})
    made = func(*tree_map(_held, args), **tree_map(_held, given))
    if name.endswith("_") or "out" in kwargs:
        return kwargs.get("out", args[0] if args else made)
    return tree_map(_there, made) if is_there else made


def _held(value: Any) -> Any:
    return value.held if isinstance(value, There) else value


def _there(value: Any) -> Any:
    return There(value) if isinstance(value, Tensor) else value
