"""Promises of the engine that needs nothing: in order, bounded, warm, stopped at once."""

import pickle
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from device.workstation.engine.choice import done
from device.workstation.engine.local import AHEAD, Local
from device.workstation.engine.work import Work

COUNT = 200


@dataclass(frozen=True)
class Doubling:
    """Notes who set it up, and what it was asked to do."""

    set_up: list[int] = field(default_factory=list)
    begun: list[int] = field(default_factory=list)
    fails_at: int = -1

    def setup(self) -> Callable[[int], int]:
        self.set_up.append(threading.get_ident())
        return self.of

    def of(self, item: int) -> int:
        self.begun.append(item)
        if item == self.fails_at:
            raise ValueError(f"item {item}")
        # The later, the sooner: results come in another order than items went in.
        time.sleep(0.001 * (item % 3 == 0))
        return 2 * item


def nothing() -> None:
    """Nobody looks."""


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("first", [0, 1, 33, COUNT - 1, COUNT, COUNT + 5])
def test_results_are_those_of_the_items_in_their_order(threads: int, first: int) -> None:
    task, counted = Doubling(), list[int]()
    work = Work(task, range(COUNT), "doubling", str, first)
    results = list(Local(threads).run(work, lambda: counted.append(1)))
    assert results == [2 * item for item in range(first, COUNT)]
    assert len(counted) == work.count == len(results)
    assert sorted(task.begun) == list(range(first, COUNT))


def test_each_thread_sets_up_once() -> None:
    task = Doubling()
    list(Local(3).run(Work(task, range(COUNT), "doubling", str), nothing))
    assert len(task.set_up) == len(set(task.set_up)) <= 3


def test_no_more_results_wait_than_are_promised() -> None:
    task = Doubling()
    with closing(Local(2).run(Work(task, range(COUNT), "doubling", str), nothing)) as results:
        assert next(results) == 0
        time.sleep(0.2)
        assert len(task.begun) <= AHEAD + 2
    begun = len(task.begun)
    time.sleep(0.05)
    assert len(task.begun) == begun


def test_an_error_ends_the_work_where_it_is_met() -> None:
    task, seen = Doubling(fails_at=40), list[int]()
    with pytest.raises(ValueError, match="item 40"):
        seen.extend(done(Work(task, range(COUNT), "doubling", str)))
    assert len(task.begun) <= 40 + 1 + AHEAD + 64


def test_a_key_tells_tasks_and_items_apart() -> None:
    keys = {
        Work.of(task, items, "doubling").key()
        for task in (Doubling(), Doubling(fails_at=3))
        for items in ([1, 2], [2, 1], [1])
    }
    assert len(keys) == 6
    assert Work.of(Doubling(), [1], "a").key() == Work.of(Doubling(), [1], "b").key()
    assert pickle.loads(pickle.dumps(Doubling(fails_at=3))).fails_at == 3
