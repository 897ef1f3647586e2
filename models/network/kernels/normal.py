"""Normal random numbers, eight at a time: torch's generator takes longer for them than a kernel
takes to train with them."""

import sys
from math import pi

import numpy as np

from models.network.kernels import compiled, vectors
from models.network.kernels.compiled import digest_of, entry, inlined
from models.network.kernels.vectors import (
    LANES,
    as_floats,
    bits_of,
    filled,
    fma,
    load,
    of_bits,
    root,
    store,
)

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

# Of splitmix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators").
_STEP, _FIRST, _SECOND = (
    np.uint64(c) for c in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)
_SHIFTS = tuple(np.uint64(n) for n in (30, 27, 31, 32))


@inlined
def _rotated(words, left):
    return (words << filled(words, left)) | (words >> filled(words, 32 - left))


@inlined
def _next(a, b, c, d):
    """Random words, and the state after them: xoshiro128++ (Blackman & Vigna 2021) in each lane."""
    words = _rotated(a + d, 7) + a
    shifted = b << filled(b, 9)
    c, d = c ^ a, d ^ b
    b, a = b ^ c, a ^ d
    return words, a, b, c ^ shifted, _rotated(d, 11)


@inlined
def _log(x):
    """The natural logarithm of normal positive numbers, within 2e-7 or a relative 1e-7.

    The fit of Cephes (Moshier 1989, logf.c), for x split into a power of two and what is between
    the square roots of one half and two.
    """
    bits = bits_of(x)
    exponent = (bits + filled(bits, 0x3F800000 - 0x3F3504F3)) >> filled(bits, 23)
    rest = of_bits(bits + filled(bits, 127 << 23) - (exponent << filled(bits, 23)))
    power, y = as_floats(exponent) - filled(x, 127.0), rest - filled(x, 1.0)
    p = fma(filled(x, 7.0376836292e-2), y, filled(x, -1.1514610310e-1))
    p = fma(p, y, filled(x, 1.1676998740e-1))
    p = fma(p, y, filled(x, -1.2420140846e-1))
    p = fma(p, y, filled(x, 1.4249322787e-1))
    p = fma(p, y, filled(x, -1.6668057665e-1))
    p = fma(p, y, filled(x, 2.0000714765e-1))
    p = fma(p, y, filled(x, -2.4999993993e-1))
    p = fma(p, y, filled(x, 3.3333331174e-1))
    square = y * y
    small = fma(p * y, square, filled(x, -2.12194440e-4) * power)
    return fma(filled(x, 0.693359375), power, y + fma(filled(x, -0.5), square, small))


@inlined
def _pair(one, other):
    """Two vectors of normal numbers, made of two of random words: Box & Muller (1958).

    The angle lies within an eighth of a circle on either side of an axis; three bits of its own
    choose the axis and the signs.
    """
    share = as_floats(one >> filled(one, 8))
    unit = fma(share, filled(share, 2.0**-24), filled(share, 2.0**-24))
    radius = root(filled(share, -2.0) * _log(unit))
    share = as_floats(other >> filled(other, 8))
    angle = fma(share, filled(share, 2.0**-24), filled(share, -0.5)) * filled(share, pi / 2)
    square = angle * angle
    # sinf.c of Cephes.
    p = fma(filled(share, -1.9515295891e-4), square, filled(share, 8.3321608736e-3))
    p = fma(p, square, filled(share, -1.6666654611e-1))
    sine = fma(p * square, angle, angle)
    p = fma(filled(share, 2.443315711809948e-5), square, filled(share, -1.388731625493765e-3))
    p = fma(p, square, filled(share, 4.166664568298827e-2))
    cosine = fma(p * square, square, fma(filled(share, -0.5), square, filled(share, 1.0)))
    # All bits where the two are exchanged, else none.
    exchanges = filled(other, 0) - (other & filled(other, 1))
    differ = (bits_of(sine) ^ bits_of(cosine)) & exchanges
    sign = filled(other, 0x80000000)
    first = bits_of(cosine) ^ differ ^ ((other << filled(other, 30)) & sign)
    second = bits_of(sine) ^ differ ^ ((other << filled(other, 29)) & sign)
    return radius * of_bits(first), radius * of_bits(second)


def _entry(sources):
    """The function that Python calls; sources: as for the kernels of gradients."""

    @entry
    def fill(numbers, seed, std):
        """Fill a flat array in single precision with normal numbers of a standard deviation.

        seed: of 64 bits, from which all of them follow.
        """
        sources  # noqa: B018
        state = np.empty(4 * LANES, dtype=np.uint32)
        mixed = np.uint64(seed)
        for i in range(0, 4 * LANES, 2):
            mixed = mixed + _STEP
            word = (mixed ^ (mixed >> _SHIFTS[0])) * _FIRST
            word = (word ^ (word >> _SHIFTS[1])) * _SECOND
            word = word ^ (word >> _SHIFTS[2])
            state[i], state[i + 1] = np.uint32(word), np.uint32(word >> _SHIFTS[3])
        a, b = load(state, 0), load(state, LANES)
        c, d = load(state, 2 * LANES), load(state, 3 * LANES)
        rest = np.empty(2 * LANES, dtype=np.float32)
        for j in range(0, len(numbers), 2 * LANES):
            one, a, b, c, d = _next(a, b, c, d)
            other, a, b, c, d = _next(a, b, c, d)
            first, second = _pair(one, other)
            first, second = first * filled(first, std), second * filled(second, std)
            if j + 2 * LANES <= len(numbers):
                store(numbers, j, first)
                store(numbers, j + LANES, second)
            else:
                store(rest, 0, first)
                store(rest, LANES, second)
                numbers[j:] = rest[: len(numbers) - j]

    return fill


fill = _entry(digest_of((sys.modules[__name__], compiled, vectors)))
