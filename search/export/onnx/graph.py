"""An ONNX graph as it is written: operators, constants, and loops whose bodies are graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper

# Runtimes have had this set of operators since 2022; nothing here needs a newer one.
OPSET, IR_VERSION = 18, 9

FLOAT, DOUBLE, INT64 = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64
# "Up to the end" of a slice.
END = np.iinfo(np.int64).max

# From the number of the iteration and what is carried, what is carried on and what is collected.
Body = Callable[["Graph", str, list[str]], tuple[Sequence[str], Sequence[str]]]


class Graph:
    """A graph, or the body of a loop, that operators are added to in the order they run.

    Values have names, unique in the whole model; the body of a loop may use those of the graph
    around it. Methods return the names of what they make.
    """

    def __init__(self, outer: Graph | None = None) -> None:
        self._numbers: Iterator[int] = count() if outer is None else outer._numbers
        self._constants: dict[tuple[Any, ...], str] = {} if outer is None else outer._constants
        self._initialisers: list[TensorProto] = [] if outer is None else outer._initialisers
        self._nodes: list[Any] = []

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Apply an operator that has one result."""
        (name,) = self.add_all(operator, inputs, 1, **attributes)
        return name

    def add_all(
        self, operator: str, inputs: Sequence[str], outputs: int, **attributes: Any
    ) -> list[str]:
        """Apply an operator that has several results."""
        names = [self._name(operator.lower()) for _ in range(outputs)]
        self._nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names

    def constant(self, value: Any, dtype: Any = None) -> str:
        """A constant array; equal ones are stored once. dtype: of numpy, None for the value's."""
        array = np.ascontiguousarray(np.asarray(value, dtype=dtype))
        # A contiguous array has an axis at least.
        array = array.reshape(np.shape(value))
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self._name("constant")
            self._initialisers.append(numpy_helper.from_array(array, self._constants[key]))
        return self._constants[key]

    def cut(self, value: str, axis: int, start: int | str, end: int | str = END) -> str:
        """Part of a value along an axis; bounds are numbers, or names of values `[1]`."""
        bounds = [b if isinstance(b, str) else self.constant([b], np.int64) for b in (start, end)]
        return self.add("Slice", value, *bounds, self.constant([axis], np.int64))

    def shaped(self, value: str, shape: Sequence[int]) -> str:
        """A value in another shape; -1 stands for what is left."""
        return self.add("Reshape", value, self.constant(list(shape), np.int64))

    def cast(self, value: str, kind: int) -> str:
        return self.add("Cast", value, to=kind)

    def loop(
        self, times: int | str, carried: Sequence[str], body: Body, kind: int = FLOAT
    ) -> list[str]:
        """Repeat a body; return what it carried at last, then what it collected, `[time, ...]`.

        times: how often, a number or the name of a value `[]`. kind: the type of what is carried
        and collected.
        """
        inner = Graph(self)
        number, condition = inner._name("number"), inner._name("condition")
        before = [inner._name("carried") for _ in carried]
        after, collected = body(inner, number, before)
        # What a body hands out must be made within it, and each only once.
        goes_on, *results = [
            inner.add("Identity", name) for name in (condition, *after, *collected)
        ]
        own = helper.make_graph(
            inner._nodes,
            self._name("body"),
            [
                helper.make_tensor_value_info(number, INT64, []),
                helper.make_tensor_value_info(condition, TensorProto.BOOL, []),
                *(helper.make_tensor_value_info(name, kind, None) for name in before),
            ],
            [
                helper.make_tensor_value_info(goes_on, TensorProto.BOOL, []),
                *(helper.make_tensor_value_info(name, kind, None) for name in results),
            ],
        )
        often = self.constant(times, np.int64) if isinstance(times, int) else times
        inputs = [often, self.constant(np.array(True)), *carried]
        return self.add_all("Loop", inputs, len(after) + len(collected), body=own)

    def model(
        self,
        name: str,
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        described: Mapping[str, str],
    ) -> ModelProto:
        """The whole as a model; inputs and outputs: as `onnx.helper.make_tensor_value_info`."""
        made: GraphProto = helper.make_graph(
            self._nodes, name, list(inputs), list(outputs), initializer=self._initialisers
        )
        model = helper.make_model(
            made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
        )
        helper.set_model_props(model, dict(described))
        return model

    def rename(self, value: str, name: str) -> None:
        """Give a value the name that it is to have outside."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))

    def _name(self, kind: str) -> str:
        return f"{kind}_{next(self._numbers)}"
