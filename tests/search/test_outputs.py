"""What commands may replace: outputs of their own kind, and never what they read."""

import gzip
import os
from pathlib import Path

import polars
import pytest

from search.errors import ExportError, UsageError
from search.outputs import (
    ONNX_MODEL,
    PAGE,
    PICTURE,
    REPORT,
    STUDY_FILE,
    OutputKind,
    check_apart,
    check_different,
    check_forecast_name,
    check_output,
    check_results,
    forecast_kind,
)

FORECAST = forecast_kind(["t", "x"])
OWN = {
    "report.html": (
        REPORT,
        b'<!doctype html>\n<html><meta name="generator" content="freerun 0.1.0"></html>',
    ),
    "page.html": (
        PAGE,
        b'<!doctype html>\n<html>\n<head><meta name="generator" content="freerun-forecast 0.2.0">',
    ),
    "model.onnx": (ONNX_MODEL, b"\x08\x0a" + bytes(10**5) + b"r\x12\n\x0ffreerun.version\x12\0"),
    "picture.png": (PICTURE, b"\x89PNG\r\n\x1a\n...tEXtSoftware\0freerun..."),
    "study.toml": (STUDY_FILE, b'name = "a"\n[series]\nsource = "sine"\n[task]\n'),
    "forecast.csv": (FORECAST, b"t,x\n4,0.5\n"),
}


@pytest.fixture(params=OWN)
def own(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, OutputKind]:
    """A file that freerun wrote, and its kind."""
    kind, content = OWN[request.param]
    (tmp_path / request.param).write_bytes(content)
    return tmp_path / request.param, kind


def test_an_output_is_replaced_by_one_of_its_kind(own: tuple[Path, OutputKind]) -> None:
    path, kind = own
    check_output(path, kind, force=kind.needs_consent)
    if kind.needs_consent:
        with pytest.raises(UsageError, match=r"is already there; .* with --force"):
            check_output(path, kind)


def test_no_output_replaces_one_of_another_kind(own: tuple[Path, OutputKind]) -> None:
    path, kind = own
    for other, _ in OWN.values():
        if other is not kind:
            with pytest.raises(UsageError, match="must be new or a"):
                check_output(path, other, force=True)


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"SQLite format 3\0", b"<!doctype html>", b"#"])
def test_a_foreign_file_stays(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other").write_bytes(content)
    for kind, _ in OWN.values():
        with pytest.raises(UsageError, match="must be new or a"):
            check_output(tmp_path / "other", kind, force=True)


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_an_input_is_never_replaced(tmp_path: Path, link: object) -> None:
    data, other = tmp_path / "data.csv", tmp_path / "link.csv"
    data.write_bytes(b"t,x\n1,2\n")
    assert callable(link)
    link(data, other)
    for path in (data, other, tmp_path / "." / "data.csv", tmp_path / "x" / ".." / "data.csv"):
        with pytest.raises(UsageError, match="must be another file than"):
            check_output(path, FORECAST, inputs=[data], force=True)
    with pytest.raises(UsageError, match="which is read"):
        check_apart(tmp_path / "new" / "..", [tmp_path])


def test_what_is_no_regular_file_is_no_place_to_write_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="is no regular file"):
        check_output(tmp_path / "pipe", REPORT)
    with pytest.raises(UsageError, match="is a folder"):
        check_output(tmp_path, REPORT)
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    with pytest.raises(UsageError, match="is no regular file"):
        check_output(tmp_path / "nowhere", REPORT)


def test_new_and_empty_files_are_written(tmp_path: Path) -> None:
    check_output(tmp_path / "new" / "report.html", REPORT)
    (tmp_path / "empty").touch()
    check_output(tmp_path / "empty", STUDY_FILE)


def test_a_forecast_of_the_same_times_is_replaced_without_consent(tmp_path: Path) -> None:
    path = tmp_path / "forecast.csv"
    path.write_text('"t",x,x_low_80\n4,0.5,0.1\n5,0.6,0.1\n')
    check_output(path, forecast_kind(["t", "x"], ["4", "5", "6"]))
    with pytest.raises(UsageError, match="must be new or a forecast"):
        check_output(path, forecast_kind(["t", "x"], ["5", "6", "7"]))
    with pytest.raises(UsageError, match="must be new or a forecast"):
        check_output(path, forecast_kind(["t", "y"]))


def test_a_forecast_in_parquet_is_told_by_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "forecast.parquet"
    polars.DataFrame({"t": ["4"], "x": [0.5], "x_low_80": [0.1], "x_high_80": [0.9]}).write_parquet(
        path
    )
    check_output(path, FORECAST, force=True)
    with pytest.raises(UsageError, match=r"is already there; .* with --force"):
        check_output(path, FORECAST)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(UsageError, match="must be new or a forecast"):
        check_output(path, FORECAST, force=True)
    polars.DataFrame({"t": ["4"], "demand": [0.5]}).write_parquet(path)
    with pytest.raises(UsageError, match="must be new or a forecast"):
        check_output(path, FORECAST, force=True)


def test_a_packed_forecast_is_told_by_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "forecast.csv.gz"
    path.write_bytes(gzip.compress(b"t,x\n4,0.5\n"))
    check_output(path, FORECAST, force=True)
    for other in (gzip.compress(b"t,y\n4,0.5\n"), gzip.compress(b"t,x\n4,0.5\n")[:-9]):
        path.write_bytes(other)
        with pytest.raises(UsageError, match="must be new or a forecast"):
            check_output(path, FORECAST, force=True)


def test_times_of_a_forecast_may_have_had_fractions_of_zero(tmp_path: Path) -> None:
    path = tmp_path / "forecast.csv"
    path.write_text("t,x\n2024-01-01 00:00:00.000000+01:00,0.5\n")
    check_output(path, forecast_kind(["t", "x"], ["2024-01-01 00:00:00+01:00"]))
    with pytest.raises(UsageError, match="must be new or a forecast"):
        check_output(path, forecast_kind(["t", "x"], ["2024-01-01 00:00:01+01:00"]))


def test_a_page_of_an_earlier_version_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_bytes(
        b"<html>\n" + bytes(10**5) + b'{"title":{"font":{"size":16},"text":"Forecast of 4 steps"}}'
    )
    check_output(tmp_path / "page.html", PAGE)


@pytest.mark.parametrize(
    "other", ["f.png", "./f.png", "new/../f.png", "f.png/f.csv", "link.png", "folder/f.png"]
)
def test_no_two_outputs_take_one_place(tmp_path: Path, other: str) -> None:
    (tmp_path / "link.png").symlink_to(tmp_path / "f.png")
    (tmp_path / "folder").symlink_to(tmp_path)
    for pair in ((tmp_path / "f.png", tmp_path / other), (tmp_path / other, tmp_path / "f.png")):
        with pytest.raises(UsageError, match="--output and --picture must name different files"):
            check_different(dict(zip(("--output", "--picture"), pair, strict=True)))
    check_different({"--output": tmp_path / "f.csv", "--picture": tmp_path / "f.png"})


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("f.xlsx", "f.csv"),
        ("f.XLSX", "f.csv"),
        ("my f.json", "my f.csv"),
        ("f.parquet.gz", "f.csv"),
        ("f.csv.zst", "f.csv"),
        ("f.pq", "f.csv"),
        ("f.html", "f.csv"),
        ("f.tar.gz", "f.csv"),
    ],
)
def test_a_forecast_has_no_name_of_another_format(name: str, better: str) -> None:
    with pytest.raises(UsageError, match=rf"{name} ends in another way; .* out/{better}"):
        check_forecast_name(Path("out") / name)


@pytest.mark.parametrize(
    "name", ["f.csv", "f.csv.gz", "f.CSV.GZ", "f", "f.txt", "f.parquet", "f.2024", "f.v2", ".f"]
)
def test_other_names_of_a_forecast_are_taken(name: str) -> None:
    check_forecast_name(Path(name))


def test_no_output_stands_in_a_folder_that_is_read(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "export")
    for inside in (
        "export/new.csv",
        "export/new/new.csv",
        "link/new.csv",
        "export/../link/new.csv",
    ):
        with pytest.raises(UsageError, match=r"must be outside of .*export, which is read"):
            check_output(tmp_path / inside, FORECAST, inputs=[tmp_path / "export"])
    check_output(tmp_path / "export.csv", FORECAST, inputs=[tmp_path / "export"])


def test_all_results_of_a_run_are_checked(tmp_path: Path) -> None:
    check_results(tmp_path)
    check_results(tmp_path / "new" / "deeper")
    (tmp_path / "file").write_text("mine")
    for below in ("file", "file/new"):
        with pytest.raises(UsageError, match=r"must be a folder, but .*file is a file"):
            check_results(tmp_path / below)
    export = tmp_path / "export"
    export.mkdir()
    check_results(tmp_path)
    (export / "mine.txt").write_text("mine")
    with pytest.raises(ExportError, match=r"but holds other files, such as mine.txt"):
        check_results(tmp_path)
    (export / "manifest.json").write_text("{}")
    with pytest.raises(ExportError, match=r"but also mine.txt"):
        check_results(tmp_path)


def test_a_home_that_is_not_known_is_refused(tmp_path: Path) -> None:
    path = Path("~nobody-known/report.html")
    with pytest.raises(UsageError, match="names none that is known; write the path in full"):
        check_output(path, REPORT)
    with pytest.raises(UsageError, match="names none that is known"):
        check_results(path)
    with pytest.raises(UsageError, match="names none that is known"):
        check_apart(tmp_path / "x", [path])
