"""The free run of trained networks as an ONNX model, by the optional package onnx."""

from search.errors import UsageError
from search.export.content import Export


def onnx_model(export: Export) -> bytes:
    """Return the free run of an export's networks as an ONNX model.

    Its inputs are `series`, the values `[time, channel]` up to the start of the forecast in the
    units of the series and double precision, of which it reads the last ones, and `horizon`, a
    number of steps `[]` (int64). Its output `forecast` `[horizon, channel]` is what
    `search.export.forecast` returns: the median of the networks' free runs, step by step.

    Raises UsageError where the package is not installed, for what is no trained network, and for a
    cell with operators that are not known.
    """
    try:
        from search.export.onnx.model import written
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "onnx":
            raise
        raise UsageError(
            "an ONNX model needs the package onnx, which is not installed: pip install "
            "'freerun[onnx]', or leave ONNX out"
        ) from None
    return written(export)
