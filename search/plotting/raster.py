"""What all pictures of matplotlib share: lines, and pixels as a small PNG."""

import io
from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.lines import Line2D
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from search.outputs import PNG_MARK
from search.plotting.drawing import COLOURS, Dash, Line

INCHES, DOTS_PER_INCH = (9.0, 3.8), 100
# A picture has lines of five greys and colours; so many colours hold their soft edges, and the file
# is a third of one in full colour.
_PALETTE_COLOURS = 32
_DASHES: dict[Dash, Literal["-"] | tuple[float, Sequence[float]]] = {
    "solid": "-",
    "dash": (0, (5, 2)),
    "dot": (0, (1, 1.65)),
    "dashdot": (0, (6, 2, 1, 2)),
    "longdash": (0, (9, 3)),
    "longdashdot": (0, (9, 3, 1, 3)),
}


def line_of(line: Line) -> Line2D:
    """A line of a drawing of numbers."""
    return Line2D(
        np.asarray(line.x, dtype=float),
        np.asarray(line.y, dtype=float),
        color=COLOURS[line.role].light,
        linewidth=line.width,
        linestyle=_DASHES[line.dash],
        marker="o" if line.marked else "",
        markevery=list(line.marked) or None,
        markersize=4,
        label=line.name,
    )


def _mark() -> PngInfo:
    """By which a command knows a picture that it may replace."""
    mark = PngInfo()
    mark.add_text(*PNG_MARK)
    return mark


def png_of(canvas: FigureCanvasAgg) -> bytes:
    """What a canvas shows, in a palette instead of full colour."""
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    content = io.BytesIO()
    Image.fromarray(pixels).convert("RGB").quantize(
        _PALETTE_COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
    ).save(content, "PNG", pnginfo=_mark())
    return content.getvalue()
