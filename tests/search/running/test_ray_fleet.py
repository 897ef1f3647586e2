"""Workers on a Ray cluster end with the budget, and are started elsewhere when a node dies."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from search.errors import UsageError
from search.running.fleet import Progress
from search.running.ray_fleet import RayFleet
from search.storage.opening import open_storage
from search.storage.study_store import StudyStore

try:
    from ray.cluster_utils import Cluster
except ImportError as error:
    if os.environ.get("CI") == "true":
        raise
    pytest.skip(f"no Ray to test with: {error}; install freerun[ray]", allow_module_level=True)

Create = Callable[[str], StudyStore]
# Ray's own processes and sockets are not closed before the interpreter ends.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one machine: a head that runs nothing, and one for the workers."""
    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "object_store_memory": 80 * 2**20},
    )
    yield made
    made.shutdown()  # type: ignore[no-untyped-call]


def never() -> bool:
    return False


def test_a_node_dies_and_the_study_is_done_all_the_same(
    cluster: Any, sqlite_url: str, create: Create, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.running.fleet.REPORT_SECONDS", 0.0)
    store = create(sqlite_url)
    store.set_budget(trials=60, minutes=None)
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)]
    fleet = RayFleet(store, sqlite_url, workers=1, address=cluster.address)

    def kill_the_node(_progress: Progress) -> None:
        if len(nodes) == 1 and store.counts().complete:
            nodes.append(cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20))
            cluster.remove_node(nodes[0], allow_graceful=False)
        # The dead worker's lease, which is a minute, need not be waited for here.
        if len(nodes) == 2 and not store.workers()[0].left:
            with open_storage(sqlite_url, create=False, lease_seconds=6.0) as storage:
                storage.study(store.name).sweep()

    assert not fleet.run(kill_the_node, never)
    assert len(nodes) == 2
    assert fleet.deaths == 1
    counts = store.counts()
    assert counts.complete + counts.pruned == counts.total == 60
    # The first was killed with its node, or found its parent dead and left in time.
    first, second = store.workers()
    assert second.left
    assert first.trial_ids == first.job_ids == ()
    assert all(job.state == "done" for job in store.final_jobs())


def test_a_worker_for_which_no_node_is_large_enough_is_refused(
    cluster: Any, sqlite_url: str, create: Create
) -> None:
    fleet = RayFleet(create(sqlite_url), sqlite_url, workers=1, address=cluster.address, gpus=4)
    with pytest.raises(
        UsageError, match=r"4 GPUs for each worker.*ask for less by --cpus-per-worker"
    ):
        fleet.run(lambda _progress: None, never)


def test_a_cluster_that_does_not_answer_is_refused(sqlite_url: str, create: Create) -> None:
    fleet = RayFleet(create(sqlite_url), sqlite_url, workers=1, address="127.0.0.1:1")
    with pytest.raises(UsageError, match="--address must be that of a running Ray cluster"):
        fleet.run(lambda _progress: None, never)
