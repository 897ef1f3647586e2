"""Which kind of file system holds a folder, and whether several machines may be behind it."""

from pathlib import Path

MOUNTS = Path("/proc/self/mounts")
# SQLite's locks and shared memory don't work, or not safely, on these.
NETWORK_KINDS = frozenset(
    {
        *("afs", "beegfs", "ceph", "cifs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4"),
        *("panfs", "smb", "smb2", "smb3", "smbfs"),
        *("fuse.blobfuse", "fuse.blobfuse2", "fuse.ceph", "fuse.davfs2", "fuse.gcsfuse"),
        *("fuse.glusterfs", "fuse.juicefs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"),
    }
)


def network_kind(folder: Path, mounts: str | None = None) -> str | None:
    """Return the kind of the network file system that holds a folder, None for a local one.

    mounts: the lines of /proc/self/mounts, read there if not given; None is the answer where the
    system has no such file.
    """
    if mounts is None:
        if not MOUNTS.exists():
            return None
        mounts = MOUNTS.read_text(errors="replace")
    found, longest = None, -1
    resolved = folder.resolve()
    for line in mounts.splitlines():
        _, mounted, kind, *_ = line.split(" ")
        # Blanks in a path are written as octal numbers.
        place = Path(mounted.replace("\\040", " "))
        # Of two on one place, the later mount hides the earlier.
        if resolved.is_relative_to(place) and len(place.parts) >= longest:
            found, longest = kind, len(place.parts)
    return found if found in NETWORK_KINDS else None
