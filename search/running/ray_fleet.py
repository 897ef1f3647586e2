"""Workers on a Ray cluster: placed, replaced when they or their machines die, stopped.

Ray only starts the worker command on its nodes, which must have freerun installed; all else is the
storage's. Ray is an extra, imported when a fleet is made: it takes seconds.
"""

import logging
import os
import socket
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import sleep
from typing import Any

from search.errors import UsageError
from search.running.fleet import (
    POLL_SECONDS,
    STOP_SECONDS,
    Ended,
    Fleet,
    Progress,
    ask_to_end,
    has_ended,
    last_words,
    start_worker,
)

# A worker passes nothing through Ray's object store but its end; the least that Ray takes.
LOCAL_STORE_BYTES = 80 * 2**20
CONNECT_SECONDS = 10.0


@dataclass
class RayFleet(Fleet):
    """Workers on one study, each a Ray task that runs the worker command on some node.

    address: of the cluster, None for a local one of this fleet's own. cpus, gpus: what each worker
    is given; a part of a GPU may be given to several.
    """

    address: str | None = None
    cpus: float = 1.0
    gpus: float = 0.0

    def run(self, report: Callable[[Progress], None], stop_requested: Callable[[], bool]) -> bool:
        """Run as `Fleet.run` does.

        Also raises UsageError where the cluster can't be reached or has no node for a worker.
        """
        with _connected(self.address, self.workers * self.cpus) as self.ray:
            self._check_room()
            # Tasks are not tried again by Ray, which would not tell; a node's death is one try.
            self.work = self.ray.remote(
                num_cpus=self.cpus,
                num_gpus=self.gpus,
                max_retries=0,
                scheduling_strategy="SPREAD",
            )(run_worker)
            return self._run(report, stop_requested)

    def _start(self) -> Any:
        return self.work.remote(self.store.name, self.storage_url, self.device)

    def _look(self) -> list[Ended]:
        done, self.running = self.ray.wait(self.running, timeout=POLL_SECONDS)
        return [self._end(task) for task in done]

    def _end(self, task: Any) -> Ended:
        try:
            return Ended(*self.ray.get(task))
        except self.ray.exceptions.RayError as error:
            # The node or Ray's process there has gone; the trials come back with their lease.
            return Ended(-1, str(error))

    def _stop(self) -> None:
        for task in self.running:
            self.ray.cancel(task)
        if self.running:
            # A worker that is being stopped gives back what it runs first.
            self.ray.wait(self.running, num_returns=len(self.running), timeout=STOP_SECONDS)

    def _check_room(self) -> None:
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        if not any(
            has.get("CPU", 0) >= self.cpus and has.get("GPU", 0) >= self.gpus for has in nodes
        ):
            raise UsageError(
                f"a node of the Ray cluster must have {self.cpus:g} CPUs and {self.gpus:g} GPUs "
                "for each worker, but none has; ask for less by --cpus-per-worker and "
                "--gpus-per-worker"
            )


def run_worker(study: str, storage_url: str, device: str) -> tuple[int, str]:
    """Run the worker command on the node that Ray chose; return what `Ended` holds."""
    with tempfile.TemporaryFile() as errors:
        process = start_worker(study, storage_url, device, errors)
        try:
            # Short waits: Ray cancels by an exception that a longer one would not see.
            while process.poll() is None:
                sleep(POLL_SECONDS)
        finally:
            if process.poll() is None:
                ask_to_end(process)
                has_ended(process)
        return process.returncode, last_words(errors)


def _check_reachable(address: str) -> None:
    """Raise OSError or ValueError where nothing listens at HOST:PORT: Ray would try for minutes."""
    host, colon, port = address.rpartition("//")[2].rpartition(":")
    if colon:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()


@contextmanager
def _connected(address: str | None, cpus: float) -> Iterator[Any]:
    """Yield Ray, connected to a cluster, or to a local one with so many CPUs.

    Raises UsageError where Ray is not installed, or no cluster answers.
    """
    # A search tells nobody that it runs; and what Ray warns of concerns its own next versions.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import ray
        except ImportError as error:
            raise UsageError(
                "launch needs Ray, which is not installed; install freerun[ray]"
            ) from error
        local: dict[str, Any] = {
            "num_cpus": max(1, round(cpus)),
            "include_dashboard": False,
            "object_store_memory": LOCAL_STORE_BYTES,
        }
        try:
            if address is not None:
                _check_reachable(address)
            ray.init(
                address="local" if address is None else address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **(local if address is None else {}),
            )
        except (OSError, RuntimeError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise UsageError(
                f"--address must be that of a running Ray cluster, but got {address!r} ({reason}); "
                "`ray status` on its head node names it"
            ) from error
        try:
            yield ray
        finally:
            ray.shutdown()
