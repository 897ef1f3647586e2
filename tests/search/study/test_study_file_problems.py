import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from models.methods import either
from search.errors import StudyFileError
from search.series import known_sources
from search.study.definition import RECORDED, Search, StudyDefinition, Task
from search.study.study_file import problems, read_study_file
from tests.search.study.space.samples import all_cells

HEAD = 'name = "x"\n'
SINE = '[series]\nsource = "sine"\n'
TASK = "[task]\ntrain_steps = 600\nhorizon_steps = 400\n"
GOOD = HEAD + SINE + TASK
SOURCES = either(known_sources())
CELLS = either(all_cells())
TABLE = '[series]\nsource = "table"\npath = "t.csv"\ntime = "t"\ncolumns = ["v"]\n'

# One problem each: what is added or replaced, and the whole message after the file's name.
PROBLEMS = [
    (HEAD + TABLE + 'missing = "drop"\n' + TASK, '[series] missing must be "interpolate", '
     '"seasonal" or "mask", but got "drop"; write for example missing = "interpolate"'),
    (HEAD + TABLE + 'separator = ";;"\n' + TASK, "[series] separator must be one sign that is in "
     'no number and no name, but got ";;"; write for example separator = ";"'),
    (HEAD + TABLE + 'time_format = "%d"\n' + TASK, '[series] time_format "%d" must have a year, '
     '%Y; write for example time_format = "%d.%m.%Y"'),
    (HEAD + TABLE + 'time_format = "days"\n' + TASK, '[series] time_format must be a pattern such '
     'as "%d.%m.%Y", or one of seconds, milliseconds, microseconds, nanoseconds, but got "days"'),
    (HEAD + TABLE.replace('time = "t"\n', 'duplicates = "last"\n') + TASK, "[series] duplicates "
     "must go with a time column, but none is named; write time"),
    (GOOD + "[search]\ntrials = 0", "[search] trials must be at least 1, but got 0; "
     "write for example trials = 200"),
    (GOOD + '[search]\ntrials = "5"', '[search] trials must be a whole number, but got "5"; '
     "write for example trials = 200"),
    (GOOD + "[search]\ntrials = 5.0", "[search] trials must be a whole number, but got 5.0; "
     "write for example trials = 200"),
    (GOOD + "[search]\ntrials = true", "[search] trials must be a whole number, but got true; "
     "write for example trials = 200"),
    (GOOD + "[search]\nminutes = 0", "[search] minutes must be above 0, but got 0; "
     "write for example minutes = 5"),
    (GOOD + "[search]\nminutes = nan", "[search] minutes must be a finite number, but got nan; "
     "write for example minutes = 5"),
    (GOOD + "[search]\nminutes = -inf", "[search] minutes must be a finite number, but got -inf; "
     "write for example minutes = 5"),
    (GOOD + '[search]\nsampler = "cmaes"', '[search] sampler must be "tpe", "random" or '
     '"variation", but got "cmaes"; write for example sampler = "tpe"'),
    (GOOD + "[search]\ntrails = 3", "[search] trails is no key that freerun knows. "
     "Did you mean 'trials'?"),
    (GOOD + "[search]\ntrain_steps = 3", "[search] train_steps does not belong there; "
     "move it below [task]"),
    (HEAD + SINE + 'time = "t"\n' + TASK, '[series] time is a key of source = "table", but source '
     'is "sine"; leave it out, or change source'),
    (HEAD + SINE + 'columns = ["v"]\n' + TASK, '[series] columns is a key of source = "table", but '
     'source is "sine"; leave it out, or change source'),
    (GOOD + 'columns = ["v"]', "[task] columns does not belong there; move it below [series]"),
    (GOOD + "[search]\nseed = 3", "[search] seed does not belong there; "
     "move it above the first section"),
    (GOOD + "zzz = 3", "[task] zzz is no key that freerun knows; there may be train_steps, "
     "horizon_steps, validation_steps, test_horizon_steps, test_steps, start_points, "
     "score_against, error_horizons, validation, averaging, unused_rows"),
    (HEAD + TABLE + TASK + 'averaging = "mean"\n', "[task] averaging must be left out without "
     'validation = "blocks", but got "mean" with "end"; remove the key, or validate on blocks'),
    (HEAD + TABLE + TASK + 'validation = "blocks"\naveraging = "median"\n', "[task] averaging must "
     'be "mean" or "geometric mean", but got "median"; write for example averaging = "mean"'),
    (GOOD + "error_horizons = [4, 1]", "[task] error_horizons must hold at least one step and rise "
     "from entry to entry, but got [4, 1]; write for example error_horizons = [1, 84]"),
    (GOOD + "[serch]\ntrials = 3", "serch is no key that freerun knows. Did you mean 'search'?"),
    ("plugins = {}\n" + GOOD, "plugins must not be set: freerun records it itself; "
     "remove the key"),
    ('plugin = "x"\n' + GOOD, "plugin is no key that freerun knows; there may be name, seed, "
     "series, task, presets, search, space"),
    (GOOD.replace("name", "nam"), "nam is no key that freerun knows. Did you mean 'name'?"),
    (GOOD.replace('"x"', '"a/b"'), "name must be a file name of 1 to 100 letters, digits, '-', "
     "'_' and '.', not starting with '.', but got \"a/b\"; choose such a name"),
    (GOOD.replace('"x"', "3"), 'name must be text in quotes, but got 3; write for example '
     'name = "my-study"'),
    (GOOD.replace(HEAD, ""), 'name is missing; write for example name = "my-study"'),
    (HEAD + SINE, "[task] is missing; write [task] above its keys"),
    (HEAD + "search = 3\n" + SINE + TASK, "[search] must be a section of keys, but got 3; "
     "write [search] above its keys"),
    (HEAD + "space = []\n" + SINE + TASK, "[space] must be a section of keys, but got []; "
     "write [space] above its keys"),
    (HEAD + "series = 2024-01-01\n" + TASK, "[series] must be a section of keys, but got "
     "2024-01-01; write [series] above its keys"),
    (GOOD.replace("train_steps = 600\n", ""), "[task] train_steps is missing; "
     "write for example train_steps = 600"),
    (GOOD.replace('source = "sine"', ""), f"[series] source is missing; write source = {SOURCES}"),
    (GOOD.replace('"sine"', '"sin"'), f'[series] source must be {SOURCES}, but got "sin". '
     "Did you mean 'sine'?"),
    (HEAD + SINE + "nois_std = 1\n" + TASK, "[series] nois_std is no key that freerun knows. "
     "Did you mean 'noise_std'?"),
    (HEAD + SINE + 'phase = "any"\n' + TASK, '[series] phase must be "random" or a number of '
     'radians, but got "any"; write phase = 0.0'),
    (HEAD + SINE + "angular_frequency = 4\n" + TASK, "[series] angular_frequency must be below "
     "3.14159265359, but got 4; write for example angular_frequency = 0.01"),
    (GOOD + "start_points = 2", "[task] start_points must be at most 1 = validation_steps - "
     "horizon_steps + 1, since each starts a full horizon, but got 2; "
     "lengthen validation_steps or take fewer"),
    (GOOD + "validation_steps = 99", "[task] validation_steps must be at least horizon_steps = "
     "400, but got 99; lengthen validation_steps or shorten horizon_steps"),
    (GOOD + "test_steps = 500", "[task] test_steps must be left out for a generated series, "
     "whose test is made of fresh draws, but got 500; remove the key"),
    (HEAD + TABLE + TASK + 'score_against = "signal"', '[task] score_against must be '
     '"observations" for a table, whose noise-free signal nobody knows, but got "signal"; '
     "remove the key"),
    (HEAD + TABLE.replace('["v"]', '"v"') + TASK, '[series] columns must be a list, but got "v"; '
     'write for example columns = ["value"]'),
    (HEAD + TABLE.replace('["v"]', '["v", "v"]') + TASK, "[series] columns must name at least one "
     'value column, and each once, but got ["v", "v"]; write for example columns = ["value"]'),
    (HEAD + TABLE + 'id = "v"\n' + TASK, "[series] id must be a column of its own, but the time or "
     'a value is "v", too; name the column that tells the series apart'),
    (HEAD + TABLE.replace('["v"]', '["v", 3]') + TASK, "[series] columns entry 2 must be text in "
     'quotes, but got 3; write for example columns = ["value"]'),
    (HEAD + TABLE.replace('["v"]', '["t"]') + TASK, "[series] columns must not hold the time "
     'column, but both are "t"; name the column that is to be forecast'),
    (GOOD + "[search]\nrungs = 10", "[search] rungs must leave a training step before the first "
     "report, which comes after 1/512 of training, but got 10 with 300 training_steps; "
     "take fewer rungs or more steps"),
    (GOOD + "[space.learning_rate]\nlow = 0.1\nhigh = 0.001", "[space.learning_rate] low must be "
     "below high, but got low = 0.1, high = 0.001; swap them"),
    (GOOD + "[space]\nlearning_rate = { low = 1 }", "[space.learning_rate] high is missing; "
     "a range is learning_rate = { low = ..., high = ... }"),
    (GOOD + "[space]\ncell = []", "[space] cell must hold at least one choice, but is empty; "
     "remove the key for the default"),
    (GOOD + '[space]\ncell = "gruu"', f'[space] cell must be {CELLS}, but got "gruu". '
     "Did you mean 'gru'?"),
    (GOOD + "[space]\nhidden_units = 0", "[space] hidden_units must be from 1 to 4096, but got 0"),
    (GOOD + "[space]\nlearning_rate = inf", "[space] learning_rate must be a finite number, but "
     "got inf"),
    (GOOD + "[space]\nwarm_up_steps = 600", "[space] warm_up_steps must leave room for "
     "rollout_steps within train_steps = 600, but reaches 600; "
     "shorten it, or lengthen train_steps"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "message"), PROBLEMS)
def test_a_problem_is_one_line_with_key_rule_value_and_remedy(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "study.toml"
    path.write_text(content)
    with pytest.raises(StudyFileError) as raised:
        read_study_file(path)
    assert str(raised.value) == f"{path}: {message}"


def test_several_problems_are_a_line_each(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(GOOD.replace("600", '"600"') + "[search]\ntrials = 0\nrungs = 0\n")
    with pytest.raises(StudyFileError) as raised:
        read_study_file(path)
    lines = str(raised.value).splitlines()
    assert [line.split()[2] for line in lines] == ["train_steps", "trials", "rungs"]


def sections() -> list[tuple[tuple[str, ...], str]]:
    models: list[tuple[tuple[str, ...], type[BaseModel]]] = [
        ((), StudyDefinition),
        (("task",), Task),
        (("search",), Search),
    ]
    models += [(("series", source), model) for source, model in known_sources().items()]
    return [(at, key) for at, model in models for key in model.model_fields if key not in RECORDED]


@pytest.mark.parametrize(("where", "key"), sections())
@pytest.mark.parametrize("wrong", [object(), -1, "", 10**400, math.nan, None])
def test_a_wrong_value_of_any_key_is_put_into_our_words(
    where: tuple[str, ...], key: str, wrong: object
) -> None:
    raw: dict[str, Any] = tomllib.loads(GOOD)
    place = raw
    for part in where[:1]:
        place = raw.setdefault(part, {})
    if where[1:] == ("table",):
        place.update(tomllib.loads(TABLE)["series"])
    elif where[1:]:
        place["source"] = where[1]
    place[key] = wrong
    lines: list[str] = []
    try:
        StudyDefinition.model_validate(raw)
    except ValidationError as error:
        lines += problems(error)
    for line in lines:
        assert line.startswith(("[", f"{key} "))
        assert "Input should" not in line
        assert "is wrong" not in line
        assert "\n" not in line


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["sine", "table", "gru", "random", "signal"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["low", "high", "log", "step", "source", "x"]), inner)
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=100)
@given(where=st.sampled_from(sections()), extra=st.text("abct_", max_size=6), value=VALUES)
def test_any_value_anywhere_is_accepted_or_put_into_our_words(
    where: tuple[tuple[str, ...], str], extra: str, value: object
) -> None:
    raw: dict[str, Any] = tomllib.loads(GOOD)
    (section, key) = where
    place = raw.setdefault(section[0], {}) if section else raw
    place[extra or key] = value
    raw.setdefault("space", {})
    if isinstance(raw["space"], dict):
        raw["space"]["dropout" if extra == "a" else "clip_norm"] = value
    lines: list[str] = []
    try:
        definition = StudyDefinition.model_validate(raw)
    except ValidationError as error:
        lines += problems(error)
    else:
        again = StudyDefinition.model_validate_json(definition.model_dump_json())
        assert again.identity_hash == definition.identity_hash
    assert not any("Input should" in line for line in lines)


@pytest.mark.parametrize("content", [b"t;x\n1;2\n", "t;\u00fc\n".encode("cp1252"), b"\x1f\x8b\x08"])
def test_a_table_in_place_of_a_study_file_is_told_from_one(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    with pytest.raises(StudyFileError, match=r"data.csv is a table, and no study file; name a stu"):
        read_study_file(path)
