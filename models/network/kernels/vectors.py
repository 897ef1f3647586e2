"""Vectors of `LANES` numbers in registers, for functions that numba compiles.

numba vectorises a loop where its compiler proves that it may, and gives up in the others. Here the
vectors are named: a product holds its sums in registers from its first term to its last, in one
order whatever the processor is, so that the same numbers come out wherever a member's data lie.

Indices count numbers from an array's beginning and are not checked against its end.
"""
# ruff: noqa: ARG001 - numba fixes the arguments of what it calls.

import operator
from typing import Any

import llvmlite.ir as ir
from numba.core import cgutils, types
from numba.core.datamodel import models, register_default
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic

# Eight single precision numbers are one register with AVX, two with SSE or NEON.
LANES = 8


class Vector(types.Type):  # type: ignore[misc]
    """The type of a vector of numbers of one precision."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        super().__init__(name=f"vector({dtype})")


@register_default(Vector)
class VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    """How a vector is held: as one of LLVM's."""

    def __init__(self, manager: Any, own: Vector) -> None:
        number = manager.lookup(own.dtype).get_value_type()
        super().__init__(manager, own, ir.VectorType(number, LANES))


def _declare(operation: Any, instruction: str) -> None:
    """Let an operator of Python take two vectors lane by lane."""

    @infer_global(operation)
    class Operator(AbstractTemplate):  # type: ignore[misc, unused-ignore]
        def generic(self, args: Any, kws: Any) -> Any:
            if len(args) == 2 and args[0] == args[1] and isinstance(args[0], Vector):
                return signature(args[0], *args)
            return None

    @lower_builtin(operation, Vector, Vector)  # type: ignore[untyped-decorator, unused-ignore]
    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return getattr(builder, instruction)(*args)


_declare(operator.add, "fadd")
_declare(operator.sub, "fsub")
_declare(operator.mul, "fmul")
_declare(operator.truediv, "fdiv")


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return cgutils.gep_inbounds(builder, data, index)


def _spread(builder: Any, number: Any) -> Any:
    """A vector that holds one number in every lane."""
    whole = ir.VectorType(number.type, LANES)
    index = ir.Constant(ir.IntType(32), 0)
    first = builder.insert_element(ir.Constant(whole, ir.Undefined), number, index)
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, ir.Constant(whole, ir.Undefined), lanes)


@intrinsic
def load(typing: Any, array: Any, index: Any) -> Any:
    """The vector of numbers of a flat array that begins at an index."""
    vector = Vector(array.dtype)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        whole = context.get_value_type(vector)
        pointer = _pointer(context, builder, sig.args[0], *args)
        pointer = builder.bitcast(pointer, whole.as_pointer())
        return builder.load(pointer, align=array.dtype.bitwidth // 8)

    return vector(array, index), generate


@intrinsic
def store(typing: Any, array: Any, index: Any, vector: Any) -> Any:
    """Write a vector into a flat array of the same precision, from an index on."""
    if array.dtype != vector.dtype:
        return None

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1])
        pointer = builder.bitcast(pointer, args[2].type.as_pointer())
        builder.store(args[2], pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, index, vector), generate


@intrinsic
def broadcast(typing: Any, array: Any, index: Any) -> Any:
    """The number of a flat array at an index, in every lane."""
    vector = Vector(array.dtype)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, sig.args[0], *args)
        return _spread(builder, builder.load(pointer, align=array.dtype.bitwidth // 8))

    return vector(array, index), generate


@intrinsic
def filled(typing: Any, like: Any, number: Any) -> Any:
    """A vector shaped like another with a number in every lane."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _spread(builder, context.cast(builder, args[1], number, like.dtype))

    return like(like, number), generate


@intrinsic
def fma(typing: Any, one: Any, other: Any, added: Any) -> Any:
    """one * other + added, with one rounding where the processor has such an instruction."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        whole = args[0].type
        kind = ir.FunctionType(whole, [whole] * 3)
        bits = "f32" if one.dtype == types.float32 else "f64"
        name = f"llvm.fmuladd.v{LANES}{bits}"
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)

    return one(one, other, added), generate


@intrinsic
def clamp(typing: Any, vector: Any, low: Any, high: Any) -> Any:
    """A vector held between two others lane by lane; what is not a number stays so."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value, least, most = args
        value = builder.select(builder.fcmp_ordered("<", value, least), least, value)
        return builder.select(builder.fcmp_ordered(">", value, most), most, value)

    return vector(vector, low, high), generate


@intrinsic
def root(typing: Any, value: Any) -> Any:
    """The square root of a number, or of a vector lane by lane."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        whole = args[0].type
        bits = "f32" if getattr(value, "dtype", value) == types.float32 else "f64"
        name = f"llvm.sqrt.v{LANES}{bits}" if isinstance(value, Vector) else f"llvm.sqrt.{bits}"
        kind = ir.FunctionType(whole, [whole])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)

    return value(value), generate


@intrinsic
def gated(typing: Any, vector: Any, value: Any, bound: Any) -> Any:
    """A vector, but times zero where a value is not within a bound, or not a number."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        own, value, most = args
        zero = ir.Constant(own.type, [0.0] * LANES)
        least = builder.fsub(zero, most)
        above = builder.fcmp_ordered(">", value, least)
        within = builder.and_(above, builder.fcmp_ordered("<", value, most))
        return builder.select(within, own, builder.fmul(own, zero))

    return vector(vector, value, bound), generate


@intrinsic
def turned(typing: Any, vector: Any) -> Any:
    """A vector in the reverse order."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        order = ir.Constant(ir.VectorType(ir.IntType(32), LANES), list(range(LANES))[::-1])
        return builder.shuffle_vector(args[0], args[0], order)

    return vector(vector), generate


@intrinsic
def lane(typing: Any, vector: Any, index: Any) -> Any:
    """One number of a vector."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.extract_element(args[0], args[1])

    return vector.dtype(vector, index), generate


@intrinsic
def with_lane(typing: Any, vector: Any, index: Any, number: Any) -> Any:
    """A vector with one number replaced."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.insert_element(args[0], args[2], args[1])

    return vector(vector, index, vector.dtype), generate
