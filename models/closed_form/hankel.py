"""Sums of products over all windows of a series, without making the windows.

Regression on long windows with many values ahead needs the products of any two values of a window,
summed over all windows. A window is the one before it, moved on by a step: so are its products.
"""

from collections.abc import Iterable

import numpy as np

from models.closed_form.closed_form import FloatArray
from models.tensors import one_thread


def hankel_products(pieces: Iterable[FloatArray], width: int) -> tuple[FloatArray, int]:
    """The sum of w w' over all windows w of `width` values in some pieces, and their number.

    pieces: `[time, channel]`, no window runs from one into the next. Returned is
    `[width * channel, width * channel]`, a window's numbers value by value, the oldest first. It
    takes time * width + width^2 products instead of time * width^2: with M(i, j) the sum of
    x_(t+i) x_(t+j) over t, M(i + 1, j + 1) = M(i, j) less the product of the first window, plus
    that of the one after the last. Raises ValueError where no piece has a window.
    """
    own = [piece for piece in pieces if len(piece) >= width]
    if not own:
        raise ValueError(f"some piece must have a window of {width} values, but none has")
    total = _products(own[0], width)
    for piece in own[1:]:
        total += _products(piece, width)
    return total, sum(len(piece) - width + 1 for piece in own)


def _products(piece: FloatArray, width: int) -> FloatArray:
    channels, rows = piece.shape[1], len(piece) - width + 1
    first = np.ascontiguousarray(piece[:rows].T)
    with one_thread():
        top = np.stack([first @ piece[place : place + rows] for place in range(width)], axis=1)
    found = np.empty((width, channels, width, channels))
    found[0] = top
    found[:, :, 0] = top.transpose(1, 2, 0)
    leaving, entering = piece[: width - 1], piece[rows : rows + width - 1]
    for place in range(1, width):
        found[place, :, 1:] = (
            found[place - 1, :, :-1]
            - leaving[place - 1][:, None, None] * leaving
            + entering[place - 1][:, None, None] * entering
        )
    size = width * channels
    return found.reshape(size, size)


def less_level(products: FloatArray, weights: FloatArray, channels: int) -> FloatArray:
    """The products of windows of which each has a level taken off all of its values.

    products: `[width * channel, width * channel]`, see `hankel_products`. weights: `[width]`, the
    level of a channel is the mean of its values with these weights.
    """
    width = len(weights)
    of_level = np.kron(weights, np.eye(channels))  # [channel, width * channel]
    with_level = of_level @ products
    both = with_level @ of_level.T
    blocks = with_level.reshape(channels, width, channels)
    # (w - 1 l)(w - 1 l)' with the level l of each channel at all places.
    shifted: FloatArray = products.reshape(width, channels, width, channels) - blocks[None]
    shifted -= blocks.transpose(1, 2, 0)[:, :, None]
    shifted += both[None, :, None]
    return shifted.reshape(products.shape)
