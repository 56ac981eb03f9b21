"""Which engine does the work: what the environment says.

It is no setting of a build, since nothing that is built depends on it.
"""

import os
from collections.abc import Generator, Mapping
from contextlib import closing
from functools import cache

from device.errors import UsageError
from device.workstation.engine.local import Local
from device.workstation.engine.on_ray import OnRay
from device.workstation.engine.progress import bars, titled
from device.workstation.engine.work import Advance, Engine, Item, Result, Work
from device.workstation.shards.stores import check_shared

ENGINE, ADDRESS, STORE = "ENGINE", "RAY_ADDRESS", "RAY_STORE"
"""Variables of the environment; `make` has them, too."""
LOCAL, RAY = "local", "ray"


@cache
def engine() -> Engine:
    """The engine of this process; raises as `named`."""
    return named(os.environ)


def named(environment: Mapping[str, str]) -> Engine:
    """The engine that an environment names.

    Raises:
        UsageError: if it is none.
        StoreError: if the address of its store is of no use, or may hold a secret.
    """
    name = environment.get(ENGINE) or LOCAL
    if name == LOCAL:
        return Local()
    if name != RAY:
        raise UsageError(f"ENGINE={name}: give {LOCAL} or {RAY}")
    store = environment.get(STORE) or "build/engine"
    check_shared(store)
    if "://" not in store:
        store = os.path.abspath(os.path.expanduser(store))
    return OnRay(environment.get(ADDRESS, ""), store, os.getcwd())


def spreads() -> bool:
    """Whether work goes to other machines."""
    return isinstance(engine(), OnRay)


def done(work: Work[Item, Result], advance: Advance | None = None) -> Generator[Result, None, None]:
    """Do work; gives the results in the order of the items.

    Close the generator if not all are taken.

    Args:
        work: what to do; its errors are raised here.
        advance: called as items are done; None: a bar is shown.
    """
    if advance is not None:
        yield from engine().run(work, advance)
        return
    with bars() as progress:
        bar = progress.add_task(titled(work.description), total=work.count)
        # Closed at once if the caller fails, so that no bar is printed below the error.
        with closing(engine().run(work, lambda: progress.advance(bar))) as results:
            yield from results
