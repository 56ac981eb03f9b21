"""Whether runtimes and their kernels give the same labels and the same `unknown`."""

__all__: list[str] = []
