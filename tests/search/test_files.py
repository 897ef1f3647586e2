"""The door for files: what is read is regular and bounded, what is written is whole or absent."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import ExportError, UsageError
from search.files import (
    MOST_NESTED,
    FileKind,
    expand,
    make_folder,
    read_file,
    read_json,
    write_file,
    write_folder,
)

KIND = FileKind("a note", 1000, ExportError, "name a note")
OLD, NEW = b"old", b"new"


def a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def a_socket(folder: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "socket"))
    return folder / "socket"


def a_loop(folder: Path) -> Path:
    (folder / "loop").symlink_to(folder / "loop")
    return folder / "loop"


def a_link_to_a_device(folder: Path) -> Path:
    (folder / "link").symlink_to("/dev/zero")
    return folder / "link"


def a_large_file(folder: Path) -> Path:
    (folder / "large").write_bytes(b"x" * 1001)
    return folder / "large"


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (a_pipe, "is a pipe"),
        (a_socket, "can't be read"),
        (a_loop, "Too many levels"),
        (a_link_to_a_device, "is a device"),
        (a_large_file, "at most"),
        (lambda folder: folder, "is a folder"),
        (lambda folder: folder / "none", "does not exist"),
        (lambda folder: folder / ("x" * 300), "File name too long"),
        (lambda folder: folder / "a\0b", "null byte"),
        (lambda _: Path("/proc/self/smaps"), "at most"),
    ],
)
def test_only_regular_files_up_to_a_size_are_read(
    tmp_path: Path, make: Callable[[Path], Path], word: str
) -> None:
    with pytest.raises(ExportError, match=word) as refused:
        read_file(make(tmp_path), KIND)
    assert "a note" in str(refused.value)
    assert "name a note" in str(refused.value)
    assert "\0" not in str(refused.value)


def test_a_link_to_a_file_and_the_largest_file_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 1000)
    (tmp_path / "link").symlink_to("file")
    assert read_file(tmp_path / "link", KIND) == b"x" * 1000


@given(depth=st.integers(0, 3 * MOST_NESTED), name=st.sampled_from(["list", "object"]))
def test_json_is_read_up_to_a_depth(depth: int, name: str) -> None:
    left, right = ("[", "]") if name == "list" else ('{"a":', "}")
    text = left * depth + "1" + right * depth
    if depth <= MOST_NESTED:
        assert read_json(text) == json.loads(text)
    else:
        with pytest.raises(ValueError, match="nested at most"):
            read_json(text)


@pytest.mark.parametrize("text", ["[" * 1_000_000, "{", b"\xff\xfe", "1" * 10_000])
def test_what_is_no_json_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(text)


@given(content=st.binary(max_size=100))
def test_what_was_compressed_expands_to_itself_and_to_no_more_than_allowed(content: bytes) -> None:
    packed = zlib.compress(content)
    assert expand(packed, len(content)) == content
    if content:
        with pytest.raises(ValueError, match="at most"):
            expand(packed, len(content) - 1)
    with pytest.raises(ValueError, match="end is missing"):
        expand(packed[:-1], 1000)


def write(path: Path) -> None:
    write_file(path, NEW)


def write_into(path: Path) -> None:
    write_folder(path, {"a": NEW}, lambda _: None)


@pytest.mark.parametrize("wrote", [write, write_into, make_folder])
@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("file/below", "Not a directory|is a file"),
        ("loop/out", "Too many levels"),
        ("x" * 300, "File name too long"),
        ("~nobody-known/out", "home directory"),
        ("a\0b", "null byte"),
    ],
)
def test_what_cannot_be_written_is_one_message_and_leaves_nothing(
    tmp_path: Path, wrote: Callable[[Path], None], name: str, word: str
) -> None:
    (tmp_path / "file").write_bytes(OLD)
    a_loop(tmp_path)
    before = sorted(tmp_path.iterdir())
    path = Path(name) if name.startswith("~") else tmp_path / name
    with pytest.raises(UsageError, match=r"can't be written: .*; name another"):
        wrote(path)
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "file").read_bytes() == OLD


def test_no_root_device_or_folder_is_replaced_by_a_file(tmp_path: Path) -> None:
    pipe = a_pipe(tmp_path)
    for path, word in (
        (Path("/"), "root of all folders"),
        (Path("/dev/null"), "no regular file"),
        (pipe, "no regular file"),
        (tmp_path, "a folder"),
    ):
        with pytest.raises(UsageError, match=word):
            write_file(path, NEW)
    assert pipe.is_fifo()
    assert Path("/dev/null").is_char_device()


def test_a_link_stays_one_and_a_long_name_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(OLD)
    (tmp_path / "link").symlink_to("file")
    write_file(tmp_path / "link", NEW)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == NEW
    write_file(tmp_path / ("x" * 255), NEW)


def test_folders_are_made_and_taken_back_where_writing_fails(tmp_path: Path) -> None:
    write_file(tmp_path / "a" / "b" / "file", NEW)
    assert (tmp_path / "a" / "b" / "file").read_bytes() == NEW
    with pytest.raises(UsageError, match="too long"):
        write_file(tmp_path / "c" / "d" / ("x" * 300), NEW)
    assert not (tmp_path / "c").exists()


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    write_folder(tmp_path / "out", {"a": OLD, "b": OLD}, lambda _: None)
    write_folder(tmp_path / "out", {"a": NEW}, lambda _: None)
    assert [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()] == [NEW]
    with pytest.raises(UsageError, match="can't be written"):
        write_folder(tmp_path / "out", {"a": OLD, "x" * 300: OLD}, lambda _: None)
    assert [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()] == [NEW]


def test_a_disk_that_is_full_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(OLD)
    program = (
        "import sys; from pathlib import Path; from search.files import write_file\n"
        "from search.errors import UsageError\n"
        "try: write_file(Path('file'), b'x' * 100_000)\n"
        "except UsageError as error: sys.exit(str(error))\n"
    )

    def little_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        preexec_fn=little_room,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("file can't be written: File too large; name another file")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [OLD]


def test_a_working_folder_that_was_deleted_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(UsageError, match="can't be written: No such file"):
        write_file(Path("file"), NEW)
    with pytest.raises(ExportError, match="does not exist"):
        read_file(Path("file"), KIND)


def test_a_folder_that_two_processes_replace_at_once_is_whole(tmp_path: Path) -> None:
    target, rounds = tmp_path / "export", 150

    def replace(content: str) -> None:
        for _ in range(rounds):
            names = ("one", "two")
            write_folder(target, dict.fromkeys(names, content.encode()), lambda _path: None)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(replace, "abc"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export"]
    assert len({path.read_text() for path in target.iterdir()}) == 1
    assert sorted(path.name for path in target.iterdir()) == ["one", "two"]
