"""A SQLite file on a network file system is refused, as the kernel's list of mounts tells."""

from pathlib import Path

import pytest

from search.errors import StorageError
from search.storage import file_systems, open_storage
from search.storage.file_systems import network_kind

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
    monkeypatch.setattr(file_systems, "MOUNTS", mounts)
    with pytest.raises(StorageError, match=r"network file system \(nfs4\)\. .*PostgreSQL"):
        open_storage(f"sqlite:///{tmp_path / 'freerun.db'}", create=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mounts"]
