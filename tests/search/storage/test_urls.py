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
        ("postgresql://host/db?user=ann&password=pw", "postgresql://host/db?user=ann&password=***"),
        (
            "postgresql://host/db?sslpassword=a&sslmode=b",
            "postgresql://host/db?sslpassword=***&sslmode=b",
        ),
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


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", None),
        ("/tmp/x", None),
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
