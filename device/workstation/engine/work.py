"""What an engine is asked to do, and what it promises."""

import hashlib
import pickle
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
ItemIn = TypeVar("ItemIn", contravariant=True)
ResultOut = TypeVar("ResultOut", covariant=True)

CHUNK = 32
"""Items whose results are kept together: what a worker that dies has to do again at most."""

Advance = Callable[[], Any]
"""Called once for each item that is done."""


class Task(Protocol[ItemIn, ResultOut]):
    """What is done to each item: a small frozen dataclass that can be pickled.

    Its module, and those it imports, are loaded by every worker, so they stay light.
    """

    def setup(self) -> Callable[[ItemIn], ResultOut]:
        """Called once by each worker, to load a network, say; gives the function for an item.

        That function is called by one thread at a time. What the task itself holds may be shared
        by several.
        """


@dataclass(frozen=True)
class Work(Generic[Item, Result]):
    """A task for each of some items."""

    task: Task[Item, Result]
    items: Sequence[Item]
    """Each can be pickled."""
    description: str
    """What the progress bar says."""
    key: Callable[[], str]
    """Gives a name for everything that the results depend on; asked only where work is kept."""
    first: int = 0
    """Results of items before this one are there already, and are not asked for."""
    here: bool = False
    """Whether the task needs what lies on this machine alone, so that no other can do it."""

    chunk: int = CHUNK
    """So many items are kept together; 1 if an item is many photos."""
    probe: Callable[[], Any] | None = None
    """Run on each other machine before the task: raises if what the items name is not there."""

    @classmethod
    def of(
        cls, task: Task[Item, Result], items: Sequence[Item], description: str
    ) -> "Work[Item, Result]":
        """Work whose task and items hold everything that the results depend on, beside code."""
        return cls(task, items, description, lambda: _digest(task, items))

    @property
    def count(self) -> int:
        """How many results are asked for."""
        return max(len(self.items) - self.first, 0)


def _digest(task: Any, items: Sequence[Any]) -> str:
    sha256 = hashlib.sha256(pickle.dumps(task))
    for item in items:
        sha256.update(repr(item).encode("utf-8", "surrogateescape"))
    return sha256.hexdigest()[:16]


class Engine(Protocol):
    """Does work."""

    def run(self, work: Work[Item, Result], advance: Advance) -> Generator[Result, None, None]:
        """The results in the order of the items.

        Close the generator if not all are taken, so that workers stop.

        Args:
            work: what to do; its errors are raised here.
            advance: called as items are done, which may be before their results are given.
        """
