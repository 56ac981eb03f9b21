"""Records of the chapter on the network, which its templates read."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from train.network.layer_table import ROUNDS, Layer
from train.page.pictures import Picture
from train.report import worked_examples
from train.report.network_views import Floats
from train.report.worked_examples import Neuron, Sliding, Twin

HEAD = ("class_map", "logits", "probabilities")
"""Layers that replace the last ones of the ImageNet network."""
PART_NAMES = {"frozen": "frozen", "trained": "fine-tuned", "new": "new"}


@dataclass(frozen=True)
class Subject:
    """The photo that the chapter is about."""

    path: str
    label: str
    predicted: str
    probability: float
    picture: Picture


@dataclass(frozen=True)
class Moved:
    """The photo and the same photo moved to the right."""

    shift_px: int
    cells: int
    """The shift in cells of the class map."""
    rows: tuple[tuple[Picture, Picture, Picture], ...]
    """Photo, a map of the first layer, class map over the photo: before and after."""
    first_difference: float
    """Largest difference of the first layer's outputs within the photo, after moving back."""
    likeness: float
    """Correlation of the class maps, where they overlap, after moving back."""
    probability: float
    """Probability of the class predicted before."""


@dataclass(frozen=True)
class Shuffled:
    """The photo's pixels in random places."""

    picture: Picture
    predicted: str
    probability: float
    of_before: float
    """Probability of the class predicted before."""


@dataclass(frozen=True)
class Classic:
    """A classic kernel, its effect, and the learned kernel that is most like it."""

    name: str
    kernel: tuple[tuple[str, ...], ...]
    picture: Picture
    twin: Twin
    twin_kernel: Picture
    twin_map: Picture


@dataclass(frozen=True)
class Filter:
    """A learned kernel of the first layer and its feature map."""

    channel: int
    kernel: Picture
    map: Picture | None
    """None if the channel is silent on this photo."""


@dataclass(frozen=True)
class Border:
    """The effect of the zeros at the border."""

    corner: Picture
    """The last pixels of the photo and the zeros after them, as the first layer sees them."""
    edge: float
    """Largest difference of an output of the first layer at the border from one inside."""
    changed_cells: int
    """Cells of the class map that differ from the middle cell by more than rounding."""
    cells: int
    lowest: float
    highest: float
    """Logits of the predicted class over the map."""
    picture: Picture


@dataclass(frozen=True)
class Pooling:
    """A part of a feature map, pooled."""

    channel: int
    cells: worked_examples.Floats
    largest: worked_examples.Floats
    average: worked_examples.Floats


@dataclass(frozen=True)
class Channel:
    """One channel at some depth."""

    number: int
    map: Picture
    exciting: tuple[Picture, ...]
    """Patches around what excites it most on other test photos."""


@dataclass(frozen=True)
class Depth:
    """One step of the feature hierarchy."""

    role: str
    layer: Layer
    crop_px: int
    channels: tuple[Channel, ...]


@dataclass(frozen=True)
class ClassEvidence:
    """How one class fares on the photo."""

    label: str
    logit: float
    power: float
    """e to the power of the logit minus the largest logit."""
    probability: float
    picture: Picture


@dataclass(frozen=True)
class Evidence:
    """From the class map to the probabilities."""

    classes: tuple[ClassEvidence, ...]
    others: int
    others_power: float
    others_probability: float
    cells: Floats
    """Class map of the predicted class, (n, n) logits."""
    opacities: Floats
    """Shade of each cell, 0 to 1."""
    total_power: float


@dataclass(frozen=True)
class Block:
    """Some layers that belong together, for the drawing of the network."""

    title: str
    output: tuple[int, int, int]
    part: str


@dataclass(frozen=True)
class Share:
    """Totals of the layers of one kind or part."""

    name: str
    layers: int
    parameters: float
    macs: float
    time: float


@dataclass(frozen=True)
class Chapter:
    """Everything that the chapter's templates show."""

    size_px: int
    zero_byte: int
    """The byte that the network's first layer makes 0, with which all its layers pad."""
    labels: tuple[str, ...]
    candidates: int
    """Test photos that were looked at."""
    layers: tuple[Layer, ...]
    time_shares: Mapping[str, float]
    """By `Layer.name`."""
    timed_photos: int
    subject: Subject
    moved: Moved
    shuffled: Shuffled
    sliding: Sliding
    neuron: Neuron
    classics: tuple[Classic, ...]
    grey: Picture
    filters: tuple[Filter, ...]
    border: Border
    pooling: Pooling
    depths: tuple[Depth, ...]
    evidence: Evidence
    part_names = PART_NAMES
    timing_rounds = ROUNDS

    @property
    def inputs(self) -> int:
        """Numbers in one picture."""
        return self.size_px * self.size_px * 3

    @property
    def first(self) -> Layer:
        """The first convolution."""
        return next(layer for layer in self.layers if layer.kernel)

    @property
    def first_outputs(self) -> int:
        """Numbers in the output of the first convolution."""
        return math.prod(self.first.output)

    @property
    def dense_macs(self) -> int:
        """Multiplications of a dense layer in the place of the first convolution."""
        return self.inputs * self.first_outputs

    @property
    def dense_parameters(self) -> int:
        """Parameters of such a dense layer, with biases."""
        return self.dense_macs + self.first_outputs

    @property
    def head(self) -> Layer:
        """The convolution that makes the class map."""
        return next(layer for layer in self.layers if layer.name == HEAD[0])

    @property
    def parameters(self) -> int:
        """Of the whole network."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        """Of the whole network, for one picture."""
        return sum(layer.macs for layer in self.layers)

    @property
    def silent(self) -> int:
        """Channels of the first layer that are flat on the subject."""
        return sum(filter.map is None for filter in self.filters)

    @property
    def sliding_place(self) -> tuple[float, float, float]:
        """Top, left and side of the worked example's patch, in percent of the photo."""
        row, column = self.sliding.place
        side = len(self.sliding.patch)
        top, left, width = (round(100 * x / self.size_px, 2) for x in (row, column, side))
        return top, left, width

    @property
    def sides(self) -> list[int]:
        """Sides of the maps from the picture to the last one, each once."""
        convolved = [layer.output[0] for layer in self.layers if layer.stride > 1]
        return [self.size_px, *convolved]

    @property
    def filter_range(self) -> tuple[int, int]:
        """The fewest and the most output channels of a convolution of the backbone."""
        counts = [x.output[2] for x in self.layers if x.kernel and x.name not in HEAD]
        return min(counts), max(counts)

    @property
    def kernel_sizes(self) -> list[tuple[int, int]]:
        """(side, number of layers), the largest first."""
        return sorted(Counter(x.kernel for x in self.layers if x.kernel).items(), reverse=True)

    def part(self, layer: Layer) -> str:
        """A key of `PART_NAMES`."""
        return "new" if layer.name in HEAD else "trained" if layer.trained else "frozen"

    @property
    def blocks(self) -> list[Block]:
        """The rows of the drawing: the layers by block, without the scaling."""
        return list(self._blocks())

    def _blocks(self) -> Iterator[Block]:
        shown = [layer for layer in self.layers if layer.kind != "scaling"]
        for name, group in groupby(shown, key=lambda layer: layer.block):
            last = list(group)[-1]
            yield Block(name, last.output, self.part(last))

    @property
    def block_count(self) -> int:
        """Inverted residual blocks."""
        return sum(block.title.startswith("block_") for block in self.blocks)

    @property
    def example_block(self) -> list[Layer]:
        """The four layers of the first block that adds its input to its output."""
        name = next(layer.block for layer in self.layers if layer.kind == "addition")
        return [layer for layer in self.layers if layer.block == name]

    @property
    def example_kernel(self) -> int:
        """Side of the example block's depthwise kernels."""
        return self.example_block[1].kernel

    @property
    def depthwise_kernels(self) -> list[int]:
        """Sides of the depthwise kernels, each once."""
        return sorted({layer.kernel for layer in self.layers if layer.kind == "depthwise"})

    @property
    def pads_the_end_alone(self) -> bool:
        """Whether layers with a stride have their zeros on the right and at the bottom only."""
        return not any(layer.zeros[0] for layer in self.layers if layer.stride > 1)

    @property
    def example_macs(self) -> int:
        """Of the three convolutions of the example block."""
        return sum(layer.macs for layer in self.example_block)

    @property
    def plain_macs(self) -> int:
        """Of one convolution of that size between as many channels as the block's inner ones."""
        height, width, channels = self.example_block[0].output
        return height * width * self.example_kernel**2 * channels * channels

    @property
    def kinds(self) -> list[Share]:
        """Shares of parameters, MACs and time by kind of layer."""
        names = (
            "1 × 1 convolutions",
            "depthwise convolutions",
            "first 3 × 3 convolution",
            "all others",
        )
        return [
            self._share(name, [layer for layer in self.layers if _kind(layer) == i])
            for i, name in enumerate(names)
        ]

    def _share(self, name: str, of: list[Layer]) -> Share:
        return Share(
            name,
            len(of),
            sum(layer.parameters for layer in of) / self.parameters,
            sum(layer.macs for layer in of) / self.macs,
            sum(self.time_shares[layer.name] for layer in of),
        )

    @property
    def parts(self) -> list[Share]:
        """Layers with weights, parameters, MACs and share of time, by part."""
        found = []
        for name in PART_NAMES:
            of = [layer for layer in self.layers if self.part(layer) == name and layer.parameters]
            time = sum(self.time_shares[layer.name] for layer in of)
            parameters, macs = (sum(getattr(x, key) for x in of) for key in ("parameters", "macs"))
            found.append(Share(name, len(of), parameters, macs, time))
        return found


def _kind(layer: Layer) -> int:
    if layer.kind == "depthwise":
        return 1
    if layer.kind == "convolution":
        return 0 if layer.kernel == 1 else 2
    return 3
