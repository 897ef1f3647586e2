"""Small changes of what is right: of bytes, of texts and of JSON values, by a seeded generator."""

import json
from collections.abc import Sequence
from random import Random
from typing import Any

# What breaks programs: bounds of numbers, what parsers treat apart, what is no text.
NUMBERS: Sequence[Any] = (
    *(0, 1, -1, 2, 0.5, -0.0, 1.0, 10**6, 10**12, 2**31, 2**53, 2**63, 2**64, -(2**63), 10**400),
    *(1e308, -1e308, 1e-308, 5e-324, float("inf"), float("-inf"), float("nan")),
)
VALUES: Sequence[Any] = (
    *NUMBERS,
    *(True, False, None, "", "none", "gru", "ridge-ar", "a" * 5000, "\0", "\udcff", "é", "../x"),
    *([], [[]], [1, 2], {}, {"low": 0.1, "high": 0.01}, {"low": 1, "high": 10**9, "log": True}),
)
TOKENS: Sequence[bytes] = (
    *(b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n\n", b'"', b"'", b",", b";", b"\t", b"="),
    *(b"nan", b"inf", b"-1", b"1e999", b"9" * 5000, b"[" * 2000, b"{" * 500, b"a." * 3000),
    *(b"0x10", b"1_000", b"2024-02-30", b"12:61", b"true", b"[series]", b"#", b"\\", b"%s", b"{}"),
)


def changed_bytes(random: Random, content: bytes) -> bytes:
    """Bytes with one to four changes, each at a random place."""
    for _ in range(random.randint(1, 4)):
        content = random.choice(_OF_BYTES)(random, content)
    return content


def _flip(random: Random, content: bytes) -> bytes:
    if not content:
        return b"x"
    place = random.randrange(len(content))
    return (
        content[:place] + bytes([content[place] ^ 1 << random.randrange(8)]) + content[place + 1 :]
    )


def _cut(random: Random, content: bytes) -> bytes:
    first, last = _span(random, content)
    return content[:first] + content[last:]


def _end_early(random: Random, content: bytes) -> bytes:
    return content[: random.randint(0, len(content))]


def _insert(random: Random, content: bytes) -> bytes:
    place = random.randint(0, len(content))
    return content[:place] + random.choice(TOKENS) + content[place:]


def _repeat(random: Random, content: bytes) -> bytes:
    first, last = _span(random, content)
    return content[:last] + content[first:last] * random.choice((1, 1, 2, 50)) + content[last:]


def _change_number(random: Random, content: bytes) -> bytes:
    """A run of digits becomes another number."""
    digits = [place for place, sign in enumerate(content) if 48 <= sign <= 57]
    if not digits:
        return content
    first = last = random.choice(digits)
    while last < len(content) and content[last] in b"0123456789.eE":
        last += 1
    number = random.choice(NUMBERS)
    return content[:first] + str(number).encode() + content[last:]


def _change_line(random: Random, content: bytes) -> bytes:
    """A line is dropped, doubled, or changes places with another."""
    lines = content.splitlines(keepends=True)
    if not lines:
        return content
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    match random.randrange(3):
        case 0:
            del lines[one]
        case 1:
            lines.insert(other, lines[one])
        case _:
            lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


_OF_BYTES = (_flip, _cut, _end_early, _insert, _repeat, _change_number, _change_line, _change_line)


def _span(random: Random, content: bytes) -> tuple[int, int]:
    first = random.randint(0, len(content))
    return first, min(len(content), first + random.choice((1, 2, 8, 64, 1000)))


def changed_json(random: Random, content: bytes) -> bytes:
    """JSON of which some values are others, or keys lacking, doubled or new."""
    plain = json.loads(content)
    for _ in range(random.randint(1, 3)):
        plain = _changed_value(random, plain)
    return json.dumps(plain).encode()


def _changed_value(random: Random, plain: Any) -> Any:
    """Go down at random, and change what is there."""
    if isinstance(plain, dict) and plain and random.random() < 0.9:
        key = random.choice(list(plain))
        match random.randrange(12):
            case 0:
                return {name: value for name, value in plain.items() if name != key}
            case 1:
                return {**plain, random.choice(("x", "", key + "s")): plain[key]}
            case _:
                return {**plain, key: _changed_value(random, plain[key])}
    if isinstance(plain, list) and plain and random.random() < 0.8:
        place = random.randrange(len(plain))
        if random.randrange(6) == 0:
            return plain[:place] + plain[place:] * random.choice((0, 2))
        return [*plain[:place], _changed_value(random, plain[place]), *plain[place + 1 :]]
    if isinstance(plain, int | float) and not isinstance(plain, bool) and random.random() < 0.3:
        near = (-plain, plain + 1, plain * 1000, str(plain))
        is_huge = abs(plain) > 1e300  # beyond what a float can hold, perhaps
        return random.choice(near if is_huge else (*near, float(plain), plain / 7))
    return random.choice(VALUES)
