"""The worker command as a process: how fleets start it, here or through a cluster's scheduler."""

import os
import signal
import subprocess
import sys
from typing import IO

# How long a worker may take to give back what it runs before it is killed.
STOP_SECONDS = 30.0


def start_worker(
    study: str, storage_url: str, device: str, errors: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start `freerun work` on one thread; it ends by itself if this process dies.

    The storage's URL reaches it by the environment, since a command line is visible to all users
    of the machine. errors: where its standard error goes.
    """
    environment = {
        **os.environ,
        "FREERUN_STORAGE": storage_url,
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "search", "work", study, "--quiet"]
    return subprocess.Popen(
        [*command, "--device", device, "--parent", str(os.getpid())],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        # Ctrl-C reaches the whole foreground group; a fleet tells its workers itself.
        start_new_session=True,
    )


def ask_to_end(process: subprocess.Popen[bytes]) -> None:
    """Let a worker give back what it runs, and end."""
    process.send_signal(signal.SIGTERM)


def ended(process: subprocess.Popen[bytes]) -> bool:
    """Wait for the end of a worker that was asked; False if it had to be killed."""
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True


def last_words(errors: IO[bytes], lines: int = 15) -> str:
    """The end of what was written to standard error."""
    errors.seek(0)
    return "\n".join(errors.read().decode(errors="replace").splitlines()[-lines:])
