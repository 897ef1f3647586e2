"""URLs: which are understood, where a SQLite file may lie, and that no password is shown."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.errors import StorageError
from search.storage import urls
from search.storage.opening import open_storage
from search.storage.urls import network_kind, redact

MOUNTS = """\
overlay / overlay rw,relatime 0 0
tmpfs /tmp tmpfs rw 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
/dev/sda1 /home/local ext4 rw 0 0
//server/share /mnt/two\\040words cifs rw 0 0
/dev/sdb1 /mnt/covered ext4 rw 0 0
ann@host:/ /mnt/covered fuse.sshfs rw 0 0
"""


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///freerun.db", "sqlite:///freerun.db"),
        ("postgresql://ann@host/db", "postgresql://ann@host/db"),
        ("postgresql://ann:pw@host:5432/db", "postgresql://ann:***@host:5432/db"),
        ("postgresql://:pw@host/db", "postgresql://:***@host/db"),
        ("postgresql://ann:p@s:s/w?d@host/db", "postgresql://ann:***@host/db"),
        ("postgresql://host/db?user=ann&password=pw", "postgresql://host/db?user=***&password=***"),
        ("postgresql://host/db?options=-c a=pw&pw", "postgresql://host/db?options=***&***"),
        ("postgresql://ann:p@pw@host/db", "postgresql://ann:***@host/db"),
        ("postgresql://p@pw:x@host/db", "postgresql://***@host/db"),
        ("ann:pw@host/db", "***@host/db"),
        ("host=here password=pw dbname=d", "host=here password=*** dbname=d"),
        ("sqlite:///ann:pw@home.db", "sqlite:///ann:pw@home.db"),
        ("no url at all", "no url at all"),
    ],
)
def test_redact_hides_passwords_and_nothing_else(url: str, shown: str) -> None:
    assert redact(url) == shown


@settings(deadline=None, max_examples=50)
@given(password=st.text(alphabet="qwXYZ0189@:/?&#%= ", min_size=4, max_size=12))
def test_no_password_survives_redaction(password: str) -> None:
    assert redact(f"postgresql://ann:{password}@host/db") == "postgresql://ann:***@host/db"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("freerun.db", "a storage is a URL such as sqlite:///FILE"),
        ("", "a storage is a URL"),
        ("ann:pw@host/db", "a storage is a URL"),
        ("postgresql://ann:a@pw@host/db", "Write %40 for an @"),
        ("postgresql://ann:a@pw?@127.0.0.1:1/db", "Write %40 for an @"),
        ("postgresql://ann@host/db?foo=pw", "those of libpq, but"),
        ("postgresql://ann@host/db?ssl_mode=pw", "Did you mean 'sslmode'?"),
        ("postgresql://ann@host/db?autocommit=pw", "those of libpq"),
        ("postgresql://ann@host/db?sslmode=pw&sslmode=pw", "must be given once"),
        ("postgresql://ann%00:pw@host/db", "without null bytes"),
        ("sqlite:///x.db?timeout=abc", "a file and nothing else"),
        ("sqlite:///x.db?check_same_thread=nope", "a file and nothing else"),
        ("sqlite:///x.db?detect_types=zz", "a file and nothing else"),
        ("sqlite://ann:pw@host/x.db", "a file and nothing else"),
        ("sqlite:///a\0b.db", "UTF-8 text"),
        ("sqlite:///a\udcffb.db", "UTF-8 text"),
        (f"sqlite:///{'x' * 3000}.db", "File name too long"),
        (f"sqlite:///{'x' * 5000}.db", "at most 4,096 characters"),
        ("sqlite:////dev/zero", "is a pipe or a device"),
        ("sqlite:///~nobody-known/x.db", "can't be one"),
        ("postgresql://host:port/db", "a storage is a URL"),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("mysql://ann:pw@host/db", "SQLite or PostgreSQL, but got 'mysql'"),
        ("postgresql+psycopg2://ann:pw@host/db", "Write postgresql://, which uses psycopg 3"),
        ("redis://host", "SQLite or PostgreSQL"),
    ],
)
def test_other_urls_are_refused_with_the_remedy(url: str, message: str) -> None:
    with pytest.raises(StorageError) as refusal:
        open_storage(url, create=True)
    assert message in str(refusal.value)
    assert "pw" not in str(refusal.value)
    assert len(str(refusal.value)) < 1000


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("connect_timeout=pw", "connect_timeout"),
        ("sslmode=pw", "sslmode"),
        ("port=pw", "port"),
        ("hostaddr=pw", ""),
        ("client_encoding=pw", ""),
    ],
)
def test_what_the_driver_refuses_is_one_message_without_the_value(option: str, words: str) -> None:
    with pytest.raises(StorageError) as refusal:
        open_storage(f"postgresql://ann@127.0.0.1:1/db?{option}", create=False)
    assert "can't be opened" in str(refusal.value)
    assert words in str(refusal.value)
    assert "pw" not in str(refusal.value)


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", None),
        ("/tmp/a.db", None),
        ("/home", "nfs4"),
        ("/home/ann/study", "nfs4"),
        ("/homes", None),
        ("/home/local/ann", None),
        ("/mnt/two words", "cifs"),
        ("/mnt/covered/x", "fuse.sshfs"),
    ],
)
def test_the_innermost_and_latest_mount_counts(folder: str, kind: str | None) -> None:
    assert network_kind(Path(folder), MOUNTS) == kind


def test_a_network_file_system_is_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/x {tmp_path.resolve()} nfs4 rw 0 0\n")
    monkeypatch.setattr(urls, "MOUNTS", mounts)
    with pytest.raises(StorageError, match=r"network file system \(nfs4\)\. .*PostgreSQL"):
        open_storage(f"sqlite:///{tmp_path / 'freerun.db'}", create=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mounts"]
