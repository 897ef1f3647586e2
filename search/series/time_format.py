"""How times are written in text: ISO 8601, or a pattern such as "%d.%m.%Y"."""

import re
from calendar import month_abbr, month_name
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache, cached_property
from typing import NamedTuple, Protocol


class Written(NamedTuple):
    """A time as it is written: on the clock of its place, and that clock's offset from UTC."""

    local: datetime
    offset: timedelta | None = None


class TimeFormat(Protocol):
    """A way to write times.

    `name`: as `time_format` in a study file, None where a column shows by itself how it is written.
    """

    @property
    def name(self) -> str | None: ...

    def read(self, label: str) -> Written:
        """Return the time of a label; ValueError, with the reason, where it is not one."""
        ...

    def write(self, local: datetime, offset: timedelta | None) -> str:
        """Return the label of a time."""
        ...


_ISO = re.compile(
    r"(?P<year>[0-9]{4})(?P<dash>[-/])(?P<month>[0-9]{2})"
    r"((?P=dash)(?P<day>[0-9]{2})"
    r"((?P<between>[T ])(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})"
    r"(:(?P<second>[0-9]{2})(\.(?P<fraction>[0-9]{1,9}))?)?(?P<zone>Z|[+-][0-9]{2}:?[0-9]{2})?"
    r")?)?"
)


@dataclass(frozen=True)
class IsoFormat:
    """ISO 8601, also with slashes and with a blank before the time of day.

    between: what separates date and time of day. length: characters without the offset from UTC,
    by which the month, the day, the minute or a part of the second is the last that is written.
    zone: the offset as it is written, "" for none. varies: whether rows have other offsets than
    that, as daylight saving makes them.
    """

    dash: str
    between: str
    length: int
    zone: str
    varies: bool = False

    @property
    def name(self) -> None:
        return None

    @classmethod
    def of(cls, label: str) -> "IsoFormat | None":
        """The format of one label; None where it is not ISO 8601."""
        parts = _ISO.fullmatch(label.strip())
        if parts is None:
            return None
        zone = parts["zone"] or ""
        return cls(parts["dash"], parts["between"] or "T", len(parts[0]) - len(zone), zone)

    def like(self, other: "IsoFormat") -> bool:
        """Whether two formats are the same but for the offset."""
        same = (self.dash, self.between, self.length) == (other.dash, other.between, other.length)
        return same and bool(self.zone) == bool(other.zone)

    def read(self, label: str) -> Written:
        parts = _ISO.fullmatch(label.strip())
        assert parts is not None, label
        nanoseconds = (parts["fraction"] or "").ljust(9, "0")
        if nanoseconds[6:] != "000":
            raise ValueError("is finer than a microsecond; write such times as numbers")
        try:
            local = datetime(
                int(parts["year"]),
                int(parts["month"]),
                int(parts["day"] or 1),
                int(parts["hour"] or 0),
                int(parts["minute"] or 0),
                int(parts["second"] or 0),
                int(nanoseconds[:6]),
            )
            return Written(local, _offset(parts["zone"]) if parts["zone"] else None)
        except ValueError as error:
            raise ValueError(f"is not in the calendar ({error}); correct it") from None

    def write(self, local: datetime, offset: timedelta | None) -> str:
        written = local.isoformat(self.between, "microseconds") + "000"
        zone = self.zone
        if self.varies and offset is not None:
            zone = _shown_offset(offset, ":" if ":" in self.zone or self.zone == "Z" else "")
        return written[: self.length].replace("-", self.dash) + zone


# Seconds since 1970 by the magnitude of the numbers: 1973 to 2103 in each unit.
_UNITS = {
    "seconds": Decimal(1),
    "milliseconds": Decimal(1000),
    "microseconds": Decimal(10**6),
    "nanoseconds": Decimal(10**9),
}
_EARLIEST, _LATEST = Decimal(10) ** 8, Decimal(42) * 10**8
_EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True)
class EpochFormat:
    """Numbers that count since 1970-01-01 00:00 UTC. unit: what they count. decimals: written."""

    unit: str
    decimals: int = 0

    @property
    def name(self) -> str:
        return self.unit

    def read(self, label: str) -> Written:
        number = Decimal(label.strip()) * 10**6 / _UNITS[self.unit]
        if number != int(number):
            raise ValueError("is finer than a microsecond; cut its digits")
        try:
            return Written(_EPOCH + timedelta(microseconds=int(number)))
        except OverflowError:
            raise ValueError("is not in the calendar; correct it") from None

    def write(self, local: datetime, offset: timedelta | None) -> str:
        del offset
        microseconds = (local - _EPOCH) // timedelta(microseconds=1)
        return f"{Decimal(microseconds) * _UNITS[self.unit] / 10**6:.{self.decimals}f}"


def epoch_of(numbers: Sequence[Decimal]) -> EpochFormat | None:
    """Return in which unit numbers count the time since 1970; None where they seem not to."""
    for unit, scale in _UNITS.items():
        if all(_EARLIEST * scale <= number <= _LATEST * scale for number in numbers):
            decimals = max(0, *(-int(number.as_tuple().exponent) for number in numbers))
            return EpochFormat(unit, decimals)
    return None


class PatternError(ValueError):
    """A `time_format` can't be used; the message says the rule and the remedy."""


_MONTHS = {name.lower(): number for number, name in enumerate(month_name) if name}
_MONTHS |= {name.lower(): number for number, name in enumerate(month_abbr) if name}
_MONTHS["sept"] = 9
_LETTERS = r"(?P<%s>[^\W\d_]{3,9}\.?)"
# Groups of the expression, by directive. "w" stands for one or two digits, or two of two.
_DIRECTIVES = {
    "Y": r"(?P<Y>[0-9]{4})",
    "y": r"(?P<y>[0-9]{2})",
    "m": r"(?P<m>w)",
    "d": r"(?P<d>w)",
    "H": r"(?P<H>w)",
    "I": r"(?P<I>w)",
    "M": r"(?P<M>w)",
    "S": r"(?P<S>w)",
    "f": r"(?P<f>[0-9]{1,9})",
    "z": r"(?P<z>Z|[+-][0-9]{2}:?[0-9]{2})",
    "p": r"(?P<p>[AaPp]\.?[Mm]\.?)",
    "b": _LETTERS % "b",
    "B": _LETTERS % "B",
    "q": r"(?P<q>[1-4])",
    "G": r"(?P<G>[0-9]{4})",
    "V": r"(?P<V>w)",
}
_TOKEN = re.compile(r"%(?P<flag>-|\^|[1-9])?(?P<directive>[A-Za-z%])|(?P<literal>[^%]+|%)")
_KNOWN = "%Y %y %m %d %b %B %q %G %V %H %I %p %M %S %f %z"
EPOCH_NAMES = tuple(_UNITS)


class _Token(NamedTuple):
    directive: str  # "" for literal text
    flag: str
    literal: str


@dataclass(frozen=True)
class TimePattern:
    """A pattern of strptime's directives, and %q for the quarter, as pandas has it.

    `%-d` writes no zero in front, `%^b` writes capitals, `%3f` three digits of a fraction; they
    change only what is written.
    Raises PatternError for a pattern that is not known, or names no date.
    """

    name: str

    def __post_init__(self) -> None:
        directives = [token.directive for token in self._tokens if token.directive]
        for directive in directives:
            if directive not in _DIRECTIVES:
                raise PatternError(f"has %{directive}; there may be {_KNOWN}")
            if directives.count(directive) > 1:
                raise PatternError(f"has %{directive} twice; name each part of a time once")
        has = set(directives)
        if not ({"Y", "y"} & has or {"G", "V"} <= has):
            raise PatternError('must have a year, %Y; write for example time_format = "%d.%m.%Y"')
        if len({"Y", "y", "G"} & has) > 1:
            raise PatternError("has two years; name each part of a time once")
        if "d" in has and not {"m", "b", "B"} & has:
            raise PatternError('has a day without a month; write for example "%d.%m.%Y"')
        if ("I" in has) != ("p" in has):
            raise PatternError("must have %I and %p together, or %H")

    @cached_property
    def _tokens(self) -> tuple[_Token, ...]:
        return tuple(_tokens(self.name))

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        return _expression(self._tokens)

    def read(self, label: str) -> Written:
        found = self._expression.fullmatch(label.strip())
        if found is None:
            raise ValueError(f"is not written as {self.name}")
        part = {key: text for key, text in found.groupdict().items() if text is not None}
        try:
            return Written(_local(part), _offset(part["z"]) if "z" in part else None)
        except ValueError as error:
            raise ValueError(f"is not in the calendar ({error}); correct it") from None

    def write(self, local: datetime, offset: timedelta | None) -> str:
        return "".join(_part(token, local, offset) for token in self._tokens)

    def fitted(self, labels: Sequence[str]) -> "TimePattern":
        """Return the pattern that writes times as the labels do, which it can read."""
        found = [m for label in labels if (m := self._expression.fullmatch(label.strip()))]
        texts = {
            token.directive: {match[token.directive] for match in found}
            for token in self._tokens
            if token.directive
        }
        is_short = {d: any(len(text) == 1 for text in texts.get(d, ())) for d in "mdHIMSV"}
        # A part that is never below ten is written as the others are.
        some_short = any(is_short[d] for d in "mdHI")
        for d in "mdHI":
            if not any(text.startswith("0") for text in texts.get(d, ())):
                is_short[d] = is_short[d] or some_short
        return TimePattern("".join(_fitted(t, texts, is_short) for t in self._tokens))


def _fitted(
    token: _Token, texts: Mapping[str, Collection[str]], is_short: Mapping[str, bool]
) -> str:
    """A part of a pattern, with the flag by which it is written as some texts are."""
    flag, directive = token.flag, token.directive
    if not directive:
        return token.literal.replace("%", "%%")
    own = texts[directive]
    if directive in "bB":
        directive = "B" if any(len(text.rstrip(".")) > 3 for text in own) else "b"
    if flag or not own:
        return f"%{flag}{directive}"
    is_other = {"b": str.isupper, "B": str.isupper, "p": str.islower}.get(directive)
    if is_short.get(directive):
        flag = "-"
    elif is_other is not None and all(map(is_other, own)):
        flag = "^"
    elif directive == "f":
        flag = str(min(9, max(map(len, own))))
    return f"%{flag}{directive}"


def _tokens(pattern: str) -> Iterator[_Token]:
    for found in _TOKEN.finditer(pattern):
        directive = found["directive"] or ""
        literal = "%" if directive == "%" else found["literal"] or ""
        yield _Token("" if literal else directive, found["flag"] or "", literal)


@cache
def _expression(tokens: tuple[_Token, ...]) -> re.Pattern[str]:
    """The expression of a pattern: numbers that touch have all their digits."""
    text = ""
    for place, token in enumerate(tokens):
        if not token.directive:
            text += re.escape(token.literal)
            continue
        around = (*tokens[max(place - 1, 0) : place], *tokens[place + 1 : place + 2])
        touches = any(other.directive and other.directive not in "bBpz" for other in around)
        digits = "[0-9]{2}" if touches else "[0-9]{1,2}"
        text += _DIRECTIVES[token.directive].replace(">w)", f">{digits})")
    return re.compile(text, re.IGNORECASE)


def _local(part: dict[str, str]) -> datetime:
    hour = int(part.get("H", 0))
    if "I" in part:
        if not 1 <= int(part["I"]) <= 12:
            raise ValueError("hour must be in 1..12")
        hour = int(part["I"]) % 12 + (12 if part["p"][0] in "Pp" else 0)
    nanoseconds = part.get("f", "").ljust(9, "0")
    if nanoseconds[6:] != "000":
        raise ValueError("it is finer than a microsecond")
    day = _day(part)
    clock = (hour, int(part.get("M", 0)), int(part.get("S", 0)), int(nanoseconds[:6]))
    return datetime(day.year, day.month, day.day, *clock)


def _day(part: dict[str, str]) -> date:
    if "G" in part:
        return date.fromisocalendar(int(part["G"]), int(part["V"]), 1)
    if "Y" in part:
        year = int(part["Y"])
    else:
        # POSIX: 69 to 99 are of the twentieth century.
        year = int(part["y"]) + (1900 if int(part["y"]) >= 69 else 2000)
    month = int(part.get("m", 1))
    if "q" in part:
        month = 3 * int(part["q"]) - 2
    for key in ("b", "B"):
        if key in part:
            name = part[key].lower().rstrip(".")
            if name not in _MONTHS:
                raise ValueError(f"'{part[key]}' is no English name of a month")
            month = _MONTHS[name]
    return date(year, month, int(part.get("d", 1)))


def _part(token: _Token, local: datetime, offset: timedelta | None) -> str:
    """What one directive of a pattern writes."""
    week = local.isocalendar()
    half = "PM" if local.hour >= 12 else "AM"
    numbers = {
        "Y": (local.year, 4),
        "y": (local.year % 100, 2),
        "m": (local.month, 2),
        "d": (local.day, 2),
        "H": (local.hour, 2),
        "I": (local.hour % 12 or 12, 2),
        "M": (local.minute, 2),
        "S": (local.second, 2),
        "q": ((local.month + 2) // 3, 1),
        "G": (week.year, 4),
        "V": (week.week, 2),
    }
    if not token.directive:
        return token.literal
    if token.directive in numbers:
        number, width = numbers[token.directive]
        return f"{number:0{1 if token.flag == '-' else width}d}"
    match token.directive:
        case "f":
            return f"{local.microsecond:06d}000"[: int(token.flag or 6)]
        case "z":
            return _shown_offset(offset or timedelta(0), ":")
        case "p":
            return half.lower() if token.flag == "^" else half
        case "b":
            name = month_abbr[local.month]
        case _:
            name = month_name[local.month]
    return name.upper() if token.flag == "^" else name


def _offset(zone: str) -> timedelta:
    if zone.upper() == "Z":
        return timedelta(0)
    minutes = int(zone[1:3]) * 60 + int(zone[-2:])
    if minutes >= 24 * 60 or int(zone[-2:]) >= 60:
        raise ValueError(f"offset {zone} must be below a day")
    return timedelta(minutes=-minutes if zone[0] == "-" else minutes)


def _shown_offset(offset: timedelta, colon: str) -> str:
    minutes = offset // timedelta(minutes=1)
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}{colon}{rest:02d}"


# Shapes of a date whose parts stand in an order that a label alone may not tell.
_THREE = re.compile(r"([0-9]{1,4})([./ -])([0-9]{1,2})\2([0-9]{4}|[0-9]{1,2})")
_NAMED = re.compile(r"(?P<first>[0-9]{1,4}[ ./-]?)?(?P<name>[^\W\d_]{3,9})(?P<rest>[^:]*)")
_QUARTER = re.compile(r"([0-9]{4})([^0-9]{0,3}[Qq])[1-4]|([Qq])[1-4]([ /-]?)[0-9]{4}")
_WEEK = re.compile(r"[0-9]{4}(-?[Ww])[0-9]{2}")
_MONTH = re.compile(r"[0-9]{1,2}([./ -])[0-9]{4}|[0-9]{4}([Mm./]|:)[0-9]{1,2}")
_CLOCK = re.compile(
    r"(?P<date>.*?)(?P<between>T|, | +)(?P<hour>[0-9]{1,2}):[0-9]{2}(?P<second>:[0-9]{2})?"
    r"(?P<fraction>[.,][0-9]{1,9})?(?P<blank> ?)(?P<half>[AaPp]\.?[Mm]\.?)?"
    r"(?P<gap> ?)(?P<zone>Z|[+-][0-9]{2}:?[0-9]{2})?"
)


def patterns_of(label: str) -> list[TimePattern]:
    """Return the patterns that a label may be written in, none where its shape is not known."""
    label = label.strip()
    clock = _CLOCK.fullmatch(label)
    written, tail = (label, "") if clock is None else (clock["date"], _clock_pattern(clock))
    found = [TimePattern(text + tail) for text in _date_patterns(written)]
    return [pattern for pattern in found if _reads(pattern, label)]


def compact_pattern(label: str) -> TimePattern | None:
    """Return how a whole number is a date, by its digits: 202401, 20240131, with hours, ..."""
    parts = ("%Y%m", "%d", "%H", "%M", "%S")
    length = len(label.strip())
    if length not in (6, 8, 10, 12, 14):
        return None
    return TimePattern("".join(parts[: length // 2 - 2]))


def _reads(pattern: TimePattern, label: str) -> bool:
    try:
        pattern.read(label)
    except ValueError:
        return False
    return True


def _clock_pattern(clock: re.Match[str]) -> str:
    text = clock["between"] + ("%I:%M" if clock["half"] else "%H:%M")
    text += ":%S" if clock["second"] else ""
    text += clock["fraction"][0] + "%f" if clock["fraction"] else ""
    text += clock["blank"] + "%p" if clock["half"] else clock["blank"]
    return text + clock["gap"] + ("%z" if clock["zone"] else "")


def _date_patterns(written: str) -> list[str]:
    """The patterns of a date without its time of day."""
    if three := _THREE.fullmatch(written):
        first, sign, _, last = three.groups()
        if len(first) >= 3:
            return [f"%Y{sign}%m{sign}%d"]
        year = "%Y" if len(last) == 4 else "%y"
        found = [f"%d{sign}%m{sign}{year}", f"%m{sign}%d{sign}{year}"]
        if sign == ".":  # a dot after the day is an ordinal: CLDR has no locale with %m.%d.%Y
            found = found[:1]
        return found if year == "%Y" else [*found, f"%y{sign}%m{sign}%d"]
    if quarter := _QUARTER.fullmatch(written):
        if quarter[1]:
            return [f"%Y{quarter[2]}%q"]
        return [f"{quarter[3]}%q{quarter[4]}%Y"]
    if week := _WEEK.fullmatch(written):
        return [f"%G{week[1]}%V"]
    if month := _MONTH.fullmatch(written):
        return [f"%m{month[1]}%Y" if month[1] else f"%Y{month[2]}%m"]
    if re.fullmatch(r"[0-9]{8}", written):
        return ["%Y%m%d"]
    if named := _NAMED.fullmatch(written):
        return _named_patterns(named)
    return []


def _named_patterns(named: re.Match[str]) -> list[str]:
    """Dates with the name of a month: 5 January 2024, Jan 5, 2024, 2024-Jan, Jan-24."""
    kinds = ["%b" if len(named["name"]) == 3 else "%B"]
    starts = [""]
    if first := named["first"]:
        sign = first.lstrip("0123456789")
        starts = [f"%Y{sign}"] if len(first) - len(sign) == 4 else [f"%d{sign}", f"%y{sign}"]
    rest = named["rest"]
    signs = re.fullmatch(r"([^0-9]*)([0-9]{4}|[0-9]{1,2})?(?:([^0-9]+)([0-9]{4}|[0-9]{2}))?", rest)
    if signs is None:
        return []
    ends = [signs[1]]
    if signs[2] and signs[4]:
        year = "%Y" if len(signs[4]) == 4 else "%y"
        ends = [f"{signs[1]}%d{signs[3]}{year}"]
    elif signs[2]:
        kind = ("%Y",) if len(signs[2]) == 4 else ("%y", "%d")
        ends = [f"{signs[1]}{own}" for own in kind]
    found = []
    for text in (f"{start}{kind}{end}" for start in starts for kind in kinds for end in ends):
        try:
            found.append(TimePattern(text).name)
        except PatternError:
            continue  # two years, or none
    return found
