"""What torch computes in a function, as ONNX operators: trace it, then translate node by node.

A trace of a function that writes into memory of its own is made functional by torch: writing into
a part of an array becomes an array with that part replaced. Mostly just that part is read later, so
that what replaces it is kept, and the whole is put together only where somebody reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx
from torch.func import functionalize
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.node import map_aggregate

from search.errors import UsageError
from search.export.onnx.graph import Graph

# Operators of one array that ONNX has under another name.
_UNARY = {
    "abs": "Abs",
    "cos": "Cos",
    "erf": "Erf",
    "exp": "Exp",
    "log": "Log",
    "neg": "Neg",
    "reciprocal": "Reciprocal",
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "sign": "Sign",
    "sin": "Sin",
    "softplus": "Softplus",
    "sqrt": "Sqrt",
    "tanh": "Tanh",
}
_BINARY = {"mul": "Mul", "div": "Div", "maximum": "Max", "minimum": "Min"}
_SUMS = {"add": "Add", "sub": "Sub"}
_PRODUCTS = frozenset({"bmm", "mm", "matmul"})
_SAME = frozenset({"alias", "clone", "contiguous", "detach", "lift_fresh"})
# What changes the shape alone, and not the order of the numbers.
_RESHAPED = frozenset({"view", "_unsafe_view", "reshape", "squeeze", "unsqueeze", "flatten"})


@dataclass(frozen=True, eq=False)
class _Value:
    """A value of a trace.

    example: what it is for the examples. name: in the graph; None for a constant, and where
    `written` says how it is made.
    """

    example: Tensor
    name: str | None = None
    written: _Written | None = None

    @property
    def is_constant(self) -> bool:
        return self.name is None and self.written is None


@dataclass(frozen=True, eq=False)
class _Written:
    """An array with a part replaced: positions from start to end along an axis.

    is_single: whether the part is one position, without that axis.
    """

    base: _Value
    part: _Value
    axis: int
    start: int
    end: int
    is_single: bool


def trace(function: Callable[..., Any], examples: Sequence[Tensor]) -> fx.GraphModule:
    """Trace a function of tensors that returns tensors, for arguments of the examples' shapes."""
    with torch.no_grad():
        traced = make_fx(functionalize(function, remove="mutations_and_views"))(*examples)
    traced.graph.eliminate_dead_code()
    return traced


def translate(
    traced: fx.GraphModule, examples: Sequence[Tensor], graph: Graph, inputs: Sequence[str]
) -> list[str]:
    """Add what a trace computes to a graph, for arguments of these names.

    Returns the names of its results. Raises UsageError for an operator that is not known here.
    """
    values = [_Value(own, name) for own, name in zip(examples, inputs, strict=True)]
    with torch.no_grad():
        translator = _Translator(traced, graph)
        return [translator.named(value) for value in translator.run(*values)]


class _Translator(fx.Interpreter):
    """Runs a trace on `_Value`: constants are computed, all else becomes operators of a graph."""

    def __init__(self, traced: fx.GraphModule, graph: Graph) -> None:
        super().__init__(traced)
        self.into = graph
        self.extra_traceback = False  # it would add lines to messages for users

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> _Value:
        return _Value(super().get_attr(target, args, kwargs))

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        name = target.__name__.split(".")[0]
        if name == "getitem":
            return args[0][args[1]]
        given: list[_Value] = []

        def example_of(own: Any) -> Any:
            if not isinstance(own, _Value):
                return own
            given.append(own)
            return own.example

        example = target(*map_aggregate(args, example_of), **map_aggregate(kwargs, example_of))
        if name.startswith("empty"):
            example = torch.zeros_like(example)
        if all(value.is_constant for value in given):
            return _constants(example)
        return self._operator(name.removesuffix("_copy"), target, args, kwargs, example)

    def named(self, value: _Value) -> str:
        """The name of a value; what is a constant or was written in parts is put into the graph."""
        if value.name is not None:
            return value.name
        if value.written is None:
            return self.into.constant(value.example.numpy())
        own = value.written
        part = self.named(own.part)
        if own.is_single:
            shape = list(own.part.example.shape)
            shape.insert(own.axis, 1)
            part = self.into.shaped(part, shape)
        pieces = [part]
        if own.start > 0:
            pieces.insert(0, self.named(self._sliced(own.base, own.axis, 0, own.start)))
        length = value.example.shape[own.axis]
        if own.end < length:
            pieces.append(self.named(self._sliced(own.base, own.axis, own.end, length)))
        return pieces[0] if len(pieces) == 1 else self.into.add("Concat", *pieces, axis=own.axis)

    def _operator(self, name: str, target: Any, args: Any, kwargs: Any, example: Any) -> Any:
        """The value of an operator of which an argument at least is no constant."""
        first: _Value = args[0]
        if name in _SAME:
            return first
        if name in ("select", "slice", "split", "split_with_sizes", "unbind"):
            return self._parts(name, args, example)
        if name in ("select_scatter", "slice_scatter"):
            return self._replaced(name, args, example)
        if name == "copy":
            return self._like(args[1], first.example.shape)
        if name in _RESHAPED:
            return _Value(example, self.into.shaped(self.named(first), example.shape))
        if name == "native_layer_norm":
            return self._layer_norm(args, example)
        made = self._computed(name, args, kwargs, example)
        if made is None:
            raise UsageError(
                f"a cell must consist of operators that are known for ONNX, but has {target}; "
                f"known are {', '.join(sorted({*_UNARY, *_BINARY, *_SUMS, *_PRODUCTS}))}, addcmul, "
                "baddbmm and what only moves numbers"
            )
        return _Value(example, made)

    def _computed(self, name: str, args: Any, kwargs: Any, example: Tensor) -> str | None:
        """The name of what an operator computes; None where it is not known."""
        add = self.into.add

        def array(number: int) -> str:
            return self._array(args[number], example)

        if name in _UNARY and len(args) == 1:
            return add(_UNARY[name], array(0))
        if name in _BINARY and not kwargs:
            return add(_BINARY[name], array(0), array(1))
        if name in _SUMS:
            other = self._times(array(1), kwargs.get("alpha", 1), example)
            return add(_SUMS[name], array(0), other)
        if name in _PRODUCTS:
            return add("MatMul", array(0), array(1))
        if name == "addcmul":
            product = self._times(add("Mul", array(1), array(2)), kwargs.get("value", 1), example)
            return add("Add", array(0), product)
        if name == "baddbmm":
            product = add("MatMul", array(1), array(2))
            product = self._times(product, kwargs.get("alpha", 1), example)
            return add("Add", self._times(array(0), kwargs.get("beta", 1), example), product)
        return self._moved(name, args, example)

    def _moved(self, name: str, args: Any, example: Tensor) -> str | None:
        """The same of an operator that only moves numbers, or repeats them."""
        add, axes = self.into.add, range(example.ndim)
        if name == "cat":
            joined = [self.named(own) for own in args[0]]
            return add("Concat", *joined, axis=(args[1] if len(args) > 1 else 0) % example.ndim)
        if name == "stack":
            axis = axes[args[1] if len(args) > 1 else 0]
            one = [1 if own == axis else size for own, size in enumerate(example.shape)]
            return add(
                "Concat", *(self.into.shaped(self.named(v), one) for v in args[0]), axis=axis
            )
        if name == "permute":
            return add("Transpose", self.named(args[0]), perm=[axes[axis] for axis in args[1]])
        if name == "transpose":
            order = list(axes)
            one, other = axes[args[1]], axes[args[2]]
            order[one], order[other] = other, one
            return add("Transpose", self.named(args[0]), perm=order)
        if name == "expand":
            shape = self.into.constant(list(example.shape), np.int64)
            return add("Expand", self.named(args[0]), shape)
        return None

    def _times(self, array: str, factor: float, example: Tensor) -> str:
        return array if factor == 1 else self.into.add("Mul", array, self._array(factor, example))

    def _array(self, own: Any, example: Tensor) -> str:
        """The name of an argument, an array or a number."""
        if isinstance(own, _Value):
            return self.named(own)
        return self.into.constant(torch.tensor(own, dtype=example.dtype).numpy())

    def _like(self, value: _Value, shape: Sequence[int]) -> _Value:
        """A value in the shape of what it is copied to."""
        if value.example.shape == shape:
            return value
        wanted = self.into.constant(list(shape), np.int64)
        return _Value(
            value.example.expand(shape), self.into.add("Expand", self.named(value), wanted)
        )

    def _parts(self, name: str, args: Any, example: Any) -> Any:
        first, more = args[0], args[1:]
        if name == "select":
            return self._selected(first, *_place(first, *more))
        if name == "slice":
            axis, start, end = _range(first, *more)
            return self._sliced(first, axis, start, end)
        axis = (more[-1] if len(more) > (name != "unbind") else 0) % first.example.ndim
        if name == "unbind":
            return tuple(self._selected(first, axis, i) for i in range(len(example)))
        ends = np.cumsum([own.shape[axis] for own in example]).tolist()
        bounds = zip([0, *ends], ends, strict=False)
        return tuple(self._sliced(first, axis, start, end) for start, end in bounds)

    def _replaced(self, name: str, args: Any, example: Tensor) -> _Value:
        base, part, *more = args
        is_single = name == "select_scatter"
        if is_single:
            axis, start = _place(base, *more)
            end = start + 1
        else:
            axis, start, end = _range(base, *more)
        return _Value(example, written=_Written(base, part, axis, start, end, is_single))

    def _selected(self, value: _Value, axis: int, index: int) -> _Value:
        """One position along an axis, which goes."""
        own, example = value.written, value.example.select(axis, index)
        if value.is_constant:
            return _Value(example)
        if own is not None and own.axis == axis:
            if not own.start <= index < own.end:
                return self._selected(own.base, axis, index)
            if own.is_single:
                return own.part
            return self._selected(own.part, axis, index - own.start)
        place = self.into.constant(np.array(index, dtype=np.int64))
        return _Value(example, self.into.add("Gather", self.named(value), place, axis=axis))

    def _sliced(self, value: _Value, axis: int, start: int, end: int) -> _Value:
        """The positions from start to end along an axis."""
        own, example = value.written, value.example.narrow(axis, start, end - start)
        if value.is_constant:
            return _Value(example)
        if example.shape == value.example.shape:
            return value
        if own is not None and own.axis == axis:
            if end <= own.start or start >= own.end:
                return self._sliced(own.base, axis, start, end)
            if not own.is_single and own.start <= start and end <= own.end:
                return self._sliced(own.part, axis, start - own.start, end - own.start)
        return _Value(example, self.into.cut(self.named(value), axis, start, end))

    def _layer_norm(self, args: Any, example: tuple[Tensor, ...]) -> tuple[_Value, ...]:
        first, shape, gain, bias, epsilon = args
        assert len(shape) == 1 and gain is None and bias is None  # noqa: PT018 (one law)
        ones = self.into.constant(np.ones(shape, dtype=first.example.numpy().dtype))
        names = self.into.add_all(
            "LayerNormalization", [self.named(first), ones], 3, axis=-1, epsilon=epsilon
        )
        return tuple(_Value(own, name) for own, name in zip(example, names, strict=True))


def _constants(example: Any) -> Any:
    if isinstance(example, Tensor):
        return _Value(example)
    return tuple(_Value(own) for own in example)


def _place(value: _Value, axis: int, index: int) -> tuple[int, int]:
    """An axis and a position along it, counted from the first."""
    axis %= value.example.ndim
    return axis, index % value.example.shape[axis]


def _range(
    value: _Value, axis: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> tuple[int, int, int]:
    """An axis and the bounds of a slice of it, counted from the first position."""
    assert step == 1
    axis %= value.example.ndim
    low, high, _ = slice(start, end).indices(value.example.shape[axis])
    return axis, low, max(low, high)
