"""Promises of choosing an engine: one line for whatever is in the way, and nothing is started."""

import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from device.errors import ClusterError, UsageError
from device.workstation.engine import cluster
from device.workstation.engine.choice import named
from device.workstation.engine.local import Local
from device.workstation.engine.on_ray import OnRay
from device.workstation.shards.stores import StoreError


@pytest.fixture(autouse=True)
def forgotten() -> None:
    cluster.connected.cache_clear()


def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)


def one_line(error: Any) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def test_this_machine_is_the_default() -> None:
    assert named({}) == named({"ENGINE": ""}) == named({"ENGINE": "local"}) == Local()


def test_an_engine_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="ENGINE=spark: give local or ray"):
        named({"ENGINE": "spark"})


def test_what_is_kept_is_named_from_anywhere_and_an_address_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    engines = [named({"ENGINE": "ray", "RAY_STORE": given}) for given in ("kept", "s3://a/b")]
    assert all(isinstance(engine, OnRay) for engine in engines)
    stores = [engine.store for engine in engines if isinstance(engine, OnRay)]
    assert stores == [str(tmp_path / "kept"), "s3://a/b"]


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("foo://work", r"^RAY_STORE=foo://...: no such protocol; give one of s3://, "),
        ("3!s://secret", r"^RAY_STORE=://...: no such protocol"),
        ("https://host/work", r"^RAY_STORE=https://...: no such protocol; give one of s3://"),
        ("memory://work", r"^RAY_STORE=memory://...: no such protocol"),
        ("s3://", r"^RAY_STORE=s3://: name what to use there, such as s3://bucket/folder$"),
        ("s3://key:secret@bucket", r"^RAY_STORE=s3://...: an address must hold no user"),
    ],
)
def test_a_store_that_nodes_cannot_share_is_refused_before_anything_begins(
    store: str, said: str
) -> None:
    with pytest.raises(StoreError, match=said) as caught:
        named({"ENGINE": "ray", "RAY_STORE": store})
    assert "secret" not in one_line(caught)
    if "give one of" in str(caught.value):
        assert "http" not in str(caught.value).partition("give one of")[2]


def test_an_address_is_needed() -> None:
    with pytest.raises(UsageError, match="ENGINE=ray needs RAY_ADDRESS=") as caught:
        cluster.connected("")
    assert "local" in one_line(caught)


@pytest.mark.parametrize("address", ["head", "head:", ":6379", "head:port", "ray://head:10001"])
def test_an_address_without_a_port_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="give HOST:PORT") as caught:
        cluster.connected(address)
    assert address in one_line(caught)


def test_an_address_at_which_nobody_answers_is_named_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ClusterError, match="no Ray cluster answers") as caught:
            cluster.connected(address)
    assert address in one_line(caught) and "train/cluster" in str(caught.value)


def test_without_ray_the_lock_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    without_ray(monkeypatch)
    with pytest.raises(UsageError, match="needs Ray") as caught:
        cluster.connected("local")
    assert "train/locks/cluster.txt" in one_line(caught)


def test_a_node_that_does_not_start_in_time_is_said_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def init(**_: object) -> None:
        raise Exception("The current node timed out during startup. This could happen because")

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    with pytest.raises(ClusterError, match="give the same command again") as caught:
        cluster.connected("local")
    assert one_line(caught)


def test_where_no_cluster_runs_auto_says_so_without_options_of_ray(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def init(**_: object) -> None:
        said = "Could not find any running Ray instance. Please specify the one to connect to by "
        raise ConnectionError(said + "setting `--address` flag or `RAY_ADDRESS`")

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    with pytest.raises(ClusterError, match="no cluster runs on this machine") as caught:
        cluster.connected("auto")
    assert "train/cluster" in one_line(caught) and "--address" not in str(caught.value)


def test_another_version_on_the_cluster_is_said_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def init(**settings: Any) -> None:
        raise RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.59.0")

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    with pytest.raises(ClusterError, match=r"Ray: 2\.59\.0") as caught:
        cluster.connected("auto")
    assert "RAY_ADDRESS=auto" in one_line(caught) and "the same Python" in str(caught.value)
