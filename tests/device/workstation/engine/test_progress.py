"""Promises of the bar: what is done, how fast, and when it will be done."""

import pytest
from rich.console import Console
from rich.progress import Progress

from device.workstation.engine.progress import bars, titled


def shown(progress: Progress) -> str:
    console = Console(width=120)
    with console.capture() as captured:
        console.print(progress.get_renderable())
    return " ".join(captured.get().replace("━", "").replace("╸", "").replace("╺", "").split())


@pytest.mark.parametrize("at_once", [10, 50, 2_000])
def test_a_bar_says_how_fast_it_goes_and_how_long_it_will_take(at_once: int) -> None:
    now, each_s = 100.0, at_once / 50
    with bars(shown=False) as progress:
        progress.get_time = lambda: now
        bar = progress.add_task(titled("features"), total=10_000)
        assert shown(progress) == "features 0% -:--:--"
        for _ in range(4_000 // at_once):
            now += each_s
            # Workers of a cluster report a part at a time, which is as many calls.
            for _ in range(at_once):
                progress.advance(bar)
            said = shown(progress)
        assert said == "features 40% 50/s 0:02:00"


def test_a_full_bar_says_how_fast_all_of_it_went() -> None:
    now = 100.0
    with bars(shown=False) as progress:
        progress.get_time = lambda: now
        bar = progress.add_task(titled("features"), total=1_000)
        now += 20
        progress.advance(bar, 1_000)
        assert shown(progress) == "features 100% 50/s 0:00:00"
