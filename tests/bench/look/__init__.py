"""`python -m tests.bench.look`: false boxes of empty films, visits found, what a look costs."""

__all__: list[str] = []
