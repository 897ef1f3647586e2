import math
from collections.abc import Callable
from pathlib import Path

import pytest

from search.errors import SeriesError, StudyFileError, UserError
from search.study.definition import StudyDefinition
from search.study.study_file import read_stored_definition, read_study_file
from search.study.task_data import TaskData

STUDIES = Path(__file__).parents[3] / "studies"
Write = Callable[[str], Path]

HEAD = 'name = "x"\n'
SINE = '[series]\nsource = "sine"\n'
TASK = "[task]\ntrain_steps = 600\nhorizon_steps = 400\n"
GOOD = HEAD + SINE + TASK
TABLE = '[series]\nsource = "table"\npath = "t.csv"\ntime = "t"\ncolumns = ["v"]\n'
SHORT_TASK = "[task]\ntrain_steps = 10\nhorizon_steps = 2\n"
SHORT_SPACE = '[space]\ncontext = "window"\nwindow_steps = 2\nwindow_rollout_steps = 1\n'


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_toml(content: str) -> Path:
        path = tmp_path / "study.toml"
        path.write_text(content, encoding="utf-8")
        return path

    return write_toml


def test_a_study_file_becomes_a_definition(write: Write) -> None:
    definition, table = read_study_file(write(GOOD + "[search]\nminutes = 5\n"))
    assert table is None
    assert definition.name == "x"
    assert definition.search.minutes == 5.0


def test_a_table_is_read_relative_to_the_study_file(write: Write, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("t,v\n" + "".join(f"{i},{i % 5}\n" for i in range(14)))
    _, table = read_study_file(write(HEAD + TABLE + SHORT_TASK + SHORT_SPACE))
    assert table is not None
    assert table.rows == 14


@pytest.mark.parametrize("name", sorted(path.stem for path in STUDIES.glob("*.toml")))
def test_the_studies_of_the_repository_are_read_and_named_by_their_files(name: str) -> None:
    definition, table = read_study_file(STUDIES / f"{name}.toml")
    assert definition.name == name
    for purpose in ("search", "final", "test"):
        view = TaskData(definition, table).view(purpose, 0)
        assert max(view.starts) + view.horizon_steps <= len(view.values)


def test_the_sine_study_searches_the_default_space_of_networks() -> None:
    definition, _ = read_study_file(STUDIES / "sine.toml")
    assert definition.named == ("cell",)
    assert definition.properties is not None
    # These are no keys of a study file.
    raw = definition.model_dump(exclude={"plugins", "named", "properties"})
    assert definition == StudyDefinition.of_file(
        raw | {"space": {"cell": ["rnn", "gru", "lstm", "lru"]}}, definition.properties
    )
    assert definition.task.test_horizon_steps == 1000


def test_the_defaults_of_a_file_follow_its_series(write: Write) -> None:
    found = read_study_file(write(GOOD)).definition
    assert found.properties is not None
    assert found.properties.is_wave
    assert found.space["time_reversal"].to_plain() == [False, True]
    known = read_study_file(write(HEAD + SINE + "period = [24, 168]\n" + TASK)).definition
    assert known.properties is not None
    assert known.properties.periods == (24.0, 168.0)
    named = read_study_file(write(GOOD + "[space]\nsegment_steps = 7\n")).definition
    assert named.space["segment_steps"].to_plain() == [7]
    assert named.named == ("segment_steps",)


@pytest.mark.parametrize("key", ["named = []", "properties = {}", "[plugins]"])
def test_what_freerun_records_is_no_key_of_a_file(write: Write, key: str) -> None:
    content = f"{GOOD}{key}\na = 1\n" if key.startswith("[") else f"{key}\n{GOOD}"
    with pytest.raises(StudyFileError, match="must not be set"):
        read_study_file(write(content))


@pytest.mark.parametrize("period", ["0", "true", '"24"', "[]", "[168, 24]", "[24, 24]", "1e9"])
def test_a_period_must_be_a_number_of_steps_or_several_that_rise(write: Write, period: str) -> None:
    with pytest.raises(StudyFileError, match=r"\[series\] period must be"):
        read_study_file(write(HEAD + SINE + f"period = {period}\n" + TASK))


def test_the_sunspots_are_309_years() -> None:
    definition, table = read_study_file(STUDIES / "sunspots.toml")
    assert table is not None
    assert (table.times[0], table.times[-1], table.rows) == ("1700", "2008", 309)
    assert table.values[257, 0] == 190.2  # 1957, the highest
    assert table.values.max() == 190.2
    assert table.continue_time(1) == ["2009"]
    spans = definition.task
    assert spans.train_steps + spans.validation_steps + spans.test_steps == 309


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("name = \n", r"is not TOML: .*line 1.*; correct it there"),
        ("name: x\n", r"is not TOML: .*line 1"),
        ('a = 1\na = 2\nname = "x"', r"is not TOML"),
        ("seed = " + "9" * 5000, r"a number that is too long; shorten it"),
        (
            "seed = 0x" + "f" * 5000 + "\n" + GOOD,
            r"seed must be .*, but got a number of 20000 bits",
        ),
    ],
)
def test_what_is_no_toml_is_refused(write: Write, content: str, words: str) -> None:
    with pytest.raises(StudyFileError, match=words):
        read_study_file(write(content))


def test_what_is_no_file_is_refused(write: Write, tmp_path: Path) -> None:
    write(GOOD)
    with pytest.raises(StudyFileError, match=r"no study file .*stdy\.toml\. Did you mean 'study"):
        read_study_file(tmp_path / "stdy.toml")
    with pytest.raises(StudyFileError, match=r"no study file .*Name a study file, for example"):
        read_study_file(tmp_path / "elsewhere" / "zzz.toml")
    with pytest.raises(StudyFileError, match="is a folder; name the study file"):
        read_study_file(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(StudyFileError, match="must be UTF-8 text"):
        read_study_file(tmp_path / "latin.toml")


@pytest.mark.parametrize(
    ("rows", "error", "words"),
    [
        (None, SeriesError, r"\[series\] .*t\.csv must be a table, but does not exist"),
        ("0,0\n1,x\n", SeriesError, r"\[series\] .*t\.csv, line 3: the column 'v'"),
        ("0,0\n1,1\n2,0\n", StudyFileError, r"\[task\] train_steps \+ .* 3 rows, but got 10 \+ 2"),
        ("".join(f"{i},{max(i, 16)}\n" for i in range(20)), SeriesError, r"\[series\] .*must vary"),
    ],
)
def test_a_table_that_can_not_serve_is_refused_in_the_study_files_name(
    write: Write, tmp_path: Path, rows: str | None, error: type[UserError], words: str
) -> None:
    path = write(HEAD + TABLE + SHORT_TASK + SHORT_SPACE)
    if rows is not None:
        (tmp_path / "t.csv").write_text("t,v\n" + rows)
    with pytest.raises(error, match=words) as raised:
        read_study_file(path)
    assert str(raised.value).startswith(f"{path}: ")


def test_a_stored_definition_comes_back_or_says_why_not() -> None:
    definition, _ = read_study_file(STUDIES / "smoke.toml")
    text = definition.model_dump_json()
    assert read_stored_definition(text) == definition
    newer = text.replace('"cell":', '"momentum":[0.1],"cell":')
    with pytest.raises(StudyFileError, match=r"stored definition .*\[space\] momentum is no param"):
        read_stored_definition(newer)
    with pytest.raises(StudyFileError, match="stored definition of the study can't be read"):
        read_stored_definition(text[:-4])


def smooth(folder: Path, rows: int) -> None:
    lines = [f"{row},{math.sin(0.07 * row) + math.sin(0.17 * row)!r}\n" for row in range(rows)]
    (folder / "t.csv").write_text("t,v\n" + "".join(lines))


def test_the_defaults_of_a_table_follow_its_noise(write: Write, tmp_path: Path) -> None:
    smooth(tmp_path, 900)
    task = "[task]\ntrain_steps = 600\nhorizon_steps = 100\n"
    definition, _ = read_study_file(write(HEAD + TABLE + task))
    assert definition.properties is not None
    assert definition.properties.is_noise_free
    assert definition.task.validation == "blocks"
    # Too short for the final's blocks: the file is taken, with the defaults of any series.
    smooth(tmp_path, 130)
    task = "[task]\ntrain_steps = 90\nhorizon_steps = 20\n[search]\nfinal_replicas = 90\n"
    definition, _ = read_study_file(write(HEAD + TABLE + task))
    assert definition.task.validation == "end"
    assert definition.properties is not None
    assert not definition.properties.is_noise_free


def test_nobody_asks_a_generated_series_for_its_noise(write: Write) -> None:
    clean = HEAD + '[series]\nsource = "sine"\nnoise_std = 0.0\n' + TASK
    definition, _ = read_study_file(write(clean))
    assert definition.properties is not None
    assert not definition.properties.is_noise_free
    assert definition.task.validation == "end"
