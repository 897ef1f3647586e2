"""What holds of every source of series."""

import math
from typing import get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from search.series import GeneratedSource, Purpose, Source, TableSeries, known_sources
from search.series.source import Series

SERIES: TypeAdapter[Series] = TypeAdapter(Series)
RAW = {name: {"source": name} for name in known_sources()}
RAW["table"] |= {"path": "t.csv", "time": "t", "columns": ["x"]}  # type: ignore[dict-item]
GENERATED = [name for name, kind in known_sources().items() if issubclass(kind, GeneratedSource)]


def made(name: str) -> Source:
    return SERIES.validate_python(RAW[name])


@pytest.mark.parametrize("name", RAW)
def test_the_key_source_names_the_class(name: str) -> None:
    series = made(name)
    assert type(series) is known_sources()[name]
    assert series.source == name
    assert series.is_generated == isinstance(series, GeneratedSource)
    assert series.is_generated != isinstance(series, TableSeries)
    assert len(series.channels) == 1
    assert SERIES.validate_json(series.model_dump_json()) == series


@pytest.mark.parametrize("name", RAW)
def test_an_unknown_key_is_refused_and_a_made_one_is_frozen(name: str) -> None:
    with pytest.raises(ValidationError):
        SERIES.validate_python({**RAW[name], "wings": 2})
    with pytest.raises(ValidationError):
        made(name).source = "other"  # type: ignore[misc]


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(ValidationError, match="sin"):
        SERIES.validate_python({"source": "sin"})


@pytest.mark.parametrize("name", GENERATED)
def test_a_draw_is_fixed_by_seed_purpose_and_index(name: str) -> None:
    series = made(name)
    assert isinstance(series, GeneratedSource)
    assert 0 < series.signal_variance < math.inf
    seen = set()
    for seed in range(2):
        for purpose in get_args(Purpose):
            for index in range(3):
                draw = series.draw(seed, purpose, index, 20)
                assert draw.signal is not None
                assert draw.values.shape == draw.signal.shape == (20, len(series.channels))
                longer = series.draw(seed, purpose, index, 33)
                assert longer.values[:20].tobytes() == draw.values.tobytes()
                seen.add(draw.values.tobytes())
    assert len(seen) == 2 * len(get_args(Purpose)) * 3
