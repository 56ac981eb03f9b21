"""Promises of the bar: what is done, how fast, and when it will be done."""

import re

from rich.console import Console

from device.workstation.engine.progress import bars, titled


def test_a_bar_says_how_fast_it_goes_and_how_long_it_will_take() -> None:
    now = 100.0
    with bars(shown=False) as progress:
        progress.get_time = lambda: now
        bar = progress.add_task(titled("features"), total=1_000)
        for _ in range(5):
            now += 1.0
            progress.advance(bar, 50)
        console = Console(width=120)
        with console.capture() as shown:
            console.print(progress.get_renderable())
    said = " ".join(shown.get().split())
    assert re.fullmatch(r"features \S+ 25% 50/s 0:00:15", said), said
