"""Which output of a model is which: all programs of this project ask here."""

from collections.abc import Sequence

from device.errors import BundleError

PROBABILITIES, CLASS_MAP, FEATURES = "probabilities", "class_map", "features"
SHIPPED_ORDER = (PROBABILITIES, CLASS_MAP, FEATURES)
"""The order in a model of ours: many programs read the first output and no other."""


def roles(shapes: Sequence[Sequence[int]], classes: int) -> tuple[str, ...]:
    """What each output is, by its shape: runtimes and converters differ in order and names.

    Args:
        shapes: of the outputs, with the batch in front.
        classes: number of labels.

    Returns:
        One of `SHIPPED_ORDER` for each shape, none twice. Of two outputs with one number per
        class, the first is the probabilities.

    Raises:
        BundleError: if an output has no role, or there are no probabilities.
    """
    found: list[str] = []
    for shape in map(tuple, shapes):
        role = _role(shape, classes, found)
        if not role or role in found:
            raise BundleError(f"the model has an output {shape} that does not fit {classes} labels")
        found.append(role)
    if PROBABILITIES not in found:
        raise BundleError(f"the model has no output with one score for each of {classes} labels")
    return tuple(found)


def _role(shape: tuple[int, ...], classes: int, found: Sequence[str]) -> str:
    if len(shape) == 4:
        return CLASS_MAP if shape[-1] == classes else ""
    if len(shape) != 2:
        return ""
    return PROBABILITIES if shape[-1] == classes and PROBABILITIES not in found else FEATURES
