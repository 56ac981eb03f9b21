"""Makes the chapter on the network: the ideas of convolution, shown on one of the user's photos.

This module computes and draws; the text is in `chapter.html.j2`.
"""

from collections.abc import Sequence

import keras
import numpy as np

from device.contract.arrays import Pixels
from train.network import layer_table
from train.network.backbone import SCALE_LAYER
from train.network.backbones import BYTE_STEP
from train.network.layer_table import Layer
from train.page import pictures
from train.page.pictures import Picture
from train.report import network_views, worked_examples
from train.report.chapter_records import (
    Border,
    Channel,
    Chapter,
    ClassEvidence,
    Classic,
    Depth,
    Evidence,
    Filter,
    Moved,
    Pooling,
    Shuffled,
    Subject,
)
from train.report.network_views import Candidate, Floats, LayerReader, Readings
from train.report.worked_examples import Neuron

FIRST, LAST, MAP = "conv0", "features", "class_map"
DEPTHS = ("edges", "textures", "parts", "objects")
"""What is found in the layers of `hierarchy`."""
CHANNELS_SHOWN = 4
EXCITING_SHOWN = 3
CLASSES_SHOWN = 6
PHOTO_PX = 224
PATCH_PX = 72
CORNER = 6
POOLED = 4
VARIES = 1e-3
"""Standard deviation below which a map of the first layer (0 to 6) counts as flat."""
TIMED_PHOTOS = 8


def make_chapter(
    network: keras.Model, candidates: Sequence[Candidate], labels: Sequence[str], cut: str
) -> Chapter:
    """Make the chapter.

    Args:
        network: the trained classifier.
        candidates: test photos, at least one; the one that shows most becomes the subject.
        labels: names of the classes.
        cut: name of the last frozen layer.
    """
    table = layer_table.describe(network, cut)
    names = hierarchy(table)
    reader = LayerReader(network, (*names, MAP, "probabilities"))
    survey = network_views.survey(reader, candidates, names)
    index = network_views.most_telling(candidates, survey)
    return _ChapterMaker(network, reader, candidates, survey, index, table, tuple(labels)).chapter()


def hierarchy(table: Sequence[Layer]) -> tuple[str, ...]:
    """Names of layers at four depths: where the map is large, halved twice, halved often, last."""
    strided = [layer.block for layer in table if layer.kind == "depthwise" and layer.stride > 1]
    return FIRST, f"{strided[1]}_expand", f"{strided[-1]}_expand", LAST


class _ChapterMaker:
    """The subject, with the network's outputs for it and for its three variations."""

    def __init__(
        self,
        network: keras.Model,
        reader: LayerReader,
        candidates: Sequence[Candidate],
        survey: network_views.Survey,
        index: int,
        table: Sequence[Layer],
        labels: tuple[str, ...],
    ) -> None:
        self.network, self.candidates, self.survey, self.index = network, candidates, survey, index
        self.table, self.labels = table, labels
        self.pixels = candidates[index].pixels
        self.size_px = len(self.pixels)
        self.zero_byte = round(-network.get_layer(SCALE_LAYER).offset * BYTE_STEP)
        self.map_layer = next(layer for layer in table if layer.name == MAP)
        side = self.map_layer.output[0]
        self.shift_cells = max(1, round(side / 4))
        self.shift_px = min(self.shift_cells * self.map_layer.step_px, self.size_px // 2)
        self.variations = {
            "moved": network_views.moved(self.pixels, self.shift_px),
            "shuffled": network_views.shuffled(self.pixels),
            "plain": network_views.plain(self.pixels),
        }
        read = reader.read(np.stack([self.pixels, *self.variations.values()]))
        names = ("subject", *self.variations)
        self.readings: dict[str, Readings] = {
            name: {layer: values[i] for layer, values in read.items()}
            for i, name in enumerate(names)
        }
        self.winner = int(self.readings["subject"]["probabilities"].argmax())
        varies = self.readings["subject"][FIRST].std(axis=(0, 1)) > VARIES
        self.silent = np.flatnonzero(~varies).tolist()

    def chapter(self) -> Chapter:
        grey = worked_examples.grey(self.pixels)
        batch = np.stack([candidate.pixels for candidate in self.candidates[:TIMED_PHOTOS]])
        return Chapter(
            size_px=self.size_px,
            zero_byte=self.zero_byte,
            labels=self.labels,
            candidates=len(self.candidates),
            layers=tuple(self.table),
            time_shares=layer_table.shares(layer_table.seconds(self.network, batch)),
            timed_photos=len(batch),
            subject=self.subject(),
            moved=self.moved(),
            shuffled=self.shuffled(),
            sliding=worked_examples.worked_example(grey),
            neuron=self.neuron(),
            classics=self.classics(grey),
            grey=pictures.drawing(pictures.clipped(grey)),
            filters=self.filters(),
            border=self.border(),
            pooling=self.pooling(),
            depths=tuple(self.depth(name) for name in hierarchy(self.table)),
            evidence=self.evidence(),
        )

    def probability(self, name: str, number: int) -> float:
        return float(self.readings[name]["probabilities"][number])

    def first_layer(self) -> tuple[worked_examples.Floats, worked_examples.Floats]:
        kernel, bias = self.network.get_layer(f"{FIRST}_conv").get_weights()
        return kernel.astype(np.float64), bias.astype(np.float64)

    def overlay(self, name: str, number: int, limit: float) -> Picture:
        pixels = self.variations.get(name, self.pixels)
        evidence = network_views.evidence(self.readings[name][MAP])[..., number]
        centre, step = self.map_layer.first_centre_px, self.map_layer.step_px
        drawn = pictures.spread(evidence, self.size_px, centre, step)
        return pictures.drawing(pictures.tinted(pixels, drawn, limit))

    def subject(self) -> Subject:
        candidate = self.candidates[self.index]
        return Subject(
            path=candidate.path,
            label=self.labels[candidate.label],
            predicted=self.labels[self.winner],
            probability=self.probability("subject", self.winner),
            picture=pictures.photo(self.pixels, PHOTO_PX),
        )

    def moved(self) -> Moved:
        before, after = self.readings["subject"], self.readings["moved"]
        limit = float(np.abs(network_views.evidence(before[MAP])[..., self.winner]).max())
        step = self.shift_px // 2
        back = after[FIRST][:, step:-1] - before[FIRST][:, : -step - 1]
        cells = self.shift_cells if self.map_layer.output[0] > 1 else 0
        columns = self.map_layer.output[0] - cells
        evidence = [
            network_views.evidence(reading[MAP])[..., self.winner] for reading in (before, after)
        ]
        return Moved(
            shift_px=self.shift_px,
            cells=cells,
            rows=tuple(
                (
                    pictures.photo(self.variations.get(name, self.pixels), PHOTO_PX),
                    self.first_map(self.edge_channel(), name),
                    self.overlay(name, self.winner, limit),
                )
                for name in ("subject", "moved")
            ),
            first_difference=float(np.abs(back[1:-1, 1:]).max(initial=0)),
            likeness=network_views.correlation(evidence[0][:, :columns], evidence[1][:, cells:]),
            probability=self.probability("moved", self.winner),
        )

    def shuffled(self) -> Shuffled:
        guess = int(self.readings["shuffled"]["probabilities"].argmax())
        return Shuffled(
            picture=pictures.photo(self.variations["shuffled"], PHOTO_PX),
            predicted=self.labels[guess],
            probability=self.probability("shuffled", guess),
            of_before=self.probability("shuffled", self.winner),
        )

    def neuron(self) -> Neuron:
        outputs = self.readings["subject"][FIRST].astype(np.float64)
        scaled = (self.pixels.astype(np.float64) - self.zero_byte) / BYTE_STEP
        return worked_examples.neuron(self.edge_channel(), scaled, *self.first_layer(), outputs)

    def edge_channel(self) -> int:
        """The learned kernel most similar to the classic horizontal edge."""
        weights, _ = self.first_layer()
        return worked_examples.twin(
            worked_examples.CLASSIC["horizontal edge"], weights, self.silent
        ).channel

    def classics(self, grey: worked_examples.Floats) -> tuple[Classic, ...]:
        weights, _ = self.first_layer()
        found: list[Classic] = []
        for name, kernel in worked_examples.CLASSIC.items():
            result = worked_examples.slide(grey, kernel)
            keeps_light = kernel.sum() > 0.5
            draw = pictures.clipped if keeps_light else pictures.signed
            shown = [classic.twin.channel for classic in found]
            twin = worked_examples.twin(kernel, weights, [*self.silent, *shown])
            # The zeros around the photo form an edge that would outshine the edges in it.
            found.append(
                Classic(
                    name=name,
                    kernel=tuple(tuple(_weight(value) for value in row) for row in kernel),
                    picture=pictures.drawing(draw(result[1:-1, 1:-1])),
                    twin=twin,
                    twin_kernel=_kernel_picture(weights[..., twin.channel]),
                    twin_map=self.first_map(twin.channel),
                )
            )
        return tuple(found)

    def first_map(self, channel: int, name: str = "subject") -> Picture:
        values = self.readings[name][FIRST][..., channel]
        return pictures.drawing(pictures.stretched(values))

    def filters(self) -> tuple[Filter, ...]:
        weights, _ = self.first_layer()
        maps = self.readings["subject"][FIRST]
        # The most varied first, so that silent channels come last.
        order = np.argsort(-maps.std(axis=(0, 1)), kind="stable")
        return tuple(
            Filter(
                channel=int(channel),
                kernel=_kernel_picture(weights[..., channel]),
                map=self.first_map(int(channel)) if channel not in self.silent else None,
            )
            for channel in order
        )

    def border(self) -> Border:
        first, logits = (self.readings["plain"][name] for name in (FIRST, MAP))
        middle = first[len(first) // 2, len(first) // 2]
        difference = np.abs(first - middle)
        cells = logits[..., self.winner]
        centre = cells[len(cells) // 2, len(cells) // 2]
        padded = np.full((CORNER + 1, CORNER + 1, 3), self.zero_byte, np.uint8)
        padded[:CORNER, :CORNER] = self.pixels[-CORNER:, -CORNER:]
        return Border(
            corner=pictures.exact(padded),
            edge=float(max(difference[-1].max(), difference[:, -1].max())),
            changed_cells=int((np.abs(cells - centre) > 1e-3).sum()),
            cells=cells.size,
            lowest=float(cells.min()),
            highest=float(cells.max()),
            picture=pictures.exact(pictures.signed(cells - centre)),
        )

    def pooling(self) -> Pooling:
        channel = self.edge_channel()
        first = self.readings["subject"][FIRST][..., channel].astype(np.float64)
        cells = worked_examples.most_varied_window(first, POOLED)
        largest, average = worked_examples.pooled(cells)
        return Pooling(channel, cells, largest, average)

    def depth(self, name: str) -> Depth:
        layer = next(layer for layer in self.table if layer.name == name)
        whole = name == LAST
        crop_px = min(max(layer.sees_px, self.size_px // 8), self.size_px // 2)
        crop_px = self.size_px if whole else crop_px
        maps = self.readings["subject"][name]
        merits = (
            maps.std(axis=(0, 1))
            if name == FIRST
            else network_views.contributions(self.network, name, maps, self.winner)
        )
        numbers = network_views.unlike_channels(maps, merits, CHANNELS_SHOWN)
        channels = tuple(
            Channel(
                number,
                _map_picture(maps[..., number]),
                self.exciting(layer, number, crop_px),
            )
            for number in numbers
        )
        role = DEPTHS[hierarchy(self.table).index(name)]
        return Depth(role, layer, crop_px, channels)

    def exciting(self, layer: Layer, channel: int, crop_px: int) -> tuple[Picture, ...]:
        """Patches around what excites the channel most on the other candidates."""
        peaks = self.survey.peaks[layer.name][:, channel]
        others = [int(i) for i in np.argsort(-peaks, kind="stable") if i != self.index]
        shown = []
        for i in [i for i in others if peaks[i] > 0][:EXCITING_SHOWN]:
            cell = divmod(int(self.survey.peak_cells[layer.name][i, channel]), layer.output[1])
            row, column = (layer.first_centre_px + layer.step_px * position for position in cell)
            patch = network_views.around(self.candidates[i].pixels, (row, column), crop_px)
            shown.append(pictures.photo(patch, PATCH_PX))
        return tuple(shown)

    def evidence(self) -> Evidence:
        reading = self.readings["subject"]
        logits = reading[MAP].mean(axis=(0, 1), dtype=np.float64)
        powers = np.exp(logits - logits.max())
        order = np.argsort(-logits, kind="stable")
        shown = order[:CLASSES_SHOWN]
        limit = float(np.abs(network_views.evidence(reading[MAP])[..., shown]).max())
        cells = reading[MAP][..., self.winner]
        rest = order[CLASSES_SHOWN:]
        return Evidence(
            classes=tuple(
                ClassEvidence(
                    label=self.labels[i],
                    logit=float(logits[i]),
                    power=float(powers[i]),
                    probability=float(powers[i] / powers.sum()),
                    picture=self.overlay("subject", int(i), limit),
                )
                for i in shown
            ),
            others=len(rest),
            others_power=float(powers[rest].sum()),
            others_probability=float(powers[rest].sum() / powers.sum()),
            cells=cells,
            opacities=np.clip(cells / max(float(cells.max()), 1e-9), 0, 1) * 0.75,
            total_power=float(powers.sum()),
        )


def _kernel_picture(weights: worked_examples.Floats) -> Picture:
    return pictures.exact(pictures.signed(weights))


def _map_picture(values: Floats) -> Picture:
    drawn: Pixels = pictures.stretched(values)
    return pictures.exact(drawn) if len(values) <= 28 else pictures.drawing(drawn)


def _weight(value: float) -> str:
    return f"{value:g}".replace("-", "−") if value == round(value) else "1/9"
