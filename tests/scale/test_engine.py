"""Promises of work on a cluster: the same results, whoever is lost, and little done twice."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from device.errors import ClusterError
from device.workstation.engine import on_ray
from device.workstation.engine.local import Local
from device.workstation.engine.on_ray import OnRay
from device.workstation.engine.work import CHUNK, Work
from tests.scale.conftest import Nodes
from tests.scale.stubs import Row, Stub, computed
from tests.support.places import ROOT

COUNT = 2_000
DONE = "*/*/done/*"
Rows = npt.NDArray[np.float32]


def work(task: Stub, count: int = COUNT, first: int = 0) -> Work[int, Row]:
    return Work(task, range(count), "stubs", lambda: "key", first)


def nothing() -> None:
    """Nobody looks."""


@pytest.fixture(scope="session")
def expected() -> Rows:
    rows: list[Row] = list(Local().run(work(Stub()), nothing))
    return np.stack(rows)


def test_results_are_the_same_to_the_bit_and_in_order(
    nodes: Nodes, tmp_path: Path, expected: Rows
) -> None:
    counted, first = list[int](), 40
    found = list(nodes.engine(tmp_path).run(work(Stub(), 300, first), lambda: counted.append(1)))
    assert np.array_equal(np.stack(found), expected[first:300])
    assert len(counted) == len(found)
    assert not list(tmp_path.glob("*/*"))


def driver(
    nodes: Nodes, store: Path, noted: Path, takes_s: float, stderr: int | None = None
) -> "subprocess.Popen[bytes]":
    program = (
        "import sys; from pathlib import Path; from tests.scale.test_engine import *\n"
        f"engine = OnRay({nodes.address!r}, {str(store)!r}, {str(ROOT)!r})\n"
        f"stub = Stub(Path({str(noted)!r}), takes_s={takes_s})\n"
        "np.save(sys.argv[1], np.stack(list(engine.run(work(stub), nothing))))\n"
    )
    command = [sys.executable, "-c", program, str(store / "out.npy")]
    return subprocess.Popen(command, cwd=ROOT, start_new_session=True, stderr=stderr)


@dataclass
class Half:
    """Work of which half is done."""

    store: Path
    noted: Path
    running: "subprocess.Popen[bytes]"

    def twice(self) -> float:
        """The share of the items that were computed more than once."""
        counts = computed(self.noted)
        assert sorted(counts) == list(range(COUNT))
        return (sum(counts.values()) - COUNT) / COUNT


@pytest.fixture
def half(nodes: Nodes, tmp_path: Path) -> Half:
    (store := tmp_path / "store").mkdir()
    begun = Half(store, tmp_path / "noted", driver(nodes, store, tmp_path / "noted", 0.02))
    end = time.monotonic() + 240
    while len(list(store.glob(DONE))) < COUNT // CHUNK // 2:
        assert begun.running.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    return begun


@pytest.mark.slow
def test_a_driver_that_is_killed_at_half_goes_on_and_little_is_done_twice(
    half: Half, nodes: Nodes, expected: Rows
) -> None:
    os.killpg(half.running.pid, signal.SIGKILL)
    half.running.wait()
    assert not (half.store / "out.npy").exists()
    assert driver(nodes, half.store, half.noted, 0.0).wait(300) == 0
    assert np.array_equal(np.load(half.store / "out.npy"), expected)
    assert half.twice() <= 0.05


@pytest.mark.slow
def test_whoever_ends_a_driver_sees_one_line_and_no_trace(nodes: Nodes, tmp_path: Path) -> None:
    (store := tmp_path / "store").mkdir()
    running = driver(nodes, store, tmp_path / "noted", 0.02, subprocess.PIPE)
    end = time.monotonic() + 240
    while not list(store.glob(DONE)):
        assert running.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    running.terminate()
    said = running.communicate(timeout=120)[1].decode().splitlines()
    assert said[-1].startswith("ended: what is done is kept") and running.returncode == 143
    # Before it Ray's address, and perhaps what was waited for.
    assert len(said) <= 3


@pytest.mark.slow
def test_a_node_that_is_lost_midway_changes_nothing(
    half: Half, nodes: Nodes, expected: Rows
) -> None:
    nodes.lose()
    try:
        assert half.running.wait(400) == 0
    finally:
        nodes.add()
    assert np.array_equal(np.load(half.store / "out.npy"), expected)
    assert half.twice() <= 0.05


def test_people_are_told_what_is_waited_for_and_how_fast_it_was(
    nodes: Nodes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(on_ray, "PATIENCE_S", 0.01)
    list(nodes.engine(tmp_path).run(work(Stub(), 10), nothing))
    said = capsys.readouterr().err
    assert "stubs: no worker has done a part yet" in said
    rates = r"stubs: 10 in [\d.]+ s by 1 workers, [\d.,]+ a second, [\d.,]+ a second and core"
    assert re.search(rates, " ".join(said.split())), said


@pytest.mark.slow
@pytest.mark.usefixtures("ray")
def test_people_are_told_where_the_dashboard_is_and_it_answers() -> None:
    program = (
        "import re, sys, urllib.request\n"
        "from device.workstation.engine import cluster\n"
        "said = []\n"
        "cluster.tell = said.append\n"
        "cluster.connected('local')\n"
        "print(said)\n"
        "address = re.search(r'; dashboard (http://[\\w.:]+)$', said[0])[1]\n"
        "urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=60)\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_error_that_people_can_act_on_stops_with_its_words_and_its_node(
    nodes: Nodes, tmp_path: Path
) -> None:
    with pytest.raises(ClusterError, match=r"shard-70\.tar: cannot be read \(said by the node "):
        list(nodes.engine(tmp_path).run(work(Stub(fails_at=70), 100), nothing))
    assert list(tmp_path.glob(DONE))


@pytest.mark.slow
def test_a_mistake_in_the_code_is_said_in_a_line_and_what_is_done_is_kept(
    nodes: Nodes, tmp_path: Path
) -> None:
    with pytest.raises(ClusterError, match="RuntimeError: a mistake in the code") as caught:
        list(nodes.engine(tmp_path).run(work(Stub(breaks_at=70), 100), nothing))
    assert "\n" not in str(caught.value) and list(tmp_path.glob(DONE))


@pytest.mark.slow
def test_items_at_which_workers_die_one_after_the_other_are_named(
    nodes: Nodes, tmp_path: Path
) -> None:
    with pytest.raises(ClusterError, match="one of 64 to 95: is a file there too large"):
        list(nodes.engine(tmp_path).run(work(Stub(dies_at=70), 100), nothing))


@pytest.mark.slow
def test_a_store_that_nodes_cannot_read_is_named_in_a_line(nodes: Nodes, tmp_path: Path) -> None:
    store = "memory://" + tmp_path.name
    with pytest.raises(ClusterError, match="cannot be read here") as caught:
        list(OnRay(nodes.address, store, str(ROOT)).run(work(Stub(), 100), nothing))
    assert "RAY_STORE" in str(caught.value) and "\n" not in str(caught.value)
