"""A figure with one pair of axes that is drawn again and again, and its pixels as a small PNG."""

import io
from collections.abc import Sequence
from threading import Lock

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

INK, SOFT, ACCENT = "#1f2328", "#9aa0a6", "#c43e00"

_INCHES, _DOTS_PER_INCH = (9.0, 3.8), 100
# A picture has lines of five greys and colours; this many hold their soft edges, and the file is a
# third of one in full colour.
_PALETTE_COLOURS = 32


class Canvas:
    """One figure for all pictures of a kind: making axes costs as much as drawing them.

    Whoever changes its artists and draws holds `lock`, since workers may be threads.
    """

    def __init__(self, x_title: str, y_title: str) -> None:
        self.lock = Lock()
        self._figure = Figure(figsize=_INCHES, dpi=_DOTS_PER_INCH)
        self._agg = FigureCanvasAgg(self._figure)
        self.axes = self._figure.add_axes((0.075, 0.13, 0.91, 0.70))
        self.axes.set_xlabel(x_title)
        self.axes.set_ylabel(y_title)
        # Within the picture, however long the labels of the ticks are.
        self.axes.yaxis.set_label_coords(-0.064, 0.5)
        self.axes.margins(x=0)
        self._heading = self._figure.text(0.075, 0.985, "", va="top", fontsize=10, weight="bold")

    def add_legend(self, handles: Sequence[Artist], names: Sequence[str]) -> None:
        """Name lines above the axes; `rename` gives other names later."""
        self._legend = self.axes.legend(
            handles=handles,
            labels=names,
            loc="lower left",
            bbox_to_anchor=(0, 1),
            borderaxespad=0.2,
            ncols=len(names),
            frameon=False,
            fontsize=9,
        )

    def rename(self, names: Sequence[str]) -> None:
        """Change the names in the legend."""
        for text, name in zip(self._legend.get_texts(), names, strict=True):
            text.set_text(name)

    def png(self, heading: str) -> bytes:
        """Draw, and return 900 x 380 pixels."""
        self._heading.set_text(heading)
        self._agg.draw()  # type: ignore[no-untyped-call]
        pixels = Image.fromarray(np.asarray(self._agg.buffer_rgba()))  # type: ignore[no-untyped-call]
        content = io.BytesIO()
        pixels.convert("RGB").quantize(
            _PALETTE_COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
        ).save(content, "PNG")
        return content.getvalue()


def heading_of(title: str, *parts: str) -> str:
    """A title, where there is one, and what stands beside it."""
    return "  ·  ".join(part for part in (title, *parts) if part)
