"""What becomes of a visit on its way from the camera to the folder of collected photos."""

from pathlib import Path

import numpy as np
from PIL import Image

from device.contract import provenance
from device.contract.folders import photos_below
from device.contract.provenance import Provenance
from device.outputs.collect.sink import Collector
from device.settings.sections import CollectConfig
from device.telemetry.observation import Observation
from tests.bench.look.judge import overlap
from tests.device.service.scenes import Collected, Filmed, Start, model_of
from tests.support.films import Film, Visit, shots
from tests.support.timing import eventually

VISITED_S = {*range(16, 26), *range(40, 46)}
FILM = Film(60, visits=(Visit(16, 26, 0.5), Visit(40, 46, 0.4, (0.3, 0.5), seed=2)), fps=4)


class Saving(Collected):
    """A collecting output without a thread of its own: it misses no frame."""

    def __init__(self, collector: Collector) -> None:
        super().__init__(wants_pictures=True)
        self._collector = collector

    def put(self, observation: Observation) -> None:
        self._collector.publish(observation)


def saved_in(folder: Path) -> list[tuple[Path, Provenance]]:
    records = [(path, provenance.read(path.read_bytes())) for path in photos_below(folder)]
    return [(path, record) for path, record in records if record is not None]


def test_each_visit_is_a_photo_or_two_of_whole_frames_with_a_box_around_the_visitor(
    looks: Path, start: Start, tmp_path: Path
) -> None:
    folder, frames = tmp_path / "collected", [*shots(FILM)]
    settings = CollectConfig(path=str(folder), random_per_day=0, min_free_mb=0)
    sink, model = Saving(Collector(settings)), model_of(looks, ahead=False)
    _, _, _, ends = start(Filmed(frames), sink=sink, model=model)
    eventually(lambda: ends, within_s=60)
    assert ends == [None]
    saved = saved_in(folder)
    of_visits = [(path, record) for path, record in saved if record.seen == "something"]
    assert 2 <= len(of_visits) <= 4
    assert len(saved) <= len(of_visits) + 1, "the first frame of all is a change"
    for path, record in of_visits:
        shot = next(shot for shot in frames if shot.at_ms == int(record.source[1:]))
        with Image.open(path) as image:
            assert np.abs(np.asarray(image).astype(int) - shot.pixels).mean() < 8
        assert record.box is not None and overlap(record.box, shot.boxes[0]) > 0.3
    best = [record for _, record in of_visits if record.reason == "changed"]
    assert len(best) == 2 and all(int(b.source[1:]) // 1000 in VISITED_S for b in best)
