"""A cluster on this machine: a head without cores and two nodes of one core each."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from device.workstation.engine import cluster as connecting
from device.workstation.engine.on_ray import OnRay
from tests.support.places import ROOT

STORE_BYTES = 100 * 2**20


def patiently(start: Callable[..., Any], **settings: Any) -> Any:
    """Start a node, again if a busy machine let the 30 s pass that Ray gives it."""
    for _ in range(2):
        try:
            return start(**settings)
        except Exception as error:
            if "timed out during startup" not in str(error):
                raise
    return start(**settings)


@dataclass
class Nodes:
    """The cluster's nodes: separate processes, as if they were machines that share a disk."""

    cluster: Any
    workers: list[Any] = field(default_factory=list)

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def add(self) -> None:
        node = patiently(self.cluster.add_node, num_cpus=1, object_store_memory=STORE_BYTES)
        self.workers.append(node)

    def lose(self) -> None:
        """One node is gone, without a word."""
        self.cluster.remove_node(self.workers.pop(0), allow_graceful=False)

    def engine(self, store: Path) -> OnRay:
        return OnRay(self.address, str(store), str(ROOT))


@pytest.fixture(scope="session")
def ray() -> Any:
    """The package, for whatever starts a cluster; skips where it is not installed."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    return pytest.importorskip(
        "ray", reason="Ray is not installed here: `make test-scale` runs these tests"
    )


@pytest.fixture(scope="session")
def nodes(ray: Any) -> Iterator[Nodes]:
    from ray.cluster_utils import Cluster

    # For tasks of tests; the rest comes with the working directory.
    os.environ["PYTHONPATH"] = str(ROOT)
    head = {"num_cpus": 0, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    nodes = Nodes(patiently(Cluster, initialize_head=True, head_node_args=head))
    for _ in range(2):
        nodes.add()
    yield nodes
    connecting.connected.cache_clear()
    ray.shutdown()
    nodes.cluster.shutdown()
